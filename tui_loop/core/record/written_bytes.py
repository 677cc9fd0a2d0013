"""What a journal's writer knows of its file: the bytes it found there and those it wrote.

With it the file can be told to be as the writer left it, and be written anew where it is not. A
file that was cut in place cannot be read back, so the bytes are kept in memory: the newest
KNOWN_BYTES of them, whole lines.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated

import msgspec

KNOWN_BYTES = 64 * 1024 * 1024
"""About 300,000 events; the oldest are let go first."""

RECOGNISED_BY_BYTES = 256
"""A file of the right length is taken for the writer's own if it ends in this much of it."""


class _Tag(msgspec.Struct):
    event: str
    seq: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


_tag_decoder = msgspec.json.Decoder(_Tag)
_BEGIN = b'{"event":"'
"""How every line of the writer's begins."""


class WrittenBytes:
    """The bytes of the file behind a descriptor, as its one writer knows them."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        start = max(0, self.size - KNOWN_BYTES)
        self._bytes = bytearray(read_range(descriptor, start, self.size))
        self.size = start + len(self._bytes)
        if start:
            self._let_go(self._bytes.find(b"\n") + 1)

    @property
    def is_whole(self) -> bool:
        """Whether the file's first bytes are still known too."""
        return len(self._bytes) == self.size

    @property
    def is_torn(self) -> bool:
        """Whether the last line has no end."""
        return bool(self._bytes) and not self._bytes.endswith(b"\n")

    def drop_fragment(self, descriptor: int) -> None:
        """Takes the beginning of an event, cut short by a crash, off the end of the file.

        A kill tears a line where it crosses a page, before `append` has returned: nobody has seen
        it. Whatever else stands there stays. Raises OSError where the file cannot be cut.
        """
        begin = self._bytes.rfind(b"\n") + 1
        torn = bytes(self._bytes[begin:])
        if not torn or torn[: len(_BEGIN)] != _BEGIN[: len(torn)] or _has_seq(torn):
            return
        os.ftruncate(descriptor, self.size - len(torn))
        self.size -= len(torn)
        del self._bytes[begin:]

    def add(self, data: bytes) -> None:
        """`data` now stands at the end of the file."""
        self._bytes += data
        self.size += len(data)
        if len(self._bytes) > KNOWN_BYTES:  # a quarter at once, so that it costs little a line
            self._let_go(self._bytes.find(b"\n", KNOWN_BYTES // 4) + 1)

    def begins(self, descriptor: int) -> bool:
        """Whether what was left stands where it was left, whatever has come behind it."""
        end = bytes(self._bytes[-RECOGNISED_BY_BYTES:])
        return read_range(descriptor, self.size - len(end), self.size) == end

    def equals(self, descriptor: int) -> bool:
        """Whether every known byte stands where it was left; reads the whole file."""
        start = self.size - len(self._bytes)
        return read_range(descriptor, start, self.size) == self._bytes

    def unknown_end(self, descriptor: int) -> bytes:
        """What stands behind the known bytes."""
        return read_range(descriptor, self.size, os.fstat(descriptor).st_size)

    def content(self, descriptor: int) -> bytes:
        """The whole file, from its old descriptor where that still has what memory let go."""
        with suppress(OSError):  # a network file system may have dropped it
            if not self.is_whole and self._matches(descriptor):
                return read_range(descriptor, 0, self.size)
        return bytes(self._bytes)

    def is_now(self, content: bytes) -> None:
        """The file has been written anew and holds `content`, as `content()` gave it."""
        self.size = len(content)

    def next_seq(self) -> int:
        """One more than the seq of the last line that has one; 0 where none has."""
        end = len(self._bytes)
        while end > 0:
            begin = self._bytes.rfind(b"\n", 0, end) + 1
            try:
                return _tag_decoder.decode(self._bytes[begin:end]).seq + 1
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                end = begin - 1
        return 0

    def _matches(self, descriptor: int) -> bool:
        """Whether the file's length and end are as they were left."""
        return os.fstat(descriptor).st_size == self.size and self.begins(descriptor)

    def _let_go(self, count: int) -> None:
        del self._bytes[:count]


def read_range(descriptor: int, start: int, end: int) -> bytes:
    """The bytes of a file from `start` to `end`, fewer where it ends before."""
    parts = []
    while start < end:
        part = os.pread(descriptor, min(1 << 20, end - start), start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _has_seq(line: bytes) -> bool:
    """Whether `line` is a whole event."""
    try:
        _tag_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
