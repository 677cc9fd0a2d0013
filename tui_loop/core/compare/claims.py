"""Words the claims of a comparison, and decides whether an iteration is significantly worse.

A regression is found by the exact McNemar test over shared examples, which compares the two models,
or by the claim about the change where both configs have replicates. Either is enough. Where
examples are not independent, the sign-flip test over their groups replaces McNemar's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.core.clusters import clusters_of, group_of, unit_of
from tui_loop.core.commands import command
from tui_loop.core.compare.comparison import (
    MEASURED_DIFFERENTLY,
    NO_DIFFERENCE,
    SEED_NOISE,
    Comparison,
    changes_by_group,
)
from tui_loop.core.paired_stats import mcnemar
from tui_loop.core.record.structs import Example
from tui_loop.core.text import figures
from tui_loop.core.text.figures import loss_change, points
from tui_loop.core.workflow.holdout import MOST_ROWS, PairedTable


def claim_words(result: Comparison) -> list[tuple[str, str]]:
    """Returns (subject, text) for each line; the line on the change has the claim."""
    lines: list[tuple[str, str]] = []
    if result.interval is not None:
        text = (
            f"{figures.points(result.interval)} points over "
            f"{examples_of(result)}: {changes_of(result)} "
            f"({'sign-flip' if result.groups else 'McNemar'} p = {result.p_value:.2g})"
        )
        lines.append(("score", text))
    if result.loss is not None:
        change = figures.loss_change(result.loss)
        over = examples_of(result, by_loss=True)
        lines.append(("loss", f"{change} nats per token over {over}"))
    if result.interval is None:
        lines.insert(0, ("", "no scores to compare"))
    if result.change is None:
        return lines
    runs = result.replicates
    if result.is_identical:
        text = "both runs have the same config, rows and seed, and gave the same results"
        return [*lines, ("no change:", text)]
    if result.claim == SEED_NOISE:
        text = f"both runs have the same config, so the difference is {SEED_NOISE}"
        if runs[0] > 1:
            text += f" ({runs[0]} runs of this config with different seeds)"
        return [*lines, ("no change:", text)]
    counted = runs_words(runs)
    claim = f"{result.claim} by its loss" if result.claim_by == "loss" else result.claim
    lines.append(("the change:", f"{claim} ({counted})"))
    if result.claim == MEASURED_DIFFERENTLY:
        lines.append(("", "sampling or stop strings differ, so the outputs cannot be compared"))
    elif min(runs) < 2 and result.a != 0:
        lines.append(
            (
                "",
                "the test compares only these two models; to separate the change from training "
                "noise, repeat the runs: " + command("run", "--repeat", 2),
            )
        )
    return lines


def runs_words(runs: tuple[int, int]) -> str:
    """Returns how many runs two configs have: `one run of each config`."""
    if runs == (1, 1):
        return "one run of each config"
    return f"runs per config: {runs[0]} and {runs[1]}"


def brief_delta(comparison: Comparison | None) -> str:
    """Returns `+21 ±15 better`: points, half the 95% interval, claim (`better?`: one run of each).

    The change of the loss where there is no score or the loss decides: `loss -0.42 better?`. For
    two runs of one config: `+1 ±8 noise`, or `identical`.
    """
    if comparison is None or comparison.change is None:
        return ""
    if comparison.is_identical:
        return "identical"
    certain = comparison.claim.removeprefix("consistent with ")
    word = _BRIEF.get(certain, certain) + ("?" if certain != comparison.claim else "")
    if comparison.is_by_loss:
        return f"loss {comparison.change.delta:+.2f} {word}"
    return f"{points(comparison.change)} {word}"


_BRIEF = {SEED_NOISE: "noise", NO_DIFFERENCE: "no diff", MEASURED_DIFFERENTLY: "unlike"}


def runs_text(result: Comparison) -> str:
    """Returns how many runs a comparison has: `2 runs of iteration 2, one of iteration 7`."""
    before, after = result.replicates
    if not result.a:
        return "one run" if after == 1 else f"{after} runs"
    if before == after == 1:
        return "one run of each config"
    parts = ["one run" if before == 1 else f"{before} runs", "one" if after == 1 else str(after)]
    return f"{parts[0]} of iteration {result.a}, {parts[1]} of iteration {result.b}"


def examples_of(found: Comparison, *, by_loss: bool = False) -> str:
    """Returns `117 examples` that were compared, with groups `60 answers of 20 conversations`."""
    if by_loss:
        return figures.examples(found.loss_examples, found.loss_groups, found.unit)
    return figures.examples(found.compared, found.groups, found.unit)


def changes_of(found: Comparison) -> str:
    """Returns `12 fixed, 5 broken`, with the changed groups where these are the unit."""
    counts = len(found.fixed), len(found.broken), found.changed_groups
    return figures.changes(*counts, found.unit)


SIGNIFICANT = 0.05


def regression_of(found: Comparison) -> tuple[str, bool | None]:
    """Returns (the figures in words, whether it is significantly worse or None if unknown)."""
    if found.claim == MEASURED_DIFFERENTLY:
        return "measured differently: sampling or stop strings differ", None
    if found.p_value is None:
        if found.loss is None:
            return "no examples in common", None
        over = examples_of(found, by_loss=True)
        return f"loss {loss_change(found.loss)} nats per token over {over}", found.loss.low > 0
    text = f"{changes_of(found)} of {found.compared} examples (p = {found.p_value:.2g})"
    if found.groups:
        text = f"{changes_of(found)} of {found.groups} in all (p = {found.p_value:.2g})"
    is_worse = len(found.broken) > len(found.fixed) and found.p_value < SIGNIFICANT
    if _is_graded(found) and found.interval is not None:
        text = f"score {points(found.interval)} points, {text}"
        is_worse = is_worse or found.interval.high < 0
    if found.has_spread and found.claim in ("better", "worse", NO_DIFFERENCE):
        runs = runs_words(found.replicates)
        by_loss = " by its loss" if found.claim_by == "loss" else ""
        text += f"; the change: {found.claim}{by_loss} ({runs})"
        is_worse = is_worse or (found.claim == "worse" and found.claim_by == "score")
    return text, is_worse


def numbers_of(found: Comparison) -> dict[str, Any]:
    """Returns the known figures of `regression_of` by name."""
    numbers: dict[str, Any] = {"against": found.a, "claim": found.claim}
    if found.claim_by:
        numbers["claim_by"] = found.claim_by
    if found.p_value is not None:
        numbers |= {"fixed": len(found.fixed), "broken": len(found.broken)}
        numbers |= {"compared": found.compared, "p_value": found.p_value}
        if found.groups:
            numbers |= {"groups": found.groups, "unit": found.unit}
    for name, interval in (("score", found.interval), ("loss", found.loss)):
        if interval is not None:
            numbers[name] = msgspec.to_builtins(interval)
    return numbers


def blame_of(found: Comparison) -> str:
    """Returns a reservation on a difference of two models; "" where both have replicates."""
    if min(found.replicates) > 1:
        return ""
    return f"the models differ, but training noise may be the cause ({runs_text(found)})"


def table_of(before: Sequence[Example], after: Sequence[Example]) -> PairedTable:
    """Returns the paired table of examples in the same order; skips rows without an outcome."""
    scored = [
        (old, new)
        for old, new in zip(before, after, strict=True)
        if old.passed is not None and new.passed is not None
    ]
    pairs = [(old.passed, new.passed) for old, new in scored]
    p_value, changed = None, 0
    clusters = clusters_of(group_of(new) for _, new in scored)
    if clusters is not None:
        changes = [int(bool(now)) - int(bool(was)) for was, now in pairs]
        p_value, changed = changes_by_group(changes, clusters)
    return PairedTable(
        both=pairs.count((True, True)),
        fixed=pairs.count((False, True)),
        broken=pairs.count((True, False)),
        neither=pairs.count((False, False)),
        p_value=p_value,
        changed_groups=changed,
        unit=unit_of(new for _, new in scored),
    )


def worse_than_base(table: PairedTable | None) -> tuple[str, bool]:
    """Returns (a paired table in words, whether the base is significantly better)."""
    if table is None:
        return "", False
    p_value = table.p_value
    if p_value is None:
        p_value = mcnemar(table.fixed, table.broken)
    changes = figures.changes(table.fixed, table.broken, table.changed_groups, table.unit)
    text = f"compared with the base: {changes} (p = {p_value:.2g})"
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
