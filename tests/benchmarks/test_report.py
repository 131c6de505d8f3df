"""Reports as data: written, read, merged, compared."""

import dataclasses
import json

import pytest

from sam3i_edge.benchmarks.accuracy import with_drops
from sam3i_edge.benchmarks.charts import pareto, ratio_intervals
from sam3i_edge.benchmarks.compare import Condition, changes, failures, gone
from sam3i_edge.benchmarks.markdown import render_markdown
from sam3i_edge.benchmarks.merge import merge
from sam3i_edge.benchmarks.report import read_report, write_report
from sam3i_edge.benchmarks.tables import headline, ratios
from sam3i_edge.cli import main
from sam3i_edge.errors import BenchmarkError
from tests.benchmarks.reports import make_report, make_run


def edited_frames(run, samples):
    return dataclasses.replace(run, frame_ms=dataclasses.replace(run.frame_ms, samples=samples))


def slower(factor):
    return make_report(runs=(make_run("int8 bundle", factor), make_run("torch", baseline=True)))


def test_what_is_written_is_read_back(tmp_path):
    report = make_report()
    file = write_report(tmp_path / "new", report)
    assert read_report(file) == read_report(tmp_path / "new") == report
    assert [path.name for path in file.parent.iterdir()] == ["report.json"]


def test_the_names_that_others_read_by(tmp_path):
    content = json.loads(write_report(tmp_path, make_report()).read_text(encoding="utf-8"))
    run = content["runs"][0]
    for summary in (run["frame_ms"], *run["stages_ms"].values()):
        assert {"p50", "p90", "p99", "mean", "samples"} <= summary.keys()
    assert {"bundle", "peak_rss_mb", "accuracy"} <= run.keys()
    assert {"of", "to", "p50", "ci95"} <= content["ratios"][0].keys()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is no report"),
        ('{"schema": "other"}', "is no sam3i-edge-report. Give a folder that sam3i-edge benchmark wrote"),
        ('{"schema": "sam3i-edge-report", "schema_version": 9}', "has report version 9; this package reads 1"),
        ('{"schema": "sam3i-edge-report", "schema_version": 1}', "created is missing"),
    ],
)
def test_what_is_no_report_is_refused(tmp_path, content, message):
    (tmp_path / "report.json").write_text(content, encoding="utf-8")
    with pytest.raises(BenchmarkError, match=message):
        read_report(tmp_path)


def with_picture(run, jpeg):
    return dataclasses.replace(run, pictures=(dataclasses.replace(run.pictures[0], jpeg=jpeg),))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"runs": ()}, "it has no runs"),
        ({"machines": ()}, "there is no machine 'test bench', on which int8 bundle ran"),
        ({"runs": (dataclasses.replace(make_run("a"), stages_ms={}),)}, "a has no times of preprocess, vision, text"),
        ({"runs": (edited_frames(make_run("a"), ()),)}, "a has times that are none"),
        ({"runs": (edited_frames(make_run("a"), (0.0,)),)}, "a has times that are none"),
        ({"runs": (with_picture(make_run("a"), '"><meta>'),)}, "a has a picture that is not base64"),
        ({"runs": (edited_frames(make_run("a"), (float("nan"),)),)}, r"samples\[0\] is nan; it must be finite"),
    ],
)
def test_a_report_that_cannot_be_shown_is_refused(tmp_path, change, message):
    write_report(tmp_path, make_report(**change))
    with pytest.raises(BenchmarkError, match=message):
        read_report(tmp_path)


def test_rendering_leaves_other_reports_alone(tmp_path, monkeypatch, capsys):
    """Without -o the pages come to lie beside their report, not in the folder that benchmark writes to."""
    monkeypatch.chdir(tmp_path)
    write_report(tmp_path / "benchmark", make_report(created="mine"))
    write_report(tmp_path / "theirs", make_report(created="theirs"))
    assert main(["report", "render", "theirs"]) == 0
    assert read_report(tmp_path / "benchmark").created == "mine"
    assert (tmp_path / "theirs/report.html").is_file()


def test_a_report_that_is_not_there(tmp_path):
    with pytest.raises(BenchmarkError, match=r"Cannot read the report .*: sam3i-edge benchmark BUNDLE -o DIR"):
        read_report(tmp_path / "none.json")


def test_merging_tells_machines_apart():
    merged = merge([make_report(), make_report(partial=True)])
    assert [machine.name for machine in merged.machines] == ["test bench", "test bench#2"]
    assert [run.machine for run in merged.runs] == ["test bench"] * 2 + ["test bench#2"] * 2
    assert [ratio.machine for ratio in merged.ratios] == ["test bench"] * 2 + ["test bench#2"] * 2
    assert merged.partial
    assert "int8 bundle · test bench#2 takes" in " ".join(" ".join(line) for line in headline(merged))
    assert "int8 bundle · test bench#2" in ratio_intervals(merged, 960)
    assert [row[0] for row in next(ratios(merged)).rows][-1] == "int8 bundle · test bench#2"
    assert "int8 bundle · test bench#2" in render_markdown(merged)
    again = merge([make_report(), merged])
    assert [machine.name for machine in again.machines] == ["test bench", "test bench#2", "test bench#2#2"]
    with pytest.raises(BenchmarkError, match="two reports or more; given: 1"):
        merge([make_report()])


@pytest.mark.parametrize(
    ("condition", "factor", "fails"),
    [
        ("latency.p50 > 1.1x", 0.54, False),
        ("latency.p50 > 1.1x", 0.56, True),
        ("latency.p50>1.1x", 0.56, True),
        ("stages.vision.p90 >= 1.2x", 0.61, True),
        ("memory.peak_rss_mb > 110", 0.5, False),
        ("memory.peak_rss_mb > 110", 0.55, True),
        ("accuracy.concept.giou < 61", 0.5, False),
        ("accuracy.giou <= 61.25", 0.5, True),
    ],
)
def test_conditions(condition, factor, fails):
    found = changes(make_report(), slower(factor))
    failed = failures([change for change in found if change.after.bundle != "torch"], [Condition.parse(condition)])
    assert bool(failed) == fails, failed


@pytest.mark.parametrize("text", ["latency.p50", "latency.p50 > fast", "> 1x", "latency.p50 == 1x"])
def test_conditions_that_cannot_be_read(text):
    with pytest.raises(BenchmarkError, match=r"Cannot read the condition .*'latency.p50 > 1.1x'"):
        Condition.parse(text)


def test_a_run_that_is_gone_does_not_pass_a_gate(tmp_path, capsys):
    before, after = make_report(), make_report(runs=(make_run("torch", baseline=True),), partial=True)
    assert gone(before, after, changes(before, after)) == ["int8 bundle"]
    folders = [str(write_report(tmp_path / name, report).parent) for name, report in (("a", before), ("b", after))]
    assert main(["report", "compare", *folders]) == 0
    shown = capsys.readouterr()
    assert "int8 bundle: not in " in shown.out and "b was interrupted" in shown.err
    assert main(["report", "compare", *folders, "--fail-if", "latency.p50 > 1.1x"]) == 1
    assert "failed: int8 bundle: not measured in " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("runs", "condition", "message"),
    [
        (
            [dataclasses.replace(make_run("int8 bundle"), accuracy=None)],
            "accuracy.giou < 1x",
            "Unknown metric 'accuracy",
        ),
        ([make_run("torch", giou=float("nan"))], "accuracy.giou < 50", r"accuracy\.giou of torch is no number"),
        ([make_run("torch"), make_run("torch", baseline=True)], "latency.p50 > 1x", "two runs named torch"),
        ([make_run("a"), make_run("b")], "latency.p50 > 1x", "no run in common: int8 bundle, torch and a, b"),
    ],
)
def test_what_does_not_pass_a_gate(runs, condition, message):
    with pytest.raises(BenchmarkError, match=message):
        failures(changes(make_report(), make_report(runs=tuple(runs))), [Condition.parse(condition)])


def test_one_run_against_one_needs_no_names():
    single = [make_report(runs=(make_run(name),)) for name in "ab"]
    assert changes(*single)[0].after.bundle == "b"


def test_a_merged_report_is_compared_as_those_it_was_made_of():
    """Whichever side it is on, and although merging put machines behind the names and a number behind one."""
    mine, theirs = make_report(), make_report(machines=(dataclasses.replace(make_report().machines[0], name="other"),))
    theirs = dataclasses.replace(theirs, runs=tuple(dataclasses.replace(run, machine="other") for run in theirs.runs))
    merged = merge([mine, dataclasses.replace(theirs, ratios=())])
    for before, after in ((mine, merged), (merged, mine), (merged, merged)):
        found = changes(before, after)
        assert len(found) == min(len(before.runs), len(after.runs))
        assert all(change.before.machine == change.after.machine for change in found)
    twice = merge([mine, mine])
    assert [change.name for change in changes(mine, twice)] == [f"{run.bundle} · test bench" for run in mine.runs]
    assert len(changes(twice, twice)) == 4


def test_drops_are_against_the_float_baseline():
    fast, torch = with_drops([make_run("int8", giou=60.0), make_run("torch", giou=61.5, baseline=True)])
    assert (fast.accuracy.reference, fast.accuracy.drop_giou) == ("torch", 1.5)
    assert fast.accuracy.routes["concept"].drop_giou == 1.5
    assert (torch.accuracy.reference, torch.accuracy.drop_giou) == ("torch", 0.0)


def test_the_pareto_front():
    fast, good, beaten, twin = (1, 10), (3, 30), (4, 20), (3, 30)
    assert pareto([fast, good, beaten, twin]) == [fast, good, twin]


def test_markdown_begins_with_the_ratio_and_says_what_is_missing():
    text = render_markdown(make_report(partial=True))
    assert text.index("Partial") < text.index("int8 bundle takes 0.501 × the time of torch (0.495 to 0.508, 60 rounds)")
    assert "> Left out: jetson: it is for aarch64" in text
