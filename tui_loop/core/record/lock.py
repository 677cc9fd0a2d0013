"""The lock of a live run, and the check whether a run is alive.

Evidence in order: the lock is held; a process with the recorded start time and boot id exists;
else the heartbeat (the file's modification time), which readers observe over time, since clocks of
two hosts must not be compared.

The file has its full length from the start and is overwritten in place, so that a message can be
written on a full disk. Unknown keys are ignored.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.folder_place import FolderPlace
from tui_loop.core.record.safe_open import check_regular, open_regular

HEARTBEAT_SECONDS = 5.0
GONE_AFTER_SECONDS = 60.0
CHECK_SECONDS = 1.0
"""Interval at which a holder checks that its lock file is still in its place."""

TRIES = 20
READ_BYTES = 4096
_RELEASED = -1

Liveness = Literal["alive", "gone", "unknown"]


class RunLock:
    """Context manager that holds the lock of a live run and updates its heartbeat.

    Raises BadInput if the lock is held by another process or cannot be written. Restores a lock
    file that is removed or replaced meanwhile, unless its folder was moved. `trouble`: the last
    reported one. `doing`: what the holder does, in one word.
    """

    def __init__(self, path: Path, doing: str = "") -> None:
        self.path, self._doing = path, doing
        self._descriptor = _RELEASED
        self.trouble = ""
        self._changing = threading.Lock()
        self._released = threading.Event()

    def __enter__(self) -> RunLock:
        check_regular(self.path)
        try:
            descriptor = _opened(self.path)
            self._place = FolderPlace(self.path.parent)
        except OSError as error:
            raise BadInput(
                f"{self.path}: cannot be written: {error.strerror}",
                "check its permissions and the disk",
            ) from error
        if not _acquire(descriptor, self.path):
            os.close(descriptor)
            raise BadInput(
                f"{self.path.parent}: another process is running this iteration",
                f"wait for that process, or stop it: {command('stop', 'LOOP')}",
            )
        self._descriptor, self._own_holder = descriptor, _own_holder(self._doing)
        self._write()
        threading.Thread(target=self._keep_beating, name="beat", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        with self._changing:
            # the process may outlive the run, so the file must not name it any longer
            with suppress(OSError):
                if self.trouble:
                    os.pwrite(self._descriptor, lock_file_bytes(None, self.trouble), 0)
                else:
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = _RELEASED

    def report_trouble(self, trouble: str) -> None:
        """Writes a message on a fault into the lock file, even on a full disk; "" clears it.

        The last message stays when the lock is released. Never raises.
        """
        with self._changing:
            self.trouble = trouble
            if self._descriptor != _RELEASED:
                self._write()

    def _write(self) -> None:
        data = lock_file_bytes(self._own_holder, self.trouble)
        try:
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))
        except OSError:  # no space: an empty file is better than the name of an earlier holder
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)

    def _keep_beating(self) -> None:
        last_beat = time.monotonic()
        while not self._released.wait(min(CHECK_SECONDS, HEARTBEAT_SECONDS)):
            with self._changing, suppress(OSError):
                if self._descriptor == _RELEASED:
                    return
                self._restore_file()
                if time.monotonic() - last_beat >= HEARTBEAT_SECONDS:
                    last_beat = time.monotonic()
                    os.utime(self._descriptor)

    def _restore_file(self) -> None:
        """Restores the lock file where it was removed, replaced or cut."""
        mine = os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            current = os.lstat(self.path)
            if (current.st_dev, current.st_ino) == (mine.st_dev, mine.st_ino):
                if mine.st_size < FILE_BYTES:
                    self._write()
                return
        if self._place.moved_to is not None:
            return
        descriptor = _opened(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another run has started meanwhile
            os.close(descriptor)
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._write()


class LockWatcher:
    """Polls a lock from another process; it needs several polls to see a remote heartbeat advance.

    `trouble`: the fault that the holder had reported by the last poll. `silent_s`: the seconds
    since the last heartbeat of a living holder, which was stopped or waits for its disk; None up
    to GONE_AFTER_SECONDS.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self.silent_s: int | None = None
        self._last_beat = 0.0
        self._seen_at: float | None = None

    def poll(self) -> Liveness:
        """Returns whether the holder is alive; `unknown` after one heartbeat of another host."""
        self.silent_s = None
        try:
            file = open_regular(self.path)
        except (OSError, BadInput):
            self.trouble = ""
            return "gone"
        with file:
            data = file.read(READ_BYTES)
            if _is_held(file.fileno()):
                self.trouble = trouble_in(data)
                self.silent_s = self._silence(os.fstat(file.fileno()).st_mtime)
                return "alive"
            file.seek(0)  # read again: the first read may have been in the middle of a write
            data = file.read(READ_BYTES)
            beat = os.fstat(file.fileno()).st_mtime
        self.trouble, holder = trouble_in(data), holder_in(data)
        if holder is None:
            return "gone"
        if holder.host == socket.gethostname() and holder.boot == _boot():
            if not _is_running(holder):
                return "gone"
            self.silent_s = self._silence(beat)
            return "alive"
        return self._by_beat(beat)

    def _silence(self, beat: float) -> int | None:
        """Returns the seconds since `beat`, None where it is not long past."""
        now = time.monotonic()
        if self._seen_at is None:
            self._last_beat, self._seen_at = beat, now - _apparent_age(self.path, beat)
        elif beat != self._last_beat:
            self._last_beat, self._seen_at = beat, now
        seconds = now - self._seen_at
        return int(seconds) if seconds > GONE_AFTER_SECONDS else None

    def _by_beat(self, beat: float) -> Liveness:
        now = time.monotonic()
        if self._seen_at is None and _age(self.path, beat) > GONE_AFTER_SECONDS:
            self._last_beat, self._seen_at = beat, now - GONE_AFTER_SECONDS
        if beat != self._last_beat:
            first, self._last_beat, self._seen_at = self._seen_at is None, beat, now
            return "unknown" if first else "alive"
        long_ago = self._seen_at is None or now - self._seen_at >= GONE_AFTER_SECONDS
        return "gone" if long_ago else "unknown"


def holder_of(path: Path) -> Holder | None:
    """Returns the process that wrote the lock file, alive or not."""
    return holder_in(_read(path))


def living_holder(path: Path) -> Holder | None:
    """Returns the process of this host that holds the lock, None unless its identity is certain."""
    if LockWatcher(path).poll() != "alive":
        return None
    holder = holder_of(path)
    if holder is None or (holder.host, holder.boot) != (socket.gethostname(), _boot()):
        return None
    return holder if _is_running(holder) else None


def trouble_of(path: Path) -> str:
    """Returns the fault that the lock's holder has reported, "" without one."""
    return trouble_in(_read(path))


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(READ_BYTES)
    except (OSError, BadInput):
        return b""


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)


def _acquire(descriptor: int, path: Path) -> bool:
    """Acquires the lock if no run holds it; returns whether it did.

    A poll holds it for microseconds, so one try is not enough. On a file system without locks, the
    content of the lock file decides.
    """
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return LockWatcher(path).poll() == "gone"
        else:
            return True
    return False


def _age(path: Path, beat: float) -> float:
    """Returns the seconds since `beat` by the clock of that file system, 0 where it is unwritable.

    The clock of this host may differ from the one that sets modification times there. The temporary
    file has no name on most systems.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent) as fresh:
            return os.fstat(fresh.fileno()).st_mtime - beat
    except OSError:
        return 0.0


def _apparent_age(path: Path, beat: float) -> float:
    """Returns the seconds since `beat` by this host's clock; asks the file system about odd ones.

    So a poll of a healthy run creates no file.
    """
    seconds = time.time() - beat
    return seconds if -HEARTBEAT_SECONDS <= seconds <= GONE_AFTER_SECONDS else _age(path, beat)


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _own_holder(doing: str) -> Holder:
    import psutil

    process = psutil.Process()
    return Holder(socket.gethostname(), process.pid, process.create_time(), _boot(), doing)


def _is_running(holder: Holder) -> bool:
    import psutil  # a slow import, needed only where a run may be alive

    try:
        process = psutil.Process(holder.pid)
        same = abs(process.create_time() - holder.started) < 1.0
        return same and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        import psutil

        return str(round(psutil.boot_time()))


FILE_BYTES = 512
"""Fits one block of any disk, so that one call writes all of it."""


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """The process that holds a lock: host name, process id, start (unix seconds), boot id.

    `doing`: what it does, in one word, where the lock alone does not show it.
    """

    host: str
    pid: int
    started: float
    boot: str
    doing: str = ""


class _Trouble(msgspec.Struct, frozen=True):
    trouble: str = ""


def lock_file_bytes(holder: Holder | None, trouble: str) -> bytes:
    """Returns the content of a lock file, with `trouble` shortened to fit."""
    fields = {} if holder is None else msgspec.to_builtins(holder)
    while True:
        line = to_json({**fields, "trouble": trouble})
        if len(line) < FILE_BYTES or not trouble:
            return line.ljust(FILE_BYTES - 1) + b"\n"
        trouble = trouble[: len(trouble) * 3 // 4]


def holder_in(data: bytes) -> Holder | None:
    """Returns the holder that a lock file names, None without one."""
    try:
        return msgspec.json.decode(data, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def trouble_in(data: bytes) -> str:
    """Returns the reported fault in a lock file, "" without one."""
    try:
        return msgspec.json.decode(data, type=_Trouble).trouble
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
