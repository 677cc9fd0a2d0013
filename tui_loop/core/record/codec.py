"""How records are written and read: JSON, one object a line, and TOML within limits.

JSON has no NaN: non-finite numbers travel as the strings "NaN", "Infinity", "-Infinity".

`tomllib` (measured with Python 3.11) takes time and memory that grow with the square of the dotted
parts of a key (10,000 parts: 20 KB of text, 400 MB), repeats the parts of a table's header for
every key below it, keeps 130 bytes for each character of a number, and 100 for each character of
short headers. What lies in strings and comments costs next to nothing and is never counted.
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
"""No model computes with more (a 32-bit float ends there), and sums of squares of it are finite."""

_LONE = re.compile("[\ud800-\udfff]")
_BROKEN_TEXT = re.compile(rb"\\u[dD][89a-fA-F]|[\x00-\x1f\x80-\xff]")
_encoder = msgspec.json.Encoder()


def spell(value: Any) -> Any:
    """`value` as plain JSON types, non-finite floats spelled as words."""
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
    """A number from a record, where a word may stand for a non-finite one; else None.

    What is beyond LARGEST is infinite.
    """
    if isinstance(value, str):
        return _WORDS.get(value)
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    if abs(value) > LARGEST:
        return math.inf if value > 0 else -math.inf
    return value


def to_json(value: Any) -> bytes:
    """One line of JSON, without the newline; keys in the order given."""
    return _encoder.encode(spell(value))


def to_pretty_json(value: Any) -> bytes:
    """Indented JSON with a final newline, for files that people read and diff."""
    return msgspec.json.format(to_json(value), indent=2) + b"\n"


def to_json_lines(values: Iterable[Any]) -> bytes:
    """One JSON object a line, each with its newline."""
    return b"".join(to_json(value) + b"\n" for value in values)


def from_json(data: bytes | str, kind: type[T], where: str) -> T:
    """`data` as `kind`; raises BadInput that names `where`."""
    return decoded(msgspec.json.Decoder(kind), data, where)


def decoded(decoder: msgspec.json.Decoder[T], data: bytes | str, where: str) -> T:
    """`data` as the decoder's kind; raises BadInput that names `where`.

    Text that is no Unicode (half a surrogate pair, bytes that are not UTF-8) is read with `\ufffd`
    in its place; a control sign that JSON wants escaped is read as it is.
    """
    try:
        return decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raw = data.encode("utf-8", "surrogatepass") if isinstance(data, str) else data
        if _BROKEN_TEXT.search(raw):
            with suppress(ValueError, RecursionError):  # broken otherwise too, or of another kind
                return msgspec.convert(_leniently(raw), decoder.type)
        raise BadInput(f"{where}: {error}", "restore the file, for example with git") from error


def _leniently(data: bytes) -> Any:
    """What JSON with broken text says; raises ValueError or RecursionError."""
    return spell(
        json.loads(data.decode("utf-8", "replace"), strict=False, parse_constant=_no_constant)
    )


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def to_toml(value: dict[str, Any]) -> str:
    """TOML text; None values are left out (an absent key is an unset one)."""
    return tomli_w.dumps(_without_none(value))


def from_toml(text: str, where: str) -> dict[str, Any]:
    """The table in `text`; raises BadInput that names `where` and the line.

    All TOML is parsed here: what would take far too much time or memory is refused first.
    """
    try:
        check_toml(text)
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a ValueError
        raise BadInput(f"{where}: {error}", "correct the TOML there, then try again") from error


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


MOST_PARTS = 16
"""Dotted parts of a key or of a table's header; records have up to five."""

MOST_NESTED = 64
"""Arrays and inline tables within one another; beyond some 300 `tomllib` runs out of stack."""

MOST_KEYS = 20_000
"""Keys and tables of a file; rows, labels and the like are array elements, which do not count."""

LONGEST_BARE = 1_000
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
"""One that never ends reaches to the end of the text: possessive, so that none is tried twice."""

_LONG_KEY = re.compile(rf"(?:^|[=,\n\[\]{{}}])(?:[^=,\n\[\]{{}}.]*+\.){{{MOST_PARTS}}}")
_LONG_BARE = re.compile(rf"(?<![\w+.:-])[\w+.:-]{{{LONGEST_BARE + 1}}}")
_KEY = re.compile(r"=|^[ \t]*\[", re.MULTILINE)
_BRACKET = re.compile(r"[\[\]{}]")


def check_toml(text: str) -> None:
    """Raises ValueError, naming the line, for TOML that costs more than any record does.

    Everything else that is wrong with the text is left to the parser.
    """
    if _is_small(text):
        return
    bare = _STRING_OR_COMMENT.sub(_newlines, text)
    if found := _LONG_KEY.search(bare):
        raise _refused(f"a key has more than {MOST_PARTS} dotted parts", bare, found.end())
    if found := _LONG_BARE.search(bare):
        raise _refused(
            f"more than {LONGEST_BARE} characters without quotes or blanks", bare, found.start()
        )
    if bare.count("[") + bare.count("{") > MOST_NESTED:
        _check_depth(bare)
    if bare.count("=") + bare.count("[") > MOST_KEYS:
        _check_keys(bare)


def _is_small(text: str) -> bool:
    """Whether no limit can be reached, strings or not: true of nearly every file, and quick."""
    brackets = text.count("[") + text.count("{")
    return (
        brackets <= MOST_NESTED
        and brackets + text.count("=") <= MOST_KEYS
        and not any(
            len(line) > LONGEST_BARE or line.count(".") >= MOST_PARTS for line in text.split("\n")
        )
    )


def _newlines(found: re.Match[str]) -> str:
    """The line breaks of a string or comment: without them, later lines would change number."""
    return "\n" * found[0].count("\n")


def _check_depth(bare: str) -> None:
    depth = 0
    for found in _BRACKET.finditer(bare):
        depth += 1 if found[0] in "[{" else -1
        if depth > MOST_NESTED:
            raise _refused(f"values are nested more than {MOST_NESTED} deep", bare, found.start())


def _check_keys(bare: str) -> None:
    for number, found in enumerate(_KEY.finditer(bare), 1):
        if number > MOST_KEYS:
            raise _refused(f"more than {MOST_KEYS:,} keys and tables", bare, found.end())


def _refused(what: str, bare: str, place: int) -> ValueError:
    return ValueError(f"{what} (at line {bare.count(chr(10), 0, place) + 1})")
