"""Every published form of a checkpoint loads; everything else is refused, and nothing in it runs."""

import dataclasses
import json
import pickle
import random
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sam3i_edge.errors import CheckpointError
from sam3i_edge.model import ModelConfig, Sam3i, TextConfig, load
from tests.conftest import PARITY

SMALL = ModelConfig.preset("small")


@pytest.fixture(scope="module")
def published() -> dict[str, torch.Tensor]:
    return torch.load(PARITY / "checkpoint.pt", weights_only=True)["model"]


@pytest.fixture
def saved(tmp_path):
    def save(content) -> Path:
        path = tmp_path / "checkpoint.pt"
        torch.save(content, path)
        return path

    return save


def same(model, other) -> bool:
    return all(torch.equal(value, other.state_dict()[name]) for name, value in model.state_dict().items())


def test_dead_weights_are_ignored(published, model):
    assert any(key.startswith("backbone.text.") for key in published)
    assert same(load(PARITY / "checkpoint.pt", SMALL), model)


def test_a_bare_state_dict_or_one_beside_the_state_of_training(saved, published, model):
    for content in (published, {"model": published, "optimizer": {"state": {0: torch.zeros(3)}}, "epoch": 3}):
        assert same(load(saved(content), SMALL), model)


def beneath(*prefixes: str):
    """Puts each prefix before all names, the last one outermost."""
    return lambda state: {"".join(reversed(prefixes)) + name: value for name, value in state.items()}


PARTS = ("real", "imag")
WRAPPERS = {
    "DistributedDataParallel": beneath("module."),
    "compiled": beneath("_orig_mod."),
    "compiled, then DistributedDataParallel": beneath("_orig_mod.", "module."),
    "a compiled part": lambda state: {
        name.replace(".layers.0.", ".layers.0._orig_mod."): v for name, v in state.items()
    },
    "Lightning": lambda state: {"state_dict": beneath("model.")(state), "epoch": 3},
    "Meta's detector, distributed": lambda state: {"model": beneath("detector.", "module.")(state)},
    "two containers": lambda state: {"model": {"model_state_dict": state}},
    "rotary tables in two parts": lambda state: (
        state | {f"backbone.vision_backbone.trunk.blocks.0.attn.freqs_cis_{part}": torch.zeros(4) for part in PARTS}
    ),
}


@pytest.mark.parametrize("wrapped", WRAPPERS.values(), ids=WRAPPERS)
def test_weights_under_the_names_of_training_wrappers(saved, published, model, wrapped):
    assert same(load(saved(wrapped(published)), SMALL), model)


def test_one_weight_under_two_names_is_refused(saved, published):
    with pytest.raises(CheckpointError, match=r"holds .*mask_embed.* twice, as segm.* and as module\.segm"):
        load(saved(published | beneath("module.")({n: v for n, v in published.items() if "mask_embed" in n})), SMALL)


def test_a_mapping_that_holds_itself(saved):
    state: dict = {}
    state["model"] = state
    with pytest.raises(CheckpointError, match="holds no SAM3-I state dict"):
        load(saved(state), SMALL)


def test_safetensors(tmp_path, model):
    path = tmp_path / "checkpoint.safetensors"
    save_file({name: value.clone() for name, value in model.state_dict().items()}, path)
    assert same(load(path, SMALL), model)


def test_half_precision_becomes_float32(saved, published):
    loaded = load(saved({name: value.half() for name, value in published.items() if "freqs" not in name}), SMALL)
    assert all(parameter.dtype == torch.float32 for parameter in loaded.parameters())


def test_base_sam3_starts_with_identity_adapters(saved, published):
    """Meta's sam3.pt: prefixed, with a tracker beside the detector, without adapters and loss projections."""
    base = {
        f"detector.{name}": value
        for name, value in published.items()
        if "adapter" not in name
        and not name.startswith(("backbone.text.", "simple_query", "complex_query", "concept_p"))
    }
    base |= {
        "tracker.memory.weight": torch.zeros(2),
        "detector.backbone.vision_backbone.sam2_convs.0.w": torch.zeros(2),
    }
    loaded = load(saved(base), SMALL)
    tokens = torch.tensor([[49406, 736, 9722, 49407] + [0] * 28] * 3)
    with torch.inference_mode():
        text = loaded.encode_text(tokens, torch.eye(3))
    assert torch.equal(text[0], text[1])
    assert torch.equal(text[0], text[2])
    head = loaded.segmentation_head
    for predictor in (head.mask_predictor_adapter1, head.mask_predictor_adapter2):
        assert all(
            torch.equal(a, b) for a, b in zip(predictor.parameters(), head.mask_predictor.parameters(), strict=True)
        )
    adapter = loaded.transformer.decoder.layers[0].adapter1
    assert adapter.down_proj.weight.abs().max() > 0, "an adapter that is zero on both sides could not learn"
    assert not any(parameter.is_meta for parameter in loaded.parameters())


def test_only_the_tracker_beside_the_detector_is_left_out(saved, published):
    wrong = {f"detector.{name}": value for name, value in published.items()} | {"typo.weight": torch.zeros(2)}
    with pytest.raises(CheckpointError, match=r"1 unexpected: typo\.weight"):
        load(saved(wrong), SMALL)


def test_missing_unexpected_and_misshaped_keys_are_named(saved, published):
    wrong = dict(published)
    del wrong["geometry_encoder.norm.weight"]
    wrong["geometry_encoder.surprise"] = torch.zeros(1)
    wrong["dot_prod_scoring.hs_proj.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as error:
        load(saved(wrong), SMALL)
    assert "1 missing: geometry_encoder.norm.weight" in str(error.value)
    assert "1 unexpected: geometry_encoder.surprise" in str(error.value)
    assert "dot_prod_scoring.hs_proj.bias is (5,), expected (32,)" in str(error.value)


def test_some_adapters_missing_is_an_error_not_a_base_model(saved, published):
    wrong = {name: value for name, value in published.items() if ".adapter2." not in name}
    with pytest.raises(CheckpointError, match=r"missing: .*adapter2"):
        load(saved(wrong), SMALL)


def test_wrong_config_is_an_error():
    with pytest.raises(CheckpointError, match=r"does not fit the model config.*--config"):
        load(PARITY / "checkpoint.pt", ModelConfig.preset("full"))


def test_truncated(tmp_path):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes((PARITY / "checkpoint.pt").read_bytes()[:1_000_000])
    with pytest.raises(CheckpointError, match=r"1000000 bytes.*truncated"):
        load(path, SMALL)
    renamed = path.rename(tmp_path / "checkpoint.safetensors")
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load(renamed, SMALL)


@pytest.mark.parametrize("content", [b"", b"no checkpoint at all", b"\x80\x04garbage"])
def test_no_checkpoint_at_all(tmp_path, content):
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
        load(path, SMALL)


def test_a_flipped_bit(tmp_path):
    content = bytearray((PARITY / "checkpoint.pt").read_bytes())
    content[len(content) // 2] ^= 1
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"damaged.*checksum"):
        load(path, SMALL)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (torch.zeros(32, dtype=torch.int64), r"hs_proj\.bias is torch\.int64.*expected dense floating point"),
        (torch.zeros(32, dtype=torch.complex64), r"hs_proj\.bias is torch\.complex64"),
        (torch.full((32,), float("nan")), r"hs_proj\.bias holds values that are NaN or infinite"),
        (torch.full((32,), 1e300, dtype=torch.float64), "NaN or infinite"),
    ],
)
def test_values_that_are_no_weights(saved, published, value, message):
    with pytest.raises(CheckpointError, match=message):
        load(saved({**published, "dot_prod_scoring.hs_proj.bias": value}), SMALL)


class Attack:
    """Unpickling this writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self):
        return Path.write_text, (self.target, "owned")


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path, zipped):
    path, target = tmp_path / "checkpoint.pt", tmp_path / "owned"
    if zipped:
        torch.save({"model": Attack(target)}, path)
    else:
        path.write_bytes(pickle.dumps({"model": Attack(target)}))
    with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
        load(path, SMALL)
    assert not target.exists()


@pytest.mark.parametrize(
    "content", [{}, {"model": {}}, {"model": {"a": 1}}, {"model": {1: torch.zeros(1)}}, [torch.zeros(1)], {"epoch": 3}]
)
def test_no_state_dict(saved, content):
    with pytest.raises(CheckpointError, match=r"holds (no SAM3-I state dict|a list)"):
        load(saved(content), SMALL)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_nested_tensors_are_no_weights(saved):
    nested = torch.nested.nested_tensor([torch.zeros(2), torch.zeros(3)])
    with pytest.raises(
        CheckpointError, match="holds no SAM3-I state dict: among its entries are a\\. Expected tensors"
    ):
        load(saved({"model": {"a": nested}}), SMALL)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_mutated_pickles_are_refused_in_our_words(saved):
    """Whatever torch's unpickler raises: a struct.error, a KeyError, a TypeError, ..."""
    path = saved({"model": {f"layer{number}.weight": torch.zeros(number, 3) for number in range(6)}})
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (name,) = (name for name in members if name.endswith("data.pkl"))
    rng = random.Random(0)
    for _ in range(200):
        content = bytearray(members[name])
        for at in rng.sample(range(len(content)), rng.choice([1, 2, 8])):
            content[at : at + rng.choice([0, 1, 4])] = rng.randbytes(rng.choice([0, 1, 4]))
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for member, kept in (members | {name: bytes(content)}).items():
                archive.writestr(member, kept)
        with pytest.raises(CheckpointError, match=r"checkpoint\.pt"):
            load(path, SMALL)


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 100_000,
        b'{"a": 1}',
        b'{"a": {"dtype": "F99", "shape": [1], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [4611686018427387904, 4], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 0]}}',
        b'{"a": {"dtype": "F8_E8M0", "shape": [4], "data_offsets": [0, 4]}}',
        b'{"a": {"dtype": "F4", "shape": [8], "data_offsets": [0, 4]}}',
    ],
)
def test_headers_that_invent_something(tmp_path, header):
    path = tmp_path / "checkpoint.safetensors"
    for length in (len(header), 1 << 62):
        path.write_bytes(length.to_bytes(8, "little") + header + bytes(4))
        with pytest.raises(CheckpointError, match=r"checkpoint\.safetensors"):
            load(path, SMALL)


def test_loading_makes_no_second_copy(tmp_path):
    """The parameters are the mapped file: of 270 MB of weights, only a fraction becomes memory of the process."""
    config = dataclasses.replace(SMALL, text=TextConfig(hidden_size=1024, num_layers=1, num_heads=4))
    path = tmp_path / "checkpoint.pt"
    torch.save({"model": Sam3i(config).state_dict()}, path)
    assert path.stat().st_size > 250e6
    code = (
        "import json, re, sys; from pathlib import Path; from sam3i_edge.model import ModelConfig, load\n"
        "def own(): return int(re.search(r'RssAnon:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) * 1024\n"
        "config = ModelConfig.from_dict(json.loads(sys.argv[2]))\n"
        "load(sys.argv[3], ModelConfig.preset('small')); before = own()\n"  # what torch imports late does not count
        "model = load(sys.argv[1], config); print(own() - before)"
    )
    command = [sys.executable, "-c", code, str(path), json.dumps(config.to_dict()), PARITY / "checkpoint.pt"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(done.stdout) < path.stat().st_size / 4  # the allocator's own 0 to 32 MB were seen


def test_no_file(tmp_path):
    with pytest.raises(CheckpointError, match="No checkpoint at"):
        load(tmp_path / "none.pt", SMALL)
