"""How records are written and read: JSON, one object a line, and TOML.

JSON has no NaN: non-finite numbers travel as the strings "NaN", "Infinity", "-Infinity".
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
from tui_loop.core.toml_limits import check_toml

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
