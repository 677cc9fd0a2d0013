"""Opens files of a record that anybody may have laid out: regular ones, bounded, no links.

A loop may come from a stranger. What is read of it is a regular file in its place: a link is
not followed, a pipe or a device is not waited for, and nothing is read that is larger than a
record can be. A folder may be a link only to a place within `loops/`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from tui_loop.core.errors import BadInput

LINE_BYTES = 16 * 1024 * 1024
"""No row of a record is longer; a longer one is refused before it is in memory."""

ROWS_BYTES = 4 * 1024 * 1024 * 1024
"""No file of rows is larger, though it is read row by row."""

CHUNK_BYTES = 64 * 1024

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def open_regular(path: Path, limit: int | None = None) -> BinaryIO:
    """The regular file at `path`, to be read, of at most `limit` bytes.

    Raises BadInput for a link, a pipe, a device, a folder or a larger file, else OSError.
    """
    _check_kind(path, os.lstat(path))  # opening a device can be an act of its own
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it became a link a moment ago
            raise _odd(path, "a link, and links are not followed") from error
        raise
    file = os.fdopen(descriptor, "rb")
    try:
        status = os.fstat(descriptor)
        _check_kind(path, status)
        if limit is not None and status.st_size > limit:
            raise BadInput(
                f"{path}: {status.st_size} bytes is too large for a record",
                "move it out of the loop's folder",
            )
    except BaseException:
        file.close()
        raise
    return file


def read_bounded(path: Path, limit: int) -> bytes:
    """The whole file at `path`; raises BadInput where it is no regular file or too large."""
    data = bytearray()
    with open_regular(path, limit) as file:
        while part := file.read(CHUNK_BYTES):  # a read of `limit` would take that much memory
            data += part
            if len(data) > limit:  # it grew meanwhile
                raise BadInput(
                    f"{path}: is too large for a record", "move it out of the loop's folder"
                )
    return bytes(data)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """(number, line) of a file of rows, from 1 on; raises BadInput for a row without an end."""
    with open_regular(path, ROWS_BYTES) as file:
        number = 0
        while line := file.readline(LINE_BYTES):
            number += 1
            if len(line) == LINE_BYTES:
                raise BadInput(
                    f"{path}:{number}: the row is too long for a record",
                    "restore the file, for example with git",
                )
            yield number, line


def check_regular(path: Path) -> None:
    """Raises BadInput where something else than a regular file stands at `path`."""
    try:
        status = os.lstat(path)
    except OSError:
        return
    _check_kind(path, status)


def check_within(folder: Path, home: Path) -> None:
    """Raises BadInput where `folder` is a link that leads out of `home`."""
    if not os.path.islink(folder):
        return
    try:
        inside = folder.resolve(strict=True).is_relative_to(home.resolve())
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        inside = False
    if not inside:
        raise _odd(folder, f"a link that leads out of {home}")


def _check_kind(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _odd(path, "a link, and links are not followed")
    if not stat.S_ISREG(status.st_mode):
        raise _odd(path, "no regular file")


def _odd(path: Path, what: str) -> BadInput:
    return BadInput(f"{path}: is {what}", "put the file or folder itself there")


SMALL_FILE_BYTES = 64 * 1024 * 1024
"""No record file that is read whole is larger; a larger one is refused, not loaded."""


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
