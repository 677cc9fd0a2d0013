"""Which further runs would decide something: the gap is there, but one run of each cannot tell it
from training noise.

A gap can be told with k runs of each config where it exceeds the half width of the interval that
`statistics.spread_interval` would give: Student's t over the runs and the examples' own noise in
quadrature. How much runs of one config differ is taken from the configs of the loop that were run
under several seeds. A gap within the examples' own noise no run can settle: that takes examples.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tui_loop.core.comparison import Comparison
from tui_loop.core.progress.configs import Spread
from tui_loop.core.stats import Interval, t95

MOST_RUNS = 6
"""Runs of a config that are worth suggesting; a gap that needs more is small beside the noise."""

HALF_SEEN = 0.5
"""Of the half width: where training noise is not known yet, a gap from here on is worth a first
repeat; the mean of more runs may well lie beyond."""

MOST_EXAMPLES = 20
"""Times as many examples as there are: what needs more is no difference for any use."""


class Noise(msgspec.Struct, frozen=True):
    """How runs of one config differ in a metric: their pooled standard deviation."""

    deviation: float
    freedom: int


class Reach(msgspec.Struct, frozen=True):
    """What would decide a comparison: `runs` of each config, or so many `examples`, or neither.

    `is_first`: nothing is known of training noise yet, so the runs may leave it open.
    """

    runs: int | None = None
    examples: int | None = None
    is_first: bool = False


def noise_of(spreads: Sequence[Spread | None]) -> Noise | None:
    """The training noise of a metric, pooled over configs; None where none was run twice."""
    known = [(each.runs - 1, each.deviation) for each in spreads if each and each.deviation]
    freedom = sum(runs for runs, _ in known)
    if not freedom:
        return None
    pooled = sum(runs * deviation**2 for runs, deviation in known) / freedom
    return Noise(math.sqrt(pooled), freedom)


def reach_of(found: Comparison, noise: Noise | None) -> Reach | None:
    """What would decide a comparison by score, or by loss where there is no score; None where it
    is decided, or there is nothing to decide."""
    interval = found.interval or found.loss
    count = found.compared if found.interval is not None else found.loss_examples
    if interval is None or not count or is_decided(found, interval):
        return None
    gap = abs(interval.delta)
    examples = example_noise(interval, found.replicates, noise)
    have = max(found.replicates)
    if noise is not None:
        for runs in range(max(2, have), MOST_RUNS + 1):
            half = math.hypot(t95(2 * (runs - 1)) * noise.deviation * math.sqrt(2 / runs), examples)
            if gap > half and runs > min(found.replicates):
                return Reach(runs=runs)
    elif gap >= HALF_SEEN * examples > 0 or gap > 0 == examples:
        return Reach(runs=2, is_first=True)
    if gap and examples >= gap:
        needed = math.ceil(count * (examples / gap) ** 2)
        if needed <= MOST_EXAMPLES * count:
            return Reach(examples=needed)
    return Reach()


def is_decided(found: Comparison, interval: Interval) -> bool:
    """Whether replicates of both tell the two apart, or no replicate can be had: the base."""
    return not found.a or (found.has_spread and interval.excludes_zero)


def example_noise(interval: Interval, replicates: tuple[int, int], noise: Noise | None) -> float:
    """The part of an interval's half width that is the examples' own, taken from the whole."""
    if noise is None or min(replicates) < 2:
        return interval.half_width
    runs, others = replicates
    between = noise.deviation * math.sqrt(1 / runs + 1 / others)
    between *= t95(runs + others - 2)
    return math.sqrt(max(0.0, interval.half_width**2 - between**2))
