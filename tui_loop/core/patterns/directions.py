"""Finds the direction in which changing a field helped, from iterations that changed it alone.

A comparison resamples examples, which takes 20 ms per pair. For two configs with one run each, the
scores alone, or the mean and deviation of the paired differences, often decide. Only borderline
pairs and those with replicates are compared in full.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.compare.comparison import NO_DIFFERENCE, NOTHING, Comparer
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.pattern import (
    Move,
    Pattern,
    Result,
    Side,
    Weight,
    as_number,
    shown,
    weight_of,
)
from tui_loop.core.patterns.trials import Trial, base_words
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration
from tui_loop.core.stats import wilson

RESULTS: dict[Result, str] = {
    "helped": "helped",
    "same": "showed no difference",
    "worse": "made the result worse",
}
MAX_LISTED = 3
"""Up to this many changes of a field are listed one by one."""


class Change(msgspec.Struct, frozen=True):
    """A change of one field with its result. Each pair of configs has one change.

    `side`: "" where the two values have no order. `with_replicates`: both configs had at least two
    runs, so the result takes training noise into account.
    """

    field: str
    side: Side
    was: Any
    value: Any
    result: Result
    with_replicates: bool
    trial: Trial


class Tried(msgspec.Struct, frozen=True):
    """The results of one kind of change."""

    changes: tuple[Change, ...] = ()

    def count(self, result: Result) -> int:
        return sum(each.result == result for each in self.changes)

    @property
    def with_replicates(self) -> int:
        """Returns how many changes have replicates of both configs."""
        return sum(each.with_replicates for each in self.changes)


def tried_outcomes(trials: Sequence[Trial], field: str, side: Side) -> Tried:
    """Returns the results of raising (`up`) or lowering `group.field`; see `changes_of`."""
    changes = changes_of(trials)
    return Tried(tuple(each for each in changes if (each.field, each.side) == (field, side)))


def changes_of(trials: Iterable[Trial]) -> list[Change]:
    """Returns every change of one field with a result, for trials with known claims.

    Of several changes between one pair of configs, one with replicates counts, else the first.
    """
    known = {(each.loop, each.number): each for each in trials}
    found: dict[object, Change] = {}
    for each in known.values():
        parent = known.get((each.loop, each.parent or 0))
        change = _change(each, parent) if parent is not None else None
        if change is None or parent is None:
            continue
        pair = (each.loop, parent.settings, each.settings)
        earlier = found.get(pair)
        if earlier is None or change.with_replicates > earlier.with_replicates:
            found[pair] = change
    return list(found.values())


def is_judged_by_claim(trial: Trial, parent: Trial) -> bool:
    """Returns whether the result of a change of one field needs a comparison of the two."""
    return _changes_one(trial) and trial.ended == parent.ended == "finished" and not parent.asked


def directions(trials: Sequence[Trial]) -> list[Pattern]:
    """Returns the patterns of changes of single fields, for trials on one base."""
    groups: dict[object, list[Change]] = {}
    for each in changes_of(trials):
        values = () if each.side else (shown(each.was), shown(each.value))
        groups.setdefault((each.field, each.side, values), []).append(each)
    return [_pattern(Tried(tuple(group))) for group in groups.values()]


def _changes_one(trial: Trial) -> bool:
    return trial.changed is not None and len(trial.changed) == 1 and not trial.asked


def _change(trial: Trial, parent: Trial) -> Change | None:
    if not _changes_one(trial) or parent.asked:
        return None
    result = _result(trial, parent)
    if result is None:
        return None
    assert trial.changed is not None
    ((field, (was, value)),) = trial.changed.items()
    return Change(
        field,
        _side(was, value),
        was,
        value,
        result,
        trial.replicates > 1,
        trial,
    )


def _result(trial: Trial, parent: Trial) -> Result | None:
    """Returns the result of a change. A run that diverged is worse, whatever its weights score."""
    if (trial.ended, parent.ended) == ("diverged", "finished"):
        return "worse"
    if (trial.ended, parent.ended) == ("finished", "diverged"):
        return "helped"
    if trial.ended != "finished" or parent.ended != "finished":
        return None
    claim = trial.against_parent
    if claim.endswith("better"):
        return "helped"
    if claim.endswith("worse"):
        return "worse"
    return "same" if claim == NO_DIFFERENCE else None


def _side(was: Any, value: Any) -> Side:
    before, after = as_number(was), as_number(value)
    if before is None or after is None:
        return ""
    return "up" if after > before else "down"


def _pattern(tried: Tried) -> Pattern:
    changes = tried.changes
    first, total = changes[0], len(changes)
    helped = tried.count("helped")
    label = first.field.partition(".")[2]
    word = {"up": "raising", "down": "lowering", "": "setting"}[first.side]
    configs = len({each.trial.settings for each in changes})
    low, high = wilson(helped, total)
    weight = weight_of(max(helped, total - helped), total, configs)
    sentence = f"{word} {label}{_results_text(tried, base_words(first.trial), weight)}"
    if tried.with_replicates:
        tries = f" in {tried.with_replicates} of the tries" if total > 1 else ""
        sentence += f"; both configs have replicates{tries}"
    return Pattern(
        kind="direction",
        outcome="helped",
        field=first.field,
        base=first.trial.base,
        is_lora=first.trial.is_lora,
        sentence=sentence,
        short=short_text(first.side, [_move(each) for each in changes]),
        count=helped,
        total=total,
        low=low,
        high=high,
        weight=weight,
        side=first.side,
        moves=tuple(_move(each) for each in changes),
        iterations=tuple(each.trial.place for each in changes),
        others=tuple(dict.fromkeys(f"{each.trial.loop}/{each.trial.parent}" for each in changes)),
        with_replicates=tried.with_replicates,
    )


def short_text(side: Side, moves: Sequence[Move]) -> str:
    """Returns the results of changes of one field, for the form."""
    helped = sum(each.result == "helped" for each in moves)
    pair = f"{shown(moves[0].was)} → {shown(moves[0].value)}"
    if len(moves) == 1:
        return f"{pair}: tried once on this base, {RESULTS[moves[0].result]}"
    subject = {"up": "higher values", "down": "lower values"}.get(side, f"{pair}:")
    return f"{subject} helped {helped} of {len(moves)} times on this base"


def _results_text(tried: Tried, base: str, weight: Weight) -> str:
    changes, helped = tried.changes, tried.count("helped")
    diverged = sum(each.trial.ended == "diverged" for each in changes)
    if len(changes) == 1:
        what = "made the run diverge" if diverged else RESULTS[changes[0].result]
        return f" {_pair(changes[0])} was tried once on {base} and {what}"
    counted = f"{helped} of {len(changes)} tries"
    is_listed = bool(changes[0].side) and len(changes) <= MAX_LISTED
    values = f"{_range(changes)}" if changes[0].side and not is_listed else ""
    if weight == "law" and not helped:
        text = f" never helped on {base} ({', '.join(filter(None, (counted, values)))})"
    else:
        text = f" helped in {counted} on {base}" + (f" ({values})" if values else "")
    if not changes[0].side:
        text = f" {_pair(changes[0])}{text}"
    if is_listed:
        return text + ": " + ", ".join(f"{_pair(e)} {RESULTS[e.result]}" for e in changes)
    parts = [f"{count} {RESULTS[r]}" for r in ("same", "worse") if (count := tried.count(r))]
    if diverged:  # such a run is worse, so these are among the last part
        parts[-1] += f" ({diverged} of them diverged)"
    return text + (": " if parts else "") + ", ".join(parts)


def _move(change: Change) -> Move:
    return Move(change.was, change.value, change.result)


def _pair(change: Change) -> str:
    return f"{shown(change.was)} → {shown(change.value)}"


def _range(changes: Sequence[Change]) -> str:
    """Returns `values from 8 to 64`: the range of the changes."""
    values = sorted(v for each in changes for v in (each.was, each.value))
    least, most = shown(values[0]), shown(values[-1])
    return (
        f"values from {least} to {most}"
        if changes[0].side == "up"
        else f"values from {most} to {least}"
    )


SURE_WIDTHS = 2.5
"""Scores that differ by this many of the largest possible standard errors need no examples: the
paired interval, with a half width of at most 1.96 such errors, cannot include zero."""

LEAST_PAIRS = 40
"""With fewer pairs, the comparison is always made in full."""


class Claim(msgspec.Struct, frozen=True):
    """A claim in words, and the smaller number of runs of the two configs."""

    words: str
    replicates: int = 1


class Claims:
    """The claims on pairs of iterations of one loop, cached while the loop does not change."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._comparer = Comparer(reader)
        self._of: Sequence[Iteration] = ()
        self._known: dict[tuple[int, int], Claim] = {}

    @property
    def path(self) -> Path:
        return self._reader.loop.path

    def begin(self, iterations: Sequence[Iteration]) -> bool:
        """Clears the cache where the iterations have changed; returns whether they are the same."""
        same = len(iterations) == len(self._of) and all(map(_is, iterations, self._of))
        if not same:
            self._of, self._known = iterations, {}
        return same

    def claim(
        self, old: Iteration, new: Iteration, *, has_replicates: bool, until: float
    ) -> Claim | None:
        """Returns the claim on `new` against `old`, None if the time is up."""
        pair = old.number, new.number
        if pair not in self._known:
            words = None if has_replicates else sure_claim(old, new)
            if words is not None:
                self._known[pair] = Claim(words)
            elif time.monotonic() < until:
                self._known[pair] = self._compared(old, new)
        return self._known.get(pair)

    def _compared(self, old: Iteration, new: Iteration) -> Claim:
        try:
            result = self._comparer.compare(old.number, new.number)
        except (TuiLoopError, OSError):  # unreadable iterations have no claim
            return Claim(NOTHING)
        return Claim(result.claim, min(result.replicates))


def sure_claim(old: Iteration, new: Iteration) -> str | None:
    """Returns the claim on two single runs, None where their examples are needed.

    The scores must be so far apart that no pairing of the examples can change the claim.

    A score in [0, 1] with mean m has a variance of at most m(1 - m), and a paired difference at
    most the square of the sum of both deviations.
    """
    before, after = old.metrics.get("score"), new.metrics.get("score")
    total = new.metrics.get("total")
    if not isinstance(before, float | int) or not isinstance(after, float | int):
        return None
    alike = old.fingerprint is not None and old.fingerprint == new.fingerprint
    if not alike or not isinstance(total, int) or total < LEAST_PAIRS:
        return None
    if not (0 <= before <= 1 and 0 <= after <= 1) or old.metrics.get("total") != total:
        return None
    spread = sum(math.sqrt(each * (1 - each)) for each in (before, after)) / math.sqrt(total - 1)
    return _words(after - before) if abs(after - before) > SURE_WIDTHS * spread else None


def _words(difference: float) -> str:
    return f"consistent with {'better' if difference > 0 else 'worse'}"


def _is(one: object, other: object) -> bool:
    return one is other
