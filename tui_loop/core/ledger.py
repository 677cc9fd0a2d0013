"""`ledger.csv`: one row per iteration, derived from the records, for spreadsheets and git."""

from __future__ import annotations

from typing import Any

from tui_loop.core.csv_text import csv_text
from tui_loop.core.files import write_atomically
from tui_loop.core.reader import iterations_of
from tui_loop.core.records import Iteration
from tui_loop.core.store import LoopFolder

COLUMNS = (
    "number",
    "parent",
    "state",
    "change",
    "why",
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
    """Derives the ledger anew."""
    write_atomically(loop.ledger, ledger_text(iterations_of(loop)))


def ledger_text(iterations: list[Iteration]) -> str:
    """The ledger as CSV; text that a spreadsheet would run as a formula is quoted."""
    return csv_text(COLUMNS, map(_row, iterations))


def _row(iteration: Iteration) -> list[Any]:
    metrics, trained = iteration.metrics, iteration.number > 0
    training = (iteration.config or {}).get("training", {}) if trained else {}
    return [
        iteration.number,
        iteration.parent,
        iteration.state,
        iteration.title,
        iteration.decision,
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
