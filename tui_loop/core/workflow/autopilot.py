"""The autopilot: decides, runs and judges iterations until there is a reason to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import RunStopped, TuiLoopError
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.autopilot_log import (
    Outcome,
    Step,
    best_summary,
    decision_text,
    prediction_text,
    result_text,
)
from tui_loop.core.workflow.plan import Plan
from tui_loop.core.workflow.stop_rules import (
    AutoEnd,
    Limits,
    Stop,
    by_budget,
    by_plateau,
    write_auto_end,
)
from tui_loop.core.workflow.suggestion_source import History, Proposal, Source, plan_of_proposal

REFUSALS = 3
"""Stops after this many consecutive proposals that cannot be run: the cause is not one proposal."""

FIRST = "nothing has been trained yet: the default settings are the starting point"


class RunsEnd(msgspec.Struct, frozen=True):
    """The end of the iterations of one plan.

    `refusal`: why the gate refused them. `stopped`: why nothing should follow them.
    """

    numbers: tuple[int, ...]
    refusal: ChecksFailed | None = None
    stopped: str = ""


class Runner(Protocol):
    """Protocol of an object that creates planned iterations and runs some of them at once."""

    def has_room(self) -> bool:
        """Whether more iterations can start now; raises RunStopped where none will."""

    def create(self, plan: Plan) -> Sequence[int]:
        """Creates the next iteration, or replicates of it, and returns their numbers.

        Raises TuiLoopError where it would certainly fail, and then creates nothing.
        """

    def start(self, numbers: Sequence[int]) -> None:
        """Starts created iterations."""

    def ended(self) -> list[RunsEnd]:
        """Waits a moment; returns what has ended since the last call."""


class OneRunner(Protocol):
    """Protocol of an object that runs one plan at a time, and is followed by a person."""

    def create(self, plan: Plan) -> Sequence[int]:
        """As in `Runner`."""

    def run(self, numbers: Sequence[int]) -> None:
        """Runs created iterations to their end; raises RunStopped, or ChecksFailed."""


class InOrder:
    """Makes a `Runner` of a `OneRunner`: each plan ends before the next begins."""

    def __init__(self, runner: OneRunner) -> None:
        self._runner = runner
        self._ended: list[RunsEnd] = []

    def has_room(self) -> bool:
        return not self._ended

    def create(self, plan: Plan) -> Sequence[int]:
        return self._runner.create(plan)

    def start(self, numbers: Sequence[int]) -> None:
        refusal, stopped = None, ""
        try:
            self._runner.run(numbers)
        except RunStopped as error:
            stopped = error.message
        except ChecksFailed as error:
            refusal = error
        self._ended.append(RunsEnd(tuple(numbers), refusal, stopped))

    def ended(self) -> list[RunsEnd]:
        found, self._ended = self._ended, []
        return found


class _Pending(msgspec.Struct, frozen=True):
    """A plan whose iterations run, and when they started."""

    plan: Plan
    since: float


class Autopilot:
    """Runs the proposals of a source, as many at once as the runner has room for.

    `diagnose` and `ready_reason` take the number of an iteration; the latter returns why it is
    ready, or "". `report` gets one line at a time, first `about`, a description of the source.
    """

    def __init__(
        self,
        history: History,
        source: Source,
        runner: Runner,
        limits: Limits,
        *,
        diagnose: Callable[[int], Diagnosis],
        ready_reason: Callable[[int], str],
        report: Callable[[str], None],
        about: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history, self._source, self._runner, self._limits = history, source, runner, limits
        self._diagnose, self._ready_reason = diagnose, ready_reason
        self._report, self._about, self._clock = report, about, clock
        self._steps: list[Step] = []
        self._bests: list[int | None] = []
        self._last_duration: float | None = None
        self._refusals = 0
        self._pending: dict[tuple[int, ...], _Pending] = {}
        self._has_no_idea = False

    def run(self) -> Outcome:
        """Runs iterations until there is a reason to stop; reports each decision and its result.

        What still runs then is waited for and judged, too. Adds a log of all steps to the notes of
        the last iteration.
        """
        started = self._clock()
        if self._about:
            self._report(self._about)
        self._bests.append(self._best())
        stop = self._reason_to_stop(0.0)
        while stop is None or self._pending:
            if stop is None and not self._has_no_idea:
                stop = self._begin()
            ends = self._runner.ended()
            for end in ends:
                stop = self._finish(end) or stop
            if stop is None:
                elapsed = self._clock() - started
                stop = self._reason_to_stop(elapsed) if ends else self._spent(elapsed)
        best = self._history.best_runs
        outcome = Outcome(self._history.loop.name, tuple(self._steps), stop, best, self._about)
        self._report(stop.words)
        if summary := best_summary(outcome.best_runs):
            self._report(summary)
        self._add_note(outcome)
        self._write_end(outcome)
        return outcome

    def _reason_to_stop(self, elapsed: float) -> Stop | None:
        best, newest = self._bests[-1], self._history.newest
        if best is not None and (reason := self._ready_reason(best)):
            return Stop("ready", reason)
        diagnosis = self._diagnosis(newest.number) if newest is not None and self._steps else None
        return by_plateau(self._bests, diagnosis) or self._spent(elapsed)

    def _spent(self, elapsed: float) -> Stop | None:
        count = len(self._steps) + len(self._pending)
        return by_budget(self._limits, count, elapsed, self._last_duration)

    def _begin(self) -> Stop | None:
        """Decides on the next plan and starts it, if there is room; returns a reason to stop.

        While others run, nothing to try is no such reason: their results may suggest more.
        """
        try:
            if not self._runner.has_room():
                return None
            chosen = self._choose()
        except RunStopped as error:
            return Stop("stopped", error.message)
        if isinstance(chosen, Stop):
            self._has_no_idea = bool(self._pending)
            return None if self._pending else chosen
        plan, numbers = chosen
        self._report(
            f"{len(self._steps) + len(self._pending) + 1} of {self._limits.iterations}: "
            f"{decision_text(plan, tuple(numbers))}"
        )
        if prediction := prediction_text(plan):
            self._report(prediction)
        self._pending[tuple(numbers)] = _Pending(plan, self._clock())
        self._history.pending.update(numbers)
        self._runner.start(numbers)
        return None

    def _finish(self, end: RunsEnd) -> Stop | None:
        """Judges what has ended; returns a reason to stop, if any."""
        self._has_no_idea = False
        pending = self._pending.pop(end.numbers)
        self._history.pending.difference_update(end.numbers)
        if end.refusal is not None:
            return self._refused(pending.plan, end.refusal)
        self._refusals = 0
        self._last_duration = self._clock() - pending.since
        stop = self._judge(pending.plan, end.numbers)
        return Stop("stopped", end.stopped) if end.stopped else stop

    def _refused(self, plan: Plan, error: ChecksFailed) -> Stop | None:
        """Notes that the gate refused a plan; returns a reason to stop after too many."""
        self._history.refuse(plan.config)
        self._refusals += 1
        problems = "; ".join(each.message for each in error.errors)
        self._report(f"proposal {decision_text(plan)}. This config cannot run: {problems}")
        if self._refusals < REFUSALS and self._history.trained:
            return None
        return Stop("refused", f"the proposed config cannot be run: {problems}")

    def _choose(self) -> tuple[Plan, Sequence[int]] | Stop:
        """Returns the next plan and the numbers of its iterations, which have been created."""
        refused = ""
        for _ in range(REFUSALS):
            proposal = self._proposal()
            if proposal is None:
                return Stop("nothing", "no untried suggestion is worth a run")
            try:
                plan = plan_of_proposal(self._history.loop, proposal)
            except TuiLoopError as error:
                return Stop("refused", f"the proposed config is invalid: {error.message}")
            try:
                return plan, self._runner.create(plan)
            except RunStopped:
                raise
            except TuiLoopError as error:
                self._history.refuse(plan.config)
                refused = error.message
                self._report(f"proposal {decision_text(plan)}. This config cannot run: {refused}")
                if not proposal.settings:
                    break
        return Stop("refused", f"the proposed config cannot be run: {refused}")

    def _proposal(self) -> Proposal | None:
        if not self._history.trained:
            if self._pending:  # all else starts from the first result
                return None
            start = self._history.start
            return Proposal(start, FIRST)
        return self._source.propose(self._history)

    def _judge(self, plan: Plan, numbers: Sequence[int]) -> Stop | None:
        """Adds the step; returns a reason to stop where no run was even started."""
        loop = self._history.loop
        started = [
            each
            for each in (iteration_of(loop.iteration(n)) for n in numbers if self._exists(n))
            if each.state != "queued"
        ]
        if not started:
            return Stop("failed", f"{loop.name}/{numbers[0]} was not started")
        self._history.created.extend(each.number for each in started)
        best, ended = self._best(), started[0]
        self._bests.append(best)
        step = Step(
            plan,
            tuple(each.number for each in started),
            ended,
            best,
            self._comparison(plan.parent, ended.number),
            getattr(self._diagnosis(ended.number), "verdict", None),
        )
        self._steps.append(step)
        self._report(result_text(step))
        return None

    def _exists(self, number: int) -> bool:
        return self._history.loop.iteration(number).path.exists()

    def _best(self) -> int | None:
        best = self._history.best
        return best.number if best is not None else None

    def _diagnosis(self, number: int) -> Diagnosis | None:
        try:
            return self._diagnose(number)
        except (TuiLoopError, OSError):
            return None

    def _comparison(self, parent: int | None, number: int) -> Comparison | None:
        if parent is None:
            return None
        try:
            return Comparer(self._history.reader).compare(parent, number)
        except (TuiLoopError, OSError):
            return None

    def _add_note(self, outcome: Outcome) -> None:
        """Adds the log of all steps to the notes of the last iteration that was created."""
        if not self._history.created:
            return
        folder = self._history.loop.iteration(self._history.created[-1])
        try:
            folder.add_note(outcome.note)
        except (TuiLoopError, OSError) as error:
            self._report(f"the log could not be added to {folder.notes}: {error}")

    def _write_end(self, outcome: Outcome) -> None:
        """Records why it stopped: the app that shows the loop may start later."""
        last = max(self._history.loop.numbers(), default=None)
        best = outcome.best.number if outcome.best is not None else None
        try:
            write_auto_end(
                self._history.loop, AutoEnd(round(time.time(), 3), outcome.stop, last, best)
            )
        except (TuiLoopError, OSError) as error:
            self._report(f"{self._history.loop.auto} could not be written: {error}")
