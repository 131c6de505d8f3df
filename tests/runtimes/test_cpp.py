"""The C++ runtime: configured, built and tested as the README says, on answers that the Python side just gave."""

from __future__ import annotations

import dataclasses
import functools
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from PIL import ExifTags, Image
from pycocotools import mask

from sam3i_edge import Segmenter, read_image
from sam3i_edge.errors import BundleError, ImageError
from sam3i_edge.exporter import Int8Options, export
from sam3i_edge.golden import Golden, read_golden, write_golden
from sam3i_edge.graphs import GRAPHS
from sam3i_edge.version import __version__
from tests.conftest import PARITY, rewrite
from tests.runtimes.conftest import PHOTO, ROOT, run, section
from tests.runtimes.processor import HAS_BF16
from tests.test_image_files import TOO_LARGE
from tests.test_verify import another_mask, missing, perturb

pytestmark = pytest.mark.slow

INT4 = """
[vision]
"*" = "fp32"
[text]
"*" = "fp32"
"*.mlp" = "int4"
[grounding]
"*" = "fp32"
"""
"""Random weights stand no more."""


def test_the_third_command_segments_as_python_does(checkout, built):
    told = run(section()[2], checkout)
    with Segmenter.load(checkout / "intel-bundle") as segmenter:
        found = segmenter.segment(read_image(checkout / "photo.jpg"), "the hammer that is not black")
    assert told.startswith(f"{len(found)} found above 0.5 on the route {found.route}\n")
    scores = [float(score) for score in re.findall(r"^ *\d+ score (\S+)  box ", told, re.MULTILINE)]
    assert scores == pytest.approx(found.scores.tolist(), abs=5e-3)  # the picture's decoder is another


@pytest.mark.parametrize("least", [["--threshold", "0.1"], ["--threshold", "0", "--nms", "0.5"], []])
def test_the_tools_json_is_pythons(checkout, built, least):
    Image.fromarray(read_image(checkout / "photo.jpg")).save(checkout / "photo.ppm")  # no decoder between the two
    tool = built / "runtimes/cpp/sam3i-segment"
    asked = ["intel-bundle", "photo.ppm", "hammer", "--json", "--box", "120,150,325,312", *least]
    ours = json.loads(run([tool, *asked], checkout))
    theirs = json.loads(
        run([sys.executable, "-m", "sam3i_edge", "segment", *asked], checkout).splitlines()[0]
    )  # then notes
    assert ours.keys() == theirs.keys()
    assert all(ours[part] == theirs[part] for part in ("info", "images", "categories"))
    assert ours["annotations"]
    for mine, other in zip(ours["annotations"], theirs["annotations"], strict=True):
        assert mine.keys() == other.keys()
        assert mine["segmentation"]["size"] == other["segmentation"]["size"]
        assert mine["score"] == pytest.approx(other["score"], abs=1e-3)
        assert mine["bbox"] == pytest.approx(other["bbox"], abs=0.05)
        assert mine["area"] == mask.area(mine["segmentation"]) == pytest.approx(other["area"], rel=0.01)
        same = ("id", "image_id", "category_id", "text", "iscrowd")
        assert [mine[name] for name in same] == [other[name] for name in same]


def test_errors_of_the_tool(checkout, built):
    tool = str(built / "runtimes/cpp/sam3i-segment")
    (checkout / "short.ppm").write_bytes(b"P6 1 1 255")
    (checkout / "folder.ppm").mkdir()
    for arguments, status, message in [
        (["intel-bundle", "photo.jpg"], 2, "BUNDLE, IMAGE and TEXT are needed."),
        (["intel-bundle", "photo.jpg", "mug", "--surprise"], 2, "Unknown option '--surprise'."),
        (["intel-bundle", "none.jpg", "mug"], 1, "error: Cannot read the image none.jpg: No such file or directory."),
        (["intel-bundle", ".", "mug"], 1, "error: Cannot read the image .: Is a directory."),
        (["intel-bundle", "/proc/self/mem", "mug"], 1, "Cannot read the image /proc/self/mem: Input/output error."),
        (["intel-bundle", "short.ppm", "mug"], 1, "error: The image short.ppm is cut short."),
        (["intel-bundle", "photo.jpg", "mug", "-o", "x.png"], 2, "error: -o writes PPM, and nothing else: 'x.png'"),
        (["none", "photo.jpg", "mug"], 1, "error: none does not exist."),
        (["no\x1b[2J\u202e\n", "photo.jpg", "mug"], 1, "error: no\\x1b[2J\\u202e\\n does not exist."),
        (["intel-bundle", "photo.jpg", "mug", "-o", "short.ppm"], 1, "error: short.ppm exists. Name another file, or"),
        (
            ["none", "none.jpg", "mug", "-o", "no/x.ppm"],
            1,
            "error: Cannot write no/x.ppm: the folder no does not exist.",
        ),
        (["none", "none.jpg", "mug", "-o", "folder.ppm"], 1, "error: Cannot write folder.ppm: it is a folder. Name a"),
        (["none", "none.jpg", "mug", "-o", f"{'x' * 300}.ppm"], 1, "x.ppm: File name too long."),
        (["intel-bundle", "photo.jpg", "mug", "--\x1b[2J"], 2, "Unknown option '--\\x1b[2J'."),
        (["intel-bundle", "photo.jpg", "mug", "--route", "simpel"], 1, "Did you mean 'simple'?"),
        (["intel-bundle", "photo.jpg", "mug", "--box", "1,2,3"], 1, "error: The box '1,2,3' is not of the form"),
        (["intel-bundle", "photo.jpg", "mug", "--nms", "0"], 1, "error: nms is 0.0; it must be a number above 0 and"),
    ]:
        done = subprocess.run([tool, *arguments], cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == status
        assert message in done.stderr
    assert run([tool, "--version"], checkout) == f"sam3i-segment {__version__}\n"


@pytest.mark.parametrize(
    "asked",
    [
        ["intel-bundle", "photo.jpg", "mug", "--json", "--threshold", "0"],
        ["--verify", "small"],
        ["--help"],
        ["--version"],
    ],
)
def test_what_cannot_be_printed_is_an_error(checkout, built, asked):
    tool = str(built / "runtimes/cpp/sam3i-segment")
    for where, reason in ((">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")):
        command = ["sh", "-c", f'"$0" "$@" {where}', tool, *asked]
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"error: The output could not be written: {reason}." in done.stderr
    nobody = '{ sleep 0.5; "$0" "$@"; echo $? >&2; } | true'  # which has ended before the tool prints
    done = subprocess.run(["sh", "-c", nobody, tool, *asked], cwd=checkout, capture_output=True, text=True, check=False)
    assert done.stderr.endswith("141\n")


@pytest.mark.parametrize("streams", ["<&- 2>&-", ">&- 2>&-"])
def test_without_streams_the_tool_works(checkout, built, tmp_path, streams):
    tool, drawn = str(built / "runtimes/cpp/sam3i-segment"), str(tmp_path / "drawn.ppm")
    asked = ["intel-bundle", "photo.jpg", "mug", "--json", "--threshold", "0", "-o", drawn]
    closed = ["sh", "-c", f'"$0" "$@" {streams}', tool, *asked]
    done = subprocess.run(closed, cwd=checkout, stdout=subprocess.PIPE, text=True, check=True)
    assert json.loads(done.stdout or "null") or streams[0] == ">"
    with Image.open(drawn) as image:
        assert image.size == Image.open(PHOTO).size


def test_a_limit_on_the_sizes_of_files_is_an_error_and_nothing_half_written_stays(checkout, built, tmp_path):
    tool, output = str(built / "runtimes/cpp/sam3i-segment"), tmp_path / "out"
    output.mkdir()
    (output / "x.ppm").write_bytes(b"before")
    asked = [tool, "intel-bundle", "photo.jpg", "mug", "--force", "-o", output / "x.ppm"]
    limited = ["sh", "-c", 'ulimit -f 8; "$0" "$@"', *asked]
    environment = os.environ | {"SAM3I_EDGE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(limited, cwd=checkout, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1
    assert done.stderr.endswith("x.ppm: File too large.\n")
    assert "OpenVINO could not keep what it compiled" in done.stderr
    assert [(file.name, file.read_bytes()) for file in output.iterdir()] == [("x.ppm", b"before")]


def pictures(folder: Path) -> list[Path]:
    """What cameras and editors write, in kinds that are easily read in another way than OpenCV does."""
    colours = np.random.default_rng(0).integers(0, 1 << 16, (37, 53, 4), np.uint16)
    eight = (colours >> 8).astype(np.uint8)
    for name, values in [("deep", colours[..., :3]), ("deep_grey", colours[..., 0]), ("deep_alpha", colours)]:
        cv2.imwrite(str(folder / f"{name}.png"), values)
    Image.fromarray(eight).save(folder / "alpha.png")
    Image.fromarray(eight[..., 0] > 128).save(folder / "bits.png")
    Image.fromarray(eight[..., :3]).quantize(16).save(folder / "palette.png", transparency=3)
    photo = Image.open(PHOTO)
    photo.save(folder / "progressive.jpg", progressive=True)
    photo.convert("L").save(folder / "grey.jpg")
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = orientation
        photo.crop((100, 100, 199, 164)).save(folder / f"held{orientation}.jpg", exif=exif)
    plain = Image.fromarray(eight[..., :3])
    plain.save(folder / "held8.png", exif=exif)
    plain.save(
        folder / "still.png", save_all=True, default_image=True, append_images=[Image.new("RGB", plain.size)] * 2
    )
    return sorted(folder.iterdir())


def test_the_tool_reads_pictures_as_python_does(checkout, built, tmp_path):
    """At threshold 1 nothing is found, and -o writes the picture as it was read."""
    tool = built / "runtimes/cpp/sam3i-segment"
    (tmp_path / "in").mkdir()
    for path in pictures(tmp_path / "in"):
        run([tool, "small", path, "mug", "--threshold", "1", "--force", "-o", tmp_path / "out.ppm"], checkout)
        ours, theirs = np.asarray(Image.open(tmp_path / "out.ppm")), read_image(path)
        assert ours.shape == theirs.shape, path.name
        difference = np.abs(ours.astype(int) - theirs).max()
        assert difference <= (4 if path.suffix == ".jpg" else 0), path.name  # another libjpeg rounds another way


@pytest.mark.parametrize("name", ["photo.jpg", "progressive.jpg", "photo.png"])
def test_the_tool_refuses_pictures_that_are_cut_short(checkout, built, tmp_path, name):
    whole = tmp_path / name
    Image.open(PHOTO).save(whole, progressive=name == "progressive.jpg")
    content = whole.read_bytes()
    tool = built / "runtimes/cpp/sam3i-segment"
    for length in (len(content) // 2, len(content) - 8):
        whole.write_bytes(content[:length])
        done = subprocess.run([tool, "small", whole, "mug"], cwd=checkout, capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert f"error: The image {whole} cannot be decoded: it is damaged or cut short" in done.stderr


@pytest.mark.parametrize("kind", ["png", "jpeg", "ppm", "empty", "device"])
def test_the_tool_refuses_what_python_refuses_in_its_words(checkout, built, tmp_path, kind):
    path = Path("/dev/zero") if kind == "device" else tmp_path / "a"
    if kind != "device":
        path.write_bytes(TOO_LARGE.get(kind, b""))
    with pytest.raises(ImageError) as refused:
        read_image(path)
    tool = built / "runtimes/cpp/sam3i-segment"
    done = subprocess.run([tool, "small", path, "mug"], cwd=checkout, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, f"error: {refused.value}\n")


def test_every_ctest(checkout, built):
    """Replays, C header, examples, a few seconds of fuzzing. Nothing may be skipped but what says which runtime."""
    answers = checkout / "golden"
    run(
        [sys.executable, "-m", "tests.runtimes.cpp.golden", answers, checkout / "intel-bundle", checkout / "small"],
        ROOT,
    )
    run(["cmake", "-B", built, "-S", checkout, "-DSAM3I_EDGE_TESTS=ON", f"-DSAM3I_EDGE_GOLDEN={answers}"], checkout)
    run(["cmake", "--build", built], checkout)
    told = run(["ctest", "--test-dir", built, "--output-on-failure"], checkout)
    assert "100% tests passed" in told
    ran = int(re.findall(r"out of (\d+)", told)[-1])
    assert ran >= 40
    assert "***Skipped" not in told


def verdicts(checkout, built, bundle) -> tuple[dict, dict]:
    """The tool's and Python's, as JSON; the exit status is that of the verdict."""
    found = []
    python = [sys.executable, "-m", "sam3i_edge", "verify", bundle, "--force", "--json", checkout / "verdict.json"]
    for command in ([built / "runtimes/cpp/sam3i-segment", "--verify", bundle, "--json"], python):
        done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False)
        text = done.stdout if not found else (checkout / "verdict.json").read_text(encoding="utf-8")
        found.append(json.loads(text))
        assert done.returncode == (0 if found[-1]["passed"] else 1), done.stderr
    return found[0], found[1]


def assert_same_verdict(ours: dict, theirs: dict) -> None:
    assert ours.keys() == theirs.keys()
    assert [ours[key] for key in ("device", "precision", "passed")] == [
        theirs[key] for key in ("device", "precision", "passed")
    ]
    for mine, other in zip(ours["checks"], theirs["checks"], strict=True):
        assert (mine["name"], mine["passed"]) == (other["name"], other["passed"])
        assert mine["difference"]["sqnr_db"] == pytest.approx(other["difference"]["sqnr_db"], abs=1.0)
    for mine, other in zip(ours["answers"], theirs["answers"], strict=True):
        assert [mine[key] for key in ("prompt", "route", "passed")] == [
            other[key] for key in ("prompt", "route", "passed")
        ]
        assert mine["mask_iou"] == pytest.approx(other["mask_iou"], abs=1e-3)
        assert mine["score_change"] == pytest.approx(other["score_change"], abs=1e-5)


@pytest.mark.parametrize("name", ["intel-bundle", "small"])
def test_the_tool_verifies_as_python_does(checkout, built, name):
    ours, theirs = verdicts(checkout, built, checkout / name)
    assert ours["passed"]
    assert_same_verdict(ours, theirs)


def test_both_keep_compiled_graphs_in_the_same_folder(checkout, built, tmp_path):
    """Named by a hash of the settings: another name would compile everything twice. So would another kind of sum."""
    environment = os.environ | {"SAM3I_EDGE_CACHE": str(tmp_path)}
    tool = [built / "runtimes/cpp/sam3i-segment", "--verify", checkout / "small"]
    python = [sys.executable, "-m", "sam3i_edge", "verify", checkout / "small"]
    seen = []
    for command in (tool, python):
        subprocess.run(command, env=environment, check=True, capture_output=True)
        files = (tmp_path / "openvino").rglob("*.*")
        seen.append({path.relative_to(tmp_path).as_posix(): path.stat().st_mtime_ns for path in files})
    blobs = {name for name in seen[0] if name.endswith(".blob")}
    assert len(blobs) == 5  # text and grounding for one prompt, and for several
    assert len({Path(name).parent for name in blobs}) == 1
    assert seen[0].keys() == blobs | {f"{name}.sha256" for name in blobs}
    assert seen[0] == seen[1]  # Python loaded what the tool wrote


def in_golden(change: Callable[[Golden], Golden]) -> Callable[[Path], None]:
    return lambda copy: write_golden(copy, change(read_golden(copy)))


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        *((functools.partial(perturb, graph=graph, pick=0.5), f"first at {graph}/") for graph in GRAPHS),
        (in_golden(functools.partial(missing, place=-1)), ""),  # the last of the chosen may give way
        (in_golden(functools.partial(missing, place=0)), "first at grounding/"),
        (in_golden(another_mask), "the outputs are within their tolerance, but not the instances of"),
    ],
)
def test_the_tool_says_of_a_changed_bundle_what_python_says(checkout, built, tmp_path, change, problem):
    copy = shutil.copytree(checkout / "small", tmp_path / "copy")
    change(copy)
    rewrite(copy)
    ours, theirs = verdicts(checkout, built, copy)
    assert ours["passed"] is (not problem) and ours["problem"].startswith(problem)
    assert_same_verdict(ours, theirs)


def without_presence(golden: Golden) -> Golden:
    return dataclasses.replace(golden, expected={**golden.expected, "grounding/presence": np.zeros(0, np.float32)})


def cut_off(copy: Path) -> None:
    file = copy / "golden/tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-100])


def reworded(copy: Path) -> None:
    file = copy / "golden/prompts.json"
    file.write_text(file.read_text(encoding="utf-8").replace("simple", "simpel"), encoding="utf-8")


def padded(copy: Path) -> None:
    file = copy / "golden/prompts.json"
    file.write_bytes(file.read_bytes().ljust((1 << 20) + 1))


def with_a_long_header(copy: Path) -> None:
    file = copy / "golden/tensors.safetensors"
    file.write_bytes((1 << 20 | 1).to_bytes(8, "little") + b"{".ljust(1 << 21))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (cut_off, ""),
        (padded, "the prompts have 1048577 bytes, more than 1048576"),
        (with_a_long_header, "the header has 1048577 bytes, more than 1048576"),
        (reworded, "Unknown route 'simpel'"),
        (in_golden(without_presence), "there are not as many answers as"),
    ],
)
def test_golden_cases_that_cannot_be_read(checkout, built, tmp_path, damage, said):
    copy = shutil.copytree(checkout / "small", tmp_path / "copy")
    damage(copy)
    rewrite(copy)
    with pytest.raises(BundleError, match=f"cannot be read: .*{said}"):
        read_golden(copy)
    tool = built / "runtimes/cpp/sam3i-segment"
    done = subprocess.run([tool, "--verify", copy], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"error: The golden cases of {copy} cannot be read: {said}" in done.stderr


def test_a_graph_that_answers_one_prompt_where_several_may_be_asked(checkout, built, tmp_path):
    """Rows of the others would be read from behind its output."""
    copy = shutil.copytree(checkout / "small", tmp_path / "copy")
    file = copy / "graphs/text.onnx"
    model = onnx.load(file)
    for node in model.graph.node:
        node.output[:] = ["all" if name == "text" else name for name in node.output]
    axes = onnx.numpy_helper.from_array(np.array([0]), "first_axis")
    model.graph.initializer.append(axes)
    model.graph.node.append(onnx.helper.make_node("ReduceMax", ["all", "first_axis"], ["text"], keepdims=1))
    model.graph.output[0].type.tensor_type.shape.dim[0].Clear()
    model.graph.output[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, file)
    rewrite(copy)
    tool = built / "runtimes/cpp/sam3i-segment"
    done = subprocess.run([tool, copy, PHOTO, "mug"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "what it takes or gives is not what the manifest says" in done.stderr


def test_tools_that_start_at_once_keep_what_was_compiled(checkout, built, tmp_path):
    tool, environment = built / "runtimes/cpp/sam3i-segment", os.environ | {"SAM3I_EDGE_CACHE": str(tmp_path)}
    command = [tool, checkout / "small", PHOTO, "mug"]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) for _ in range(3)]
    assert [process.communicate()[1] for process in started] == ["", "", ""]
    blobs = list(tmp_path.rglob("*.blob"))
    assert blobs and all(blob.with_name(f"{blob.name}.sha256").is_file() for blob in blobs)


def test_bundles_of_other_precisions_answer_as_in_python(checkout, built):
    """On their own runtime, whose kernels are the same on both sides; int8 with few words, int4 in the text alone."""
    model = (PARITY / "checkpoint.pt", PARITY / "config.json")
    (checkout / "texts.txt").write_text("the red mug left of the laptop\n")
    (checkout / "recipe.toml").write_text(INT4)
    target = {"target": "intel-cpu", "precision": "int8"}
    narrow, plain = Int8Options(recipe=checkout / "recipe.toml", scored_images=0), Int8Options(scored_images=0)
    export(*model, checkout / "int8", **target, int8=plain, vocabulary=checkout / "texts.txt")
    export(*model, checkout / "int4", **target, int8=narrow)
    names = ["int8", "int4"]
    if HAS_BF16:
        export(*model, checkout / "bf16", target="intel-cpu", precision="bf16")
        names.append("bf16")
    answers = checkout / "golden_low"
    run([sys.executable, "-m", "tests.runtimes.cpp.golden", answers, *(checkout / name for name in names)], ROOT)
    run(["cmake", "-B", built, "-S", checkout, "-DSAM3I_EDGE_TESTS=ON"], checkout)
    run(["cmake", "--build", built, "--target", "sam3i_edge_tests"], checkout)
    tests = (
        "Segmenters.SameInstancesAsInPython",
        "Text.TokensAndRoutesAreThePythonSides",
    )
    chosen = f"--gtest_filter={':'.join(tests)}"
    told = run([built / "runtimes/cpp/tests/sam3i_edge_tests", chosen], checkout, SAM3I_EDGE_GOLDEN=str(answers))
    assert "[  PASSED  ] 2 tests." in told
    for name in names:
        assert_same_verdict(*verdicts(checkout, built, checkout / name))


def test_without_any_runtime_it_says_how_to_get_one_and_builds_none_unless_asked(packages, tmp_path):
    options = ["-DCMAKE_DISABLE_FIND_PACKAGE_OpenVINO=ON", "-DSAM3I_EDGE_ONNXRUNTIME=OFF"]
    command = ["cmake", "-S", str(ROOT), "-B", str(tmp_path / "none"), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    told = " ".join(done.stderr.split())
    assert "No runtime was found, and a library without one loads no bundle." in told
    assert "`python -c 'import openvino.utils as u; print(u.get_cmake_path())'` prints>" in told
    assert "onnxruntime: left out: SAM3I_EDGE_ONNXRUNTIME=OFF" in told
    told = run([*command, "-DSAM3I_EDGE_ALLOW_NO_RUNTIME=ON"], tmp_path)
    assert "import openvino.utils as u; print(u" in told


def test_tensorrt_rtx_without_a_gpu(checkout, tmp_path):
    """NVIDIA's wheel has the library; the headers come from its SDK, for no package of an index has them."""
    headers = os.environ.get("TENSORRT_RTX_HEADERS", "")
    library = importlib.util.find_spec("tensorrt_rtx_libs")
    if not headers or library is None:
        pytest.skip("set TENSORRT_RTX_HEADERS to the SDK's include folder, and pip install tensorrt-rtx-cu12-libs")
    export(PARITY / "checkpoint.pt", PARITY / "config.json", tmp_path / "nvidia", target="nvidia", precision="fp32")
    options = ["-DSAM3I_EDGE_TESTS=ON", "-DSAM3I_EDGE_TENSORRT_RTX=ON", "-DSAM3I_EDGE_OPENVINO=OFF"]
    options += [f"-DTENSORRT_RTX_ROOT={Path(library.origin).parent}", f"-DTensorRT_RTX_INCLUDE_DIR={headers}"]
    options += [f"-DSAM3I_EDGE_NVIDIA_BUNDLE={tmp_path / 'nvidia'}"]
    told = run(["cmake", "-S", checkout, "-B", tmp_path / "build", *options], checkout)
    assert re.search(r"tensorrt-rtx: found: 1\.\d", told)
    run(["cmake", "--build", tmp_path / "build", "--target", "sam3i_edge_tensorrt_tests"], checkout)
    program = tmp_path / "build/runtimes/cpp/tests/sam3i_edge_tensorrt_tests"
    told = run([program], checkout, SAM3I_EDGE_NVIDIA_BUNDLE=str(tmp_path / "nvidia"))
    assert "[  PASSED  ]" in told


def test_a_build_has_one_tensorrt(checkout):
    both = ["-DSAM3I_EDGE_TENSORRT=ON", "-DSAM3I_EDGE_TENSORRT_RTX=ON"]
    command = ["cmake", "-S", checkout, "-B", checkout / "both", *both]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "a build has one of tensorrt and tensorrt-rtx" in " ".join(done.stderr.split())
