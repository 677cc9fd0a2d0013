"""Findings on the training itself: failed, diverged, trained nothing, unsteady.

failed           the run ended with an error that no other finding reports.
diverged         the run recorded a divergence, or its final loss is far above the base's.
nothing_trained  the run recorded that loss and gradient stayed at exactly 0, the gradient was 0 in
                 nearly all logs, or every evaluation row has the base's loss.
unstable         the training loss jumped up repeatedly or rose permanently, the eval loss rose
                 while the training loss did not fall, or single logs were not finite; and the run
                 did not diverge.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tui_loop.core.diagnosis.facts import Curve, IterationFacts, level, metric_of
from tui_loop.core.diagnosis.findings import Figure, Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.divergence import is_far_above
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

FEWEST_LOGS = 8
"""The least number of training logs from which a shape is read."""

NOTHING_TRAINED = "nothing is being trained"
"""The start of the error message of such a run; `engine.run_errors` writes the same text."""

STILL = 1e-3
"""Nats per token: a single step at a rate of 1e-6 changes a row's loss by more."""

JUMP_NATS = 1.0
JUMP_FACTOR = 2.0
"""A log is a jump if it exceeds the median of the WINDOW logs before it by both of these: single
batches of a healthy run of a small model vary by half a nat per token."""

SURE = 1.2
"""The number of half widths of its 95% interval that a turn must exceed: 99%, one-sided."""

PARTS = 8
RISE_FACTOR, RISE_NATS = 1.4, 0.25
"""A loss that stays up by both of these is neither the chance of single batches nor an effect of
the schedule."""

WINDOW = 20
JUMPS = 3
"""The least number of jumps for a finding: one or two are hard batches."""


def failed(facts: IterationFacts) -> Iterator[Finding]:
    """Reports the error of a failed run, unless another finding does."""
    error = facts.iteration.error
    if error is None or facts.iteration.state != "failed":
        return
    kind, message = str(error.get("kind")), str(error.get("message", ""))
    if kind == "diverged" or NOTHING_TRAINED in message:
        return
    step = error.get("step")
    at = f" at step {step}" if isinstance(step, int) and step else ""
    what = {"oom": "ran out of memory", "disk": "ran out of disk space"}.get(kind, "failed")
    hint = str(error.get("hint", ""))
    yield Finding(
        FindingKind.FAILED,
        "alarm",
        f"the run {what}{at}: {message}" + (f"; {hint}" if hint else ""),
        {"error": kind},
        steps=(step,) if isinstance(step, int) else (),
    )


def diverged(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a divergence, or a final eval loss far above the base's."""
    error = facts.iteration.error or {}
    step = diverged_at(facts.iteration)
    rate = rate_of(facts)
    at_rate = f" at a learning rate of {figures.rate(rate)}" if rate else ""
    if error.get("kind") == "diverged":
        # The message is "diverged at step N: REASON; WHAT WAS SAVED" (engine.run_errors).
        reason = str(error.get("message", "")).partition(": ")[2].partition(";")[0]
        yield Finding(
            FindingKind.DIVERGED,
            "alarm",
            f"the run diverged at step {step}{at_rate}: {reason or 'the loss blew up'}",
            known_figures(step=step, learning_rate=rate),
            steps=() if step is None else (step,),
            otherwise="broken rows or an fp16 overflow also make a run diverge, even at a "
            "lower learning rate",
        )
        return
    eval_loss, base_loss = facts.metric("eval_loss"), metric_of(facts.base, "eval_loss")
    if eval_loss is not None and base_loss is not None and is_far_above(eval_loss, base_loss):
        yield Finding(
            FindingKind.DIVERGED,
            "alarm",
            f"the run ended with an eval loss of {figures.loss(eval_loss)}, far above the base "
            f"model's {figures.loss(base_loss)}: training{at_rate} made the model worse",
            known_figures(eval_loss=eval_loss, base_eval_loss=base_loss, learning_rate=rate),
        )


def nothing_trained(facts: IterationFacts) -> Iterator[Finding]:
    """Reports a run that trained nothing, by its error, its gradients or its losses."""
    error = facts.iteration.error or {}
    trained_nothing = error.get("kind") == "data" and NOTHING_TRAINED in str(error.get("message"))
    gradients = [*facts.grad_curve.values]
    still = sum(value == 0.0 for value in gradients)
    if trained_nothing or (len(gradients) >= FEWEST_LOGS and still > 0.9 * len(gradients)):
        parameters = facts.metric("trainable_parameters")
        reason = (
            "no parameter is trainable"
            if parameters == 0
            else "no token in the batches counts in the loss"
        )
        yield Finding(
            FindingKind.NOTHING_TRAINED,
            "alarm",
            f"nothing was trained: the gradient was exactly 0 in {still} of {len(gradients)} "
            f"logged steps, since {reason}",
            {"zero_gradients": still, "logs": len(gradients)},
            steps=facts.grad_curve.steps[:3],
            otherwise="the cause may be a max_length that cuts off every completion, or a chat "
            "template that does not mark which tokens are the answer",
        )
    elif count := unmoved(facts):
        yield Finding(
            FindingKind.NOTHING_TRAINED,
            "alarm",
            f"nothing was trained: on each of the {count} held-out rows, the loss differs from the "
            f"base model's by less than {STILL:g} nats, so the weights hardly changed",
            {"rows": count},
            otherwise="the cause may be a learning rate near 0, or gradients clipped to nearly 0",
        )


def unmoved(facts: IterationFacts) -> int:
    """Returns the number of evaluation rows where each has the base's loss within STILL, else 0."""
    own, base = facts.outcomes(facts.number), facts.outcomes(0) if facts.number else None
    if own is None or base is None or own.ids != base.ids:
        return 0
    pairs = zip(own.losses, base.losses, strict=True)
    return len(own.ids) if all(abs(one - other) < STILL for one, other in pairs) else 0


def unstable(facts: IterationFacts) -> Iterator[Finding]:
    """Reports training that was unsteady but did not diverge."""
    if has_diverged(facts):
        return
    curve = facts.train_curve
    jumps = jumps_of(curve)
    broken = sorted(set(facts.run.nonfinite_steps))
    risen, both = rise_of(curve), both_risen(facts)
    if len(jumps) < JUMPS and not broken and risen is None and both is None:
        return
    parts = []
    if both is not None:
        step, before, after = both
        parts.append(
            f"after step {step} the eval loss rose from {figures.loss(before)} to "
            f"{figures.loss(after)}, and the training loss did not fall"
        )
    if risen is not None:
        step, low, end = risen
        parts.append(
            f"after step {step} the training loss rose again, from about {figures.loss(low)} to "
            f"{figures.loss(end)}"
        )
    if len(jumps) >= JUMPS:
        highest = max(jumps, key=dict(zip(curve.steps, curve.values, strict=True)).__getitem__)
        top = dict(zip(curve.steps, curve.values, strict=True))[highest]
        parts.append(
            f"the training loss jumped up {counted(len(jumps), 'time')}, to as much as "
            f"{figures.loss(top)} at step {highest}"
        )
    if broken:
        parts.append(
            f"NaN or infinite values were logged at {counted(len(broken), 'step')}, first at step "
            f"{broken[0]}"
        )
    clipping = facts.config.training.max_grad_norm if facts.config else 1.0
    parts.append(
        f"the gradient norm, usually {level(facts.grad_curve.values):.2g}, reached "
        f"{max(facts.grad_curve.values, default=0):.3g}"
        + (", and gradients were not clipped" if not clipping else "")
    )
    yield Finding(
        FindingKind.UNSTABLE,
        "warning",
        "training was unsteady: " + "; ".join(parts),
        known_figures(
            jumps=len(jumps),
            nonfinite=len(broken),
            largest_gradient=max(facts.grad_curve.values, default=0.0),
            usual_gradient=level(facts.grad_curve.values),
        ),
        steps=tuple(sorted({*jumps, *broken}))[:20],
        otherwise="small batches of very different rows have the same effect: if these are the "
        "cause, a larger effective batch size makes training steadier",
    )


def jumps_of(curve: Curve) -> list[int]:
    """Returns the steps at which the loss is far above the logs just before."""
    found = []
    for at in range(WINDOW // 2, len(curve)):
        before = median(curve.values[max(0, at - WINDOW) : at])
        if curve.values[at] > max(before * JUMP_FACTOR, before + JUMP_NATS):
            found.append(curve.steps[at])
    return found


def rise_of(curve: Curve) -> tuple[int, float, float] | None:
    """Returns (step, level, level at the end) where the loss was lower for a while than at the end.

    A level is the median of an eighth of the run. The last two levels must both be above the
    lowest by RISE_FACTOR and RISE_NATS. None where they are not.
    """
    if len(curve) < 3 * PARTS:
        return None
    parts = [curve.part(at / PARTS, (at + 1) / PARTS) for at in range(PARTS)]
    levels = [level(part.values) for part in parts]
    lowest = min(range(PARTS - 2), key=levels.__getitem__)
    limit = max(RISE_FACTOR * levels[lowest], levels[lowest] + RISE_NATS)
    if min(levels[-2:]) <= limit:
        return None
    return parts[lowest].steps[-1], levels[lowest], levels[-1]


def both_risen(facts: IterationFacts) -> tuple[int, float, float] | None:
    """Returns (step, eval loss there, eval loss at the end) where the eval loss certainly rose.

    None where the training loss fell meanwhile: that is overfitting. Otherwise the weights got
    worse.
    """
    evals, train = facts.eval_curve, facts.train_curve
    if len(evals) < 2 or evals.lowest == len(evals) - 1:
        return None
    step = evals.steps[evals.lowest]
    before = [v for s, v in zip(train.steps, train.values, strict=True) if s <= step][-PARTS:]
    change = facts.step_change(step, evals.steps[-1])
    if not before or change is None or change.delta - SURE * change.half_width <= 0:
        return None
    if change.delta < RISE_NATS or level(train.values[-PARTS:]) < level(before):
        return None
    return step, evals.values[evals.lowest], evals.values[-1]


def has_diverged(facts: IterationFacts) -> bool:
    """Returns whether `diverged` has a finding."""
    return any(True for _ in diverged(facts))


def rate_of(facts: IterationFacts) -> float | None:
    """Returns the learning rate of the config, None for the base or without a readable config."""
    return facts.config.training.learning_rate if facts.config and facts.number else None


def known_figures(**values: float | int | None) -> dict[str, Figure]:
    """Returns the values that are not None."""
    return {name: value for name, value in values.items() if value is not None}
