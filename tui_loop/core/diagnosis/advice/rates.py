"""Advice on the learning rate and on what steadies it."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tui_loop.core import figures
from tui_loop.core.config import changed_fields
from tui_loop.core.diagnosis.advice.amounts import is_far_from_done
from tui_loop.core.diagnosis.advice.proposing import BOOKKEEPING, gain, loss_gain, propose
from tui_loop.core.diagnosis.case import Case, config_of, metric_of
from tui_loop.core.diagnosis.findings import Finding, Prediction, Suggestion
from tui_loop.core.diagnosis.lessons import rate_in
from tui_loop.core.diagnosis.rules.convergence import FEWEST_STEPS
from tui_loop.core.diagnosis.rules.rates import ADVISED
from tui_loop.core.divergence import lower_rate
from tui_loop.core.records import Iteration

RATE = "training.learning_rate"
NEAR = 4.0
"""Two rates so near to each other leave nothing worth trying in between."""

SHORT_OF = 3.0
"""Times a rate that is known to be good: further up lies what is known to be bad."""


def lower_learning_rate(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """Half way down, in powers, to a lower rate that did better, but no further from it than
    SHORT_OF; else to what another loop did well with; else a tenth, or what is advised where even
    that is beyond all use."""
    if case.config is None:
        return
    rate = case.config.training.learning_rate
    known = _better_below(case, rate)
    if known is None and (lesson := _lesson(case, finding, at_least=0.0, below=rate)):
        yield lesson
        return
    if known is None:
        lower = lower_rate(rate, with_adapter=case.config.lora.enabled)
        yield propose(
            case,
            finding,
            "lower_learning_rate",
            {RATE: lower},
            because=f"at {figures.rate(rate)} {_trouble(finding)}",
            expects=_as_good_as_others(case) or gain(case, 0.1, 0.6),
            confidence="high" if finding.kind == "diverged" else "medium",
            ground="a run that blew up or stood still always had too large steps; how much lower "
            "is a rule of thumb",
        )
        return
    below = _rate_of(known)
    if below is None:
        return
    between = min(math.sqrt(below * rate), SHORT_OF * below)
    middle = _brief_rate(between) if rate / below >= NEAR else below
    yield propose(
        case,
        finding,
        "lower_learning_rate",
        {RATE: middle},
        because=f"{known.number} did better at {figures.rate(below)}, so the best rate lies below "
        f"{figures.rate(rate)}",
        expects=_about(case, known),
        confidence="medium",
        ground=f"measured: {known.number} against {case.number}",
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
            "clip_gradients",
            {"training.max_grad_norm": 1.0},
            because="single gradients were many times the usual one and nothing clipped them",
            expects=loss_gain(case, 0.0, 0.3),
            confidence="medium",
        )
    if not training.warmup_steps:
        yield propose(
            case,
            finding,
            "warm_up",
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
        "lower_learning_rate",
        {RATE: _brief_rate(case.config.training.learning_rate / 3)},
        because="the loss jumped again and again, which smaller steps do not do",
        expects=loss_gain(case, 0.0, 0.4),
        confidence="medium",
    )


def raise_learning_rate(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """Ten times the rate, at least what is advised; where much of the loss has gone already,
    three times. Never up to a rate that diverged or did worse here."""
    if case.config is None or 0 < case.run.step < FEWEST_STEPS:
        return
    rate = case.config.training.learning_rate
    advised = ADVISED[case.config.lora.enabled]
    far = is_far_from_done(case)
    if finding.kind == "underfitting" and not far and rate >= 10 * advised:
        return
    factor = 10.0 if finding.kind == "learning_rate_too_low" or far else 3.0
    higher = max(rate * factor, advised)
    worse = _worse_above(case, rate)
    if far and (lesson := _lesson(case, finding, at_least=1.5 * rate, below=worse or math.inf)):
        yield lesson
        return
    elsewhere = case.lessons.lowest_bad(above=rate)
    if worse is None and elsewhere is not None:
        worse = rate_in(elsewhere)
    if worse is not None and higher >= worse:
        higher = math.sqrt(rate * worse)
        if higher < 1.5 * rate:
            return
    yield propose(
        case,
        finding,
        "raise_learning_rate",
        {RATE: _brief_rate(higher)},
        because=f"at {figures.rate(rate)} most of the loss was left when the run ended"
        if far
        else "the loss was still falling when the run ended",
        expects=loss_gain(case, 0.2, 0.9) if far else loss_gain(case, 0.05, 0.5),
        confidence="high" if finding.kind == "learning_rate_too_low" or far else "medium",
        ground="the loss fell steadily and without a jump, so larger steps are safe; how much "
        "larger is a rule of thumb",
    )


def gentler(case: Case, finding: Finding) -> Iterator[Suggestion]:
    """A third of the rate, for a model that loses what it could."""
    if case.config is None:
        return
    yield propose(
        case,
        finding,
        "lower_learning_rate",
        {RATE: _brief_rate(case.config.training.learning_rate / 3)},
        because="training took away what the model could do before",
        expects=gain(case, 0.05, 0.5),
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
        "lower_learning_rate" if lower else "raise_learning_rate",
        {RATE: rate},
        because=f"{best.place} reached {figures.percent(best.score)} at {figures.rate(rate)} on "
        "this base",
        expects=_as_good_as_others(case) or loss_gain(case, 0.2, 0.95),
        confidence="high",
        ground=f"measured on this base in another loop: {best.place}",
    )


def _trouble(finding: Finding) -> str:
    told = {"diverged": "the run diverged", "worse_than_base": "it became worse than the base"}
    return told.get(finding.kind, "the first steps threw away what the base knew")


def _better_below(case: Case, rate: float) -> Iteration | None:
    """The best iteration at a lower rate that did better: one that differs in the rate alone, if
    there is one."""
    found = [
        each
        for each in case.iterations
        if 0 < each.number != case.number
        and each.state == "finished"
        and (below := _rate_of(each)) is not None
        and below < rate
        and _standing(each) > _standing(case.iteration)
    ]
    alone = [each for each in found if _differs_in_rate_alone(case, each)]
    return max(alone or found, key=_standing, default=None)


def _differs_in_rate_alone(case: Case, other: Iteration) -> bool:
    config = config_of(other)
    if case.config is None or config is None:
        return False
    changed = changed_fields(config, case.config)
    return all(name in (RATE, *BOOKKEEPING) or name.startswith("run.") for name in changed)


def _worse_above(case: Case, rate: float) -> float | None:
    """The lowest rate above this one that diverged or did worse than a lower one did."""
    best = max((_standing(each) for each in case.iterations if each.number), default=-math.inf)
    rates = [
        above
        for each in case.iterations
        if each.number
        and (above := _rate_of(each)) is not None
        and above > rate
        and (
            each.state == "failed"
            or (each.state == "finished" and _standing(each) < min(best, _standing(case.iteration)))
        )
    ]
    return min(rates, default=None)


def _standing(iteration: Iteration) -> float:
    """For ranking: the score, the eval loss where scores are equal or there are none."""
    score, loss = metric_of(iteration, "score"), metric_of(iteration, "eval_loss")
    if loss is None and score is None:
        return -math.inf
    return (score or 0.0) * 1e3 - (loss or 0.0)


def _about(case: Case, known: Iteration) -> Prediction | None:
    """Around what another iteration reached, at least half way there."""
    mine, theirs = case.metric("score"), metric_of(known, "score")
    if mine is None and not _has_figures(case):
        mine = metric_of(case.base, "score")
    if mine is None or theirs is None or theirs <= mine:
        return gain(case, 0.05, 0.5)
    top = min(1.0, theirs + 0.3 * (1 - theirs))
    return Prediction("score", mine, float(f"{(mine + theirs) / 2:.3g}"), float(f"{top:.3g}"))


def _as_good_as_others(case: Case) -> Prediction | None:
    """After a run without a sound figure of its own: between the base and something better."""
    if _has_figures(case):
        return None
    base = metric_of(case.base, "eval_loss")
    if base is None:
        return None
    return Prediction("eval_loss", base, float(f"{0.05 * base:.3g}"), float(f"{0.8 * base:.3g}"))


def _has_figures(case: Case) -> bool:
    """Whether the run was evaluated; else a prediction starts from the base."""
    return case.metric("eval_loss") is not None and case.iteration.state == "finished"


def _rate_of(iteration: Iteration) -> float | None:
    config = config_of(iteration)
    return config.training.learning_rate if config is not None else None


def _brief_rate(rate: float) -> float:
    """A rate as people choose them: one digit."""
    return float(f"{rate:.0e}")
