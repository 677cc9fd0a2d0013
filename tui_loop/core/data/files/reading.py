"""Reads a file of rows in the format of its suffix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tui_loop.core.data.files.content import FileContent, ReadOptions
from tui_loop.core.data.files.csv_rows import read_csv
from tui_loop.core.data.files.json_file import read_json
from tui_loop.core.data.files.json_lines import read_json_lines
from tui_loop.core.data.files.opening import can_open, check_encoding, format_of
from tui_loop.core.data.files.plain_text import read_text
from tui_loop.core.data.files.streamed_rows import head
from tui_loop.core.errors import BadInput

_READERS: dict[str, Callable[[Path, ReadOptions], FileContent]] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_text,
}

TABLES = (".parquet", ".arrow", ".feather")
"""The formats of Arrow tables, which the training stack reads."""

_AS_USUAL = ReadOptions()


def is_data_file(path: Path) -> bool:
    """Returns whether a file has a format of rows."""
    return format_of(path) in (*_READERS, *TABLES)


def is_text_file(path: Path) -> bool:
    """Returns whether a file has a format that needs no training stack."""
    return format_of(path) in _READERS and can_open(path)


def read_file(path: Path, options: ReadOptions = _AS_USUAL) -> FileContent:
    """Reads all rows of a file.

    Raises BadInput for a missing, empty, binary or malformed file.
    """
    check_encoding(options.encoding)
    content = _READERS[format_of(path)](path, options)
    if not any(head(rows, 1) for rows in content.splits.values()):
        raise BadInput(f"{path}: has no rows", "give a file with at least one row")
    return content
