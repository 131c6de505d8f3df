"""What is decomposed by us, and what by PyTorch, computes the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from sam3i_edge.exporter.convert import convert
from sam3i_edge.graphs import FREE, GraphSpec, TensorSpec
from sam3i_edge.targets import get_target


class Replaced(nn.Module):
    """Every operator that is replaced one by one, with arguments whose order and defaults matter."""

    def __init__(self):
        super().__init__()
        self.up = nn.ConvTranspose2d(4, 6, 3, stride=2, padding=1, output_padding=1, groups=2)
        self.plain = nn.ConvTranspose2d(6, 4, 2, bias=False)

    def forward(self, x):
        inside = (x > -1) & (x < 1)
        x = self.plain(self.up(3 - x * inside.float()))
        return x.flatten(2).unflatten(1, (2, 2)).flatten(0, 1)


class InPlace(Replaced):
    """With an operator that only PyTorch's own decomposition can replace."""

    def forward(self, x):
        y = x * 2
        y[:, 0] = x[:, 1] - 1  # written through a view
        return super().forward(y)


@pytest.mark.parametrize("kind", [Replaced, InPlace])
def test_the_graph_computes_what_the_module_does(kind, tmp_path, monkeypatch):
    torch.manual_seed(0)
    module = kind().eval()
    ours = []
    real = torch.export.ExportedProgram.run_decompositions
    monkeypatch.setattr(
        torch.export.ExportedProgram, "run_decompositions", lambda *args, **more: ours.append(1) or real(*args, **more)
    )
    spec = GraphSpec(
        "g.onnx", (TensorSpec("x", "float32", (FREE, 4, 5, 5)),), (TensorSpec("y", "float32", (FREE, 2, 121)),)
    )
    convert(module, spec, get_target("x86-cpu"), tmp_path)
    assert len(ours) == (kind is InPlace)  # PyTorch traces again only if it must
    assert onnx.load(tmp_path / "g.onnx").graph.input[0].type.tensor_type.shape.dim[0].dim_param == FREE
    x = torch.randn(3, 4, 5, 5) * 2
    (found,) = onnxruntime.InferenceSession(tmp_path / "g.onnx").run(None, {"x": x.numpy()})
    np.testing.assert_allclose(found, module(x).detach().numpy(), rtol=1e-5, atol=1e-5)
