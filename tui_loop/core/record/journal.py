"""The writer of a journal: whole lines, each with one checked write, synced off the trainer.

`append` costs a few microseconds and never raises: a full or failing disk must not stop
training. What could not be written waits in a bounded tail and is written when it can be, with
a `recovery` event that reports the gap. A file that was replaced, removed, cut or overwritten
under the writer (git stash, an editor, `> journal.jsonl`) is written anew from what it knows.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.events import (
    SYNCED_AT_ONCE,
    AnyEvent,
    Evaluated,
    LineLogged,
    MetricsLogged,
    Recovered,
)
from tui_loop.core.record.files import sync_folder
from tui_loop.core.record.written_bytes import WrittenBytes

SYNC_SECONDS = 1.0
TAIL_LINES = 10_000
"""Lines kept in memory while the disk takes none; the oldest go first and leave a gap in seq."""

CLOSE_SECONDS = 30.0
"""A disk that holds up a sync for longer is given up, and the file is left to the system."""

Damage = Literal["replaced", "removed", "cut", "overwritten", "not synced"]

_CLOSED = -1
_encoder = msgspec.json.Encoder()


class Journal:
    """Appends events to `path`; one writer a journal. Usable from any thread.

    `on_trouble` is told why the disk takes nothing and how many lines wait, "" when it is over;
    on change only, never from a thread that appends. Raises BadInput if `path` cannot be written.
    """

    def __init__(self, path: Path, on_trouble: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._on_trouble, self._told = on_trouble, ""
        self._lock = threading.Lock()
        self._tending = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._tail: deque[bytes] = deque()
        self._torn = False
        self._unsynced = False
        self._is_rebuilding = False
        self._is_damaged = False
        self._is_unsafe = False
        self._gap = WriteOutage()
        self._descriptor = _opened(path)
        self._known = WrittenBytes(self._descriptor)
        self._seq = self._known.next_seq()
        with suppress(OSError):
            self._known.drop_fragment(self._descriptor)
        if self._known.is_torn:  # the next line is to be whole
            self._tail.append(b"\n")
            self._drain()
        self._syncer = threading.Thread(target=self._sync_loop, name="journal", daemon=True)
        self._syncer.start()

    @property
    def failing(self) -> bool:
        """Whether lines wait because the disk takes none."""
        return bool(self._tail)

    def append(self, event: AnyEvent) -> None:
        """Writes `event` with the next seq and the time; never raises, never waits for a disk."""
        with self._lock:
            self._take(event)
            self._drain()
        if isinstance(event, SYNCED_AT_ONCE):
            self._wake.set()

    def close(self) -> None:
        """Writes what waits, syncs, and lets go of the file; what is appended later is lost."""
        self._closing.set()
        self._wake.set()
        self._syncer.join(timeout=CLOSE_SECONDS)
        if self._descriptor == _CLOSED or self._syncer.is_alive():
            return
        self._tend(thoroughly=True)
        with self._lock:
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def _take(self, event: AnyEvent) -> None:
        stamped = msgspec.structs.replace(event, seq=self._seq, t=round(time.time(), 3))
        self._seq += 1
        if len(self._tail) >= TAIL_LINES:
            del self._tail[self._torn]  # the rest of a line that stands in the file stays
            self._gap.lost += 1
        self._tail.append(_encoded(stamped) + b"\n")

    def _drain(self) -> None:
        """Writes what waits, as far as the disk takes it; a file that is not as it was left is
        first put right, by the syncer."""
        if self._is_rebuilding or not self._tail or self._descriptor == _CLOSED:
            return
        try:
            if os.fstat(self._descriptor).st_size != self._known.size:
                if not self._is_damaged:
                    self._is_damaged = True
                    self._wake.set()
                return
            while self._tail:
                self._write_first()
        except OSError as error:
            if self._gap.widen(error, len(self._tail)):
                self._wake.set()
            return
        if self._gap.is_open:
            told, self._gap = self._gap.told(), WriteOutage()
            self._take(told)
            self._drain()

    def _write_first(self) -> None:
        line = self._tail[0]
        written = os.write(self._descriptor, line)
        self._known.add(line[:written])
        self._unsynced = True
        if written < len(line):  # a full disk first writes less, without an error
            self._tail[0], self._torn = line[written:], True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._tail.popleft()
        self._torn = False
        self._gap.written += self._gap.is_open

    def _sync_loop(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(SYNC_SECONDS)
            self._wake.clear()
            self._tend()

    def _tend(self, *, thoroughly: bool = False) -> None:
        """Puts the file right, writes what waits, syncs, and tells of trouble."""
        with self._tending:
            self._tell(self._problem(thoroughly))

    def _problem(self, thoroughly: bool) -> str:
        """Why lines wait or are not safe, after all that can be done; "" where none."""
        problem = ""
        try:
            self._put_right(thoroughly)
            with self._lock:
                self._drain()
            self._sync()
        except OSError as error:
            problem = reason_of(error)
        with self._lock:
            if self._tail and (self._gap.is_open or problem):
                problem = f"{self._gap.reason or problem}: {self._counted()}"
        return problem

    def _tell(self, problem: str) -> None:
        if problem != self._told and self._on_trouble is not None:
            self._told = problem
            self._on_trouble(problem)

    def _counted(self) -> str:
        count = len(self._tail)
        if self._closing.is_set():
            text = f"{lines(count)} never written"
        else:
            text = f"{lines(count)} {'waits' if count == 1 else 'wait'}"
        return text + (f", {self._gap.lost} lost" if self._gap.lost else "")

    def _sync(self) -> None:
        with self._lock:
            if not self._unsynced:
                return
            self._unsynced = False
            descriptor = os.dup(self._descriptor)
        try:  # outside the lock: a stalled disk must not hold up an append
            os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
        except OSError as error:
            self._unsynced = True  # and once more in a second
            self._is_unsafe = error.errno == errno.EIO  # the next sync would claim to be good
            raise
        finally:
            os.close(descriptor)

    def _put_right(self, thoroughly: bool) -> None:
        """Writes the journal anew, whole, where it does not stand at its path as it was left.

        Appended lines wait meanwhile. Raises OSError where there is no room or no way.
        """
        with self._lock:
            damage = self._damage(thoroughly)
            if damage is None or self._is_rebuilding:
                self._is_damaged = damage is not None
                return
            content = self._known.content(self._descriptor)
            self._is_rebuilding = True
        try:
            rebuilt = _rebuilt(self.path, content)
        except OSError as error:
            with self._lock:
                self._is_rebuilding = False
                if self._tail:
                    self._gap.widen(error, len(self._tail))
            raise
        with self._lock:
            os.close(self._descriptor)
            self._descriptor, self._is_rebuilding = rebuilt, False
            self._known.is_now(content)
            self._is_damaged = self._is_unsafe = False
            self._take(LineLogged(level="warning", source="journal", text=_told_of(damage)))
            self._drain()

    def _damage(self, thoroughly: bool) -> Damage | None:
        """What happened to the file behind the writer's back; what others added is adopted."""
        elsewhere = self._elsewhere()
        if elsewhere is not None:
            return elsewhere
        if os.fstat(self._descriptor).st_size < self._known.size:
            return "cut"
        is_whole = self._known.equals if thoroughly else self._known.begins
        if not is_whole(self._descriptor):
            return "overwritten"
        if self._is_unsafe:
            return "not synced"
        self._adopt_additions()
        return None

    def _elsewhere(self) -> Damage | None:
        """Whether another file or none stands at the journal's path."""
        try:
            there = os.stat(self.path)
            mine = os.fstat(self._descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return "removed"
        except OSError as error:
            if error.errno == errno.ESTALE:  # another host has removed it
                return "removed"
            raise
        same = (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
        return None if same else "replaced"

    def _adopt_additions(self) -> None:
        """Takes what others wrote behind the writer's own lines for part of the file."""
        added = self._known.unknown_end(self._descriptor)
        self._known.add(added)
        if added and not self._torn and self._known.is_torn:
            self._tail.appendleft(b"\n")


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}", "check its permissions and the disk"
        ) from error


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


def _rebuilt(path: Path, content: bytes) -> int:
    """A descriptor of a new file at `path` that holds `content`; raises OSError and leaves what
    stood there where that cannot be written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.rebuilt")
    beside.unlink(missing_ok=True)
    descriptor = os.open(beside, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        os.replace(beside, path)
    except OSError:
        os.close(descriptor)
        with suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)
    return descriptor


def _told_of(damage: Damage) -> str:
    return f"the journal's file was {damage} while the run wrote it; it has been written anew"


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteOutage:
    """Since when the disk took nothing, why, and what it cost: lines waited, lines lost."""

    def __init__(self) -> None:
        self._since: float | None = None
        self.reason = ""
        self.written = 0
        self.waited = 0
        self.lost = 0

    @property
    def is_open(self) -> bool:
        return self._since is not None or self.lost > 0

    def widen(self, error: OSError, waiting: int) -> bool:
        """Takes in a failure that left so many lines waiting; whether it is the first."""
        is_first = self._since is None
        if self._since is None:
            self._since = time.monotonic()
        self.reason, self.waited = reason_of(error), self.written + waiting
        return is_first

    def told(self) -> Recovered:
        """The gap as an event."""
        seconds = 0.0 if self._since is None else round(time.monotonic() - self._since, 1)
        lost = f", {lines(self.lost)} lost" if self.lost else ""
        return Recovered(
            kind="disk",
            message=f"{self.reason or 'the disk is slow'}: nothing could be written for "
            f"{seconds} s; {lines(self.waited)} waited{lost}",
            changes={"seconds": seconds, "waited": self.waited, "lost": self.lost},
        )


def reason_of(error: OSError) -> str:
    """Why the disk took nothing, in a few words."""
    if error.errno in _FULL:
        return "disk full"
    return f"disk: {error.strerror or type(error).__name__}"


def lines(count: int) -> str:
    """`1 line`, `2 lines`."""
    return f"{count} line{'' if count == 1 else 's'}"
