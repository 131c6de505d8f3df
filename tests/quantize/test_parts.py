"""What quantization does to single layers: smoothing, the token table, observers, the bias."""

import pytest
import torch
from torch import nn

from sam3i_edge.config import default_limits
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import GraphSpec, TensorSpec, graph_specs
from sam3i_edge.quantize.embedding import EMBEDDINGS
from sam3i_edge.quantize.observers import ACTIVATION_OBSERVERS
from sam3i_edge.quantize.ptq import quantize_graph
from sam3i_edge.quantize.quantizer import SCHEMES
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.quantize.smoothing import pairs, smooth
from tests.train.conftest import TINY, tiny_model

IMAGE = torch.randint(0, 255, (1, 56, 56, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_smoothing_changes_nothing_in_floating_point_and_evens_out_channels():
    model = tiny_model().eval()
    with torch.no_grad():
        model.backbone.vision_backbone.trunk.blocks[0].norm1.weight[3] = 50.0  # an outlier
    vision = graph_modules(model, default_limits(TINY))["vision"]
    with torch.no_grad():
        before = vision(IMAGE)
        smooth(model, 0.5, lambda: vision(IMAGE) and None)
        after = vision(IMAGE)
    for a, b in zip(before, after, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    norm = model.backbone.vision_backbone.trunk.blocks[0].norm1.weight.detach().abs()
    assert norm.max() / norm.median() < 25


def test_smoothing_leaves_what_it_is_told_to():
    model = tiny_model().eval()
    block = model.backbone.vision_backbone.trunk.blocks[0]
    vision = graph_modules(model, default_limits(TINY))["vision"]
    before = {name: value.clone() for name, value in block.state_dict().items()}
    smooth(model, 0.5, lambda: vision(IMAGE) and None, leave=[block.mlp.fc1.weight])
    changed = {name for name, value in block.state_dict().items() if not torch.equal(value, before[name])}
    assert changed - {"norm1.bias"} == {"norm1.weight", "attn.qkv.weight"}  # that bias is zero


def test_every_norm_of_a_pair_is_read_by_its_weights():
    for pair in pairs(tiny_model()):
        assert all(weight.shape[1] == pair.norm.normalized_shape[0] for weight in pair.weights)


@pytest.mark.parametrize(("choice", "highest"), [("int8", 127), ("int4", 7)])
def test_the_token_table_keeps_its_rows(choice, highest):
    table = torch.randn(50, 16, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 1, 50)[:, None]
    tokens = torch.arange(50)[None]
    kind = EMBEDDINGS[choice]
    found = kind(table)(tokens)[0]
    assert ((found - table).abs().amax(1) <= table.abs().amax(1) / (2 * highest) * 1.001).all()
    assert kind(torch.zeros(3, 4))(torch.tensor([[1]])).eq(0).all()
    stored = sum(value.nbytes for name, value in kind(table).state_dict().items() if name == "rows")
    assert stored == table.numel() * (highest.bit_length() + 1) // 8


@pytest.mark.parametrize(("name", "reach"), [("min-max", (99, 101)), ("percentile", (3, 30)), ("mse", (3, 99.9))])
def test_observers_deal_with_an_outlier(name, reach):
    values = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
    values[0] = 100.0
    observer = ACTIVATION_OBSERVERS[name](
        dtype=torch.int8, quant_min=-127, quant_max=127, qscheme=torch.per_tensor_symmetric
    )
    observer(values)
    scale, _ = observer.calculate_qparams()
    assert reach[0] <= float(scale) * 127 <= reach[1]


class Block(nn.Module):
    """One block with one layer, for inputs that are all positive: rounding has a mean."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*layers)

    def forward(self, x):
        return self.body(x)


def some_linear() -> Block:
    torch.manual_seed(0)
    return Block(nn.Linear(64, 32)).eval()


def some_convolution() -> Block:
    """With a batch norm whose channels lie far apart."""
    torch.manual_seed(0)
    block = Block(nn.Conv2d(64, 32, 1, bias=False), nn.BatchNorm2d(32)).eval()
    with torch.no_grad():
        block.body[1].weight.copy_(torch.logspace(-1, 1, 32))
        block.body[1].running_mean.normal_()
    return block


@pytest.mark.parametrize(
    ("make", "shape", "others", "scheme"),
    [
        *((some_linear, (200, 64), (0, 1), scheme) for scheme in sorted(SCHEMES)),
        (some_convolution, (64, 20, 10), (0, 2, 3), "symmetric"),  # where outputs are integers, they err the most
    ],
)
def test_bias_correction_takes_the_mean_error_away(make, shape, others, scheme):
    module = make()
    spec = GraphSpec("", (TensorSpec("x", "float32", (1, *shape)),), ())
    x = torch.rand(1, *shape, generator=torch.Generator().manual_seed(1)) ** 4
    errors = {}
    with torch.no_grad():
        for corrected in (False, True):
            recipe = QuantRecipe(observer="min-max", bias_correction=corrected)
            found = quantize_graph(module, spec, "vision", recipe, SCHEMES[scheme], lambda: [(x,)])
            errors[corrected] = (found.module(x) - module(x)).mean(others).abs().max()
    assert errors[True] < errors[False] / 20
    (layer,) = found.layers
    assert (layer.block, layer.call.macs) == ("body", 200 * 64 * 32)
    assert layer.sqnr_db > 30


def test_a_quantized_graph_is_near_the_float_one_and_the_float_one_is_untouched():
    limits = default_limits(TINY)
    module, spec = graph_modules(tiny_model().eval(), limits)["vision"], graph_specs(TINY.sizes, limits)["vision"]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with torch.no_grad():
        found = quantize_graph(module, spec, "vision", QuantRecipe(), SCHEMES["symmetric"], lambda: [(IMAGE,)])
        for value, wanted in zip(found.module(IMAGE), module(IMAGE), strict=True):
            assert 10 * torch.log10(wanted.square().sum() / (value - wanted).square().sum()) > 20
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert found.table["trunk.patch_embed"] == "fp32"
