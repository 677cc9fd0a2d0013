"""Advice on the learning rate and on what steadies it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tui_loop.core.diagnosis.advice.amounts import is_far_from_done
from tui_loop.core.diagnosis.advice.known_rates import (
    RATE,
    about,
    bad_above,
    better_at,
    brief_rate,
    from_the_base,
    rate_of,
    reached,
    toward,
)
from tui_loop.core.diagnosis.advice.proposing import gain, loss_gain, propose
from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.lessons import rate_in
from tui_loop.core.diagnosis.rules.convergence import FEWEST_STEPS
from tui_loop.core.diagnosis.rules.rates import ADVISED
from tui_loop.core.divergence import lower_rate
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures

ROOM = 1.5
"""Times the rate: with less up to what is known to be bad, there is nothing to gain above."""


def lower_learning_rate(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """Down towards a lower rate that did better here; else to what did well in another loop; else
    to a tenth, or to what is advised where even that is beyond all use."""
    if case.config is None:
        return
    rate = case.config.training.learning_rate
    known = better_at(case, rate, lower=True)
    found = _between(case, finding, known) or _lesson(case, finding, at_least=0.0, below=rate)
    if found is not None:
        yield found
        return
    lower = lower_rate(rate, with_adapter=case.config.lora.enabled)
    yield propose(
        case,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE,
        {RATE: lower},
        because=f"at {figures.rate(rate)} {_trouble(finding)}",
        expects=from_the_base(case) or gain(case, 0.1, 0.6),
        confidence="high" if finding.kind == FindingKind.DIVERGED else "medium",
        ground="a run that blew up or stood still had too large steps; how much lower is a rule of "
        "thumb",
    )


def steady(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """Clipping and a warm-up, for a loss that jumps."""
    if case.config is None:
        return
    training = case.config.training
    if not 0 < training.max_grad_norm <= 1:
        yield propose(
            case,
            finding,
            SuggestionKind.CLIP_GRADIENTS,
            {"training.max_grad_norm": 1.0},
            because="single gradients were many times the usual one and nothing clipped them",
            expects=loss_gain(case, 0.0, 0.3),
            confidence="medium",
        )
    if not training.warmup_steps:
        yield propose(
            case,
            finding,
            SuggestionKind.WARM_UP,
            {"training.warmup_steps": 0.05},
            because="the rate was at its peak from the first step on",
            expects=loss_gain(case, 0.0, 0.2),
        )


def slower(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """A third of the rate, for a loss that jumps."""
    if case.config is None:
        return
    yield propose(
        case,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE,
        {RATE: brief_rate(case.config.training.learning_rate / 3)},
        because="the loss jumped again and again, which smaller steps do not do",
        expects=loss_gain(case, 0.0, 0.4),
        confidence="medium",
    )


def raise_learning_rate(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """Up to a higher rate that did better here; else to what did well in another loop; else
    to ten times the rate, at least what is advised, or three times where much of the loss has gone
    already. Never up to a rate that is known to be bad."""
    if case.config is None or 0 < case.run.step < FEWEST_STEPS:
        return
    rate = case.config.training.learning_rate
    advised = ADVISED[case.config.lora.enabled]
    far = is_far_from_done(case)
    if finding.kind == FindingKind.UNDERFITTING and not far and rate >= 10 * advised:
        return
    bad = bad_above(case, rate)
    known = better_at(case, rate, lower=False)
    found = _between(case, finding, known)
    if found is None and far:
        found = _lesson(case, finding, at_least=ROOM * rate, below=bad or math.inf)
    if found is not None:
        yield found
        return
    factor = 10.0 if finding.kind == FindingKind.LEARNING_RATE_TOO_LOW or far else 3.0
    higher = max(rate * factor, advised)
    ground = "the loss fell steadily and without a jump; how much higher is a rule of thumb"
    if bad is not None and higher >= bad:
        higher = math.sqrt(rate * bad)
        ground = f"{figures.rate(bad)} is known to be too high"
        if higher < ROOM * rate:
            return
    yield propose(
        case,
        finding,
        SuggestionKind.RAISE_LEARNING_RATE,
        {RATE: brief_rate(higher)},
        because=f"at {figures.rate(rate)} most of the loss was left when the run ended"
        if far
        else "the loss was still falling when the run ended",
        expects=loss_gain(case, 0.3, 0.9) if far else loss_gain(case, 0.1, 0.5),
        confidence="low" if bad is not None else "medium",
        ground=ground,
    )


def gentler(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """A third of the rate, for a model that loses what it could."""
    if case.config is None:
        return
    yield propose(
        case,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE,
        {RATE: brief_rate(case.config.training.learning_rate / 3)},
        because="training took away what the model could do before",
        expects=gain(case, 0.05, 0.5),
    )


def _between(case: Case, finding: Finding, known: Iteration | None) -> Suggestion | None:
    """Towards the rate of an iteration that did better."""
    good = rate_of(known) if known is not None else None
    if case.config is None or known is None or good is None:
        return None
    rate = case.config.training.learning_rate
    return propose(
        case,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE if good < rate else SuggestionKind.RAISE_LEARNING_RATE,
        {RATE: toward(rate, good)},
        because=f"{known.number} did better at {figures.rate(good)}, so the best rate lies "
        f"{'below' if good < rate else 'above'} {figures.rate(rate)}",
        expects=about(case, known),
        confidence="medium",
        ground=f"{known.number} had {reached(known)}, this one {reached(case.iteration)}",
    )


def _lesson(case: Case, finding: Finding, *, at_least: float, below: float) -> Suggestion | None:
    """The rate that served best in another loop on this base, if it lies within these bounds."""
    best = case.lessons.best
    rate = rate_in(best) if best is not None else None
    if case.config is None or best is None or rate is None or not at_least <= rate < below:
        return None
    lower = rate < case.config.training.learning_rate
    return propose(
        case,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE if lower else SuggestionKind.RAISE_LEARNING_RATE,
        {RATE: rate},
        because=f"{best.place} reached {figures.percent(best.score)} at {figures.rate(rate)} on "
        "this base",
        expects=from_the_base(case) or loss_gain(case, 0.3, 0.95),
        confidence="high",
        ground=f"it did well on this base in another loop, {best.place}",
    )


def _trouble(finding: Finding) -> str:
    told: dict[str, str] = {
        FindingKind.DIVERGED: "the run diverged",
        FindingKind.WORSE_THAN_BASE: "it became worse than the base",
    }
    return told.get(finding.kind, "the first steps threw away what the base knew")
