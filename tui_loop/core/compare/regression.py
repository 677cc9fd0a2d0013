"""Whether an iteration is significantly worse than another one on the eval set.

Of two models exact McNemar over their shared examples speaks; where both configs have replicates,
their claim about the change does, too. Either is enough to hold an iteration back.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tui_loop.core.compare.claims import runs_told
from tui_loop.core.compare.comparison import Comparison
from tui_loop.core.stats import mcnemar
from tui_loop.core.text.figures import loss_change, points
from tui_loop.core.workflow.holdout import MOST_ROWS, PairedTable

SIGNIFICANT = 0.05


def regression_of(found: Comparison) -> tuple[str, bool | None]:
    """(the figures in words, whether it is significantly worse); None where nothing is shared."""
    if found.p_value is None:
        if found.loss is None:
            return "nothing that both were evaluated on", None
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
    """The figures of `regression_of` as such; what there is not is left out."""
    numbers: dict[str, Any] = {"against": found.a, "claim": found.claim}
    if found.p_value is not None:
        numbers |= {"fixed": len(found.fixed), "broken": len(found.broken)}
        numbers |= {"compared": found.compared, "p_value": found.p_value}
    for name, interval in (("score", found.interval), ("loss", found.loss)):
        if interval is not None:
            numbers[name] = msgspec.to_builtins(interval)
    return numbers


def blame_of(found: Comparison) -> str:
    """What a difference of two models does not say yet; "" where both configs have replicates."""
    if min(found.replicates) > 1:
        return ""
    return (
        f"these two models differ; that the change is to blame is not proven ({runs_told(found)})"
    )


def table_of(before: list[bool | None], after: list[bool | None]) -> PairedTable:
    """The paired table of outcomes in the same order; rows without one count nowhere."""
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
    """(a paired table in words, whether the base is significantly better)."""
    if table is None:
        return "", False
    p_value = mcnemar(table.fixed, table.broken)
    text = f"against the base {table.fixed} fixed, {table.broken} broken (p = {p_value:.2g})"
    return text, table.broken > table.fixed and p_value < SIGNIFICANT


def _is_graded(found: Comparison) -> bool:
    """Whether scores lie between 0 and 1, so that what passes does not say it all."""
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
