"""Whether two texts have the same words but for slips of spelling.

There is no dictionary, so a slip is only what is rarely another word: accents, a letter too many or
too few, two letters in the wrong order, a vowel for a vowel. The first letter must be the same, so
`illegal` is no slip for `legal`. Short words, numbers in words, known opposites and pairs such as
`hypertension` and `hypotension` are other words. In scripts without blanks between words, a
character is a word, so none of them is a slip.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher

from tui_loop.core.text.opposites import are_other_words
from tui_loop.core.text.similarity import is_unspaced

_MOST_WORDS = 200
"""Words between equal starts and ends; more than these are not a few slips."""

_LONG = 12
"""Letters of a word that may have two slips."""

_DROPPED, _REPLACED, _PLURAL, _SWAPPED, _SWAPPED_START = 5, 6, 4, 3, 5
"""The fewest letters of a word, without the dropped one, in which each slip is rarely a word."""

_DIGIT = re.compile(r"\d")
_FIGURES = re.compile(r"\d(?:[\d.,]*\d)?")
_WORDS = re.compile(r"[^\s!\"()*,\-./:;?\[\\\]_`{}~“”„«»‘…–—。，、！？；：¿¡]+")
_SYMBOLS = re.compile(r"[^\w\s!\"'’()*,\-./:;?\[\\\]_`{}~“”„«»‘…–—。，、！？；：¿¡]")
_UNSIGNED = dict.fromkeys(range(0x300, 0x370))
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe", "æ": "ae"})
_VOWELS = frozenset("aeiouy")
_ALIKE = frozenset({"sz", "ck", "cs"})

_FILLERS = frozenset(
    {"a", "an", "the", "that", "so", "then", "also", "please"}
    | {"der", "die", "das", "den", "dem", "ein", "eine", "einen"}
    | {"le", "la", "les", "un", "une", "des", "el", "los", "las", "una", "il", "lo", "de", "het"}
)
"""Words that add no content, so one more or less is a slip."""

_COUNTS = re.compile(
    r"(?:zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thir|twen|for|fif)"
    r"(?:teen|ty|th|fth)?|(?:six|seven|eigh|nine|four)(?:teen|ty|th)|first|second|third|fourth"
    r"|hundred|thousand|million|billion|trillion|half|quarter|eins?|zwei|drei|vier|fünf|sechs"
    r"|sieben|acht|neun|zehn|elf|zwölf|\w+zehn|\w+zig|deux|trois|quatre|cinq|sept|huit|neuf|dix"
    r"|dos|tres|cuatro|cinco|seis|siete|ocho|nueve|diez|sesenta|setenta"
)
_PREFIXES = (
    ("hyper", "hypo"),
    ("macro", "micro"),
    ("inter", "intra", "intro"),
    ("ante", "anti"),
    ("ab", "ad"),
    ("pre", "pro", "per", "pros"),
    ("over", "under"),
    ("in", "im", "ex", "en"),
    ("maxi", "mini"),
    ("super", "supra", "sub"),
    ("mono", "mon", "multi"),
    ("homo", "hetero"),
)
_SUFFIXES = (
    ("ate", "ite", "ide"),
    ("ase", "ose"),
    ("ane", "ene", "yne", "ine", "one"),
    ("ol", "al", "yl"),
    ("er", "or", "ee"),
    ("ful", "less"),
)
_ANY_PREFIX = tuple(part for group in _PREFIXES for part in group)
_ANY_SUFFIX = tuple(part for group in _SUFFIXES for part in group)
_ENDINGS = tuple(tuple(each[::-1] for each in group) for group in _SUFFIXES)


def differ_by_slips(left: str, right: str) -> bool:
    """Returns whether two normalised texts differ in slips of spelling alone.

    Symbols such as `%`, `<` and emoji must be the same. Figures are not compared: see `same_sense`.
    """
    if _SYMBOLS.findall(left) != _SYMBOLS.findall(right):
        return False
    first, other = _words(left), _words(right)
    start = _common_start(first, other)
    first, other = first[start:], other[start:]
    end = _common_start(first[::-1], other[::-1])
    first, other = first[: len(first) - end], other[: len(other) - end]
    if max(len(first), len(other)) > _MOST_WORDS:
        return False
    if len(first) == len(other) == 1:
        return is_slip(first[0], other[0])
    blocks = SequenceMatcher(None, first, other, autojunk=False).get_opcodes()
    return all(
        kind == "equal" or _is_slip_of_words(first[a:b], other[c:d]) for kind, a, b, c, d in blocks
    )


def _words(text: str) -> list[str]:
    bare = _FIGURES.sub("0", text.replace("’", "'"))
    return [each.strip("'") for each in _WORDS.findall(bare)]


def _is_slip_of_words(left: list[str], right: list[str]) -> bool:
    if "".join(left) == "".join(right):
        return True
    if len(left) != len(right):
        left = [each for each in left if each not in _FILLERS]
        right = [each for each in right if each not in _FILLERS]
    return len(left) == len(right) and all(is_slip(a, b) for a, b in zip(left, right, strict=True))


def is_slip(left: str, right: str) -> bool:
    """Returns whether one of two casefolded words is likely a misspelling of the other."""
    if left == right or (left in _FILLERS and right in _FILLERS):
        return True
    if left.translate(_UMLAUTS) == right.translate(_UMLAUTS):
        return True
    first, other = _unaccented(left), _unaccented(right)
    if first == other:
        return True
    is_near = _is_small_slip(first, other) or _is_long_slip(first, other)
    return is_near and not _are_known_apart(first, other)


def _unaccented(word: str) -> str:
    if word.isascii():
        return word
    return unicodedata.normalize("NFKD", word).translate(_UNSIGNED)


def _are_known_apart(left: str, right: str) -> bool:
    """Returns whether the words have digits, are numbers or opposites, or differ in such a part."""
    if not (left + right).isascii() and any(is_unspaced(sign) for sign in left + right):
        return True
    if _DIGIT.search(left) or _DIGIT.search(right) or are_other_words(left, right):
        return True
    if _COUNTS.fullmatch(left) or _COUNTS.fullmatch(right):
        return True
    # Few words have such parts, and the groups cost much more than this test.
    may_start = left.startswith(_ANY_PREFIX) and right.startswith(_ANY_PREFIX)
    may_end = left.endswith(_ANY_SUFFIX) and right.endswith(_ANY_SUFFIX)
    return (may_start and any(_swaps(left, right, each) for each in _PREFIXES)) or (
        may_end and any(_swaps(left[::-1], right[::-1], each) for each in _ENDINGS)
    )


def _swaps(left: str, right: str, parts: tuple[str, ...]) -> bool:
    """Returns whether the words begin with two of the parts and are equal after them."""
    if not left.startswith(parts) or not right.startswith(parts):
        return False
    return any(
        left.removeprefix(part) == right.removeprefix(other)
        for part in parts
        for other in parts
        if left.startswith(part) and right.startswith(other) and part != other
    )


def _is_long_slip(left: str, right: str) -> bool:
    """Returns whether two long words have the same consonants, as in `acomodation`."""
    if len(left) < _LONG or abs(len(left) - len(right)) > 2 or left[0] != right[:1]:
        return False
    return _squeezed(left) == _squeezed(right)


def _is_small_slip(left: str, right: str) -> bool:
    """Returns whether one letter was dropped, added or replaced, or two were swapped."""
    start = _common_start(left, right)
    end = _common_start(left[start:][::-1], right[start:][::-1])
    old, new = left[start : len(left) - end], right[start : len(right) - end]
    shorter = min(len(left), len(right))
    if len(old) == len(new) == 2 and old == new[::-1]:
        return shorter >= (_SWAPPED_START if start == 0 else _SWAPPED)
    if start == 0 or len(old) > 1 or len(new) > 1:
        return False
    if len(old) == len(new):
        pair = "".join(sorted(old + new))
        are_alike = set(pair) <= _VOWELS or pair in _ALIKE
        return are_alike and shorter >= _REPLACED
    is_plural = (old or new) == "s" and end == 0
    has_lost_its_vowel = _VOWELS.isdisjoint(left if len(left) < len(right) else right)
    is_doubled = (old or new) == left[start - 1]
    return (
        shorter >= _DROPPED
        or (shorter >= _PLURAL and is_doubled)
        or (shorter >= 3 and has_lost_its_vowel)
        or (shorter >= _PLURAL and is_plural)
    )


def _common_start(left: Sequence[str], right: Sequence[str]) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(left), len(right)))


def _squeezed(word: str) -> str:
    """Returns the consonants of a word, doubled ones once."""
    return re.sub(r"(.)\1+", r"\1", "".join(sign for sign in word if sign not in _VOWELS))
