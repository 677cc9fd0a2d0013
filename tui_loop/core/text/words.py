"""The words of a text, for comparing texts by the words they share."""

from __future__ import annotations

import re
from functools import lru_cache

_SCRIPTS = "\u0e00-\u0eff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"  # written without spaces
_WORDS = re.compile(rf"[{_SCRIPTS}]|[^\W{_SCRIPTS}]+")
_WORDS_AND_OPERATORS = re.compile(rf"[{_SCRIPTS}]|[^\W{_SCRIPTS}]+|[-+*/=<>^%×÷]")
_DIGIT = re.compile(r"\d")
_NUMERIC = re.compile(r"\d|[-+*/=<>^%×÷]")
_FOLDED = bytes(
    ord(chr(code).lower()) if chr(code).isalnum() or chr(code) == "_" else 32 for code in range(128)
) + bytes(128)
"""For each ASCII code its lower-case letter, or a space where the code ends a word."""


def words_of(text: str) -> list[str]:
    """Returns the case-folded words of a text; if it has a digit, also its arithmetic operators.

    Each character of a script without spaces (Thai, Japanese, Chinese) is a word.
    """
    return words_and_numbers(text)[0]


def words_and_numbers(text: str) -> tuple[list[str], str]:
    """Returns the words of a text, and its numbers and operators in order, as one string."""
    if text.isascii():
        raw = text.encode()
        if len(raw.translate(None, b"0123456789")) == len(raw):
            # ASCII without digits, which most rows are: about three times as fast.
            return raw.translate(_FOLDED).decode().split(), ""
    folded = text.casefold()
    if not _DIGIT.search(folded):
        return _WORDS.findall(folded), ""
    words = _WORDS_AND_OPERATORS.findall(folded)
    return words, " ".join(word for word in words if is_numeric(word))


@lru_cache(maxsize=1 << 16)
def is_numeric(word: str) -> bool:
    """Whether a word has a digit or is an operator."""
    return _NUMERIC.search(word) is not None
