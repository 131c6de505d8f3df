"""An ``Engine`` of a PyTorch model: the modules that export would trace, run eagerly. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from sam3i_edge.clip_tokenizer import clip_tokenizer
from sam3i_edge.config import ModelConfig, default_limits
from sam3i_edge.engine import Observer
from sam3i_edge.golden import checked_outputs
from sam3i_edge.graph_engine import GraphEngine
from sam3i_edge.graph_modules import graph_modules
from sam3i_edge.graphs import GraphSpec
from sam3i_edge.manifest import Manifest, RuntimeSection, RuntimeTarget
from sam3i_edge.model import Sam3i
from sam3i_edge.postprocessing import Postprocessing
from sam3i_edge.route import RouteClassifier
from sam3i_edge.runtimes import Tensor
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.tokenizer import Tokenizer
from sam3i_edge.tolerance_rules import resolve

EAGER = RuntimeTarget("torch", "torch", "cpu", threads=0, settings={}, attention="")
"""Not among ``TARGETS``: no bundle can be made for it."""


class EagerSession:
    """Runs a module on named NumPy arrays, where its parameters lie; compiled by ``torch.compile`` if asked."""

    def __init__(self, module: nn.Module, spec: GraphSpec, compiled: bool = False) -> None:
        self._where = next(module.parameters()).device
        self._module: Callable[..., Any] = torch.compile(module) if compiled else module
        self._spec = spec
        self.device = f"{self._where}, compiled" if compiled else str(self._where)

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the module on its inputs by name; what comes out is float32 (or integer) on the CPU."""
        tensors = [torch.as_tensor(np.array(inputs[spec.name])).to(self._where) for spec in self._spec.inputs]
        with torch.inference_mode():
            found = self._module(*tensors)
        outputs = found if isinstance(found, tuple) else (found,)
        arrays = [tensor.float() if tensor.is_floating_point() else tensor for tensor in outputs]
        return {spec.name: array.cpu().numpy() for spec, array in zip(self._spec.outputs, arrays, strict=True)}


def segmenter_of(
    model: Sam3i,
    postprocessing: Postprocessing | None = None,
    provenance: Mapping[str, Any] | None = None,
    classifier: RouteClassifier | None = None,
) -> Segmenter:
    """A ``Segmenter`` on ``engine_of(model)``: for validation while training, and evaluation.

    Raises:
        ExportError: the tokenizer's merges (``open_clip_torch``) are not installed.
    """
    return Segmenter(engine_of(model, provenance, classifier, postprocessing))


def engine_of(
    model: Sam3i,
    provenance: Mapping[str, Any] | None = None,
    classifier: RouteClassifier | None = None,
    postprocessing: Postprocessing | None = None,
    compiled: bool = False,
    observer: Observer | None = None,
) -> GraphEngine:
    """An engine that runs ``model`` itself, without export.

    The model stays where it is, and must be in evaluation mode when it runs. Texts are cached, and a backbone of timm
    is copied: build a new engine (it costs little) after its weights have changed.

    Args:
        model: on any device.
        provenance: where the weights came from, as a manifest says it.
        classifier: chooses for the route ``auto``; None: the built-in one.
        postprocessing: thresholds and NMS; None: the defaults.
        compiled: run its parts through ``torch.compile``.
        observer: is told how long each stage took.

    Raises:
        ExportError: the tokenizer's merges (``open_clip_torch``) are not installed.
    """
    modules = graph_modules(model, default_limits(model.config))
    return engine_of_modules(
        modules, model.config, provenance, classifier, postprocessing, compiled=compiled, observer=observer
    )


def engine_of_modules(
    modules: Mapping[str, nn.Module],
    config: ModelConfig,
    provenance: Mapping[str, Any] | None = None,
    classifier: RouteClassifier | None = None,
    postprocessing: Postprocessing | None = None,
    tokenizer: Tokenizer | None = None,
    compiled: bool = False,
    observer: Observer | None = None,
) -> GraphEngine:
    """``engine_of`` for anything that computes what the modules of ``graph_modules`` do.

    ``tokenizer``: of a smaller vocabulary; None: CLIP's.
    """
    limits = default_limits(config)
    tolerances = resolve("fp32", checked_outputs(limits), {})
    runtime = RuntimeSection.of(
        EAGER, "fp32", config.sizes, limits, tolerances=tolerances, postprocessing=postprocessing
    )
    return GraphEngine(
        Manifest.of(runtime, dict(provenance or {})),
        tokenizer or _tokenizer(config.text.context_length),
        {name: EagerSession(module, runtime.graphs[name], compiled) for name, module in modules.items()},
        classifier,
        observer=observer,
    )


_tokenizer = lru_cache(maxsize=2)(clip_tokenizer)
