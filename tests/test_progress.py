"""Long commands say what they are at also where stderr is a file or a pipe."""

import io
import time

import pytest

from sam3i_edge.commands.progress import counted, steps


@pytest.fixture
def signals(monkeypatch):
    """Those of pytest stay as they are."""
    monkeypatch.setattr("signal.signal", lambda *_: None)


def wait_for(told: str, capsys: pytest.CaptureFixture[str]) -> str:
    text, end = "", time.monotonic() + 20
    while told not in text and time.monotonic() < end:
        time.sleep(0.02)
        text += capsys.readouterr().err
    return text


def test_a_step_that_goes_on_says_so(signals, capsys):
    with steps(quiet=0.05) as step:
        step("exporting the \x1bgrounding graph")
        text = wait_for("still exporting", capsys)
    assert "s] exporting the \\x1bgrounding graph\n" in text
    assert "s] still exporting the \\x1bgrounding graph\n" in text
    time.sleep(0.15)
    assert capsys.readouterr().err.count("still") <= 1  # it ended with the context


def test_a_count_is_told_at_first_now_and_then_and_at_last(capsys):
    show = counted("evaluating", "images", quiet=0.1)
    for done in range(1, 5):
        show(done, 5)
    time.sleep(0.12)
    show(4, 5)
    show(5, 5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(",")[0] for line in lines] == [
        "evaluating: 1 of 5 images",
        "evaluating: 4 of 5 images",
        "evaluating: 5 of 5 images",
    ]


def test_on_a_terminal_it_is_one_line(monkeypatch):
    stream = io.StringIO()
    stream.isatty = lambda: True
    monkeypatch.setattr("sys.stderr", stream)
    show = counted("evaluating", "images")
    show(1, 2)
    show(2, 2)
    assert stream.getvalue().count("\r") == 2 and stream.getvalue().count("\n") == 1
