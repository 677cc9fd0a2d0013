"""How the training itself went: whether it blew up, was unsteady, or had a rate far off.

diverged                 the run says so, or its final loss is far above the base's.
nothing_trained          the run says that loss and gradient stayed at exactly 0, or the gradient
                         was 0 in nearly all logs.
unstable                 the training loss jumped up again and again, or single logs were not
                         finite, and the run did not diverge.
learning_rate_too_high   it diverged at a rate above what is commonly advised; or the only change
                         against a better iteration is a higher rate; or the loss shot up at the
                         start and then stood still far above zero.
learning_rate_too_low    most of the loss is left, no pace was lost, and the gradient was there.
"""

from __future__ import annotations

from collections.abc import Iterator
from statistics import fmean, median

from tui_loop.core import figures
from tui_loop.core.checking.findings import counted
from tui_loop.core.diagnosis.case import Case, metric_of
from tui_loop.core.diagnosis.curves import Curve, level, trend_of
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.divergence import is_far_above
from tui_loop.core.overview import diverged_at
from tui_loop.core.wording import SEED

ADVISED = {True: 1e-4, False: 2e-5}
"""Learning rates that are commonly advised, with an adapter and for all weights (TRL's docs)."""

FEWEST_LOGS = 8
"""A shape is read from so many training logs on."""

JUMP_NATS = 1.0
JUMP_FACTOR = 2.0
"""A log is a jump that lies this much above the median of the WINDOW logs before it: single
batches of a healthy run of a small model vary by half a nat."""

WINDOW = 20
JUMPS = 3
"""One or two are hard batches."""

SHOT_UP = 8.0
"""The largest gradient of the first tenth against the median of the rest: of healthy runs 2 to 6,
also where the first steps are the steepest."""

LEFT_STANDING = 0.5
"""Nats a token of training loss at which a run that no longer moves has not learned its rows."""

HARDLY = 0.25
"""A run that took away less than this share of the loss has hardly begun."""


def diverged(case: Case) -> Iterator[Finding]:
    error = case.iteration.error or {}
    step = diverged_at(case.iteration)
    rate = _rate(case)
    at_rate = f" at a learning rate of {figures.rate(rate)}" if rate else ""
    if error.get("kind") == "diverged":
        reason = str(error.get("message", "")).partition(": ")[2].partition(";")[0]
        yield Finding(
            "diverged",
            "alarm",
            f"the run diverged at step {step}{at_rate}: {reason or 'the loss blew up'}",
            _figures(step=step, learning_rate=rate),
            steps=() if step is None else (step,),
            otherwise="a batch of broken rows, or a precision that overflows (fp16), ends the same "
            "way; both would come back at a lower rate",
        )
        return
    eval_loss, base_loss = case.metric("eval_loss"), metric_of(case.base, "eval_loss")
    if eval_loss is not None and base_loss is not None and is_far_above(eval_loss, base_loss):
        yield Finding(
            "diverged",
            "alarm",
            f"the final eval loss of {figures.loss(eval_loss)} is far above the base's "
            f"{figures.loss(base_loss)}{at_rate}: the weights are worse than untrained",
            _figures(eval_loss=eval_loss, base_eval_loss=base_loss, learning_rate=rate),
        )


def nothing_trained(case: Case) -> Iterator[Finding]:
    error = case.iteration.error or {}
    told = error.get("kind") == "data" and "nothing is being trained" in str(error.get("message"))
    gradients = [*case.grad_curve.values]
    still = sum(value == 0.0 for value in gradients)
    if not told and not (len(gradients) >= FEWEST_LOGS and still > 0.9 * len(gradients)):
        return
    parameters = case.metric("trainable_parameters")
    reason = (
        "no parameter is trainable" if parameters == 0 else "no token of these batches has a label"
    )
    yield Finding(
        "nothing_trained",
        "alarm",
        f"nothing was trained: the gradient was exactly 0 in {still} of {len(gradients)} logs; "
        f"{reason}",
        {"zero_gradients": still, "logs": len(gradients)},
        steps=case.grad_curve.steps[:3],
        otherwise="a max_length that cuts every completion off, or a template that marks no answer",
    )


def unstable(case: Case) -> Iterator[Finding]:
    if _has_diverged(case):
        return
    curve = case.train_curve
    jumps = jumps_of(curve)
    broken = sorted(set(case.run.nonfinite_steps))
    if len(jumps) < JUMPS and not broken:
        return
    told = []
    if jumps:
        highest = max(jumps, key=dict(zip(curve.steps, curve.values, strict=True)).__getitem__)
        top = dict(zip(curve.steps, curve.values, strict=True))[highest]
        told.append(
            f"the training loss jumped up {counted(len(jumps), 'time')}, to {figures.loss(top)} "
            f"at step {highest}"
        )
    if broken:
        told.append(f"{counted(len(broken), 'log')} not finite, the first at step {broken[0]}")
    clipping = case.config.training.max_grad_norm if case.config else 1.0
    told.append(
        f"the largest gradient was {max(case.grad_curve.values, default=0):.3g}, the usual one "
        f"{level(case.grad_curve.values):.2g}" + (", and nothing clips it" if not clipping else "")
    )
    yield Finding(
        "unstable",
        "warning",
        "training was unsteady: " + "; ".join(told),
        _figures(
            jumps=len(jumps),
            nonfinite=len(broken),
            largest_gradient=max(case.grad_curve.values, default=0.0),
            usual_gradient=level(case.grad_curve.values),
        ),
        steps=tuple(sorted({*jumps, *broken}))[:20],
        otherwise="very uneven rows in small batches look alike; a larger effective batch tells",
    )


def learning_rate_too_high(case: Case) -> Iterator[Finding]:
    rate = _rate(case)
    if rate is None or case.config is None:
        return
    advised = ADVISED[case.config.lora.enabled]
    if _has_diverged(case):
        if rate > advised:
            yield Finding(
                "learning_rate_too_high",
                "alarm",
                f"{figures.rate(rate)} is {rate / advised:,.0f} times the rate that is commonly "
                f"advised here ({figures.rate(advised)}), and the run diverged",
                _figures(learning_rate=rate, advised=advised),
            )
        return
    better = _better_at_lower_rate(case, rate)
    if better is not None:
        yield better
        return
    curve = case.train_curve
    if len(curve) < 2 * FEWEST_LOGS:
        return
    early, rest = case.grad_curve.part(0, 0.1), case.grad_curve.part(0.1, 1)
    shot = max(early.values, default=0.0) / (level(rest.values) or 1.0)
    end, middle = level(curve.part(0.8, 1).values), level(curve.part(0.3, 0.6).values)
    stands = end > LEFT_STANDING and end > 0.7 * middle
    if rate > advised and shot > SHOT_UP and stands:
        yield Finding(
            "learning_rate_too_high",
            "warning",
            f"at {figures.rate(rate)} the gradient shot up to {max(early.values):.3g} at the start "
            f"({shot:.0f} times what is usual later), and the training loss then stood still at "
            f"about {figures.loss(end)}: the first steps threw away what the base knew",
            _figures(
                learning_rate=rate, largest_gradient=max(early.values), train_loss=end, ratio=shot
            ),
            steps=early.steps[:1],
            otherwise="an adapter too small for the task stands still as well, but without the "
            "gradient at the start",
        )


def learning_rate_too_low(case: Case) -> Iterator[Finding]:
    rate, curve = _rate(case), case.train_curve
    if rate is None or len(curve) < FEWEST_LOGS or _has_diverged(case):
        return
    if case.config is not None and rate > 10 * ADVISED[case.config.lora.enabled]:
        return  # whatever ails it, that is not it
    start, end = fmean(curve.part(0, 0.1).values), fmean(curve.part(0.9, 1).values)
    gradient = level(case.grad_curve.values)
    if start < LEFT_STANDING or not gradient > 0:
        return
    taken = (start - end) / start
    late = trend_of(curve.part(0.5, 1))
    went_on = late is not None and (late.is_falling or taken < 0.02)
    if not -0.05 < taken < HARDLY or not went_on:
        return
    yield Finding(
        "learning_rate_too_low",
        "warning",
        f"at {figures.rate(rate)} the training loss only went from {figures.loss(start)} to "
        f"{figures.loss(end)} in {case.run.step} steps ({100 * taken:.0f}% of it), though the "
        f"gradient was there all along ({gradient:.2g}): the steps are too small",
        _figures(learning_rate=rate, first_loss=start, last_loss=end, gradient=gradient),
        steps=(curve.steps[0], curve.steps[-1]),
        otherwise="far too few steps would look alike; a higher rate is the cheaper thing to try",
    )


def jumps_of(curve: Curve) -> list[int]:
    """Steps at which the loss lies far above what it was just before."""
    found = []
    for at in range(WINDOW // 2, len(curve)):
        before = median(curve.values[max(0, at - WINDOW) : at])
        if curve.values[at] > max(before * JUMP_FACTOR, before + JUMP_NATS):
            found.append(curve.steps[at])
    return found


def _better_at_lower_rate(case: Case, rate: float) -> Finding | None:
    """The finding where the parent differs in a lower rate alone and did better."""
    against, parent = case.against_parent, case.parent
    if against is None or parent is None or parent.number == 0 or "worse" not in against.claim:
        return None
    changed = set(against.config) - {SEED}
    before, _ = against.config.get("training.learning_rate", (None, None))
    if changed != {"training.learning_rate"} or not isinstance(before, float) or before >= rate:
        return None
    points = figures.points(against.interval)
    return Finding(
        "learning_rate_too_high",
        "warning",
        f"raising the rate from {figures.rate(before)} to {figures.rate(rate)}, and nothing else, "
        f"cost {points.removeprefix('-')} points of score against {parent.number} "
        f"({against.claim})",
        _figures(learning_rate=rate, before=before),
        iterations=(parent.number,),
        otherwise="" if against.claim == "worse" else "one run of each: a repeat would settle it",
    )


def _has_diverged(case: Case) -> bool:
    return any(True for _ in diverged(case))


def _rate(case: Case) -> float | None:
    return case.config.training.learning_rate if case.config and case.number else None


def _figures(**told: float | int | None) -> dict[str, float | int | str]:
    return {name: value for name, value in told.items() if value is not None}


RULES = (diverged, nothing_trained, unstable, learning_rate_too_high, learning_rate_too_low)
