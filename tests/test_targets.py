"""Targets are files: those that come with the package, and the user's own."""

import json
import platform

import pytest

from sam3i_edge import schema
from sam3i_edge.cli import main
from sam3i_edge.doctor import RuntimeReport, _missing, check_ready, examine, find_drivers
from sam3i_edge.errors import ExportError, RuntimeUnavailableError
from sam3i_edge.runtimes import RUNTIMES, device_name
from sam3i_edge.targets import FOLDER, TARGETS, check_precision, get_target
from sam3i_edge.version import __version__


def test_the_promised_targets_are_there():
    promised = {"jetson", "jetson-thor", "nvidia", "rtx", "intel-cpu", "intel-gpu", "intel-npu", "x86-cpu", "arm-cpu"}
    assert promised == set(TARGETS)


@pytest.mark.parametrize("name", TARGETS)
def test_each_has_a_runtime_and_a_reason(name):
    target = get_target(name)
    assert target.name == name
    assert target.runtime in RUNTIMES
    assert len(target.why) > 60
    assert check_precision(target, None) == (
        "fp16" if target.name.startswith(("jetson", "intel-npu", "intel-gpu")) else "fp32"
    )


@pytest.mark.parametrize("ending", ["toml", "json"])
def test_a_target_of_ones_own(tmp_path, ending):
    file = tmp_path / f"my-robot.{ending}"
    values = schema.plain(get_target("intel-cpu"))
    del values["name"]
    if ending == "json":
        file.write_text(json.dumps(values | {"threads": 4}))
    else:
        file.write_text((FOLDER / "intel-cpu.toml").read_text().replace("opset = 20", "opset = 20\nthreads = 4"))
    target = get_target(file)
    assert (target.name, target.threads, target.runtime) == ("my-robot", 4, "openvino")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("runtime = ", r"mine\.toml: .*[Ii]nvalid value"),
        ("runtime = 3", r"mine\.toml: runtime is 3; expected str"),
        ("runtme = 'openvino'", r"Unknown key 'runtme'.*Did you mean 'runtime'"),
        ("runtime = 'openvino'", r"mine\.toml: .* is missing"),
        ("[" * 100_000, r"mine\.json"),
        ({"runtime": "tensort"}, r"mine\.json: Unknown runtime 'tensort'.*Did you mean 'tensorrt'"),
        ({"opset": 0}, "opset is 0; it must be greater than 0"),
        ({"int8": "symetric"}, "Did you mean 'symmetric'"),
        ({"precisions": []}, "precisions is empty"),
        ({"precisions": ["fp31"]}, "Unknown precision 'fp31'"),
        ({"threads": -1}, "threads is -1"),
        ({"settings": {"workspace_mb": "lots"}}, r"settings\.workspace_mb is 'lots'; it must be a whole number"),
        ({"settings": {"builder_optimization_level": "-1"}}, r"builder_optimization_level is '-1'"),
        ({"attention": "half"}, r"Unknown attention 'half'\. Known: unfused, fused"),
        ({"compute_capabilities": ["86"]}, r"The compute capability '86' is not of the form 8\.9"),
    ],
)
def test_what_makes_no_target(tmp_path, content, message):
    file = tmp_path / ("mine.toml" if isinstance(content, str) and "[" not in content else "mine.json")
    file.write_text(
        content if isinstance(content, str) else json.dumps(schema.plain(get_target("rtx")) | content), encoding="utf-8"
    )
    with pytest.raises(ExportError, match=message):
        get_target(file)


def test_unknown_names():
    with pytest.raises(ExportError, match=r"Unknown target 'jetsn'.*Did you mean 'jetson'\? Or give the path"):
        get_target("jetsn")
    with pytest.raises(ExportError, match=r"Cannot read the target .*gone\.toml: No such file"):
        get_target("gone.toml")
    with pytest.raises(ExportError, match=r"precision for target jetson 'fp64'"):
        check_precision(get_target("jetson"), "fp64")


def test_command_lists_and_prints(capsys):
    assert main(["targets"]) == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in TARGETS)
    assert "not yet run on hardware" in listed
    assert main(["targets", "jetson"]) == 0
    assert capsys.readouterr().out == (FOLDER / "jetson.toml").read_text()
    assert main(["targets", "mine.toml"]) == 1
    assert "Unknown target 'mine.toml'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "device", "problem"),
    [
        ("intel-cpu", "AUTO:CPU", ""),
        ("intel-cpu", "AUTO", ""),
        ("intel-cpu", "AUTO:CPU,GPU.7", "finds no device 'GPU.7' here"),
        ("x86-cpu", "cpu:0", ""),
        ("intel-cpu", "CPU:0", "finds no device 'CPU:0' here"),
        ("x86-cpu", "cuda:0", "finds no device 'cuda' here"),
        ("x86-cpu", "AUTO", "finds no device 'AUTO' here"),
    ],
)
def test_a_target_of_ones_own_is_ready_where_its_devices_are(tmp_path, name, device, problem):
    file = tmp_path / "mine.json"  # for every processor
    values = schema.plain(get_target(name)) | {"device": device, "machine": [platform.machine()]}
    file.write_text(json.dumps(values))
    assert get_target(file).device == device
    if problem:
        with pytest.raises(RuntimeUnavailableError, match=problem):
            check_ready(str(file))
    else:
        check_ready(str(file))


def test_doctor_tells_what_is_here_and_what_is_missing(capsys):
    report = examine()
    here = {target.name for target in report.targets if not target.problem}
    assert {"x86-cpu", "intel-cpu"} & here or {"arm-cpu"} & here
    by_name = {runtime.name: runtime for runtime in report.runtimes}
    assert by_name["onnxruntime"].version and "cpu" in by_name["onnxruntime"].devices
    nvidia = next(target for target in report.targets if target.name == "nvidia")
    if not by_name["tensorrt"].version:
        assert "pip install '.[tensorrt]'" in nvidia.problem
    assert main(["doctor", "--json"]) == 0
    assert {"package", "cache", "machine", "drivers", "runtimes", "targets"} == set(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(
    ("runtime", "device", "name"),
    [("openvino", "cpu", "CPU"), ("openvino", "Auto:gpu.1,cpu", "AUTO:GPU.1,CPU"), ("onnxruntime", "CUDA:1", "cuda:1")],
)
def test_devices_in_any_case(runtime, device, name):
    assert device_name(runtime, device) == name


def test_doctor_prints_a_short_line_for_each(capsys, cache):
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"sam3i-edge {__version__}, ")
    assert lines[1] == f"cache: {cache} ($SAM3I_EDGE_CACHE)"
    (jetson,) = [line.split(maxsplit=1)[1] for line in lines if line.startswith("  jetson ")]
    assert jetson == "ready" or jetson.startswith("not available: it is for aarch64; this processor is ")
    assert max(len(line) for line in lines) <= 160


def test_drivers_are_found_by_their_files(tmp_path):
    assert find_drivers(tmp_path) == {"nvidia": "", "opencl": "", "npu": ""}
    for file, text in {"proc/driver/nvidia/version": "NVRM 570\nGCC", "etc/OpenCL/vendors/intel.icd": "lib"}.items():
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    assert find_drivers(tmp_path) == {"nvidia": "NVRM 570", "opencl": "intel.icd", "npu": ""}


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("intel-gpu", "apt install intel-opencl-icd"),
        ("intel-npu", "linux-npu-driver/releases: apt install"),
        ("nvidia", "ubuntu-drivers install"),
        ("jetson", "part of JetPack"),
    ],
)
def test_doctor_names_the_command_that_brings_a_device(name, command):
    target = get_target(name)
    without = RuntimeReport(target.runtime, "1.0", {"CPU": "a processor"}, "")
    assert command in "; ".join(_missing(target, without, {"nvidia": "", "opencl": "", "npu": ""}))


def test_doctor_finds_nothing_missing():
    here = RuntimeReport("openvino", "1.0", {"GPU.0": "Arc", "GPU.1": "Arc"}, "")
    assert list(_missing(get_target("intel-gpu"), here, {"nvidia": ""})) == []
    thor = RuntimeReport("tensorrt", "11.4", {"cuda:0": "Thor"}, "")
    assert list(_missing(get_target("jetson-thor"), thor, {"nvidia": "NVRM 580"})) == []
