"""Whether the holdout bears out what the eval set said, within the noise of both."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import fmean

import msgspec

from tui_loop.core.readiness.holdout import Figures, Look
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import Z95, Interval, newcombe, sample_variance
from tui_loop.core.text.figures import loss, loss_change, percent


class Agreement(msgspec.Struct, frozen=True):
    """Holdout minus eval, in scores, or in losses under metric none; None where not known."""

    difference: Interval | None
    agrees: bool | None
    sentence: str


def agreement_of(look: Look) -> Agreement:
    """Whether a look agrees with the eval set: no worse on the holdout than noise can explain."""
    ours, theirs = look.figures, look.eval
    if ours.score is not None and theirs.score is not None:
        told = f"{percent(theirs.score)} on eval, {percent(ours.score)} on the holdout"
        difference = score_difference(theirs, ours)
        change = ""
        if difference is not None:  # of the figures as they are shown: a reader subtracts them
            between = round(100 * ours.score) - round(100 * theirs.score)
            change = f"{between:+d} ±{100 * difference.half_width:.0f}"
        return _judged(difference, told, change, wants_more=True)
    before, after = number(theirs.loss), number(ours.loss)
    told = f"loss {loss(before) or 'unknown'} on eval, {loss(after) or 'unknown'} on the holdout"
    difference = loss_difference(theirs, ours)
    return _judged(difference, told, loss_change(difference), wants_more=False)


def score_difference(one: Figures, other: Figures) -> Interval | None:
    """Score of `other` minus that of `one`, of different examples, with its 95% interval.

    Newcombe's for scores that are 0 or 1, else the normal one; None where it cannot be told.
    """
    if one.score is None or other.score is None:
        return None
    if _counts(one) and _counts(other):
        return newcombe(one.passed or 0, one.total or 0, other.passed or 0, other.total or 0)
    return _normal(other.score - one.score, one.score_error, other.score_error)


def loss_difference(one: Figures, other: Figures) -> Interval | None:
    """Loss of `other` minus that of `one`, of different examples; None where it is not known."""
    before, after = number(one.loss), number(other.loss)
    if before is None or after is None or not math.isfinite(after - before):
        return None
    return _normal(after - before, one.loss_error, other.loss_error)


def figures_of(
    examples: Sequence[Example], score: float | None, passed: int | None, eval_loss: object
) -> Figures:
    """What an evaluation came to, with the standard errors that its examples give."""
    scores = [each.score for each in examples if each.score is not None]
    return Figures(
        score,
        passed,
        len(examples),
        eval_loss if isinstance(eval_loss, (int, float, str)) else None,
        mean_error(scores),
        ratio_error((number(each.loss), each.supervised_tokens) for each in examples),
    )


def mean_error(values: Sequence[float]) -> float | None:
    """The standard error of a mean; None of fewer than two values."""
    return math.sqrt(sample_variance(values) / len(values)) if len(values) > 1 else None


def ratio_error(rows: Iterable[tuple[float | None, int]]) -> float | None:
    """The standard error of a loss a token, from (loss, tokens) a row (ratio estimator).

    Rows are the sampled units, not tokens: those of one row go together. None where it cannot be.
    """
    known = [(value, count) for value, count in rows if value is not None and count > 0]
    if len(known) < 2 or not all(math.isfinite(value) for value, _ in known):
        return None
    tokens = fmean(count for _, count in known)
    mean = math.fsum(value * count for value, count in known) / (tokens * len(known))
    spread = sample_variance([(value - mean) * count for value, count in known])
    return math.sqrt(spread / len(known)) / tokens


def _judged(difference: Interval | None, told: str, change: str, *, wants_more: bool) -> Agreement:
    if difference is None:
        return Agreement(None, None, f"{told}: their noise is not known")
    worse = difference.high < 0 if wants_more else difference.low > 0
    if worse:
        return Agreement(difference, False, f"the eval set flatters: {told} ({change})")
    return Agreement(difference, True, f"{told} ({change}): within the noise")


def _counts(figures: Figures) -> bool:
    """Whether the score is the share of examples passed, so that counts say it all."""
    if figures.passed is None or not figures.total or figures.score is None:
        return False
    return math.isclose(figures.score, figures.passed / figures.total, abs_tol=1e-9)


def _normal(delta: float, one: float | None, other: float | None) -> Interval | None:
    if one is None or other is None:
        return None
    half = Z95 * math.hypot(one, other)
    return Interval(delta, delta - half, delta + half)
