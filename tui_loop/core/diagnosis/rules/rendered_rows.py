"""Findings on how the training rows were rendered, from the counts that a run records.

no_stop  answers were trained without a token that ends them, so outputs do not end.
dropped  the chat template left out parts of rows.
other_prompt  the chat template's generation prompt is not how trained answers start.

Records of earlier versions have no such counts, and nothing is claimed about them.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Figure, Finding, Severity
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.text.figures import of_all

WORTH = 0.05
"""From this share of the rows on, a flaw is worth acting on."""

MOST = 0.5
"""With more than this share of the rows without an end, the rows explain outputs without one."""


def no_stop(facts: IterationFacts) -> Iterator[Finding]:
    """Reports answers that were trained on without a token that ends them."""
    count, rows = _flawed(facts, "no_stop")
    if not count:
        return
    message = f"{of_all(count, rows, 'training rows')} {'has' if count == 1 else 'have'} an answer "
    message += "without a token that ends it, so the model does not learn to stop"
    numbers: dict[str, Figure] = {"rows": count, "train_rows": rows}
    cut, total = (int(facts.metric(name) or 0) for name in ("outputs_truncated", "total"))
    if cut and total:
        message += f"; {of_all(cut, total, 'outputs')} {'reaches' if cut == 1 else 'reach'} the "
        message += "limit of new tokens"
        numbers |= {"outputs": cut, "total": total}
    severity: Severity = "warning" if count >= WORTH * rows else "note"
    yield Finding(
        FindingKind.NO_STOP,
        "alarm" if lacks_stops(facts) and cut > MOST * total else severity,
        message,
        numbers,
        otherwise="outputs that are meant to fill the limit need no end token",
    )


def lacks_stops(facts: IterationFacts) -> bool:
    """Returns whether the record shows that most training rows have an answer without an end."""
    count, rows = _flawed(facts, "no_stop")
    return count > MOST * rows


def trained_stops(facts: IterationFacts) -> tuple[str, ...]:
    """Returns what ends the answers of most training rows, () where the record does not show it.

    A row that is cut may have lost its end.
    """
    rendering, rows = facts.rendering, facts.metric("train_rows")
    if rendering is None or not rows or lacks_stops(facts):
        return ()
    is_cut = (facts.metric("train_rows_cut") or 0) > MOST * rows
    return () if is_cut else rendering.stops


def dropped(facts: IterationFacts) -> Iterator[Finding]:
    """Reports parts of rows that the chat template left out."""
    count, rows = _flawed(facts, "dropped")
    if not count:
        return
    yield Finding(
        FindingKind.DROPPED,
        "warning" if count >= WORTH * rows else "note",
        f"the chat template left out a part of {of_all(count, rows, 'training rows')}, so the "
        "model was not trained on that part",
        {"rows": count, "train_rows": rows},
        otherwise="some templates leave out the reasoning of earlier answers on purpose",
    )


def other_prompt(facts: IterationFacts) -> Iterator[Finding]:
    """Reports answers that start differently from the chat template's generation prompt."""
    count, rows = _flawed(facts, "other_prompt")
    if not count:
        return
    yield Finding(
        FindingKind.OTHER_PROMPT,
        "note",
        f"in {of_all(count, rows, 'training rows')}, an answer starts differently from the chat "
        "template's generation prompt. The evaluation starts answers as in training, but other "
        "programs may use the generation prompt",
        {"rows": count, "train_rows": rows},
    )


def _flawed(facts: IterationFacts, flaw: str) -> tuple[int, int]:
    """Returns how many training rows have a flaw, and how many there are; (0, 0) if unknown."""
    rows = int(facts.metric("train_rows") or 0)
    if not facts.number or facts.rendering is None or rows < 1:
        return 0, 0
    count = facts.rendering.rows_with.get(flaw, 0)
    return min(max(0, count), rows), rows
