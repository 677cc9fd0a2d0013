"""What fails in an iteration: causes, labels, groups, and the worst examples in full."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.codec import number as number_of
from tui_loop.core.diagnosis.case import Case
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.breakdown import breakdown_of, kind_words, slice_words
from tui_loop.core.examples.found import cause_words
from tui_loop.core.examples.history import Outcome
from tui_loop.core.examples.judgements import judged, told
from tui_loop.core.examples.view import ExampleView, Order
from tui_loop.core.report.comparisons import shortened
from tui_loop.core.report.facts import GROUPS, WORST, Counted, Failure, Open


def open_of(case: Case, role: str) -> Open | None:
    """What fails in the iteration of the case; None where nothing was evaluated."""
    try:
        view, _ = case.evaluations.view(case.number, case.iteration.parent)
    except (TuiLoopError, OSError) as error:
        return Open(case.number, role, unread=str(error))
    if not len(view):
        return None
    counts = breakdown_of(view, case.measured.labels)
    said = case.evaluations.judgements()
    figures = judged(view.table, said) if said else None
    failed = [row for row in view.in_order(Order.LOSS) if view.outcome(row) is Outcome.FAILED]
    return Open(
        number=case.number,
        role=role,
        failed=len(failed),
        total=sum(view.outcome(row) is not Outcome.UNSCORED for row in range(len(view))),
        causes=tuple(Counted(each.name, each.count) for each in counts.causes[:GROUPS]),
        labels=tuple(
            Counted(each.name, each.failed, slice_words(each, beside_others=False))
            for each in [each for each in counts.labels if each.failed][:GROUPS]
        ),
        confusions=tuple(Counted(each.name, each.count) for each in counts.confusions[:GROUPS]),
        weak=tuple(
            Counted(f"{kind_words(each.kind)} {each.name}", each.failed, slice_words(each))
            for each in counts.weak[:GROUPS]
        ),
        worst=_worst(view, failed[:WORST]),
        judged=told(figures) if figures is not None and figures.differs else "",
    )


def _worst(view: ExampleView, rows: Sequence[int]) -> tuple[Failure, ...]:
    return tuple(_failure(view, row) for row in rows)


def _failure(view: ExampleView, row: int) -> Failure:
    example = view.table[row]
    loss = number_of(example.loss)
    return Failure(
        id=example.id,
        prompt=shortened(example.prompt),
        reference=shortened(example.reference),
        output=shortened(example.output or ""),
        loss=loss if loss is not None and math.isfinite(loss) else None,
        causes=tuple(cause_words(each) for each in view.causes[row]),
    )
