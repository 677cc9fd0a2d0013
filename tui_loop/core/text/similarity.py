"""How similar two texts are: equal except for punctuation, a few edits apart, different words."""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

import msgspec

from tui_loop.core.scoring import normalised
from tui_loop.core.text.negation import same_negations
from tui_loop.core.text.written_values import figures_of, in_one_form

COMPARED = 500
"""The first characters of each text that the edit distance compares."""

_LIGHT = " \t\n\r!\"'()*,-./:;?[\\]_`{}~"
_NO_LIGHT = dict.fromkeys(map(ord, _LIGHT))
_DIGIT = re.compile(r"\d")
_OPERATORS = re.compile(r"(?<=\d)\s*([*/:-])\s*(?=\d)")
_GRADES = re.compile(r"(?<![\w-])(?:[a-f]|ab|o)-(?!\w)")
"""Grades and blood types: without the minus they are others."""

_SPACED_COMMAS = re.compile(r",\s+(?=\d)")
_ENDS = " \t\n\"'`*_.,:;!?()[]{}<>«»“”„‘’。、，！？"
_TRIES = 200
"""The most places to check: a text may contain another thousands of times within words."""

_SHORT = 4
"""A shorter text may be in another by chance, so it counts only at the start and the end."""


def same_but_for_signs(left: str, right: str) -> bool:
    """Returns whether texts differ only in case, punctuation and blanks.

    Numbers, operators between them, and the number of negations must be equal.
    """
    return normal_same_but_for_signs(normalised(left), normal(right))


def normal_same_but_for_signs(left: str, right: str) -> bool:
    """`same_but_for_signs` of two normalised texts."""
    first, other = left[:1], right[:1]
    if first != other and first.isalnum() and other.isalnum():
        return False
    form = _without_signs(left)
    return bool(form) and form == _without_signs(right) and same_sense(left, right)


def same_figures(left: str, right: str) -> bool:
    """Returns whether both have the same numbers in order, as in `1,000.00` and `1.000,00`."""
    return figures_of(left) == figures_of(right)


def changed_parts(left: str, right: str) -> tuple[str, str]:
    """Returns both texts without their equal starts and ends, to whole words."""
    start = left.rfind(" ", 0, _equal_length(left, right)) + 1
    start = left.rfind(" ", 0, max(0, start - 1)) + 1  # a negation may be the word before
    left, right = left[start:], right[start:]
    end = _equal_length(left[::-1], right[::-1])
    space = left.find(" ", len(left) - end)
    end = 0 if space < 0 else len(left) - space
    return left[: len(left) - end], right[: len(right) - end]


def _equal_length(left: str, right: str) -> int:
    """Returns the length of the equal start of two texts, by binary search."""
    low, high = 0, min(len(left), len(right))
    while low < high:
        middle = (low + high + 1) // 2
        if left[low:middle] == right[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low


def same_sense(left: str, right: str) -> bool:
    """Returns whether the signs in which two texts differ change nothing that they say."""
    if not same_negations(left, right) or _GRADES.findall(left) != _GRADES.findall(right):
        return False
    if not _DIGIT.search(left) and not _DIGIT.search(right):
        return True
    operators, others = _OPERATORS.findall(left), _OPERATORS.findall(right)
    if operators and others and operators != others and in_one_form(left) != in_one_form(right):
        return False
    return same_figures(left, right) or (
        _SPACED_COMMAS.sub(",", left) == _SPACED_COMMAS.sub(",", right)
    )


def edits_allowed(text: str) -> int:
    """Returns the edit distance up to which a text is a near miss of `text`; 0 for short ones."""
    return 0 if len(text) < _SHORT else max(1, min(len(text), COMPARED) // 10)


def edit_distance(left: str, right: str, limit: int) -> int | None:
    """Insertions, deletions, replacements and swaps of neighbours between two texts.

    None if there are more than `limit`. (Optimal string alignment, a bit a character: Hyyrö 2003.)
    """
    if abs(len(left) - len(right)) > limit or not _may_be_near(left, right, limit):
        return None
    if not left:
        return len(right)
    places: dict[str, int] = {}
    for place, sign in enumerate(left):
        places[sign] = places.get(sign, 0) | 1 << place
    ones = (1 << len(left)) - 1
    last = 1 << (len(left) - 1)
    up, down, diagonal, before, distance = ones, 0, 0, 0, len(left)
    for sign in right:
        here = places.get(sign, 0)
        swapped = ((~diagonal & here) << 1) & before
        diagonal = (((here & up) + up) ^ up) | here | down | swapped
        across_up = down | (ones & ~(diagonal | up))
        across_down = diagonal & up
        distance += bool(across_up & last) - bool(across_down & last)
        across_up = (across_up << 1) | 1
        up = ((across_down << 1) | (ones & ~(diagonal | across_up))) & ones
        down = across_up & diagonal & ones
        before = here
    return distance if distance <= limit else None


def found_within(reference: str, output: str) -> int | None:
    """Returns where `reference` is in `output` as whole words, None where it is not.

    Both normalised. Neither part of a word nor of a number counts; a text that is very short
    (a digit, "no") counts at the start and the end alone.
    """
    if not reference:
        return None
    is_short = len(reference) < _SHORT and not is_unspaced(reference[0])
    first = len(output) - len(output.lstrip(_ENDS)) if is_short else 0
    last = len(output.rstrip(_ENDS)) if is_short else 0
    place = output.find(reference)
    for _ in range(_TRIES):
        if place < 0:
            return None
        end = place + len(reference)
        is_edge = not is_short or place <= first or end >= last
        if is_edge and _is_whole(output, place, end):
            return place
        place = output.find(reference, place + 1)
    return None


@lru_cache(maxsize=1024)
def normal(text: str) -> str:
    """Returns `normalised(text)`, cached because references repeat."""
    return normalised(text)


def _without_signs(text: str) -> str:
    if text.isascii():
        return text.translate(_NO_LIGHT)
    return "".join(sign for sign in text if not _is_light(sign))


@lru_cache(maxsize=4096)
def _is_light(sign: str) -> bool:
    if sign.isascii():
        return sign in _LIGHT
    return unicodedata.category(sign)[0] in "PZC"


def _may_be_near(left: str, right: str, limit: int) -> bool:
    """False only where more than `limit` edits are certain.

    An edit spoils at most two of the left text's three-letter parts, so that with few edits
    enough of them are still found in the right text.
    """
    spoiled = 2 * limit
    for start in range(0, len(left) - 2, 3):
        if left[start : start + 3] not in right:
            spoiled -= 1
            if spoiled < 0:
                return False
    return True


def _is_whole(text: str, start: int, end: int) -> bool:
    before, after = text[start - 1 : start], text[end : end + 1]
    if before and _is_wordy(before) and _is_wordy(text[start]):
        return False
    if after and _is_wordy(after) and _is_wordy(text[end - 1]):
        return False
    if text[start].isdigit() and before in ("-", ".", ",") and before:
        return False
    follows = text[end + 1 : end + 2]
    return not (text[end - 1].isdigit() and after in (".", ",") and follows.isdigit())


def _is_wordy(sign: str) -> bool:
    return (sign.isalnum() or sign == "_") and not is_unspaced(sign)


def is_unspaced(sign: str) -> bool:
    """Returns whether a sign is of a script without blanks between words (CJK, Thai)."""
    code = ord(sign)
    return (
        0x0E00 <= code < 0x0F00
        or 0x1000 <= code < 0x10A0
        or 0x1780 <= code < 0x1800
        or 0x3040 <= code < 0xA000
        or 0xAC00 <= code < 0xD7B0
        or 0xF900 <= code < 0xFB00
        or 0x20000 <= code < 0x32000
    )


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
    expected, actual = _WORDS.findall(reference), _WORDS.findall(output)
    start = _equal_start(expected, actual)
    end = _equal_start(expected[start:][::-1], actual[start:][::-1])
    pieces: list[tuple[Kind, str]] = [("same", "".join(expected[:start]))]
    pieces += _middle(expected[start : len(expected) - end], actual[start : len(actual) - end])
    pieces.append(("same", "".join(expected[len(expected) - end :])))
    return _merged([(kind, text) for kind, text in pieces if text])


def _equal_start(left: list[str], right: list[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    shorter = min(len(left), len(right))
    return next((place for place, (a, b) in pairs if a != b), shorter)


def _middle(expected: list[str], actual: list[str]) -> list[tuple[Kind, str]]:
    if max(len(expected), len(actual)) > MOST_WORDS:
        return [("missing", "".join(expected)), ("extra", "".join(actual))]
    pieces: list[tuple[Kind, str]] = []
    matcher = SequenceMatcher(str.isspace, expected, actual)
    for kind, start, end, other_start, other_end in matcher.get_opcodes():
        if kind == "equal":
            pieces.append(("same", "".join(expected[start:end])))
        else:
            pieces.append(("missing", "".join(expected[start:end])))
            pieces.append(("extra", "".join(actual[other_start:other_end])))
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
