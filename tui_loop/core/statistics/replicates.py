"""What replicates say of a change: the spread between runs of one config is in the interval."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from tui_loop.core.statistics.intervals import Z95, Interval, sample_variance

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
    spread = (len(old) - 1) * sample_variance(old_means)
    spread += (len(new) - 1) * sample_variance(new_means)
    between = spread / freedom * (1 / len(old) + 1 / len(new))
    per_example = [
        fmean(after) - fmean(before)
        for before, after in zip(zip(*old, strict=True), zip(*new, strict=True), strict=True)
    ]
    within = sample_variance(per_example) / len(per_example) if len(per_example) > 1 else 0.0
    half = math.hypot(t95(freedom) * math.sqrt(between), Z95 * math.sqrt(within))
    return Interval(delta, delta - half, delta + half)


def t95(freedom: int) -> float:
    """The two-sided 95% quantile of Student's t, right to three decimals.

    A table, and beyond it the expansion about the normal quantile (Abramowitz and Stegun 26.7.5).
    """
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    z = Z95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2
