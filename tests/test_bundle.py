"""A damaged bundle is refused with the file's name."""

import json
import re
import shutil
from pathlib import Path

import onnx
import pytest

from sam3i_edge import Segmenter, prebuilt_engines, schema
from sam3i_edge.bundle import list_files, open_bundle
from sam3i_edge.errors import BundleError, ConfigError, RuntimeUnavailableError
from sam3i_edge.golden import read_golden
from sam3i_edge.manifest import FORMAT_VERSION, read_manifest
from sam3i_edge.provenance import Provenance
from sam3i_edge.verification import verify
from tests.conftest import CASES, rewrite
from tests.damages import DAMAGES, IN_PYTHON_ALONE, LATER, Damage, content_of, edit, in_runtime


@pytest.fixture
def copy(bundle, tmp_path) -> Path:
    return shutil.copytree(bundle, tmp_path / "copy")


def refused(bundle: Path, message: str) -> None:
    with pytest.raises(BundleError, match=message):
        Segmenter.load(bundle)


def test_intact(copy):
    manifest = open_bundle(copy).manifest
    assert manifest.runtime.precision == "fp32"
    assert set(manifest.runtime.graphs) == {"vision", "text", "grounding"}
    assert content_of(copy) == schema.plain(manifest)


@pytest.mark.parametrize(
    ("damage", "message"),
    [(damage, message) for message, damages in (DAMAGES | IN_PYTHON_ALONE).items() for damage in damages],
)
def test_damaged(copy, damage: Damage, message):
    damage(copy)
    with pytest.raises((BundleError, RuntimeUnavailableError), match=message):
        Segmenter.load(copy)


def test_nothing_in_a_bundle_runs_or_is_pickled_or_compressed(bundle):
    kinds = {path.suffix for path in bundle.rglob("*") if path.is_file()}
    assert kinds == {".json", ".txt", ".onnx", ".safetensors"}
    modes = {path.stat().st_mode & 0o777 for path in bundle.rglob("*") if path.is_file()}
    assert len(modes) == 1, "whoever may read one file may read all"


def test_integrity_by_size_alone(copy):
    """It is for starting fast: a change is not seen, but what is missing, cut off or too many is."""
    path = copy / "golden/tensors.safetensors"
    content = path.read_bytes()
    path.write_bytes(bytes(len(content)))
    with pytest.raises(BundleError, match=r"golden/tensors\.safetensors was changed"):
        Segmenter.load(copy)
    Segmenter.load(copy, integrity="size").close()
    path.write_bytes(content[:-1])
    with pytest.raises(BundleError, match=r"golden/tensors\.safetensors has \d+ bytes, expected"):
        Segmenter.load(copy, integrity="size")
    path.unlink()
    with pytest.raises(BundleError, match=r"golden/tensors\.safetensors is missing"):
        Segmenter.load(copy, integrity="size")
    with pytest.raises(ConfigError, match=r"Unknown integrity 'siez'\. Known: full, size\. Did you mean 'size'"):
        Segmenter.load(copy, integrity="siez")


def test_a_higher_minor_version_with_what_is_not_known_here(copy):
    runtime = content_of(copy)["runtime"]
    new_graph = {"file": "graphs/tracker.onnx", "inputs": 3, "memory": {}}
    runtime["graphs"] |= {"tracker": new_graph}
    runtime["graphs"]["text"] |= {"sequence": "free"}
    runtime["target"] |= {"power": 15}
    runtime["engines"] = [{"graph": "tracker", "file": "engines/tracker.engine"}]
    edit(format_version="2.7", runtime=runtime | {"tracker": [1, 2]}, signature="…")(copy)
    with Segmenter.load(copy, threshold=0.0) as segmenter:
        assert segmenter.manifest.format_version == "2.7"
        assert set(segmenter.manifest.runtime.graphs) == {"vision", "text", "grounding"}
        assert len(segmenter.segment(CASES[0].image, "mug"))
        assert verify(segmenter.engine, read_golden(copy)).passed


def test_a_graph_of_a_higher_minor_version_may_give_more(copy):
    file = copy / "graphs/vision.onnx"
    model = onnx.load(file)
    (coarse,) = (output for output in model.graph.output if output.name == "coarse")
    model.graph.node.append(onnx.helper.make_node("Identity", ["coarse"], ["memory"]))
    model.graph.output.append(onnx.ValueInfoProto(name="memory", type=coarse.type))
    onnx.save(model, file)
    runtime = content_of(copy)["runtime"]
    outputs = runtime["graphs"]["vision"]["outputs"]
    outputs.append(outputs[-1] | {"name": "memory"})
    files = schema.plain(list_files(copy))
    edit(format_version=LATER, runtime=runtime, files=files)(copy)
    with Segmenter.load(copy, threshold=0.0) as segmenter:
        assert len(segmenter.segment(CASES[0].image, "mug"))
    edit(format_version=FORMAT_VERSION)(copy)
    with pytest.raises(BundleError, match="its graphs do not fit its model and limits"):
        Segmenter.load(copy)


def as_for_rtx(version: str) -> Damage:
    def change(runtime):
        del runtime["postprocessing"]
        runtime["target"] |= {"runtime": "tensorrt-rtx", "device": "cuda:0", "settings": {}}

    return in_runtime(change, format_version=version)


def test_a_bundle_that_gets_engines_is_of_this_version_then(copy, monkeypatch):
    as_for_rtx("2.0")(copy)
    monkeypatch.setattr(prebuilt_engines, "builder_problem", lambda: "")
    monkeypatch.setattr(prebuilt_engines, "check_capabilities", lambda *_: None)
    monkeypatch.setattr(prebuilt_engines, "_build", lambda source, stage, *_: (stage / "engines").mkdir() or ())
    prebuilt_engines.build_engines(copy, ["8.6"])
    made = content_of(copy)
    assert made["format_version"] == FORMAT_VERSION
    assert made["runtime"]["postprocessing"]["nms"] == 1


def test_a_bundle_of_a_higher_minor_version_gets_no_engines(copy):
    as_for_rtx(LATER)(copy)
    with pytest.raises(BundleError, match=rf"version {LATER}; .* would lose what is new\. Update sam3i-edge\."):
        prebuilt_engines.build_engines(copy, ["8.6"])


@pytest.mark.parametrize("provenance", [{}, {"surprise": 1}, {"target": 3, "source": [], "accuracy": {"a": "b"}}])
def test_no_provenance_keeps_a_bundle_from_running(copy, provenance):
    edit(provenance=provenance)(copy)
    with Segmenter.load(copy, verify=True) as segmenter:
        assert segmenter.manifest.provenance == provenance
    assert Provenance.of(provenance) == Provenance()


def test_what_is_known_of_a_provenance_is_read_key_by_key(copy):
    made = content_of(copy)["provenance"]
    made["source"]["branch"] = "main"
    found = Provenance.of(made | {"target": "robot", "recipe": {"new": 1}})
    assert found.source.checkpoint == "checkpoint.pt"
    assert found.target is None
    assert found.accuracy.keys() == made["accuracy"].keys()


def test_a_byte_order_mark_before_the_manifest_is_no_part_of_it(copy):
    """As in C++."""
    expected, file = read_manifest(copy), copy / "manifest.json"
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert read_manifest(copy) == expected
    file.write_bytes(file.read_bytes().decode("utf-8-sig").encode("utf-16"))
    refused(copy, "it is UTF-16 text; save it as UTF-8")


def test_nested_too_deep(copy):
    (copy / "manifest.json").write_text("[" * 65 + "]" * 65)
    refused(copy, r"manifest\.json cannot be read")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("golden/tensors.safetensors", lambda content: content[: len(content) // 2]),
        ("golden/tensors.safetensors", lambda content: b""),
        ("golden/tensors.safetensors", lambda content: content.replace(b"grounding/logits", b"grounding/logist")),
        ("golden/tensors.safetensors", lambda content: content.replace(b'"F32"', b'"I32"', 1)),
        (
            "golden/tensors.safetensors",
            lambda content: content.replace(b'"U8"', b'"F8_E4M3"', 1).replace(b"     ", b"", 1),
        ),
        ("golden/prompts.json", lambda content: re.sub(rb'"x1": [0-9.]+', b'"x1": 9999', content)),
        ("golden/tensors.safetensors", lambda content: (1 << 60).to_bytes(8, "little") + content[8:]),
        ("golden/prompts.json", lambda content: b"{}"),
        ("golden/prompts.json", lambda content: content + b" " * (1 << 20)),
        ("golden/prompts.json", lambda content: b'{"prompts": []}'),
        ("golden/prompts.json", lambda content: b"[" * 100_000),
        ("golden/prompts.json", lambda content: content.replace(b"simple", b"simpel")),
    ],
)
def test_tampered_golden_cases(copy, file, damage):
    path = copy / file
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(BundleError, match=r"golden cases of .* cannot be read"):
        read_golden(copy)


def test_one_golden_prompt_fewer(copy):
    path = copy / "golden/prompts.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({"prompts": content["prompts"][1:]}))
    rewrite(copy)
    with pytest.raises(BundleError, match="there are not as many answers as prompts"):
        verify(Segmenter.load(copy).engine, read_golden(copy))


def test_a_path_that_is_too_long():
    refused(Path("x" * 5000), "cannot be read: .*too long")


def test_without_a_sampling_step_the_golden_cases_cannot_be_read(copy):
    in_runtime(lambda runtime: runtime["golden"]["steps"].pop("vision/fine"))(copy)
    with pytest.raises(BundleError, match=r"golden cases of .* cannot be read: 'vision/fine'"):
        read_golden(copy)
