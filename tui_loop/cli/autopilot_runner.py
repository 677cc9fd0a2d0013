"""Runs the autopilot: connects its source of suggestions, its runs and the checklist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tui_loop.cli.output import Output
from tui_loop.cli.run_process import create_runs
from tui_loop.cli.unattended_runs import run_unattended, unattended_session, wait_for_live_run
from tui_loop.core.commands import command
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.workflow.autopilot import FIRST, Autopilot
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
        return [*words, *(["--allow-code"] if self.allow_code else [])]


def run_autopilot(loop: LoopFolder, request: AutoRequest, out: Output) -> Outcome:
    """Runs iterations until a stop rule applies; raises TuiLoopError before the first one."""
    if request.start is not None:
        loop.existing(request.start)
    require_start_consent(loop, request.start, allow=request.allow_code)
    diagnose = _Diagnoses(loop)
    history = History(loop, request.start)
    source, about = suggestion_source(history, request, diagnose)
    with unattended_session(loop, "auto"):
        return Autopilot(
            history,
            source,
            AutopilotRuns(loop, request, out),
            request.limits,
            diagnose=diagnose,
            ready_reason=lambda number: ready_reason(loop, number),
            report=out.advice,
            about=about,
        ).run()


def require_start_consent(loop: LoopFolder, start: int | None, *, allow: bool) -> None:
    """Raises NeedsConsent where the first run would run code that the user has not allowed.

    `auto` changes neither the model nor the metric, so the consent covers all of its runs.
    """
    from tui_loop.engine.foreign_code import require_config_consent

    best = History(loop, start).best
    number = start if start is not None or best is None else best.number
    require_config_consent(config_before(loop, number), loop.root, allow=allow)


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


class AutopilotRuns:
    """Runs the autopilot's plans one after the other, each in a separate process."""

    def __init__(self, loop: LoopFolder, request: AutoRequest, out: Output) -> None:
        self._loop, self._request, self._out = loop, request, out
        self._folders: list[IterationFolder] = []

    def create(self, plan: Plan) -> Sequence[int]:
        """Waits for other runs of the loop, then creates the plan's runs; returns their numbers."""
        wait_for_live_run(self._loop, self._out)
        self._folders = create_runs(
            self._loop,
            plan,
            self._out,
            repeat=self._request.repeat,
            allow_code=self._request.allow_code,
        )
        return [folder.number for folder in self._folders if folder.number > 0]

    def run(self, numbers: Sequence[int]) -> None:
        run_unattended(self._loop, self._folders, self._out)


class _Diagnoses:
    """Diagnoses a loop's iterations with one reader, which keeps what it has read."""

    def __init__(self, loop: LoopFolder) -> None:
        self._diagnoser = Diagnoser(LoopReader(loop))

    def __call__(self, number: int) -> Diagnosis:
        return self._diagnoser.diagnose(number)
