"""What the best iterations have in common, where others were tried."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb
from typing import Any

from tui_loop.core.config.schema import BOOKKEEPING
from tui_loop.core.patterns.pattern import Pattern, as_number, shown
from tui_loop.core.patterns.trials import MODEL, Trial, base_words, best_first
from tui_loop.core.stats import wilson

BEST = 3
"""Configs of a loop that are its best ones, and never more than half of all."""

LEAST_TELLING = 0.5
"""What random configs share with this chance or more is no pattern."""


def best_so_far(trials: Sequence[Trial]) -> list[Pattern]:
    """The fields whose range among the best configs of each loop is narrower than what was tried.

    Configs are ranked within their loop by mean score over their runs, else by eval loss: between
    loops, scores say nothing.
    """
    by_loop: dict[str, list[Trial]] = {}
    for each in trials:
        by_loop.setdefault(each.loop, []).append(each)
    ranked = [best_first(group) for group in by_loop.values()]
    tops = [min(BEST, len(groups) // 2) for groups in ranked]
    best = [group for groups, top in zip(ranked, tops, strict=True) for group in groups[:top]]
    rest = [
        group for groups, top in zip(ranked, tops, strict=True) if top for group in groups[top:]
    ]
    if not best:
        return []
    names = {name: None for group in best for name in group[0].config if _is_tuned(name)}
    found = (_pattern(name, best, rest) for name in names)
    return [each for each in found if each is not None]


def _is_tuned(name: str) -> bool:
    return name.partition(".")[0] in ("lora", "training") and name not in (*BOOKKEEPING, MODEL)


def _pattern(name: str, best: list[list[Trial]], rest: list[list[Trial]]) -> Pattern | None:
    values = [group[0].config.get(name) for group in best]
    others = [group[0].config.get(name) for group in rest]
    numbers = [number for value in values if (number := as_number(value)) is not None]
    low: Any
    high: Any
    if len(numbers) == len(values):
        low, high = min(numbers), max(numbers)
        outside = [v for v in others if (n := as_number(v)) is None or not low <= n <= high]
    else:
        low = high = values[0]
        if any(value != low for value in values):
            return None
        outside = [value for value in others if value != low]
    total, inside = len(values) + len(others), len(values) + len(others) - len(outside)
    chance = comb(inside, len(values)) / comb(total, len(values))
    if not outside or chance >= LEAST_TELLING:
        return None
    label, first = name.partition(".")[2], best[0][0]
    loops = {group[0].loop for group in best}
    had = shown(low) if low == high else f"{shown(low)} to {shown(high)}"
    count = len(values)
    whose = f"the best {count} configs" if count > 1 else "the best config"
    where = f"{total} tried" + (f" in {len(loops)} loops" if len(loops) > 1 else "")
    all_had = {1: "had", 2: "both had"}.get(count, "all had")
    tried = _listed(outside)
    share = wilson(count, count)
    return Pattern(
        kind="best",
        outcome="best",
        field=name,
        base=first.base,
        is_lora=first.is_lora,
        sentence=(
            f"{whose} of {where} on {base_words(first)} {all_had} {label} {had}; also tried: "
            f"{tried} (by chance they would share it {100 * chance:.0f}% of the time)"
        ),
        short=f"the best {f'{count} of {total}' if count > 1 else f'of {total}'} here had {had}",
        count=count,
        total=count,
        low=share[0],
        high=share[1],
        weight="so far",
        value=low,
        upper=high,
        iterations=tuple(each.place for group in best for each in group),
        others=tuple(each.place for group in rest for each in group),
    )


def _listed(values: Sequence[object], most: int = 4) -> str:
    """The values, each once, in order where they have one."""
    numbers = [number for value in values if (number := as_number(value)) is not None]
    if len(numbers) == len(values):
        values = sorted(set(numbers))
    texts = list(dict.fromkeys(shown(value) for value in values))
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")
