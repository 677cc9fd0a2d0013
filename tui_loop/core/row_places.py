"""Where the rows of a file stand, so that one is read without those before it."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from functools import lru_cache
from pathlib import Path

import msgspec

from tui_loop.core.opening import LINE_BYTES, ROWS_BYTES, open_regular

BLOCK_BYTES = 256 * 1024
"""A row is looked for within about as much."""

FILES = 64
"""Files whose blocks are remembered, some hundred numbers each."""


class _Blocks(msgspec.Struct, frozen=True):
    """Blocks of whole lines: the byte that each starts at, and how many lines stand before it."""

    starts: array[int]
    lines: array[int]


def line_at(path: Path, index: int) -> bytes | None:
    """The line at `index`, from 0 on, without its newline; None where there are not so many.

    Raises BadInput for what is no regular file, else OSError.
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


@lru_cache(maxsize=FILES)
def _blocks(path: Path, modified: int, size: int) -> _Blocks:
    """The blocks of a file as it was when it had this time and size."""
    starts, lines, start, line = array("Q"), array("Q"), 0, 0
    with open_regular(path, ROWS_BYTES) as file:
        while part := file.read(BLOCK_BYTES) + file.readline(LINE_BYTES):
            starts.append(start)
            lines.append(line)
            start += len(part)
            line += part.count(b"\n")
    return _Blocks(starts, lines)
