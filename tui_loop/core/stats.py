"""Tests and intervals for scores and losses on examples, each with its source.

Pure Python: the base installation has neither numpy nor scipy; tests compare every number
with scipy's. `mcnemar` and `paired_interval` compare two models and ignore training noise. A claim
about a change of config needs replicates: `spread_interval` includes their spread.
`fisher_greater` tests whether a group fails more than the rest, `benjamini_hochberg` adjusts the
p-values of many such tests. `newcombe` compares the shares of two sets of examples.

Where several examples are answers of one conversation, `clusters` has the conversation of each, and
`sign_flip` takes the place of `mcnemar`.
"""

from __future__ import annotations

import math
import random
import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import itemgetter, sub
from statistics import NormalDist, fmean

import msgspec

from tui_loop.core.clusters import Clusters, sums_by_cluster

BOOTSTRAP_PAIRS = 400
"""With more pairs, the normal approximation is as good as the bootstrap."""

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


def paired_interval(
    old: Sequence[float], new: Sequence[float], clusters: Clusters | None = None
) -> Interval | None:
    """Mean of new - old over paired examples with a 95% interval over examples.

    Percentile bootstrap (Efron 1979) with a fixed seed up to BOOTSTRAP_PAIRS pairs, the normal
    approximation beyond; None without pairs. With `clusters`, Student's t over the conversations,
    which covers better than a bootstrap of a few; see `mean_error`.
    """
    differences = [after - before for before, after in zip(old, new, strict=True)]
    count = len(differences)
    if count == 0:
        return None
    delta = fmean(differences)
    if clusters is not None:
        half = mean_half(differences, clusters)
        if half is None:  # one conversation shows no spread: nothing is excluded
            half = max(map(abs, differences))
        return Interval(delta, delta - half, delta + half)
    if count == 1 or min(differences) == max(differences):
        return Interval(delta, delta, delta)
    if count > BOOTSTRAP_PAIRS:
        half = Z95 * math.sqrt(sample_variance(differences) / count)
        return Interval(delta, delta - half, delta + half)
    is_of_outcomes = {-1.0, 0.0, 1.0}.issuperset(differences)
    sums = sorted((_sums_of_outcomes if is_of_outcomes else _sums)(differences))
    low, high = sums[int(0.025 * _RESAMPLES)], sums[int(0.975 * _RESAMPLES) - 1]
    return Interval(delta, low / count, high / count)


def _sums(differences: Sequence[float]) -> list[float]:
    """Returns the sum of each resample."""
    return [math.fsum(draw(differences)) for draw in _resamples(len(differences))]


def _sums_of_outcomes(differences: Sequence[float]) -> list[int]:
    """Returns the sum of each resample of values that are -1, 0 or 1, ten times as fast.

    The sums are added up for all resamples at once: an integer has one lane of 16 bits for each.
    """
    counts = _counts(len(differences))
    sides = []
    for sign in (1, -1):
        packed = sum(each for each, value in zip(counts, differences, strict=True) if value == sign)
        lanes = array("H")
        lanes.frombytes(packed.to_bytes(2 * _RESAMPLES, sys.byteorder))
        sides.append(lanes)
    return list(map(sub, *sides))


@lru_cache(maxsize=4)
def _resamples(count: int) -> list[Callable[[Sequence[float]], tuple[float, ...]]]:
    """Returns functions that draw `count` of `count` values with replacement, always the same.

    Comparisons over equally many examples share them: drawing takes longer than adding up.
    """
    draw = random.Random(_SEED).choices
    return [itemgetter(*draw(range(count), k=count)) for _ in range(_RESAMPLES)]


@lru_cache(maxsize=4)
def _counts(count: int) -> list[int]:
    """Returns how often each resample has each of `count` values: an integer of lanes a value."""
    lanes = [array("H", bytes(2 * _RESAMPLES)) for _ in range(count)]
    rows = range(count)
    for at, draw in enumerate(_resamples(count)):
        for row in map(int, draw(rows)):
            lanes[row][at] += 1
    return [int.from_bytes(each.tobytes(), sys.byteorder) for each in lanes]


def sample_variance(values: Sequence[float]) -> float:
    """Returns the unbiased variance, summed exactly; 20 times faster than `statistics.variance`."""
    mean = fmean(values)
    return math.fsum((value - mean) * (value - mean) for value in values) / (len(values) - 1)


def mean_error(values: Sequence[float], clusters: Clusters | None = None) -> float | None:
    """Returns the standard error of a mean, None for fewer than two values or conversations.

    With `clusters`, that of the jackknife which leaves out one conversation at a time (Tukey 1958).
    For conversations of one size it is the error of their means. For unequal sizes it covers better
    than the linearised error of a ratio.
    """
    if clusters is None:
        return math.sqrt(sample_variance(values) / len(values)) if len(values) > 1 else None
    sums, sizes = sums_by_cluster(values, clusters)
    count, total = len(sums), len(values)
    if count < 2:
        return None
    mean = math.fsum(sums) / total
    squares = math.fsum(
        ((each - mean * size) / (total - size)) ** 2 for each, size in zip(sums, sizes, strict=True)
    )
    return math.sqrt(squares * (count - 1) / count)


def mean_half(values: Sequence[float], clusters: Clusters | None = None) -> float | None:
    """Returns half the 95% interval of a mean by Student's t; None as for `mean_error`."""
    error = mean_error(values, clusters)
    if error is None:
        return None
    return t95((len(values) if clusters is None else len(set(clusters))) - 1) * error


_NEGLIGIBLE = 1e-17


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided p-value that fixed and broken are equally likely (binomial test).

    McNemar 1947. Exact integers: 7 ms for 10,000 that changed.
    """
    total = fixed + broken
    if total == 0:
        return 1.0
    term = tail = 1
    for k in range(min(fixed, broken)):
        term = term * (total - k) // (k + 1)
        tail += term
    return min(1.0, 2 * tail / (1 << total))


MOST_COUNTED = 1_000
"""With more conversations that changed, integers of all their sums take too long."""

_LEAST_P = 1e-12
"""The error of a sum of rounded cosines: smaller p-values are not known."""


def sign_flip(differences: Iterable[int]) -> float:
    """Exact two-sided p-value that each conversation's difference is as likely with either sign.

    The permutation test of Fisher ("The Design of Experiments", 1935, section 21) on the
    differences of passed answers: P(|S| >= |observed|), where S is their sum with random signs.
    With differences of 1 it is McNemar's test. Takes 0.1 s for 1,000 that changed.
    """
    counts = Counter(differences)
    sizes = Counter[int]()
    for difference, count in counts.items():
        if difference:
            sizes[abs(difference)] += count
    if sizes.keys() <= {1}:
        return mcnemar(counts[1], counts[-1])
    observed = abs(sum(difference * count for difference, count in counts.items()))
    if not observed:
        return 1.0
    changed = sizes.total()
    if changed > MOST_COUNTED:
        return max(_LEAST_P, 1.0 - _probability_below(observed, sizes))
    # The number of sign choices with each sum, as digits of one integer in base 2**width. Digit k
    # counts those where the positive differences add up to k; both tails are equally likely.
    width = changed + 1
    last = (sum(size * count for size, count in sizes.items()) - observed) // 2
    bits = (last + 1) * width
    lower_tail, ways = (1 << bits) - 1, 1
    for size in sorted(sizes.elements()):
        ways = (ways + (ways << size * width)) & lower_tail
    return min(1.0, 2 * (ways % ((1 << width) - 1)) / (1 << changed))


def _probability_below(bound: int, sizes: Counter[int]) -> float:
    """Returns P(|S| < bound) for the sum S of all sizes with random signs.

    From the characteristic function of S, the product of cos(size * t), at the `total + 1`
    frequencies that determine a distribution on so many values.
    """
    total = sum(size * count for size, count in sizes.items())
    found = [bound - 1.0]
    for place in range(1, total + 1):
        angle = math.pi * place / (total + 1)
        wave = math.prod(math.cos(size * angle) ** count for size, count in sizes.items())
        found.append(wave * math.sin((bound - 1) * angle) / math.sin(angle))
    return math.fsum(found) / (total + 1)


def effective_total(values: Sequence[float], clusters: Clusters | None) -> float:
    """Returns how many independent examples would determine the mean of 0s and 1s as well.

    The number of examples divided by the design effect of the conversations (Kish, "Survey
    Sampling", 1965), with the correction of Korn and Graubard (1998) for few conversations; at
    most the number of examples. Where nothing varies, each conversation counts as one example.
    """
    total = len(values)
    if clusters is None or not total:
        return total
    error, mean = mean_error(values, clusters), fmean(values)
    if not error or not 0 < mean < 1:
        _, sizes = sums_by_cluster(values, clusters)
        return total * total / math.fsum(size * size for size in sizes)
    freedom = len(set(clusters)) - 1
    return min(total, mean * (1 - mean) / error**2 * (Z95 / t95(freedom)) ** 2)


def share_interval(values: Sequence[float], clusters: Clusters | None) -> tuple[float, float]:
    """Returns the 95% interval of the share of 1s: Wilson's for the effective number of examples.

    Dean and Pagano ("Evaluating confidence interval methods for binomial proportions in clustered
    surveys", 2015) find that it covers well with few clusters and extreme shares.
    """
    if clusters is None or not values:
        return wilson(sum(map(bool, values)), len(values))
    total = effective_total(values, clusters)
    return wilson(fmean(values) * total, total)


def wilson(count: float, total: float) -> tuple[float, float]:
    """Returns the 95% interval of a share (Wilson 1927), (0, 1) for a total of 0."""
    if total == 0:
        return 0.0, 1.0
    share, squared = count / total, Z95 * Z95
    middle = (share + squared / (2 * total)) / (1 + squared / total)
    half = Z95 * math.sqrt(share * (1 - share) / total + squared / (4 * total * total))
    half /= 1 + squared / total
    low = 0.0 if count == 0 else middle - half
    return low, 1.0 if count == total else middle + half


def newcombe(count: float, total: float, other_count: float, other_total: float) -> Interval:
    """Returns the other share minus the first, of independent examples, with its 95% interval.

    From the Wilson intervals of both (Newcombe 1998, method 10). Both totals are above 0.
    """
    share, other = count / total, other_count / other_total
    (low, high), (other_low, other_high) = wilson(count, total), wilson(other_count, other_total)
    delta = other - share
    return Interval(
        delta,
        delta - math.hypot(other - other_low, high - share),
        delta + math.hypot(other_high - other, share - low),
    )


def fisher_greater(failed: int, total: int, elsewhere_failed: int, elsewhere_total: int) -> float:
    """One-sided p-value that a group fails no more than the rest does (Fisher 1935).

    The hypergeometric chance of `failed` or more of the group's `total`, with all margins as they
    are. Accurate to about 1e-9 of itself for a million examples.
    """
    most = min(total, failed + elsewhere_failed)
    least = max(0, failed - (elsewhere_total - elsewhere_failed))
    if failed <= least:
        return 1.0
    failures = failed + elsewhere_failed
    everything = total + elsewhere_total
    if failed * everything > total * failures:  # above the mean: the terms fall from here on
        return min(1.0, _tail(failed, most, total, failures, everything))
    # below the mean: the probability of fewer failures, as that of at least so many successes
    passed, successes = total - failed + 1, everything - failures
    fewer = _tail(passed, min(total, successes), total, successes, everything)
    return min(1.0, max(0.0, 1.0 - fewer))


def _tail(count: int, most: int, drawn: int, marked: int, everything: int) -> float:
    """Returns the hypergeometric probability of at least `count` marked items among those drawn."""
    if count > most:
        return 0.0
    term = math.exp(
        _log_choose(marked, count)
        + _log_choose(everything - marked, drawn - count)
        - _log_choose(everything, drawn)
    )
    tail = term
    for k in range(count, most):
        term *= (marked - k) * (drawn - k) / ((k + 1) * (everything - marked - drawn + k + 1))
        tail += term
        if term < _NEGLIGIBLE * tail:
            break
    return tail


def _log_choose(items: int, chosen: int) -> float:
    return math.lgamma(items + 1) - math.lgamma(chosen + 1) - math.lgamma(items - chosen + 1)


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
    old: Sequence[Sequence[float]],
    new: Sequence[Sequence[float]],
    clusters: Clusters | None = None,
) -> Interval | None:
    """Mean of new - old over replicates, with a 95% interval from replicates and examples.

    `old` and `new` hold one sequence of example scores a replicate, all over the same examples.
    Training noise: Student's t over the replicates' means with their pooled variance, which is
    exact where both configs are one (Student 1908). Sampling of examples: the normal interval
    of the paired differences, with `clusters` Student's over conversations. The half widths add in
    quadrature. None with fewer than two replicates on either side.
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
    if clusters is None:
        variance = sample_variance(per_example) if len(per_example) > 1 else 0.0
        within = Z95 * math.sqrt(variance / len(per_example))
    elif (found := mean_half(per_example, clusters)) is not None:
        within = found
    else:
        within = max(map(abs, per_example))  # as in `paired_interval`
    half = math.hypot(t95(freedom) * math.sqrt(between), within)
    return Interval(delta, delta - half, delta + half)


def t95(freedom: int) -> float:
    """Returns the two-sided 95% quantile of Student's t, accurate to three decimals.

    A table, and beyond it the expansion about the normal quantile (Abramowitz and Stegun 26.7.5).
    """
    if freedom <= len(_T95):
        return _T95[freedom - 1]
    z = Z95
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    return z + first / freedom + second / freedom**2


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusts p-values to control the family-wise error rate (Holm 1979)."""
    count, adjusted, highest = len(p_values), [1.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(count), key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (count - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def benjamini_hochberg(p_values: Sequence[float], tested: int | None = None) -> list[float]:
    """Adjusts p-values to control the false discovery rate (Benjamini and Hochberg 1995).

    `tested`: the number of all tests, where only the smallest p-values are given.
    """
    count = len(p_values) if tested is None else tested
    adjusted, lowest = [1.0] * len(p_values), 1.0
    order = sorted(range(len(p_values)), key=p_values.__getitem__, reverse=True)
    for above, index in enumerate(order):
        rank = len(order) - above
        lowest = min(lowest, count * p_values[index] / rank)
        adjusted[index] = lowest
    return adjusted
