"""Which way of changing a field helped: iterations that changed that field and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tui_loop.core.patterns.pattern import (
    Move,
    Pattern,
    Result,
    Side,
    Weight,
    as_number,
    shown,
    weighed,
)
from tui_loop.core.patterns.trials import Trial, base_words
from tui_loop.core.stats import wilson

RESULTS: dict[Result, str] = {
    "helped": "helped",
    "same": "made no difference that could be seen",
    "worse": "made it worse",
}
SPELLED_OUT = 3
"""Up to so many changes of a field are told one by one."""


class Change(msgspec.Struct, frozen=True):
    """One judged change of one field, once a pair of configs.

    `side` is "" where the two values have no order. `with_replicates`: both configs had two runs
    or more, so that training noise is in the judgement.
    """

    field: str
    side: Side
    was: Any
    value: Any
    result: Result
    with_replicates: bool
    trial: Trial


class Tried(msgspec.Struct, frozen=True):
    """What became of one kind of change."""

    changes: tuple[Change, ...] = ()

    def count(self, result: Result) -> int:
        return sum(each.result == result for each in self.changes)

    @property
    def with_replicates(self) -> int:
        """How many were judged with replicates of both configs."""
        return sum(each.with_replicates for each in self.changes)


def tried_outcomes(trials: Sequence[Trial], field: str, side: Side) -> Tried:
    """How raising (`up`) or lowering `group.field` went in these trials; see `changes_of`."""
    changes = changes_of(trials)
    return Tried(tuple(each for each in changes if (each.field, each.side) == (field, side)))


def changes_of(trials: Iterable[Trial]) -> list[Change]:
    """Every change of one field that can be judged, the trials' claims being known."""
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
    """Whether a comparison of the two is what says how a change of one field went."""
    return _changes_one(trial) and trial.ended == parent.ended == "finished" and not parent.asked


def directions(trials: Sequence[Trial]) -> list[Pattern]:
    """How changes of single fields went, of trials on one base."""
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
        trial.against_parent in ("better", "worse", "no difference seen"),
        trial,
    )


def _result(trial: Trial, parent: Trial) -> Result | None:
    """A run that diverges where its parent did not is worse, whatever its last weights score."""
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
    is_same = claim in ("no difference seen", "consistent with no difference")
    return "same" if is_same else None


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
    weight = weighed(max(helped, total - helped), total, configs)
    sentence = f"{word} {label}{_how_it_went(tried, base_words(first.trial), weight)}"
    if tried.with_replicates:
        of_them = f"{tried.with_replicates} of them " if total > 1 else ""
        sentence += f"; {of_them}judged with replicates"
    return Pattern(
        kind="direction",
        outcome="helped",
        field=first.field,
        base=first.trial.base,
        is_lora=first.trial.is_lora,
        sentence=sentence,
        short=in_short(first.side, [_move(each) for each in changes]),
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


def in_short(side: Side, moves: Sequence[Move]) -> str:
    """What became of changes of one field, for the form."""
    helped = sum(each.result == "helped" for each in moves)
    pair = f"{shown(moves[0].was)} → {shown(moves[0].value)}"
    if len(moves) == 1:
        return f"{pair}: {RESULTS[moves[0].result]}, once, on this base"
    subject = {"up": "raising it", "down": "lowering it"}.get(side, pair)
    return f"{subject}: helped {helped} of {len(moves)} times on this base"


def _how_it_went(tried: Tried, base: str, weight: Weight) -> str:
    changes, helped = tried.changes, tried.count("helped")
    diverged = sum(each.trial.ended == "diverged" for each in changes)
    if len(changes) == 1:
        what = "made it diverge" if diverged else RESULTS[changes[0].result]
        return f" {_pair(changes[0])} was tried once on {base} and {what}"
    counted = f"{helped} of {len(changes)} changes"
    if weight == "law" and not helped:
        told = f" never helped on {base} ({counted})"
    else:
        told = f" helped in {counted} on {base}"
    if not changes[0].side:
        told = f" {_pair(changes[0])}{told}"
    if len(changes) <= SPELLED_OUT and changes[0].side:
        return told + ": " + ", ".join(f"{_pair(e)} {RESULTS[e.result]}" for e in changes)
    parts = [_range(changes)] if changes[0].side else []
    for result in ("same", "worse"):
        if count := tried.count(result):
            parts.append(f"{count} {RESULTS[result]}")
    parts += [f"{diverged} of these diverged"] * bool(diverged)
    return told + "".join(f"; {part}" for part in parts)


def _move(change: Change) -> Move:
    return Move(change.was, change.value, change.result)


def _pair(change: Change) -> str:
    return f"{shown(change.was)} → {shown(change.value)}"


def _range(changes: Sequence[Change]) -> str:
    """`from 8 to 64`: the values that the changes went between."""
    values = sorted(v for each in changes for v in (each.was, each.value))
    least, most = shown(values[0]), shown(values[-1])
    return f"from {least} to {most}" if changes[0].side == "up" else f"from {most} to {least}"
