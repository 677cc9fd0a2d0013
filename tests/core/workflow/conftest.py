"""Fixtures of the workflow tests: scripted sources, a runner that trains nothing, holdout lines."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import BadInput, RunStopped
from tui_loop.core.preflight.check_result import CheckKind, ChecksFailed, error
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.autopilot import Autopilot, InOrder
from tui_loop.core.workflow.autopilot_log import Outcome
from tui_loop.core.workflow.holdout import Figures, HoldoutEvaluation, PairedTable
from tui_loop.core.workflow.plan import Plan, create_iteration
from tui_loop.core.workflow.stop_rules import Limits
from tui_loop.core.workflow.suggestion_source import History, Proposal, Source

RATE = "training.learning_rate"
World = Callable[[Config], dict[str, Any]]


class Scripted:
    """Proposes what it is told to, one after the other."""

    def __init__(self, *proposals: Proposal) -> None:
        self.proposals = list(proposals)
        self.parents: list[int | None] = []

    def propose(self, history: History) -> Proposal | None:
        best = history.best
        self.parents.append(best.number if best is not None else None)
        return self.proposals.pop(0) if self.proposals else None


class FakeRunner:
    """Ends every run with the metrics that `world` gives; {"error": kind} fails it."""

    def __init__(self, loop: LoopFolder, world: World) -> None:
        self.loop, self.world = loop, world
        self.seconds = 60.0
        self.now = 0.0
        self.stops_at: int | None = None
        self.refused: tuple[float, ...] = ()
        self.refused_by_gate: tuple[float, ...] = ()

    def create(self, plan: Plan) -> Sequence[int]:
        if plan.config.training.learning_rate in self.refused:
            raise BadInput("the rate does not please", "")
        return [create_iteration(self.loop, plan, {}).number]

    def run(self, numbers: Sequence[int]) -> None:
        self.now += self.seconds
        for number in numbers:
            folder = self.loop.iteration(number)
            if folder.read_config().training.learning_rate in self.refused_by_gate:
                shutil.rmtree(folder.path)
                raise ChecksFailed([error(CheckKind.CONFIG, "the optimizer refuses the rate")])
            told = self.world(folder.read_config())
            is_stopped, kind = number == self.stops_at, told.get("error")
            failure = {"kind": kind, "message": "it diverged", "hint": "", "step": 3}
            folder.write_summary(
                msgspec.structs.replace(
                    iteration_of(folder),
                    state="stopped" if is_stopped else "failed" if kind else "finished",
                    metrics={} if kind else told,
                    error=failure if kind else None,
                )
            )
            if is_stopped:
                raise RunStopped(f"{folder} was stopped on request", "")


class Played:
    """What became of a loop that went by itself: the outcome, and the lines that were told."""

    def __init__(self, outcome: Outcome, lines: list[str]) -> None:
        self.outcome, self.lines = outcome, lines

    @property
    def tree(self) -> list[tuple[tuple[int, ...], int | None]]:
        """(numbers, parent) of each step."""
        return [(each.numbers, each.plan.parent) for each in self.outcome.steps]


@pytest.fixture(autouse=True)
def _no_syncs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)  # these records outlive no power cut


@pytest.fixture
def play(loop: LoopFolder) -> Callable[..., Played]:
    """Lets the loop go by itself in a world."""

    def go(
        source: Source,
        world: World,
        *,
        iterations: int = 4,
        hours: float | None = None,
        start: int | None = None,
        diagnose: Callable[[int], Diagnosis] = Diagnosis,
        is_ready: Callable[[int], str] = lambda _: "",
        runner: FakeRunner | None = None,
    ) -> Played:
        lines: list[str] = []
        runner = runner or FakeRunner(loop, world)
        outcome = Autopilot(
            History(loop, start),
            source,
            InOrder(runner),
            Limits(iterations, hours),
            diagnose=diagnose,
            ready_reason=is_ready,
            report=lines.append,
            clock=lambda: runner.now,
        ).run()
        return Played(outcome, lines)

    return go


SHA = "a" * 64


@pytest.fixture
def look() -> Callable[..., HoldoutEvaluation]:
    """Makes a look: 80 of 100 on eval, 78 of 100 on the holdout; anything else may be named."""

    def make(**more: Any) -> HoldoutEvaluation:
        fields: dict[str, Any] = {
            "t": 1_700_000_000.0,
            "iteration": 1,
            "sha256": SHA,
            "rows": 100,
            "metric": "label",
            "score": 0.78,
            "passed": 78,
            "total": 100,
            "loss": 0.61,
            "loss_error": 0.05,
            "base": Figures(0.1, 10, 100, 3.2),
            "paired": PairedTable(9, 69, 1, 21),
            "eval": Figures(0.8, 80, 100, 0.6, loss_error=0.05),
        }
        return HoldoutEvaluation(**{**fields, **more})

    return make
