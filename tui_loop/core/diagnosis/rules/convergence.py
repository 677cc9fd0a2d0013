"""Whether the run went on for long enough, or for longer than anything came of it.

underfitting  the eval loss was still falling when the run ended; where it was evaluated only once,
              the training loss; or it had so few steps that nothing could be learned.
plateau       the eval loss did not move in the second half of the run.

Evaluations within the run are compared example by example, so that a fall is told from chance.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.diagnosis.case import Case, metric_of
from tui_loop.core.diagnosis.curves import level, trend_of
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.generalisation import (
    BY_HEART,
    LEAST_CHANGE,
    MOST_LEFT,
    WIDE,
    turn_of,
)
from tui_loop.core.diagnosis.rules.rates import learning_rate_too_high, learning_rate_too_low
from tui_loop.core.diagnosis.rules.training import FEWEST_LOGS, SURE, has_diverged
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

FEWEST_STEPS = 10
"""With fewer optimizer steps no curve has a shape."""


def underfitting(case: Case) -> Iterator[Finding]:
    if _is_broken(case) or _is_off_pace(case):
        return
    evals, train = case.eval_curve, case.train_curve
    late = trend_of(train.part(0.5, 1))
    eval_loss, base = case.metric("eval_loss"), metric_of(case.base, "eval_loss")
    if 0 < case.run.step < FEWEST_STEPS:
        if eval_loss is not None and base is not None and eval_loss > MOST_LEFT * base:
            yield Finding(
                FindingKind.UNDERFITTING,
                "warning",
                f"it ended after {counted(case.run.step, 'step')}, with an eval loss of "
                f"{figures.loss(eval_loss)} where the untouched base has {figures.loss(base)}: "
                "nothing can be learned in so few",
                {"steps": case.run.step, "eval_loss": eval_loss, "base_eval_loss": base},
            )
        return
    if len(evals) >= 2:
        before, last = evals.steps[-2], evals.steps[-1]
        change = case.step_change(before, last)
        if change is None or change.delta + SURE * change.half_width >= 0:
            return
        if -change.delta < LEAST_CHANGE * evals.values[-2]:
            return
        yield Finding(
            FindingKind.UNDERFITTING,
            "warning",
            f"it ended too early: between steps {before} and {last} the eval loss still fell from "
            f"{figures.loss(evals.values[-2])} to {figures.loss(evals.values[-1])} "
            f"({figures.loss_change(change)} a token)",
            {"before": evals.values[-2], "eval_loss": evals.values[-1], "step": last},
            steps=(before, last),
            otherwise="a schedule that decays to 0 slows the end down, so the true loss left may "
            "be larger than the curve shows",
        )
    elif late is not None and eval_loss is not None and late.is_falling and late.end > 0:
        falls = -late.change > 2 * LEAST_CHANGE * late.start
        if falls and eval_loss < WIDE * max(late.end, BY_HEART):
            yield Finding(
                FindingKind.UNDERFITTING,
                "warning",
                f"it ended too early: the training loss still fell from {figures.loss(late.start)} "
                f"to {figures.loss(late.end)} in the second half, and held-out rows are no harder "
                f"({figures.loss(eval_loss)})",
                {"before": late.start, "train_loss": late.end, "eval_loss": eval_loss},
                steps=(train.steps[len(train) // 2], train.steps[-1]),
            )


def plateau(case: Case) -> Iterator[Finding]:
    if _is_broken(case) or _is_off_pace(case) or turn_of(case) is not None:
        return
    train, evals = case.train_curve.part(0.5, 1), case.eval_curve
    late = trend_of(train)
    if late is None or len(train) < FEWEST_LOGS or len(evals) < 2:
        return
    middle = next((s for s in evals.steps if s >= train.steps[0]), evals.steps[-1])
    if middle == evals.steps[-1]:
        middle = evals.steps[-2]
    change = case.step_change(middle, evals.steps[-1])
    moved = change is None or (change.excludes_zero and abs(change.delta) > _worth(evals.values))
    if moved or level(train.values) < BY_HEART:
        return
    falls = -late.change > max(2 * late.error, 2 * LEAST_CHANGE * late.start)
    held = figures.loss(evals.values[-1])
    seen = f"the eval loss has stood at about {held} since step {middle}"
    if falls:
        told = (
            f"{seen}, while the training loss still fell ({figures.loss(late.start)} → "
            f"{figures.loss(late.end)}): more passes over these rows will not help, more rows or "
            "more regularisation may"
        )
    else:
        told = (
            f"{seen}, and the training loss at {figures.loss(level(train.values))}: the run has "
            "converged, so look at what fails rather than train longer"
        )
    yield Finding(
        FindingKind.PLATEAU,
        "note",
        told,
        {
            "train_loss": level(train.values),
            "eval_loss": evals.values[-1],
            "from_step": middle,
            "train_falls": int(falls),
        },
        steps=(middle, evals.steps[-1]),
        otherwise="a schedule that has decayed to nearly 0 stops a run that could learn more",
    )


def _worth(values: tuple[float, ...]) -> float:
    return LEAST_CHANGE * min(values)


def _is_off_pace(case: Case) -> bool:
    """Whether the learning rate explains the shape of the curves."""
    rules = learning_rate_too_high, learning_rate_too_low
    return any(True for rule in rules for _ in rule(case))


def _is_broken(case: Case) -> bool:
    return case.number == 0 or has_diverged(case)


RULES = (underfitting, plateau)
