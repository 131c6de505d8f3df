"""What the machine can do: the rate of a large matrix product through the same runtime, and of copying memory."""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sam3i_edge.benchmarks.macs import GraphCount
from sam3i_edge.benchmarks.report import GraphCost, Roofline, Summary
from sam3i_edge.benchmarks.statistics import rounded
from sam3i_edge.precision import is_int8
from sam3i_edge.runtimes import SessionOptions, open_session
from sam3i_edge.targets import Target

SIDE = 1536
"""Of the square matrices: large enough that the product does not wait for memory."""
REPEATS, SECONDS = 30, 2.0
COPY_BYTES = 256 << 20


class Peak(NamedTuple):
    """A rate, and what it is the rate of."""

    rate: float
    of: str


def matrix_product_peak(runtime: str, target: Target, options: SessionOptions, precision: str) -> Peak:
    """Multiplications per second of the best of some products of two square matrices.

    In the bundle's precision where one graph tells the runtime so: int8 bundles are held against int8, whatever the
    rest of them computes in, fp16 against fp16; bf16 is the runtime's own setting, in ``options``.
    """
    product = "int8" if is_int8(precision) else precision
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "product.onnx"
        write_product(file, target, product)
        session = open_session(runtime, file, options)
        values = np.random.default_rng(0).standard_normal((SIDE, SIDE), np.float32)
        seconds = best_seconds(lambda: session.run({"x": values}))
    shown = product if product in ("int8", "fp16") else options.precision
    return Peak(SIDE**3 / seconds, f"{shown} product of matrices of side {SIDE} on {session.device}")


def write_product(file: Path, target: Target, precision: str, side: int = SIDE) -> None:
    """An ONNX graph ``y = x · W`` of square matrices, float32 outside."""
    from onnx import TensorProto, helper, numpy_helper, save

    weights = np.random.default_rng(1).standard_normal((side, side), np.float32)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    constants: dict[str, np.ndarray | np.generic] = {"w": weights}
    if precision == "fp16":
        constants = {"w": weights.astype(np.float16)}
        nodes = [
            helper.make_node("Cast", ["x"], ["x16"], to=TensorProto.FLOAT16),
            helper.make_node("MatMul", ["x16", "w"], ["y16"]),
            helper.make_node("Cast", ["y16"], ["y"], to=TensorProto.FLOAT),
        ]
    elif precision == "int8":
        zero = np.int8(0) if target.int8 == "symmetric" else np.uint8(128)
        scale = np.float32(4 / 127)
        quantized = np.clip(np.rint(weights / scale), -127, 127).astype(np.int8)
        constants = {"scale": scale, "zero": zero, "weight_zero": np.int8(0), "w": quantized}
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["xq"]),
            helper.make_node("DequantizeLinear", ["xq", "scale", "zero"], ["xd"]),
            helper.make_node("DequantizeLinear", ["w", "scale", "weight_zero"], ["wd"]),
            helper.make_node("MatMul", ["xd", "wd"], ["y"]),
        ]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [side, side])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [side, side])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", target.opset)]
    save(helper.make_model(graph, opset_imports=opsets, ir_version=target.ir_version), file)


def memory_bandwidth() -> Peak:
    """Bytes per second that all cores together copy in the host's memory, read and written."""
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    part = COPY_BYTES // threads
    sources, copies = ([np.ones(part, np.uint8) for _ in range(threads)] for _ in range(2))
    with ThreadPoolExecutor(threads) as pool:
        seconds = best_seconds(lambda: list(pool.map(np.copyto, copies, sources)))
    return Peak(2 * part * threads / seconds, f"copying in the host's memory on {threads} threads")


def best_seconds(run: Callable[[], object]) -> float:
    """The shortest of some repetitions, after one that does not count."""
    run()
    best, begun = math.inf, time.perf_counter()
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        end = time.perf_counter()
        best = min(best, end - start)
        if end - begun > SECONDS:
            break
    return best


def roofline(counts: dict[str, GraphCount], peak: Peak, bandwidth: Peak | None, stages: dict[str, Summary]) -> Roofline:
    """Put the counts beside the times of the stages, which run one row of each graph."""
    return Roofline(
        peak_gmacs_per_s=rounded(peak.rate / 1e9),
        peak_of=peak.of,
        bandwidth_gb_per_s=None if bandwidth is None else rounded(bandwidth.rate / 1e9),
        bandwidth_of="not measured: the device has a memory of its own" if bandwidth is None else bandwidth.of,
        graphs={name: _cost(count, peak, bandwidth, stages[name].p50) for name, count in counts.items()},
    )


def _cost(count: GraphCount, peak: Peak, bandwidth: Peak | None, p50_ms: float) -> GraphCost:
    rate = count.macs / (p50_ms / 1e3)
    moved = (count.weight_bytes + count.io_bytes) / (p50_ms / 1e3)
    return GraphCost(
        gmacs=rounded(count.macs / 1e9),
        weights_mb=rounded(count.weight_bytes / 1e6),
        activations_mb=rounded(count.activation_bytes / 1e6),
        p50_ms=p50_ms,
        gmacs_per_s=rounded(rate / 1e9),
        peak_share_pct=rounded(100 * rate / peak.rate),
        bandwidth_share_pct=None if bandwidth is None else rounded(100 * moved / bandwidth.rate),
    )
