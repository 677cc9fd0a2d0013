"""The progress of a loop: score and loss with intervals, and how sure the best config is."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.compare.best import Spread, can_rank, rank, runs_by_config, spread_of
from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.compare.uncertainty import (
    Noise,
    Reach,
    loss_interval,
    noise_of,
    reach_of,
    score_interval,
    units_of,
)
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.history import Outcomes
from tui_loop.core.record.reader import LoopReader, Stamp, stamp_of
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.stats import Interval


class Point(msgspec.Struct, frozen=True):
    """One iteration. `config`: the first run of its config.

    `differs`: the parts of the fingerprint that differ from the newest finished iteration, with
    which the figures are then not comparable; of `loss` alone the scores are. `best`: the first run
    of the best config so far.
    """

    number: int
    title: str
    state: str
    score: Interval | None = None
    loss: Interval | None = None
    examples: int = 0
    config: int = 0
    differs: tuple[str, ...] = ()
    best: int | None = None

    @property
    def is_new_best(self) -> bool:
        """Returns whether this iteration is the new best."""
        return self.best == self.number


class Tried(msgspec.Struct, frozen=True):
    """A config, named by its first run: its finished comparable runs, and their figures."""

    number: int
    runs: tuple[int, ...]
    score: Spread | None
    loss: Spread | None


class Pair(msgspec.Struct, frozen=True):
    """The best config compared with another one; `about` describes the other one.

    `interval`: of the score, or of the loss (nats per token) without scores. `replicates`: runs of
    each. `reach`: what would decide between them, None where nothing is open. `commands`: the
    commands for that. `seconds`: their estimated time. `groups`: those of the compared
    examples, 0 where all are independent; `unit`: what the examples of a group have in common.
    """

    a: int
    b: int
    about: str
    claim: str
    interval: Interval
    by_loss: bool
    replicates: tuple[int, int]
    compared: int
    reach: Reach | None = None
    commands: tuple[str, ...] = ()
    seconds: float | None = None
    groups: int = 0
    unit: str = ""


class Progress(msgspec.Struct, frozen=True):
    """The progress of a loop.

    `best` and `tried` cover iterations comparable with the newest finished one. `noise`: of the
    score over runs of one config, else of the loss. `unit`: what the intervals of the newest
    finished iteration are over.
    """

    loop: str
    metric: str = ""
    points: tuple[Point, ...] = ()
    tried: tuple[Tried, ...] = ()
    best: int | None = None
    pairs: tuple[Pair, ...] = ()
    noise: Noise | None = None
    unit: str = ""

    def config(self, number: int) -> Tried | None:
        """Returns the config of an iteration, None where the iteration is not comparable."""
        return next((each for each in self.tried if number in each.runs), None)

    @property
    def record(self) -> dict[str, Any]:
        """Returns the progress as JSON types."""
        found: dict[str, Any] = msgspec.to_builtins(self)
        return found


class ProgressReader:
    """Polls the progress of a loop; caches the figures of unchanged iterations."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._comparer = Comparer(reader)
        self._known: dict[int, tuple[Iteration, Stamp, tuple[Interval | None, ...]]] = {}

    def poll(self) -> Progress:
        """Returns the current progress, without figures for unreadable iterations.

        Raises TuiLoopError.
        """
        with self._reader.steady():
            return self._poll()

    def _poll(self) -> Progress:
        settings = self._reader.loop.read_settings()
        iterations = self._reader.iterations()
        finished = [each for each in iterations if each.state == "finished"]
        last = finished[-1].fingerprint if finished else None
        differs = {
            each.number: tuple(each.fingerprint.differs_from(last))
            for each in finished
            if each.fingerprint is not None and last is not None
        }
        comparable = [each for each in finished if can_rank(each, finished[-1])]
        groups = runs_by_config(self._comparer, comparable)
        tried = tuple(_tried(runs) for runs in groups)
        by_run = {number: each for each in tried for number in each.runs}
        bests = _bests(groups)
        points, best = [], None
        for each in iterations:
            best = bests.get(each.number, best)
            score, loss = self._figures(each)
            points.append(
                Point(
                    each.number,
                    each.title,
                    each.state,
                    score,
                    loss,
                    _count(each),
                    by_run[each.number].number if each.number in by_run else each.number,
                    differs.get(each.number, ()),
                    best,
                )
            )
        noise = noise_of([each.score for each in tried])
        if not any(each.score for each in tried):
            noise = noise_of([each.loss for each in tried])
        return Progress(
            self._reader.loop.name,
            settings.metric,
            tuple(points),
            tried,
            best,
            self._pairs(best, tried, noise),
            noise,
            units_of(self._reader.grouped_outcomes(finished[-1]) if finished else None),
        )

    def _figures(self, iteration: Iteration) -> tuple[Interval | None, Interval | None]:
        """Returns score and loss with intervals; reads the examples again after a change."""
        if iteration.state in LIVE:
            return None, None
        stamp = stamp_of(self._reader.loop.iteration(iteration.number).examples)
        known = self._known.get(iteration.number)
        if known is None or known[0] is not iteration or known[1] != stamp:
            outcomes = self._outcomes(iteration.number)
            figures = score_interval(iteration, outcomes), loss_interval(iteration, outcomes)
            known = self._known[iteration.number] = iteration, stamp, figures
        return known[2][0], known[2][1]

    def _outcomes(self, number: int) -> Outcomes | None:
        with suppress(TuiLoopError, OSError):
            found = self._reader.outcomes(number)
            return found if found.ids else None
        return None

    def _pairs(
        self, best: int | None, tried: Sequence[Tried], noise: Noise | None
    ) -> tuple[Pair, ...]:
        """Compares the best with the runner-up, and with its parent where that differs."""
        if best is None:
            return ()
        others = sorted(
            (each for each in tried if each.number != best),
            key=lambda each: (rank(each.score, each.loss), -each.number),
        )
        rivals = [(others[-1].number, "the runner-up")] if others else []
        parent = self._reader.iteration(best).parent
        of_parent = next((each.number for each in tried if parent in each.runs), None)
        if of_parent is not None and of_parent != best:
            if rivals and rivals[0][0] == of_parent:
                rivals = [(of_parent, "its parent and the runner-up")]
            else:
                rivals.append((of_parent, "its parent"))
        pairs = (self._pair(number, best, about, noise) for number, about in rivals)
        return tuple(each for each in pairs if each is not None)

    def _pair(self, a: int, b: int, about: str, noise: Noise | None) -> Pair | None:
        try:
            found = self._comparer.compare(a, b)
        except (TuiLoopError, OSError):
            return None
        if found.change is None:
            return None
        reach = reach_of(found, noise)
        commands, seconds = self._commands_to_decide(found, reach)
        return Pair(
            a,
            b,
            "the base" if a == 0 else about,
            found.claim,
            found.change,
            found.is_by_loss,
            found.replicates,
            found.loss_examples if found.is_by_loss else found.compared,
            reach,
            commands,
            seconds,
            found.loss_groups if found.is_by_loss else found.groups,
            found.unit,
        )

    def _commands_to_decide(
        self, found: Comparison, reach: Reach | None
    ) -> tuple[tuple[str, ...], float | None]:
        """Returns the commands that add the missing runs, and their time, from earlier runs."""
        if reach is None or reach.runs is None:
            return (), None
        name, commands, seconds = self._reader.loop.name, [], 0.0
        for number, have in zip((found.a, found.b), found.replicates, strict=True):
            lacking = reach.runs - have
            if lacking > 0:
                commands.append(command("run", name, "--from", number, "--repeat", lacking))
                seconds += lacking * (self._reader.iteration(number).duration_s or 0.0)
        return tuple(commands), seconds or None


def _tried(runs: Sequence[Iteration]) -> Tried:
    return Tried(
        runs[0].number,
        tuple(each.number for each in runs),
        spread_of(runs, "score"),
        spread_of(runs, "eval_loss"),
    )


def _bests(groups: Sequence[Sequence[Iteration]]) -> dict[int, int]:
    """Returns for each trained iteration the first run of the best config so far."""
    first = {each.number: runs[0].number for runs in groups for each in runs}
    ordered = sorted(
        (each for runs in groups for each in runs if each.number > 0), key=lambda each: each.number
    )
    known: dict[int, list[Iteration]] = {}
    ranks: dict[int, tuple[float, float]] = {}
    found: dict[int, int] = {}
    for each in ordered:
        number = first[each.number]
        runs = known.setdefault(number, [])
        runs.append(each)
        score, loss = spread_of(runs, "score"), spread_of(runs, "eval_loss")
        if score is not None or loss is not None:
            ranks[number] = rank(score, loss)
        if ranks:
            found[each.number] = max(ranks, key=lambda config: (ranks[config], -config))
    return found


def _count(iteration: Iteration) -> int:
    total = iteration.metrics.get("total")
    return total if isinstance(total, int) and not isinstance(total, bool) else 0
