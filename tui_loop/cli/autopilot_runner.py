"""Runs the autopilot: connects its source of suggestions, its runs and the checklist."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from tui_loop.cli.arguments import ONE
from tui_loop.cli.output import Output
from tui_loop.cli.parallel_runs import Ended, ParallelRuns, has_free_gpus, slots_of
from tui_loop.cli.run_process import create_runs
from tui_loop.cli.unattended_runs import (
    POLL_SECONDS,
    run_unattended,
    unattended_session,
    wait_for_live_run,
)
from tui_loop.core.commands import command
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import BadInput, RunStopped, TuiLoopError
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.workflow.autopilot import FIRST, Autopilot, InOrder, Runner, RunsEnd
from tui_loop.core.workflow.autopilot_log import Outcome, decision_text, prediction_text
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.plan import Plan, config_before
from tui_loop.core.workflow.readiness import checklist
from tui_loop.core.workflow.stop_rules import Limits
from tui_loop.core.workflow.suggestion_source import (
    DiagnosisSource,
    History,
    Proposal,
    Source,
    plan_of_proposal,
)

if TYPE_CHECKING:
    from tui_loop.core.record.folders import IterationFolder


class AutoRequest(msgspec.Struct, frozen=True):
    """The arguments of `auto`. `ranges`: what a sampler samples, each `FIELD=LOW..HIGH`."""

    limits: Limits
    source: str = "diagnosis"
    ranges: tuple[str, ...] = ()
    start: int | None = None
    repeat: int = 1
    seed: int = 0
    allow_code: bool = False
    parallel: str = ONE

    def words(self, loop: LoopFolder) -> list[str]:
        """Returns the command line of this request, for a background process."""
        words = ["auto", loop.name, "--iterations", str(self.limits.iterations)]
        words += ["--source", self.source, "--repeat", str(self.repeat), "--seed", str(self.seed)]
        if self.limits.hours is not None:
            words += ["--hours", str(self.limits.hours)]
        if self.start is not None:
            words += ["--from", str(self.start)]
        for entry in self.ranges:
            words += ["--range", entry]
        if self.parallel != ONE:
            words += ["--parallel", self.parallel]
        return [*words, *(["--allow-code"] if self.allow_code else [])]


def run_autopilot(loop: LoopFolder, request: AutoRequest, out: Output) -> Outcome:
    """Runs iterations until a stop rule applies; raises TuiLoopError before the first one."""
    if request.start is not None:
        loop.existing(request.start)
    require_start_consent(loop, request.start, allow=request.allow_code)
    diagnose = _Diagnoses(loop)
    history = History(loop, request.start)
    source, about = suggestion_source(history, request, diagnose)

    def run(runner: Runner) -> Outcome:
        return Autopilot(
            history,
            source,
            runner,
            request.limits,
            diagnose=diagnose,
            ready_reason=lambda number: ready_reason(loop, number),
            report=out.advice,
            about=about,
        ).run()

    with unattended_session(loop, "auto"):
        if (slots := slots_of(request.parallel)) == 1:
            return run(InOrder(AutopilotRuns(loop, request, out)))
        with ParallelRuns(loop, out, slots) as runs:
            return run(ParallelAutopilotRuns(loop, request, out, runs))


def require_start_consent(loop: LoopFolder, start: int | None, *, allow: bool) -> None:
    """Raises NeedsConsent where the first run would run code that the user has not allowed.

    `auto` changes neither the model nor the metric, so the consent covers all of its runs.
    """
    from tui_loop.engine.foreign_code import require_config_consent

    parent = _first_parent(loop, start)
    require_config_consent(config_before(loop, parent), loop.root, allow=allow)


def _first_parent(loop: LoopFolder, start: int | None) -> int | None:
    """Returns the iteration from which the first run derives, None for the loop's defaults."""
    best = History(loop, start).best
    return start if start is not None or best is None else best.number


def first_step(loop: LoopFolder, start: int | None) -> list[str]:
    """Says what `auto` would do first, from `start` or the best iteration, a sentence each.

    Runs nothing. Raises BadInput where `auto` would stop at once.
    """
    refuse_closed(loop)
    history = History(loop, start)
    best = history.best
    if best is not None and (reason := ready_reason(loop, best.number)):
        raise BadInput(f"auto would stop at once: {reason}", "no further iteration is needed")
    proposal = Proposal(start, FIRST)
    if history.trained:
        suggested = DiagnosisSource(_Diagnoses(loop)).propose(history)
        if suggested is None:
            raise BadInput(
                "auto would stop at once: no untried suggestion of the diagnosis is worth a run",
                "start auto from a different iteration, or run a change of your own first",
            )
        proposal = suggested
    plan = plan_of_proposal(loop, proposal)
    return [f"first {decision_text(plan)}", *filter(None, [prediction_text(plan)])]


def suggestion_source(
    history: History, request: AutoRequest, diagnose: _Diagnoses
) -> tuple[Source, str]:
    """Returns the requested source of suggestions and its description.

    Raises NeedsExtra or BadInput.
    """
    if request.source == "search":
        from tui_loop.engine.sampler import SearchSource

        source = SearchSource(history.loop, request.ranges, request.seed, history)
        return source, source.words
    return DiagnosisSource(diagnose), ""


def ready_reason(loop: LoopFolder, number: int) -> str:
    """Returns why an iteration is ready, apart from the holdout; "" where it is not."""
    try:
        items = checklist(loop, number)
    except (TuiLoopError, OSError):
        return ""
    if items.is_ready:
        return items.verdict
    if items.is_ready_except_holdout:
        return (
            f"{loop.name}/{number} meets every criterion except the holdout; evaluate the holdout: "
            + command("ready", f"{loop.name}/{number}")
        )
    return ""


class _Created:
    """Creates the iterations of plans, and knows their folders, the base's among them."""

    def __init__(self, loop: LoopFolder, request: AutoRequest, out: Output) -> None:
        self._loop, self._request, self._out = loop, request, out
        self.folders: dict[tuple[int, ...], list[IterationFolder]] = {}

    def create(self, plan: Plan) -> Sequence[int]:
        """Creates the plan's runs; returns their numbers."""
        folders = create_runs(
            self._loop,
            plan,
            self._out,
            repeat=self._request.repeat,
            allow_code=self._request.allow_code,
        )
        numbers = tuple(folder.number for folder in folders if folder.number > 0)
        self.folders[numbers] = folders
        return numbers


class AutopilotRuns:
    """Runs the autopilot's plans one after the other, each in a separate process."""

    def __init__(self, loop: LoopFolder, request: AutoRequest, out: Output) -> None:
        self._loop, self._out = loop, out
        self._created = _Created(loop, request, out)

    def create(self, plan: Plan) -> Sequence[int]:
        """Waits for other runs of the loop, then creates the plan's runs; returns their numbers."""
        wait_for_live_run(self._loop, self._out)
        return self._created.create(plan)

    def run(self, numbers: Sequence[int]) -> None:
        run_unattended(self._loop, self._created.folders.pop(tuple(numbers)), self._out)


class ParallelAutopilotRuns:
    """Runs several of the autopilot's plans at once, within `runs`."""

    def __init__(
        self, loop: LoopFolder, request: AutoRequest, out: Output, runs: ParallelRuns
    ) -> None:
        self._loop, self._runs = loop, runs
        self._created = _Created(loop, request, out)
        self._numbers: dict[int, tuple[int, ...]] = {}
        # No proposal changes the device, so each needs what the first needs.
        self._device = config_before(loop, _first_parent(loop, request.start)).run

    def has_room(self) -> bool:
        if self._runs.stop_requested:
            if not self._runs.count:
                raise RunStopped("stopped on request", "")
            return False
        if not self._runs.has_room():
            return False
        with suppress(TuiLoopError):  # the run itself is refused then
            return has_free_gpus(self._device)
        return True

    def create(self, plan: Plan) -> Sequence[int]:
        return self._created.create(plan)

    def start(self, numbers: Sequence[int]) -> None:
        folders = self._created.folders.pop(tuple(numbers))
        self._numbers[folders[-1].number] = tuple(numbers)
        self._runs.start(folders)

    def ended(self) -> list[RunsEnd]:
        """Returns what has ended; a stop of one run stops the others only if they are asked to."""
        found = self._runs.ended()
        if not found:
            time.sleep(POLL_SECONDS)
        return [
            RunsEnd(
                self._numbers.pop(each.folders[-1].number),
                ChecksFailed(list(each.refusal)) if each.refusal else None,
                self._stop_text(each) if self._runs.stop_requested else "",
            )
            for each in found
        ]

    def _stop_text(self, ended: Ended) -> str:
        last = ended.folders[-1]
        return f"{last} was stopped on request" if ended.is_stopped else "stopped on request"


class _Diagnoses:
    """Diagnoses a loop's iterations with one reader, which keeps what it has read."""

    def __init__(self, loop: LoopFolder) -> None:
        self._diagnoser = Diagnoser(LoopReader(loop))

    def __call__(self, number: int) -> Diagnosis:
        return self._diagnoser.diagnose(number)
