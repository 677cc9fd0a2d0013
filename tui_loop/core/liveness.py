"""Is this run alive? The lock that a live run holds, and what others may conclude from it.

Order of truth: the lock is held; the process with that start time and boot is there; else the
beat, which readers watch advance without ever comparing clocks.
"""

from __future__ import annotations

import fcntl
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_loop.core.codec import to_json
from tui_loop.core.errors import BadInput
from tui_loop.core.opening import check_regular, open_regular

BEAT_SECONDS = 5.0
GONE_AFTER_SECONDS = 60.0
TRIES = 20

Life = Literal["alive", "gone", "unknown"]


class Holder(msgspec.Struct, frozen=True):
    """Who holds a lock."""

    host: str
    pid: int
    started: float
    boot: str


class RunLock:
    """Held and touched by a live run; leaving releases it. Raises BadInput if it is held."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = -1
        self._released = threading.Event()

    def __enter__(self) -> RunLock:
        check_regular(self.path)
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        if not _is_taken(self._descriptor):
            os.close(self._descriptor)
            raise BadInput(
                f"{self.path.parent}: another process is running this iteration",
                "wait for it, or stop it with tui-loop stop LOOP",
            )
        with suppress(OSError):  # on a full disk the lock itself still holds
            os.ftruncate(self._descriptor, 0)
            os.write(self._descriptor, to_json(_me()) + b"\n")
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        with suppress(OSError):  # the run is over, though its process may live on
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._released.wait(BEAT_SECONDS):
            try:
                os.utime(self.path)
            except OSError:
                continue


class Watch:
    """Watches one lock from outside; keep it between looks so that it can see the beat."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._beat = 0.0
        self._seen_at = 0.0

    def look(self) -> Life:
        """Whether the holder is alive; `unknown` while another host's beat was seen only once."""
        try:
            file = open_regular(self.path)
        except (OSError, BadInput):
            return "gone"
        with file:
            if _is_held(file.fileno()):
                return "alive"
            holder = _holder(file.read(4096))
            beat = os.fstat(file.fileno()).st_mtime
        if holder is None:
            return "gone"
        if holder.host == socket.gethostname() and holder.boot == _boot():
            return "alive" if _is_running(holder) else "gone"
        return self._by_beat(beat)

    def _by_beat(self, beat: float) -> Life:
        now = time.monotonic()
        if beat != self._beat:
            first, self._beat, self._seen_at = self._seen_at == 0.0, beat, now
            return "unknown" if first else "alive"
        return "unknown" if now - self._seen_at < GONE_AFTER_SECONDS else "gone"


def holder_of(path: Path) -> Holder | None:
    """Who wrote the lock file, alive or not."""
    try:
        with open_regular(path) as file:
            return _holder(file.read(4096))
    except (OSError, BadInput):
        return None


def _is_taken(descriptor: int) -> bool:
    """Takes the lock if no run has it. A look has it for microseconds, so one try is too few."""
    for _ in range(TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            time.sleep(0.01)
        else:
            return True
    return False


def _is_held(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _holder(data: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(data, type=Holder)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def _me() -> Holder:
    import psutil

    process = psutil.Process()
    return Holder(socket.gethostname(), process.pid, process.create_time(), _boot())


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
