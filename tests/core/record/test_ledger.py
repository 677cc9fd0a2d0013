"""The ledger: one row an iteration, and nothing that a spreadsheet would run."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.ledger import COLUMNS, ledger_text, write_ledger
from tui_loop.core.record.structs import Iteration

MakeFinished = Callable[..., IterationFolder]


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def row_of(**fields: Any) -> dict[str, str]:
    [row] = rows_of(ledger_text([Iteration(**{"number": 1, "state": "finished", **fields})]))
    return row


def test_a_loop_has_a_row_for_every_iteration(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0, 0.0], base=True)
    finished([1.0, 1.0], "learning_rate=2e-4", "seed=7", why="faster, maybe")
    write_ledger(loop)
    base, first = rows_of(loop.ledger.read_text())
    assert tuple(base) == COLUMNS
    assert (base["number"], base["parent"], base["change"]) == ("0", "", "base")
    assert (base["learning_rate"], base["seed"], base["train_loss"]) == ("", "", "")
    assert first["change"] == "learning_rate 1e-4 → 2e-4, +1"
    assert (first["why"], first["score"], first["passed"]) == ("faster, maybe", "1.0", "2")
    assert (first["learning_rate"], first["seed"], first["total"]) == ("0.0002", "7", "2")


def test_an_unreadable_iteration_has_a_row_too(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0])
    finished([1.0]).summary.write_text("{")
    write_ledger(loop)
    assert [row["state"] for row in rows_of(loop.ledger.read_text())] == ["finished", "unreadable"]
    assert rows_of(loop.ledger.read_text())[1]["error"] == "data"


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1", "-1", "@SUM(A1)", "=HYPERLINK(0)", "\t=1", "\r=1", "\n=1", " =1"),
        *("\x0b=1", "\u2028=1", "\xa0=1"),
    ],
)
def test_text_that_a_spreadsheet_would_run_is_made_text(text: str) -> None:
    row = row_of(decision=text, title=text)
    assert row["why"] == row["change"] == "'" + text.strip()


@given(st.text(max_size=30))
def test_no_text_begins_a_formula_and_none_breaks_its_row(text: str) -> None:
    row = row_of(decision=text, title=text, error={"kind": text})
    assert list(row) == list(COLUMNS)
    for column in ("why", "change", "error"):
        assert not row[column].startswith(("=", "+", "-", "@", "\t", "\r", "\n"))


def test_negative_numbers_stay_numbers() -> None:
    assert row_of(metrics={"eval_loss": -0.5})["eval_loss"] == "-0.5"


def test_what_there_is_not_is_an_empty_cell() -> None:
    row = row_of()
    assert {row[name] for name in ("parent", "score", "learning_rate", "error")} == {""}
