"""Findings on the learning rate and on the length of a run.

learning_rate_too_high  the run diverged at a rate above the usual advice; or a better parent
                        differs only in a lower rate; or the gradient norm rose sharply and the
                        loss stopped falling far above zero.
learning_rate_too_low   a better parent differs only in a higher rate; or most of the loss remains
                        although there was a gradient, and the last steps did as much for their
                        rate as the first ones: nothing has converged.

underfitting  the eval loss was still falling when the run ended (the training loss, where the run
              was evaluated only once); or the run had too few steps to learn anything.
plateau       the eval loss did not move in the second half of the run.

Evaluations during training are compared example by example, so that chance does not explain a fall.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from itertools import pairwise
from statistics import fmean, median

from tui_loop.core.compare.claims import runs_text
from tui_loop.core.config.schema import SEED
from tui_loop.core.diagnosis.facts import (
    Curve,
    IterationFacts,
    curve_of,
    level,
    metric_of,
    trend_of,
)
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import (
    LEFT_STANDING,
    LOW_SCORE,
    MUCH_LEFT,
    has_much_left,
)
from tui_loop.core.diagnosis.rules.generalization import (
    BY_HEART,
    LEAST_CHANGE,
    WIDE,
    turn_of,
)
from tui_loop.core.diagnosis.rules.run_health import (
    FEWEST_LOGS,
    JUMP_NATS,
    SURE,
    has_diverged,
    known_figures,
    rate_of,
    unmoved,
)
from tui_loop.core.diagnosis.rules.step_size import held_back
from tui_loop.core.divergence import usual_rate
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

ADVISED = {is_lora: usual_rate(with_adapter=is_lora) for is_lora in (True, False)}
"""The usual advice on learning rates, by whether there is an adapter."""

SHOT_UP = 10.0
"""The largest gradient norm as a multiple of the usual one. In healthy runs it is 2 to 6, also
where the first steps are the steepest."""

OUTWEIGHS = 1.5
"""Adapters of sound runs are a few percent as large as the weights, on tiny models a third."""

STOOD = 0.9
"""The least share of the loss of the first third that is left where the rest taught nothing."""

REBOUND = 2.0
"""How many times as high as before the training loss becomes where a step went too far."""

ABOVE_FIRST, ROSE = 4.0, 1.25
"""The largest gradient as a multiple of the first one, and the largest training loss as one of the
first: a sound run starts at its steepest and highest."""

STEADY = 0.5
"""The least share of its first pace that a run must have kept for larger steps to be what it
lacks."""

ENOUGH = 5
"""A multiple of the advised rate. Above it, a slow run lacks something else."""

NOTHING = 0.1
HARDLY = 0.25
"""A run that removed less than this share of the loss has hardly begun. The limit is NOTHING where
no evaluations show the pace of the run."""


def learning_rate_too_high(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a rate at which the run diverged, did worse than its parent, or stopped learning."""
    rate = rate_of(facts)
    if rate is None or facts.config is None:
        return
    advised = ADVISED[facts.config.lora.enabled]
    if has_diverged(facts):
        if rate > advised:
            yield Finding(
                FindingKind.LEARNING_RATE_TOO_HIGH,
                "alarm",
                f"the learning rate of {figures.rate(rate)} is {rate / advised:,.0f} times the "
                f"usual one ({figures.rate(advised)}), and the run diverged",
                known_figures(learning_rate=rate, advised=advised),
            )
        return
    better = _parent_did_better(facts, rate, lower=True)
    if better is not None:
        yield better
        return
    curve = facts.train_curve
    if len(curve) < 2 * FEWEST_LOGS:
        return
    gradients = facts.grad_curve
    highest, peak = max(zip(gradients.values, gradients.steps, strict=True), default=(0.0, 0))
    shot = highest / (level(gradients.part(1 / 3, 1).values) or 1.0)
    first = gradients.values[0] if len(gradients) else highest
    top, at = max(zip(curve.values[1:], curve.steps[1:], strict=True))
    rebound = rebound_of(curve)
    has_risen = top > ROSE * curve.values[0] or rebound is not None
    end, middle = level(curve.part(0.8, 1).values), level(curve.part(0.3, 0.6).values)
    early = level(curve.part(0.1, 0.3).values)
    # Where much is learned at once, usual gradients are small beside the first ones.
    has_shot = shot > SHOT_UP and (highest > ABOVE_FIRST * first or end > STOOD * early)
    is_stuck = end > LEFT_STANDING and end > 0.7 * middle
    # The form of the answers may be most of the loss: both signs and wrong answers are enough.
    score = facts.metric("score")
    has_failed = has_shot and rebound is not None and score is not None and score < LOW_SCORE
    size = adapter_size(facts)
    if size is not None and size > OUTWEIGHS and has_much_left(facts):
        yield Finding(
            FindingKind.LEARNING_RATE_TOO_HIGH,
            "warning",
            f"at a learning rate of {figures.rate(rate)} the adapter became {size:.3g} times as "
            "large as the weights that it changes, and the training loss ended at about "
            f"{figures.loss(end)}: the updates were so large that they destroyed what the base "
            "model had learned",
            known_figures(learning_rate=rate, adapter_size=size, train_loss=end),
            otherwise="a large lora_alpha has the same effect",
        )
    elif (
        rate > advised
        and (has_shot or has_risen)
        and (is_stuck or has_failed or has_much_left(facts))
    ):
        low = curve.values[0]
        if top <= ROSE * low and rebound is not None:
            low, top, at = rebound
        seen = (
            f"the training loss rose from {figures.loss(low)} to {figures.loss(top)} at step {at}"
            if has_risen
            else f"the gradient norm jumped to {highest:.3g} at step {peak} ({shot:.0f} times the "
            "usual norm)"
        )
        yield Finding(
            FindingKind.LEARNING_RATE_TOO_HIGH,
            "warning",
            f"at a learning rate of {figures.rate(rate)} {seen}, and the training loss ended at "
            f"about {figures.loss(end)}: the updates were so large that they destroyed what the "
            "model had learned",
            known_figures(learning_rate=rate, largest_gradient=highest, train_loss=end, ratio=shot),
            steps=(at if has_risen else peak,),
            otherwise="an adapter that is too small also stops learning, but without such a jump",
        )


def rebound_of(curve: Curve) -> tuple[float, float, int] | None:
    """Returns (lowest loss so far, loss, step) of the largest rise in the first half of a run.

    None unless the loss became REBOUND times as high as it had been, and JUMP_NATS higher.
    """
    best: tuple[float, float, int] | None = None
    lowest = curve.values[0]
    first_half = curve.part(0, 0.5)
    for step, value in zip(first_half.steps, first_half.values, strict=True):
        rise = value - lowest
        has_jumped = value > max(REBOUND * lowest, lowest + JUMP_NATS)
        if has_jumped and (best is None or rise > best[1] - best[0]):
            best = lowest, value, step
        lowest = min(lowest, value)
    return best


def adapter_size(facts: IterationFacts) -> float | None:
    """Returns the size of the adapter relative to the weights that it changes, None if unknown.

    It is the median over the kinds of layers of their median (`audit.json`).
    """
    weights = facts.recorded.weights if facts.recorded is not None else None
    sizes = [each.median for each in weights.moved] if weights is not None else []
    return median(sizes) if sizes else None


def learning_rate_too_low(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a rate at which the run did worse than its parent, or had hardly begun at its end."""
    rate, curve = rate_of(facts), facts.train_curve
    if rate is None or len(curve) < FEWEST_LOGS or has_diverged(facts) or unmoved(facts):
        return
    better = _parent_did_better(facts, rate, lower=False)
    if better is not None:
        yield better
        return
    if any(True for _ in held_back(facts)):
        return  # a setting takes the size of the steps, at any rate
    start, end = fmean(curve.part(0, 0.1).values), fmean(curve.part(0.9, 1).values)
    base, eval_loss = metric_of(facts.base, "eval_loss"), facts.metric("eval_loss")
    what = "training loss"
    if base is not None and eval_loss is not None:  # the same rows each time: no noise of batches
        what, start, end = "eval loss", base, eval_loss
    highest = max(curve_of(facts.run.metrics, "learning_rate").values, default=rate)
    is_lora = facts.config is None or facts.config.lora.enabled
    if highest > ENOUGH * ADVISED[is_lora]:
        return  # something other than a low rate holds the run back
    gradient, pace = level(facts.grad_curve.values), pace_kept(facts)
    if end < LEFT_STANDING or not gradient > 0:
        return
    taken = (start - end) / start
    if pace is not None:
        is_steady, remark = pace >= STEADY, ", without slowing down"
    else:  # only the rate itself distinguishes it from a run that had little to gain
        is_steady, remark = rate < ADVISED[is_lora] and taken < NOTHING, ""
    if not -0.05 < taken < HARDLY or not is_steady:
        return
    steps = facts.run.step
    yield Finding(
        FindingKind.LEARNING_RATE_TOO_LOW,
        "warning",
        f"at a learning rate of {figures.rate(rate)} the {what} only went from "
        f"{figures.loss(start)} to {figures.loss(end)} in {steps} steps (by {100 * taken:.1f}%)"
        f"{remark}. The gradient was not 0 (norm {gradient:.2g}), so the steps are too small",
        known_figures(learning_rate=rate, first=start, last=end, taken=taken, gradient=gradient),
        steps=(curve.steps[0], curve.steps[-1]),
        otherwise="a run that is too short looks the same; a higher rate is cheaper to try than "
        "more steps",
    )


def pace_kept(facts: IterationFacts) -> float | None:
    """Returns how fast the loss fell in the last stretch of the run, relative to the first stretch.

    A stretch is the time between two evaluations. Its fall is divided by the sum of the learning
    rates of its steps. The result is about 1 where every step did as much as the first ones, and
    near 0 where the run had converged. None with fewer than three evaluations, the base's
    included: between batches, the training loss varies by more than it falls.

    A loss that has hardly begun to fall is a straight slope: its fall is proportional to the rate
    times the steps.
    """
    spent = _rate_spent(facts)
    base = metric_of(facts.base, "eval_loss")
    points = list(zip(facts.eval_curve.steps, facts.eval_curve.values, strict=True))
    if base is not None:
        points.insert(0, (0, base))
    paces = [
        (before - after) / (spent(end) - spent(start))
        for (start, before), (end, after) in pairwise(points)
        if spent(end) > spent(start)
    ]
    if len(paces) < 2 or paces[0] == 0:
        return None
    if abs(points[-1][1] - points[0][1]) < 1e-3 * abs(points[0][1]):
        return 1.0  # nothing moved at all
    return paces[-1] / paces[0]


def _rate_spent(facts: IterationFacts) -> Callable[[int], float]:
    """Returns a function from a step to the sum of the learning rates of all steps up to it.

    Where no rates were logged, they count as constant.
    """
    rates = curve_of(facts.run.metrics, "learning_rate")
    sums, total, last = [0.0], 0.0, 0
    for step, value in zip(rates.steps, rates.values, strict=True):
        total += (step - last) * value
        sums.append(total)
        last = step
    steps = [0, *rates.steps]

    def spent(step: int) -> float:
        return sums[bisect_right(steps, step) - 1] if len(rates) else float(step)

    return spent


def _parent_did_better(facts: IterationFacts, rate: float, *, lower: bool) -> Finding | None:
    """Returns the finding on a better parent that differs only in a lower (or higher) rate."""
    against, parent = facts.against_parent, facts.parent
    if against is None or parent is None or parent.number == 0 or "worse" not in against.claim:
        return None
    changed = set(against.config) - {SEED}
    before, _ = against.config.get("training.learning_rate", (None, None))
    if changed != {"training.learning_rate"} or not isinstance(before, float):
        return None
    if before == rate or (before < rate) is not lower:
        return None
    word = "raised" if lower else "lowered"
    return Finding(
        FindingKind.LEARNING_RATE_TOO_HIGH if lower else FindingKind.LEARNING_RATE_TOO_LOW,
        "warning",
        f"only the learning rate was {word} ({figures.rate(before)} → {figures.rate(rate)}), and "
        f"the result is worse than that of iteration {parent.number}: {against.change_words} "
        f"({against.claim})",
        known_figures(learning_rate=rate, before=before),
        iterations=(parent.number,),
        otherwise=""
        if against.has_spread
        else f"the comparison rests on {runs_text(against)}; replicates would decide",
    )


STEPS_WANTED = 30
"""Fewer optimizer steps teach little, whatever the settings are."""

FEWEST_STEPS = 10
"""With fewer optimizer steps, no curve has a shape."""


def underfitting(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a run that ended while its loss still fell, or after too few steps."""
    if _is_broken(facts) or _is_off_pace(facts):
        return
    evals, train = facts.eval_curve, facts.train_curve
    late = trend_of(train.part(0.5, 1))
    eval_loss, base = facts.metric("eval_loss"), metric_of(facts.base, "eval_loss")
    is_short = 0 < facts.run.step < STEPS_WANTED and has_much_left(facts)
    if is_short or 0 < facts.run.step < FEWEST_STEPS:
        if is_short and eval_loss is not None:
            than = f" (base model: {figures.loss(base)})" if base else ""
            yield Finding(
                FindingKind.UNDERFITTING,
                "warning",
                f"the run ended after {counted(facts.run.step, 'step')}, which is too few to learn "
                f"much: the eval loss is {figures.loss(eval_loss)}{than}",
                known_figures(steps=facts.run.step, eval_loss=eval_loss, base_eval_loss=base),
            )
        return
    if len(evals) >= 2:
        before, last = evals.steps[-2], evals.steps[-1]
        change = facts.step_change(before, last)
        if change is None or change.delta + SURE * change.half_width >= 0:
            return
        if -change.delta < LEAST_CHANGE * evals.values[-2]:
            return
        yield Finding(
            FindingKind.UNDERFITTING,
            "warning" if has_much_left(facts) else "note",
            f"the run ended too early: the eval loss still fell from "
            f"{figures.loss(evals.values[-2])} to {figures.loss(evals.values[-1])} nats per token "
            f"between steps {before} and {last} (mean over examples: "
            f"{figures.loss_change(change)})",
            {"before": evals.values[-2], "eval_loss": evals.values[-1], "step": last},
            steps=(before, last),
            otherwise="where the learning rate decays to 0, the loss falls more slowly at the end; "
            "a longer run may gain more than the curve suggests",
        )
    elif late is not None and eval_loss is not None and late.is_falling and late.end > 0:
        falls = -late.change > 2 * LEAST_CHANGE * late.start
        if falls and eval_loss < WIDE * max(late.end, BY_HEART):
            yield Finding(
                FindingKind.UNDERFITTING,
                "warning" if has_much_left(facts) else "note",
                "the run ended too early: the training loss still fell from "
                f"{figures.loss(late.start)} to {figures.loss(late.end)} in the second half, and "
                f"the eval loss ({figures.loss(eval_loss)}) shows no overfitting",
                {"before": late.start, "train_loss": late.end, "eval_loss": eval_loss},
                steps=(train.steps[len(train) // 2], train.steps[-1]),
            )


def loss_plateau(facts: IterationFacts) -> Iterator[Finding]:
    """Reports an eval loss that did not move in the second half of the run."""
    if _is_broken(facts) or _is_off_pace(facts) or turn_of(facts) is not None:
        return
    train, evals = facts.train_curve.part(0.5, 1), facts.eval_curve
    late = trend_of(train)
    if late is None or len(train) < FEWEST_LOGS or len(evals) < 2:
        return
    middle = next((s for s in evals.steps if s >= train.steps[0]), evals.steps[-1])
    if middle == evals.steps[-1]:  # a change needs two evaluations: take the one before
        middle = evals.steps[-2]
    change = facts.step_change(middle, evals.steps[-1])
    moved = change is None or (change.excludes_zero and abs(change.delta) > _worth(evals.values))
    if moved or level(train.values) < BY_HEART:
        return
    falls = -late.change > max(2 * late.error, 2 * LEAST_CHANGE * late.start)
    base = metric_of(facts.base, "eval_loss")
    left = evals.values[-1] / base if base else 0.0
    held = figures.loss(evals.values[-1])
    seen = f"the eval loss has been about {held} since step {middle}"
    if falls:
        text = (
            f"{seen}, while the training loss still fell ({figures.loss(late.start)} → "
            f"{figures.loss(late.end)}). More epochs on these rows will not help; more rows or "
            "more regularization may"
        )
    elif left > MUCH_LEFT:
        text = (
            f"{seen}, still {100 * left:.0f}% of the base model's, and the training loss is about "
            f"{figures.loss(level(train.values))}. Something other than the number of steps keeps "
            "the run from learning more"
        )
    else:
        text = (
            f"{seen}, and the training loss is about {figures.loss(level(train.values))}. The run "
            "has converged, so read the failures instead of training longer"
        )
    yield Finding(
        FindingKind.PLATEAU,
        "note",
        text,
        {
            "train_loss": level(train.values),
            "eval_loss": evals.values[-1],
            "from_step": middle,
            "train_falls": int(falls),
        },
        steps=(middle, evals.steps[-1]),
        otherwise="a learning rate that has decayed to nearly 0 has the same effect",
    )


def _worth(values: tuple[float, ...]) -> float:
    """Returns the least change of the eval loss that counts, in nats per token."""
    return LEAST_CHANGE * min(values)


def _is_off_pace(facts: IterationFacts) -> bool:
    """Returns whether the size of the steps explains the shape of the curves."""
    rules = learning_rate_too_high, held_back, learning_rate_too_low
    return any(True for rule in rules for _ in rule(facts))


def _is_broken(facts: IterationFacts) -> bool:
    return facts.number == 0 or has_diverged(facts)
