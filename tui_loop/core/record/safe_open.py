"""Opens files of a record safely: only regular files of bounded size, and no links.

A loop may come from a stranger. Links are not followed, pipes and devices are not opened, and
files larger than any record are refused. A folder may be a link only to a place within `loops/`.
"""

from __future__ import annotations

import codecs
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import msgspec

from tui_loop.core.errors import BadInput

LINE_BYTES = 16 * 1024 * 1024
"""No row of a record is longer; a longer one is refused before it is read into memory."""

ROWS_BYTES = 4 * 1024 * 1024 * 1024
"""No file of rows is larger; it is read row by row."""

CHUNK_BYTES = 64 * 1024

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def open_regular(path: Path, limit: int | None = None) -> BinaryIO:
    """Opens the regular file at `path` for reading, of at most `limit` bytes.

    Raises BadInput for a link, a pipe, a device, a folder or a larger file, else OSError.
    """
    _check_kind(
        path, os.lstat(path)
    )  # before opening, since opening a device can have side effects
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno == errno.ELOOP:  # it has become a link meanwhile
            raise _refused(path, "a link, which tui-loop does not follow") from error
        raise
    file = os.fdopen(descriptor, "rb")
    try:
        status = os.fstat(descriptor)
        _check_kind(path, status)
        if limit is not None and status.st_size > limit:
            raise BadInput(
                f"{path}: {status.st_size} bytes is too large for a record file",
                "move the file out of the loop's folder",
            )
    except BaseException:
        file.close()
        raise
    return file


def read_bounded(path: Path, limit: int) -> bytes:
    """Reads the file at `path`; raises BadInput where it is not regular or too large."""
    data = bytearray()
    with open_regular(path, limit) as file:
        while part := file.read(CHUNK_BYTES):  # `read(limit)` would allocate that much memory
            data += part
            if len(data) > limit:  # it has grown meanwhile
                raise BadInput(
                    f"{path}: is too large for a record file",
                    "move the file out of the loop's folder",
                )
    return bytes(data)


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yields (number, line) of a file of rows, from 1; raises BadInput for an endless row."""
    with open_regular(path, ROWS_BYTES) as file:
        number = 0
        while line := file.readline(LINE_BYTES):
            number += 1
            if len(line) == LINE_BYTES:
                raise BadInput(
                    f"{path}:{number}: the row is too long for a record file",
                    "restore the file, for example with git",
                )
            yield number, line


def check_regular(path: Path) -> None:
    """Raises BadInput where `path` exists and is not a regular file."""
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
    except (OSError, RuntimeError):  # a dangling link or a cycle of links
        inside = False
    if not inside:
        raise _refused(folder, f"a link that leads out of {home}")


def _check_kind(path: Path, status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refused(path, "a link, which tui-loop does not follow")
    if not stat.S_ISREG(status.st_mode):
        raise _refused(path, "not a regular file")


def _refused(path: Path, what: str) -> BadInput:
    return BadInput(f"{path}: is {what}", "put a regular file or folder there instead")


SMALL_FILE_BYTES = 64 * 1024 * 1024
"""The limit of record files that are read as a whole."""


T = TypeVar("T")

TOML_BYTES = 16 * 1024 * 1024
"""A config that lists a million row ids of a split has this size; parsing it takes seconds."""


def read_raw(path: Path, limit: int = SMALL_FILE_BYTES) -> bytes:
    """Reads the bytes of a file; raises BadInput."""
    try:
        return read_bounded(path, limit)
    except FileNotFoundError as error:
        raise BadInput(f"{path}: is missing", "restore the file, for example with git") from error
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}", "check its permissions") from error


def read_text(path: Path) -> str:
    """Reads the text of a TOML file; raises BadInput."""
    raw = read_raw(path, TOML_BYTES)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise BadInput(f"{path}: is UTF-16", "save the file as UTF-8 in an editor") from error
        raise BadInput(f"{path}: is not UTF-8", "restore the file, for example with git") from error


def convert(table: Any, kind: type[T], where: str) -> T:
    """Converts a table to a struct; raises BadInput."""
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: {error}", "restore the file, for example with git") from error
