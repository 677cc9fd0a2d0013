"""How far a score and an eval loss could be off because other examples might have been held out.

These intervals see the examples only: what another seed would have given is not in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.examples.history import Outcomes
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import Interval, sample_variance, t95, wilson


def share_interval(iteration: Iteration) -> Interval | None:
    """The score with the Wilson interval of its share, where the score is a share of passed."""
    score, passed, total = (
        number(iteration.metrics.get(name)) for name in ("score", "passed", "total")
    )
    if score is None or passed is None or not total or not 0 <= passed <= total < math.inf:
        return None
    if not math.isclose(score, passed / total, abs_tol=1e-9):
        return None
    low, high = wilson(int(passed), int(total))
    return Interval(score, low, high)


def score_interval(iteration: Iteration, outcomes: Outcomes | None) -> Interval | None:
    """The score with its 95% interval; None without a score, alone where nothing tells its noise.

    Wilson's where the score is a share, else Student's over the examples' scores, within [0, 1].
    """
    share = share_interval(iteration)
    score = _finite(iteration, "score")
    if share is not None or score is None:
        return share
    half = _mean_half(outcomes.scores if outcomes is not None else ())
    if half is None:
        return Interval(score, score, score)
    return Interval(score, max(0.0, score - half), min(1.0, score + half))


def loss_interval(iteration: Iteration, outcomes: Outcomes | None) -> Interval | None:
    """The eval loss (nats a token) with its 95% interval; None without a finite one.

    It is a ratio, loss of all examples by tokens of all examples: the interval is that of a ratio
    estimator, linearised (Cochran, "Sampling Techniques", 1977, section 6.4), Student's t.
    """
    loss = _finite(iteration, "eval_loss")
    if loss is None:
        return None
    half = _ratio_half(loss, outcomes) if outcomes is not None else None
    return Interval(loss, loss, loss) if half is None else Interval(loss, loss - half, loss + half)


def _finite(iteration: Iteration, name: str) -> float | None:
    value = number(iteration.metrics.get(name))
    return value if value is not None and math.isfinite(value) else None


def _mean_half(values: Sequence[float]) -> float | None:
    """Half the interval of a mean; None where values lack or are too few."""
    count = len(values)
    if count < 2 or not all(map(math.isfinite, values)):
        return None
    return t95(count - 1) * math.sqrt(sample_variance(values) / count)


def _ratio_half(loss: float, outcomes: Outcomes) -> float | None:
    count, tokens = len(outcomes.losses), sum(outcomes.supervised_tokens)
    if count < 2 or tokens <= 0 or not all(map(math.isfinite, outcomes.losses)):
        return None
    residuals = (
        size * (each - loss)
        for size, each in zip(outcomes.supervised_tokens, outcomes.losses, strict=True)
    )
    squares = math.fsum(residual * residual for residual in residuals)
    half = t95(count - 1) * math.sqrt(squares * count / (count - 1)) / tokens
    return half if math.isfinite(half) else None
