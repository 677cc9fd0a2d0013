"""The autopilot: decide, run, judge, and again, until there is a reason to stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import RunStopped, TuiLoopError
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.autopilot_log import (
    Outcome,
    Step,
    told_best,
    told_decision,
    told_prediction,
    told_result,
)
from tui_loop.core.workflow.plan import Plan
from tui_loop.core.workflow.stop_rules import Limits, Stop, by_budget, by_plateau
from tui_loop.core.workflow.suggestion_source import History, Proposal, Source, plan_of_proposal

REFUSALS = 3
"""Proposals in a row that cannot be run: then there is more wrong than one of them."""

FIRST = "nothing was trained yet: the defaults show where it starts from"


class Runner(Protocol):
    """What runs a plan."""

    def create(self, plan: Plan) -> Sequence[int]:
        """Makes it the next iteration, or several that differ in the seed; their numbers.

        Raises TuiLoopError where it would fail for certain; nothing is there then.
        """

    def run(self, numbers: Sequence[int]) -> None:
        """Runs what was created, however it ends; raises RunStopped where a stop was asked for."""


class Autopilot:
    """Takes what the source proposes, one after the other.

    `diagnose` and `is_ready` look at one iteration; the latter gives the reason for which nothing
    more is needed, or "". `tell` gets a line at a time, `about` (of the source) first.
    """

    def __init__(
        self,
        history: History,
        source: Source,
        runner: Runner,
        limits: Limits,
        *,
        diagnose: Callable[[int], Diagnosis],
        is_ready: Callable[[int], str],
        tell: Callable[[str], None],
        about: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._history, self._source, self._runner, self._limits = history, source, runner, limits
        self._diagnose, self._is_ready = diagnose, is_ready
        self._tell, self._about, self._clock = tell, about, clock
        self._steps: list[Step] = []
        self._bests: list[int | None] = []
        self._last_took: float | None = None

    def go(self) -> Outcome:
        """Goes on until there is a reason to stop; tells each decision and what became of it.

        The trail is added to the notes of the last iteration that was made.
        """
        began = self._clock()
        if self._about:
            self._tell(self._about)
        self._bests.append(self._best())
        stop = None
        while stop is None:
            stop = self._reason_to_stop(self._clock() - began) or self._round()
        best = self._history.best_runs
        outcome = Outcome(self._history.loop.name, tuple(self._steps), stop, best, self._about)
        self._tell(stop.words)
        if told := told_best(outcome.best_runs):
            self._tell(told)
        self._keep(outcome)
        return outcome

    def _reason_to_stop(self, elapsed: float) -> Stop | None:
        best, newest = self._bests[-1], self._history.newest
        if best is not None and (reason := self._is_ready(best)):
            return Stop("ready", reason)
        found = self._found(newest.number) if newest is not None and self._steps else None
        return by_plateau(self._bests, found) or by_budget(
            self._limits, len(self._steps), elapsed, self._last_took
        )

    def _round(self) -> Stop | None:
        """Decides, runs and judges once; a reason to stop where that was not possible."""
        try:
            chosen = self._choose()
        except RunStopped as error:
            return Stop("stopped", error.message)
        if isinstance(chosen, Stop):
            return chosen
        plan, numbers = chosen
        self._tell(
            f"{len(self._steps) + 1} of {self._limits.iterations}: "
            f"{told_decision(plan, tuple(numbers))}"
        )
        if told := told_prediction(plan):
            self._tell(told)
        began, stop = self._clock(), None
        try:
            self._runner.run(numbers)
        except RunStopped as error:
            stop = Stop("stopped", error.message)
        self._last_took = self._clock() - began
        return self._judge(plan, numbers) or stop

    def _choose(self) -> tuple[Plan, Sequence[int]] | Stop:
        """The next plan and the numbers of its iterations, which are there."""
        refused = ""
        for _ in range(REFUSALS):
            proposal = self._proposal()
            if proposal is None:
                return Stop("nothing", "nothing that was not tried yet is worth trying")
            try:
                plan = plan_of_proposal(self._history.loop, proposal)
            except TuiLoopError as error:
                return Stop("failed", f"what was proposed is no config: {error.message}")
            try:
                return plan, self._runner.create(plan)
            except RunStopped:
                raise
            except TuiLoopError as error:
                self._history.refuse(plan.config)
                refused = error.message
                self._tell(f"cannot be run: {told_decision(plan)}: {refused}")
                if not proposal.settings:
                    break
        return Stop("failed", f"it cannot be run: {refused}")

    def _proposal(self) -> Proposal | None:
        if not self._history.trained:
            start = self._history.start
            return Proposal(start, FIRST)
        return self._source.propose(self._history)

    def _judge(self, plan: Plan, numbers: Sequence[int]) -> Stop | None:
        """Adds the step; a reason to stop where nothing came of it, not even a failed run."""
        loop = self._history.loop
        begun = [
            each
            for each in (iteration_of(loop.iteration(n)) for n in numbers if self._is_there(n))
            if each.state != "queued"
        ]
        if not begun:
            return Stop("failed", f"{loop.name}/{numbers[0]} was not begun")
        self._history.made.extend(each.number for each in begun)
        best, ended = self._best(), begun[0]
        self._bests.append(best)
        step = Step(
            plan,
            tuple(each.number for each in begun),
            ended,
            best,
            self._against(plan.parent, ended.number),
            getattr(self._found(ended.number), "verdict", None),
        )
        self._steps.append(step)
        self._tell(told_result(step))
        return None

    def _is_there(self, number: int) -> bool:
        return self._history.loop.iteration(number).path.exists()

    def _best(self) -> int | None:
        best = self._history.best
        return best.number if best is not None else None

    def _found(self, number: int) -> Diagnosis | None:
        try:
            return self._diagnose(number)
        except (TuiLoopError, OSError):
            return None

    def _against(self, parent: int | None, number: int) -> Comparison | None:
        if parent is None:
            return None
        try:
            return Comparer(self._history.reader).compare(parent, number)
        except (TuiLoopError, OSError):
            return None

    def _keep(self, outcome: Outcome) -> None:
        """Adds the trail to the notes of the last iteration that was made here."""
        if not self._history.made:
            return
        folder = self._history.loop.iteration(self._history.made[-1])
        try:
            folder.add_note(outcome.note)
        except (TuiLoopError, OSError) as error:
            self._tell(f"the trail could not be added to {folder.notes}: {error}")
