"""Reads JSON lines: one object a line, or objects with several indented lines."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.data.files.content import FIX_LINE, FileContent, ReadOptions
from tui_loop.core.data.files.opening import is_large, is_utf8, opened, opened_bytes
from tui_loop.core.data.files.streamed_rows import StreamedRows
from tui_loop.core.data.rows import RawRow
from tui_loop.core.errors import BadInput
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

_DEEP = 100
"""Values within so many others are not searched for NaN."""
_LONGEST_OBJECT = 10_000
"""Lines of one object that are read together."""
_BETWEEN = b"}\n{"
"""What is between two objects in lines of their own."""

_PART = 1 << 20
"""Bytes that are read at once."""

_decoder = msgspec.json.Decoder()


def is_list_row(value: Any) -> bool:
    """Returns whether a value is a row as a list of its values: `["where is it?", "order"]`."""
    return (
        isinstance(value, list)
        and len(value) > 1
        and all(isinstance(each, (str, int, float, type(None))) for each in value)
    )


class NanCounts:
    """Counts the rows with NaN by column; JSON has no such number, but pandas writes it."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.first: dict[str, int] = {}
        self.seen = False

    def clear(self) -> None:
        """Starts to count anew."""
        self.rows.clear()
        self.first.clear()
        self.seen = False

    def constant(self, word: str) -> float:
        """Returns NaN for that word, for a decoder; raises ValueError for infinities."""
        if word != "NaN":
            raise ValueError(f"{word} is not a JSON number")
        self.seen = True
        return math.nan

    def without(self, values: dict[str, Any], line: int) -> dict[str, Any]:
        """Returns the values of a row with null in place of each NaN."""
        if not self.seen:  # most files; a hot loop
            return values
        found = {name: _without_nan(value) for name, value in values.items()}
        for name, (_, had) in found.items():
            if had:
                self.rows[name] += 1
                self.first.setdefault(name, line)
        return {name: value for name, (value, _) in found.items()}

    def notes(self) -> tuple[str, ...]:
        """Returns a note on each column with NaN."""
        return tuple(
            f"NaN in {one_line(name, 40)!r} is read as a missing value in {counted(count, 'row')}, "
            f"the first in line {self.first[name]}"
            for name, count in self.rows.items()
        )


def read_json_lines(path: Path, options: ReadOptions) -> FileContent:
    """Reads a file of JSON lines; raises BadInput with the line of a fault.

    The rows of a large file are streamed, and raise BadInput while they are read.
    """
    nans = NanCounts()

    def read() -> Iterator[RawRow]:
        nans.clear()
        with opened(path, options.encoding) as stream:
            yield from rows_of_lines(path, stream, nans)

    if not is_large(path):
        return FileContent({"": list(read())}, nans.notes())
    lines = _Lines(path, nans) if is_utf8(path, options.encoding) else None
    return FileContent({"": StreamedRows(read, lines, nans.notes)})


class _Lines:
    """The lines of a file with one object in each: counted and picked without decoding the others.

    Keeps how many lines end before each part of the file.
    """

    def __init__(self, path: Path, nans: NanCounts) -> None:
        self._path, self._nans = path, nans
        self._ended: list[int] = []

    def count(self) -> int | None:
        """Returns the number of lines, None where a line is not the whole of an object."""
        self._ended = []
        ends = between = 0
        before = b""
        with opened_bytes(self._path) as stream:
            while part := stream.read(_PART):
                self._ended.append(ends)
                ends += part.count(b"\n")
                between += part.count(_BETWEEN) + (before + part[:2]).count(_BETWEEN)
                before = part[-2:]
        lines = ends if before.endswith(b"\n") else ends + 1
        return lines if between == lines - 1 else None

    def pick(self, places: Sequence[int]) -> Iterator[RawRow]:
        """Yields the rows at some places, which count from 0 and ascend."""
        self._nans.clear()
        with opened_bytes(self._path) as stream:
            at = -1
            for place in places:
                part = max(0, bisect_left(self._ended, place) - 1)
                if at < 0 or self._ended[part] > at:
                    stream.seek(part * _PART)
                    at = self._ended[part]
                while at < place:
                    stream.readline()
                    at += 1
                line = stream.readline()
                at += 1
                try:
                    text = line.decode("utf-8-sig" if place == 0 else "utf-8")
                except UnicodeDecodeError as error:
                    raise BadInput(f"{self._path}:{place + 1}: is not UTF-8", FIX_LINE) from error
                yield from rows_of_lines(self._path, [text], self._nans, place + 1)


def rows_of_lines(
    path: Path, lines: Iterable[str], nans: NanCounts, first: int = 1
) -> Iterator[RawRow]:
    """Yields the objects of lines with the line where each starts; `first`: that of the first."""
    numbered = iter(enumerate(lines, first))
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            value = _decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            value = _with_nan(line, nans)
            if value is None:
                value = _over_lines(line, numbered, nans)
            if value is None:
                raise BadInput(f"{path}:{number}: is not JSON: {error}", FIX_LINE) from error
        row = object_row(path, number, value)
        yield RawRow(number, nans.without(row.values, number))


def object_row(path: Path, line: int, value: Any) -> RawRow:
    """Returns a row; the columns of a list of values are numbered.

    Raises BadInput for a value that is neither an object nor such a list.
    """
    if is_list_row(value):
        return RawRow(line, {f"column{at}": each for at, each in enumerate(value, 1)})
    if not isinstance(value, dict):
        raise BadInput(
            f"{path}:{line}: must be a JSON object, not {type(value).__name__}", FIX_LINE
        )
    return RawRow(line, value)


def _with_nan(text: str, nans: NanCounts) -> Any:
    """Returns the value of JSON that may have NaN in it, None for any other text."""
    try:
        return json.loads(text, parse_constant=nans.constant)
    except (ValueError, RecursionError):
        return None


def _over_lines(first: str, following: Iterator[tuple[int, str]], nans: NanCounts) -> Any:
    """Returns the object that starts in a line and ends in a later one, None where none does.

    The lines within such an object are indented, so a line that begins with a brace starts another
    one: the first was not closed.
    """
    parts = [first]
    if not first.rstrip().endswith((",", "{", "[", ":")):
        return None
    for _, line in following:
        parts.append(line)
        if line.startswith("{") or len(parts) > _LONGEST_OBJECT:
            return None
        if line.startswith("}") and (value := _with_nan("".join(parts), nans)) is not None:
            return value
    return None


def _without_nan(value: Any, depth: int = 0) -> tuple[Any, bool]:
    """Returns (the value with null in place of NaN, whether it had any).

    Values within more than _DEEP others are left as they are.
    """
    if depth > _DEEP:
        return value, False
    if isinstance(value, float):
        return (None, True) if math.isnan(value) else (value, False)
    if isinstance(value, dict):
        pairs = {name: _without_nan(each, depth + 1) for name, each in value.items()}
        return {name: each for name, (each, _) in pairs.items()}, any(
            had for _, had in pairs.values()
        )
    if isinstance(value, list):
        items = [_without_nan(each, depth + 1) for each in value]
        return [each for each, _ in items], any(had for _, had in items)
    return value, False
