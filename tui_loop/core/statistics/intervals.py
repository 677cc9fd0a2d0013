"""A difference with its 95% interval, and the one of paired examples."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, fmean

import msgspec

BOOTSTRAP_PAIRS = 400
"""Up to here the interval is a bootstrap's; with more pairs the normal limit is as good."""

Z95 = NormalDist().inv_cdf(0.975)
_RESAMPLES = 1000
_SEED = 20240229


class Interval(msgspec.Struct, frozen=True):
    """A difference and its 95% interval, in the scores' unit."""

    delta: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        return (self.high - self.low) / 2

    @property
    def excludes_zero(self) -> bool:
        return self.low > 0 or self.high < 0


def paired_interval(old: Sequence[float], new: Sequence[float]) -> Interval | None:
    """Mean of new - old over paired examples with a 95% interval over examples.

    Percentile bootstrap (Efron 1979) with a fixed seed up to BOOTSTRAP_PAIRS pairs, the normal
    approximation beyond; None without pairs.
    """
    differences = [after - before for before, after in zip(old, new, strict=True)]
    count = len(differences)
    if count == 0:
        return None
    delta = fmean(differences)
    if count == 1 or min(differences) == max(differences):
        return Interval(delta, delta, delta)
    if count > BOOTSTRAP_PAIRS:
        half = Z95 * math.sqrt(sample_variance(differences) / count)
        return Interval(delta, delta - half, delta + half)
    draw = random.Random(_SEED).choices
    means = sorted(math.fsum(draw(differences, k=count)) / count for _ in range(_RESAMPLES))
    return Interval(delta, means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1])


def sample_variance(values: Sequence[float]) -> float:
    """The unbiased variance, exactly summed; some 20 times faster than the library's fractions."""
    mean = fmean(values)
    return math.fsum((value - mean) * (value - mean) for value in values) / (len(values) - 1)
