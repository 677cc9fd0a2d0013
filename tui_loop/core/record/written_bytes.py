"""The bytes of a journal that its writer has read and written.

The writer compares the file with them and rebuilds it where it was damaged. A file that was cut in
place cannot be read back, so the bytes are in memory: the newest KNOWN_BYTES, in whole lines.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Annotated

import msgspec

KNOWN_BYTES = 64 * 1024 * 1024
"""About 300,000 events; the oldest are dropped first."""

RECOGNISED_BY_BYTES = 256
"""The quick check compares the size and this many bytes at the end."""


class _Tag(msgspec.Struct):
    event: str
    seq: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]


_tag_decoder = msgspec.json.Decoder(_Tag)
_BEGIN = b'{"event":"'
"""The first bytes of every line that the writer writes."""


class WrittenBytes:
    """The known bytes of the file behind a descriptor."""

    def __init__(self, descriptor: int) -> None:
        self.size = os.fstat(descriptor).st_size
        start = max(0, self.size - KNOWN_BYTES)
        self._bytes = bytearray(read_range(descriptor, start, self.size))
        self.size = start + len(self._bytes)
        if start:
            self._drop(self._bytes.find(b"\n") + 1)

    @property
    def is_whole(self) -> bool:
        """Returns whether memory still has the whole file."""
        return len(self._bytes) == self.size

    @property
    def is_torn(self) -> bool:
        """Returns whether the last line has no newline."""
        return bool(self._bytes) and not self._bytes.endswith(b"\n")

    def drop_fragment(self, descriptor: int) -> None:
        """Truncates an incomplete event at the end of the file, which a crash left.

        A kill tears a line where it crosses a page, before `append` has returned, so no reader
        depends on it. Other content at the end stays. Raises OSError where truncating fails.
        """
        begin = self._bytes.rfind(b"\n") + 1
        torn = bytes(self._bytes[begin:])
        if not torn or torn[: len(_BEGIN)] != _BEGIN[: len(torn)] or _has_seq(torn):
            return
        os.ftruncate(descriptor, self.size - len(torn))
        self.size -= len(torn)
        del self._bytes[begin:]

    def add(self, data: bytes) -> None:
        """Adds `data`, which was appended to the file."""
        self._bytes += data
        self.size += len(data)
        if (
            len(self._bytes) > KNOWN_BYTES
        ):  # drops a quarter at once, so that the cost per line is small
            self._drop(self._bytes.find(b"\n", KNOWN_BYTES // 4) + 1)

    def begins(self, descriptor: int) -> bool:
        """Returns whether the last known bytes are still in their place, whatever follows them."""
        end = bytes(self._bytes[-RECOGNISED_BY_BYTES:])
        return read_range(descriptor, self.size - len(end), self.size) == end

    def equals(self, descriptor: int) -> bool:
        """Returns whether all known bytes are still in their place; reads the whole file."""
        start = self.size - len(self._bytes)
        return read_range(descriptor, start, self.size) == self._bytes

    def unknown_end(self, descriptor: int) -> bytes:
        """Returns what follows the known bytes."""
        return read_range(descriptor, self.size, os.fstat(descriptor).st_size)

    def content(self, descriptor: int) -> bytes:
        """Returns the whole file; bytes that memory has dropped come from the old descriptor."""
        with suppress(OSError):  # a network file system may have dropped it
            if not self.is_whole and self._matches(descriptor):
                return read_range(descriptor, 0, self.size)
        return bytes(self._bytes)

    def set_rebuilt(self, content: bytes) -> None:
        """Notes that the file was rebuilt from `content`, the result of `content()`."""
        self.size = len(content)

    def next_seq(self) -> int:
        """Returns one more than the seq of the last line that has one, 0 where none has."""
        end = len(self._bytes)
        while end > 0:
            begin = self._bytes.rfind(b"\n", 0, end) + 1
            try:
                return _tag_decoder.decode(self._bytes[begin:end]).seq + 1
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                end = begin - 1
        return 0

    def _matches(self, descriptor: int) -> bool:
        """Returns whether the size and the end of the file are unchanged."""
        return os.fstat(descriptor).st_size == self.size and self.begins(descriptor)

    def _drop(self, count: int) -> None:
        del self._bytes[:count]


def read_range(descriptor: int, start: int, end: int) -> bytes:
    """Reads the bytes of a file from `start` to `end`, fewer where it ends before."""
    parts = []
    while start < end:
        part = os.pread(descriptor, min(1 << 20, end - start), start)
        if not part:
            break
        parts.append(part)
        start += len(part)
    return b"".join(parts)


def _has_seq(line: bytes) -> bool:
    """Returns whether `line` is a complete event."""
    try:
        _tag_decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
