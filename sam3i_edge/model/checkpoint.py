"""Checkpoints: SAM3-I's as published, Meta's SAM 3, safetensors. Nothing in a checkpoint is ever executed."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sam3i_edge.config import ModelConfig
from sam3i_edge.errors import CheckpointError
from sam3i_edge.model.sam3i import Sam3i

CONTAINERS = ("model", "state_dict", "model_state_dict")
"""Keys under which training code keeps the weights beside its own state."""

WRAPPERS = re.compile(r"^(module\.|model\.|detector\.)+")
"""What stands before the model's own names, once or more: of DistributedDataParallel, of Lightning and other trainers,
and of Meta's sam3.pt, which holds a video tracker beside the detector."""

COMPILED = "_orig_mod."
"""Of ``torch.compile``, which may stand within a name."""

IGNORED = re.compile(
    r"^tracker\.|^backbone\.text\.|\.attn\.freqs_cis(_real|_imag)?$|^backbone\.vision_backbone\.sam2_convs\."
)
"""The video tracker; a second, dead text encoder; rotary tables that follow from the config; the tracker's neck."""

LOSS_ONLY = re.compile(r"^(simple_query_proj|complex_query_proj|concept_proj)\.")
"""Projections that only training uses: a checkpoint may leave them out."""

ADAPTER = re.compile(r"\.adapter(1|12|2)\.|\.mask_predictor_adapter[12]\.")

MAX_KEYS_SHOWN = 8


def load(checkpoint: str | Path, config: ModelConfig | str | Path) -> Sam3i:
    """Load a trained model.

    Reads published SAM3-I checkpoints (``{"model": …}`` or the bare state dict), Meta's ``sam3.pt`` (base SAM 3:
    the adapters start as the identity) and ``.safetensors``, also as training wrappers name the weights: see
    ``CONTAINERS`` and ``WRAPPERS``. The file is memory-mapped: its tensors become the
    parameters without a second copy, so keep the file in place while the model is in use.

    Args:
        checkpoint: the file.
        config: a ``ModelConfig``, or the path of its JSON.

    Returns:
        The model in evaluation mode, float32, on the CPU.

    Raises:
        CheckpointError: the file cannot be read, holds anything but tensors and plain values, does not fit the
            config, or has values that are not finite; the message names the keys.
        ConfigError: the config cannot be read.
    """
    if not isinstance(config, ModelConfig):
        config = ModelConfig.from_json(config)
    path = Path(checkpoint)
    state = _select_model(_read(path), path)
    with torch.device("meta"):
        model = Sam3i(config)
    is_base = not any(ADAPTER.search(key) for key in state)
    _check_fits(model, state, is_base, path)
    model.load_state_dict(_as_float32(state, path), strict=False, assign=True)
    _fill_missing(model, is_base)
    return model.eval()


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        what = "a folder" if path.is_dir() else "not there"
        raise CheckpointError(f"No checkpoint at {path}: it is {what}. Give the path of a .pt or .safetensors file.")
    if path.suffix.lower() == ".safetensors":
        return _read_safetensors(path)
    try:
        _check_zip(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path} was not loaded: it holds more than tensors and plain values, or is no checkpoint at all. "
            f"Unpickling could run code, so it is refused. Save the state dict alone: "
            f"torch.save({{'model': model.state_dict()}}, ...). Detail: {_first_sentence(error)}"
        ) from error
    except Exception as error:  # what a damaged pickle leads to is anything
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as a checkpoint: truncated, damaged, or not "
            f"written by torch.save in its zip format. Copy or download it again. Detail: {_first_sentence(error)}"
        ) from error
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected a state dict or {{'model': ...}}.")
    return content


def _check_zip(path: Path) -> None:
    """Compare the checksums of a zip file's members, which a memory-mapped load does not."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
        if damaged:
            raise zipfile.BadZipFile(f"{damaged} does not have its checksum")


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise CheckpointError(
            f"{path} ({path.stat().st_size} bytes) cannot be read as safetensors: truncated or damaged. "
            f"Copy or download it again. Detail: {error}"
        ) from error


def _first_sentence(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].split(". ")[0]


def _select_model(content: Mapping[str, Any], path: Path) -> dict[str, Tensor]:
    """The detector's tensors, under the names the model uses."""
    state = content
    for _ in range(len(CONTAINERS)):  # a pickled mapping may hold itself
        state = next((state[name] for name in CONTAINERS if isinstance(state.get(name), Mapping)), state)
    strangers = [repr(key) for key in state if not isinstance(key, str)]
    if strangers:
        raise CheckpointError(f"{path} holds no SAM3-I state dict: among its keys are {_shown(strangers)}.")
    names = {key: WRAPPERS.sub("", key.replace(COMPILED, "")) for key in state}
    selected: dict[str, Any] = {}
    for key, name in names.items():
        if name in selected and not IGNORED.search(name):
            first = next(other for other, same in names.items() if same == name)
            raise CheckpointError(f"{path} holds {name} twice, as {first} and as {key}. Save one model alone.")
        selected[name] = state[key]
    selected = {name: value for name, value in selected.items() if not IGNORED.search(name)}
    strangers = [name for name, value in selected.items() if not isinstance(value, Tensor) or value.is_nested]
    if strangers or not selected:
        found = f"among its entries are {_shown(strangers)}" if strangers else "it is empty"
        raise CheckpointError(f"{path} holds no SAM3-I state dict: {found}. Expected tensors, or {{'model': tensors}}.")
    return selected


def _check_fits(model: Sam3i, state: Mapping[str, Tensor], is_base: bool, path: Path) -> None:
    expected = model.state_dict()
    missing = [
        key
        for key in expected
        if key not in state and not LOSS_ONLY.search(key) and not (is_base and ADAPTER.search(key))
    ]
    unexpected = [key for key in state if key not in expected]
    mismatched = [
        f"{key} is {tuple(state[key].shape)}, expected {tuple(value.shape)}"
        for key, value in expected.items()
        if key in state and state[key].shape != value.shape
    ]
    problems = [
        f"{len(keys)} {kind}: {_shown(keys)}"
        for kind, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
        if keys
    ]
    if problems:
        raise CheckpointError(
            f"{path} does not fit the model config. Keys " + "; keys ".join(problems) + ". "
            "Give the config that the checkpoint was trained with (--config)."
        )


def _as_float32(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors in float32, unchanged where they are so already, all finite."""
    converted = {}
    for key, value in state.items():
        if not value.is_floating_point() or value.layout != torch.strided or value.is_meta:
            raise CheckpointError(f"{path}: {key} is {value.dtype} ({value.layout}); expected dense floating point.")
        converted[key] = value.float()
        if not converted[key].isfinite().all():
            raise CheckpointError(f"{path}: {key} holds values that are NaN or infinite. Use an earlier checkpoint.")
    return converted


def _shown(keys: Iterable[str]) -> str:
    keys = list(keys)
    more = f" and {len(keys) - MAX_KEYS_SHOWN} more" if len(keys) > MAX_KEYS_SHOWN else ""
    return ", ".join(keys[:MAX_KEYS_SHOWN]) + more


def _fill_missing(model: Sam3i, is_base: bool) -> None:
    """Give real values to what the checkpoint was allowed to leave out, and only to that."""
    for module in model.modules():
        if any(parameter.is_meta for parameter in module.parameters(recurse=False)):
            module.to_empty(device="cpu", recurse=False)
            _reset(module)
    if is_base or not model.has_trained_adapters:  # so does a base that was trained here: its copies never learned
        model.reset_adapters()


def _reset(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.LayerNorm):
        module.reset_parameters()
    else:  # the adapters' attention
        for parameter in module.parameters(recurse=False):
            nn.init.zeros_(parameter) if parameter.ndim == 1 else nn.init.xavier_uniform_(parameter)
