"""Output that goes round in circles."""

from __future__ import annotations

from collections import Counter

import msgspec

LONGEST = 300
"""Characters of the longest passage whose repeats at the end are looked for."""

TIMES = 3
_WITHIN_A_WORD = 12
"""Characters that a repeat without a blank must cover: 1000000 and "hahaha" are fine."""

_FEWEST_WORDS = 12


class Repeat(msgspec.Struct, frozen=True):
    """What an output repeats, and how often."""

    unit: str
    times: int
    is_tail: bool


def repeated(text: str) -> Repeat | None:
    """What `text` repeats, or None.

    Its end is one passage at least three times, over at least half of the text; or one run of
    three words comes at least four times and makes up half of it.
    """
    return _tail(text) or _phrase(text)


def _tail(text: str) -> Repeat | None:
    line = " " + " ".join(text.split())  # so that the first word is like the others
    size = len(line)
    if size < 2 * TIMES:
        return None
    end = line[-2:]
    place = line.rfind(end, 0, size - 1)
    while place >= 0:
        period = size - 2 - place
        if period > min(LONGEST, size // TIMES):
            return None
        unit = line[-period:]
        if line.endswith(unit * TIMES):
            span = _span(line, period)
            if 2 * span >= size and (" " in unit or span >= _WITHIN_A_WORD):
                return Repeat(unit.strip() or unit, span // period, True)
            return None
        place = line.rfind(end, 0, place + 1)
    return None


def _span(line: str, period: int) -> int:
    """How many characters at the end have the period: a search by halves."""
    low, high, size = period, len(line) - period, len(line)
    while low < high:
        middle = (low + high + 1) // 2
        if line[size - middle :] == line[size - middle - period : size - period]:
            low = middle
        else:
            high = middle - 1
    return low + period


def _phrase(text: str) -> Repeat | None:
    words = text.casefold().split()
    if len(words) < _FEWEST_WORDS or 2 * len(set(words)) > len(words) + 6:
        return None
    phrase, times = Counter(zip(words, words[1:], words[2:], strict=False)).most_common(1)[0]
    if times >= TIMES + 1 and 6 * times >= len(words):
        return Repeat(" ".join(phrase), times, False)
    return None
