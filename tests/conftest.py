"""Fixtures: the recorded numbers, the small model that goes with them, and one bundle exported from it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdist.scheduler import LoadFileScheduling

from sam3i_edge import Box, Instances, Prompt
from sam3i_edge.bundle import list_files
from sam3i_edge.manifest import read_manifest, write_manifest

DATA = Path(__file__).parent / "data"
PARITY = DATA / "parity"


@dataclass(frozen=True)
class Case:
    """One recorded prompt with its expected tensors."""

    name: str
    image: np.ndarray
    image_name: str
    prompt: Prompt
    threshold: float
    expected: dict[str, np.ndarray]
    final: Instances


BAD_MERGES = (
    b"",
    b"{}",
    b"#version: 0.2",
    b"#version: 0.1\n",
    b"#version: 0.2\na",
    b"#version: 0.2\na\n",
    b"#version: 0.2\na \n",
    b"#version: 0.2\n \n",
    b"#version: 0.2\na b",
    b"#version: 0.2\na b\na b\n",
    b"#version: 0.2\nab c\n",
    b"#version: 0.2\n\na b c\n",
    b"#version: 0.2\r\na b\r\n",
    b"#version: 0.2\n\xff\xff\n",
    b"#version: 0.2\n a\n",
    b"#version: 0.2\na b c\n",
    b"#version: 0.2\na b\r\n",
    b"#version: 0.2\n\xff a\n",
    b"#version: 0.2\n" + b"\n" * 65023,
)
"""What is no file of merges: neither side may read it, the Python one nor the C++ one."""


def instances_of(masks: np.ndarray, boxes: np.ndarray, scores: np.ndarray, prompt: Prompt) -> Instances:
    """Instances with these masks, (n, H, W) bool at the image's size."""
    _, height, width = masks.shape
    logits = masks.astype(np.float32) - 0.5
    return Instances(np.asarray(scores), boxes, logits, width, height, prompt.route, prompt)


def _case(values: dict[str, Any], recorded: Any) -> Case:
    name, image = values["name"], recorded[f"image/{values['image']}"]
    height, width = image.shape[:2]

    def boxes(positive: bool) -> list[Box]:
        chosen = [box["cxcywh"] for box in values["boxes"] if box["positive"] == positive]
        return [
            Box((cx - w / 2) * width, (cy - h / 2) * height, (cx + w / 2) * width, (cy + h / 2) * height)
            for cx, cy, w, h in chosen
        ]

    expected = {key.removeprefix(f"{name}/"): recorded[key] for key in recorded.files if key.startswith(f"{name}/")}
    count, _, mask_height, mask_width = values["final_masks_shape"]
    bits = np.unpackbits(expected["final_masks"])[: count * mask_height * mask_width]
    order = np.argsort(-expected["final_scores"], kind="stable")
    prompt = Prompt(values["text"], values["route"], boxes(True), boxes(False))
    masks = bits.reshape(count, mask_height, mask_width).astype(bool)[order]
    final = instances_of(masks, expected["final_boxes"][order], expected["final_scores"][order], prompt)
    return Case(name, image, values["image"], prompt, values["threshold"], expected, final)


CASES = [
    _case(values, np.load(PARITY / "expected.npz"))
    for values in json.loads((PARITY / "meta.json").read_text(encoding="utf-8"))["cases"]
]


def iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each of n masks (n, H, W) with its partner."""
    return (a & b).sum((1, 2)) / np.maximum((a | b).sum((1, 2)), 1)


NEED_CPP = {"test_cpp.py", "test_cpp_package.py", "test_native_engine.py"}
"""They share what is built from C++, which takes longest, so they begin first."""

SHARE_NOTHING = {"test_nvidia_matrix.py"}
"""Long tests that each export for themselves: apart, they fill the processes to the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests begin before those without, so that no long one is left for the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.name not in NEED_CPP, item.path not in slow))


class Together(LoadFileScheduling):  # type: ignore[misc]
    """When tests run in several processes: those of a file stay in one, and so do those that need C++.

    But for those that share nothing.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = str(super()._split_scope(nodeid))
        if Path(file).name in SHARE_NOTHING:
            return nodeid
        return "C++" if Path(file).name in NEED_CPP else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the tests compile stays out of the user's cache."""
    path = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SAM3I_EDGE_CACHE", str(path))
        yield path


@pytest.fixture
def full_disk() -> Iterator[None]:
    """No file can grow beyond 100 kB: the kernel refuses it, as on a full disk."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture(scope="session")
def recorded() -> Any:
    return np.load(PARITY / "expected.npz")


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="session")
def model() -> Any:
    from sam3i_edge.model import load

    return load(PARITY / "checkpoint.pt", PARITY / "config.json")


def rewrite(bundle: Path, **runtime: Any) -> None:
    """Change fields of the manifest's runtime section; its hashes agree with the files, as of one who tampers."""
    manifest = read_manifest(bundle)
    changed = dataclasses.replace(manifest.runtime, **runtime)
    write_manifest(bundle, dataclasses.replace(manifest, runtime=changed, files=list_files(bundle)))


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The recorded checkpoint, exported. Tests that change files must copy it."""
    from sam3i_edge.exporter import export

    path = tmp_path_factory.mktemp("export") / "bundle"
    export(PARITY / "checkpoint.pt", PARITY / "config.json", path)
    return path
