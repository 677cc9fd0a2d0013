"""Reads JSONL, JSON and CSV with line numbers; every error names file and line."""

from __future__ import annotations

import codecs
import csv
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.data.rows import RawRow
from tui_loop.core.errors import BadInput

TEXT_SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")
"""The formats that are read here; others need the training stack."""

_FIX_LINE = "fix the line or remove it, then try again"
_decoder = msgspec.json.Decoder()


def is_text_file(path: Path) -> bool:
    """Returns whether `path` has a format that needs no training stack."""
    return path.suffix.lower() in TEXT_SUFFIXES


def read_rows(path: Path) -> list[RawRow]:
    """Reads all rows of a JSONL, JSON or CSV file.

    Raises BadInput for a missing, empty, binary or malformed file.
    """
    text = _text_of(path)
    suffix = path.suffix.lower()
    if suffix == ".json":
        rows = list(_json_rows(path, text))
    elif suffix in (".csv", ".tsv"):
        rows = list(_csv_rows(path, text, "\t" if suffix == ".tsv" else ","))
    else:
        rows = list(_json_lines(path, text))
    if not rows:
        raise BadInput(f"{path}: has no rows", "give a file with at least one row")
    return rows


def _text_of(path: Path) -> str:
    if not os.path.exists(path):  # unlike Path.exists, False for impossible names
        raise BadInput(f"{path}: no such file", "check the path; it is read from this folder")
    if path.is_dir():
        raise BadInput(f"{path}: is a folder, not a file", "name a file in it")
    try:
        raw = path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check the file's permissions") from error
    if b"\0" in raw[:65536]:
        raise BadInput(f"{path}: is a binary file, not text", "give JSONL, JSON or CSV in UTF-8")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise BadInput(f"{path}:{line}: is not UTF-8 text", "convert the file to UTF-8") from error
    if not text.strip():
        raise BadInput(f"{path}: is empty", "give a file with at least one row")
    return text


def _json_lines(path: Path, text: str) -> Iterator[RawRow]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            value = _decoder.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise BadInput(f"{path}:{number}: is not JSON: {error}", _FIX_LINE) from error
        yield _object_row(path, number, value)


def _json_rows(path: Path, text: str) -> Iterator[RawRow]:
    """Yields the objects of a JSON array with the line where each starts."""
    start = len(text) - len(text.lstrip())
    if text[start] != "[":
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            yield from _json_lines(path, text)  # JSON lines under a .json name are common
            return
        if isinstance(value, dict) and not any(isinstance(item, list) for item in value.values()):
            yield _object_row(path, 1, value)
            return
        raise BadInput(
            f"{path}:1: is one JSON value, not an array of objects",
            "write [{...}, {...}] or one object a line",
        )
    decoder = json.JSONDecoder(parse_constant=_refuse_constant)
    position, line, counted = start + 1, 1, 0
    while True:
        position = _skip(text, position, " \t\r\n,")
        line += text.count("\n", counted, position)
        counted = position
        if position >= len(text):
            raise BadInput(f"{path}:{line}: the array is not closed", "end the file with ]")
        if text[position] == "]":
            end = _skip(text, position + 1, " \t\r\n")
            if end < len(text):
                line += text.count("\n", position, end)
                raise BadInput(f"{path}:{line}: there is more after the array", _FIX_LINE)
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path}:{line}: is not JSON: {error}", _FIX_LINE) from error
        yield _object_row(path, line, value)


def _csv_rows(path: Path, text: str, delimiter: str) -> Iterator[RawRow]:
    csv.field_size_limit(1 << 27)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for fields in reader:
            start, line = line, reader.line_num + 1
            if not fields:
                continue
            if header is None:
                header = _checked_header(path, fields)
                continue
            if len(fields) != len(header):
                raise BadInput(
                    f"{path}:{start}: has {len(fields)} fields where the header has {len(header)}",
                    "quote fields that contain the separator, then try again",
                )
            yield RawRow(start, dict(zip(header, fields, strict=True)))
    except csv.Error as error:
        raise BadInput(f"{path}:{line}: is not CSV: {error}", _FIX_LINE) from error


def _checked_header(path: Path, fields: list[str]) -> list[str]:
    names = [field.strip() for field in fields]
    if len(set(names)) != len(names) or not all(names):
        raise BadInput(
            f"{path}:1: column names must be given and unique, got {', '.join(names)}",
            "give the file a header line with one name a column",
        )
    return names


def _object_row(path: Path, line: int, value: Any) -> RawRow:
    if not isinstance(value, dict):
        raise BadInput(
            f"{path}:{line}: must be a JSON object, not {type(value).__name__}", _FIX_LINE
        )
    return RawRow(line, value)


def _refuse_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _skip(text: str, position: int, signs: str) -> int:
    while position < len(text) and text[position] in signs:
        position += 1
    return position
