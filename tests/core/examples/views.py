"""Small views to list from, laid out in memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tui_loop.core.examples.history import Histories, Outcomes, outcomes_of
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.structs import Example


def row_of(name: str, passed: bool | None = True, **more: Any) -> Example:
    """An example whose id is `name`."""
    fields: dict[str, Any] = {
        "prompt": f"prompt of {name}",
        "reference": "yes",
        "output": "yes" if passed else "no",
        "score": None if passed is None else float(passed),
        "causes": (),
        "loss": 0.5,
        "supervised_tokens": 1,
        "output_tokens": 1,
        "truncated": False,
        "source_line": 1,
    }
    return Example(id=name, passed=passed, **{**fields, **more})


def rows_of(outcomes: str, **more: Any) -> list[Example]:
    """Examples `a`, `b` ... by their outcomes: `+` passed, `-` failed, `.` unscored."""
    told = {"+": True, "-": False, ".": None}
    return [
        row_of(chr(ord("a") + at), told[sign], **more)
        for at, sign in enumerate(outcomes)
        if sign != " "
    ]


def outcomes_in(number: int, rows: Sequence[Example], *, is_alike: bool = True) -> Outcomes:
    return outcomes_of(number, ExampleTable.of(rows), is_alike=is_alike)


def view_of(
    rows: Sequence[Example],
    against: Sequence[Example] | None = None,
    *,
    earlier: Sequence[Sequence[Example]] = (),
    is_alike: bool = True,
    **more: Any,
) -> ExampleView:
    """A view of iteration 9; `earlier` are iterations 0, 1 ..., `against` is iteration 8."""
    table = ExampleTable.of(rows)
    old = None if against is None else outcomes_in(8, against, is_alike=is_alike)
    all_outcomes = [outcomes_in(number, each) for number, each in enumerate(earlier)]
    histories = Histories(table, [*all_outcomes, outcomes_of(9, table)]) if earlier else None
    return ExampleView(table, against=old, histories=histories, **more)


def names(view: ExampleView, rows: Sequence[int]) -> str:
    """The ids of rows, one beside the other."""
    return "".join(view.table.ids[row] for row in rows)
