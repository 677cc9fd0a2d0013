"""The record of a loop read once, as far as a report tells it."""

from __future__ import annotations

import msgspec

from tui_loop import __version__
from tui_loop.core.compare.best import best_runs
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.compare.uncertainty import share_interval
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.readiness.holdout import read_looks
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.loop_folder import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import LIVE, Decision, Iteration
from tui_loop.core.report.comparisons import against_of, comparable, shortened
from tui_loop.core.report.curves import curves_of
from tui_loop.core.report.facts import (
    DIAGNOSED,
    NOTES,
    ROWS_DIAGNOSED,
    TOLD,
    Open,
    Recovery,
    Report,
    Story,
    Told,
)
from tui_loop.core.report.failing import open_of
from tui_loop.core.report.places import data_of, environments_of
from tui_loop.core.report.words import spans, whole
from tui_loop.core.text.figures import counted
from tui_loop.core.text.secrets import redacted, without_secrets


def report_of(loop: LoopFolder) -> Report:
    """The facts of a report; raises BadInput where the loop's own settings cannot be read."""
    return _Gathering(loop).report()


class _Gathering:
    def __init__(self, loop: LoopFolder) -> None:
        self.loop = loop
        self.reader = LoopReader(loop)
        self.comparer = Comparer(self.reader)
        self.diagnoser = Diagnoser(self.reader)
        self.iterations = [self.reader.iteration(number) for number in self.reader.numbers()]
        self.best_runs = best_runs(self.comparer, self.iterations)
        self.best = self.best_runs[0].number if self.best_runs else None
        self.left_out: list[str] = []

    def report(self) -> Report:
        settings = self.loop.read_settings()
        numbers = [each.number for each in self.iterations]
        told = self._told()
        looks = read_looks(self.loop)
        if looks.bad_lines:
            self.left_out.append(f"{counted(looks.bad_lines, 'look')} at the holdout, unreadable")
        if looks.trouble:
            self.left_out.append(f"looks at the holdout: {looks.trouble}")
        return Report(
            made_by=f"tui-loop {__version__}",
            name=self.loop.name,
            goal=redacted(settings.goal),
            model=self.loop.default_config().model.id,
            metric=settings.metric,
            iterations=tuple(told),
            best=self.best,
            best_runs=tuple(each.number for each in self.best_runs),
            ended_at=self._ended_at(),
            closed=settings.closed,
            diagnoses=tuple(self._diagnoses()),
            open=tuple(self._open()),
            looks=looks.looks,
            data=data_of(self.reader, numbers),
            environments=environments_of(self.reader, numbers),
            left_out=tuple(self.left_out),
        )

    def _told(self) -> list[Told]:
        compared = comparable(self.iterations)
        wanted = [each.number for each in self.iterations if each.parent is not None]
        older = [each for each in wanted if each not in compared and self._scored(each)]
        if older:
            self.left_out.append(
                f"not held against their parents, for the time it takes: iterations {spans(older)}"
            )
        in_full = self._in_full()
        brief = [each.number for each in self.iterations if each.number not in in_full]
        if brief:
            self.left_out.append(
                f"only in the table, not told one by one: iterations {spans(brief)}"
            )
        decisions = {each.number: self._decision(each.number) for each in self.iterations}
        return [
            Told(
                iteration=_without_secrets(each),
                suggestion=redacted(decisions[each.number].suggestion or ""),
                predicted=without_secrets(decisions[each.number].predicted),
                against=against_of(
                    self.reader, self.comparer, each, with_examples=each.number in in_full
                )
                if each.number in compared
                else None,
                story=self._story(each) if each.number in in_full else None,
                score_interval=share_interval(each),
            )
            for each in self.iterations
        ]

    def _decision(self, number: int) -> Decision:
        try:
            return self.loop.iteration(number).read_decision()
        except (TuiLoopError, OSError):  # told as unreadable
            return Decision()

    def _scored(self, number: int) -> bool:
        return self.reader.iteration(number).metrics.get("score") is not None

    def _in_full(self) -> set[int]:
        """The first, the best and the newest iterations."""
        numbers = [each.number for each in self.iterations]
        beside = {*numbers[:1], *([] if self.best is None else [self.best])}
        return beside | set(numbers[-TOLD:])

    def _story(self, iteration: Iteration) -> Story:
        number = iteration.number
        folder = self.loop.iteration(number)
        try:
            run = self.reader.at(number).view().run
            notes = redacted(shortened(folder.read_notes(), NOTES))
        except (TuiLoopError, OSError):
            return Story()
        self.reader.keep_runs(set())
        return Story(
            recoveries=tuple(
                Recovery(each.kind, redacted(each.message)) for each in run.recoveries
            ),
            warnings=run.warnings,
            notes=notes,
            curves=curves_of(run, diverged_at(iteration)),
        )

    def _ended_at(self) -> float | None:
        """When the newest run ended, by its journal."""
        for each in reversed(self.iterations):
            if each.state == "unreadable":
                continue
            try:
                run = self.reader.at(each.number).view().run
            except (TuiLoopError, OSError):
                continue
            if run.ended is not None:
                return run.ended.t
        return None

    def _diagnoses(self) -> list[Diagnosis]:
        """The newest iterations that ended, the newest first."""
        ended = [
            each
            for each in self.iterations
            if each.state not in (*LIVE, "draft", "queued", "unreadable")
        ]
        found = []
        newest = ended[-DIAGNOSED:][::-1]
        if newest and (whole(newest[0], "total") or 0) > ROWS_DIAGNOSED:
            self.left_out.append("the diagnosis of all but the newest, for the time it takes")
            newest = newest[:1]
        for each in newest:
            try:
                found.append(self.diagnoser.diagnose(each.number))
            except (TuiLoopError, OSError) as error:
                self.left_out.append(f"the diagnosis of {each.number}: {error}")
        return found

    def _open(self) -> list[Open]:
        evaluated = [each for each in self.iterations if each.metrics.get("total")]
        roles: dict[int, str] = {}
        if self.best is not None:
            roles[self.best] = "the best so far"
        if evaluated:
            newest = evaluated[-1].number
            is_best = newest in roles
            roles[newest] = "the newest, and the best so far" if is_best else "the newest"
        found = (open_of(self.diagnoser.case(number), role) for number, role in roles.items())
        return [each for each in found if each is not None]


def _without_secrets(iteration: Iteration) -> Iteration:
    error = iteration.error
    if error is not None:
        error = {
            name: redacted(value) if isinstance(value, str) else value
            for name, value in error.items()
        }
    return msgspec.structs.replace(iteration, decision=redacted(iteration.decision), error=error)
