"""Outputs whose form is wrong.

format_errors  failures that say the right thing in another form, that are no JSON where JSON is
               wanted, or that name none of the labels.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.learned import hardest, has_learned, knows_task, with_cause
from tui_loop.core.diagnosis.rules.telling import ids_of
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.table import FAILED, UNSCORED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.scoring import pure_scorer
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

FEWEST = 5
"""Rows: fewer are an anecdote."""

WORTH = 0.1
"""Share of the failures from which on form is a reason of its own."""

MUCH = 0.2
MOST = 0.5
_JSON = ("json_valid", "json_match")
_SHOWN = 40
_SCORER = pure_scorer("json_valid", (), None)
_OTHER_REASON = {Cause.TRUNCATED_OUTPUT.value, Cause.EMPTY.value, Cause.REFUSAL.value}


def format_errors(case: Case) -> Iterator[Finding]:
    view = case.view if case.number else None
    if view is None or not (has_learned(case) or knows_task(case)):
        return
    scored, failed = len(view) - view.passed.count(UNSCORED), view.passed.count(FAILED)
    other = with_cause(case, Cause.FORMAT, Cause.NEAR_MISS)
    is_json = case.measured.metric in _JSON
    if is_json:
        other = hardest(case, [row for row in range(len(view)) if _is_broken_json(view, row)])
    if len(other) >= max(FEWEST, WORTH * failed):
        is_alarming = len(other) > MOST * failed and len(other) > MUCH * scored
        is_much = len(other) >= MUCH * failed
        what = "are no plain JSON" if is_json else "say the right thing in another form"
        yield Finding(
            FindingKind.FORMAT_ERRORS,
            "alarm" if is_alarming else "warning" if is_much else "note",
            f"{len(other)} of {counted(failed, 'failure')} {what}: for instance "
            f"{_instance(case, other[0])}",
            {"outputs": len(other), "failed": failed, "total": scored},
            examples=ids_of(case, other),
            otherwise="the metric may ask for more than the task does",
        )
    nameless = [
        row
        for row in with_cause(case, Cause.OUT_OF_VOCABULARY)
        if _OTHER_REASON.isdisjoint(view.causes[row])
    ]
    if len(nameless) >= max(FEWEST, WORTH * failed):
        yield Finding(
            FindingKind.FORMAT_ERRORS,
            "warning" if len(nameless) >= MUCH * failed and knows_task(case) else "note",
            f"{len(nameless)} of {counted(failed, 'failure')} name none of the "
            f"{len(case.measured.labels)} labels: for instance {_instance(case, nameless[0])}",
            {"outputs": len(nameless), "failed": failed, "total": scored},
            examples=ids_of(case, nameless),
            otherwise="a model that has not learned the labels yet says other things as well",
        )


def _is_broken_json(view: ExampleView, row: int) -> bool:
    """Whether an output that was not cut failed and is no JSON."""
    if view.passed[row] != FAILED:
        return False
    example = view.table[row]
    is_json = _SCORER is not None and _SCORER.score(example.output or "", "") > 0
    return not example.truncated and not is_json


def _instance(case: Case, row: int) -> str:
    view = case.view
    assert view is not None
    example = view.table[row]
    said = one_line(example.output or "", _SHOWN)
    return f'"{said}" for "{one_line(example.reference, _SHOWN)}"'


RULES = (format_errors,)
