"""A folder is written whole or not at all."""

import pytest

from sam3i_edge.errors import ExportError
from sam3i_edge.exporter.staging import staged


def test_staged_appears_only_when_done(tmp_path):
    output = tmp_path / "new" / "bundle"
    with staged(output) as stage:
        (stage / "file").write_text("x")
        assert not output.exists()
    assert (output / "file").read_text() == "x"
    assert [path.name for path in output.parent.iterdir()] == ["bundle"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
@pytest.mark.parametrize("output", ["bundle", "new/parents/bundle"])
def test_staged_leaves_nothing_when_interrupted(tmp_path, error, output):
    with pytest.raises(error), staged(tmp_path / output) as stage:
        (stage / "file").write_text("x")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_output_that_is_a_link(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with staged(tmp_path / "link") as stage:
        (stage / "file").write_text("x")
    assert (tmp_path / "real/file").read_text() == "x"
    assert (tmp_path / "link").is_symlink()


def test_empty_output_folder_is_fine(tmp_path):
    (tmp_path / "bundle").mkdir()
    with staged(tmp_path / "bundle") as stage:
        (stage / "file").write_text("x")
    assert (tmp_path / "bundle/file").exists()


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("x" * 300, "File name too long"),
        (".", r"is not empty\. Remove it, or give another"),
        ("mine", "is a file"),
        ("mine/bundle", "Cannot write to"),
        ("/proc/bundle", "Cannot write to /proc"),
    ],
)
def test_an_output_that_cannot_be(tmp_path, output, message):
    (tmp_path / "mine").write_text("x")
    with pytest.raises(ExportError, match=message), staged(tmp_path / output):
        pytest.fail("the work must not begin")
    assert (tmp_path / "mine").read_text() == "x"
