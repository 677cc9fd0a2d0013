"""What several rules say alike: chances, and names in a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT
from tui_loop.core.text.untrusted import one_line

_NAME = 40


def chance(p: float) -> str:
    """`p = 0.03`, `p = 0.0004`, `p < 1e-6`."""
    if p < 1e-6:
        return "p < 1e-6"
    return f"p = {p:.1g}" if p < 0.1 else f"p = {p:.2f}"


def named(names: Sequence[str], shown: int = 3) -> str:
    """`"refund"`, `"refund" and "login"`, `"refund", "login", "praise" and 4 more`."""
    told = [f'"{one_line(each, _NAME)}"' for each in names[:shown]]
    if len(names) > shown:
        return f"{', '.join(told)} and {len(names) - shown} more"
    return told[0] if len(told) == 1 else f"{', '.join(told[:-1])} and {told[-1]}"


def ids_of(case: Case, rows: Iterable[int]) -> tuple[str, ...]:
    """The ids of the first rows: as many as a finding carries."""
    view = case.view
    if view is None:
        return ()
    return tuple(view.table.ids[row] for row, _ in zip(rows, range(EXAMPLES_KEPT), strict=False))
