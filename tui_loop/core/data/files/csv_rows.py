"""Reads CSV: its first lines show its separator, and whether they have a header."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import msgspec

from tui_loop.core.data.column_names import COMMON_NAMES
from tui_loop.core.data.files.content import AUTO, FIX_LINE, FileContent, ReadOptions, listed
from tui_loop.core.data.files.opening import format_of, is_large, opened
from tui_loop.core.data.files.streamed_rows import StreamedRows
from tui_loop.core.data.rows import RawRow
from tui_loop.core.errors import BadInput
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}

_SAMPLE_CHARACTERS, _SAMPLE_ROWS = 1 << 18, 200
_LONG_NAME, _WORDY_NAME = 60, 8
"""A field with more characters or words is not the name of a column."""
_PROSE = 3
"""Words from which on a name looks like a text."""
_FEW_VALUES = 0.7
"""The largest share of distinct values among those of a column that repeats them."""
_MOST_ROWS = 0.9
"""The least share of rows with as many fields as the first one, for a separator to be right."""

_DECLARED = re.compile(r"sep=(.)\r?\n")
"""The first line that Excel reads: it names the separator."""


class _Column(msgspec.Struct, frozen=True):
    """A column of the file; `name` is "" where it is left out, as it is empty or an index."""

    name: str
    is_empty: bool = False


class _Layout(msgspec.Struct, frozen=True):
    """How the lines of a file are read. `skipped`: lines before the first row or header."""

    separator: str
    columns: list[_Column]
    header: list[str] | None
    skipped: int


def read_csv(path: Path, options: ReadOptions) -> FileContent:
    """Reads all rows of a CSV file; raises BadInput with the line of a fault."""
    csv.field_size_limit(1 << 27)
    usual = "\t" if format_of(path) == ".tsv" else ","
    with opened(path, options.encoding) as stream:
        text = stream.read(_SAMPLE_CHARACTERS)
    is_whole, declared = len(text) < _SAMPLE_CHARACTERS, _DECLARED.match(text)
    if declared:
        text = text[declared.end() :]
    separator = declared[1] if declared else _separator(text, usual, is_whole=is_whole)
    sample = _sample(text, separator, is_whole=is_whole)
    if not sample:
        raise BadInput(f"{path}: is empty", "give a file with at least one row")
    has_header = options.header == "yes" or (options.header == AUTO and _has_header(sample))
    notes = []
    if separator != usual:
        kind = SEPARATORS.get(separator, repr(separator))
        notes.append(f"the columns are separated by {kind}")
    columns = _columns(path, sample, notes, has_header=has_header)
    layout = _Layout(separator, columns, sample[0] if has_header else None, int(bool(declared)))
    if has_header and options.header == AUTO:
        notes += _header_notes(columns)

    def read() -> Iterator[RawRow]:
        found.clear()
        with opened(path, options.encoding) as stream:
            yield from _rows(path, stream, layout, found)

    found: list[str] = []
    if is_large(path):
        return FileContent({"": StreamedRows(read, notes=lambda: tuple(found))}, tuple(notes))
    rows = list(read())
    return FileContent({"": rows}, (*notes, *found))


def _separator(text: str, usual: str, *, is_whole: bool) -> str:
    """Returns the separator with which most of the first lines have the same number of columns.

    The usual one is kept where it gives several columns, or where no other does.
    """
    widths = {}
    for separator in SEPARATORS:
        sample = _sample(text, separator, is_whole=is_whole)
        width = len(sample[0]) if sample else 0
        alike = sum(len(fields) == width for fields in sample)
        if width > 1 and alike >= _MOST_ROWS * len(sample) - 1:
            widths[separator] = width
    if usual in widths or not widths:
        return usual
    return max(widths, key=lambda each: widths[each])


def _sample(text: str, separator: str, *, is_whole: bool) -> list[list[str]]:
    """Returns the fields of the first lines that are not blank, as far as they can be read."""
    found: list[list[str]] = []
    lines = io.StringIO(text, newline="")
    try:
        for fields in csv.reader(lines, delimiter=separator, strict=True):
            if fields:
                found.append(fields)
            if len(found) > _SAMPLE_ROWS:
                return found
    except csv.Error:  # where the sample ends within a field, or the file is at fault
        return found
    return found if is_whole or len(found) < 2 else found[:-1]


def _has_header(sample: Sequence[Sequence[str]]) -> bool:
    """Returns whether the first line names the columns rather than being a row itself."""
    first, rest = sample[0], sample[1:]
    names = [name.strip() for name in first]
    if any(name.lower() in COMMON_NAMES for name in names):
        return True
    columns = [
        [fields[at].strip() for fields in rest if at < len(fields)] for at in range(len(names))
    ]
    named = [(name, values) for name, values in zip(names, columns, strict=True) if name and values]
    of_numbers = [name for name, values in named if all(map(_is_number, values))]
    if of_numbers:
        return not all(map(_is_number, of_numbers))
    if any(len(name) > _LONG_NAME or len(name.split()) > _WORDY_NAME for name in names):
        return False
    return not any(
        name in values and len(set(values)) <= _FEW_VALUES * len(values) for name, values in named
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _header_notes(columns: Sequence[_Column]) -> Iterator[str]:
    """Yields a note where names of columns look like the texts of a row."""
    names = [column.name for column in columns if column.name]
    are_common = any(name.lower() in COMMON_NAMES for name in names)
    if not are_common and any(len(name.split()) >= _PROSE or "?" in name for name in names):
        yield (
            f"the first line is read as the column names {listed(names)} "
            "(if that line is a row: --set data.header=no)"
        )


def _columns(
    path: Path, sample: Sequence[Sequence[str]], notes: list[str], *, has_header: bool
) -> list[_Column]:
    """Returns the columns; adds notes on those without a name and on a missing header."""
    width = len(sample[0])
    if not has_header:
        names = [f"column{number}" for number in range(1, width + 1)]
        notes.append(
            f"no header line found, so the columns are named {', '.join(names[:12])} "
            "(if the first line has the names: --set data.header=yes)"
        )
        return list(map(_Column, names))
    columns = []
    for at, name in enumerate(field.strip() for field in sample[0]):
        values = [fields[at].strip() for fields in sample[1:] if at < len(fields)]
        if name:
            columns.append(_Column(name))
        elif not any(values):
            columns.append(_Column("", is_empty=True))
            notes.append(f"column {at + 1} is not used: it has no name and no values")
        elif all(value.isdigit() for value in values) and len(set(values)) == len(values):
            columns.append(_Column(""))
            notes.append(f"column {at + 1} is not used: it is a row index without a name")
        else:
            raise _nameless(path, 1, at, next(filter(None, values)))
    named = [column.name for column in columns if column.name]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise BadInput(
            f"{path}:1: two columns are named {one_line(twice[0], 40)!r}",
            "give each column a different name; if the first line is a row: --set data.header=no",
        )
    return columns


def _rows(path: Path, stream: TextIO, layout: _Layout, notes: list[str]) -> Iterator[RawRow]:
    """Yields the rows with the line where each starts; adds notes on odd ones."""
    for _ in range(layout.skipped):
        stream.readline()
    reader = csv.reader(stream, delimiter=layout.separator, strict=True)
    columns, width = layout.columns, len(layout.columns)
    empty = [at for at, column in enumerate(columns) if column.is_empty]
    headers = joined = first_joined = 0
    line = 1 + layout.skipped
    try:
        for fields in reader:
            start, line = line, reader.line_num + 1 + layout.skipped
            if not fields:
                continue
            if fields == layout.header:
                headers += 1
                continue
            if len(fields) != width:
                found = counted(len(fields), "field")
                raise BadInput(
                    f"{path}:{start}: has {found}, but the first line has {width}",
                    "quote fields that contain the separator, then try again",
                )
            for at in empty:
                if fields[at].strip():
                    raise _nameless(path, start, at, fields[at].strip())
            if line - start > 1 and _has_rows_inside(fields, layout.separator, width):
                joined, first_joined = joined + 1, first_joined or start
            values = zip(columns, fields, strict=True)
            yield RawRow(start, {column.name: text for column, text in values if column.name})
    except csv.Error as error:
        raise BadInput(f"{path}:{line}: is not CSV: {error}", FIX_LINE) from error
    if headers > 1:
        notes.append(f"{counted(headers - 1, 'repeated header line')} skipped")
    if joined:
        notes.append(
            f"a quote may be missing: lines that look like rows are inside "
            f"{counted(joined, 'quoted field')}, the first in line {first_joined}"
        )


def _has_rows_inside(fields: Sequence[str], separator: str, width: int) -> bool:
    """Returns whether a field has lines with as many separators as a row."""
    inside = (line for field in fields if "\n" in field for line in field.split("\n")[1:-1])
    return any(line.count(separator) >= max(1, width - 1) for line in inside)


def _nameless(path: Path, line: int, at: int, value: str) -> BadInput:
    return BadInput(
        f"{path}:{line}: column {at + 1} has values such as {one_line(value, 40)!r}, but no name",
        "name the column; if the first line is a row: --set data.header=no",
    )
