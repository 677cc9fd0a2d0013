"""The report as CSV: the ledger's columns first, one row an iteration, nothing that runs."""

from __future__ import annotations

import csv
import io

from tui_loop.core.record.ledger import COLUMNS
from tui_loop.core.record.structs import Iteration
from tui_loop.core.report.facts import IterationEntry, ParentComparison, Report
from tui_loop.core.report.files import csv_head, csv_table
from tui_loop.core.stats import Interval


def rows_of(*told: IterationEntry) -> list[dict[str, str]]:
    report = Report("tui-loop", "x", "", "tiny", "label", iterations=told, best=1)
    return list(csv.DictReader(io.StringIO(csv_table(report), newline=""), strict=True))


def iteration(**fields: object) -> Iteration:
    return Iteration(**{"number": 1, "state": "finished", **fields})  # type: ignore[arg-type]


def test_the_ledgers_columns_come_first() -> None:
    [row] = rows_of(IterationEntry(iteration()))
    assert tuple(row)[: len(COLUMNS)] == COLUMNS
    assert len(set(row)) == len(row) > len(COLUMNS)
    assert row["is_best"] == "yes"


def test_a_claim_has_its_interval() -> None:
    against = ParentComparison(
        0, "-3 ±2 worse", "worse", score=Interval(-0.03, -0.05, -0.01), broken=4
    )
    [row] = rows_of(IterationEntry(iteration(), against=against))
    assert (row["claim"], row["delta"], row["delta_low"]) == ("worse", "-0.03", "-0.05")
    assert (row["broken"], row["fixed"]) == ("4", "0")


def test_no_cell_runs_as_a_formula_and_no_control_sign_is_left() -> None:
    [row] = rows_of(IterationEntry(iteration(title="=1+1", decision="@x\x1b[2J"), suggestion="+x"))
    assert (row["change"], row["suggestion"]) == ("'=1+1", "'+x")
    assert row["why"] == "'@x␛[2J"


def test_its_head_tells_it_from_the_ledger() -> None:
    assert csv_head().startswith(",".join(COLUMNS) + ",")
    assert csv_head().endswith("\n")
