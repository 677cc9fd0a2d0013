"""The autopilot with several runs at once: what it starts, waits for, judges and never repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.core.workflow.conftest import FakeRunner
from tui_loop.core.config.schema import Config
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import RunStopped
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.autopilot import Autopilot, RunsEnd
from tui_loop.core.workflow.autopilot_log import Outcome
from tui_loop.core.workflow.plan import Plan
from tui_loop.core.workflow.stop_rules import Limits
from tui_loop.core.workflow.suggestion_source import History, Proposal, plan_of_proposal


class Rates:
    """Proposes the first untried of some learning rates."""

    def __init__(self, *rates: float) -> None:
        self.rates = rates
        self.calls = 0

    def propose(self, history: History) -> Proposal | None:
        self.calls += 1
        for rate in self.rates:
            proposal = Proposal(1, f"rate {rate}", {"training.learning_rate": rate})
            if not history.tried(plan_of_proposal(history.loop, proposal).config):
                return proposal
        return None


class Slots:
    """Runs plans of a fake runner in some slots; of the running ones, the last one ends first."""

    def __init__(self, runner: FakeRunner, slots: int) -> None:
        self._runner, self._slots = runner, slots
        self._running: list[tuple[int, ...]] = []
        self._is_fresh = self._is_stopped = False
        self.log: list[str] = []

    def has_room(self) -> bool:
        if self._is_stopped:
            if not self._running:
                raise RunStopped("stopped on request", "")
            return False
        return len(self._running) < self._slots

    def create(self, plan: Plan) -> Sequence[int]:
        return self._runner.create(plan)

    def start(self, numbers: Sequence[int]) -> None:
        self._running.append(tuple(numbers))
        self._is_fresh = True
        self.log.append(f"+{numbers[0]}")

    def ended(self) -> list[RunsEnd]:
        is_fresh, self._is_fresh = self._is_fresh, False
        if is_fresh and len(self._running) < self._slots:
            return []  # nothing ends before all that can start has started
        if not self._running:
            return []
        numbers = self._running.pop()
        self.log.append(f"-{numbers[0]}")
        try:
            self._runner.run(numbers)
        except ChecksFailed as refusal:
            return [RunsEnd(numbers, refusal)]
        except RunStopped as error:
            self._is_stopped = True
            return [RunsEnd(numbers, None, error.message)]
        return [RunsEnd(numbers)]


def world(config: Config) -> dict[str, Any]:
    """The higher the rate, the better."""
    return {"score": min(1.0, config.training.learning_rate * 1000), "eval_loss": 1.0}


def go(
    loop: LoopFolder, source: Rates, *, iterations: int, slots: int = 2, **faults: Any
) -> tuple[Outcome, list[str], list[str]]:
    """Lets it run; returns the outcome, starts and ends in order, and the reported lines."""
    fake, lines = FakeRunner(loop, world), list[str]()
    for name, value in faults.items():
        setattr(fake, name, value)
    runner = Slots(fake, slots)
    outcome = Autopilot(
        History(loop),
        source,
        runner,
        Limits(iterations),
        diagnose=Diagnosis,
        ready_reason=lambda _: "",
        report=lines.append,
    ).run()
    return outcome, runner.log, lines


def test_two_run_at_once_once_the_first_has_ended(loop: LoopFolder) -> None:
    outcome, log, lines = go(loop, Rates(2e-4, 3e-4, 4e-4, 5e-4), iterations=5)
    assert log == ["+1", "-1", "+2", "+3", "-3", "+4", "-4", "+5", "-5", "-2"]
    assert (outcome.stop.kind, len(outcome.steps)) == ("budget", 5)
    assert [line[:7] for line in lines if " of 5: " in line] == [f"{n} of 5:" for n in range(1, 6)]


def test_no_config_is_run_twice_and_what_still_runs_is_judged(loop: LoopFolder) -> None:
    outcome, log, _ = go(loop, Rates(2e-4, 3e-4), iterations=9, slots=3)
    assert log == ["+1", "-1", "+2", "+3", "-3", "-2"]
    assert outcome.stop.kind == "nothing"
    rates = [each.plan.config.training.learning_rate for each in outcome.steps]
    assert sorted(rates)[1:] == [2e-4, 3e-4]


def test_a_source_without_an_idea_is_asked_again_only_after_an_end(loop: LoopFolder) -> None:
    source = Rates(2e-4)
    go(loop, source, iterations=9, slots=3)
    assert source.calls == 3  # for 2, while 2 runs, and after it


def test_a_stop_starts_nothing_more_and_waits_for_the_others(loop: LoopFolder) -> None:
    outcome, log, _ = go(loop, Rates(2e-4, 3e-4, 4e-4), iterations=9, stops_at=3)
    assert log == ["+1", "-1", "+2", "+3", "-3", "-2"]
    assert outcome.stop.kind == "stopped"
    assert [each.ended.number for each in outcome.steps] == [1, 3, 2]


def test_a_refused_config_ends_no_other(loop: LoopFolder) -> None:
    outcome, log, lines = go(loop, Rates(2e-4, 3e-4, 4e-4), iterations=4, refused_by_gate=(3e-4,))
    assert log[:5] == ["+1", "-1", "+2", "+3", "-3"]
    assert sum("This config cannot run" in line for line in lines) == 1
    rates = {each.plan.config.training.learning_rate for each in outcome.steps}
    assert {2e-4, 4e-4} <= rates
    assert 3e-4 not in rates
