"""Files that are whole or not there."""

from __future__ import annotations

import os
import threading

import pytest

from sam3i_edge.files import write_whole


def test_it_is_there_and_nothing_beside_it(tmp_path):
    file = tmp_path / "x"
    for content in (b"one", b""):
        write_whole(file, content)
        assert file.read_bytes() == content
    assert list(tmp_path.iterdir()) == [file]


def test_a_full_disk_leaves_what_was_there(tmp_path, full_disk):
    file = tmp_path / "x"
    write_whole(file, b"before")
    with pytest.raises(OSError, match="File too large"):
        write_whole(file, bytes(200_000))
    assert file.read_bytes() == b"before" and list(tmp_path.iterdir()) == [file]


def test_others_may_read_it_as_far_as_the_umask_lets_them(tmp_path):
    for umask, mode in ((0o022, 0o644), (0o077, 0o600)):
        before = os.umask(umask)
        try:
            write_whole(tmp_path / "x", b"")
        finally:
            os.umask(before)
        assert (tmp_path / "x").stat().st_mode & 0o777 == mode


def test_a_link_stays_and_a_pipe_gets_it(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", b"linked")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "file").read_bytes() == b"linked"
    pipe, read = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    write_whole(pipe, b"piped")
    reader.join()
    assert read == [b"piped"] and pipe.is_fifo()


def test_writers_at_a_time_leave_one_whole(tmp_path):
    file = tmp_path / "x"
    contents = [bytes([i]) * 100_000 for i in range(4)]
    threads = [threading.Thread(target=lambda c=c: [write_whole(file, c) for _ in range(20)]) for c in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert not file.exists() or file.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [file]
