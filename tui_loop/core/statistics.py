"""What can honestly be said of two sets of scores on the same examples.

`mcnemar` and `paired_interval` compare two models; they see no training noise. A claim about
a change of config needs replicates: `spread_interval` has their spread in it.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from statistics import NormalDist, fmean, variance

import msgspec

BOOTSTRAP_PAIRS = 400
"""Up to here the interval is a bootstrap's; with more pairs the normal limit is as good."""

_RESAMPLES = 1000
_SEED = 20240229
_Z95 = NormalDist().inv_cdf(0.975)
_T95 = [
    12.706,
    4.303,
    3.182,
    2.776,
    2.571,
    2.447,
    2.365,
    2.306,
    2.262,
    2.228,
    2.201,
    2.179,
    2.160,
    2.145,
    2.131,
    2.120,
    2.110,
    2.101,
    2.093,
    2.086,
    2.080,
    2.074,
    2.069,
    2.064,
    2.060,
    2.056,
    2.052,
    2.048,
    2.045,
    2.042,
]


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


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p-value that fixed and broken are equally likely (binomial test)."""
    total = fixed + broken
    if total == 0:
        return 1.0
    tail = sum(math.comb(total, k) for k in range(min(fixed, broken) + 1))
    return min(1.0, 2 * tail / (1 << total))


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
        half = _Z95 * math.sqrt(variance(differences) / count)
        return Interval(delta, delta - half, delta + half)
    draw = random.Random(_SEED).choices
    means = sorted(math.fsum(draw(differences, k=count)) / count for _ in range(_RESAMPLES))
    return Interval(delta, means[int(0.025 * _RESAMPLES)], means[int(0.975 * _RESAMPLES) - 1])


def spread_interval(
    old: Sequence[Sequence[float]], new: Sequence[Sequence[float]]
) -> Interval | None:
    """Mean of new - old over replicates, with their spread and the examples' in a 95% interval.

    `old` and `new` hold one sequence of example scores a replicate, all over the same examples.
    Training noise: Student's t over the replicates' means with their pooled variance, which is
    exact where both configs are one (Student 1908). Sampling of examples: the normal interval
    of the paired differences. The half widths add in quadrature. None with fewer than two
    replicates on either side.
    """
    if len(old) < 2 or len(new) < 2 or not old[0]:
        return None
    old_means, new_means = [fmean(run) for run in old], [fmean(run) for run in new]
    delta = fmean(new_means) - fmean(old_means)
    freedom = len(old) + len(new) - 2
    spread = (len(old) - 1) * variance(old_means) + (len(new) - 1) * variance(new_means)
    between = spread / freedom * (1 / len(old) + 1 / len(new))
    per_example = [
        fmean(after) - fmean(before)
        for before, after in zip(zip(*old, strict=True), zip(*new, strict=True), strict=True)
    ]
    within = variance(per_example) / len(per_example) if len(per_example) > 1 else 0.0
    half = math.hypot(_t95(freedom) * math.sqrt(between), _Z95 * math.sqrt(within))
    return Interval(delta, delta - half, delta + half)


def _t95(freedom: int) -> float:
    """The two-sided 95% quantile of Student's t."""
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    return _Z95 * (1 + 1 / (4 * freedom) + 1 / freedom**2)
