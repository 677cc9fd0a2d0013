"""`ledger.csv`: one row per iteration, derived from the records, for spreadsheets and git."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tui_loop.core.errors import BadInput
from tui_loop.core.record.exclusive import exclusive
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import iterations_of
from tui_loop.core.record.structs import Decision, Iteration
from tui_loop.core.text.untrusted import csv_text

COLUMNS = (
    "number",
    "parent",
    "state",
    "change",
    "why",
    "suggestion",
    "predicted",
    "verdict",
    "learning_rate",
    "train_loss",
    "eval_loss",
    "score",
    "passed",
    "total",
    "steps",
    "seed",
    "duration_s",
    "error",
)


def write_ledger(loop: LoopFolder) -> None:
    """Writes the ledger, derived from the records."""
    with exclusive(loop):  # of two runs that end at once, the slower one would miss the other
        iterations = iterations_of(loop)
        decisions = {each.number: _decision(loop, each.number) for each in iterations}
        write_atomically(loop.ledger, ledger_text(iterations, decisions))


def ledger_text(
    iterations: Sequence[Iteration], decisions: Mapping[int, Decision] | None = None
) -> str:
    """Returns the ledger as CSV; text that a spreadsheet would run as a formula is quoted."""
    known = decisions or {}
    rows = (ledger_row(each, known.get(each.number, Decision())) for each in iterations)
    return csv_text(COLUMNS, rows)


def _decision(loop: LoopFolder, number: int) -> Decision:
    try:
        return loop.iteration(number).read_decision()
    except (BadInput, OSError):  # the row shows the iteration as unreadable
        return Decision()


def ledger_row(iteration: Iteration, decision: Decision) -> list[Any]:
    """Returns the cells of an iteration, in the order of COLUMNS."""
    metrics, trained = iteration.metrics, iteration.number > 0
    training = (iteration.config or {}).get("training", {}) if trained else {}
    return [
        iteration.number,
        iteration.parent,
        iteration.state,
        iteration.title,
        iteration.decision,
        decision.suggestion,
        _predicted(decision),
        iteration.verdict,
        training.get("learning_rate"),
        metrics.get("train_loss"),
        metrics.get("eval_loss"),
        metrics.get("score"),
        metrics.get("passed"),
        metrics.get("total"),
        metrics.get("steps"),
        training.get("seed"),
        iteration.duration_s,
        (iteration.error or {}).get("kind"),
    ]


def _predicted(decision: Decision) -> str | None:
    """Returns `eval_loss 0.5 to 0.62`, None without a prediction."""
    predicted = decision.predicted
    if predicted is None:
        return None
    return f"{predicted.get('metric')} {predicted.get('low')} to {predicted.get('high')}"
