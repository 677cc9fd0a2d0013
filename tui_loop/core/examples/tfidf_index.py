"""Finds the training rows most similar to an example by TF-IDF, or that there are none.

A row is the sum of its words, and a word is itself and its character trigrams, so that `cancel`
is near `canceling`; each counts by how few training rows have it (tf-idf), and two rows are as
similar as the cosine between them: 1 for the same words, 0 where no trigram is shared. Order,
case and punctuation do not count.

A query looks at the postings of the words that would gain most until `POSTINGS` have been seen,
and compares the best candidates exactly: its time is bounded, whatever the rows are.
"""

from __future__ import annotations

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from heapq import nlargest
from statistics import median

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.scoring import normalised
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.text.words import words_of

SIMILAR = 0.45
"""Below this, nothing similar was trained on.

On Banking77, 4% of the test rows have nothing nearer in training, 22% of those whose intent was
taken out of training, and 96% of messages from another trade. Rows about one subject share many
words whatever they ask for, so a reference missing in training is a finding of its own.
"""

WORDS = 100
"""Words of a row that are compared; of longer rows only the beginning counts."""

VOCABULARY = 100_000
"""Words whose trigrams are known, the most frequent; of rarer ones only the whole word counts."""

POSTINGS = 20_000
CANDIDATES = 50
"""On 100,000 rows of 12 words the nearest was the same row as in a search without limits."""

TRIGRAM_WEIGHT = 0.5
SAMPLE = 20
"""The number of training rows whose nearest neighbours give the usual similarity."""

LABEL_ROWS = 4
"""Where a reference has this many rows on average, references are labels."""


class Neighbour(msgspec.Struct, frozen=True):
    """A training row and its similarity in [0, 1]."""

    row: Row
    similarity: float


class Answer(msgspec.Struct, frozen=True):
    """What training had for an example, in a sentence, and the rows that say so.

    `same`: the nearest row that has the example's reference, where references are labels.
    """

    text: str
    is_new: bool
    neighbours: list[Neighbour]
    same: Neighbour | None = None


class TrainingIndex:
    """A TF-IDF index of training rows."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = rows
        self._word_ids: dict[str, int] = {}
        self._postings: list[array[int]] = []
        for place, row in enumerate(rows):
            for word in _words(row.input_text):
                known = self._word_ids.get(word)
                if known is None:
                    self._word_ids[word] = len(self._postings)
                    self._postings.append(array("I", (place,)))
                else:
                    self._postings[known].append(place)
        self._by_trigram = self._trigram_words()
        self._weights: dict[str, float] = {}
        self._lengths = self._rough_lengths()
        forms = {text: normalised(text) for text in {row.reference for row in rows}}
        self._labelled: dict[str, array[int]] = {form: array("I") for form in forms.values()}
        for place, row in enumerate(rows):
            self._labelled[forms[row.reference]].append(place)

    @property
    def has_labels(self) -> bool:
        """Returns whether references repeat, as labels do."""
        return len(self._labelled) * LABEL_ROWS <= len(self.rows)

    def trained_on(self, reference: str) -> int:
        """Returns how many rows have this reference."""
        return len(self._labelled.get(normalised(reference), ()))

    def nearest(self, text: str, k: int = 5, reference: str | None = None) -> list[Neighbour]:
        """Returns the `k` most similar rows, the nearest first, of one reference if given."""
        among = None
        if reference is not None:
            among = frozenset(self._labelled.get(normalised(reference), ()))
        query = self._vector(_words(text))
        length = _length(query)
        found = []
        for place in self._candidates(query, max(CANDIDATES, 2 * k), among):
            own = self._vector(_words(self.rows[place].input_text))
            found.append((_dot(query, own) / (length * _length(own)), -place))
        return [
            Neighbour(self.rows[-place], min(1.0, similarity))
            for similarity, place in nlargest(k, found)
        ]

    @cached_property
    def usual(self) -> float | None:
        """Returns the median similarity of training rows to their nearest neighbour (sampled)."""
        step = max(1, len(self.rows) // SAMPLE)
        found = []
        for row in self.rows[::step][:SAMPLE]:
            others = [each for each in self.nearest(row.input_text, 2) if each.row is not row]
            if others:
                found.append(others[0].similarity)
        return median(found) if found else None

    def answer(self, text: str, reference: str, k: int = 5) -> Answer:
        """Returns what training has for an example with this input and reference."""
        found = self.nearest(text, max(1, k))
        if not found:
            return Answer(f"{NOTHING}: no row shares a word with this input", True, [])
        if self.has_labels and not self.trained_on(reference):
            sentence = (
                f"{NOTHING}: no row is labelled {_named(reference)}; "
                f"the nearest row (similarity {found[0].similarity:.2f}) is labelled "
                f"{_named(found[0].row.reference)}"
            )
            return Answer(sentence, True, found[:k])
        same = next(iter(self.nearest(text, 1, reference)), None) if self.has_labels else None
        is_new = found[0].similarity < SIMILAR
        sentence = self._far(found[0]) if is_new else self._near(text, reference, found[0], same)
        return Answer(sentence, is_new, found[:k], same)

    def _far(self, best: Neighbour) -> str:
        text = f"{NOTHING}: the nearest of {len(self.rows)} rows has similarity "
        text += f"{best.similarity:.2f}"
        if self.usual is None:
            return text
        return f"{text} (typical between training rows: {self.usual:.2f})"

    def _near(self, text: str, reference: str, best: Neighbour, same: Neighbour | None) -> str:
        is_same = words_of(text) == words_of(best.row.input_text)
        message = f"the nearest training row has similarity {best.similarity:.2f}"
        if is_same:
            message = f"a training row has the same input (similarity {best.similarity:.2f})"
        if not self.has_labels:
            return message
        if normalised(best.row.reference) == normalised(reference):
            return f"{message}; it has the same label, {_named(best.row.reference)}"
        message += f"; its label is {_named(best.row.reference)}"
        if same is None:
            return f"{message}; no row labelled {_named(reference)} shares a word with this input"
        return (
            f"{message}; the nearest row labelled {_named(reference)} has similarity "
            f"{same.similarity:.2f}"
        )

    def _candidates(
        self, query: dict[str, float], count: int, among: frozenset[int] | None
    ) -> list[int]:
        """Returns candidate rows, sorted by an approximate cosine similarity."""
        gains: dict[int, float] = defaultdict(float)
        for part, weight in query.items():
            if part[0] == _MARK:
                gain = weight * self._weight(part)
                for word in self._by_trigram.get(part, ()):
                    gains[word] += gain
            elif part in self._word_ids:
                gains[self._word_ids[part]] += weight * weight
        left, scores = POSTINGS, dict[int, float]()
        for word in sorted(gains, key=lambda word: (-gains[word], word)):
            gain, rows = gains[word], self._postings[word]
            places = rows if among is None else [place for place in rows if place in among]
            if len(places) > left:
                if scores:
                    continue
                places = places[:left]
            left -= len(places)
            for place in places:
                scores[place] = scores.get(place, 0.0) + gain
        lengths = self._lengths
        best = nlargest(count, [(score / lengths[at], -at) for at, score in scores.items()])
        return [-at for _, at in best]

    def _trigram_words(self) -> dict[str, array[int]]:
        found: dict[str, array[int]] = {}
        frequent: Iterable[tuple[str, int]] = self._word_ids.items()
        if len(self._word_ids) > VOCABULARY:
            frequent = nlargest(VOCABULARY, frequent, key=lambda item: len(self._postings[item[1]]))
        for word, number in frequent:
            for trigram in _trigrams(word):
                if trigram in found:
                    found[trigram].append(number)
                else:
                    found[trigram] = array("I", (number,))
        return found

    def _rough_lengths(self) -> array[float]:
        """Returns the rows' vector lengths under the assumption that words share no trigrams."""
        lengths = array("d", bytes(8 * len(self.rows)))
        for word, number in self._word_ids.items():
            square = sum(self._weight(part) ** 2 for part in (word, *_trigrams(word)))
            for place in self._postings[number]:
                lengths[place] += square
        return array("d", map(math.sqrt, lengths))

    def _vector(self, words: Iterable[str]) -> dict[str, float]:
        vector: dict[str, float] = defaultdict(float)
        for word in words:
            vector[word] += self._weight(word)
            for trigram in _trigrams(word):
                vector[trigram] += self._weight(trigram)
        return vector

    def _weight(self, part: str) -> float:
        known = self._weights.get(part)
        if known is None:
            if part[0] == _MARK:
                words = self._by_trigram.get(part, ())
                rows, share = sum(len(self._postings[word]) for word in words), TRIGRAM_WEIGHT
            else:
                number = self._word_ids.get(part)
                rows, share = 0 if number is None else len(self._postings[number]), 1.0
            total = len(self.rows)
            known = share * (math.log((total + 1) / (min(rows, total) + 1)) + 1)
            self._weights[part] = known
        return known


NOTHING = "no similar training row"

_MARK = "\0"
"""Marks trigrams, since no word contains it."""


def _words(text: str) -> list[str]:
    return list(dict.fromkeys(words_of(text[: 20 * WORDS])))[:WORDS]


def _trigrams(word: str) -> list[str]:
    if len(word) <= 3:
        return []
    marked = f"<{word}>"
    return [_MARK + marked[at : at + 3] for at in range(len(marked) - 2)]


def _dot(one: dict[str, float], other: dict[str, float]) -> float:
    return sum(weight * other[part] for part, weight in one.items() if part in other)


def _length(vector: dict[str, float]) -> float:
    return math.sqrt(sum(weight * weight for weight in vector.values()))


def _named(reference: str) -> str:
    return f'"{one_line(reference, 40)}"'
