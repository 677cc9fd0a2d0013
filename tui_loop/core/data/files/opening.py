"""Opens text files: compressed ones, and those whose encoding is not UTF-8."""

from __future__ import annotations

import codecs
import gzip
import io
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from tui_loop.core.data.files.content import AUTO
from tui_loop.core.data.files.streamed_rows import is_large_size
from tui_loop.core.errors import BadInput

COMPRESSIONS = (".gz", ".zst")

_decompressors: dict[str, Callable[[Path], BinaryIO]] = {
    ".gz": lambda path: cast(BinaryIO, gzip.open(path))
}

_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it starts with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_USUAL_RATIO = 5
"""How many times smaller compressed JSON and CSV usually are."""
_HEAD = 65536
_FIRST_OF_LATIN = 0xA0
"""Bytes from 0x80 up to here are no signs in Latin-1, and are in Windows-1252."""
_PACK_AGAIN = "compress the file again"
_OLDER = "convert the file to UTF-8, or name its encoding: --set data.encoding="


def format_of(path: Path) -> str:
    """Returns the suffix of the format, without that of a compression: `.jsonl`."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSIONS else suffix


def can_open(path: Path) -> bool:
    """Returns whether a file is not compressed, or in a way that can be undone."""
    suffix = path.suffix.lower()
    return suffix not in COMPRESSIONS or suffix in _decompressors


def add_decompressor(suffix: str, open_: Callable[[Path], BinaryIO]) -> None:
    """Adds what the training stack can decompress; `open_` raises OSError for a damaged file."""
    _decompressors[suffix] = open_


@contextmanager
def opened(path: Path, encoding: str = AUTO) -> Iterator[TextIO]:
    """Opens a text file with its own line ends.

    Raises BadInput for a missing, binary or damaged file, and for bytes that are not text in its
    encoding, with their place; the last two also while it is read.
    """
    if not os.path.exists(path):  # unlike Path.exists, False for impossible names
        raise BadInput(
            f"{path}: no such file",
            "check the path; relative paths start from the folder above the loops folder",
        )
    if path.is_dir():
        raise BadInput(f"{path}: is a folder, not a file", "name a file in that folder")
    known = encoding
    try:
        with _bytes_of(path) as stream:
            known = _encoding_of(path, stream.read(_HEAD), encoding)
        with _bytes_of(path) as stream:
            yield io.TextIOWrapper(stream, encoding=known, newline="")
    except UnicodeError as error:
        raise _undecodable(path, known) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: is damaged: {error}", _PACK_AGAIN) from error
    except OSError as error:
        reason, hint = error.strerror or f"is damaged: {error}", "check the file's permissions"
        raise BadInput(f"{path}: {reason}", hint if error.strerror else _PACK_AGAIN) from error


def is_utf8(path: Path, encoding: str) -> bool:
    """Returns whether a file that is not compressed is read as UTF-8; raises BadInput."""
    if is_compressed(path) or encoding != AUTO:
        return False
    with opened_bytes(path) as stream:
        return _encoding_of(path, stream.read(_HEAD), encoding).startswith("utf-8")


def is_compressed(path: Path) -> bool:
    """Returns whether a file is compressed."""
    return path.suffix.lower() in COMPRESSIONS


def is_large(path: Path) -> bool:
    """Returns whether a file has so many bytes that its rows are streamed."""
    size = os.stat(path).st_size if os.path.exists(path) else 0
    return is_large_size(size * _USUAL_RATIO if is_compressed(path) else size)


@contextmanager
def opened_bytes(path: Path) -> Iterator[BinaryIO]:
    """Opens a file for its bytes, decompressed; raises BadInput for a damaged one."""
    try:
        with _bytes_of(path) as stream:
            yield stream
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise BadInput(f"{path}: is damaged: {error}", _PACK_AGAIN) from error
    except OSError as error:
        reason = error.strerror or f"is damaged: {error}"
        raise BadInput(f"{path}: {reason}", "check the file") from error


def _bytes_of(path: Path) -> BinaryIO:
    decompressed = _decompressors.get(path.suffix.lower())
    return decompressed(path) if decompressed is not None else path.open("rb")


def _encoding_of(path: Path, head: bytes, encoding: str) -> str:
    """Returns the encoding of a file that starts with `head`; raises BadInput for a binary one."""
    marked = next((name for mark, name in _BOMS if head.startswith(mark)), None)
    if encoding != AUTO:
        family = codecs.lookup(encoding).name
        return marked if marked and family.startswith(marked.removesuffix("-sig")) else encoding
    if marked not in (None, "utf-8-sig"):
        return marked
    if b"\0" in head:
        raise BadInput(
            f"{path}: is a binary file, not text",
            "give a JSONL, JSON or CSV file, or name the encoding of the text, e.g. "
            "--set data.encoding=utf-16-le",
        )
    return marked or "utf-8"


def _undecodable(path: Path, encoding: str) -> BadInput:
    """Returns the error for a file that has bytes which are not text in its encoding."""
    name = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
    hint = "name the right encoding: --set data.encoding=ENCODING"
    if name == "UTF-8":
        with _bytes_of(path) as stream:
            for number, line in enumerate(stream, 1):
                try:
                    line.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    byte = line[error.start]
                    older = "cp1252" if byte < _FIRST_OF_LATIN else "latin-1"
                    place = f"byte 0x{byte:02X} at position {error.start + 1}"
                    return BadInput(f"{path}:{number}: {place} is not UTF-8", f"{_OLDER}{older}")
    return BadInput(f"{path}: is not text in {name}", hint)


def check_encoding(encoding: str) -> None:
    """Raises BadInput for an encoding that Python does not know, or that is none of text."""
    if encoding == AUTO:
        return
    with suppress(LookupError, ValueError):
        if codecs.lookup(encoding)._is_text_encoding:
            return
    raise BadInput(
        f"data.encoding: {encoding!r} is not a text encoding",
        "auto reads UTF-8, and UTF-16 or UTF-32 with a byte-order mark; name any other encoding, "
        "e.g. --set data.encoding=latin-1",
    )
