"""What was there before and is gone.

worse_than_base  by the score, the paired test says that the base is the better model; or, where the
                 score says nothing, the loss does.
forgetting       much of what the base got right fails now; or of what the iteration got right whose
                 weights this one started from.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.diagnosis.case import Case, metric_of
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT, Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.telling import chance
from tui_loop.core.examples.table import PASSED
from tui_loop.core.stats import wilson
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

LEVEL = 0.05
MUCH_LOSS = 0.1
"""A loss that rises by less than this share of the base's may be one of sureness alone."""

FEWEST = 10
"""Of fewer right answers no share that was lost could be told."""

LOST = 0.25
"""Two runs of one config that differ in the seed lost 7 to 23% of each other's right answers in
recorded loops: only what is surely more is forgotten."""


def worse_than_base(case: Case) -> Iterator[Finding]:
    against = case.against_base if case.number else None
    if against is None:
        return
    interval, p = against.interval, against.p_value
    fixed, broken = len(against.fixed), len(against.broken)
    by_outcome = p is not None and p < LEVEL and broken > fixed
    if interval is not None and interval.high < 0 and (by_outcome or not fixed + broken):
        told = f"{broken} that the base passes fail, {fixed} the other way"
        told += f" ({chance(p)})" if by_outcome and p is not None else ""
        yield Finding(
            FindingKind.WORSE_THAN_BASE,
            "alarm",
            f"worse than the untouched base: the score is {_percent(case.metric('score'))}, the "
            f"base's {_percent(metric_of(case.base, 'score'))} ({figures.points(interval)} "
            f"points); {told}",
            {
                "score": case.metric("score") or 0.0,
                "base_score": metric_of(case.base, "score") or 0.0,
                "points": round(100 * interval.delta, 1),
                "fixed": fixed,
                "broken": broken,
                "p": 1.0 if p is None else p,
            },
            examples=_worst(case, against),
            iterations=(0,),
        )
        return
    loss, before = against.loss, metric_of(case.base, "eval_loss")
    is_better = interval is not None and interval.low > 0
    if loss is None or before is None or is_better or loss.low <= 0:
        return
    if loss.delta >= MUCH_LOSS * before:
        yield Finding(
            FindingKind.WORSE_THAN_BASE,
            "warning",
            f"held-out rows are harder than for the untouched base: the eval loss is "
            f"{figures.loss(case.metric('eval_loss'))}, the base's {figures.loss(before)} "
            f"({figures.loss_change(loss)} an example)",
            {
                "eval_loss": case.metric("eval_loss") or 0.0,
                "base_eval_loss": before,
                "change": round(loss.delta, 4),
            },
            iterations=(0,),
            otherwise="the score does not show it: a model may be surer of its mistakes and err no "
            "oftener",
        )


def forgetting(case: Case) -> Iterator[Finding]:
    if not case.number:
        return
    config = case.config
    begun_at = config.model.init_adapter if config is not None else None
    for number in (begun_at, 0):
        if number is not None:
            found = list(_forgotten(case, number))
            yield from found
            if found:
                return


def _forgotten(case: Case, number: int) -> Iterator[Finding]:
    against = case.against_base if number == 0 else case.against(number)
    before = case.outcomes(number)
    if against is None or before is None or against.p_value is None:
        return
    names = set(before.ids)
    view = case.view
    shared = names.intersection(view.table.ids) if view is not None else names
    knew = sum(
        outcome == PASSED and name in shared
        for name, outcome in zip(before.ids, before.passed, strict=True)
    )
    lost = len(against.broken)
    if knew < FEWEST or wilson(lost, knew)[0] <= LOST:
        return
    fixed = len(against.fixed)
    is_net = against.p_value < LEVEL and lost > fixed
    who = "the base" if number == 0 else f"{number}, whose weights it started from,"
    yield Finding(
        FindingKind.FORGETTING,
        "warning",
        f"{lost} of the {knew} that {who} got right fail now; {counted(fixed, 'other')} "
        f"{'was' if fixed == 1 else 'were'} won"
        + (f", fewer than were lost ({chance(against.p_value)})" if is_net else ""),
        {"lost": lost, "knew": knew, "won": fixed, "p": against.p_value},
        examples=_worst(case, against),
        iterations=(number,),
        otherwise="two runs of one config lose up to a quarter of each other's right answers by "
        "chance; this is more",
    )


def _worst(case: Case, against: Comparison) -> tuple[str, ...]:
    """What broke, the highest loss first."""
    outcomes = case.outcomes(case.number)
    losses = dict(zip(outcomes.ids, outcomes.losses, strict=True)) if outcomes else {}
    worst = sorted(against.broken, key=lambda name: (-losses.get(name, 0.0), name))
    return tuple(worst[:EXAMPLES_KEPT])


def _percent(score: float | None) -> str:
    return figures.percent(score) or "unknown"


RULES = (worse_than_base, forgetting)
