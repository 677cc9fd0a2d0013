"""Follows a growing journal: reads whole lines now, and the rest once it is complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import decoded
from tui_loop.core.record.events import AnyEvent, Skipped
from tui_loop.core.record.safe_open import open_regular

CHUNK_BYTES = 2 * 1024 * 1024
"""Reads about this much per call, so that a screen stays responsive over a long history."""

EVENT_BYTES = 8 * 1024 * 1024
"""No event is longer."""

KNOWN_BY_BYTES = 256
"""A file counts as the same one if this many bytes before the offset are unchanged."""

_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent)


class _Tag(msgspec.Struct):
    event: str
    seq: int = -1
    t: float = 0.0


_tag_decoder = msgspec.json.Decoder(_Tag)


class Follower:
    """Returns a journal's new events on each call, even if the file is cut, damaged or replaced.

    `bad_lines` counts lines that are not events. Events of unknown kinds become `Skipped`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bad_lines = 0
        self._offset = 0
        self._before = b""
        self._identity: tuple[int, int] | None = None
        self.restarted = False

    def read(self) -> list[AnyEvent]:
        """Returns the events since the last call, [] if there are none or no journal yet.

        `restarted` is True after a call that started from the beginning because the file was
        replaced or cut; the caller must then fold from the beginning.
        """
        self.restarted = False
        try:
            with open_regular(self.path) as file:
                status = os.fstat(file.fileno())
                identity = (status.st_dev, status.st_ino)
                if self._identity not in (None, identity) or not self._continues(file):
                    self._offset, self._before, self.bad_lines, self.restarted = 0, b"", 0, True
                self._identity = identity
                file.seek(self._offset)
                chunk = file.read(CHUNK_BYTES)
                if len(chunk) == CHUNK_BYTES and b"\n" not in chunk:
                    chunk += file.read(EVENT_BYTES - CHUNK_BYTES)
                behind_hole = _end_of_hole(file)
        except (OSError, BadInput):
            return []
        end = chunk.rfind(b"\n") + 1
        if end == 0 and len(chunk) >= EVENT_BYTES:  # this line is too long to be an event
            self.bad_lines += 1
            end = len(chunk)
        self._offset += end
        self._before = (self._before + chunk[:end])[-KNOWN_BY_BYTES:]
        if end == len(chunk) >= CHUNK_BYTES and behind_hole > self._offset:
            self._offset, self._before = behind_hole, b""
        if not chunk.endswith(b"\n", 0, end):
            return []
        return self._decoded_lines(chunk[:end])

    def read_all(self) -> list[AnyEvent]:
        """Returns all events since the last call, however many."""
        events: list[AnyEvent] = []
        restarted = False
        for part in self.parts():
            if self.restarted:
                restarted, events = True, []
            events.extend(part)
        self.restarted = restarted
        return events

    def parts(self) -> Iterator[list[AnyEvent]]:
        """Yields all events since the last call in parts, each with `restarted` as after `read`."""
        while True:
            before = self._offset
            part = self.read()
            if part or self.restarted:
                yield part
            if self._offset == before:
                return

    def _continues(self, file: BinaryIO) -> bool:
        """Returns whether the last bytes read are unchanged: a new file may have the old inode."""
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _decoded_lines(self, whole: bytes) -> list[AnyEvent]:
        with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            events = _decoder.decode_lines(whole)
            if len(events) == whole.count(b"\n"):
                return events
        # some lines are blank, damaged or of an unknown kind
        found = (self._decoded(line) for line in whole.split(b"\n") if line)
        return [event for event in found if event is not None]

    def _decoded(self, line: bytes) -> AnyEvent | None:
        try:
            return decoded(_decoder, line, "")
        except BadInput:
            skipped = _skipped(line)
            self.bad_lines += skipped is None
            return skipped


def _end_of_hole(file: BinaryIO) -> int:
    """Returns where data continues after a hole here; a hole reads as zeros and is skipped."""
    place = file.tell()
    try:
        return os.lseek(file.fileno(), place, os.SEEK_DATA)
    except OSError as error:  # no data up to the end, or not supported
        return os.fstat(file.fileno()).st_size if error.errno == errno.ENXIO else place


def _skipped(line: bytes) -> Skipped | None:
    """Returns the placeholder of an unknown kind of event, None for other data."""
    try:
        tag = _tag_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if tag.event in _KNOWN else Skipped(seq=tag.seq, t=tag.t)


_KNOWN = frozenset(kind.__struct_config__.tag for kind in AnyEvent.__args__)
