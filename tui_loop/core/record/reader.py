"""Polls a loop on disk: reads each file once for as long as it does not change.

An `IterationReader` returns the same object while nothing has changed, so that a screen can
compare identities to see whether it has to draw.
"""

from __future__ import annotations

import os
from collections import OrderedDict, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from operator import is_
from pathlib import Path

import msgspec

from tui_loop.core.config.tables import to_tables
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.history import Outcomes, outcomes_of, share_columns
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.record import codec
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.iteration import (
    iteration_from,
    reached_of,
    state_of,
    unreadable_iteration,
    with_current_title,
)
from tui_loop.core.record.lock import Liveness, LockWatcher
from tui_loop.core.record.log_lines import LogLine, has_line, log_line
from tui_loop.core.record.results import Results, results_of
from tui_loop.core.record.safe_open import convert, read_text
from tui_loop.core.record.state import RunState, fold
from tui_loop.core.record.structs import LIVE, RESUMABLE, Example, Iteration, Split, State

SPLITS = dict[str, Split]

LOG_LINES = 20_000
"""Lines of a run's log in memory; older ones are counted and stay on disk."""

EXAMPLE_SETS = 6
"""Evaluations in memory: the selected one, its parent, the marked one, and some more."""

TABLES = 2
"""Evaluations with all rows in memory: the one on screen, and the one before."""

SMALL_JOURNAL = 8_000_000
"""Bytes of a journal that is read for a list of iterations; a larger one would hold the list up."""

OUTCOME_ROWS = 4_800_000
"""Examples with outcomes in memory for comparisons: 2 MB for 100,000 of one evaluation."""

Stamp = tuple[int, int] | None


class RunView(msgspec.Struct, frozen=True):
    """A frozen snapshot of a run. `logged` counts all log lines, of which `log` has the last ones.

    `trouble`: why the disk of a live run accepts no writes. `silent_s`: for how
    long its process has been silent, None where it is not.
    """

    number: int
    state: State
    run: RunState
    log: list[LogLine]
    logged: int
    bad_lines: int
    trouble: str = ""
    silent_s: int | None = None


class IterationReader:
    """Polls one iteration."""

    def __init__(self, folder: IterationFolder, watch: LockWatcher | None = None) -> None:
        self.folder = folder
        self._watch = watch or LockWatcher(folder.lock)
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

    def poll(self) -> Iteration:
        """Returns the current iteration; one that cannot be read is `unreadable` and says why."""
        try:
            self.folder.check_place()
        except BadInput as error:
            if self._known is None or self._stamp != error.message:
                self._known, self._stamp = unreadable_iteration(self.folder, error), error.message
            return self._known
        stamp: object = stamp_of(self.folder.summary)
        if stamp is None:
            life = self._watch.poll() if self.folder.lock.exists() else "gone"
            stamp = stamp_of(self.folder.summary)  # a run that ended just now may have written it
            if stamp is None:
                return self._unfinished(life)
        if self._known is None or stamp != self._stamp or self._known.state == "unreadable":
            try:
                summary = self.folder.read_summary()
            except (BadInput, OSError) as error:
                unreadable = unreadable_iteration(self.folder, error)
                self._known = self._known if self._known == unreadable else unreadable
            else:  # a new attempt begins by removing the old one's summary
                self._known = (
                    self._with_reached(with_current_title(summary))
                    if summary
                    else self._unfinished("unknown")
                )
            self._stamp = stamp
        return self._known

    def view(self) -> RunView:
        """Returns the whole run as of now."""
        iteration = self.poll()
        self._read_journal()
        trouble = "" if self.folder.summary.exists() else self._watch.trouble
        key = (self._reads, iteration.state, trouble, iteration.silence)
        if self._view is None or key != self._view_of:
            run = msgspec.structs.replace(
                self._state,
                metrics=self._state.metrics.until(),
                evaluations=list(self._state.evaluations),
                requests=list(self._state.requests),
                nonfinite_steps=list(self._state.nonfinite_steps),
                system=list(self._state.system),
            )
            self._view = RunView(
                self.folder.number,
                iteration.state,
                run,
                list(self._log),
                self._logged,
                self._follower.bad_lines,
                trouble,
                iteration.silence,
            )
            self._view_of = key
        return self._view

    @property
    def has_run(self) -> bool:
        """Returns whether the journal is in memory."""
        return self._reads > 0

    @property
    def phase(self) -> str | None:
        """Returns the phase of a live run as of the last poll."""
        return self._state.phase

    def forget_run(self) -> None:
        """Drops the journal from memory; a later poll reads it from the start."""
        self._follower, self._state = Follower(self.folder.journal), RunState()
        self._log.clear()
        self._logged = self._reads = 0
        self._view = self._view_of = None

    def splits(self) -> dict[str, Split]:
        """Returns the recorded data files, {} where they cannot be read."""
        stamp = stamp_of(self.folder.config)
        if self._splits is None or self._splits[0] != stamp:
            try:
                self._splits = stamp, self._read_splits()
            except BadInput:
                self._splits = stamp, {}
        return self._splits[1]

    def _read_splits(self) -> dict[str, Split]:
        """Parses the splits alone where that is possible: the other tables take ten times as long.

        Comparisons read the splits of every iteration.
        """
        self.folder.check_place()
        where = str(self.folder.config)
        text = codec.tables_of(read_text(self.folder.config), "splits")
        if text is not None:
            with suppress(BadInput):  # reading the whole file gives the right line
                return convert(codec.from_toml(text, where).get("splits", {}), SPLITS, where)
        return self.folder.read_splits()

    def _with_reached(self, summary: Iteration) -> Iteration:
        """Adds how far an unfinished run came, which earlier versions left to the journal."""
        if summary.state not in RESUMABLE or summary.reach is not None:
            return summary
        stamp = stamp_of(self.folder.journal)
        if stamp is None or stamp[1] > SMALL_JOURNAL:
            return summary
        try:
            reached = reached_of(read_run(self.folder))
        except (BadInput, OSError):  # the view of the run says what is unreadable
            return summary
        return msgspec.structs.replace(summary, reached=reached or msgspec.UNSET)

    def _unfinished(self, life: Liveness) -> Iteration:
        self._read_journal()
        stamp = (
            self._reads,
            life,
            self._watch.silent_s,
            stamp_of(self.folder.config),
            stamp_of(self.folder.decision),
            stamp_of(self.folder.examples),
        )
        if self._known is None or stamp != self._stamp:
            self._stamp = stamp
            try:
                decision, config = self.folder.read_decision(), self.folder.read_config()
                state = state_of(self._state, life != "gone")
                known = iteration_from(
                    self.folder.number, decision, to_tables(config), self._state, state
                )
                results = self._read_results()
                self._known = msgspec.structs.replace(
                    known,
                    metrics=results.metrics,
                    fingerprint=results.fingerprint,
                    silent_s=msgspec.UNSET
                    if state not in LIVE or self._watch.silent_s is None
                    else self._watch.silent_s,
                )
            except (BadInput, OSError) as error:
                self._known = unreadable_iteration(self.folder, error)
        return self._known

    def _read_results(self) -> Results:
        """Returns the results so far; the examples, which may be many, are read once."""
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
        with suppress(BadInput):  # the iteration is shown as unreadable
            self.folder.check_place()
            self._follow_journal()

    def _follow_journal(self) -> None:
        for events in self._follower.parts():
            if self._follower.restarted:
                self._state, self._logged = RunState(), 0
                self._log.clear()
            self._reads += 1
            fold(self._state, events)
            lines = [event for event in events if has_line(event)]
            self._logged += len(lines)
            self._log.extend(map(log_line, lines[-LOG_LINES:]))


class _Steady:
    """What a `LoopReader` has read since `steady` began."""

    def __init__(self) -> None:
        self.numbers: list[int] | None = None
        self.iterations: dict[int, Iteration] = {}
        self.has_all = False


class LoopReader:
    """Polls a loop: its iterations, runs and examples."""

    def __init__(self, loop: LoopFolder) -> None:
        self.loop = loop
        self._readers: dict[int, IterationReader] = {}
        self._examples: OrderedDict[int, tuple[Stamp, list[Example]]] = OrderedDict()
        self._tables: OrderedDict[int, tuple[Stamp, ExampleTable]] = OrderedDict()
        self._outcomes: OrderedDict[int, tuple[Stamp, Outcomes]] = OrderedDict()
        self._outcome_rows = 0
        self._independent: set[str] = set()
        self._iterations: tuple[Iteration, ...] = ()
        self._steady: _Steady | None = None

    @contextmanager
    def steady(self) -> Iterator[None]:
        """Within it, each iteration is read at most once, however often it is asked for.

        A pass over n iterations asks for the others with each of them, and checking a file for
        changes n * n times takes longer than all else.
        """
        if self._steady is not None:
            yield
            return
        self._steady = _Steady()
        try:
            yield
        finally:
            self._steady = None

    def numbers(self) -> list[int]:
        """The numbers of the iterations on disk, ascending."""
        if self._steady is None:
            return self.loop.numbers()
        if self._steady.numbers is None:
            self._steady.numbers = self.loop.numbers()
        return self._steady.numbers

    def at(self, number: int) -> IterationReader:
        """Returns the reader of an iteration, which need not exist."""
        if number not in self._readers:
            self._readers[number] = IterationReader(self.loop.iteration(number))
        return self._readers[number]

    def iteration(self, number: int) -> Iteration:
        if self._steady is None:
            return self.at(number).poll()
        known = self._steady.iterations.get(number)
        if known is None:
            known = self._steady.iterations[number] = self.at(number).poll()
        return known

    def iterations(self) -> tuple[Iteration, ...]:
        """Returns all iterations in order: the same tuple while none of them changes."""
        if self._steady is not None and self._steady.has_all:
            return self._iterations
        now = tuple(map(self.iteration, self.numbers()))
        if len(now) != len(self._iterations) or not all(map(is_, now, self._iterations)):
            self._iterations = now
        if self._steady is not None:
            self._steady.has_all = True
        return self._iterations

    def splits(self, number: int) -> dict[str, Split]:
        return self.at(number).splits()

    def examples(self, number: int) -> list[Example]:
        """The rows of the final evaluation, [] where there was none; raises BadInput.

        Returns the same list while the file does not change.
        """
        folder = self.at(number).folder
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
        """Returns the rows of the final evaluation as a table; raises BadInput."""
        folder = self.at(number).folder
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
        """Returns the columns that comparisons with other iterations need; raises BadInput."""
        folder = self.at(number).folder
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
            known = stamp, share_columns(fresh, others)
            self._keep_outcomes(number, known)
        self._outcomes.move_to_end(number)
        return known[1]

    def grouped_outcomes(self, iteration: Iteration) -> Outcomes | None:
        """Returns the outcomes of an iteration whose examples are not all independent.

        None where they are independent, and where they cannot be read. Of iterations with the same
        evaluation rows, one is read to find out.
        """
        rows = iteration.fingerprint.rows if iteration.fingerprint is not None else ""
        if rows in self._independent:
            return None
        with suppress(TuiLoopError, OSError):
            found = self.outcomes(iteration.number)
            if found.clusters is not None:
                return found
            if rows:
                self._independent.add(rows)
        return None

    def _keep_outcomes(self, number: int, known: tuple[Stamp, Outcomes]) -> None:
        """Keeps an iteration's outcomes, and drops those that were not used for longest."""
        before = self._outcomes.pop(number, None)
        if before is not None:
            self._outcome_rows -= len(before[1].ids)
        self._outcomes[number] = known
        self._outcome_rows += len(known[1].ids)
        while self._outcome_rows > OUTCOME_ROWS and len(self._outcomes) > 1:
            _, (_, dropped) = self._outcomes.popitem(last=False)
            self._outcome_rows -= len(dropped.ids)

    def has_outcomes(self, number: int) -> bool:
        """Returns whether `outcomes` needs to read no file."""
        known = self._outcomes.get(number)
        return known is not None and known[0] == stamp_of(self.at(number).folder.examples)

    def keep_runs(self, numbers: set[int]) -> None:
        """Drops the journals of all other ended iterations from memory."""
        for number, reader in self._readers.items():
            if number not in numbers and reader.has_run and reader.folder.summary.exists():
                reader.forget_run()


def stamp_of(path: Path) -> Stamp:
    """Returns (modification time in ns, size), None for a missing file; differs after a change."""
    try:
        status = os.lstat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


def iteration_of(folder: IterationFolder, watch: LockWatcher | None = None) -> Iteration:
    """Reads the iteration in `folder` once."""
    return IterationReader(folder, watch).poll()


def iterations_of(loop: LoopFolder) -> list[Iteration]:
    """Reads every iteration of a loop, in order."""
    return list(LoopReader(loop).iterations())


def read_run(folder: IterationFolder) -> RunState:
    """Reads and folds the whole journal of an iteration."""
    state, follower = RunState(), Follower(folder.journal)
    for events in follower.parts():
        state = fold(RunState() if follower.restarted else state, events)
    return state
