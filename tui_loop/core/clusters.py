"""Groups examples by conversation, since the answers of one conversation are not independent.

`Clusters` has the number of each example's conversation. It is None where no conversation has
several examples: the statistics over examples then hold.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from itertools import repeat

Clusters = Sequence[int]

_ROUNDING = 1e-9


def clusters_of(conversations: Iterable[str]) -> Clusters | None:
    """Numbers the conversation of each example; one without gets a number of its own."""
    numbers: dict[str, int] = {}
    found, alone = array("q"), -1
    for name in conversations:
        if name:
            found.append(numbers.setdefault(name, len(numbers)))
        else:
            found.append(alone)
            alone -= 1
    return found if len(numbers) - alone - 1 < len(found) else None


def clusters_at(clusters: Clusters | None, rows: Sequence[int]) -> Clusters | None:
    """Returns the conversations of some examples; None where each has its own."""
    if clusters is None:
        return None
    if rows == range(len(clusters)):
        return clusters
    found = array("q", map(clusters.__getitem__, rows))
    return found if len(set(found)) < len(found) else None


def cluster_count(clusters: Clusters | None) -> int:
    """Returns the number of conversations, 0 where each example has its own."""
    return len(set(clusters)) if clusters is not None else 0


def sums_by_cluster(
    values: Iterable[float], clusters: Clusters, weights: Iterable[float] = repeat(1.0)
) -> tuple[list[float], list[float]]:
    """Returns for each conversation the weighted sum of its examples' values, and their weight."""
    parts: dict[int, list[float]] = {}
    sizes: dict[int, float] = {}
    for number, value, weight in zip(clusters, values, weights, strict=False):
        parts.setdefault(number, []).append(value * weight)
        sizes[number] = sizes.get(number, 0.0) + weight
    return list(map(math.fsum, parts.values())), list(sizes.values())


class HitCounts:
    """Counts hits, such as failures, in a group of examples and in all others, for a test.

    Answers of one conversation are not independent, so each conversation counts once on each side,
    with the share of its hits there. Their sum varies no more than a count of that many
    independent examples, and a conversation on both sides makes the two more alike. Fisher's test
    on these counts therefore errs on the safe side.
    """

    def __init__(self, hits: Sequence[bool], clusters: Clusters | None) -> None:
        self._hits, self._clusters = hits, clusters
        self._hit, self._size = _tally(hits, clusters, range(len(hits)))
        self._share = _shares(self._hit, self._size)

    def split(self, rows: Sequence[int]) -> tuple[int, int, int, int]:
        """Returns (hits, count) of some rows, and (hits, count) of all others.

        Shares are rounded towards no difference.
        """
        if self._clusters is None:
            hit = sum(map(self._hits.__getitem__, rows))
            return hit, len(rows), sum(self._hits) - hit, len(self._hits) - len(rows)
        hit_here, here = _tally(self._hits, self._clusters, rows)
        own = _shares(hit_here, here)
        hit_there = {number: self._hit[number] - hit for number, hit in hit_here.items()}
        there = {number: self._size[number] - size for number, size in here.items()}
        left = {number: size for number, size in there.items() if size}
        others = self._share - _shares({n: self._hit[n] for n in here}, self._size)
        others += _shares(hit_there, left)
        total = len(self._size) - len(here) + len(left)
        ceiling = math.ceil(max(0.0, others) - _ROUNDING)
        return math.floor(own + _ROUNDING), len(here), min(total, ceiling), total


def _tally(
    hits: Sequence[bool], clusters: Clusters | None, rows: Sequence[int]
) -> tuple[dict[int, int], dict[int, int]]:
    """Returns the hits and the rows of each conversation."""
    hit: dict[int, int] = {}
    size: dict[int, int] = {}
    for row in rows if clusters is not None else ():
        number = clusters[row] if clusters is not None else row
        hit[number] = hit.get(number, 0) + hits[row]
        size[number] = size.get(number, 0) + 1
    return hit, size


def _shares(hit: dict[int, int], size: dict[int, int]) -> float:
    """Returns the sum of the conversations' shares of hits; those without a size are left out."""
    return math.fsum(count / size[number] for number, count in hit.items() if number in size)
