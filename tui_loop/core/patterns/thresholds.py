"""Finds thresholds beyond which runs fail or gain nothing, and what the best configs share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from typing import Any

import msgspec

from tui_loop.core.config.schema import BOOKKEEPING, TRAIN_ON
from tui_loop.core.patterns.pattern import (
    SHORT_WORDS,
    Outcome,
    Pattern,
    Side,
    as_number,
    how_often,
    shown,
    weight_of,
)
from tui_loop.core.patterns.trials import (
    BATCH,
    MODEL,
    RATE,
    Trial,
    base_words,
    best_first,
    diverged,
    no_better,
    ran_out_of_memory,
)
from tui_loop.core.stats import wilson

MIN_SHARE = 0.75
"""The least share of runs beyond a threshold with the outcome."""

Judge = Callable[[Trial], bool | None]


class OutcomeRule(msgspec.Struct, frozen=True):
    """An outcome, and the fields that can cause it, each with the side that can.

    The first field is the usual cause. Its threshold is reported even where no value on the other
    side was tried.
    """

    outcome: Outcome
    judge: Judge
    verb: str
    fields: tuple[tuple[str, Side], ...]


OUTCOME_RULES = (
    OutcomeRule(
        "diverged",
        diverged,
        "diverged",
        ((RATE, "up"), ("lora.lora_alpha", "up"), ("training.warmup_steps", "down")),
    ),
    OutcomeRule(
        "oom",
        ran_out_of_memory,
        "ran out of memory",
        ((BATCH, "up"), ("training.max_length", "up"), ("lora.r", "up")),
    ),
    OutcomeRule(
        "no better",
        no_better,
        "ended no better than the base",
        (
            (RATE, "down"),
            (RATE, "up"),
            ("training.num_train_epochs", "down"),
            ("training.max_steps", "down"),
            ("training.max_length", "down"),
            ("data.max_train_rows", "down"),
            ("lora.r", "down"),
        ),
    ),
)
"""The outcomes with their plausible causes. No other fields are tested: among many fields, some
separate the runs by chance."""


def thresholds(trials: Sequence[Trial]) -> list[Pattern]:
    """Returns the thresholds of trials on one base."""
    found: list[Pattern] = []
    for rule in OUTCOME_RULES:
        of_outcome: list[Pattern] = []
        for place, (field, side) in enumerate(rule.fields):
            pattern = threshold(trials, rule, field, side, may_be_alone=place == 0)
            if pattern is not None:
                of_outcome.append(pattern)
        found += [_with_others(each, of_outcome) for each in of_outcome]
    return found


def threshold(
    trials: Sequence[Trial], rule: OutcomeRule, field: str, side: Side, *, may_be_alone: bool
) -> Pattern | None:
    """Returns the nearest value from which on most trials had the outcome, and fewer before it."""
    judged = []
    for each in trials:
        value, hit = as_number(each.value(field)), rule.judge(each)
        if value is not None and hit is not None:
            judged.append(_Judged(value, hit, each))
    for value in sorted({each.value for each in judged}, reverse=side == "down"):
        cut = _Cut(value, [], [])
        for known in judged:
            is_beyond = known.value >= value if side == "up" else known.value <= value
            (cut.beyond if is_beyond else cut.before).append(known)
        if cut.is_sharp:
            return (
                _threshold_pattern(rule, field, side, cut) if cut.before or may_be_alone else None
            )
    return None


class _Judged(msgspec.Struct, frozen=True):
    value: float
    hit: bool
    trial: Trial


class _Cut(msgspec.Struct, frozen=True):
    """The trials from a value on (`beyond`), and the trials before the value (`before`)."""

    value: float
    beyond: list[_Judged]
    before: list[_Judged]

    @property
    def is_sharp(self) -> bool:
        """Returns whether the outcome is usual at the value and beyond, and not before."""
        share = _hits(self.beyond) / len(self.beyond)
        edge = [each for each in self.beyond if each.value == self.value]
        if share < MIN_SHARE or 2 * _hits(edge) < len(edge):
            return False
        return not self.before or _hits(self.before) / len(self.before) <= share / 2


def _hits(judged: Sequence[_Judged]) -> int:
    return sum(each.hit for each in judged)


def _threshold_pattern(rule: OutcomeRule, field: str, side: Side, cut: _Cut) -> Pattern:
    hits, total = _hits(cut.beyond), len(cut.beyond)
    first = cut.beyond[0].trial
    edge = f"{shown(cut.value)} or {'more' if side == 'up' else 'less'}"
    often = how_often(hits, total)
    configs = len({each.trial.settings for each in cut.beyond})
    times = often if total == 1 else f"{often} times"
    of_one = " of one config" if configs == 1 else ""
    text = f"the one run {rule.verb}" if total == 1 else f"{often} runs{of_one} {rule.verb}"
    low, high = wilson(hits, total)
    return Pattern(
        kind="threshold",
        outcome=rule.outcome,
        field=field,
        base=first.base,
        is_lora=first.is_lora,
        sentence=f"at {field.partition('.')[2]} {edge}, {text} on {base_words(first)}; "
        f"{_other_side(side, cut.before, rule.verb)}",
        short=f"at {edge}: {SHORT_WORDS[rule.outcome]} {times} on this base",
        count=hits,
        total=total,
        low=low,
        high=high,
        weight=weight_of(hits, total, configs),
        side=side,
        value=cut.value,
        iterations=tuple(each.trial.place for each in cut.beyond),
        others=tuple(each.trial.place for each in cut.before),
    )


def _other_side(side: Side, before: Sequence[_Judged], verb: str) -> str:
    if not before:
        return f"no {'lower' if side == 'up' else 'higher'} value was tried"
    values, hits = [each.value for each in before], _hits(before)
    which = "lower" if side == "up" else "higher"
    nearest = shown(max(values) if side == "up" else min(values))
    if len(before) == 1:
        result = f"also {verb}" if hits else "did not"
        return f"the one run with a {which} value ({nearest}) {result}"
    return (
        f"{hits or 'none'} of the {len(before)} runs with {which} values {verb} "
        f"(nearest value: {nearest})"
    )


def _with_others(pattern: Pattern, found: Sequence[Pattern]) -> Pattern:
    """Returns the pattern with the other fields that separate the same runs."""
    same = sorted(
        {
            each.label
            for each in found
            if each.field != pattern.field and set(each.iterations) == set(pattern.iterations)
        }
    )
    if not same:
        return pattern
    text = f"the same runs also differ from the others in {' and '.join(same)}"
    return msgspec.structs.replace(pattern, otherwise=text)


BEST = 3
"""The number of best configs of a loop, at most half of all."""

MAX_CHANCE = 0.5
"""A range that random configs would share with this probability is not a pattern."""


def best_so_far(trials: Sequence[Trial]) -> list[Pattern]:
    """Returns the fields whose range among the best configs is narrower than the tried range.

    Configs are ranked within their loop by mean score over their runs, else by eval loss, since
    scores of different loops are not comparable.
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
    found = (_shared_pattern(name, best, rest) for name in names)
    return [each for each in found if each is not None]


def _is_tuned(name: str) -> bool:
    is_of_training = name.partition(".")[0] in ("lora", "training") or name == TRAIN_ON
    return is_of_training and name not in (*BOOKKEEPING, MODEL)


def _shared_pattern(name: str, best: list[list[Trial]], rest: list[list[Trial]]) -> Pattern | None:
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
    if not outside or chance >= MAX_CHANCE:
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
            f"{whose} of {where} on {base_words(first)} {all_had} {label} {had} "
            f"({100 * chance:.0f}% likely by chance); also tried: {tried}"
        ),
        short=f"the best {f'{count} of {total}' if count > 1 else f'of {total}'} configs had {had}",
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
    """Returns the distinct values, sorted where they are numbers."""
    numbers = [number for value in values if (number := as_number(value)) is not None]
    if len(numbers) == len(values):
        values = sorted(set(numbers))
    texts = list(dict.fromkeys(shown(value) for value in values))
    more = len(texts) - most
    return ", ".join(texts[:most]) + (f" and {more} more" if more > 0 else "")
