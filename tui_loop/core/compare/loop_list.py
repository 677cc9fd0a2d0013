"""Every loop of a folder in one line each, as `list` and the app's picker show them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.compare.best import best_runs, mean_metrics
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import loop_state
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader, Stamp, stamp_of
from tui_loop.core.record.structs import LIVE

_LAST_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


class LoopEntry(msgspec.Struct, frozen=True):
    """A loop in short.

    `iterations`: how many were trained, the base not among them. `best` is the number of the best
    (`progress.best`), `metrics` what it reached, the means over the runs of its config; `updated`
    is in unix seconds. `problem` says why the loop cannot be read, "" if it can.
    """

    name: str
    goal: str = ""
    state: str = "unreadable"
    iterations: int = 0
    best: int | None = None
    metrics: dict[str, Any] = {}
    updated: float = 0.0
    problem: str = ""

    @property
    def updated_at(self) -> datetime:
        """When it was worked on last."""
        return datetime.fromtimestamp(self.updated, UTC)


class LoopsReader:
    """The loops of a folder, looked at repeatedly; used by one thread at a time."""

    def __init__(self, loops: LoopsFolder) -> None:
        self.loops = loops
        self._readers: dict[str, LoopReader] = {}
        self._comparers: dict[str, Comparer] = {}
        self._settings: dict[str, tuple[Stamp, str, str, bool]] = {}

    def look(self) -> tuple[LoopEntry, ...]:
        """The loops now, by name; one that cannot be read is among them and says why.

        Raises BadInput where the folder itself cannot be read; one that is not there is empty.
        """
        found = self.loops.scan()
        entries = [self._entry(loop) for loop in found.loops]
        entries += [LoopEntry(each.name, problem=each.problem) for each in found.refused]
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def _entry(self, loop: LoopFolder) -> LoopEntry:
        goal, problem, is_closed = self._goal(loop)
        reader = self._readers.setdefault(loop.name, LoopReader(loop))
        iterations = [reader.iteration(number) for number in reader.numbers()]
        comparer = self._comparers.setdefault(loop.name, Comparer(reader))
        best = best_runs(comparer, iterations)
        state = loop_state(iterations)
        if state not in LIVE and (problem or is_closed):
            state = "unreadable" if problem else "closed"
        return LoopEntry(
            name=loop.name,
            goal=goal,
            state=state,
            iterations=sum(each.number > 0 for each in iterations),
            best=best[0].number if best else None,
            metrics=mean_metrics(best),
            updated=max(_modified(path) for path in (loop.ledger, loop.settings_file)),
            problem=problem,
        )

    def _goal(self, loop: LoopFolder) -> tuple[str, str, bool]:
        """(goal, what is wrong, whether it is closed), read anew when the file has changed."""
        stamp = stamp_of(loop.settings_file)
        known = self._settings.get(loop.name)
        if known is None or known[0] != stamp:
            goal, problem, is_closed = "", "", False
            try:
                settings = loop.read_settings()
                goal, is_closed = settings.goal, settings.closed is not None
            except BadInput as error:
                problem = error.message
            known = self._settings[loop.name] = stamp, goal, problem, is_closed
        return known[1:]


def _modified(path: Path) -> float:
    stamp = stamp_of(path)
    return min(max(stamp[0] / 1e9, 0.0), _LAST_TIME) if stamp else 0.0
