"""Polls the patterns of all loops in some folders, within a time limit, and hints from them."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.patterns.directions import Claims, directions, is_judged_by_claim, short_text
from tui_loop.core.patterns.pattern import (
    SHORT_WORDS,
    Move,
    Pattern,
    as_number,
    by_field,
    how_often,
    shown,
)
from tui_loop.core.patterns.thresholds import best_so_far, thresholds
from tui_loop.core.patterns.trials import Trial, trials_from
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration

_ORDER = {"threshold": 0, "direction": 1, "best": 2}


class Patterns(msgspec.Struct, frozen=True):
    """The patterns in the loops read so far, by kind (thresholds first) and weight.

    `unread`: unreadable iterations. `waiting`: comparisons that the time limit left out.
    """

    patterns: tuple[Pattern, ...] = ()
    trials: tuple[Trial, ...] = ()
    loops: int = 0
    unread: int = 0
    waiting: int = 0

    def trial(self, place: str) -> Trial | None:
        """Returns the trial `loop/N`."""
        return next((each for each in self.trials if each.place == place), None)


class PatternsReader:
    """Polls the loops of the given folders, for one thread at a time.

    Caches what was read and compared while it does not change.
    """

    def __init__(self, folder: LoopsFolder, others: Sequence[LoopsFolder] = ()) -> None:
        """Names the loops in `others` with their folder's path as a prefix."""
        self._folders = [(folder, "")]
        self._folders += [(each, f"{each.path}{os.sep}") for each in others]
        self._loops: dict[Path, _Loop] = {}
        self._last = Patterns()

    def poll(self, seconds: float = math.inf) -> Patterns:
        """Returns all current patterns, the same object where nothing has changed.

        Compares for at most `seconds`; the next poll continues.
        """
        until = time.monotonic() + seconds
        loops = list(self._found())
        trials = tuple(trial for each in loops for trial in each.poll(until))
        waiting = sum(each.waiting for each in loops)
        unread = sum(each.unread for each in loops)
        last = self._last
        same = len(trials) == len(last.trials) and all(map(_is, trials, last.trials))
        if not same or (len(loops), unread, waiting) != (last.loops, last.unread, last.waiting):
            found = last.patterns if same else tuple(patterns_of(trials))
            self._last = Patterns(found, trials, len(loops), unread, waiting)
        return self._last

    def _found(self) -> Iterator[_Loop]:
        """Yields every loop once, even where its folder is given twice."""
        seen: set[str] = set()
        for folder, prefix in self._folders:
            for loop in folder.loops():
                place = os.path.realpath(loop.path)
                if place not in seen:
                    seen.add(place)
                    yield self._loops.setdefault(
                        loop.path, _Loop(f"{prefix}{loop.name}", LoopReader(loop))
                    )


class _Loop:
    """One loop's trials with their known claims."""

    def __init__(self, name: str, reader: LoopReader) -> None:
        self._name, self._reader = name, reader
        self._claims = Claims(reader)
        self._trials: list[Trial] = []
        self.unread = self.waiting = 0

    def poll(self, until: float) -> list[Trial]:
        with self._reader.steady():
            return self._poll(until)

    def _poll(self, until: float) -> list[Trial]:
        iterations = self._reader.iterations()
        if not self._claims.begin(iterations):
            self._trials, self.unread = trials_from(self._name, iterations, self._reader.loop)
            self.waiting = 1
        if self.waiting:
            self.waiting = 0
            by_number = {each.number: each for each in iterations}
            known = {each.number: each for each in self._trials}
            runs = _runs(self._trials)
            self._trials = [
                self._with_claims(each, known, by_number, runs, until) for each in self._trials
            ]
        return self._trials

    def _with_claims(
        self,
        trial: Trial,
        trials: dict[int, Trial],
        iterations: dict[int, Iteration],
        runs: dict[bytes, int],
        until: float,
    ) -> Trial:
        """Returns the trial with the known claims that it needs."""
        if trial.ended != "finished":
            return trial
        own, found = iterations[trial.number], trial
        if trial.gain is not None and not trial.against_base:
            claim = self._claims.claim(iterations[0], own, has_replicates=False, until=until)
            self.waiting += claim is None
            if claim is not None:
                found = msgspec.structs.replace(found, against_base=claim.words)
        parent = trials.get(trial.parent or 0)
        if parent is not None and is_judged_by_claim(trial, parent) and not trial.against_parent:
            claim = self._claims.claim(
                iterations[parent.number],
                own,
                has_replicates=min(runs[trial.settings], runs[parent.settings]) > 1,
                until=until,
            )
            self.waiting += claim is None
            if claim is not None:
                found = msgspec.structs.replace(
                    found, against_parent=claim.words, replicates=claim.replicates
                )
        return found


def patterns_of(trials: Sequence[Trial]) -> list[Pattern]:
    """Returns every pattern in the trials. Trials on different bases do not mix."""
    # An adapter and full fine-tuning need different rates, so their trials do not mix either.
    groups: dict[tuple[str, bool], list[Trial]] = {}
    for each in trials:
        groups.setdefault((each.base, each.is_lora), []).append(each)
    found = [
        pattern
        for group in groups.values()
        for pattern in (*thresholds(group), *directions(group), *best_so_far(group))
    ]
    return sorted(found, key=lambda each: (_ORDER[each.kind], each.weight != "law", -each.total))


def _runs(trials: Sequence[Trial]) -> dict[bytes, int]:
    """Counts the finished runs of each config with different seeds."""
    seeds: dict[bytes, set[object]] = {}
    for each in trials:
        known = seeds.setdefault(each.settings, set())
        if each.ended == "finished":
            known.add(each.config.get("training.seed"))
    return {settings: len(each) for settings, each in seeds.items()}


def _is(one: object, other: object) -> bool:
    return one is other


class Hint(msgspec.Struct, frozen=True):
    """A short text; `is_warning` where the value did harm before, with `brief` as a summary."""

    text: str = ""
    is_warning: bool = False
    brief: str = ""


NO_HINT = Hint()
MAX_PATTERNS = 2
"""The most patterns in a hint. The most serious ones come first."""


class Hints:
    """The patterns on one base, by field."""

    def __init__(self, patterns: Iterable[Pattern]) -> None:
        self._by_field = by_field(patterns)

    def of(self, field: str, value: Any, was: Any = None) -> Hint:
        """Returns the hint on `group.field` changed from `was` to `value`, empty without one."""
        known = self._by_field.get(field, [])
        beyond = [each for each in known if each.kind == "threshold" and _is_beyond(each, value)]
        parts = [each.short for each in beyond]
        if not parts:
            parts = [_of_direction(each, was, value) for each in known if each.kind == "direction"]
            parts += [each.short for each in known if each.kind == "best"]
        return Hint(
            " · ".join([each for each in parts if each][:MAX_PATTERNS]),
            bool(beyond),
            _brief(beyond[0]) if beyond else "",
        )


NO_HINTS = Hints(())


def hints_for(patterns: Iterable[Pattern], base: str, *, is_lora: bool = True) -> Hints:
    """Returns the hints for configs on `base`, from trials on it with the same kind of tuning."""
    return Hints(each for each in patterns if each.base == base and each.is_lora == is_lora)


def _is_beyond(pattern: Pattern, value: Any) -> bool:
    number, edge = as_number(value), as_number(pattern.value)
    if number is None or edge is None:
        return False
    return number >= edge if pattern.side == "up" else number <= edge


def _brief(pattern: Pattern) -> str:
    """Returns `diverged 3 of 3`."""
    return f"{SHORT_WORDS[pattern.outcome]} {how_often(pattern.count, pattern.total)}"


def _of_direction(pattern: Pattern, was: Any, value: Any) -> str:
    """Returns the results of overlapping changes, "" without any."""
    moves = [each for each in pattern.moves if _overlaps(each, was, value)]
    return short_text(pattern.side, moves) if moves else ""


def _overlaps(move: Move, was: Any, value: Any) -> bool:
    """Returns whether a change from `was` to `value` overlaps an earlier one in its direction."""
    ends = [as_number(each) for each in (move.was, move.value, was, value)]
    if None in ends:  # values without an order: only the same change counts
        return (shown(was), shown(value)) == (shown(move.was), shown(move.value)) and was != value
    low, high, before, after = (each or 0.0 for each in ends)
    if (high > low) != (after > before) or before == after:
        return False
    return max(min(low, high), min(before, after)) < min(max(low, high), max(before, after))
