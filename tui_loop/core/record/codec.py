"""Encodes and decodes records: JSON with one object per line, and TOML within limits.

JSON has no NaN: non-finite numbers are the strings "NaN", "Infinity" and "-Infinity".

`tomllib` (measured with Python 3.11) takes time and memory that grow with the square of the dotted
parts of a key (10,000 parts: 20 KB of text, 400 MB), repeats the parts of a table's header for
every key below it, keeps 130 bytes for each character of a number, and 100 for each character of
short headers. The content of strings and comments costs almost nothing and is not counted.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, TypeVar

import msgspec
import tomli_w

from tui_loop.core.errors import BadInput

T = TypeVar("T")

_WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
LARGEST = 3.5e38
"""The largest 32-bit float; sums of its squares are finite in 64 bits."""

_LONE = re.compile("[\ud800-\udfff]")
_BROKEN_TEXT = re.compile(rb"\\u[dD][89a-fA-F]|[\x00-\x1f\x80-\xff]")
_encoder = msgspec.json.Encoder()


def spell(value: Any) -> Any:
    """Converts `value` to plain JSON types, with non-finite floats as strings."""
    if isinstance(value, float):
        return value if math.isfinite(value) else _word(value)
    if isinstance(value, dict):
        return {spell(key): spell(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [spell(item) for item in value]
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value) if not value.isascii() else value
    if isinstance(value, msgspec.Struct):
        return spell(msgspec.to_builtins(value))
    return value


def number(value: Any) -> float | None:
    """Returns a number from a record, also from the string of a non-finite one; else None.

    Values beyond LARGEST become infinite.
    """
    if isinstance(value, str):
        return _WORDS.get(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if abs(value) > LARGEST:
        return math.inf if value > 0 else -math.inf
    return value


def to_json(value: Any) -> bytes:
    """Returns one line of JSON without the newline, with keys in the given order."""
    return _encoder.encode(spell(value))


def to_pretty_json(value: Any) -> bytes:
    """Returns indented JSON with a final newline, for files that people read and diff."""
    return msgspec.json.format(to_json(value), indent=2) + b"\n"


def to_json_lines(values: Iterable[Any]) -> bytes:
    """Returns one JSON object per line, each with its newline."""
    return b"".join(to_json(value) + b"\n" for value in values)


def from_json(data: bytes | str, kind: type[T], where: str) -> T:
    """Decodes `data` as `kind`; raises BadInput that names `where`."""
    return decoded(msgspec.json.Decoder(kind), data, where)


def decoded(decoder: msgspec.json.Decoder[T], data: bytes | str, where: str) -> T:
    """Decodes `data` with `decoder`; raises BadInput that names `where`.

    Invalid Unicode (half a surrogate pair, bytes that are not UTF-8) becomes `\ufffd`. Unescaped
    control characters, which JSON forbids, are accepted.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        if _BROKEN_TEXT.search(raw):
            with suppress(ValueError, RecursionError):  # other faults, or another type
                return msgspec.convert(_leniently(raw), decoder.type)
        raise BadInput(f"{where}: {error}", "restore the file, for example with git") from error


def _leniently(data: bytes) -> Any:
    """Parses JSON with broken text; raises ValueError or RecursionError."""
    return spell(
        json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=_no_constant)
    )


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")


def to_toml(value: dict[str, Any]) -> str:
    """Returns TOML text without None values: an absent key is an unset field."""
    return tomli_w.dumps(_without_none(value))


def from_toml(text: str, where: str) -> dict[str, Any]:
    """Parses `text`; raises BadInput that names `where` and the line.

    All TOML is parsed here, since it refuses what would take too much time or memory.
    """
    try:
        text = text.removeprefix("\ufeff")  # the byte order mark of some editors
        check_toml(text)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise BadInput(f"{where}: {error}", "correct the TOML there, then try again") from error


def tables_of(text: str, name: str) -> str | None:
    """Returns the tables `[NAME.*]` of a TOML file alone; None where that needs a parser."""
    if '"""' in text or "'''" in text:
        return None
    tables = re.findall(rf"^\[{name}\.[^\n]*\n(?:(?!\[)[^\n]*\n)*", f"{text}\n", re.MULTILINE)
    named = re.findall(rf"""^[ \t]*\[?[ \t]*["']?{name}\b""", text, re.MULTILINE)
    return "".join(tables) if len(tables) == len(named) else None


def _word(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [_without_none(item) for item in value if item is not None]
    return value


MAX_KEY_PARTS = 16
"""Dotted parts of a key or of a table header; records have up to five."""

MAX_DEPTH = 64
"""Nested arrays and inline tables; at about 300 `tomllib` reaches the recursion limit."""

MAX_KEYS = 20_000
"""Keys and tables of a file; rows, labels and the like are array elements, which do not count."""

MAX_BARE_LENGTH = 1_000
"""Characters of a number, a date or a part of a key that is not in quotes."""

_STRING_OR_COMMENT = re.compile(
    r'''
      """ (?: [^"\\]++ | \\. | "{1,2}(?!") )*+ (?: "{3,5} )?
    | \'\'\' (?: [^']++ | '{1,2}(?!') )*+ (?: '{3,5} )?
    | " (?: [^"\\\n]++ | \\. )*+ "?
    | ' [^'\n]*+ '?
    | \# [^\n]*+
    ''',
    re.VERBOSE | re.DOTALL,
)
"""An unterminated one ends with the text. Possessive quantifiers prevent backtracking."""

_LONG_KEY = re.compile(rf"(?:^|[=,\n\[\]{{}}])(?:[^=,\n\[\]{{}}.]*+\.){{{MAX_KEY_PARTS}}}")
_LONG_BARE = re.compile(rf"(?<![\w+.:-])[\w+.:-]{{{MAX_BARE_LENGTH + 1}}}")
_KEY = re.compile(r"=|^[ \t]*\[", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]{}]")


def check_toml(text: str) -> None:
    """Raises ValueError, naming the line, for TOML that takes more resources than any record.

    The parser finds all other faults.
    """
    if _is_small(text):
        return
    bare = _STRING_OR_COMMENT.sub(_newlines, text)
    if found := _LONG_KEY.search(bare):
        raise _refused(f"a key has more than {MAX_KEY_PARTS} dotted parts", bare, found.end())
    if found := _LONG_BARE.search(bare):
        raise _refused(
            f"more than {MAX_BARE_LENGTH} characters without quotes or spaces", bare, found.start()
        )
    if bare.count("[") + bare.count("{") > MAX_DEPTH:
        _check_depth(bare)
    if bare.count("=") + bare.count("[") > MAX_KEYS:
        _check_keys(bare)


def _is_small(text: str) -> bool:
    """Returns whether no limit can be reached: a quick check that nearly every file passes."""
    brackets = text.count("[") + text.count("{")
    return (
        brackets <= MAX_DEPTH
        and brackets + text.count("=") <= MAX_KEYS
        and not any(
            len(line) > MAX_BARE_LENGTH or line.count(".") >= MAX_KEY_PARTS
            for line in text.split("\n")
        )
    )


def _newlines(found: re.Match[str]) -> str:
    """Replaces a string or comment by its line breaks, so that line numbers stay correct."""
    return "\n" * found[0].count("\n")


def _check_depth(bare: str) -> None:
    depth = 0
    for found in _BRACKET.finditer(bare):
        depth += 1 if found[0] in "[{" else -1
        if depth > MAX_DEPTH:
            raise _refused(f"values are nested more than {MAX_DEPTH} deep", bare, found.start())


def _check_keys(bare: str) -> None:
    for number, found in enumerate(_KEY.finditer(bare), 1):
        if number > MAX_KEYS:
            raise _refused(f"more than {MAX_KEYS:,} keys and tables", bare, found.end())


def _refused(what: str, bare: str, place: int) -> ValueError:
    return ValueError(f"{what} (at line {bare.count(chr(10), 0, place) + 1})")
