"""What was measured at other learning rates: in this loop, and in others on the same base."""

from __future__ import annotations

import math

from tui_loop.core.compare.best import standing_of
from tui_loop.core.config.schema import BOOKKEEPING
from tui_loop.core.config.tables import changed_fields
from tui_loop.core.diagnosis.advice.proposing import gain
from tui_loop.core.diagnosis.case import Case, config_of, metric_of
from tui_loop.core.diagnosis.findings import Prediction
from tui_loop.core.diagnosis.lessons import rate_in
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures

RATE = "training.learning_rate"

NEAR = 4.0
"""Two rates so near to each other leave nothing worth trying in between."""

SHORT_OF = 3.0
"""Times a rate that is known to be good: further up lies what is known to be bad."""


def better_at(case: Case, rate: float, *, lower: bool) -> Iteration | None:
    """The best iteration at a lower (or higher) rate that did better: one that differs in the
    rate alone, if there is one."""
    found = [
        each
        for each in case.iterations
        if 0 < each.number != case.number
        and each.state == "finished"
        and (other := rate_of(each)) is not None
        and (other < rate if lower else other > rate)
        and standing_of(each) > standing_of(case.iteration)
    ]
    alone = [each for each in found if _differs_in_rate_alone(case, each)]
    return max(alone or found, key=standing_of, default=None)


def toward(rate: float, good: float) -> float:
    """Where to go from a rate when another one is known to be better: up to that one; down, to
    something in between, near the good one, where there is room for it."""
    if rate < good or rate / good < NEAR:
        return good
    return brief_rate(min(math.sqrt(rate * good), SHORT_OF * good))


def bad_above(case: Case, rate: float) -> float | None:
    """The lowest rate above this one that diverged, or that did worse than a lower one did, here;
    else the lowest that diverged in another loop on this base."""
    at_rates: dict[float, list[Iteration]] = {}
    for each in case.iterations:
        if each.number and (other := rate_of(each)) is not None:
            at_rates.setdefault(other, []).append(each)
    best = (-math.inf, -math.inf)
    for other, runs in sorted(at_rates.items()):
        diverged = any((each.error or {}).get("kind") == "diverged" for each in runs)
        standings = [standing_of(each) for each in runs if each.state == "finished"]
        if other > rate and (diverged or any(each < best for each in standings)):
            return other
        best = max([best, *standings])
    elsewhere = case.lessons.lowest_bad(above=rate)
    return rate_in(elsewhere) if elsewhere is not None else None


def reached(iteration: Iteration) -> str:
    """`2e-3 (64%)`: the rate of an iteration, and what it came to."""
    score, loss = metric_of(iteration, "score"), metric_of(iteration, "eval_loss")
    told = figures.percent(score) if score is not None else figures.loss(loss)
    return f"{figures.rate(rate_of(iteration))} ({told or iteration.state})"


def about(case: Case, known: Iteration) -> Prediction | None:
    """Around what another iteration reached, at least half way there; from the base where the run
    has no figures of its own."""
    mine, theirs = case.metric("score"), metric_of(known, "score")
    if mine is None and not _has_figures(case):
        mine = metric_of(case.base, "score")
    if mine is None or theirs is None or theirs <= mine:
        return gain(case, 0.05, 0.5)
    top = min(1.0, theirs + 0.3 * (1 - theirs))
    return Prediction("score", mine, float(f"{(mine + theirs) / 2:.3g}"), float(f"{top:.3g}"))


def from_the_base(case: Case) -> Prediction | None:
    """After a run without a sound figure of its own: between the base and something better."""
    base = metric_of(case.base, "eval_loss")
    if base is None or _has_figures(case):
        return None
    return Prediction("eval_loss", base, float(f"{0.05 * base:.3g}"), float(f"{0.8 * base:.3g}"))


def rate_of(iteration: Iteration) -> float | None:
    """The peak learning rate of an iteration; None where its config cannot be read."""
    config = config_of(iteration)
    return config.training.learning_rate if config is not None else None


def brief_rate(rate: float) -> float:
    """A rate as people choose them: one digit."""
    return float(f"{rate:.0e}")


def _differs_in_rate_alone(case: Case, other: Iteration) -> bool:
    config = config_of(other)
    if case.config is None or config is None:
        return False
    changed = changed_fields(config, case.config)
    return BOOKKEEPING.issuperset(changed.keys() - {RATE})


def _has_figures(case: Case) -> bool:
    """Whether the run was evaluated; else a prediction starts from the base."""
    return case.metric("eval_loss") is not None and case.iteration.state == "finished"
