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
the prefix filtering?", 2012).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Sequence, Set
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

MAX_COMPARISONS = 1_000_000
"""The most pairs to compare, about a second; repetitive data may have more."""


class Overlap(msgspec.Struct, frozen=True):
    """The held-out inputs that are in training: {index: index of a training input}."""

    same: dict[int, int]
    near: dict[int, int]
    searched: int
    """The number of training inputs that were compared: all unless there were too many pairs."""


def overlap_of(training: Iterable[str], held: Sequence[str]) -> Overlap:
    """Returns which of `held` are in `training`, exactly or nearly; reports each once."""
    inputs = [words_and_numbers(text) for text in held]
    by_words: dict[str, list[int]] = defaultdict(list)
    for index, (words, _) in enumerate(inputs):
        if words:
            by_words[" ".join(words)].append(index)
    same: dict[int, int] = {}
    search = _NearSearch(inputs)
    compared_keys: set[str] = set()
    searched = 0
    for place, text in enumerate(training):
        words, numbers = words_and_numbers(text)
        key = " ".join(words)
        if key in by_words:
            for index in by_words[key]:
                same.setdefault(index, place)
        if key not in compared_keys:
            compared_keys.add(key)
            search.compare(place, words, numbers, key)
        if search.comparisons_left > 0:
            searched = place + 1
    near = {index: place for index, place in search.found.items() if index not in same}
    return Overlap(same, near, searched)


class _Entry(msgspec.Struct, frozen=True):
    """A held-out input in the form for comparison."""

    index: int
    words: frozenset[str]
    text: str


class _NearSearch:
    """Finds the held-out inputs that are near duplicates of training inputs, each once."""

    def __init__(self, held: Sequence[tuple[list[str], str]]) -> None:
        counts: Counter[str] = Counter()
        for words, _ in held:
            counts.update(set(words))
        limit = len(held) / 2 if len(held) >= TEMPLATE_ROWS else len(held)
        self._common = frozenset(word for word, count in counts.items() if count > limit)
        # training words that no held-out input has count as the rarest
        ranked = sorted(counts.keys() - self._common, key=lambda word: (counts[word], word))
        self._rank = {word: rank for rank, word in enumerate(ranked)}
        self._lists: dict[Hashable, list[_Entry]] = defaultdict(list)
        self._known = frozenset(ranked)
        self.comparisons_left = MAX_COMPARISONS
        self.found: dict[int, int] = {}
        for index, (words, numbers) in enumerate(held):
            self._add(index, words, numbers)

    def compare(self, place: int, words: Sequence[str], numbers: str, text: str) -> None:
        """Compares a training input with candidate held-out inputs.

        Stops for good after MAX_COMPARISONS pairs in all.
        """
        own = set(words)
        own -= self._common
        if len(own) < LEAST_WORDS or self.comparisons_left <= 0:
            return
        known = own & self._known
        if len(known) >= math.ceil(NEAR_SIMILARITY * len(own)):
            keys = self._pairs if len(own) <= SHORT else self._singles
            for key in filter(self._lists.__contains__, keys(known, len(own), numbers)):
                for entry in self._entries(key):
                    self.comparisons_left -= 1
                    if _jaccard(own, entry.words) >= NEAR_SIMILARITY:
                        self.found.setdefault(entry.index, place)
        if len(words) <= FEW_WORDS and len(known) >= len(own) - 1:
            for rest in filter(self._lists.__contains__, _rests(words)):
                for entry in self._entries(rest):
                    self.comparisons_left -= 1
                    if _jaccard(_trigrams(text), _trigrams(entry.text)) >= NEAR_SIMILARITY:
                        self.found.setdefault(entry.index, place)

    def _add(self, index: int, words: Sequence[str], numbers: str) -> None:
        own = frozenset(words) - self._common
        if len(own) < LEAST_WORDS:
            return
        entry = _Entry(index, own, " ".join(words))
        keys: list[Hashable] = []
        if len(own) <= SHORT / NEAR_SIMILARITY:  # may be similar to a short one
            keys += self._pairs(own, len(own), numbers)
        if len(own) >= SHORT * NEAR_SIMILARITY:
            keys += self._singles(own, len(own), numbers)
        if len(words) <= FEW_WORDS:
            keys += _rests(words)
        for key in keys:
            self._lists[key].append(entry)

    def _entries(self, key: Hashable) -> list[_Entry]:
        """Returns the held-out inputs under a key that have not been found yet."""
        entries = self._lists[key]
        if any(entry.index in self.found for entry in entries):
            entries = [entry for entry in entries if entry.index not in self.found]
            self._lists[key] = entries
        return entries

    def _pairs(self, known: Set[str], size: int, numbers: str) -> Iterator[Hashable]:
        pairs = combinations(self._rarest(known, size, 2), 2)
        return ((numbers, *pair) for pair in pairs) if numbers else pairs

    def _singles(self, known: Set[str], size: int, numbers: str) -> Iterator[Hashable]:
        return ((numbers, word) for word in self._rarest(known, size, 1))

    def _rarest(self, known: Set[str], size: int, shared: int) -> list[int]:
        """Returns the first words, of which two similar inputs share at least `shared`."""
        length = len(known) - math.ceil(NEAR_SIMILARITY * size) + shared
        return sorted(map(self._rank.__getitem__, known))[:length]


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
