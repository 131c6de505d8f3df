"""Every module stands in a layer and imports only from layers below, inside functions, too: there are no circles."""

import ast
import os
from collections.abc import Iterable, Iterator, Set
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DEVICE, WORKSTATION = "device", "workstation"

HOUSE = (
    (DEVICE, "errors version text_cleaning telemetry byte_lru image_holes"),
    (DEVICE, "image_files text_files external_data target_settings calls"),
    (DEVICE, "schema files terminal precision tolerances image tokenizer graphs demo_model"),
    (DEVICE, "prompt config domain"),
    (DEVICE, "overlay gallery postprocessing"),
    (DEVICE, "instances manifest"),
    (DEVICE, "bundle route coco"),
    (DEVICE, "cache golden signing"),
    (DEVICE, "runtimes data"),
    (DEVICE, "engine prebuilt_engines"),
    (DEVICE, "graph_engine native"),
    (DEVICE, "verification"),
    (DEVICE, "segmenter"),
    (DEVICE, "targets quantize.recipe"),
    (DEVICE, "doctor provenance"),
    (WORKSTATION, "data.tabletop clip_tokenizer model tolerance_rules"),
    (WORKSTATION, "graph_modules"),
    (WORKSTATION, "evaluate"),
    (DEVICE, "benchmarks"),  # runs where there is no evaluate: it looks for it when accuracy is asked for
    (WORKSTATION, "quantize train"),
    (WORKSTATION, "exporter"),
    (WORKSTATION, "distill"),
    (DEVICE, "sam3i_edge"),  # the public names
    (WORKSTATION, "benchmarks.studies"),
    (DEVICE, "commands"),
    (DEVICE, "cli"),
    (DEVICE, "__main__"),
)
"""From the ground up. Names of one line do not import each other. A name stands for all in it that has no line of its
own. Where only a device is needed, nothing of ``HEAVY`` is imported when a module is: it waits until it is used."""

HEAVY = {"torch", "torchao", "timm", "accelerate", "onnx", "onnx_ir", "onnxscript", "scipy", "mujoco"}

ONCE_CIRCLES = (
    ("exporter.convert", "quantize.ptq"),
    ("exporter.pipeline", "evaluate.torch_engine"),
    ("distill.students", "benchmarks.worker"),
    ("quantize.ptq", "benchmarks.roofline"),
    ("targets", "runtimes.openvino"),
    ("segmenter", "native"),
    ("segmenter", "verification"),
    ("quantize.recipe", "bundle"),
)
"""Modules that imported each other, the one above first."""

Edge = tuple[str, str]
"""A module, and one that it imports."""


@cache
def trees() -> dict[str, ast.Module]:
    """The package's modules by name, ``segmenter`` for ``sam3i_edge.segmenter``."""
    found = {}
    for folder, _, files in os.walk(ROOT / "sam3i_edge", followlinks=True):
        for path in (Path(folder) / file for file in files if file.endswith(".py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = short(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
            found[name] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def short(name: str) -> str:
    return name.removeprefix("sam3i_edge.")


def statements(node: ast.AST, in_functions: bool) -> Iterator[ast.Import | ast.ImportFrom]:
    """The imports that run; those under ``if TYPE_CHECKING`` do not."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            assert not child.orelse
        elif in_functions or not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from statements(child, in_functions)


def imported(module: str, in_functions: bool = True) -> set[str]:
    """The modules that one names: of ours by their short names, of others by their packages'."""
    names = set()
    for statement in statements(trees()[module], in_functions):
        if isinstance(statement, ast.Import):
            names |= {alias.name for alias in statement.names}
        else:
            assert statement.level == 0 and statement.module, f"{module} imports relatively."
            inner = {f"{statement.module}.{alias.name}" for alias in statement.names}
            ours = {name for name in inner if short(name) in trees()}
            names |= ours | ({statement.module} if ours != inner else set())
    return {short(name) if name.startswith("sam3i_edge") else name.partition(".")[0] for name in names} - {module}


@cache
def edges() -> Set[Edge]:
    return {(module, name) for module in trees() for name in imported(module) if name in trees()}


LAYERS = {name: number for number, (_, names) in enumerate(HOUSE) for name in names.split()}


def package_of(module: str) -> str:
    """The name in the table that speaks for a module. Fails if there is none."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in LAYERS:
            return name
    raise AssertionError(f"{module} is in no layer: put it, or its package, into HOUSE.")


def wrong_imports(given: Iterable[Edge]) -> list[str]:
    """What is imported from the same layer of another package, or from above."""
    return [
        f"{importer} imports {name}: {package_of(name)} does not stand below {package_of(importer)}."
        for importer, name in sorted(given)
        if package_of(importer) != package_of(name) and LAYERS[package_of(name)] >= LAYERS[package_of(importer)]
    ]


def circle(given: Iterable[Edge]) -> set[str]:
    """Names that import each other in a circle, if there is one."""
    sorter: TopologicalSorter[str] = TopologicalSorter()
    for importer, name in given:
        sorter.add(importer, name)
    try:
        sorter.prepare()
    except CycleError as error:
        return set(error.args[1])
    return set()


def reachable(start: str, next_to: dict[str, set[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = list(next_to.get(start, ()))
    while waiting:
        if (name := waiting.pop()) not in seen:
            seen.add(name)
            waiting += next_to.get(name, ())
    return seen


def between_packages(given: Iterable[Edge]) -> set[Edge]:
    found = {(package_of(importer), package_of(name)) for importer, name in given}
    return {(importer, name) for importer, name in found if importer != name}


def test_every_module_is_in_a_layer_and_every_name_of_the_table_exists():
    used = {package_of(module) for module in trees()}
    assert set(LAYERS) == used
    assert sum(len(names.split()) for _, names in HOUSE) == len(LAYERS), "A name stands in the table twice."


def test_modules_import_only_what_stands_below():
    assert wrong_imports(edges()) == []


def test_there_are_no_circles():
    assert circle(edges()) == circle(between_packages(edges())) == set()


@pytest.mark.parametrize("above, below", ONCE_CIRCLES)
def test_a_circle_between_packages_is_refused_if_it_is_put_back(above, below):
    given = edges() | {(above, below), (below, above)}
    (problem,) = wrong_imports(given)
    assert problem.startswith(f"{below} imports {above}: ")
    assert {package_of(above), package_of(below)} <= circle(between_packages(given))


def test_a_circle_within_a_package_is_refused_if_it_is_put_back():
    put_back = "benchmarks.build_report", "benchmarks.runner"
    assert {*put_back} <= circle(edges() | {put_back})


def test_a_module_of_no_layer_is_refused():
    with pytest.raises(AssertionError, match="novelty is in no layer"):
        wrong_imports(edges() | {("novelty", "errors")})


def test_imports_in_functions_count_and_those_for_types_do_not():
    code = "if TYPE_CHECKING:\n    import one\ndef use():\n    import two\nclass A:\n    import three"
    every, at_once = (list(statements(ast.parse(code), in_functions)) for in_functions in (True, False))
    assert [statement.names[0].name for statement in every] == ["two", "three"]
    assert [statement.names[0].name for statement in at_once] == ["three"]


@pytest.mark.parametrize("package", [name for kind, names in HOUSE if kind == DEVICE for name in names.split()])
def test_the_device_side_imports_nothing_heavy(package):
    """When a module is imported, with all that this imports; the packages around a module are imported with it."""
    modules = [module for module in trees() if package_of(module) == package]
    next_to = {module: imported(module, in_functions=False) | around(module) for module in trees()}
    for module in modules:
        assert reachable(module, next_to) & HEAVY == set(), module


def around(module: str) -> set[str]:
    parts = module.split(".")
    return {"sam3i_edge"} | {".".join(parts[:length]) for length in range(1, len(parts))}
