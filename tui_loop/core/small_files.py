"""Small files of a record, read whole; whatever is wrong with one is told with its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.opening import SMALL_FILE_BYTES, read_bounded

T = TypeVar("T")

TOML_BYTES = 16 * 1024 * 1024
"""A config that lists the ids of a million held-out rows has as much; parsing it takes seconds."""


def read_raw(path: Path, limit: int = SMALL_FILE_BYTES) -> bytes:
    """The bytes of a file; raises BadInput."""
    try:
        return read_bounded(path, limit)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: is missing", "restore it, for example with git") from error
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error


def read_text(path: Path) -> str:
    """The text of a file of TOML; raises BadInput."""
    try:
        return read_raw(path, TOML_BYTES).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: is not UTF-8", "restore it, for example with git") from error


def converted(table: Any, kind: type[T], where: str) -> T:
    """A table as the struct that it stands for; raises BadInput."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {error}", "restore the file, for example with git") from error
