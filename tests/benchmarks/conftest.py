"""Benchmarks in tests are not believed, so their turns need no rest in between."""

import pytest

from sam3i_edge.benchmarks import interleave


@pytest.fixture(autouse=True, scope="session")
def no_rest_between_turns():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(interleave, "SETTLE_S", 0.0)
        yield
