"""Finds single rows of a file of rows, without reading those before them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.safe_open import LINE_BYTES, ROWS_BYTES, lines_of, open_regular
from tui_loop.core.record.structs import Example, TokenLosses

T = TypeVar("T")
Named = TypeVar("Named", Example, TokenLosses)

BLOCK_BYTES = 256 * 1024
"""About the number of bytes to search for a row."""

FILES = 64
"""Files with their blocks in the cache, some hundred numbers each."""


class _Blocks(msgspec.Struct, frozen=True):
    """Blocks of whole lines: the byte where each starts, and the number of lines before it."""

    starts: array[int]
    lines: array[int]


def line_at(path: Path, index: int) -> bytes | None:
    """Returns the line at `index`, from 0, without its newline; None beyond the end.

    Raises BadInput where it is not a regular file, else OSError.
    """
    status = path.lstat()
    blocks = _blocks(path, status.st_mtime_ns, status.st_size)
    block = bisect_right(blocks.lines, index) - 1
    if block < 0:
        return None
    with open_regular(path, ROWS_BYTES) as file:
        file.seek(blocks.starts[block])
        lines = (file.read(BLOCK_BYTES) + file.readline(LINE_BYTES)).split(b"\n")
    at = index - blocks.lines[block]
    return lines[at] if at < len(lines) else None


def read_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (number, line) of a file of rows, from 1 on; raises BadInput."""
    try:
        yield from lines_of(path)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error


def read_rows(path: Path, kind: type[T]) -> Iterator[tuple[int, T]]:
    """Yields (line number, row); raises BadInput with its number for a line that is not a row."""
    decoder = msgspec.json.Decoder(kind)
    for number, line in read_lines(path):
        if line.strip():
            yield number, codec.decoded(decoder, line, f"{path}:{number}")


def read_row(path: Path, kind: type[Named], index: int, name: str) -> Named | None:
    """Returns the row with an id: the one at `index` if it matches, else searches for it.

    None where no row has it; raises BadInput.
    """
    try:
        line = line_at(path, index)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error
    if line and line.strip():
        decoder = msgspec.json.Decoder(kind)
        row = codec.decoded(decoder, line, f"{path}:{index + 1}")
        if row.id == name:
            return row
    return next((row for _, row in read_rows(path, kind) if row.id == name), None)


@lru_cache(maxsize=FILES)
def _blocks(path: Path, modified: int, size: int) -> _Blocks:
    """Returns the blocks of a file; modification time and size are part of the cache key."""
    starts, lines, start, line = array("Q"), array("Q"), 0, 0
    with open_regular(path, ROWS_BYTES) as file:
        while part := file.read(BLOCK_BYTES) + file.readline(LINE_BYTES):
            starts.append(start)
            lines.append(line)
            start += len(part)
            line += part.count(b"\n")
    return _Blocks(starts, lines)
