"""What `auto` is put together from: the source of suggestions, the runs, the checklist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from tui_loop.cli.output import Output
from tui_loop.cli.unattended_runs import alone_with, created, ran, wait_for_others
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


class Wanted(msgspec.Struct, frozen=True):
    """What `auto` was asked for. `ranges`: what a sampler samples, each `FIELD=LOW..HIGH`."""

    limits: Limits
    source: str = "diagnosis"
    ranges: tuple[str, ...] = ()
    start: int | None = None
    repeat: int = 1
    seed: int = 0
    allow_code: bool = False


def go_by_itself(loop: LoopFolder, wanted: Wanted, out: Output) -> Outcome:
    """Lets the loop go until there is a reason to stop; raises TuiLoopError before it begins."""
    if wanted.start is not None:
        loop.existing(wanted.start)
    require_start_consent(loop, wanted.start, allow=wanted.allow_code)
    diagnose = _Diagnoses(loop)
    history = History(loop, wanted.start)
    source, about = source_of(history, wanted, diagnose)
    with alone_with(loop, "auto"):
        return Autopilot(
            history,
            source,
            Runs(loop, wanted, out),
            wanted.limits,
            diagnose=diagnose,
            ready_reason=lambda number: ready_reason(loop, number),
            report=out.line,
            about=about,
        ).run()


def require_start_consent(loop: LoopFolder, start: int | None, *, allow: bool) -> None:
    """Raises NeedsConsent where the first run would run code that nobody allowed.

    `auto` changes neither the model nor the metric, so that this holds for all its runs.
    """
    from tui_loop.engine.foreign_code import require_config_consent

    best = History(loop, start).best
    number = start if start is not None or best is None else best.number
    require_config_consent(config_before(loop, number), loop.root, allow=allow)


def look_ahead(loop: LoopFolder, start: int | None) -> list[str]:
    """What `auto` would do first, from `start` or the best so far, a sentence each.

    Runs nothing; raises BadInput where it would stop at once, TuiLoopError.
    """
    refuse_closed(loop)
    history = History(loop, start)
    best = history.best
    if best is not None and (reason := ready_reason(loop, best.number)):
        raise BadInput(f"it would stop at once: {reason}", "there is no need to go on")
    proposal = Proposal(start, FIRST)
    if history.trained:
        found = DiagnosisSource(_Diagnoses(loop)).propose(history)
        if found is None:
            raise BadInput(
                "it would stop at once: nothing that was not tried yet is worth trying from there",
                "begin from another iteration, or with a change of your own",
            )
        proposal = found
    plan = plan_of_proposal(loop, proposal)
    return [f"first {decision_text(plan)}", *filter(None, [prediction_text(plan)])]


def source_of(history: History, wanted: Wanted, diagnose: _Diagnoses) -> tuple[Source, str]:
    """The source of suggestions by its name, and what is to be said of it first.

    Raises NeedsExtra, BadInput.
    """
    if wanted.source == "search":
        from tui_loop.engine.sampler import SearchSource

        source = SearchSource(history.loop, wanted.ranges, wanted.seed, history)
        return source, source.words
    return DiagnosisSource(diagnose), ""


def ready_reason(loop: LoopFolder, number: int) -> str:
    """Why an iteration needs no more, as far as can be told without the holdout; "" if it does."""
    try:
        found = checklist(loop, number)
    except (TuiLoopError, OSError):
        return ""
    if found.is_ready:
        return found.verdict
    if found.is_ready_except_holdout:
        return (
            f"{loop.name}/{number} meets every criterion but the holdout, which you evaluate: "
            + command("ready", f"{loop.name}/{number}")
        )
    return ""


class Runs:
    """Runs plans one after the other, each in a process of its own."""

    def __init__(self, loop: LoopFolder, wanted: Wanted, out: Output) -> None:
        self._loop, self._wanted, self._out = loop, wanted, out
        self._folders: list[IterationFolder] = []

    def create(self, plan: Plan) -> Sequence[int]:
        """The numbers of what is to run; waits until no other run of the loop is under way."""
        wait_for_others(self._loop, self._out)
        repeat, allow_code = self._wanted.repeat, self._wanted.allow_code
        self._folders = created(self._loop, plan, self._out, repeat=repeat, allow_code=allow_code)
        return [each.number for each in self._folders if each.number > 0]

    def run(self, numbers: Sequence[int]) -> None:
        ran(self._loop, self._folders, self._out)


class _Diagnoses:
    """Diagnoses of a loop's iterations."""

    def __init__(self, loop: LoopFolder) -> None:
        self._diagnoser = Diagnoser(LoopReader(loop))

    def __call__(self, number: int) -> Diagnosis:
        return self._diagnoser.diagnose(number)
