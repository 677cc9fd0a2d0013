"""Reads one JSON value: an array of objects, or one of the objects that programs wrap rows in."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tui_loop.core.data.column_names import PROMPTS, TEXTS
from tui_loop.core.data.files.content import FIX_LINE, FileContent, ReadOptions, listed
from tui_loop.core.data.files.json_lines import (
    NanCounts,
    is_list_row,
    object_row,
    rows_of_lines,
)
from tui_loop.core.data.files.opening import opened
from tui_loop.core.data.files.splits import is_split_name, split_of
from tui_loop.core.data.rows import RawRow
from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

Numbered = list[tuple[int, Any]]
"""Values of an array with the line where each starts."""

_SPACES = " \t\r\n"


class _Malformed(ValueError):
    """Text that is no JSON, at a position."""

    def __init__(self, position: int, reason: str, hint: str = FIX_LINE) -> None:
        super().__init__(reason)
        self.position, self.reason, self.hint = position, reason, hint


def read_json(path: Path, options: ReadOptions) -> FileContent:
    """Reads all rows of a JSON file; raises BadInput with the line of a fault.

    Read are an array of objects, an object with one such array or with one for each split, a SQuAD
    file, pandas' objects of columns, and JSON lines under this name.
    """
    with opened(path, options.encoding) as stream:
        text = stream.read()
    nans = NanCounts()
    scan = _Scan(text, nans)
    start = scan.skip(0)
    if start == len(text):
        raise BadInput(f"{path}: is empty", "give a file with at least one row")
    if text[start] == "[" and (values := _only_array(path, scan, start)) is not None:
        content = FileContent({"": _rows(path, values, nans)})
    elif text[start] == "{" and (members := scan.only_object(start)) is not None:
        content = _of_object(path, members, nans)
    else:  # JSON lines under this name are common
        lines = rows_of_lines(path, io.StringIO(text, newline=""), nans)
        content = FileContent({"": list(lines)})
    return FileContent(content.splits, (*content.notes, *nans.notes()))


class _Scan:
    """Reads the values of a JSON text with the lines where they start."""

    def __init__(self, text: str, nans: NanCounts) -> None:
        self.text = text
        self._counted, self._line = 0, 1
        self._decoder = json.JSONDecoder(parse_constant=nans.constant)

    def skip(self, position: int, signs: str = _SPACES) -> int:
        """Returns the first position from `position` on that has none of `signs`."""
        while position < len(self.text) and self.text[position] in signs:
            position += 1
        return position

    def only_object(self, start: int) -> dict[str, Any] | None:
        """Returns the members of the only value of the text, None where it is not one object.

        Arrays have their values with the line of each.
        """
        text, position = self.text, start + 1
        members: dict[str, Any] = {}
        try:
            while text[position := self.skip(position, _SPACES + ",")] != "}":
                name, position = self._value(position)
                position = self.skip(position)
                if not isinstance(name, str) or text[position] != ":":
                    return None
                position = self.skip(position + 1)
                read = self.array if text[position] == "[" else self._value
                members[name], position = read(position)
        except (_Malformed, IndexError):
            return None
        return members if self.skip(position + 1) == len(text) else None

    def array(self, start: int) -> tuple[Numbered, int]:
        """Returns (the values of the array at `start`, its end); raises _Malformed."""
        text = self.text
        found: Numbered = []
        position = start + 1
        while True:
            position = self.skip(position, _SPACES + ",")
            self._line += text.count("\n", self._counted, position)
            self._counted = position
            if position >= len(text):
                raise _Malformed(position, "the array is not closed", "end the file with ]")
            if text[position] == "]":
                return found, position + 1
            value, position = self._value(position)
            found.append((self._line, value))

    def _value(self, start: int) -> tuple[Any, int]:
        try:
            return self._decoder.raw_decode(self.text, start)
        except (ValueError, RecursionError) as error:
            raise _Malformed(start, f"is not JSON: {error}") from error


def _only_array(path: Path, scan: _Scan, start: int) -> Numbered | None:
    """Returns the values of a text that is one array, None where it has one array a line.

    Raises BadInput with the line of a fault.
    """
    try:
        values, end = scan.array(start)
        if (after := scan.skip(end)) < len(scan.text):
            if is_list_row([each for _, each in values]):
                return None
            raise _Malformed(after, "there is more text after the array")
    except _Malformed as error:
        line = scan.text.count("\n", 0, error.position) + 1
        raise BadInput(f"{path}:{line}: {error.reason}", error.hint) from error
    return values


def _rows(path: Path, values: Numbered, nans: NanCounts) -> list[RawRow]:
    rows = (object_row(path, line, value) for line, value in values)
    return [RawRow(row.line, nans.without(row.values, row.line)) for row in rows]


def _of_object(path: Path, members: dict[str, Any], nans: NanCounts) -> FileContent:
    """Returns the rows that an object holds; an object that holds none is a row itself."""
    columns = _columns(members)
    if columns:
        values = zip(*columns.values(), strict=True)
        by_name = (dict(zip(columns, each, strict=True)) for each in values)
        rows = [RawRow(1, nans.without(row, 1)) for row in by_name]
        note = "the file is stored by column, as pandas writes it, so its rows have no line numbers"
        return FileContent({"": rows}, (note,))
    lists = {name: value for name, value in members.items() if _has_rows(value)}
    splits = _splits(path, lists)
    if splits and not _is_row(members):
        found = {split: _rows(path, lists[name], nans) for name, split in splits.items()}
        notes = [f"the splits are {listed(splits)}"] if len(splits) > 1 else []
        unused = [name for name, value in members.items() if value and isinstance(value, list)]
        if others := [name for name in unused if name not in splits]:
            notes.append(f"{listed(others)} {'is' if len(others) == 1 else 'are'} not used")
        return FileContent(found, tuple(notes))
    if lists and not _is_row(members):
        if len(lists) > 1:
            raise BadInput(
                f"{path}: several lists could hold the rows: {listed(lists)}",
                "put the rows into a separate file, as [{...}, {...}]",
            )
        [(name, value)] = lists.items()
        note = f"the rows are in the list {one_line(name, 40)!r}"
        if all(isinstance(each, dict) and "paragraphs" in each for _, each in value):
            return FileContent({"": _squad(path, value)}, (f"{note}, in SQuAD format",))
        return FileContent({"": _rows(path, value, nans)}, (note,))
    if _are_rows_by_id(members):
        by_id = ({"id": name, **value} for name, value in members.items())
        rows = [RawRow(1, nans.without(row, 1)) for row in by_id]
        return FileContent(
            {"": rows}, ("each row is stored under its id, so the rows have no line numbers",)
        )
    plain = {name: _plain(value) for name, value in members.items()}
    kinds = {type(value) for value in plain.values()}
    if list in kinds and not lists and kinds.isdisjoint((str, dict)):
        raise BadInput(
            f"{path}:1: is a single JSON object without rows",
            "write [{...}, {...}], or one object per line",
        )
    return FileContent({"": [RawRow(1, nans.without(plain, 1))]})


def _splits(path: Path, lists: Mapping[str, Numbered]) -> dict[str, str]:
    """Returns the split that each list of rows is; {} where their names say nothing of it.

    Where some have just the name of a split, others such as `oos_train` are not meant.
    """
    named = {name: split for name in lists if (split := split_of(name)) is not None}
    exact = {name: split for name, split in named.items() if is_split_name(name)}
    if exact:
        named = exact
    elif len(named) < len(lists):
        return {}
    if len(set(named.values())) < len(named):
        raise BadInput(
            f"{path}: the lists {listed(named)} name the same split",
            "put each list into a separate file",
        )
    return named


def _has_rows(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(each, dict) or is_list_row(each) for _, each in value)
    )


def _is_row(members: dict[str, Any]) -> bool:
    """Returns whether an object is one row: it has turns, or a text under the name of a prompt."""
    return any(
        (isinstance(value, str) and name.lower() in (*PROMPTS, *TEXTS)) or _is_conversation(value)
        for name, value in members.items()
    )


def _is_conversation(value: Any) -> bool:
    return _has_rows(value) and all(
        isinstance(each, dict) and ("role" in each or "from" in each) for _, each in value
    )


def _are_rows_by_id(members: dict[str, Any]) -> bool:
    """Returns whether an object has a row under each of several ids."""
    rows = list(members.values())
    if len(rows) < 2 or not all(isinstance(each, dict) and each for each in rows):
        return False
    return bool(set(rows[0]).intersection(*rows[1:])) and any(map(_has_text, rows))


def _has_text(row: dict[str, Any]) -> bool:
    return any(isinstance(value, str) for value in row.values())


def _columns(members: dict[str, Any]) -> dict[str, Sequence[Any]]:
    """Returns the values of each column of an object that pandas wrote, {} for any other."""
    if "columns" in members and "data" in members:  # orient="split"
        names, rows = _plain(members["columns"]), _plain(members["data"])
        fits = isinstance(names, list) and isinstance(rows, list) and rows
        if fits and all(isinstance(row, list) and len(row) == len(names) for row in rows):
            return {str(name): [row[at] for row in rows] for at, name in enumerate(names)}
    columns = list(members.values())
    if columns and all(isinstance(each, dict) and each for each in columns):  # by index
        keys = list(columns[0])
        if all(key.isdigit() for key in keys) and all(list(each) == keys for each in columns):
            return {name: list(value.values()) for name, value in members.items()}
    are_lists = columns and all(isinstance(each, list) and each for each in columns)
    if not any(isinstance(text, str) for each in columns if are_lists for _, text in each):
        return {}
    if not are_lists or len({len(each) for each in columns}) > 1 or any(map(_has_rows, columns)):
        return {}
    return {name: _plain(value) for name, value in members.items()}  # orient="list"


def _squad(path: Path, articles: Numbered) -> list[RawRow]:
    """Returns the questions of a SQuAD file as rows with the line of their article."""
    return [row for line, article in articles for row in _questions(path, line, article)]


def _questions(path: Path, line: int, article: dict[str, Any]) -> Iterator[RawRow]:
    try:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                texts = [str(answer["text"]) for answer in question.get("answers", [])]
                values = {
                    "id": question.get("id"),
                    "title": article.get("title"),
                    "context": paragraph["context"],
                    "question": question["question"],
                    "answers": list(dict.fromkeys(texts)),
                }
                yield RawRow(
                    line, {name: value for name, value in values.items() if value is not None}
                )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path}:{line}: is not a SQuAD article: {error} is missing or has the wrong type",
            "write each question as a row with context, question and answers",
        ) from error


def _plain(value: Any) -> Any:
    """Returns the value of a member, an array without the lines of its values."""
    return [each for _, each in value] if isinstance(value, list) else value
