"""A PyTorch model as an engine, held to what every engine must do."""

from sam3i_edge import Segmenter
from sam3i_edge.evaluate.torch_engine import engine_of
from sam3i_edge.model import load
from tests.conftest import PARITY
from tests.runtimes.conformance import EngineConformance


class TestTorch(EngineConformance):
    def load(self, bundle, observer=None):
        model = load(PARITY / "checkpoint.pt", PARITY / "config.json")
        return Segmenter(engine_of(model, observer=observer), threshold=0.0)


def test_a_compiled_model_says_so(model):
    assert engine_of(model, compiled=True).device == "cpu, compiled"
