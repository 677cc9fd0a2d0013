"""The list of loops in a folder, for `list` and the app's picker."""

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
    """A summary of a loop.

    `iterations`: the number of trained iterations. `best`: the first run of the best config.
    `metrics`: its means over the runs of that config. `updated`: unix seconds. `problem`: why the
    loop cannot be read, "" if it can. `silent_s`: of its live run, None unless that is silent.
    """

    name: str
    goal: str = ""
    state: str = "unreadable"
    iterations: int = 0
    best: int | None = None
    metrics: dict[str, Any] = {}
    updated: float = 0.0
    problem: str = ""
    silent_s: int | None = None

    @property
    def updated_at(self) -> datetime:
        """Returns the time of the last change."""
        return datetime.fromtimestamp(self.updated, UTC)


class LoopsReader:
    """Polls the loops of a folder; for one thread at a time."""

    def __init__(self, loops: LoopsFolder) -> None:
        self.loops = loops
        self._readers: dict[str, LoopReader] = {}
        self._comparers: dict[str, Comparer] = {}
        self._settings: dict[str, tuple[Stamp, str, str, bool]] = {}

    def poll(self) -> tuple[LoopEntry, ...]:
        """Returns the current loops by name, with unreadable ones and their problems.

        Raises BadInput where the folder itself cannot be read. A missing folder is empty.
        """
        found = self.loops.scan()
        entries = [self._entry(loop) for loop in found.loops]
        entries += [LoopEntry(each.name, problem=each.problem) for each in found.refused]
        return tuple(sorted(entries, key=lambda entry: entry.name))

    def _entry(self, loop: LoopFolder) -> LoopEntry:
        goal, problem, is_closed = self._goal(loop)
        reader = self._readers.setdefault(loop.name, LoopReader(loop))
        iterations = reader.iterations()
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
            silent_s=next((each.silence for each in iterations if each.state in LIVE), None),
        )

    def _goal(self, loop: LoopFolder) -> tuple[str, str, bool]:
        """Returns (goal, problem, whether it is closed); reads the file again after a change."""
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
