"""The patterns of all loops in some folders, read again and again, within a stated time."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_loop.core.comparison import Comparer
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.patterns.best import best_so_far
from tui_loop.core.patterns.directions import directions, is_judged_by_claim
from tui_loop.core.patterns.pattern import Pattern
from tui_loop.core.patterns.thresholds import thresholds
from tui_loop.core.patterns.trials import Trial, trials_of
from tui_loop.core.reader import LoopReader
from tui_loop.core.records import Iteration
from tui_loop.core.store import LoopsFolder

SURE_WIDTHS = 2.5
"""Scores that lie this many of the widest possible standard errors apart need no comparison: the
interval of the paired difference, of 1.96 of at most such errors, cannot reach zero."""

_ORDER = {"threshold": 0, "direction": 1, "best": 2}


class Patterns(msgspec.Struct, frozen=True):
    """What shows in the loops read so far; the graver kinds and those that weigh more first.

    `unread`: iterations that cannot be read; `waiting`: comparisons that there was no time for.
    """

    patterns: tuple[Pattern, ...] = ()
    trials: tuple[Trial, ...] = ()
    loops: int = 0
    unread: int = 0
    waiting: int = 0

    def trial(self, place: str) -> Trial | None:
        """The trial `loop/N`."""
        return next((each for each in self.trials if each.place == place), None)


class PatternsReader:
    """Reads the loops of the folders given, and nothing outside them; for one thread at a time.

    What was read and compared is kept for as long as it stays as it is.
    """

    def __init__(self, folder: LoopsFolder, others: Sequence[LoopsFolder] = ()) -> None:
        """Loops of `others` are named with their folder's path before their own name."""
        self._folders = [(folder, "")]
        self._folders += [(each, f"{each.path}{os.sep}") for each in others]
        self._loops: dict[Path, tuple[LoopReader, Comparer]] = {}
        self._claims: dict[object, tuple[tuple[object, ...], tuple[str, int]]] = {}

    def look(self, seconds: float = math.inf) -> Patterns:
        """All patterns now; comparisons are made for at most `seconds`, the next look goes on."""
        until = time.monotonic() + seconds
        trials: list[Trial] = []
        loops = unread = waiting = 0
        for name, reader, comparer in self._readers():
            try:
                found, lost = trials_of(reader, name)
            except (TuiLoopError, OSError):
                continue
            loops, unread = loops + 1, unread + lost
            judged = [self._judged(each, found, reader, comparer, until) for each in found]
            trials += [each for each, _ in judged]
            waiting += sum(missing for _, missing in judged)
        return Patterns(tuple(patterns_of(trials)), tuple(trials), loops, unread, waiting)

    def _readers(self) -> Iterator[tuple[str, LoopReader, Comparer]]:
        seen: set[str] = set()
        for folder, prefix in self._folders:
            for name in folder.names():
                with suppress(BadInput):
                    loop = folder.loop(name)
                    place = os.path.realpath(loop.path)
                    if place in seen:
                        continue
                    seen.add(place)
                    known = self._loops.get(loop.path)
                    if known is None:
                        reader = LoopReader(loop)
                        known = self._loops[loop.path] = reader, Comparer(reader)
                    yield f"{prefix}{name}", *known

    def _judged(
        self,
        trial: Trial,
        trials: Sequence[Trial],
        reader: LoopReader,
        comparer: Comparer,
        until: float,
    ) -> tuple[Trial, int]:
        """The trial with its claims, and how many of them there was no time for."""
        if trial.ended != "finished" or trial.score is None:
            return trial, 0
        waiting = 0
        told: dict[str, tuple[str, int]] = {}
        wanted = {"base": 0} if trial.gain is not None else {}
        parent = next((each for each in trials if each.number == trial.parent), None)
        if parent is not None and is_judged_by_claim(trial, parent):
            wanted["parent"] = parent.number
        for name, number in wanted.items():
            runs = 1
            if name == "parent" and parent is not None:
                runs = min(_runs(trial, trials), _runs(parent, trials))
            claim = None
            if runs < 2:
                claim = sure_claim(reader.iteration(number), reader.iteration(trial.number))
            if claim is None:
                answer = self._claim(reader, comparer, number, trial.number, until)
                waiting += answer is None
                claim, runs = answer or ("", 1)
            told[name] = claim, runs
        against_parent, runs = told.get("parent", ("", 1))
        return msgspec.structs.replace(
            trial,
            against_base=told.get("base", ("", 1))[0],
            against_parent=against_parent,
            replicates=runs,
        ), waiting

    def _claim(
        self, reader: LoopReader, comparer: Comparer, a: int, b: int, until: float
    ) -> tuple[str, int] | None:
        """(claim, runs of the config with fewer of them); None where there is no time for it."""
        key = reader.loop.path, a, b
        now = tuple(reader.iteration(each) for each in reader.numbers())
        known = self._claims.get(key)
        if known is not None and _same(known[0], now):
            return known[1]
        if time.monotonic() > until:
            return None
        try:
            result = comparer.compare(a, b)
            told = result.claim, min(result.replicates)
        except (TuiLoopError, OSError):  # an iteration whose examples cannot be read claims nothing
            told = "nothing to compare", 1
        self._claims[key] = now, told
        return told


def patterns_of(trials: Sequence[Trial]) -> list[Pattern]:
    """Every pattern in the trials, base by base."""
    groups: dict[tuple[str, bool], list[Trial]] = {}
    for each in trials:
        groups.setdefault((each.base, each.is_lora), []).append(each)
    found = [
        pattern
        for group in groups.values()
        for pattern in (*thresholds(group), *directions(group), *best_so_far(group))
    ]
    return sorted(found, key=lambda each: (_ORDER[each.kind], each.weight != "law", -each.total))


def sure_claim(old: Iteration, new: Iteration) -> str | None:
    """What a comparison of two single runs must say, where their scores are so far apart that no
    pairing of their examples can say otherwise; None where it has to be made.

    A score in [0, 1] with mean m varies by m(1 - m) at most, and a paired difference by the square
    of the sum of both deviations.
    """
    before, after = old.metrics.get("score"), new.metrics.get("score")
    total = new.metrics.get("total")
    if not isinstance(before, float | int) or not isinstance(after, float | int):
        return None
    alike = old.fingerprint is not None and old.fingerprint == new.fingerprint
    if not alike or not isinstance(total, int) or total < 2:
        return None
    if not (0 <= before <= 1 and 0 <= after <= 1) or old.metrics.get("total") != total:
        return None
    spread = sum(math.sqrt(each * (1 - each)) for each in (before, after)) / math.sqrt(total - 1)
    if abs(after - before) <= max(SURE_WIDTHS * spread, 3 / total):
        return None
    return f"consistent with {'better' if after > before else 'worse'}"


def _runs(trial: Trial, trials: Sequence[Trial]) -> int:
    """Finished runs of a trial's config under different seeds."""
    same = [each for each in trials if each.settings == trial.settings]
    seeds = {each.config.get("training.seed") for each in same if each.ended == "finished"}
    return max(1, len(seeds))


def _same(one: Sequence[object], other: Sequence[object]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
