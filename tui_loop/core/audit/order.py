"""Tests whether the training rows are sorted: by label, by length, or by what they are about."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import groupby
from statistics import fmean, pvariance

from tui_loop.core.audit.structs import Neighbours, Order, Sorting
from tui_loop.core.audit.texts import SEED, RowTexts
from tui_loop.core.text.words import words_of

LEAST_ROWS = 20
MOST_PAIRS = 500


def order_of(rows: Sequence[RowTexts], *, are_labels: bool) -> Order | None:
    """Returns the tests of the order, None for fewer than 20 rows."""
    if len(rows) < LEAST_ROWS:
        return None
    lengths = [len(row.context) + len(row.reference) for row in rows]
    middle = sorted(lengths)[len(lengths) // 2]
    return Order(
        sorting_of([row.reference.strip() for row in rows]) if are_labels else None,
        sorting_of([length > middle for length in lengths]),
        _neighbours(rows),
    )


def sorting_of(values: Sequence[Hashable]) -> Sorting | None:
    """Returns the runs test of a sequence of values, None where all are equal or all differ."""
    counts = Counter(values)
    total = len(values)
    if not 1 < len(counts) < total:
        return None
    squares = sum(count**2 for count in counts.values())
    cubes = sum(count**3 for count in counts.values())
    expected = total + 1 - squares / total
    variance = squares * (squares + total * (total + 1)) - 2 * total * cubes - total**3
    deviation = math.sqrt(variance / (total**2 * (total - 1)))
    lengths = [sum(1 for _ in group) for _, group in groupby(values)]
    z = (len(lengths) - expected) / deviation if deviation else 0.0
    return Sorting(len(lengths), round(expected, 2), round(z, 2), max(lengths))


def _neighbours(rows: Sequence[RowTexts]) -> Neighbours | None:
    generator = random.Random(SEED)
    last = len(rows) - 1
    firsts = range(last) if last <= MOST_PAIRS else generator.sample(range(last), MOST_PAIRS)
    pairs = [(rows[first], rows[first + 1]) for first in firsts]
    pairs += [(rows[one], rows[other]) for one, other in _random_pairs(len(rows), len(pairs))]
    words = [tuple(_words(row) for row in pair) for pair in pairs]
    weights = _weights([each for pair in words for each in pair])
    likeness = [_likeness(own, theirs, weights) for own, theirs in words]
    count = len(firsts)
    adjacent, chance = likeness[:count], likeness[count:]
    error = math.sqrt((pvariance(adjacent) + pvariance(chance)) / count)
    difference = fmean(adjacent) - fmean(chance)
    z = difference / error if error else 0.0
    return Neighbours(round(fmean(adjacent), 4), round(fmean(chance), 4), count, round(z, 2))


def _random_pairs(rows: int, count: int) -> list[tuple[int, int]]:
    generator = random.Random(SEED + 1)
    drawn = (generator.sample(range(rows), 2) for _ in range(count))
    return [(one, other) for one, other in drawn]


def _words(row: RowTexts) -> frozenset[str]:
    return frozenset(words_of(row.prompt or row.reference))


def _weights(rows: Sequence[frozenset[str]]) -> dict[str, float]:
    """Returns the inverse document frequency of each word: what all rows have weighs nothing."""
    counts: Counter[str] = Counter()
    for words in rows:
        counts.update(words)
    return {word: math.log(len(rows) / count) for word, count in counts.items()}


def _likeness(own: frozenset[str], theirs: frozenset[str], weights: dict[str, float]) -> float:
    union = sum(weights[word] for word in own | theirs)
    return sum(weights[word] for word in own & theirs) / union if union else 0.0
