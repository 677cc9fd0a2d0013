"""What differs between a reference and an output, word by word."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Literal

import msgspec

MOST_WORDS = 2000
"""Words of each side between equal starts and ends; more are not compared one by one."""

Kind = Literal["same", "missing", "extra"]

_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff"
"""Scripts that put no blank between words: each sign counts as a word."""

_WORDS = re.compile(rf"\s+|[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")


class Piece(msgspec.Struct, frozen=True):
    """A stretch of text: in both, `missing` from the output, or `extra` in it."""

    kind: Kind
    text: str


def word_diff(reference: str, output: str) -> list[Piece]:
    """The pieces of both texts in order; of a change, what is missing comes before what is extra.

    The texts of `same` and `missing` make the reference, those of `same` and `extra` the output.
    """
    wanted, said = _WORDS.findall(reference), _WORDS.findall(output)
    start = _equal_start(wanted, said)
    end = _equal_start(wanted[start:][::-1], said[start:][::-1])
    pieces: list[tuple[Kind, str]] = [("same", "".join(wanted[:start]))]
    pieces += _middle(wanted[start : len(wanted) - end], said[start : len(said) - end])
    pieces.append(("same", "".join(wanted[len(wanted) - end :])))
    return _merged([(kind, text) for kind, text in pieces if text])


def _equal_start(left: list[str], right: list[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    shorter = min(len(left), len(right))
    return next((place for place, (a, b) in pairs if a != b), shorter)


def _middle(wanted: list[str], said: list[str]) -> list[tuple[Kind, str]]:
    if max(len(wanted), len(said)) > MOST_WORDS:
        return [("missing", "".join(wanted)), ("extra", "".join(said))]
    pieces: list[tuple[Kind, str]] = []
    matcher = SequenceMatcher(str.isspace, wanted, said)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(wanted[start:end])))
        else:
            pieces.append(("missing", "".join(wanted[start:end])))
            pieces.append(("extra", "".join(said[other_start:other_end])))
    return [(kind, text) for kind, text in pieces if text]


def _merged(pieces: list[tuple[Kind, str]]) -> list[Piece]:
    """Changes that only white space separates become one."""
    merged: list[Piece] = []
    missing = extra = ""
    for place, (kind, text) in enumerate(pieces):
        is_between = (missing or extra) and place + 1 < len(pieces)
        if kind == "missing":
            missing += text
        elif kind == "extra":
            extra += text
        elif is_between and text.isspace():
            missing, extra = missing + text, extra + text
        else:
            merged += _change(missing, extra)
            missing = extra = ""
            merged.append(Piece("same", text))
    return merged + _change(missing, extra)


def _change(missing: str, extra: str) -> list[Piece]:
    """A change's pieces; white space that both end with is the same."""
    kept = len(missing) - len(missing.rstrip())
    if kept and missing != extra and extra.endswith(missing[-kept:]):
        blank = missing[-kept:]
        return [*_change(missing[:-kept], extra[:-kept]), Piece("same", blank)]
    pieces = (Piece("missing", missing), Piece("extra", extra))
    return [piece for piece in pieces if piece.text]
