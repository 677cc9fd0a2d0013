"""Whether a run lives: the lock, then the process, then the beat."""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.faults.kit import Outcome
from tests.waiting import wait_until
from tui_loop.core.errors import BadInput
from tui_loop.core.record import lock as lock_module
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.lock import (
    FILE_BYTES,
    Holder,
    LockWatcher,
    RunLock,
    holder_of,
    trouble_of,
)

HOLD = """
import sys
from pathlib import Path
from tui_loop.core.record.lock import RunLock
with RunLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.lock"


def write(path: Path, host: str | None = None, **more: float | int | str) -> None:
    """A lock file that nobody holds, by default of this very process."""
    process = psutil.Process()
    fields = {"pid": process.pid, "started": process.create_time(), "boot": lock_module._boot()}
    holder = {"host": host or socket.gethostname(), **fields, **more}
    path.write_bytes(to_json(holder) + b"\n")


def test_a_lock_cannot_be_taken_twice_and_is_free_again_afterwards(path: Path) -> None:
    with RunLock(path):
        with pytest.raises(BadInput, match="another process is running"), RunLock(path):
            pass
        assert LockWatcher(path).poll() == "alive"
    with RunLock(path):
        assert LockWatcher(path).poll() == "alive"


def test_a_lock_is_released_when_its_block_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLock(path):
        raise ZeroDivisionError
    with RunLock(path):
        pass


def test_a_run_that_let_go_is_gone_though_its_process_lives(path: Path) -> None:
    with RunLock(path):
        pass
    assert LockWatcher(path).poll() == "gone"


def test_a_lock_says_who_holds_it(path: Path) -> None:
    assert holder_of(path) is None
    with RunLock(path):
        holder = holder_of(path)
    assert holder is not None
    assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())
    assert holder.started == pytest.approx(psutil.Process().create_time(), abs=1.0)


def test_a_process_that_holds_the_lock_is_alive_and_a_killed_one_is_gone(path: Path) -> None:
    with holding_process(path) as process:
        watch = LockWatcher(path)
        assert watch.poll() == "alive"
        with pytest.raises(BadInput), RunLock(path):
            pass
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
        assert watch.poll() == "gone"
        process.wait()
        assert watch.poll() == "gone"
        with RunLock(path):
            assert watch.poll() == "alive"


def test_looking_does_not_keep_a_run_from_starting(path: Path) -> None:
    path.touch()
    over = threading.Event()

    def look_on() -> None:
        while not over.is_set():
            LockWatcher(path).poll()

    onlooker = threading.Thread(target=look_on)
    onlooker.start()
    try:
        for _ in range(50):
            with RunLock(path):
                pass
    finally:
        over.set()
        onlooker.join()


def test_a_full_disk_does_not_keep_a_run_from_holding_its_lock(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with RunLock(path):
            assert LockWatcher(path).poll() == "alive"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("content", [b"", b"junk", b'{"host": "h"}', b"\xff"])
def test_a_lock_file_that_names_nobody_is_of_a_run_that_is_gone(path: Path, content: bytes) -> None:
    assert LockWatcher(path).poll() == "gone"
    path.write_bytes(content)
    assert LockWatcher(path).poll() == "gone"
    assert holder_of(path) is None


def test_without_a_working_lock_the_process_decides(path: Path) -> None:
    write(path)
    assert LockWatcher(path).poll() == "alive"
    write(path, started=psutil.Process().create_time() - 100)  # the number was given out again
    assert LockWatcher(path).poll() == "gone"
    write(path, pid=2**22 + 5)  # above what the system gives out
    assert LockWatcher(path).poll() == "gone"


@pytest.mark.parametrize("where", [{"host": "elsewhere"}, {"boot": "another boot"}])
def test_on_another_host_or_boot_the_beat_decides(
    path: Path, where: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, **where)
    watch = LockWatcher(path)
    assert watch.poll() == "unknown"
    assert watch.poll() == "unknown"
    os.utime(path, (1.0, 1.0))  # clocks are not compared: any change is a beat
    assert watch.poll() == "alive"
    assert watch.poll() == "unknown"
    monkeypatch.setattr(lock_module, "GONE_AFTER_SECONDS", 0.0)
    assert watch.poll() == "gone"
    os.utime(path, (2.0, 2.0))
    assert watch.poll() == "alive"


@pytest.mark.parametrize("where", [{"host": "elsewhere"}, {"boot": "another boot"}])
def test_a_beat_long_past_by_the_file_systems_own_clock_is_of_a_run_that_is_gone(
    path: Path, where: dict[str, str]
) -> None:
    write(path, **where)
    stamped = path.stat().st_mtime
    os.utime(path, (stamped, stamped - lock_module.GONE_AFTER_SECONDS - 1))
    watch = LockWatcher(path)
    assert watch.poll() == "gone"
    assert watch.poll() == "gone"
    os.utime(path, (stamped, stamped))
    assert watch.poll() == "alive", "it was asleep"


@pytest.mark.parametrize("step", [-1e6, 1e6])
def test_this_hosts_clock_does_not_matter(
    path: Path, step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, host="elsewhere")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + step)
    watch = LockWatcher(path)
    assert watch.poll() == "unknown"
    os.utime(path, (now, now - 30))
    assert watch.poll() == "alive"


def test_a_held_lock_beats(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_module, "HEARTBEAT_SECONDS", 0.001)
    with RunLock(path):
        os.utime(path, (1.0, 1.0))
        wait_until(lambda: path.stat().st_mtime > 1.0, "a beat")


def test_the_holder_is_one_json_object(path: Path) -> None:
    with RunLock(path):
        assert path.read_bytes().count(b"\n") == 1
        assert Holder.__struct_fields__ == ("host", "pid", "started", "boot", "doing")
        assert b"doing" not in path.read_bytes()


def test_word_of_trouble_is_seen_by_a_watch_that_is_there_already(path: Path) -> None:
    with RunLock(path) as lock:
        watch = LockWatcher(path)
        assert (watch.poll(), watch.trouble) == ("alive", "")
        lock.report_trouble("disk full: 3 lines wait")
        assert (watch.poll(), watch.trouble) == ("alive", "disk full: 3 lines wait")
        assert trouble_of(path) == watch.trouble
        lock.report_trouble("")
        assert (watch.poll(), watch.trouble) == ("alive", "")
    assert trouble_of(path) == ""


def test_word_of_trouble_needs_no_room_on_the_disk(path: Path) -> None:
    with RunLock(path) as lock:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, hard))
        try:
            for text in ("disk full: 3 lines wait", "x" * 5000, "ü" * 300, "disk full"):
                lock.report_trouble(text)
                assert path.stat().st_size == FILE_BYTES
                told = trouble_of(path)
                assert told
                assert text.startswith(told)
                assert holder_of(path) is not None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_trouble_that_was_not_over_at_the_end_stays_and_names_nobody(path: Path) -> None:
    with RunLock(path) as lock:
        lock.report_trouble("disk full: 3 lines never written")
    watch = LockWatcher(path)
    assert (watch.poll(), watch.trouble) == ("gone", "disk full: 3 lines never written")
    assert holder_of(path) is None
    lock.report_trouble("too late")
    assert trouble_of(path) == "disk full: 3 lines never written"
    with RunLock(path):
        assert trouble_of(path) == ""


def test_a_lock_file_of_an_older_version_is_understood(path: Path) -> None:
    write(path)  # as it was without word of trouble
    watch = LockWatcher(path)
    assert (watch.poll(), watch.trouble) == ("alive", "")
    holder = holder_of(path)
    assert holder is not None
    assert holder.pid == os.getpid()


def test_an_older_version_understands_this_ones(path: Path) -> None:
    with RunLock(path) as lock:
        lock.report_trouble("disk full")
        read = json.loads(path.read_bytes()[:4096])
    assert Holder(*(read[name] for name in ("host", "pid", "started", "boot"))).pid == os.getpid()


@pytest.mark.fault(
    "git clean removes, or something replaces or cuts, a live run's lock file",
    group="process",
    state="-",
    readable="that the run lives; no second one can begin",
)
@pytest.mark.parametrize("how", ["removed", "replaced", "cut"])
def test_a_lock_file_that_is_taken_away_is_put_back(
    path: Path, how: str, monkeypatch: pytest.MonkeyPatch, outcome: Outcome
) -> None:
    monkeypatch.setattr(lock_module, "CHECK_SECONDS", 0.001)
    with RunLock(path) as lock:
        if how == "cut":
            os.truncate(path, 0)
        else:
            path.unlink()
        if how == "replaced":
            path.write_text("junk")
        wait_until(lambda: holder_of(path) is not None, "the lock file put back")
        holder = holder_of(path)
        assert holder is not None
        assert holder.pid == os.getpid()
        with pytest.raises(BadInput, match="another process"), RunLock(path):
            pass
        assert LockWatcher(path).poll() == "alive"
        lock.report_trouble("disk full")
        assert trouble_of(path) == "disk full"
    assert LockWatcher(path).poll() == "gone"
    outcome.checked()


def test_a_lock_that_cannot_be_written_is_one_clear_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(lock_module, "_opened", refuse)
    with pytest.raises(BadInput, match=r"run\.lock: cannot be written: Read-only"), RunLock(path):
        pass


def test_where_the_file_system_has_no_locks_the_holder_decides(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(lock_module.fcntl, "flock", refuse)
    with RunLock(path):
        assert LockWatcher(path).poll() == "alive"
        with pytest.raises(BadInput, match="another process"), RunLock(path):
            pass
    assert LockWatcher(path).poll() == "gone"


def test_a_watch_measures_silence_by_its_own_clock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, watch = [1000.0], LockWatcher(path)
    monkeypatch.setattr(lock_module.time, "monotonic", lambda: now[0])
    with holding_process(path) as process:
        process.send_signal(signal.SIGSTOP)
        assert (watch.poll(), watch.silent_s) == ("alive", None)
        now[0] += lock_module.GONE_AFTER_SECONDS + 10
        assert watch.poll() == "alive"
        assert watch.silent_s in range(70, 72)
        monkeypatch.setattr(time, "time", lambda: 0.0)  # a clock that jumped
        assert watch.poll() == "alive"
        assert watch.silent_s in range(70, 72)
        os.utime(path)
        assert (watch.poll(), watch.silent_s) == ("alive", None)
    assert (watch.poll(), watch.silent_s) == ("gone", None)


def test_a_first_poll_asks_the_file_systems_clock_for_the_silence(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RunLock(path):
        beat = path.stat().st_mtime
        monkeypatch.setattr(time, "time", lambda: beat + 1e6)
        watch = LockWatcher(path)
        assert (watch.poll(), watch.silent_s) == ("alive", None)
        os.utime(path, (beat, beat - 300))
        watch = LockWatcher(path)
        assert watch.poll() == "alive"
        assert watch.silent_s in range(300, 330)
