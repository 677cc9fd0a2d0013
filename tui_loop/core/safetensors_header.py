"""Reads the header of a safetensors file: the names, types and shapes of its tensors.

The file begins with the header's length (8 bytes, little-endian) and the header, a JSON object
(https://huggingface.co/docs/safetensors). No tensor is read.
"""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import msgspec

MOST_HEADER_BYTES = 100_000_000
"""The limit of the safetensors library."""

_LENGTH_BYTES = 8
_LFS_POINTER = b"version https://git-lfs"


class TensorShape(msgspec.Struct, frozen=True):
    """The type of a tensor, as safetensors spells it (`F32`, `BF16`), and its shape."""

    dtype: str
    shape: tuple[int, ...]


class DamagedFile(ValueError):
    """A file that is no complete safetensors file; the message says why."""


def read_header(path: Path) -> dict[str, TensorShape]:
    """Returns the tensors of a file by name; raises DamagedFile, and OSError where unreadable."""
    if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for its writer
        raise DamagedFile("is not a regular file")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        start = file.read(len(_LFS_POINTER))
        if start == _LFS_POINTER:
            raise DamagedFile("is a Git LFS pointer, not the weights themselves")
        length = int.from_bytes(start[:_LENGTH_BYTES], "little")
        if length > MOST_HEADER_BYTES:
            raise DamagedFile("is no safetensors file")
        if size < _LENGTH_BYTES + length:
            raise DamagedFile(f"is cut off: it has {size:,} bytes and ends within its header")
        file.seek(_LENGTH_BYTES)
        tensors, end = _tensors(file.read(length))
    if size < _LENGTH_BYTES + length + end:
        raise DamagedFile(f"is cut off: it has {size:,} of {_LENGTH_BYTES + length + end:,} bytes")
    return tensors


def _tensors(header: bytes) -> tuple[dict[str, TensorShape], int]:
    """Returns the tensors in a header, and the bytes of their data."""
    try:
        table = json.loads(header)
        return _converted(table)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise DamagedFile("is no safetensors file") from error


def _converted(table: dict[str, Any]) -> tuple[dict[str, TensorShape], int]:
    tensors, end = {}, 0
    for name, entry in table.items():
        if name != "__metadata__":
            shape = tuple(int(each) for each in entry["shape"])
            tensors[name] = TensorShape(str(entry["dtype"]), shape)
            end = max(end, int(entry["data_offsets"][1]))
    return tensors, end
