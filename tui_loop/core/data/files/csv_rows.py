"""Reads CSV: its first lines show its separator, and whether they have a header."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TextIO

from tui_loop.core.data.files.content import AUTO, FileContent, ReadOptions
from tui_loop.core.data.files.opening import format_of, opened
from tui_loop.core.data.rows import RawRow
from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "pipes"}

_SAMPLE_CHARACTERS, _SAMPLE_ROWS = 1 << 18, 200
_LONG_NAME, _WORDY_NAME = 60, 8
"""Characters and words of a field that is no name of a column."""
_FEW_VALUES = 0.7
"""The largest share of distinct values among those of a column that repeats them."""


class _Column(NamedTuple):
    """A column of the file: `at` is its position, `name` None where it is left out."""

    at: int
    name: str | None


def read_csv(path: Path, options: ReadOptions) -> FileContent:
    """Reads all rows of a CSV file; raises BadInput with the line of a fault."""
    csv.field_size_limit(1 << 27)
    usual = "\t" if format_of(path) == ".tsv" else ","
    with opened(path, options.encoding) as stream:
        text = stream.read(_SAMPLE_CHARACTERS)
    is_whole = len(text) < _SAMPLE_CHARACTERS
    separator = _separator(text, usual, is_whole=is_whole)
    sample = _sample(text, separator, is_whole=is_whole)
    if not sample:
        raise BadInput(f"{path}: is empty", "give a file with at least one row")
    has_header = options.header == "yes" or (options.header == AUTO and _has_header(sample))
    columns, notes = _columns(path, sample, has_header=has_header)
    if separator != usual:
        notes.insert(0, f"its columns are separated by {SEPARATORS[separator]}")
    with opened(path, options.encoding) as stream:
        rows = list(_rows(path, stream, separator, columns, has_header=has_header))
    return FileContent({"": rows}, tuple(notes))


def _separator(text: str, usual: str, *, is_whole: bool) -> str:
    """Returns the separator with which the first lines have the same number of columns.

    The usual one is kept where it gives several columns, or where no other does.
    """
    widths = {}
    for separator in SEPARATORS:
        sample = _sample(text, separator, is_whole=is_whole)
        width = len(sample[0]) if sample else 0
        alike = sum(len(fields) == width for fields in sample)
        if width > 1 and alike == len(sample):
            widths[separator] = width
    if usual in widths or not widths:
        return usual
    return max(widths, key=lambda each: widths[each])


def _sample(text: str, separator: str, *, is_whole: bool) -> list[list[str]]:
    """Returns the fields of the first lines that are not blank, [] where they cannot be read."""
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
    if any(len(name) > _LONG_NAME or len(name.split()) > _WORDY_NAME for name in names):
        return False
    for at, name in enumerate(names):
        values = [fields[at].strip() for fields in rest if at < len(fields)]
        if not name or not values:
            continue
        if _is_number(name) and all(map(_is_number, values)):
            return False
        repeats = len(set(values)) <= _FEW_VALUES * len(values)
        if name in values and repeats:
            return False
    return True


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _columns(
    path: Path, sample: Sequence[Sequence[str]], *, has_header: bool
) -> tuple[list[_Column], list[str]]:
    """Returns the columns, and notes on those without a name and on a missing header."""
    width = len(sample[0])
    if not has_header:
        names = [f"column{number}" for number in range(1, width + 1)]
        note = f"it has no header line: its columns are {', '.join(names)}"
        return [_Column(at, name) for at, name in enumerate(names)], [
            f"{note} (--set data.header=yes where the first line names them)"
        ]
    columns, notes = [], []
    for at, name in enumerate(field.strip() for field in sample[0]):
        values = [fields[at].strip() for fields in sample[1:] if at < len(fields)]
        if name:
            columns.append(_Column(at, name))
        elif not any(values):
            columns.append(_Column(at, None))
            notes.append(f"its column {at + 1} has no name and no values, and is not used")
        elif all(value.isdigit() for value in values):
            columns.append(_Column(at, None))
            notes.append(f"its column {at + 1} has no name and counts rows, and is not used")
        else:
            raise BadInput(
                f"{path}:1: column {at + 1} has no name, but values such as "
                f"{one_line(next(filter(None, values)), 40)!r}",
                "name the column, or --set data.header=no where the first line is a row",
            )
    named = [column.name for column in columns if column.name is not None]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise BadInput(
            f"{path}:1: two columns are named {one_line(twice[0], 40)!r}",
            "give each column a name of its own",
        )
    return columns, notes


def _rows(
    path: Path, stream: TextIO, separator: str, columns: Sequence[_Column], *, has_header: bool
) -> Iterator[RawRow]:
    """Yields the rows with the line where each starts."""
    reader = csv.reader(stream, delimiter=separator, strict=True)
    is_first, line = True, 1
    try:
        for fields in reader:
            start, line = line, reader.line_num + 1
            if not fields:
                continue
            is_header, is_first = is_first and has_header, False
            if is_header:
                continue
            if len(fields) != len(columns):
                raise BadInput(
                    f"{path}:{start}: has {len(fields)} fields where the first line has "
                    f"{len(columns)}",
                    "quote fields that contain the separator, then try again",
                )
            values = zip(columns, fields, strict=True)
            yield RawRow(start, {column.name: text for column, text in values if column.name})
    except csv.Error as error:
        hint = "fix the line or remove it, then try again"
        raise BadInput(f"{path}:{line}: is not CSV: {error}", hint) from error
