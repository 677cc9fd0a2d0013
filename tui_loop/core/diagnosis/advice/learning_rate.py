"""Suggestions on the learning rate, from results at other rates."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tui_loop.core.compare.best import rank_of
from tui_loop.core.config.schema import BOOKKEEPING
from tui_loop.core.config.tables import changed_fields
from tui_loop.core.diagnosis.advice.building import gain, loss_gain, propose
from tui_loop.core.diagnosis.advice.capacity import is_far_from_done
from tui_loop.core.diagnosis.experience import rate_in
from tui_loop.core.diagnosis.facts import IterationFacts, config_of, metric_of
from tui_loop.core.diagnosis.findings import Finding, Prediction, Suggestion
from tui_loop.core.diagnosis.kinds import FindingKind, SuggestionKind
from tui_loop.core.diagnosis.rules.learning_rate import ADVISED, FEWEST_STEPS
from tui_loop.core.diagnosis.rules.step_size import LITTLE, causes_of
from tui_loop.core.divergence import lower_rate
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures

ROOM = 1.5
"""A higher rate is at least this multiple of the current one, unless a better iteration had it.
Where a rate that is known to be bad leaves less room, none is suggested."""


def lower_learning_rate(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a lower rate: towards one that did better here, else one from another loop.

    Without either, it is a tenth of the rate, or the usual advice where even a tenth is too high to
    be of use.
    """
    if facts.config is None:
        return
    rate = facts.config.training.learning_rate
    known = better_at(facts, rate, lower=True)
    found = _between(facts, finding, known) or _lesson(facts, finding, at_least=0.0, below=rate)
    if found is not None:
        yield found
        return
    lower = lower_rate(rate, with_adapter=facts.config.lora.enabled)
    yield propose(
        facts,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE,
        {RATE: lower},
        because=f"at a learning rate of {figures.rate(rate)}, {_trouble(finding)}",
        expects=from_the_base(facts) or gain(facts, 0.1, 0.6),
        confidence="high" if finding.kind == FindingKind.DIVERGED else "medium",
        ground="too high a rate makes runs diverge or stop learning; the new value is a rule of "
        "thumb",
    )


def steady(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests gradient clipping and a warm-up for loss spikes."""
    if facts.config is None:
        return
    training = facts.config.training
    if not 0 < training.max_grad_norm <= 1:
        yield propose(
            facts,
            finding,
            SuggestionKind.CLIP_GRADIENTS,
            {"training.max_grad_norm": 1.0},
            because="some gradients were many times larger than usual, and nothing clipped them",
            expects=loss_gain(facts, 0.0, 0.3),
            confidence="medium",
        )
    if not training.warmup_steps:
        yield propose(
            facts,
            finding,
            SuggestionKind.WARM_UP,
            {"training.warmup_steps": 0.05},
            because="the learning rate was at its peak from the first step",
            expects=loss_gain(facts, 0.0, 0.2),
        )


def slower(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a third of the rate for loss spikes."""
    if facts.config is None:
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE,
        {RATE: brief_rate(facts.config.training.learning_rate / 3)},
        because="the loss jumped repeatedly, which a lower learning rate usually prevents",
        expects=loss_gain(facts, 0.0, 0.4),
        confidence="medium",
    )


def usual_steps(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests the usual value of each setting that makes the steps small, the strongest first."""
    for cause in causes_of(facts):
        yield propose(
            facts,
            finding,
            SuggestionKind.USUAL_STEPS,
            dict(cause.fields),
            because=cause.evidence,
            expects=loss_gain(facts, 0.2, 0.9),
            confidence="high" if cause.part < LITTLE else "medium",
            ground="computed from the settings, learning rates and gradients of this run",
        )


def raise_learning_rate(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a higher rate: one that did better here, else one that did well in another loop.

    Without either, it is ten times the rate, or three times where much of the loss has gone
    already, and at least the usual advice. It is never a rate that is known to be bad.
    """
    if facts.config is None or 0 < facts.run.step < FEWEST_STEPS or causes_of(facts):
        return
    if finding.kind == FindingKind.NOTHING_TRAINED and "rows" not in finding.figures:
        return  # without a gradient no rate helps
    rate = facts.config.training.learning_rate
    advised = ADVISED[facts.config.lora.enabled]
    far = is_far_from_done(facts)
    if finding.kind == FindingKind.UNDERFITTING and rate >= 10 * advised:
        return
    bad = bad_above(facts, rate)
    known = better_at(facts, rate, lower=False)
    found = _between(facts, finding, known)
    if found is None and far:
        found = _lesson(facts, finding, at_least=ROOM * rate, below=bad or math.inf)
    if found is not None:
        yield found
        return
    factor = 10.0 if finding.kind == FindingKind.LEARNING_RATE_TOO_LOW or far else 3.0
    higher = max(rate * factor, advised)
    ground = "the loss fell steadily, without jumps; the new value is a rule of thumb"
    if bad is not None and higher >= bad:
        higher = math.sqrt(rate * bad)
        ground = f"a rate of {figures.rate(bad)} is known to be too high"
        if higher < ROOM * rate:
            return
    yield propose(
        facts,
        finding,
        SuggestionKind.RAISE_LEARNING_RATE,
        {RATE: brief_rate(higher)},
        because=f"at a learning rate of {figures.rate(rate)}, the loss was still high at the end"
        if far
        else "the loss was still falling when the run ended",
        expects=loss_gain(facts, 0.3, 0.9) if far else loss_gain(facts, 0.1, 0.5),
        confidence="low" if bad is not None else "medium",
        ground=ground,
    )


def gentler(facts: IterationFacts, finding: Finding) -> Iterator[Suggestion]:
    """Suggests a third of the rate for a model that forgets."""
    if facts.config is None:
        return
    yield propose(
        facts,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE,
        {RATE: brief_rate(facts.config.training.learning_rate / 3)},
        because="training destroyed part of what the base model could do",
        expects=gain(facts, 0.05, 0.5),
    )


def _between(facts: IterationFacts, finding: Finding, known: Iteration | None) -> Suggestion | None:
    """Suggests a rate closer to that of a better iteration."""
    good = rate_of(known) if known is not None else None
    if facts.config is None or known is None or good is None:
        return None
    rate = facts.config.training.learning_rate
    return propose(
        facts,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE if good < rate else SuggestionKind.RAISE_LEARNING_RATE,
        {RATE: toward(rate, good)},
        because=f"iteration {known.number} did better at a learning rate of {figures.rate(good)}, "
        f"so the best one is probably {'below' if good < rate else 'above'} {figures.rate(rate)}",
        expects=about(facts, known),
        confidence="medium",
        ground=f"iteration {known.number} {reached(known)}; this iteration "
        f"{reached(facts.iteration)}",
    )


def _lesson(
    facts: IterationFacts, finding: Finding, *, at_least: float, below: float
) -> Suggestion | None:
    """Returns the best rate of another loop on this base, if it is within these bounds."""
    best = facts.lessons.best
    rate = rate_in(best) if best is not None else None
    if facts.config is None or best is None or rate is None or not at_least <= rate < below:
        return None
    lower = rate < facts.config.training.learning_rate
    return propose(
        facts,
        finding,
        SuggestionKind.LOWER_LEARNING_RATE if lower else SuggestionKind.RAISE_LEARNING_RATE,
        {RATE: rate},
        because=f"{best.place} reached a score of {figures.percent(best.score)} at a "
        f"learning rate of {figures.rate(rate)} on this base model",
        expects=from_the_base(facts) or loss_gain(facts, 0.3, 0.95),
        confidence="high",
        ground=f"this rate did well on the same base model in another loop ({best.place})",
    )


def _trouble(finding: Finding) -> str:
    values: dict[str, str] = {
        FindingKind.DIVERGED: "the run diverged",
        FindingKind.WORSE_THAN_BASE: "the model became worse than the base",
    }
    return values.get(finding.kind, "the first steps destroyed what the base model had learned")


RATE = "training.learning_rate"

NEAR = 4.0
"""Between rates closer than this factor, no other rate is worth trying."""

SHORT_OF = 3.0
"""The largest factor above a rate that is known to be good."""


def better_at(facts: IterationFacts, rate: float, *, lower: bool) -> Iteration | None:
    """Returns the best iteration at a lower (or higher) rate that did better than this one.

    Iterations that differ only in the rate come before all others.
    """
    found = [
        each
        for each in facts.iterations
        if 0 < each.number != facts.number
        and each.state == "finished"
        and (other := rate_of(each)) is not None
        and (other < rate if lower else other > rate)
        and rank_of(each) > rank_of(facts.iteration)
    ]
    alone = [each for each in found if _differs_in_rate_alone(facts, each)]
    return max(alone or found, key=rank_of, default=None)


def toward(rate: float, good: float) -> float:
    """Returns the rate to try where `good` is known to be better than `rate`.

    Upwards that is `good`. Downwards it is a rate in between, near `good`, where there is room.
    """
    if rate < good or rate / good < NEAR:
        return good
    return brief_rate(min(math.sqrt(rate * good), SHORT_OF * good))


def bad_above(facts: IterationFacts, rate: float) -> float | None:
    """Returns the lowest rate above this one with a known bad result, None without any.

    In this loop, that is a rate that diverged or did worse than a lower one; else the lowest rate
    that diverged in another loop on this base.
    """
    at_rates: dict[float, list[Iteration]] = {}
    for each in facts.iterations:
        if each.number and (other := rate_of(each)) is not None:
            at_rates.setdefault(other, []).append(each)
    best = (-math.inf, -math.inf)
    for other, runs in sorted(at_rates.items()):
        diverged = any((each.error or {}).get("kind") == "diverged" for each in runs)
        standings = [rank_of(each) for each in runs if each.state == "finished"]
        if other > rate and (diverged or any(each < best for each in standings)):
            return other
        best = max([best, *standings])
    elsewhere = facts.lessons.lowest_bad(above=rate)
    return rate_in(elsewhere) if elsewhere is not None else None


def reached(iteration: Iteration) -> str:
    """Returns `at 2e-3: score 64%`: the rate of an iteration, and its result."""
    score, loss = metric_of(iteration, "score"), metric_of(iteration, "eval_loss")
    result: str = iteration.state
    if score is not None:
        result = f"score {figures.percent(score)}"
    elif loss is not None:
        result = f"eval loss {figures.loss(loss)}"
    return f"at {figures.rate(rate_of(iteration))}: {result}"


def about(facts: IterationFacts, known: Iteration) -> Prediction | None:
    """Predicts about the score that another iteration reached, and at least half of the way there.

    It starts from the base's score where the run has no valid score of its own.
    """
    mine, theirs = facts.metric("score"), metric_of(known, "score")
    if mine is None and not _has_figures(facts):
        mine = metric_of(facts.base, "score")
    if mine is None or theirs is None or theirs <= mine:
        return gain(facts, 0.05, 0.5)
    top = min(1.0, theirs + 0.3 * (1 - theirs))
    return Prediction("score", mine, float(f"{(mine + theirs) / 2:.3g}"), float(f"{top:.3g}"))


def from_the_base(facts: IterationFacts) -> Prediction | None:
    """Predicts a range from the base upwards, for a run without valid figures."""
    base = metric_of(facts.base, "eval_loss")
    if base is None or _has_figures(facts):
        return None
    return Prediction("eval_loss", base, float(f"{0.05 * base:.3g}"), float(f"{0.8 * base:.3g}"))


def rate_of(iteration: Iteration) -> float | None:
    """Returns the peak learning rate of an iteration, None where its config cannot be read."""
    config = config_of(iteration)
    return config.training.learning_rate if config is not None else None


def brief_rate(rate: float) -> float:
    """Rounds a rate to one significant digit."""
    return float(f"{rate:.0e}")


def _differs_in_rate_alone(facts: IterationFacts, other: Iteration) -> bool:
    config = config_of(other)
    if facts.config is None or config is None:
        return False
    changed = changed_fields(config, facts.config)
    return BOOKKEEPING.issuperset(changed.keys() - {RATE})


def _has_figures(facts: IterationFacts) -> bool:
    """Returns whether the run was evaluated; otherwise a prediction starts from the base."""
    return facts.metric("eval_loss") is not None and facts.iteration.state == "finished"
