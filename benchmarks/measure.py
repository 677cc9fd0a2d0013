"""What all benchmarks share: pairs in turn, the median of their ratios, a line to print."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from benchmarks.scale import is_tiny


@dataclass(frozen=True)
class Result:
    """One figure against its limit; `at_least` says on which side of it is good."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_least: bool = False
    note: str = ""

    def line(self) -> str:
        good = self.value >= self.limit if self.at_least else self.value <= self.limit
        verdict = "tiny" if is_tiny() else "ok  " if good else "MISS"
        sign = ">=" if self.at_least else "<="
        return (
            f"{verdict}  {self.what}: {self.value:.3g}{self.unit} "
            f"(wanted {sign} {self.limit:g}{self.unit})  {self.note}"
        ).rstrip()


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def paired_ratio(
    ours: Callable[[], float], theirs: Callable[[], float], pairs: int
) -> tuple[float, list[float], list[float]]:
    """Median of ours/theirs over pairs measured in turn, and both lists, in seconds."""
    left, right = [], []
    for turn in range(pairs):
        first, second = (ours, theirs) if turn % 2 == 0 else (theirs, ours)
        a, b = first(), second()
        left.append(a if turn % 2 == 0 else b)
        right.append(b if turn % 2 == 0 else a)
    return median(a / b for a, b in zip(left, right, strict=True)), left, right


def at_share(costs: list[float], share: float) -> float:
    """The cost that `share` of them do not exceed; 1.0 gives the worst, no costs NaN."""
    if not costs:
        return math.nan
    ordered = sorted(costs)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def spread(costs: list[float], what: str = "keys") -> str:
    """Seconds from keys (or `what` it is) to frames, in words and milliseconds."""
    if not costs:
        return "none"
    p50, p95, worst = (1000 * each for each in (median(costs), at_share(costs, 0.95), max(costs)))
    return f"{len(costs)} {what}, p50 {p50:.0f}, p95 {p95:.0f}, worst {worst:.0f} ms"
