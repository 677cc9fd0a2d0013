"""Groups examples that are not independent: answers of one conversation, repeats of one input.

`Clusters` has the number of each example's group. It is None where no group has several examples:
the statistics over examples then hold.
"""

from __future__ import annotations

import math
import re
from array import array
from collections.abc import Hashable, Iterable, Sequence
from itertools import repeat
from typing import Literal, Protocol

Clusters = Sequence[int]

Unit = Literal["conversation", "distinct input"]
"""What the examples of a group have in common."""
CONVERSATION: Unit = "conversation"
INPUT: Unit = "distinct input"

_ROUNDING = 1e-9
_REPEAT = re.compile(r"([0-9a-f]{12})-[0-9]+")
"""The id of a row whose input occurred before (`core.data.row_store`)."""


class HasInput(Protocol):
    """An example, or a part of one."""

    @property
    def prompt(self) -> str: ...
    @property
    def reference(self) -> str: ...
    @property
    def conversation(self) -> str: ...


def group_of(example: HasInput) -> str:
    """Returns what an example shares with those it is not independent of.

    It is the conversation, the same one for its repeats, else the input.
    """
    if not example.conversation:
        return example.prompt or example.reference
    repeat = _REPEAT.fullmatch(example.conversation)
    return repeat[1] if repeat else example.conversation


def unit_of(examples: Iterable[HasInput]) -> Unit:
    """Returns what the examples of a group have in common."""
    return CONVERSATION if any(each.conversation for each in examples) else INPUT


def clusters_of(groups: Iterable[Hashable]) -> Clusters | None:
    """Numbers the group of each example."""
    numbers: dict[Hashable, int] = {}
    found = array("q", (numbers.setdefault(each, len(numbers)) for each in groups))
    return found if len(numbers) < len(found) else None


def clusters_at(clusters: Clusters | None, rows: Sequence[int]) -> Clusters | None:
    """Returns the groups of some examples; None where each has its own."""
    if clusters is None:
        return None
    if rows == range(len(clusters)):
        return clusters
    found = array("q", map(clusters.__getitem__, rows))
    return found if len(set(found)) < len(found) else None


def cluster_count(clusters: Clusters | None) -> int:
    """Returns the number of groups, 0 where each example has its own."""
    return len(set(clusters)) if clusters is not None else 0


def sums_by_cluster(
    values: Iterable[float], clusters: Clusters, weights: Iterable[float] = repeat(1.0)
) -> tuple[list[float], list[float]]:
    """Returns for each group the weighted sum of its examples' values, and their weight."""
    parts: dict[int, list[float]] = {}
    sizes: dict[int, float] = {}
    for number, value, weight in zip(clusters, values, weights, strict=False):
        parts.setdefault(number, []).append(value * weight)
        sizes[number] = sizes.get(number, 0.0) + weight
    return list(map(math.fsum, parts.values())), list(sizes.values())


class HitCounts:
    """Counts hits, such as failures, in a group of examples and in all others, for a test.

    Examples of one cluster are not independent, so each cluster counts once on each side, with the
    share of its hits there. Their sum varies no more than a count of that many independent
    examples, and a cluster on both sides makes the two more alike. Fisher's test on these counts
    therefore errs on the safe side.
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
    """Returns the hits and the rows of each cluster."""
    hit: dict[int, int] = {}
    size: dict[int, int] = {}
    for row in rows if clusters is not None else ():
        number = clusters[row] if clusters is not None else row
        hit[number] = hit.get(number, 0) + hits[row]
        size[number] = size.get(number, 0) + 1
    return hit, size


def _shares(hit: dict[int, int], size: dict[int, int]) -> float:
    """Returns the sum of the clusters' shares of hits; those without a size are left out."""
    return math.fsum(count / size[number] for number, count in hit.items() if number in size)
