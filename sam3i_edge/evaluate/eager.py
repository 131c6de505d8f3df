"""A torch model behind the ``Segmenter``: the modules that export would trace, run eagerly. Needs torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from sam3i_edge.bundle import FORMAT, FORMAT_VERSION, PREPROCESSING, Manifest, Source
from sam3i_edge.config import ModelConfig
from sam3i_edge.export.clip_tokenizer import clip_tokenizer
from sam3i_edge.export.modules import graph_modules
from sam3i_edge.graphs import GraphSpec, default_limits, graph_specs
from sam3i_edge.model import Sam3i
from sam3i_edge.prompt import ROUTES
from sam3i_edge.route import RouteClassifier
from sam3i_edge.runtimes import Tensor
from sam3i_edge.segmenter import Segmenter
from sam3i_edge.targets import get_target
from sam3i_edge.tokenizer import Tokenizer

EAGER = dataclasses.replace(get_target("x86-cpu"), name="torch", description="PyTorch, eagerly", runtime="torch")
"""Not among ``TARGETS``: no bundle can be made for it."""


class EagerSession:
    """Runs a module on named NumPy arrays, where its parameters lie."""

    def __init__(self, module: nn.Module, spec: GraphSpec) -> None:
        self._module = module
        self._spec = spec
        self._where = next(module.parameters()).device
        self.device = str(self._where)

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
    threshold: float = 0.5,
    source: Source = Source("", ""),  # noqa: B008  # frozen
    classifier: RouteClassifier | None = None,
) -> Segmenter:
    """A ``Segmenter`` that asks ``model`` itself, without export: for validation while training, and evaluation.

    The model stays where it is, and must be in evaluation mode when it is asked. Its answers to texts are cached, and
    a backbone of timm is copied: build a new segmenter (it costs little) after its weights have changed.

    Args:
        model: on any device.
        threshold: instances scoring above this are returned.
        source: where the weights came from.
        classifier: chooses for the route ``auto``; None: the built-in one.

    Raises:
        PromptError: the threshold is out of range.
        ExportError: the tokenizer's merges (``open_clip_torch``) are not installed.
    """
    modules = graph_modules(model, default_limits(model.config))
    return segmenter_of_modules(modules, model.config, threshold, source, classifier)


def segmenter_of_modules(
    modules: Mapping[str, nn.Module],
    config: ModelConfig,
    threshold: float = 0.5,
    source: Source = Source("", ""),  # noqa: B008  # frozen
    classifier: RouteClassifier | None = None,
    tokenizer: Tokenizer | None = None,
) -> Segmenter:
    """``segmenter_of`` for anything that computes what the modules of ``export.modules.graph_modules`` do.

    ``tokenizer``: of a smaller vocabulary; None: CLIP's.
    """
    limits = default_limits(config)
    graphs = graph_specs(config, limits)
    manifest = Manifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        tool_versions={},
        source=source,
        model=config,
        target=EAGER,
        precision=EAGER.precisions[0],
        routes=ROUTES,
        preprocessing=PREPROCESSING,
        limits=limits,
        graphs=graphs,
        accuracy={},
        checked_on="",
        files={},
    )
    sessions = {name: EagerSession(module, graphs[name]) for name, module in modules.items()}
    return Segmenter(manifest, tokenizer or _tokenizer(config.text.context_length), sessions, threshold, classifier)


_tokenizer = lru_cache(maxsize=2)(clip_tokenizer)
