"""What all benchmarks share: pairs in turn, the median of their ratios, a line to print."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median


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
        sign = ">=" if self.at_least else "<="
        return (
            f"{'ok  ' if good else 'MISS'}  {self.what}: {self.value:.3g}{self.unit} "
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
