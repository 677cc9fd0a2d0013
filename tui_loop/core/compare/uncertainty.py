"""The uncertainty of scores and losses, and how many runs would decide between configs.

These intervals cover sampling of examples only, not other seeds.

k runs of each config can show a gap that exceeds the half width of the interval from
`stats.spread_interval`: Student's t over the runs and the noise of the examples in quadrature. The
spread of runs comes from the configs of the loop with several seeds. If the gap is within the noise
of the examples, more runs cannot decide it; more examples can.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec

from tui_loop.core.clusters import clusters_at, sums_by_cluster
from tui_loop.core.compare.best import Spread
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.examples.history import Outcomes
from tui_loop.core.examples.table import PASSED, UNSCORED
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import Interval, mean_half, share_interval, t95, wilson


def passed_interval(iteration: Iteration, outcomes: Outcomes | None) -> Interval | None:
    """Returns the score with its Wilson interval, where it is the share of passed examples.

    Where examples are not independent, the interval is over their groups (`core.clusters`).
    """
    score, passed, total = (
        number(iteration.metrics.get(name)) for name in ("score", "passed", "total")
    )
    if score is None or passed is None or not total or not 0 <= passed <= total < math.inf:
        return None
    if not math.isclose(score, passed / total, abs_tol=1e-9):
        return None
    low, high = passed_bounds(int(passed), int(total), outcomes)
    return Interval(score, low, high)


def passed_bounds(passed: int, total: int, outcomes: Outcomes | None) -> tuple[float, float]:
    """Returns the 95% interval of the share of passed examples, over groups if there are any."""
    if outcomes is None or outcomes.clusters is None:
        return wilson(passed, total)
    scored = [row for row, outcome in enumerate(outcomes.passed) if outcome != UNSCORED]
    marks = [float(outcomes.passed[row] == PASSED) for row in scored]
    return share_interval(marks, clusters_at(outcomes.clusters, scored))


def units_of(outcomes: Outcomes | None) -> str:
    """Returns what intervals are over: `examples`, `conversations` or `distinct inputs`."""
    return "examples" if outcomes is None or outcomes.clusters is None else f"{outcomes.unit}s"


def score_interval(iteration: Iteration, outcomes: Outcomes | None) -> Interval | None:
    """Returns the score with its 95% interval, None without a score.

    Wilson's where the score is a share, else Student's over the examples' scores, within [0, 1].
    Where examples are not independent, both are over their groups.
    """
    share = passed_interval(iteration, outcomes)
    score = _finite(iteration, "score")
    if share is not None or score is None:
        return share
    half = _score_half(outcomes) if outcomes is not None else None
    if half is None:
        return Interval(score, score, score)
    return Interval(score, max(0.0, score - half), min(1.0, score + half))


def loss_interval(iteration: Iteration, outcomes: Outcomes | None) -> Interval | None:
    """Returns the eval loss (nats per token) with its 95% interval, None without a finite one.

    It is a ratio, loss of all examples by tokens of all examples: the interval is that of a ratio
    estimator, linearised (Cochran, "Sampling Techniques", 1977, section 6.4), Student's t. The
    sampled units are examples, or groups of those that are not independent.
    """
    loss = _finite(iteration, "eval_loss")
    if loss is None:
        return None
    half = _ratio_half(loss, outcomes) if outcomes is not None else None
    return Interval(loss, loss, loss) if half is None else Interval(loss, loss - half, loss + half)


def _finite(iteration: Iteration, name: str) -> float | None:
    value = number(iteration.metrics.get(name))
    return value if value is not None and math.isfinite(value) else None


def _score_half(outcomes: Outcomes) -> float | None:
    """Returns half the interval of the mean score, None where scores are missing or too few."""
    if not all(map(math.isfinite, outcomes.scores)):
        return None
    return mean_half(outcomes.scores, outcomes.clusters)


def _ratio_half(loss: float, outcomes: Outcomes) -> float | None:
    count, tokens = len(outcomes.losses), sum(outcomes.supervised_tokens)
    if count < 2 or tokens <= 0 or not all(map(math.isfinite, outcomes.losses)):
        return None
    residuals: Iterable[float] = (
        size * (each - loss)
        for size, each in zip(outcomes.supervised_tokens, outcomes.losses, strict=True)
    )
    if outcomes.clusters is not None:
        residuals, _ = sums_by_cluster(residuals, outcomes.clusters)
        count = len(residuals)
        if count < 2:
            return None
    squares = math.fsum(residual * residual for residual in residuals)
    half = t95(count - 1) * math.sqrt(squares * count / (count - 1)) / tokens
    return half if math.isfinite(half) else None


MAX_RUNS = 6
"""The most runs of a config to suggest; a gap that needs more is small compared with the noise."""

FIRST_REPEAT_GAP = 0.5
"""While training noise is unknown, a gap of this part of the half width is worth a first repeat,
since the mean of more runs may exceed it."""

MAX_EXAMPLES_FACTOR = 20
"""A gap that needs this many times more examples is too small to matter."""


class Noise(msgspec.Struct, frozen=True):
    """The pooled standard deviation of a metric over runs of one config."""

    deviation: float
    freedom: int


class Reach(msgspec.Struct, frozen=True):
    """What would decide a comparison: `runs` of each config, a number of `examples`, or neither.

    `is_first`: training noise is still unknown, so the runs may not decide.
    """

    runs: int | None = None
    examples: int | None = None
    is_first: bool = False


def noise_of(spreads: Sequence[Spread | None]) -> Noise | None:
    """Returns the training noise of a metric, pooled over configs; None without replicates."""
    known = [(each.runs - 1, each.deviation) for each in spreads if each and each.deviation]
    freedom = sum(runs for runs, _ in known)
    if not freedom:
        return None
    pooled = sum(runs * deviation**2 for runs, deviation in known) / freedom
    return Noise(math.sqrt(pooled), freedom)


def reach_of(found: Comparison, noise: Noise | None) -> Reach | None:
    """Returns what would decide a comparison by score, else by loss; None where nothing is open."""
    interval = found.change
    count = found.loss_examples if found.is_by_loss else found.compared
    if interval is None or not count or is_decided(found, interval):
        return None
    gap = abs(interval.delta)
    examples = example_noise(interval, found.replicates, noise)
    have = max(found.replicates)
    if noise is not None:
        for runs in range(max(2, have), MAX_RUNS + 1):
            half = math.hypot(t95(2 * (runs - 1)) * noise.deviation * math.sqrt(2 / runs), examples)
            if gap > half and runs > min(found.replicates):
                return Reach(runs=runs)
    elif gap >= FIRST_REPEAT_GAP * examples > 0 or gap > 0 == examples:
        return Reach(runs=2, is_first=True)
    if gap and examples >= gap:
        needed = math.ceil(count * (examples / gap) ** 2)
        if needed <= MAX_EXAMPLES_FACTOR * count:
            return Reach(examples=needed)
    return Reach()


def is_decided(found: Comparison, interval: Interval) -> bool:
    """Returns whether replicates separate the two, or there can be none, as with the base."""
    return not found.a or (found.has_spread and interval.excludes_zero)


def example_noise(interval: Interval, replicates: tuple[int, int], noise: Noise | None) -> float:
    """Returns the part of an interval's half width that comes from sampling examples."""
    if noise is None or min(replicates) < 2:
        return interval.half_width
    runs, others = replicates
    between = noise.deviation * math.sqrt(1 / runs + 1 / others)
    between *= t95(runs + others - 2)
    return math.sqrt(max(0.0, interval.half_width**2 - between**2))
