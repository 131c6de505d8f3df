"""What a run says of a device that does not keep its speed."""

import dataclasses
import html

import pytest

from sam3i_edge.benchmarks.html import render_html
from sam3i_edge.benchmarks.sustained import slowdown_notes, windows
from tests.benchmarks.reports import make_report


def minute(slow_ms, slow_mhz=3000.0):
    """A frame per second; the second half is another one."""
    frames = [(float(at), 20.0 if at < 30 else slow_ms) for at in range(61)]
    return frames, [(float(at), 3000.0 if at < 30 else slow_mhz, None) for at in range(61)]


def test_a_device_that_throttles_is_named():
    found = windows(*minute(40.0, 1500.0), 7)
    assert (found.slowdown, found.throttled, len(found.windows)) == (2.0, 7, 30)
    assert sum(window.frames for window in found.windows) == 61
    assert [found.windows[i].clock_mhz for i in (0, -1)] == [3000.0, 1500.0]
    assert [found.windows[i].temperature_c for i in (0, -1)] == [None, None]
    report = make_report()
    runs = [dataclasses.replace(run, sustained=found) for run in report.runs[:1]]
    (note,) = slowdown_notes(runs)
    assert note.startswith(
        f"{runs[0].bundle} became slower in the sustained run: the last window's median is 2.0 times"
    )
    assert html.escape(note) in render_html(dataclasses.replace(report, runs=tuple(runs), notes=(note,)))


def test_a_steady_device_is_not():
    found = windows(*minute(21.0), None)
    assert found.slowdown == pytest.approx(1.05)
    assert slowdown_notes([dataclasses.replace(make_report().runs[0], sustained=found)]) == []


def test_a_pause_leaves_no_empty_window():
    found = windows(
        [(1.0, 5.0), (2.0, 5.0), (99.0, 5.0), (100.0, 5.0)], [(at, None, None) for at in (1.0, 2.0, 99.0, 100.0)], 0
    )
    assert [window.frames for window in found.windows] == [2, 2]
    assert windows([(1.0, 5.0)], [(1.0, None, None)], 0) is None
