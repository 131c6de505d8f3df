"""NVIDIA's ONNX parser and engine builder, for TensorRT and TensorRT-RTX alike.

TensorRT-RTX needs no GPU for this, so that its parser and builder judge our graphs wherever its wheels are installed.
Some graphs crash the builder: ``build_apart`` runs it in a process of its own.
"""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from sam3i_edge.errors import BundleError, RuntimeUnavailableError

PR_SET_PDEATHSIG = 1
"""Of Linux's ``prctl``: a signal for when the parent dies."""


@dataclass(frozen=True)
class Product:
    """One of NVIDIA's two runtimes; both have the same Python API."""

    name: str
    package: str
    """The module that holds the API."""
    oldest: int
    """Major version."""
    has_timing_cache: bool = True
    """TensorRT-RTX measures nothing when it builds, and warns that its timing cache does nothing."""

    @property
    def api(self) -> ModuleType:
        """The package. Raises ImportError where it is not installed."""
        return importlib.import_module(self.package)

    @property
    def version(self) -> str:
        """Of the package that is installed. Raises ImportError."""
        return str(self.api.__version__)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


TENSORRT = Product("TensorRT", "tensorrt", oldest=10)
TENSORRT_RTX = Product("TensorRT-RTX", "tensorrt_rtx_bindings", oldest=1, has_timing_cache=False)


@dataclass(frozen=True)
class BuildOptions:
    """What an engine depends on, beside its graph."""

    max_prompts: int
    settings: Mapping[str, str]
    """The target's: ``workspace_mb``, ``builder_optimization_level``."""
    compute_capabilities: tuple[str, ...] = ()
    """Of the GPUs to build for, such as ``8.6``, of TensorRT-RTX only; none: for the GPU of this machine."""


@dataclass(frozen=True)
class Built:
    """What the builder made."""

    engine: bytes
    timing: bytes
    """Its measurements, for the next build on this GPU; empty if it takes none."""


class GraphRefusedError(BundleError):
    """A graph that NVIDIA's parser or builder does not take; the message has its own words."""


def logger_for(product: Product, lines: IO[str] | None = None) -> Any:
    """An ``ILogger`` that keeps errors for our messages; with ``lines`` it writes everything there as it comes."""
    api = product.api

    class Log(api.ILogger):  # type: ignore[misc,name-defined]  # a class of a package that is found when it runs
        def __init__(self) -> None:
            super().__init__()
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (self.INTERNAL_ERROR, self.ERROR):
                self.errors.append(message)
            if lines is not None:
                lines.write(f"{message}\n")
                lines.flush()  # the next call may crash the process

        def take(self) -> str:
            """What went wrong since the last time."""
            text, self.errors = "; ".join(self.errors), []
            return text or f"{product.name} gives no reason"

    return Log()


def build(
    product: Product,
    graph: Path,
    options: BuildOptions,
    log: Any,
    timing: bytes = b"",
    *,
    content: bytes | None = None,
    detailed: bool = False,
) -> Built:
    """Parse an ONNX file and build its engine in this process.

    Args:
        product: whose parser and builder.
        graph: the ONNX file, with its weights beside it.
        options: what else the engine depends on.
        log: of ``logger_for``.
        timing: measurements of an earlier build.
        content: what is parsed in place of the file's bytes; None: the file.
        detailed: name every layer of the engine, with its types, in the log.

    Raises:
        GraphRefusedError: the parser or the builder does not take the graph.
        RuntimeUnavailableError: it cannot build for one of the compute capabilities.
    """
    api = product.api
    builder = api.Builder(log)
    network = builder.create_network(_strongly_typed(api))
    _parse(product, graph, network, log, content)
    config = builder.create_builder_config()
    config.set_memory_pool_limit(api.MemoryPoolType.WORKSPACE, int(options.settings.get("workspace_mb", 1024)) << 20)
    config.builder_optimization_level = int(options.settings.get("builder_optimization_level", 3))
    config.clear_flag(api.BuilderFlag.TF32)  # on by default: fp32 would keep 10 bits of its 23
    if detailed:
        config.profiling_verbosity = api.ProfilingVerbosity.DETAILED
    if hasattr(api, "ComputeCapability"):
        _set_compute_capabilities(product, config, options.compute_capabilities)
    _add_profile(builder, config, network, options.max_prompts)
    if product.has_timing_cache:
        config.set_timing_cache(config.create_timing_cache(timing), False)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise GraphRefusedError(f"{product} cannot build an engine of {graph}: {log.take()}")
    measured = bytes(config.get_timing_cache().serialize()) if product.has_timing_cache else b""
    return Built(bytes(engine), measured)


def _strongly_typed(api: ModuleType) -> int:
    """The flag of 10, where networks may be weakly typed, too; a version that has no such flag has no such networks."""
    flag = getattr(api.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(product: Product, graph: Path, network: Any, log: Any, content: bytes | None) -> None:
    parser = product.api.OnnxParser(network, log)
    if parser.parse_from_file(str(graph)) if content is None else parser.parse(content):
        return
    errors = [parser.get_error(i) for i in range(parser.num_errors)]
    problems = [f"{e.node_name()} ({e.node_operator()}): {e.desc()}" if e.node_name() else e.desc() for e in errors]
    raise GraphRefusedError(f"{product} cannot read {graph}: {'; '.join(map(str, problems)) or log.take()}")


def _add_profile(builder: Any, config: Any, network: Any, max_prompts: int) -> None:
    """One profile: from one prompt to the most, tuned for one, which is what a robot asks."""
    profile, has_free = builder.create_optimization_profile(), False
    for i in range(network.num_inputs):
        port = network.get_input(i)
        shape = tuple(port.shape)
        if -1 in shape:
            least, most = (tuple(rows if side == -1 else side for side in shape) for rows in (1, max_prompts))
            profile.set_shape(port.name, least, least, most)
            has_free = True
    if has_free:
        config.add_optimization_profile(profile)


OLDEST_CAPABILITY = (8, 0)
"""7.5 has no FP32 matrix products in TensorRT-RTX, which every bundle needs some of."""


def known_capabilities(product: Product) -> dict[str, Any]:
    """The compute capabilities that bundles can be built for without the GPU, as ``8.6``. Empty for TensorRT."""
    members = getattr(getattr(product.api, "ComputeCapability", None), "__members__", {})
    numbers = {(int(name[2:-1]), int(name[-1])): value for name, value in members.items() if name.startswith("SM")}
    return {f"{a}.{b}": value for (a, b), value in sorted(numbers.items()) if (a, b) >= OLDEST_CAPABILITY}


def check_capabilities(product: Product, asked: Sequence[str]) -> None:
    """Raises RuntimeUnavailableError, naming the known ones, if ``product`` cannot build for one of ``asked``."""
    known = known_capabilities(product)
    for capability in asked:
        if capability not in known:  # a similar number is no similar GPU, so none is suggested
            raise RuntimeUnavailableError(
                f"{product} cannot build for compute capability {capability}, only for {', '.join(known)}. Other GPUs, "
                f"a Jetson's among them, are for TensorRT, which builds on the device: --target nvidia or jetson."
            )


def _set_compute_capabilities(product: Product, config: Any, asked: Sequence[str]) -> None:
    check_capabilities(product, asked)
    known = known_capabilities(product)
    wanted = [known[capability] for capability in asked] or [product.api.ComputeCapability.CURRENT]
    config.num_compute_capabilities = len(wanted)
    for i, capability in enumerate(wanted):
        config.set_compute_capability(capability, i)


def build_apart(product: Product, graph: Path, options: BuildOptions, output: Path, log: Path | None = None) -> None:
    """``build`` in a process of its own, ahead of time; writes the engine to ``output``.

    Args:
        product: whose parser and builder.
        graph: the ONNX file.
        options: what the engine depends on.
        output: the engine's file.
        log: a file for all that the builder says, every layer of the engine with its types included.

    Raises:
        GraphRefusedError: as ``build``; or the builder crashed.
        RuntimeUnavailableError: the process was killed, or failed for a reason that is not the graph's.
    """
    status, said = _child(product, graph, options, output, log)
    if status == 0:
        return
    if said is not None:
        raise (GraphRefusedError if said["is_refusal"] else RuntimeUnavailableError)(said["problem"])
    if status == -signal.SIGKILL:
        raise RuntimeUnavailableError(f"Building {graph} was killed (signal 9). Often the memory is full.")
    with tempfile.TemporaryDirectory() as folder:
        if log is None:  # it says more when it is asked again with a log
            log = Path(folder) / "log"
            status = _child(product, graph, options, Path(folder) / "engine", log)[0] or status
        how = f"crashes (signal {-status}, {signal.strsignal(-status)})" if status < 0 else f"ends with status {status}"
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else []
    raise GraphRefusedError(f"{product}'s builder {how} on {graph}; its last words: {lines[-1] if lines else 'none'}")


_CHILD = """
import json, sys
job = json.load(sys.stdin)
sys.path[:] = job["path"]
from sam3i_edge.runtimes.nvidia_build import run_job
sys.exit(run_job(job))
"""


def _child(
    product: Product, graph: Path, options: BuildOptions, output: Path, log: Path | None
) -> tuple[int, dict[str, Any] | None]:
    """The exit status of a process that builds, and what it says went wrong; None if it died before that."""
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / "said.json"
        job = {
            "path": [entry for entry in sys.path if entry],
            "parent": os.getpid(),
            "product": dataclasses.asdict(product),
            "graph": str(graph.absolute()),
            "options": dataclasses.asdict(options),
            "output": str(output.absolute()),
            "log": str(log.absolute()) if log else None,
            "said": str(said),
        }
        # Isolated: the current folder may hold modules that are not meant.
        command = [sys.executable, "-I", "-c", _CHILD]
        child = subprocess.run(command, input=json.dumps(job), text=True, capture_output=True, check=False)
        return child.returncode, json.loads(said.read_text(encoding="utf-8")) if said.is_file() else None


def run_job(job: Mapping[str, Any]) -> int:
    """In the child: build, and say in a file what went wrong, since NVIDIA's libraries print."""
    if sys.platform == "linux":  # whoever waits for it may be killed
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != job["parent"]:
            return 1
    options = BuildOptions(**job["options"] | {"compute_capabilities": tuple(job["options"]["compute_capabilities"])})
    with contextlib.ExitStack() as stack:
        lines = stack.enter_context(open(job["log"], "w", encoding="utf-8")) if job["log"] else None  # noqa: PTH123
        try:
            product = Product(**job["product"])
            log = logger_for(product, lines)
            built = build(product, Path(job["graph"]), options, log, detailed=lines is not None)
            Path(job["output"]).write_bytes(built.engine)
            return 0
        except Exception as error:  # whatever it is, the parent must hear of it
            is_ours = isinstance(error, (BundleError, RuntimeUnavailableError, OSError))
            text = str(error) if is_ours else f"{type(error).__name__}: {error}"
            said = {"is_refusal": isinstance(error, GraphRefusedError), "problem": text}
            Path(job["said"]).write_text(json.dumps(said), encoding="utf-8")
            return 1
