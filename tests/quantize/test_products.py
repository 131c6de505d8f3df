"""The products of attention: a block of their own, in int8 where a recipe says so, and then in integer kernels."""

import pytest
import torch
from torch import nn

from sam3i_edge.exporter.convert import convert
from sam3i_edge.graphs import GraphSpec, TensorSpec
from sam3i_edge.model.layers import MultiheadAttention, padding_bias
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.lowering import lowering
from sam3i_edge.quantize.ptq import blocks, quantize_graph, trace
from sam3i_edge.quantize.quantizer import SCHEMES
from sam3i_edge.quantize.recipe import QuantRecipe
from sam3i_edge.quantize.simulate import Simulated, fake_quantizers
from sam3i_edge.targets import get_target
from tests.quantize.kernels import openvino_kernels

SIZE = 64
SPEC = GraphSpec(
    "graph.onnx",
    (TensorSpec("x", "float32", (2, 100, SIZE)), TensorSpec("padding", "bool", (2, 100))),
    (TensorSpec("y", "float32", (2, 100, SIZE)),),
)


class Network(nn.Module):
    """An attention with a bias, and a product that is none of an attention."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.attention = MultiheadAttention(SIZE, 4)
        for parameter in self.attention.parameters():
            nn.init.normal_(parameter, std=0.15)

    def forward(self, x, padding):
        y = self.attention(x, x, x, padding_bias(padding, x.dtype))
        return y + (x @ x.transpose(1, 2)) @ x / 1000


@pytest.fixture(scope="module")
def network():
    return Network().eval()


@pytest.fixture(scope="module")
def inputs():
    x = torch.randn(2, 100, SIZE, generator=torch.Generator().manual_seed(1))
    padding = torch.zeros(2, 100, dtype=torch.bool)
    padding[1, 70:] = True
    return x, padding


def quantized(network, inputs, scheme, **lines):
    return quantize_graph(network, SPEC, "vision", QuantRecipe(vision=lines), SCHEMES[scheme], lambda: [inputs])


def test_they_are_a_block_of_their_own_that_the_default_leaves_in_floating_point(network, inputs):
    assert blocks(trace(network, SPEC)) == ["attention", "attention.products"]
    found = quantized(network, inputs, "symmetric")
    assert found.table == {"attention": "int8", "attention.products": "fp32"}
    assert all(layer.call and not layer.call.is_attention for layer in found.layers)


@pytest.mark.parametrize("scheme", sorted(SCHEMES))
def test_both_are_quantized_and_others_are_not(network, inputs, scheme):
    found = quantized(network, inputs, scheme, **{"*.products": "int8"})
    products = [layer for layer in found.layers if layer.block == "attention.products"]
    assert len(products) == 2 and all(layer.sqnr_db > 20 for layer in products)
    scores, weighing = products
    assert scores.call == LayerCall((2, 4, 100, 16), (2, 4, 16, 100), is_attention=True) and weighing.call is None
    assert scores.call.macs == 2 * 2 * 4 * 100 * 100 * 16
    quantizers = [node for node in found.module.graph.nodes if "dequantize_per_tensor" in str(node.target)]
    read_by = [user for node in quantizers for user in node.users if user.target is torch.ops.aten.matmul.default]
    assert len(read_by) == 4 and len(set(read_by)) == 2
    with torch.no_grad():
        error = found.module(*inputs) - network(*inputs)
    assert error.square().mean() < 0.01 * network(*inputs).square().mean()


@pytest.mark.parametrize("choice", ["int8", "fp32"])
def test_openvino_computes_them_in_integers(network, inputs, choice, tmp_path):
    found = quantized(network, inputs, "symmetric", **{"*.products": choice})
    convert(found.module, SPEC, get_target("intel-cpu"), tmp_path, lowering("openvino"))
    kinds = openvino_kernels(tmp_path / SPEC.file)
    integer = ("Subgraph", "i8") in kinds or kinds.count(("MatMul", "i8")) == 2
    assert integer == (choice == "int8"), kinds


def test_they_are_simulated_as_they_are_quantized(network, inputs):
    from sam3i_edge.quantize.ptq import calibrate

    every = lambda names: dict.fromkeys(names, "int8")  # noqa: E731
    found = calibrate(network, SPEC, every, "min-max", SCHEMES["symmetric"], lambda: [inputs])
    simulated = Simulated(found.traced, fake_quantizers(found.prepared), ["attention", "attention.products"])
    recipe = QuantRecipe(observer="min-max", bias_correction=False, vision={"*.products": "int8"})
    made = quantize_graph(network, SPEC, "vision", recipe, SCHEMES["symmetric"], lambda: [inputs])
    with torch.no_grad():
        torch.testing.assert_close(simulated.run(*inputs), made.module(*inputs), rtol=1e-4, atol=1e-4)
