"""The writer of a journal: whole lines, each with one checked write, synced off the trainer.

`append` costs a few microseconds and never raises: a full or failing disk must not stop
training. What could not be written waits in a bounded tail and is written when it can be. If
the file was replaced under the writer (git stash, an editor), it is rebuilt from the old one.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_loop.core.codec import to_json
from tui_loop.core.events import SYNCED_AT_ONCE, AnyEvent, Evaluated, LineLogged, MetricsLogged

SYNC_SECONDS = 1.0
TAIL_LINES = 10_000
"""Lines kept in memory while the disk takes none; the oldest go first and leave a gap in seq."""

_CLOSED = -1
_encoder = msgspec.json.Encoder()


class Journal:
    """Appends events to `path`; one writer a journal. Usable from any thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._tail: deque[bytes] = deque(maxlen=TAIL_LINES)
        self._torn = False
        self._unsynced = False
        self._descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        self._seq = _next_seq(self._descriptor)
        self._mend_torn_line()
        self._syncer = threading.Thread(target=self._sync_loop, name="journal", daemon=True)
        self._syncer.start()

    @property
    def failing(self) -> bool:
        """Whether lines wait because the disk takes none."""
        return bool(self._tail)

    def append(self, event: AnyEvent) -> None:
        """Writes `event` with the next seq and the time; never raises, never waits for a disk."""
        with self._lock:
            stamped = msgspec.structs.replace(event, seq=self._seq, t=round(time.time(), 3))
            self._seq += 1
            if self._torn and len(self._tail) == self._tail.maxlen:
                del self._tail[1]  # the first is the rest of a line that stands in the file
            self._tail.append(_encoded(stamped) + b"\n")
            self._drain()
            self._unsynced = True
        if isinstance(event, SYNCED_AT_ONCE):
            self._wake.set()

    def close(self) -> None:
        """Writes what waits, syncs, and lets go of the file; what is appended later is lost."""
        self._closing.set()
        self._wake.set()
        self._syncer.join(timeout=30)
        with self._lock:
            if self._descriptor == _CLOSED:
                return
            self._follow_replacement()
            self._drain()
            with suppress(OSError):
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def _drain(self) -> None:
        while self._tail:
            line = self._tail[0]
            try:
                written = os.write(self._descriptor, line)
            except OSError:
                return
            if written < len(line):  # a full disk first writes less, without an error
                self._tail[0], self._torn = line[written:], True
                return
            self._tail.popleft()
            self._torn = False

    def _sync_loop(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(SYNC_SECONDS)
            self._wake.clear()
            try:
                self._sync()
            except OSError:
                self._unsynced = True  # and once more in a second

    def _sync(self) -> None:
        with self._lock:
            self._follow_replacement()
            self._drain()
            pending, self._unsynced = self._unsynced, False
            if not pending:
                return
            descriptor = os.dup(self._descriptor)
        try:  # outside the lock: a stalled disk must not hold up an append
            os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _follow_replacement(self) -> None:
        """Puts the journal back, whole, where another file or none stands at its path."""
        beside = self.path.with_name(f".{self.path.name}.rebuilt")
        try:
            if self._is_in_place():
                return
            self.path.parent.mkdir(parents=True, exist_ok=True)
            rebuilt = _copy(self._descriptor, beside)
        except OSError:
            return
        try:
            os.replace(beside, self.path)
        except OSError:
            os.close(rebuilt)
            return
        os.close(self._descriptor)
        self._descriptor = rebuilt

    def _is_in_place(self) -> bool:
        mine = os.fstat(self._descriptor)
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return False
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _mend_torn_line(self) -> None:
        """Ends a line that an earlier writer's crash cut short, so that the next is whole."""
        size = os.fstat(self._descriptor).st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            self._tail.append(b"\n")
            self._drain()


def _encoded(event: AnyEvent) -> bytes:
    """The event as JSON; one that cannot be spelled becomes a line that says so."""
    try:
        return to_json(event) if _may_be_odd(event) else _encoder.encode(event)
    except (TypeError, ValueError, RecursionError) as error:
        text = f"{type(event).__name__} could not be written: {error}"
        told = LineLogged(level="error", source="journal", text=text, seq=event.seq, t=event.t)
        return to_json(told)


def _may_be_odd(event: AnyEvent) -> bool:
    """Whether `event` may hold a non-finite number or text that is no UTF-8."""
    if isinstance(event, (MetricsLogged, Evaluated)):
        return any(
            isinstance(value, float) and value - value != 0 for value in event.values.values()
        )
    return True


def _copy(descriptor: int, path: Path) -> int:
    """A descriptor of a new file at `path` with the same content; raises OSError if it is cut."""
    content = _content(descriptor)
    copy = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        if os.write(copy, content) < len(content):
            raise OSError(errno.ENOSPC, "no room for the whole journal")
        os.fsync(copy)
    except OSError:
        os.close(copy)
        raise
    return copy


def _content(descriptor: int) -> bytes:
    size = os.fstat(descriptor).st_size
    parts, offset = [], 0
    while offset < size:
        part = os.pread(descriptor, min(1 << 20, size - offset), offset)
        if not part:
            break
        parts.append(part)
        offset += len(part)
    return b"".join(parts)


def _next_seq(descriptor: int) -> int:
    """One more than the seq of the last line that has one; 0 where none has."""
    lines = _content(descriptor).splitlines()
    for line in reversed(lines):
        try:
            return int(msgspec.json.decode(line)["seq"]) + 1
        except (msgspec.DecodeError, KeyError, TypeError, ValueError):
            continue
    return 0
