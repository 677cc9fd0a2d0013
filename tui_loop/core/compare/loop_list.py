"""The list of loops in a folder, for `list` and the app's picker."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.compare.best import best_runs, mean_metrics
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import last_run_state, loop_state
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader, Stamp, stamp_of
from tui_loop.core.record.structs import LIVE
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.workflow.queue import read_queue

_LAST_TIME = datetime(9999, 1, 1, tzinfo=UTC).timestamp()


_PHASES = {"preparing": "loading"}
"""The status of a phase that has no status of its own name."""


PHASE_LENGTH = 20
"""Of a phase that this version does not know: it may come from a stranger's record."""


class LoopEntry(msgspec.Struct, frozen=True):
    """A summary of a loop.

    `iterations`: the number of trained iterations. `best`: the first run of the best config.
    `metrics`: its means over the runs of that config. `updated`: unix seconds. `problem`: why the
    loop cannot be read, "" if it can. `silent_s`: of its live run, None unless that is silent.
    `phase`: of its live run. `queued`: the number of queued drafts. `last_run`: how the newest run
    ended, "" where it is live or nothing has run.
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
    phase: str = ""
    queued: int = 0
    last_run: str = ""

    @property
    def state_words(self) -> str:
        """Returns what the loop is doing: `idle`, `training`, `2 queued`, `closed`."""
        if self.state == "running":
            return _PHASES.get(self.phase, one_line(self.phase, PHASE_LENGTH)) or "starting"
        return f"{self.queued} queued" if self.state == "queued" and self.queued else self.state

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
        self._queues: dict[str, tuple[Stamp, int]] = {}
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
        queued = self._queued(loop)
        state = loop_state(iterations, queued)
        live = next((each.number for each in iterations if each.state in LIVE), None)
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
            phase=(reader.at(live).phase or "") if live is not None else "",
            queued=queued,
            last_run=last_run_state(iterations),
        )

    def _queued(self, loop: LoopFolder) -> int:
        """Counts the queued drafts; reads the file again after a change."""
        stamp = stamp_of(loop.queue)
        known = self._queues.get(loop.name)
        if known is None or known[0] != stamp:
            count = 0
            with suppress(TuiLoopError, OSError):  # the queue's screen says what is wrong with it
                count = len(read_queue(loop)) if stamp is not None else 0
            known = self._queues[loop.name] = stamp, count
        return known[1]

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
