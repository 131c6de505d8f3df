"""A folder is written whole or not at all."""

from pathlib import Path

import pytest

from sam3i_edge.errors import ExportError
from sam3i_edge.export.staging import staged


def test_staged_appears_only_when_done(tmp_path):
    output = tmp_path / "new" / "bundle"
    with staged(output) as stage:
        (stage / "file").write_text("x")
        assert not output.exists()
    assert (output / "file").read_text() == "x"
    assert [path.name for path in output.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
def test_staged_leaves_nothing_when_interrupted(tmp_path, error):
    with pytest.raises(error), staged(tmp_path / "bundle") as stage:
        (stage / "file").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_staged_leaves_no_new_parents_behind(tmp_path):
    with pytest.raises(KeyboardInterrupt), staged(tmp_path / "new" / "parents" / "bundle"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_output_that_is_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with staged(tmp_path / "link") as stage:
        (stage / "file").write_text("x")
    assert (tmp_path / "real/file").read_text() == "x"
    assert (tmp_path / "link").is_symlink()


def test_output_name_too_long(tmp_path):
    with pytest.raises(ExportError, match="File name too long"), staged(tmp_path / ("x" * 300)):
        pytest.fail("the work must not begin")


def test_output_not_empty(tmp_path):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ExportError, match=r"is not empty\. Remove it, or give another"), staged(tmp_path):
        pytest.fail("the work must not begin")
    with pytest.raises(ExportError, match="is a file"), staged(tmp_path / "mine"):
        pytest.fail("the work must not begin")
    assert (tmp_path / "mine").read_text() == "x"


def test_empty_output_folder_is_fine(tmp_path):
    (tmp_path / "bundle").mkdir()
    with staged(tmp_path / "bundle") as stage:
        (stage / "file").write_text("x")
    assert (tmp_path / "bundle/file").exists()


def test_output_not_writable(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ExportError, match="Cannot write to"), staged(tmp_path / "file" / "bundle"):
        pytest.fail("the work must not begin")
    with pytest.raises(ExportError, match="Cannot write to /proc"), staged(Path("/proc/bundle")):
        pytest.fail("the work must not begin")
