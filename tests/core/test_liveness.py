"""Whether a run lives: the lock, then the process, then the beat."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tui_loop.core import liveness
from tui_loop.core.codec import to_json
from tui_loop.core.errors import BadInput
from tui_loop.core.liveness import Holder, RunLock, Watch, holder_of

HOLD = """
import sys
from pathlib import Path
from tui_loop.core.liveness import RunLock
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
    fields = {"pid": process.pid, "started": process.create_time(), "boot": liveness._boot()}
    holder = {"host": host or socket.gethostname(), **fields, **more}
    path.write_bytes(to_json(holder) + b"\n")


def test_a_lock_cannot_be_taken_twice_and_is_free_again_afterwards(path: Path) -> None:
    with RunLock(path):
        with pytest.raises(BadInput, match="another process is running"), RunLock(path):
            pass
        assert Watch(path).look() == "alive"
    with RunLock(path):
        assert Watch(path).look() == "alive"


def test_a_lock_is_released_when_its_block_fails(path: Path) -> None:
    with pytest.raises(ZeroDivisionError), RunLock(path):
        raise ZeroDivisionError
    with RunLock(path):
        pass


def test_a_run_that_let_go_is_gone_though_its_process_lives(path: Path) -> None:
    with RunLock(path):
        pass
    assert Watch(path).look() == "gone"


def test_a_lock_says_who_holds_it(path: Path) -> None:
    assert holder_of(path) is None
    with RunLock(path):
        holder = holder_of(path)
    assert holder is not None
    assert (holder.host, holder.pid) == (socket.gethostname(), os.getpid())
    assert holder.started == pytest.approx(psutil.Process().create_time(), abs=1.0)


def test_a_process_that_holds_the_lock_is_alive_and_a_killed_one_is_gone(path: Path) -> None:
    with holding_process(path) as process:
        watch = Watch(path)
        assert watch.look() == "alive"
        with pytest.raises(BadInput), RunLock(path):
            pass
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
        assert watch.look() == "gone"
        process.wait()
        assert watch.look() == "gone"
        with RunLock(path):
            assert watch.look() == "alive"


def test_looking_does_not_keep_a_run_from_starting(path: Path) -> None:
    path.touch()
    over = threading.Event()

    def look_on() -> None:
        while not over.is_set():
            Watch(path).look()

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
            assert Watch(path).look() == "alive"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("content", [b"", b"junk", b'{"host": "h"}', b"\xff"])
def test_a_lock_file_that_names_nobody_is_of_a_run_that_is_gone(path: Path, content: bytes) -> None:
    assert Watch(path).look() == "gone"
    path.write_bytes(content)
    assert Watch(path).look() == "gone"
    assert holder_of(path) is None


def test_without_a_working_lock_the_process_decides(path: Path) -> None:
    write(path)
    assert Watch(path).look() == "alive"
    write(path, started=psutil.Process().create_time() - 100)  # the number was given out again
    assert Watch(path).look() == "gone"
    write(path, pid=2**22 + 5)  # above what the system gives out
    assert Watch(path).look() == "gone"


@pytest.mark.parametrize("where", [{"host": "elsewhere"}, {"boot": "another boot"}])
def test_on_another_host_or_boot_the_beat_decides(
    path: Path, where: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(path, **where)
    watch = Watch(path)
    assert watch.look() == "unknown"
    assert watch.look() == "unknown"
    os.utime(path, (1.0, 1.0))  # clocks are not compared: any change is a beat
    assert watch.look() == "alive"
    assert watch.look() == "unknown"
    monkeypatch.setattr(liveness, "GONE_AFTER_SECONDS", 0.0)
    assert watch.look() == "gone"
    os.utime(path, (2.0, 2.0))
    assert watch.look() == "alive"


def test_a_held_lock_beats(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "BEAT_SECONDS", 0.001)
    with RunLock(path):
        os.utime(path, (1.0, 1.0))
        for _ in range(10_000):
            if path.stat().st_mtime > 1.0:
                break
            os.sched_yield()
        assert path.stat().st_mtime > 1.0


def test_the_holder_is_one_json_object(path: Path) -> None:
    with RunLock(path):
        assert path.read_bytes().count(b"\n") == 1
        assert Holder.__struct_fields__ == ("host", "pid", "started", "boot")
