"""Reading a loop again and again: each file once while it stays as it is.

An `IterationReader` gives the same object for as long as nothing changed, so that whoever shows
it can tell by identity that there is nothing to draw.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from contextlib import suppress
from pathlib import Path

import msgspec

from tui_loop.core.config.tables import to_tables
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.history import Outcomes, outcomes_of, sharing
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.iteration import described, state_of, titled, unreadable
from tui_loop.core.record.lock import Life, Watch
from tui_loop.core.record.log_lines import LogLine, has_line, log_line
from tui_loop.core.record.results import Results, results_of
from tui_loop.core.record.state import RunState, fold
from tui_loop.core.record.structs import Example, Iteration, Split, State

LOG_LINES = 20_000
"""A run's log keeps this many lines in memory; older ones are counted and left on disk."""

EXAMPLE_SETS = 6
"""Evaluations kept in memory: the selected one, its parent, the marked one, and some more."""

TABLES = 2
"""Evaluations whose rows are kept: the one that is looked at, and the one before."""

OUTCOMES = 48
"""Evaluations of which what is compared is kept: of 100,000 examples each some 2 MB."""

Stamp = tuple[int, int] | None


class RunView(msgspec.Struct, frozen=True):
    """A run at one moment. `logged` counts all log lines, of which `log` has the last ones.

    `trouble`: why its disk takes nothing, of a run that has no end in the record.
    """

    number: int
    state: State
    run: RunState
    log: list[LogLine]
    logged: int
    bad_lines: int
    trouble: str = ""


class IterationReader:
    """One iteration, looked at repeatedly."""

    def __init__(self, folder: IterationFolder, watch: Watch | None = None) -> None:
        self.folder = folder
        self._watch = watch or Watch(folder.lock)
        self._known: Iteration | None = None
        self._stamp: object = None
        self._state = RunState()
        self._follower = Follower(folder.journal)
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._logged = 0
        self._reads = 0
        self._view: RunView | None = None
        self._view_of: object = None
        self._splits: tuple[Stamp, dict[str, Split]] | None = None
        self._results: tuple[object, Results] | None = None

    def look(self) -> Iteration:
        """The iteration now; one that cannot be read is `unreadable` and says why."""
        try:
            self.folder.check_place()
        except BadInput as error:
            if self._known is None or self._stamp != error.message:
                self._known, self._stamp = unreadable(self.folder, error), error.message
            return self._known
        stamp: object = stamp_of(self.folder.summary)
        if stamp is None:
            life = self._watch.look() if self.folder.lock.exists() else "gone"
            stamp = stamp_of(self.folder.summary)  # a run that ended just now has written it
            if stamp is None:
                return self._unfinished(life)
        if self._known is None or stamp != self._stamp or self._known.state == "unreadable":
            try:
                summary = self.folder.read_summary()
            except (BadInput, OSError) as error:
                self._known = unreadable(self.folder, error)
            else:  # a new attempt begins by removing the old one's summary
                self._known = titled(summary) if summary else self._unfinished("unknown")
            self._stamp = stamp
        return self._known

    def view(self) -> RunView:
        """The whole run, read up to now."""
        iteration = self.look()
        self._read_journal()
        trouble = "" if self.folder.summary.exists() else self._watch.trouble
        key = (self._reads, iteration.state, trouble)
        if self._view is None or key != self._view_of:
            run = msgspec.structs.replace(
                self._state,
                metrics=list(self._state.metrics),
                evaluations=list(self._state.evaluations),
                requests=list(self._state.requests),
                nonfinite_steps=list(self._state.nonfinite_steps),
            )
            self._view = RunView(
                self.folder.number,
                iteration.state,
                run,
                list(self._log),
                self._logged,
                self._follower.bad_lines,
                trouble,
            )
            self._view_of = key
        return self._view

    @property
    def has_run(self) -> bool:
        """Whether the journal is held in memory."""
        return self._reads > 0

    def forget_run(self) -> None:
        """Lets go of the journal; a later look reads it anew."""
        self._follower, self._state = Follower(self.folder.journal), RunState()
        self._log.clear()
        self._logged = self._reads = 0
        self._view = self._view_of = None

    def splits(self) -> dict[str, Split]:
        """What was recorded of the data files; {} where that cannot be read."""
        stamp = stamp_of(self.folder.config)
        if self._splits is None or self._splits[0] != stamp:
            try:
                self._splits = stamp, self.folder.read_splits()
            except BadInput:
                self._splits = stamp, {}
        return self._splits[1]

    def _unfinished(self, life: Life) -> Iteration:
        self._read_journal()
        stamp = (
            self._reads,
            life,
            stamp_of(self.folder.config),
            stamp_of(self.folder.decision),
            stamp_of(self.folder.examples),
        )
        if self._known is None or stamp != self._stamp:
            self._stamp = stamp
            try:
                decision, config = self.folder.read_decision(), self.folder.read_config()
                state = state_of(self._state, life != "gone")
                known = described(
                    self.folder.number, decision, to_tables(config), self._state, state
                )
                results = self._read_results()
                self._known = msgspec.structs.replace(
                    known, metrics=results.metrics, fingerprint=results.fingerprint
                )
            except (BadInput, OSError) as error:
                self._known = unreadable(self.folder, error)
        return self._known

    def _read_results(self) -> Results:
        """What the run came to so far; its examples, perhaps many, are read once."""
        run = self._state
        stamp = (
            run.attempt,
            run.ended,
            run.final_evaluation,
            run.results,
            stamp_of(self.folder.config),
            stamp_of(self.folder.examples),
        )
        if self._results is None or self._results[0] != stamp:
            self._results = stamp, results_of(self.folder, run)
        return self._results[1]

    def _read_journal(self) -> None:
        with suppress(BadInput):  # what the iteration says already
            self.folder.check_place()
            self._follow_journal()

    def _follow_journal(self) -> None:
        events = self._follower.read_all()
        if self._follower.restarted:
            self._state, self._logged = RunState(), 0
            self._log.clear()
        if not events and not self._follower.restarted:
            return
        self._reads += 1
        fold(self._state, events)
        parts = [event for event in events if has_line(event)]
        self._logged += len(parts)
        self._log.extend(map(log_line, parts[-LOG_LINES:]))


class LoopReader:
    """A loop, looked at repeatedly: its iterations, runs and examples."""

    def __init__(self, loop: LoopFolder) -> None:
        self.loop = loop
        self._readers: dict[int, IterationReader] = {}
        self._examples: OrderedDict[int, tuple[Stamp, list[Example]]] = OrderedDict()
        self._tables: OrderedDict[int, tuple[Stamp, ExampleTable]] = OrderedDict()
        self._outcomes: OrderedDict[int, tuple[Stamp, Outcomes]] = OrderedDict()

    def numbers(self) -> list[int]:
        """The numbers of the iterations on disk, ascending."""
        return self.loop.numbers()

    def at(self, number: int) -> IterationReader:
        """The reader of one iteration, there or not."""
        if number not in self._readers:
            self._readers[number] = IterationReader(self.loop.iteration(number))
        return self._readers[number]

    def iteration(self, number: int) -> Iteration:
        return self.at(number).look()

    def splits(self, number: int) -> dict[str, Split]:
        return self.at(number).splits()

    def examples(self, number: int) -> list[Example]:
        """The rows of the final evaluation, [] where there was none; raises BadInput.

        The same list for as long as the file stays as it is.
        """
        folder = self.loop.iteration(number)
        stamp = stamp_of(folder.examples)
        known = self._examples.get(number)
        if known is None or known[0] != stamp:
            known = stamp, folder.read_examples()
            self._examples[number] = known
            while len(self._examples) > EXAMPLE_SETS:
                self._examples.popitem(last=False)
        self._examples.move_to_end(number)
        return known[1]

    def table(self, number: int) -> ExampleTable:
        """The same rows as a table, however many; raises BadInput."""
        folder = self.loop.iteration(number)
        stamp = stamp_of(folder.examples)
        known = self._tables.get(number)
        if known is None or known[0] != stamp:
            folder.check_place()
            known = stamp, ExampleTable.read(folder.examples)
            any(known[1].share(each.ids, each.references) for _, each in self._outcomes.values())
            self._tables[number] = known
            while len(self._tables) > TABLES:
                self._tables.popitem(last=False)
        self._tables.move_to_end(number)
        return known[1]

    def outcomes(self, number: int) -> Outcomes:
        """What of these rows is compared with other iterations; raises BadInput."""
        folder = self.loop.iteration(number)
        stamp = stamp_of(folder.examples)
        known = self._outcomes.get(number)
        if known is None or known[0] != stamp:
            folder.check_place()
            table = self._tables.get(number)
            fresh = outcomes_of(
                number,
                table[1]
                if table is not None and table[0] == stamp
                else ExampleTable.read(folder.examples, keeps_rows=False),
            )
            others = (each for n, (_, each) in self._outcomes.items() if n != number)
            known = stamp, sharing(fresh, others)
            self._outcomes[number] = known
            while len(self._outcomes) > OUTCOMES:
                self._outcomes.popitem(last=False)
        self._outcomes.move_to_end(number)
        return known[1]

    def has_outcomes(self, number: int) -> bool:
        """Whether `outcomes` gives them without reading a file."""
        known = self._outcomes.get(number)
        return known is not None and known[0] == stamp_of(self.loop.iteration(number).examples)

    def keep_runs(self, numbers: set[int]) -> None:
        """Lets go of the journals of all other iterations that have ended."""
        for number, reader in self._readers.items():
            if number not in numbers and reader.has_run and reader.folder.summary.exists():
                reader.forget_run()


def stamp_of(path: Path) -> Stamp:
    """What tells that a file has changed: (modified ns, size); None where it is not there."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def iteration_of(folder: IterationFolder, watch: Watch | None = None) -> Iteration:
    """The iteration in `folder`, looked at once."""
    return IterationReader(folder, watch).look()


def iterations_of(loop: LoopFolder) -> list[Iteration]:
    """Every iteration of a loop, in order."""
    return [iteration_of(loop.iteration(number)) for number in loop.numbers()]


def read_run(folder: IterationFolder) -> RunState:
    """The whole journal of an iteration, folded."""
    return fold(RunState(), Follower(folder.journal).read_all())
