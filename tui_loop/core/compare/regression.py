"""Whether an iteration is significantly worse than another one on the evaluation set.

The exact McNemar test over shared examples compares the two models. Where both configs have
replicates, the claim about the change counts as well. Either is enough for a regression.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tui_loop.core.compare.claims import runs_text
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.stats import mcnemar
from tui_loop.core.text.figures import loss_change, points
from tui_loop.core.workflow.holdout import MOST_ROWS, PairedTable

SIGNIFICANT = 0.05


def regression_of(found: Comparison) -> tuple[str, bool | None]:
    """Returns (the figures in words, whether it is significantly worse or None if unknown)."""
    if found.p_value is None:
        if found.loss is None:
            return "no examples in common", None
        text = f"loss {loss_change(found.loss)} a token over {found.loss_examples} examples"
        return text, found.loss.low > 0 or found.claim == "worse"
    fixed, broken = len(found.fixed), len(found.broken)
    text = f"{fixed} fixed, {broken} broken of {found.compared} (p = {found.p_value:.2g})"
    is_worse = broken > fixed and found.p_value < SIGNIFICANT
    if _is_graded(found) and found.interval is not None:
        text = f"score {points(found.interval)} points, {text}"
        is_worse = is_worse or found.interval.high < 0
    if min(found.replicates) > 1 and found.claim in ("better", "worse", "no difference seen"):
        runs = f"{found.replicates[0]} and {found.replicates[1]} runs"
        text += f"; the change: {found.claim} ({runs})"
        is_worse = is_worse or found.claim == "worse"
    return text, is_worse


def numbers_of(found: Comparison) -> dict[str, Any]:
    """Returns the known figures of `regression_of` by name."""
    numbers: dict[str, Any] = {"against": found.a, "claim": found.claim}
    if found.p_value is not None:
        numbers |= {"fixed": len(found.fixed), "broken": len(found.broken)}
        numbers |= {"compared": found.compared, "p_value": found.p_value}
    for name, interval in (("score", found.interval), ("loss", found.loss)):
        if interval is not None:
            numbers[name] = msgspec.to_builtins(interval)
    return numbers


def blame_of(found: Comparison) -> str:
    """Returns a reservation on a difference of two models; "" where both have replicates."""
    if min(found.replicates) > 1:
        return ""
    return f"the models differ, but the change may not be the cause ({runs_text(found)})"


def table_of(before: list[bool | None], after: list[bool | None]) -> PairedTable:
    """Returns the paired table of outcomes in the same order; skips rows without one."""
    pairs = [
        (old, new)
        for old, new in zip(before, after, strict=True)
        if old is not None and new is not None
    ]
    return PairedTable(
        both=pairs.count((True, True)),
        fixed=pairs.count((False, True)),
        broken=pairs.count((True, False)),
        neither=pairs.count((False, False)),
    )


def worse_than_base(table: PairedTable | None) -> tuple[str, bool]:
    """Returns (a paired table in words, whether the base is significantly better)."""
    if table is None:
        return "", False
    p_value = mcnemar(table.fixed, table.broken)
    text = f"against the base {table.fixed} fixed, {table.broken} broken (p = {p_value:.2g})"
    return text, table.broken > table.fixed and p_value < SIGNIFICANT


def _is_graded(found: Comparison) -> bool:
    """Returns whether scores are graded, so that passed and failed are not enough."""
    names = ("score", "passed", "total")
    sides = (
        tuple(found.metrics.get(name, (None, None))[side] for name in names) for side in (0, 1)
    )
    return any(
        isinstance(score, float)
        and isinstance(passed, int)
        and isinstance(total, int)
        and 0 <= passed <= total < MOST_ROWS
        and total > 0
        and not math.isclose(score, passed / total, abs_tol=1e-9)
        for score, passed, total in sides
    )
