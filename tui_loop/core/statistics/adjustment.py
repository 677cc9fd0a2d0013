"""What is left of p-values when many things were tested."""

from __future__ import annotations

from collections.abc import Sequence


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted so that the chance of any false alarm is theirs (Holm 1979)."""
    count, adjusted, highest = len(p_values), [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float], tested: int | None = None) -> list[float]:
    """P-values adjusted so that the share of false alarms among those called is theirs.

    Benjamini and Hochberg 1995. `tested`: how many were tested in all, where the rest, all larger
    than these, are not given.
    """
    count = len(p_values) if tested is None else tested
    adjusted, lowest = [1.0] * len(p_values), 1.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    for above, index in enumerate(order):
        rank = len(order) - above
        lowest = min(lowest, count * p_values[index] / rank)
        adjusted[index] = lowest
    return adjusted
