"""Finds inputs that are the same except for spelling, and near duplicates.

Two inputs are the same if their words are the same in order: case, white space and punctuation
do not count. They are near duplicates if they have the same numbers in the same order and

- their words, as sets, have a Jaccard similarity of at least 0.8 (Broder, "On the resemblance and
  containment of documents", 1997, with shingles of one word), or
- they have at most eight words, differ in one of them, and their character trigrams have one of
  at least 0.8: a typing error in a short text.

Words that more than half of the held-out inputs share belong to a template and are ignored, as
are inputs with fewer than three other words. Pairs are found without comparing all with all: with
words in one order, rarest first, two sets of n and m words that are at least t alike share k of
their first n - ceil(t n) + k and m - ceil(t m) + k (prefix filtering with k = 1: Bayardo et al.,
"Scaling up all pairs similarity search", 2007; k = 2, for short inputs: Wang et al., "Can we beat
the prefix filtering?", 2012). Inputs with numbers that at most four held-out inputs have are
compared with these directly.
"""

from __future__ import annotations

import hashlib
import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import combinations

import msgspec

from tui_loop.core.text.words import is_numeric, words_and_numbers

NEAR_SIMILARITY = 0.8
"""From this Jaccard similarity on, two inputs are near duplicates."""

LEAST_WORDS = 3
FEW_WORDS = 8
"""With more words, a single different word leaves a similarity above the limit."""

SHORT = 30
"""Up to this many words, pairs of rare words select candidates; longer inputs have too many."""

TEMPLATE_ROWS = 20
"""From this many held-out inputs on, words that most of them have count as a template."""

_FEW_INPUTS = 4
"""Up to so many held-out inputs with the same numbers are all compared."""

MAX_COMPARISONS = 1_000_000
"""The most pairs to compare, about a second; repetitive data may have more."""


class Overlap(msgspec.Struct, frozen=True):
    """The held-out inputs that are in training: {index: index of a training input}."""

    same: dict[int, int]
    near: dict[int, int]
    searched: int
    """The number of training inputs that were compared: all unless there were too many pairs."""


def overlap_of(training: Iterable[str], held: Iterable[str]) -> Overlap:
    """Returns which of `held` are in `training`, exactly or nearly; reports each once.

    `held` is iterated twice.
    """
    by_words: dict[bytes, list[int]] = defaultdict(list)
    search = _NearSearch()
    for text in held:
        search.count(*words_and_numbers(text))
    search.rank()
    for index, text in enumerate(held):
        words, numbers = words_and_numbers(text)
        search.add(index, words, numbers)
        if words:
            by_words[_key(words)].append(index)
    same: dict[int, int] = {}
    compared_keys: set[bytes] = set()
    searched = 0
    for place, text in enumerate(training):
        words, numbers = words_and_numbers(text)
        key = _key(words)
        if key in by_words:
            for index in by_words[key]:
                same.setdefault(index, place)
        if key not in compared_keys:
            compared_keys.add(key)
            search.compare(place, words, numbers)
        if search.comparisons_left > 0:
            searched = place + 1
    near = {index: place for index, place in search.found.items() if index not in same}
    return Overlap(same, near, searched)


class _Entry(msgspec.Struct, frozen=True):
    """A held-out input in the form for comparison.

    `words`: the ranks of its words without repeats. `text`: its words in order, "" for a long one.
    """

    index: int
    words: array[int]
    text: str


class _NearSearch:
    """Finds the held-out inputs that are near duplicates of training inputs, each once.

    Call `count` with the words of each held-out input, then `rank`, then `add` with each of them.
    """

    def __init__(self) -> None:
        self._inputs = 0
        self._counts: Counter[str] = Counter()
        self._common: frozenset[str] = frozenset()
        self._rank: dict[str, int] = {}
        self._with_numbers: Counter[str] = Counter()
        self._lists: dict[Hashable, list[_Entry]] = defaultdict(list)
        self.comparisons_left = MAX_COMPARISONS
        self.found: dict[int, int] = {}

    def count(self, words: Sequence[str], numbers: str) -> None:
        """Counts the words of a held-out input."""
        self._inputs += 1
        self._counts.update(set(words))
        self._with_numbers[numbers] += 1

    def rank(self) -> None:
        """Ranks the words, the rarest first."""
        total = self._inputs
        limit = total / 2 if total >= TEMPLATE_ROWS else total
        counts = self._counts
        self._common = frozenset(word for word, count in counts.items() if count > limit)
        ranked = sorted(counts.keys() - self._common, key=lambda word: (counts[word], word))
        self._rank = {word: rank for rank, word in enumerate(ranked)}
        self._counts = Counter()

    def add(self, index: int, words: Sequence[str], numbers: str) -> None:
        """Adds a held-out input to those that are searched."""
        ranks = sorted({self._rank[word] for word in words if word not in self._common})
        if len(ranks) < LEAST_WORDS:
            return
        is_short = len(words) <= FEW_WORDS
        entry = _Entry(index, array("I", ranks), " ".join(words) if is_short else "")
        keys: list[Hashable] = []
        if self._is_rare(numbers):
            keys.append((numbers,))
        else:
            if len(ranks) <= SHORT / NEAR_SIMILARITY:  # may be similar to a short one
                keys += _pairs(ranks, len(ranks), numbers)
            if len(ranks) >= SHORT * NEAR_SIMILARITY:
                keys += _singles(ranks, len(ranks), numbers)
        if is_short:
            keys += _rests(words)
        for key in keys:
            self._lists[key].append(entry)

    def compare(self, place: int, words: Sequence[str], numbers: str) -> None:
        """Compares a training input with candidate held-out inputs.

        Stops for good after MAX_COMPARISONS pairs in all.
        """
        own = set(words)
        own -= self._common
        size = len(own)
        if size < LEAST_WORDS or self.comparisons_left <= 0:
            return
        ranks = sorted(self._rank[word] for word in own if word in self._rank)
        if len(ranks) >= math.ceil(NEAR_SIMILARITY * size):
            known = set(ranks)
            for key in filter(self._lists.__contains__, self._keys(ranks, size, numbers)):
                for entry in self._entries(key):
                    self.comparisons_left -= 1
                    shared = len(known.intersection(entry.words))
                    if shared >= NEAR_SIMILARITY * (size + len(entry.words) - shared):
                        self.found.setdefault(entry.index, place)
        if len(words) <= FEW_WORDS and len(ranks) >= size - 1:
            text = " ".join(words)
            for rest in filter(self._lists.__contains__, _rests(words)):
                for entry in self._entries(rest):
                    self.comparisons_left -= 1
                    if _jaccard(_trigrams(text), _trigrams(entry.text)) >= NEAR_SIMILARITY:
                        self.found.setdefault(entry.index, place)

    def _keys(self, ranks: Sequence[int], size: int, numbers: str) -> Iterator[Hashable]:
        if self._is_rare(numbers):
            return iter([(numbers,)])
        return (_pairs if size <= SHORT else _singles)(ranks, size, numbers)

    def _is_rare(self, numbers: str) -> bool:
        """Whether so few held-out inputs have these numbers that all of them are compared."""
        return bool(numbers) and self._with_numbers[numbers] <= _FEW_INPUTS

    def _entries(self, key: Hashable) -> list[_Entry]:
        """Returns the held-out inputs under a key that have not been found yet."""
        entries = self._lists[key]
        if any(entry.index in self.found for entry in entries):
            entries = [entry for entry in entries if entry.index not in self.found]
            self._lists[key] = entries
        return entries


def _pairs(ranks: Sequence[int], size: int, numbers: str) -> Iterator[Hashable]:
    pairs = combinations(_rarest(ranks, size, 2), 2)
    return ((numbers, *pair) for pair in pairs) if numbers else pairs


def _singles(ranks: Sequence[int], size: int, numbers: str) -> Iterator[Hashable]:
    rarest = _rarest(ranks, size, 1)
    return ((numbers, rank) for rank in rarest) if numbers else iter(rarest)


def _rarest(ranks: Sequence[int], size: int, shared: int) -> Sequence[int]:
    """Returns the first words, of which two similar inputs share at least `shared`."""
    return ranks[: len(ranks) - math.ceil(NEAR_SIMILARITY * size) + shared]


def _key(words: Sequence[str]) -> bytes:
    """Returns a hash of the words in order."""
    text = " ".join(words).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()


def _rests(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yields the input without one of its words, for each word that is not a number."""
    for place, word in enumerate(words):
        if not is_numeric(word):
            yield place, " ".join((*words[:place], *words[place + 1 :]))


def _jaccard(
    comparisons_left: set[str] | frozenset[str], right: set[str] | frozenset[str]
) -> float:
    shared = len(comparisons_left & right)
    return shared / (len(comparisons_left) + len(right) - shared)


def _trigrams(text: str) -> set[str]:
    return {text[at : at + 3] for at in range(max(1, len(text) - 2))}
