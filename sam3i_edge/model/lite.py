"""An efficient image backbone of timm in place of the ViT trunk, with a neck that gives the same pyramid."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import ConfigError, packages_for, unknown_name
from sam3i_edge.model.layers import conv_3x3

STRIDES = (4, 8, 16, 32)
"""Of the backbone's levels that are read. The picture is resized so that the third has the cells of a ViT's patches."""
COARSE = 2
SUGGESTED = ("efficientvit_b0", "repvit_m1_1", "fastvit_t12", "tiny_vit_11m_224")

_operators: list[torch.library.Library] = []


class LiteBackbone(nn.Module):
    """A hierarchical backbone and a feature pyramid neck (arXiv 1612.03144) in front of the detector."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.body: Any
        self.name = config.vision.backbone
        self.side = config.grid_size * STRIDES[COARSE]
        with torch.device("cpu"):  # some keep constants, which would be lost on the device "meta"
            self.body = make_body(self.name)
            about = import_timm().get_pretrained_cfg(self.name)
            for name in ("mean", "std"):
                self.register_buffer(name, torch.tensor(getattr(about, name)).view(-1, 1, 1), persistent=False)
        strides = self.body.feature_info.reduction()
        if not set(STRIDES) <= set(strides):
            raise ConfigError(f"vision.backbone {self.name} has levels of strides {strides}; it must have {STRIDES}.")
        if (getattr(self.body, "output_fmt", None) or "NCHW") != "NCHW":
            raise ConfigError(
                f"vision.backbone {self.name} has its channels last, and the neck reads them first. Choose another, "
                f"such as {', '.join(SUGGESTED)}."
            )
        only = about.input_size[-1] if about.fixed_input_size else self.side
        if only != self.side:
            raise ConfigError(
                f"vision.backbone {self.name} takes pictures of {only} x {only} alone, and {config.grid_size} cells on "
                f"a side need {self.side}. Choose another, such as {', '.join(SUGGESTED)}."
            )
        self.read = [strides.index(stride) for stride in STRIDES]
        channels = self.body.feature_info.channels()
        self.laterals = nn.ModuleList(nn.Conv2d(channels[i], config.hidden_size, kernel_size=1) for i in self.read)
        self.convs = nn.ModuleList(conv_3x3(config.hidden_size, config.separable_convs) for _ in range(COARSE + 1))

    def forward(self, pixel_values: Tensor, finest: int = 0) -> tuple[Tensor, ...]:
        """As ``VisionBackbone.forward``."""
        x = F.interpolate(pixel_values, size=(self.side, self.side), mode="bilinear", align_corners=False)
        x = (x * 0.5 + 0.5 - self.mean) / self.std  # from our normalisation to the backbone's
        seen = self.body(x)
        levels = [lateral(seen[i]) for i, lateral in zip(self.read, self.laterals, strict=True)]
        below, pyramid = levels[-1], []
        for i in range(COARSE, finest - 1, -1):
            below = levels[i] + F.interpolate(below, scale_factor=2.0, mode="nearest")
            pyramid.append(self.convs[i](below))
        return tuple(reversed(pyramid))

    def load_pretrained(self) -> None:
        """Take timm's own weights for the backbone; they are fetched once.

        Raises:
            ConfigError: there are none, or they cannot be had.
        """
        try:
            known = import_timm().create_model(self.name, features_only=True, pretrained=True)
        except Exception as error:  # whatever the hub, the network or the file system says
            raise ConfigError(
                f"timm's weights of {self.name} cannot be had ({type(error).__name__}: {error}). Fetch them where "
                f"there is a network, or begin with random weights: leave --pretrained out."
            ) from error
        self.body.load_state_dict(known.state_dict())

    def fused(self) -> nn.Module:
        """A copy that computes the same in fewer operations, where the backbone can (RepViT, FastViT, TinyViT)."""
        copy: nn.Module = import_timm().utils.reparameterize_model(self)
        return copy.to(self.mean.device)  # TinyViT's new layers begin on the CPU


def make_body(name: str) -> Any:
    """timm's model ``name`` with random weights, cut down to its feature maps.

    Raises:
        ConfigError: there is no such model, or it has no maps.
        RuntimeUnavailableError: timm is not installed.
    """
    timm = import_timm()
    if name not in timm.list_models():
        raise ConfigError(unknown_name("vision.backbone", name, timm.list_models(f"{name.split('_')[0]}*")))
    try:
        body = timm.create_model(name, features_only=True)
    except (RuntimeError, AssertionError, AttributeError) as error:
        raise ConfigError(f"vision.backbone {name} has no feature maps: {error}") from error
    for module in body.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None  # checkpoints hold floating point alone, and nothing reads it
    body.register_load_state_dict_post_hook(_ignore_counters)
    return body


def _ignore_counters(body: nn.Module, keys: Any) -> None:
    """torch gives weights without a version the counters of batch norms, then calls them unexpected; so may timm's."""
    keys.unexpected_keys[:] = [key for key in keys.unexpected_keys if not key.endswith(".num_batches_tracked")]


def import_timm() -> ModuleType:
    """timm, beside any build of torch.

    It imports torchvision, for images of its own. A torchvision that was built for CUDA cannot be imported beside a
    torch that was not: two operators of its binary part are missing. They are declared here; nothing calls them.

    Raises:
        RuntimeUnavailableError: it is not installed.
    """
    with packages_for("A model with a backbone of timm", "export"):
        try:
            import timm
        except RuntimeError as error:
            if "torchvision::" not in str(error):
                raise
            for name in [name for name in sys.modules if name.partition(".")[0] in ("timm", "torchvision")]:
                del sys.modules[name]
            library = torch.library.Library("torchvision", "FRAGMENT")
            for operator in ("nms", "qnms"):
                library.define(f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
            _operators.append(library)  # its end would be theirs
            import timm
    return timm
