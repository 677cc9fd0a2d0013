"""Two evaluations of the same examples: exact tests, and intervals that never claim more.

`mcnemar` and `paired_interval` compare two models and ignore training noise. A claim about a change
of config needs replicates: `spread_interval` includes their spread. Where examples are not
independent, `clusters` has the number of each one's group (`core.clusters`).

Under equal models both signs of every difference are equally likely. So the sign-flip test is exact
at any number of examples, and an interval that it contradicts is widened to zero: equal models
differ in at most 5% of comparisons. An interval is never empty: examples that were not evaluated
may differ even where no evaluated one did.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest
from statistics import fmean

from tui_loop.core.clusters import Clusters, sums_by_cluster
from tui_loop.core.stats import Z95, Interval, mean_half, sample_variance, t95

LEVEL = 0.05

_ENUMERATED = 10
"""The largest differences whose signs are enumerated; the sum of the others is nearly normal."""

_HALVINGS = 50


def paired_interval(
    old: Sequence[float], new: Sequence[float], clusters: Clusters | None = None
) -> Interval | None:
    """Returns the mean of new - old over paired examples with its 95% interval; None without pairs.

    Tango's score interval (1998) for outcomes, else Student's t over examples, or over
    their groups with `clusters` (see `stats.mean_error`). It includes zero unless the exact test
    (McNemar's, else the sign-flip test) rejects equal models at LEVEL.
    """
    differences = [after - before for before, after in zip(old, new, strict=True)]
    if not differences:
        return None
    is_of_outcomes = {-1.0, 0.0, 1.0}.issuperset(differences)
    if clusters is None and is_of_outcomes:
        fixed, broken = differences.count(1.0), differences.count(-1.0)
        interval = _outcomes_interval(fixed, broken, len(differences))
        return _widened(interval) if mcnemar(fixed, broken) > LEVEL else interval
    delta = fmean(differences)
    units = differences if clusters is None else sums_by_cluster(differences, clusters)[0]
    half = mean_half(differences, clusters)
    if not half or len(units) < 2:
        scale = abs(delta) or max(map(abs, [*old, *new])) or 1.0
        half = scale * _unseen(len(units))
    interval = Interval(delta, delta - half, delta + half)
    return _widened(interval) if interval.excludes_zero and _may_be_equal(units) else interval


def _may_be_equal(units: Sequence[float]) -> bool:
    """Returns whether the exact test over clusters or examples allows equal models."""
    if all(unit == int(unit) for unit in units):
        return sign_flip(map(int, units)) > LEVEL
    return mean_sign_flip(units) > LEVEL


def _widened(interval: Interval) -> Interval:
    """Returns the interval with zero in it."""
    return Interval(interval.delta, min(interval.low, 0.0), max(interval.high, 0.0))


def _unseen(count: int) -> float:
    """Returns the largest share (97.5% confidence) of something that none of `count` has shown."""
    return 1.0 - math.exp(math.log(0.025) / count)


def _outcomes_interval(fixed: int, broken: int, total: int) -> Interval:
    """Returns the difference of two paired shares with its score interval (Tango 1998)."""
    delta = (fixed - broken) / total

    def deviation(shift: float) -> float:
        """Returns by how many standard errors the difference exceeds `shift`."""
        linear = (2 * total - fixed + broken) * shift - fixed - broken
        constant = -broken * shift * (1 - shift)
        root = math.sqrt(max(0.0, linear * linear - 8 * total * constant))
        variance = total * ((root - linear) / (2 * total) + shift * (1 - shift))
        above = fixed - broken - total * shift
        return above / math.sqrt(variance) if variance > 0 else math.copysign(math.inf, above)

    low = -1.0 if delta == -1 else _crossing(deviation, -1.0, delta, Z95)
    high = 1.0 if delta == 1 else _crossing(deviation, delta, 1.0, -Z95)
    return Interval(delta, low, high)


def _crossing(falling: Callable[[float], float], low: float, high: float, level: float) -> float:
    """Returns where a falling function passes `level`, by bisection."""
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > level else (low, middle)
    return (low + high) / 2


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
"""With more clusters that changed, integers of all their sums take too long."""

_LEAST_P = 1e-12
"""The error of a sum of rounded cosines: smaller p-values are not known."""


def sign_flip(differences: Iterable[int]) -> float:
    """Exact two-sided p-value that each cluster's difference is as likely with either sign.

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


def mean_sign_flip(differences: Sequence[float]) -> float:
    """Two-sided p-value that each difference is as likely with either sign, by their sum.

    As `sign_flip`, for differences of any size. Exact for up to _ENUMERATED that are not zero.
    Beyond them, the signs of the largest are enumerated, and the sum of the others is taken as
    normal. Where Hoeffding's bound for a sum with random signs (1963) is below 1%, it is returned
    instead: it is at least the p-value.
    """
    sizes = [abs(each) for each in differences if each]
    squares = math.fsum(size * size for size in sizes)
    observed = abs(math.fsum(differences))
    if not squares:
        return 1.0
    if (bound := 2 * math.exp(-observed * observed / (2 * squares))) < 0.01:
        return bound
    largest = nlargest(_ENUMERATED, sizes)
    sums = [0.0]
    for size in largest:
        sums = [total + sign * size for total in sums for sign in (1, -1)]
    if len(sizes) <= _ENUMERATED:
        rounding = 1e-9 * observed
        return sum(abs(total) >= observed - rounding for total in sums) / len(sums)
    rest = math.sqrt(2 * max(0.0, squares - math.fsum(size * size for size in largest)))
    return fmean(math.erfc((observed - total) / rest) for total in sums)


def spread_interval(
    old: Sequence[Sequence[float]],
    new: Sequence[Sequence[float]],
    clusters: Clusters | None = None,
) -> Interval | None:
    """Mean of new - old over replicates, with a 95% interval from replicates and examples.

    `old` and `new` hold one sequence of example scores a replicate, all over the same examples.
    Training noise: Student's t over the replicates' means with their pooled variance, which is
    exact where both configs are one (Student 1908). Sampling of examples: `paired_interval` of the
    means over replicates. The distances from the mean add in quadrature. None with fewer than two
    replicates on either side.
    """
    if len(old) < 2 or len(new) < 2 or not old[0]:
        return None
    old_means, new_means = [fmean(run) for run in old], [fmean(run) for run in new]
    freedom = len(old) + len(new) - 2
    spread = (len(old) - 1) * sample_variance(old_means)
    spread += (len(new) - 1) * sample_variance(new_means)
    between = t95(freedom) * math.sqrt(spread / freedom * (1 / len(old) + 1 / len(new)))
    before, after = ([fmean(each) for each in zip(*side, strict=True)] for side in (old, new))
    within = paired_interval(before, after, clusters)
    assert within is not None
    return Interval(
        within.delta,
        within.delta - math.hypot(between, within.delta - within.low),
        within.delta + math.hypot(between, within.high - within.delta),
    )
