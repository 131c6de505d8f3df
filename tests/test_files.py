"""Files that are whole or not there."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import signal
import threading

import pytest

from sam3i_edge.files import partial_folder, remove_left_behind, write_whole


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


def test_what_a_kill_left_is_removed_and_what_is_being_written_is_not(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "mine").write_bytes(b"")
    for name in ("x.partial-1", "x.partial-2", "x"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "x.partial-link").symlink_to(outside)
    with (tmp_path / "x.partial-2").open("wb") as written:
        fcntl.flock(written, fcntl.LOCK_EX)
        remove_left_behind(tmp_path, "*.partial-*")
    assert {path.name for path in tmp_path.iterdir()} == {"x", "x.partial-2", "x.partial-link", "outside"}
    assert (outside / "mine").exists()


def _stage_and_wait(output, ready):
    with partial_folder(output) as stage:
        (stage / "file").write_text("x")
        ready.set()
        signal.pause()


def test_folders_that_a_kill_left_are_removed_and_those_of_living_processes_are_not(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready = [context.Event() for _ in range(2)]
    processes = [context.Process(target=_stage_and_wait, args=(tmp_path / "bundle", event)) for event in ready]
    for process in processes:
        process.start()
    assert all(event.wait(60) for event in ready)
    assert len(list(tmp_path.iterdir())) == 2  # neither took the other's away
    os.kill(processes[0].pid, signal.SIGKILL)
    processes[0].join()
    (tmp_path / ".other.partial-x").mkdir()
    with partial_folder(tmp_path / "bundle") as stage:
        left = {path.name for path in tmp_path.iterdir()} - {stage.name, ".other.partial-x"}
        assert len(left) == 1
    processes[1].kill()
    processes[1].join()


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
