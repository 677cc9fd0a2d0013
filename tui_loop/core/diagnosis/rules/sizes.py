"""Whether the held-out rows are many enough to show what is looked for.

eval_too_small  no useful difference can be seen with so few; or the change against the parent
                looks like one and is smaller than what can be seen.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from statistics import fmean

from tui_loop.core.compare.comparison import SEED_NOISE
from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Figure, Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.telling import chance
from tui_loop.core.examples.table import UNSCORED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.stats import Z95, mcnemar, sample_variance, t95
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted

LEVEL = 0.05
USEFUL = 0.15
"""A change that takes the score up by 15 points is seen without any statistics; a set of rows that
cannot show that much shows nothing."""

HINTS = 0.5
"""A difference of less than this share of what can be seen is none that anybody would act on."""

FEW_LOSSES = 30
"""With more rows the mean loss is known well enough to see a useful change of it."""

MANY = 2_000
"""Beyond so many changed rows the normal limit is as good as the exact test."""

USUAL = 0.2
"""Share of the rows that come out otherwise between two iterations, where nothing says it, or where
a real change is in it: two seeds of one config differed in 12 to 23% of the rows of recorded
loops."""


def eval_too_small(case: Case) -> Iterator[Finding]:
    view = case.view
    if view is None or not case.number:
        return
    total = len(view) - view.passed.count(UNSCORED)
    if not total:
        yield from _of_losses(case, view)
        return
    against = case.against_parent
    changed = len(against.fixed) + len(against.broken) if against is not None else 0
    p = against.p_value if against is not None and case.iteration.parent else None
    share = changed / total if p is not None and p >= LEVEL and changed else USUAL
    net = smallest_net(total, share)
    if net is None:
        yield Finding(
            FindingKind.EVAL_TOO_SMALL,
            "warning",
            f"{counted(total, 'held-out row')} can show no change of the score at all: if one run "
            f"passed none and the next all of them, that might still be chance "
            f"({chance(mcnemar(total, 0))})",
            {"total": total, "rows_needed": smallest_total(share)},
        )
        return
    difference = net / total
    told_figures: dict[str, Figure] = {
        "total": total,
        "smallest_points": round(100 * difference, 1),
    }
    told = f"cannot show a change of the score by less than about {100 * difference:.0f} points"
    if difference > USEFUL:
        few = smallest_total(share)
        yield Finding(
            FindingKind.EVAL_TOO_SMALL,
            "warning",
            f"{counted(total, 'held-out row')} {told}: {net} more would have to be fixed than "
            f"broken; {few} rows could show {100 * USEFUL:.0f}",
            told_figures | {"rows_needed": few},
        )
        return
    if against is None or p is None or p < LEVEL or against.claim == SEED_NOISE:
        return
    fixed, broken = len(against.fixed), len(against.broken)
    if abs(fixed - broken) < HINTS * net:
        return
    points = 100 * (fixed - broken) / max(1, total)
    yield Finding(
        FindingKind.EVAL_TOO_SMALL,
        "note",
        f"the {points:+.0f} points against {against.a} are {fixed} fixed and {broken} broken "
        f"({chance(p)}): {counted(total, 'held-out row')} {told}",
        told_figures | {"fixed": fixed, "broken": broken, "p": p},
        iterations=(against.a,),
        otherwise="a true change of that size may be there, and is as likely not to be",
    )


def _of_losses(case: Case, view: ExampleView) -> Iterator[Finding]:
    """The same where nothing is scored: how well the mean loss of so few rows is known at all."""
    losses = [each for each in view.table.losses if math.isfinite(each)]
    count = len(losses)
    if not 2 <= count < FEW_LOSSES:
        return
    half = t95(count - 1) * math.sqrt(sample_variance(losses) / count)
    mean = fmean(losses)
    if half < USEFUL * mean:
        return
    yield Finding(
        FindingKind.EVAL_TOO_SMALL,
        "warning",
        f"{counted(count, 'held-out row')} say little: their mean loss is {figures.loss(mean)} "
        f"±{figures.loss(half)} for rows like these, whatever was changed",
        {"total": count, "loss": mean, "half_width": half},
        otherwise="the same rows are compared each time, so a change of the loss on them is real; "
        "what it says of other rows is not known",
    )


def smallest_net(total: int, share: float) -> int | None:
    """How many more of `total` rows must be fixed than broken for McNemar's p below LEVEL, where
    `share` of them come out otherwise; where these are too few for it, as few more as do. None
    where no outcome of so few rows does.
    """
    changed = max(1, round(share * total))
    if changed > MANY:
        return math.ceil(Z95 * math.sqrt(changed))
    for count in range(changed, total + 1):
        for net in range(count % 2, count + 1, 2):
            if net and mcnemar((count + net) // 2, (count - net) // 2) < LEVEL:
                return net
    return None


def smallest_total(share: float) -> int:
    """The fewest rows, in steps of ten, with which a useful difference can be seen."""
    total = 10
    while (smallest_net(total, share) or total) > USEFUL * total:
        total += 10
    return total


RULES = (eval_too_small,)
