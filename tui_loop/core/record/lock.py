"""The lock of a live run, and whether a run is alive as far as others can tell.

Order of truth: the lock is held; the process with that start time and boot is there; else the
beat, which readers watch advance without ever comparing clocks.

The file is as long as its room from the start and overwritten in place, so that on a full disk
it still takes a new text. Keys that a version does not know are passed over.
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

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.safe_open import check_regular, open_regular

BEAT_SECONDS = 5.0
GONE_AFTER_SECONDS = 60.0
LOOK_SECONDS = 1.0
"""Between two looks of a holder whether its lock file stands where it stood."""

TRIES = 20
READ_BYTES = 4096
_RELEASED = -1

Life = Literal["alive", "gone", "unknown"]


class RunLock:
    """Held and touched by a live run; leaving releases it. Raises BadInput if it is held or
    cannot be written. A lock file that is removed or replaced meanwhile is put back. `trouble`
    is what was told last; `doing` what the holder does, in a word.
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
        except OSError as error:
            raise BadInput(
                f"{self.path}: cannot be written: {error.strerror}",
                "check its permissions and the disk",
            ) from error
        if not _is_taken(descriptor, self.path):
            os.close(descriptor)
            raise BadInput(
                f"{self.path.parent}: another process is running this iteration",
                "wait for it, or stop it with tui-loop stop LOOP",
            )
        self._descriptor, self._me = descriptor, _me(self._doing)
        self._write()
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        with self._changing:
            # the run is over, though its process may live on: nobody is named any more
            with suppress(OSError):
                if self.trouble:
                    os.pwrite(self._descriptor, filled(None, self.trouble), 0)
                else:
                    os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = _RELEASED

    def tell(self, trouble: str) -> None:
        """Leaves word of trouble for whoever watches, on a full disk too; "" takes it back.

        What was told last stays when the lock is released. Never raises.
        """
        with self._changing:
            self.trouble = trouble
            if self._descriptor != _RELEASED:
                self._write()

    def _write(self) -> None:
        data = filled(self._me, self.trouble)
        try:
            os.pwrite(self._descriptor, data, 0)
            os.ftruncate(self._descriptor, len(data))
        except OSError:  # no room for it: the lock itself still holds, and names nobody else
            with suppress(OSError):
                os.ftruncate(self._descriptor, 0)

    def _beat(self) -> None:
        beaten = time.monotonic()
        while not self._released.wait(min(LOOK_SECONDS, BEAT_SECONDS)):
            with self._changing, suppress(OSError):
                if self._descriptor == _RELEASED:
                    return
                self._stay_in_place()
                if time.monotonic() - beaten >= BEAT_SECONDS:
                    beaten = time.monotonic()
                    os.utime(self._descriptor)

    def _stay_in_place(self) -> None:
        """Puts the lock file back where another or none stands at its path, or it was cut."""
        mine = os.fstat(self._descriptor)
        with suppress(FileNotFoundError):
            there = os.lstat(self.path)
            if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino):
                if mine.st_size < ROOM:
                    self._write()
                return
        descriptor = _opened(self.path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # another run has begun meanwhile
            os.close(descriptor)
            return
        os.close(self._descriptor)
        self._descriptor = descriptor
        self._write()


class Watch:
    """Watches one lock from outside; keep it between looks so that it can see the beat.

    `trouble` is what the holder left word of by the last look: why its disk takes nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trouble = ""
        self._beat = 0.0
        self._seen_at: float | None = None

    def look(self) -> Life:
        """Whether the holder is alive; `unknown` while another host's beat was seen only once."""
        try:
            file = open_regular(self.path)
        except (OSError, BadInput):
            self.trouble = ""
            return "gone"
        with file:
            data = file.read(READ_BYTES)
            if _is_held(file.fileno()):
                self.trouble = trouble_in(data)
                return "alive"
            file.seek(0)  # once more: the first may have been read while it was written
            data = file.read(READ_BYTES)
            beat = os.fstat(file.fileno()).st_mtime
        self.trouble, holder = trouble_in(data), holder_in(data)
        if holder is None:
            return "gone"
        if holder.host == socket.gethostname() and holder.boot == _boot():
            return "alive" if _is_running(holder) else "gone"
        return self._by_beat(beat)

    def _by_beat(self, beat: float) -> Life:
        now = time.monotonic()
        if self._seen_at is None and _age(self.path, beat) > GONE_AFTER_SECONDS:
            self._beat, self._seen_at = beat, now - GONE_AFTER_SECONDS
        if beat != self._beat:
            first, self._beat, self._seen_at = self._seen_at is None, beat, now
            return "unknown" if first else "alive"
        long_ago = self._seen_at is None or now - self._seen_at >= GONE_AFTER_SECONDS
        return "gone" if long_ago else "unknown"


def holder_of(path: Path) -> Holder | None:
    """Who wrote the lock file, alive or not."""
    return holder_in(_read(path))


def living_holder(path: Path) -> Holder | None:
    """The process of this host that holds the lock, certain to be the one that is named; else
    None."""
    if Watch(path).look() != "alive":
        return None
    holder = holder_of(path)
    if holder is None or (holder.host, holder.boot) != (socket.gethostname(), _boot()):
        return None
    return holder if _is_running(holder) else None


def trouble_of(path: Path) -> str:
    """What the lock's holder left word of: why its disk takes nothing; "" if all is well."""
    return trouble_in(_read(path))


def _read(path: Path) -> bytes:
    try:
        with open_regular(path) as file:
            return file.read(READ_BYTES)
    except (OSError, BadInput):
        return b""


def _opened(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)


def _is_taken(descriptor: int, path: Path) -> bool:
    """Takes the lock if no run has it. A look has it for microseconds, so one try is too few.

    Where the file system has no locks, what the lock file says decides.
    """
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.01)
        except OSError:
            return Watch(path).look() == "gone"
        else:
            return True
    return False


def _age(path: Path, beat: float) -> float:
    """Seconds since `beat` by the clock that stamps files there; 0 where none can be made.

    No clock of this host is compared: it may be off. On most systems the file has no name.
    """
    try:
        with tempfile.TemporaryFile(dir=path.parent) as fresh:
            return os.fstat(fresh.fileno()).st_mtime - beat
    except OSError:
        return 0.0


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _me(doing: str) -> Holder:
    import psutil

    process = psutil.Process()
    return Holder(socket.gethostname(), process.pid, process.create_time(), _boot(), doing)


def _is_running(holder: Holder) -> bool:
    import psutil  # only where a run may be alive: it is not to delay the first frame

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


ROOM = 512
"""Bytes; one block of any disk, and written with one call."""


class Holder(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who holds a lock: host name, process, its start (unix seconds), the host's boot id.

    `doing`: what it does, in a word, where that is not plain from the lock.
    """

    host: str
    pid: int
    started: float
    boot: str
    doing: str = ""


class _Told(msgspec.Struct, frozen=True):
    trouble: str = ""


def filled(holder: Holder | None, trouble: str) -> bytes:
    """The file's bytes; `trouble` is cut to what there is room for."""
    fields = {} if holder is None else msgspec.to_builtins(holder)
    while True:
        line = to_json({**fields, "trouble": trouble})
        if len(line) < ROOM or not trouble:
            return line.ljust(ROOM - 1) + b"\n"
        trouble = trouble[: len(trouble) * 3 // 4]


def holder_in(data: bytes) -> Holder | None:
    """Who is named; None where nobody is."""
    try:
        return msgspec.json.decode(data, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def trouble_in(data: bytes) -> str:
    """The word of trouble, "" where there is none."""
    try:
        return msgspec.json.decode(data, type=_Told).trouble
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
