"""What int8 saves: each layer by itself, timed in floating point and in int8, in the runtime of its target."""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from sam3i_edge.benchmarks.interleave import interleave
from sam3i_edge.errors import RuntimeUnavailableError
from sam3i_edge.precision import float_type
from sam3i_edge.quantize.layer_graphs import layer_graph
from sam3i_edge.quantize.layers import LayerCall
from sam3i_edge.quantize.quant_target import QuantTarget
from sam3i_edge.runtimes import Session, SessionOptions, open_session
from sam3i_edge.targets import Target

ROUNDS = 5
TURN_S = 0.03
"""Each side runs for so long in a round, at least once."""
SETTLE_S = 0.02
"""Threads of the other side's session spin before they sleep."""


def saved_ms(
    calls: Iterable[LayerCall], aim: QuantTarget, progress: Callable[[str], None] = lambda _: None
) -> dict[LayerCall, float]:
    """Milliseconds by which each call is faster in int8 than in what the precision has beside it; negative: slower.

    Raises:
        RuntimeUnavailableError: the target is not here.
        BundleError: its runtime cannot run a layer.
    """
    target = aim.target
    found: dict[LayerCall, float] = {}
    different = list(dict.fromkeys(calls))
    if not target.fits_processor:
        raise RuntimeUnavailableError(f"{target.name} is for another processor than {platform.machine()}.")
    with tempfile.TemporaryDirectory() as folder:
        for number, call in enumerate(different, 1):
            found[call] = _saved_ms(call, aim, Path(folder))
            if number % 10 == 0 or number == len(different):
                progress(f"timed {number} of {len(different)} layers")
    return found


def _saved_ms(call: LayerCall, aim: QuantTarget, folder: Path) -> float:
    onnx.save(layer_graph(call, aim.target, None, aim.floating), folder / "float.onnx")
    onnx.save(layer_graph(call, aim.target, aim.scheme, aim.floating), folder / "int8.onnx")
    sessions = {
        "float": _open(folder / "float.onnx", aim.target, float_type(aim.precision)),
        "int8": _open(folder / "int8.onnx", aim.target, aim.precision),
    }
    random, kind = np.random.default_rng(0), np.float16 if aim.floating == "fp16" else np.float32
    given = {name: random.standard_normal(shape, np.float32).astype(kind) for name, shape in call.inputs.items()}
    taken = _by_turns(sessions, given)
    return 1000 * (taken["float"] - taken["int8"])


def _open(file: Path, target: Target, precision: str) -> Session:
    options = SessionOptions(target.device, precision, target.threads, settings=target.settings)
    return open_session(target.runtime, file, options)


def _by_turns(sessions: Mapping[str, Session], inputs: Mapping[str, Any]) -> dict[str, float]:
    """Median seconds of each session's call."""
    samples: dict[str, list[float]] = {name: [] for name in sessions}

    def turn(name: str, number: int) -> None:
        time.sleep(SETTLE_S)
        sessions[name].run(inputs)
        end = time.perf_counter() + TURN_S
        while (start := time.perf_counter()) < end or len(samples[name]) <= number:
            sessions[name].run(inputs)
            samples[name].append(time.perf_counter() - start)

    interleave(list(sessions), turn, lambda played: played >= ROUNDS, settle=False)
    return {name: statistics.median(seconds) for name, seconds in samples.items()}
