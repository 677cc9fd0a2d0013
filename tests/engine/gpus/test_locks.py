"""The locks of GPUs: among processes, users, and people who want to do harm."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tui_loop.engine.gpus.locks import (
    FOLDER,
    FOLDER_VARIABLE,
    NoLock,
    acquire,
    is_locked,
    lock_folder,
    owner_of,
)

GPU = "GPU-1f"
NOBODY = 65_534
as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as two users")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The lock folder, in a place that every user can reach."""
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "locks"))
    for each in (tmp_path, *tmp_path.parents[:3]):
        if each.stat().st_uid == os.getuid() and each != Path("/tmp"):
            each.chmod(each.stat().st_mode | 0o755)
    return tmp_path / "locks"


@contextmanager
def other(code: str, folder: Path, *, user: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A process with `acquire` and others imported, in which `say(x)` prints a line; killed at the
    end."""
    head = (
        "import os, sys, time\n"
        "from tui_loop.engine.gpus.locks import *\n"
        "from tui_loop.engine.gpus.locks import acquire, is_locked, owner_of\n"
        "say = lambda x: print(x, flush=True)\n"
    )
    drop = f"os.setgid({user}); os.setuid({user})\n" if user is not None else ""
    process = subprocess.Popen(
        [sys.executable, "-c", head + drop + textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, FOLDER_VARIABLE: str(folder)},
    )
    with process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def test_the_folder_lies_in_tmp_unless_a_variable_names_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)
    assert lock_folder() == FOLDER == Path("/tmp/tui-loop-gpus")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    assert lock_folder() == tmp_path


def test_all_users_may_use_the_folder_and_the_files_whatever_the_mask(folder: Path) -> None:
    mask = os.umask(0o077)
    try:
        lock = acquire(GPU, "support/1")
    finally:
        os.umask(mask)
    assert lock is not None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
    [file] = folder.iterdir()
    assert file.name == "GPU-1f.lock"
    assert stat.S_IMODE(file.stat().st_mode) == 0o666
    lock.release()


def test_the_owner_is_named_while_the_lock_is_held_and_not_after(folder: Path) -> None:
    assert owner_of(GPU) is None
    lock = acquire(GPU, "support/1\x1b[2J" + "x" * 100)
    assert lock is not None
    owner = owner_of(GPU)
    assert owner is not None
    assert (owner.pid, owner.uid) == (os.getpid(), os.getuid())
    assert owner.run.startswith("support/1")
    assert "\x1b" not in owner.run
    assert len(owner.run) <= 60
    assert abs(owner.since - time.time()) < 60
    assert acquire(GPU, "support/2") is None
    lock.release()
    assert owner_of(GPU) is None
    assert not is_locked(GPU)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"[" * 5000, b'{"pid":"x"}', b"null"])
def test_a_lock_whose_file_says_nothing_sensible_is_held_all_the_same(
    folder: Path, content: bytes
) -> None:
    lock = acquire(GPU, "support/1")
    assert lock is not None
    (folder / "GPU-1f.lock").write_bytes(content)
    assert is_locked(GPU)
    assert owner_of(GPU) is None
    assert acquire(GPU, "support/2") is None
    lock.release()


def test_kill_9_frees_a_gpu(folder: Path) -> None:
    with other(f"lock = acquire('{GPU}', 'a/1'); say('held'); time.sleep(600)", folder) as holder:
        assert line_of(holder) == "held"
        assert acquire(GPU, "a/2") is None
    lock = acquire(GPU, "a/2")
    assert lock is not None
    lock.release()


def test_a_child_that_outlives_its_run_does_not_keep_the_gpu(folder: Path) -> None:
    forks = f"""
        lock = acquire('{GPU}', 'a/1')
        child = os.fork()
        if child == 0:
            time.sleep(600)
        lock.release()
        say(acquire('{GPU}', 'a/2') is not None)
        os.kill(child, 9)
    """
    with other(forks, folder) as parent:
        assert line_of(parent) == "True"
        parent.wait()


@as_root
def test_two_users_share_the_locks(folder: Path) -> None:
    lock = acquire(GPU, "mine/1")
    assert lock is not None
    asks = f"say(acquire('{GPU}', 'theirs/1')); say(owner_of('{GPU}').run)"
    with other(asks, folder, user=NOBODY) as stranger:
        assert (line_of(stranger), line_of(stranger)) == ("None", "mine/1")
    lock.release()
    takes = f"lock = acquire('{GPU}', 'theirs/1'); say(lock is not None); time.sleep(600)"
    with other(takes, folder, user=NOBODY) as stranger:
        assert line_of(stranger) == "True"  # the file of another user
        assert acquire(GPU, "mine/2") is None
        owner = owner_of(GPU)
        assert owner is not None
        assert (owner.uid, owner.run) == (NOBODY, "theirs/1")


@as_root
def test_a_folder_that_another_user_made_serves_as_well(folder: Path) -> None:
    folder.parent.chmod(0o777)
    takes = f"say(acquire('{GPU}', 'theirs/1') is not None)"
    with other(takes, folder, user=NOBODY) as first:
        assert line_of(first) == "True"
    assert folder.stat().st_uid == NOBODY
    lock = acquire(GPU, "mine/1")
    assert lock is not None
    lock.release()


def test_links_and_other_traps_are_not_used(folder: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    folder.mkdir()
    file = folder / "GPU-1f.lock"
    for trap in (file.symlink_to, file.hardlink_to):
        trap(victim)
        with pytest.raises(NoLock):
            acquire(GPU, "support/1")
        assert not is_locked(GPU)
        assert owner_of(GPU) is None
        file.unlink()
    for make in (file.mkdir, lambda: os.mkfifo(file)):
        make()
        with pytest.raises(NoLock):
            acquire(GPU, "support/1")
        file.rmdir() if file.is_dir() else file.unlink()
    assert victim.read_text() == "precious"


def test_a_folder_that_is_a_link_or_a_file_is_not_used(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(NoLock):
        acquire(GPU, "support/1")
    assert list((tmp_path / "elsewhere").iterdir()) == []
    folder.unlink()
    folder.write_text("")
    with pytest.raises(NoLock):
        acquire(GPU, "support/1")
    assert not is_locked(GPU)


def test_a_lock_file_that_was_removed_protects_nobody_but_is_made_again(folder: Path) -> None:
    lock = acquire(GPU, "support/1")
    assert lock is not None
    (folder / "GPU-1f.lock").unlink()
    second = acquire(GPU, "support/2")
    assert second is not None
    assert owner_of(GPU) is not None
    lock.release()
    assert is_locked(GPU)
    second.release()


@pytest.mark.parametrize("uuid", ["MIG-GPU-1f/1/0", "../../etc/passwd", "GPU-" + "a" * 300, "a\0b"])
def test_any_uuid_names_a_file_in_the_folder(folder: Path, uuid: str) -> None:
    lock = acquire(uuid, "support/1")
    assert lock is not None
    [file] = folder.iterdir()
    assert file.suffix == ".lock"
    assert is_locked(uuid)
    lock.release()


def test_no_gpu_is_ever_held_twice(folder: Path, tmp_path: Path) -> None:
    """Six processes take and give back three GPUs; a marker that exists would show a second one."""
    race = f"""
        held = 0
        for turn in range(60):
            for gpu in ("GPU-0", "GPU-1", "GPU-2"):
                lock = acquire(gpu, "a/1")
                if lock is None:
                    continue
                marker = os.path.join({str(tmp_path)!r}, gpu)
                os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
                time.sleep(0.001)
                os.unlink(marker)
                lock.release()
                held += 1
        say(held)
    """
    with ExitStack() as started:
        racers = [started.enter_context(other(race, folder)) for _ in range(6)]
        counts = [int(line_of(racer) or -1) for racer in racers]
        assert [racer.wait() for racer in racers] == [0] * 6
    assert min(counts) >= 1
