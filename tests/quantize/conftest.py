"""The recorded small model in int8, for both schemes of activations, and calibration data for it."""

from __future__ import annotations

import pytest

from sam3i_edge.exporter import Int8Options, export
from tests.conftest import PARITY
from tests.train.conftest import shapes

__all__ = ["shapes"]  # a fixture that the training's tests have, too


@pytest.fixture(scope="session")
def int8_bundles(tmp_path_factory):
    """By target. The demo scenes calibrate it; its weights are random, so accuracy is not measured."""
    folder = tmp_path_factory.mktemp("int8")
    for target in ("intel-cpu", "x86-cpu"):
        export(
            PARITY / "checkpoint.pt",
            PARITY / "config.json",
            folder / target,
            target=target,
            precision="int8",
            int8=Int8Options(scored_images=0),
        )
    return folder
