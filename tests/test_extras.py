"""What an extra installs is enough for what it is for: all else is out of reach here."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
from packaging.requirements import Requirement

NAME = "sam3i-edge"

BLOCK = """
import importlib, importlib.util, sys
from importlib.abc import MetaPathFinder

find_spec = importlib.util.find_spec

class Blocked(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

def spec_or_none(name, package=None):  # who only asks whether a package is there gets no error
    return None if name.partition(".")[0] in BLOCKED else find_spec(name, package)

sys.meta_path.insert(0, Blocked())
importlib.util.find_spec = spec_or_none
for module in MODULES:
    importlib.import_module(module)
"""


def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def installed_with(extra):
    """The distributions that ``pip install sam3i-edge[extra]`` brings."""
    found, todo = set(), [(NAME, (extra,))]
    while todo:
        name, extras = todo.pop()
        if (normal(name), extras) in found:
            continue
        found.add((normal(name), extras))
        for text in importlib.metadata.requires(name) or ():
            wanted = Requirement(text)
            if wanted.marker is None or any(wanted.marker.evaluate({"extra": one}) for one in (*extras, "")):
                todo.append((wanted.name, tuple(sorted(wanted.extras))))
    return {name for name, _ in found}


@pytest.mark.parametrize(
    ("extra", "modules"),
    [
        ("onnxruntime", ["sam3i_edge.cli", "sam3i_edge.runtimes.onnxruntime", "sam3i_edge.verification"]),
        ("openvino", ["sam3i_edge.cli", "sam3i_edge.runtimes.openvino", "sam3i_edge.verification"]),
        ("rtx", ["sam3i_edge.cli", "sam3i_edge.runtimes.tensorrt_rtx", "sam3i_edge.verification"]),
        ("export", ["sam3i_edge.exporter", "sam3i_edge.gallery", "sam3i_edge.evaluate"]),
        (
            "evaluate",
            ["sam3i_edge.evaluate.ablation", "sam3i_edge.evaluate.confidence", "sam3i_edge.evaluate.agreement"],
        ),
        ("benchmark", ["sam3i_edge.benchmarks.runner", "sam3i_edge.evaluate"]),
        ("data", ["sam3i_edge.data.tabletop"]),
        ("train", ["sam3i_edge.train.loop", "sam3i_edge.evaluate.ablation"]),
        ("distill", ["sam3i_edge.distill.run", "sam3i_edge.distill.report"]),
    ],
)
def test_an_extra_is_enough(extra, modules):
    there = installed_with(extra)
    blocked = {
        module
        for module, owners in importlib.metadata.packages_distributions().items()
        if not any(normal(owner) in there for owner in owners)
    } - {"sam3i_edge", *sys.stdlib_module_names}
    assert "pytest" in blocked
    code = f"BLOCKED, MODULES = {blocked!r}, {modules!r}\n{BLOCK}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
