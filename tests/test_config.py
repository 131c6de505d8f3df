import pytest

from sam3i_edge.errors import ConfigError
from sam3i_edge.model import ModelConfig
from tests.conftest import PARITY


def test_small_preset_is_the_recorded_config():
    assert ModelConfig.from_json(PARITY / "config.json") == ModelConfig.preset("small")


@pytest.mark.parametrize("name", ["full", "small"])
def test_round_trip(name):
    config = ModelConfig.preset(name)
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_unknown_preset_names_the_closest():
    with pytest.raises(
        ConfigError, match=r"Unknown preset 'smal'\. Known: full, small, tabletop\. Did you mean 'small'\?"
    ):
        ModelConfig.preset("smal")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_querys": 3}, "Unknown key 'num_querys'.*Did you mean 'num_queries'"),
        ({"vision": {"layers": 3}}, "Unknown key 'vision.layers'"),
        ({"num_heads": "8"}, "num_heads is '8'; expected int"),
        ({"num_heads": True}, "num_heads is True; expected int"),
        ({"vision": 3}, "vision is 3; expected an object"),
        ({"vision": {"global_attention_layers": 3}}, "vision.global_attention_layers is 3; expected a list of int"),
        ({"image_size": 1000}, "image_size is 1000; it must be a multiple of patch_size .14."),
        ({"num_heads": 0}, "num_heads is 0; it must be greater than 0"),
        ({"encoder_layers": 10**7}, "encoder_layers is 10000000; it must be .* at most 1000"),
        ({"vision": {"mlp_ratio": float("inf")}}, "vision.mlp_ratio is inf; it must be finite"),
        ({"vision": {"window_size": 60000}}, "vision.window_size is 60000; it must be at most 1024"),
        ({"adapter": {"scale": float("nan")}}, "adapter.scale is nan; it must be finite"),
        ({"vision": {"global_attention_layers": [40]}}, "each between 0 and 31"),
        ({"vision": {"global_attention_layers": []}}, "at least one"),
        ({"hidden_size": 252, "num_heads": 4}, "hidden_size is 252; it must be a multiple of the groups .* .8."),
        ({"adapter": {"num_heads": 3}}, "must be a multiple of adapter.num_heads .3."),
    ],
)
def test_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        ModelConfig.from_dict(values)


def test_a_file_that_is_no_config_is_named(tmp_path):
    path = tmp_path / "config.json"
    bad = {"{": "not valid JSON", "[" * 100_000: "config", "[]": "expected an object", '{"x": 1}': "Unknown key 'x'"}
    for content, message in bad.items():
        path.write_text(content)
        with pytest.raises(ConfigError, match=message) as error:
            ModelConfig.from_json(path)
        assert "config.json" in str(error.value)
    with pytest.raises(ConfigError, match="No such file"):
        ModelConfig.from_json(tmp_path / "none.json")
