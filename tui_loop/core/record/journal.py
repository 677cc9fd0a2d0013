"""The writer of a journal: one checked write per line, synced in a thread of its own.

`append` takes a few microseconds and never raises, since a full or failing disk must not stop
training. Lines that cannot be written wait in a bounded buffer; once they are written, a
`recovery` event reports the outage. A file that was replaced, removed, cut or overwritten
meanwhile (git stash, an editor, `> journal.jsonl`) is rebuilt from the bytes in memory. One whose
folder was moved is still written where it is.
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
from tui_loop.core.record.folder_place import FolderPlace
from tui_loop.core.record.written_bytes import WrittenBytes

SYNC_SECONDS = 1.0
PENDING_LINES = 10_000
"""Lines in memory while none can be written; the oldest are dropped and leave a gap in seq."""

CLOSE_SECONDS = 30.0
"""`close` gives up on a disk that blocks a sync for longer; the system closes the file."""

Damage = Literal["replaced", "removed", "cut", "overwritten", "not synced"]

_CLOSED = -1
_encoder = msgspec.json.Encoder()


class EventClock:
    """Returns unix seconds: the time at its creation, plus what has passed since.

    So a clock that is set meanwhile changes no duration between two events of a writer.
    """

    _STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # counts a suspended machine

    def __init__(self) -> None:
        self._offset = time.time() - time.clock_gettime(self._STEADY)

    def __call__(self) -> float:
        return self._offset + time.clock_gettime(self._STEADY)


class Journal:
    """Appends events to `path`; one writer per journal, usable from any thread.

    `on_trouble` receives why nothing can be written and how many lines wait, "" when it is over. It
    is called on changes only, never in a thread that appends. Raises BadInput if `path` cannot be
    written.
    """

    def __init__(self, path: Path, on_trouble: Callable[[str], None] | None = None) -> None:
        self.path = path
        self._on_trouble, self._reported = on_trouble, ""
        self._now = EventClock()
        self._lock = threading.Lock()
        self._maintenance_lock = threading.Lock()
        self._closing = threading.Event()
        self._wake = threading.Event()
        self._pending: deque[bytes] = deque()
        self._is_first_torn = False
        self._unsynced = False
        self._is_rebuilding = False
        self._is_damaged = False
        self._is_unsafe = False
        self._outage = WriteOutage()
        self._descriptor = _opened(path)
        self._place = FolderPlace(path.parent)
        self._written = WrittenBytes(self._descriptor)
        self._seq = self._written.next_seq()
        with suppress(OSError):
            self._written.drop_fragment(self._descriptor)
        if self._written.is_torn:  # so that the next line does not continue a torn one
            self._pending.append(b"\n")
            self._drain()
        self._syncer = threading.Thread(target=self._sync_loop, name="journal", daemon=True)
        self._syncer.start()

    @property
    def failing(self) -> bool:
        """Returns whether lines wait because none can be written."""
        return bool(self._pending)

    def append(self, event: AnyEvent) -> None:
        """Adds seq and time to `event` and writes it; never raises, never waits for a sync."""
        with self._lock:
            self._enqueue(event)
            self._drain()
        if isinstance(event, SYNCED_AT_ONCE):
            self._wake.set()

    def close(self) -> None:
        """Writes pending lines, syncs and closes the file; later events are lost."""
        self._closing.set()
        self._wake.set()
        self._syncer.join(timeout=CLOSE_SECONDS)
        if self._descriptor == _CLOSED or self._syncer.is_alive():
            return
        self._maintain(thoroughly=True)
        with self._lock:
            os.close(self._descriptor)
            self._descriptor = _CLOSED

    def _enqueue(self, event: AnyEvent) -> None:
        stamped = msgspec.structs.replace(event, seq=self._seq, t=round(self._now(), 3))
        self._seq += 1
        if len(self._pending) >= PENDING_LINES:
            del self._pending[self._is_first_torn]  # the rest of a partly written line must stay
            self._outage.lost += 1
        self._pending.append(_encoded(stamped) + b"\n")

    def _drain(self) -> None:
        """Writes pending lines as far as possible.

        Leaves them to the syncer where others changed the file, since it must be repaired first.
        """
        if self._is_rebuilding or not self._pending or self._descriptor == _CLOSED:
            return
        try:
            if os.fstat(self._descriptor).st_size != self._written.size:
                if not self._is_damaged:
                    self._is_damaged = True
                    self._wake.set()
                return
            while self._pending:
                self._write_first()
        except OSError as error:
            if self._outage.record_failure(error, len(self._pending)):
                self._wake.set()
            return
        if self._outage.is_open:
            recovered, self._outage = self._outage.event(), WriteOutage()
            self._enqueue(recovered)
            self._drain()

    def _write_first(self) -> None:
        line = self._pending[0]
        written = os.write(self._descriptor, line)
        self._written.add(line[:written])
        self._unsynced = True
        if written < len(line):  # a full disk first shortens a write, without an error
            self._pending[0], self._is_first_torn = line[written:], True
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._pending.popleft()
        self._is_first_torn = False
        self._outage.written += self._outage.is_open

    def _sync_loop(self) -> None:
        while not self._closing.is_set():
            self._wake.wait(SYNC_SECONDS)
            self._wake.clear()
            self._maintain()

    def _maintain(self, *, thoroughly: bool = False) -> None:
        """Repairs the file, writes pending lines, syncs, and reports trouble."""
        with self._maintenance_lock:
            self._report(self._problem(thoroughly))

    def _problem(self, thoroughly: bool) -> str:
        """Repairs, writes and syncs; returns why lines still wait or are not synced, "" if none."""
        problem = ""
        try:
            self._repair(thoroughly)
            with self._lock:
                self._drain()
            self._sync()
        except OSError as error:
            problem = reason_of(error)
        with self._lock:
            if self._pending and (self._outage.is_open or problem):
                problem = f"{self._outage.reason or problem}: {self._pending_text()}"
        return problem

    def _report(self, problem: str) -> None:
        if problem != self._reported and self._on_trouble is not None:
            self._reported = problem
            self._on_trouble(problem)

    def _pending_text(self) -> str:
        count = len(self._pending)
        if self._closing.is_set():
            text = f"{lines(count)} never written"
        else:
            text = f"{lines(count)} {'waits' if count == 1 else 'wait'}"
        return text + (f", {self._outage.lost} lost" if self._outage.lost else "")

    def _sync(self) -> None:
        with self._lock:
            if not self._unsynced:
                return
            self._unsynced = False
            descriptor = os.dup(self._descriptor)
        try:  # outside the lock: a stalled disk must not hold up an append
            os.fdatasync(descriptor) if hasattr(os, "fdatasync") else os.fsync(descriptor)
        except OSError as error:
            self._unsynced = True  # retried after SYNC_SECONDS
            self._is_unsafe = (
                error.errno == errno.EIO
            )  # the next sync would report success although data is lost
            raise
        finally:
            os.close(descriptor)

    def _repair(self, thoroughly: bool) -> None:
        """Rebuilds the journal where the file at its path was damaged.

        Appended lines wait meanwhile. Raises OSError where it cannot be written.
        """
        with self._lock:
            damage = self._damage(thoroughly)
            if damage is None or self._is_rebuilding:
                self._is_damaged = damage is not None
                return
            content = self._written.content(self._descriptor)
            self._is_rebuilding = True
        try:
            rebuilt = _rebuilt(self.path, content)
        except OSError as error:
            with self._lock:
                self._is_rebuilding = False
                if self._pending:
                    self._outage.record_failure(error, len(self._pending))
            raise
        with self._lock:
            os.close(self._descriptor)
            self._descriptor, self._is_rebuilding = rebuilt, False
            self._written.set_rebuilt(content)
            self._is_damaged = self._is_unsafe = False
            text = f"the journal file was {damage} during the run and has been rebuilt"
            self._enqueue(LineLogged(level="warning", source="journal", text=text))
            self._drain()

    def _damage(self, thoroughly: bool) -> Damage | None:
        """Returns how other processes damaged the file; adopts lines that they appended."""
        replacement = self._replacement()
        if replacement is not None and self._place.moved_to is None:
            return replacement
        if os.fstat(self._descriptor).st_size < self._written.size:
            return "cut"
        is_whole = self._written.equals if thoroughly else self._written.begins
        if not is_whole(self._descriptor):
            return "overwritten"
        if self._is_unsafe:
            return "not synced"
        self._adopt_additions()
        return None

    def _replacement(self) -> Damage | None:
        """Returns whether the file at the journal's path was replaced or removed."""
        try:
            current = os.stat(self.path)
            mine = os.fstat(self._descriptor)
        except (FileNotFoundError, NotADirectoryError):
            return "removed"
        except OSError as error:
            if error.errno == errno.ESTALE:  # another host has removed it
                return "removed"
            raise
        same = (current.st_dev, current.st_ino) == (mine.st_dev, mine.st_ino)
        return None if same else "replaced"

    def _adopt_additions(self) -> None:
        """Treats what others appended as part of the file."""
        added = self._written.unknown_end(self._descriptor)
        self._written.add(added)
        if added and not self._is_first_torn and self._written.is_torn:
            self._pending.appendleft(b"\n")


def _opened(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise BadInput(
            f"{path}: cannot be written: {error.strerror}", "check its permissions and the disk"
        ) from error


def _encoded(event: AnyEvent) -> bytes:
    """Returns the event as JSON; one that cannot be encoded becomes a `line` event that says so."""
    try:
        return to_json(event) if _needs_escaping(event) else _encoder.encode(event)
    except (TypeError, ValueError, RecursionError) as error:
        text = f"{type(event).__name__} could not be written: {error}"
        line = LineLogged(level="error", source="journal", text=text, seq=event.seq, t=event.t)
        return to_json(line)


def _needs_escaping(event: AnyEvent) -> bool:
    """Returns whether `event` may hold a non-finite number or invalid Unicode."""
    if isinstance(event, (MetricsLogged, Evaluated)):
        return any(
            isinstance(value, float) and value - value != 0 for value in event.values.values()
        )
    return True


def _rebuilt(path: Path, content: bytes) -> int:
    """Replaces the file at `path` by one with `content` and returns its descriptor.

    Raises OSError and leaves the old file where that cannot be written.
    """
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


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteOutage:
    """A time without writes: its start, its reason, and the lines that waited or were lost."""

    def __init__(self) -> None:
        self._since: float | None = None
        self.reason = ""
        self.written = 0
        self.waited = 0
        self.lost = 0

    @property
    def is_open(self) -> bool:
        return self._since is not None or self.lost > 0

    def record_failure(self, error: OSError, waiting: int) -> bool:
        """Records a failed write with `waiting` lines pending; returns whether it is the first."""
        is_first = self._since is None
        if self._since is None:
            self._since = time.monotonic()
        self.reason, self.waited = reason_of(error), self.written + waiting
        return is_first

    def event(self) -> Recovered:
        """Returns the outage as an event."""
        seconds = 0.0 if self._since is None else round(time.monotonic() - self._since, 1)
        lost = f", {lines(self.lost)} lost" if self.lost else ""
        return Recovered(
            kind="disk",
            message=f"{self.reason or 'the disk is slow'}: no writes for "
            f"{seconds} s; {lines(self.waited)} delayed{lost}",
            changes={"seconds": seconds, "waited": self.waited, "lost": self.lost},
        )


def reason_of(error: OSError) -> str:
    """Returns why a write failed, in a few words."""
    if error.errno in _FULL:
        return "disk full"
    return f"disk: {error.strerror or type(error).__name__}"


def lines(count: int) -> str:
    """Returns `1 line`, `2 lines`."""
    return f"{count} line{'' if count == 1 else 's'}"
