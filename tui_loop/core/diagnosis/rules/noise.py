"""References that are perhaps wrong.

label_noise  rows that were trained on are harder than held-out ones, which only wrong references
             among them explain easily; training rows of one input have several labels; or a
             good model and the iterations before it agree on another answer than the held-out
             reference (core.examples.suspects).

A row that was trained on should be no harder than one that was not. So the measured training rows
are held against the held-out ones: how many of each lie above a loss that only every fourth, tenth
or twentieth held-out row exceeds, by Fisher's test, which is exact for such thresholds (it is the
precedence test), adjusted for three of them (Holm); and above a loss at which the reference is not
what the model would say. References that are wrong in both the training and the held-out data show
in none of this but in the third way; weaker signs are in `doubts`. A row learned by heart is not
hard any more, however wrong it is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.gaps import trained_on
from tui_loop.core.diagnosis.rules.hardness import FEWEST, NOT_SAID, Hardness, hardness_of
from tui_loop.core.diagnosis.rules.learned import has_learned, with_cause
from tui_loop.core.diagnosis.rules.repeats import inputs_of
from tui_loop.core.diagnosis.rules.telling import chance, ids_of
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.examples.tfidf_index import LABEL_ROWS
from tui_loop.core.stats import fisher_greater, holm, wilson
from tui_loop.core.text.figures import of_all

HELD_OUT_ABOVE = (0.25, 0.1, 0.05)
LEVEL = 0.01
TWICE = 2.0
"""A text is hard from twice the usual loss a token on."""

HEAVY = 0.1
"""From this share of wrong references on the figures themselves mislead."""

WORTH = 0.01
GOOD = 0.75
"""Iterations that fail more share so many errors that their agreement says little: of those that a
loop of hard messages called suspect at scores of 62 and 70%, none was wrong."""

LINES_SHOWN = 5
LINES_KEPT = 20


class _Hard(NamedTuple):
    """Training and held-out rows above one loss, and what share of wrong references that means."""

    trained: int
    held: int
    p: float
    share: float
    low: float
    high: float
    above: float


def hard_training_rows(case: Case) -> Iterator[Finding]:
    hardness = hardness_of(case) if has_learned(case) else None
    if hardness is None or min(len(hardness.trained), len(hardness.held)) < FEWEST:
        return
    found = _surest(hardness)
    if found.p >= LEVEL or found.low <= 0:
        return
    trained, held, lines = len(hardness.trained), len(hardness.held), hardness.lines(found.above)
    shown = ", ".join(str(line) for line in lines[:LINES_SHOWN])
    yield Finding(
        FindingKind.LABEL_NOISE,
        "alarm" if found.share >= HEAVY else "warning",
        f"training rows are harder than held-out ones although they were trained on: "
        f"{of_all(found.trained, trained, 'measured training rows')} have a loss that only "
        f"{of_all(found.held, held, 'held-out rows')} exceed ({chance(found.p)}), as if about "
        f"{_percent(found.share)} of the training references were wrong "
        f"({_percent(found.low)} to {_percent(found.high)}); the hardest are lines {shown}",
        {
            "hard_training_rows": found.trained,
            "training_rows": trained,
            "hard_held_out_rows": found.held,
            "held_out_rows": held,
            "share": round(found.share, 3),
            "low": round(found.low, 3),
            "high": round(found.high, 3),
            "p": found.p,
            "lines": ", ".join(str(line) for line in lines[:LINES_KEPT]),
        },
        otherwise="training rows of a harder kind than the held-out ones look alike: look at the "
        "lines named",
    )


def contradictions(case: Case) -> Iterator[Finding]:
    """Training rows of one input with several references, where references are labels."""
    index = case.row_index("train") if case.number else {}
    if len(set(index.values())) * LABEL_ROWS > len(index):
        return
    in_conflict = wrong = inputs = 0
    for rows in inputs_of(index).values():
        said = Counter(reference for _, reference in rows)
        if len(said) > 1:
            inputs += 1
            in_conflict += len(rows)
            wrong += len(rows) - max(said.values())
    if not in_conflict:
        return
    severity: Severity = "note"
    if in_conflict >= WORTH * len(index):
        severity = "alarm" if wrong >= HEAVY * len(index) else "warning"
    yield Finding(
        FindingKind.LABEL_NOISE,
        severity,
        f"{of_all(in_conflict, len(index), 'training rows')} contradict one another: "
        f"{inputs:,} {'input has' if inputs == 1 else 'inputs have'} more than one reference, so "
        f"at least {wrong:,} {'is' if wrong == 1 else 'are'} wrong",
        {"in_conflict": in_conflict, "wrong": wrong, "inputs": inputs, "train_rows": len(index)},
        otherwise="an input may really have several right answers",
    )


def suspect_references(case: Case) -> Iterator[Finding]:
    """Held-out references against which the iterations agree."""
    view = case.view
    if view is None or not has_learned(case) or (case.metric("score") or 0.0) < GOOD:
        return
    label_of, counts = labels_in(view.table.references), trained_on(case)
    rows = [
        row
        for row in with_cause(case, Cause.SUSPECT_REFERENCE)
        if counts.get(label_of.get(view.table.references[row], ""), 1)
    ]
    if not rows:
        return
    yield Finding(
        FindingKind.LABEL_NOISE,
        "note",
        f"{of_all(len(rows), len(view), 'held-out references')} may be wrong: at least 80% of the "
        "iterations that answered say the same other thing",
        {"suspect": len(rows), "total": len(view)},
        examples=ids_of(case, rows),
        otherwise="iterations on one base and one training set share their errors: read these "
        "rows before changing any",
    )


def _surest(hardness: Hardness) -> _Hard:
    trained, held = len(hardness.trained), len(hardness.held)
    values = [value for value, _ in hardness.held]
    least = NOT_SAID if hardness.labels else TWICE * median(values)
    tried = []
    for share in HELD_OUT_ABOVE:
        above = max(least, values[math.ceil(share * held) - 1])
        tried.append((above, hardness.trained_above(above), hardness.held_above(above)))
    p_values = holm([fisher_greater(ours, trained, theirs, held) for _, ours, theirs in tried])
    p, (above, ours, theirs) = min(zip(p_values, tried, strict=True))
    share, low, high = _excess(ours, trained, theirs, held)
    return _Hard(ours, theirs, p, share, low, high, above)


def _excess(ours: int, trained: int, theirs: int, held: int) -> tuple[float, float, float]:
    """(a - b) / (1 - b) with its 95% interval (Newcombe 1998, from Wilson's of the two shares)."""
    a, b = ours / trained, theirs / held
    (a_low, a_high), (b_low, b_high) = wilson(ours, trained), wilson(theirs, held)
    low = a - b - math.hypot(a - a_low, b_high - b)
    high = a - b + math.hypot(a_high - a, b - b_low)
    return (a - b) / (1 - b), max(0.0, low / (1 - b)), min(1.0, high / (1 - b))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"


RULES = (hard_training_rows, contradictions, suspect_references)
