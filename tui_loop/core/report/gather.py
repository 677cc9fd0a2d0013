"""Reads the record of a loop once and gathers what a report needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tui_loop import __version__
from tui_loop.core.compare.best import best_runs
from tui_loop.core.compare.claims import claim_words
from tui_loop.core.compare.comparison import Comparer, Comparison, brief_delta
from tui_loop.core.compare.uncertainty import share_interval
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import annotated, annotation_text
from tui_loop.core.examples.breakdown import breakdown_of, kind_words, slice_words
from tui_loop.core.examples.cause_kinds import cause_words
from tui_loop.core.examples.history import Outcome, rows_in
from tui_loop.core.examples.view import ExampleView, Order
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import LIVE, Decision, Example, Iteration
from tui_loop.core.report.facts import (
    CHANGED,
    COMPARED,
    DIAGNOSED,
    GROUPS,
    NOTES,
    ROWS_COMPARED,
    ROWS_DIAGNOSED,
    TEXT,
    TOLD,
    WORST,
    Against,
    Changed,
    Counted,
    DataFile,
    Environment,
    Failure,
    Open,
    Recovery,
    Report,
    Story,
    Told,
)
from tui_loop.core.report.iterations import spans, whole
from tui_loop.core.report.svg import curves_of
from tui_loop.core.text.figures import counted
from tui_loop.core.text.secrets import redacted, without_secrets
from tui_loop.core.workflow.holdout import read_holdout_evaluations


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
        holdout = read_holdout_evaluations(self.loop)
        if holdout.bad_lines:
            self.left_out.append(
                f"{counted(holdout.bad_lines, 'line')} of holdout.jsonl, unreadable"
            )
        if holdout.problem:
            self.left_out.append(f"holdout evaluations: {holdout.problem}")
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
            holdout_evaluations=holdout.evaluations,
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


def comparable(iterations: Sequence[Iteration]) -> set[int]:
    """The iterations that are held against their parents: as many as there is time for."""
    taken: set[int] = set()
    rows = 0
    for iteration in reversed(iterations):
        if iteration.parent is None or iteration.metrics.get("score") is None:
            continue
        rows += whole(iteration, "total") or 0
        if len(taken) == COMPARED or rows > ROWS_COMPARED:
            break
        taken.add(iteration.number)
    return taken


def against_of(
    reader: LoopReader, comparer: Comparer, iteration: Iteration, *, with_examples: bool
) -> Against | None:
    """The iteration against its parent; None where there is nothing to compare."""
    found = comparer.against_parent(iteration)
    if found is None:
        return None
    fixed, broken = _most_changed(reader, found) if with_examples else ((), ())
    return Against(
        parent=found.a,
        brief=brief_delta(found),
        claim=found.claim,
        lines=tuple(claim_words(found)),
        notices=tuple(found.notices),
        score=found.interval,
        loss=found.loss,
        compared=found.compared,
        fixed=len(found.fixed),
        broken=len(found.broken),
        fixed_examples=fixed,
        broken_examples=broken,
    )


def _most_changed(
    reader: LoopReader, found: Comparison
) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    """Of the fixed and of the broken those whose loss moved most."""
    try:
        return _changed(reader, found, found.fixed, -1), _changed(reader, found, found.broken, 1)
    except (TuiLoopError, OSError):  # it could be read a moment ago
        return (), ()


def _changed(
    reader: LoopReader, found: Comparison, names: Sequence[str], sign: int
) -> tuple[Changed, ...]:
    old, new = reader.outcomes(found.a), reader.outcomes(found.b)
    places = {
        name: (was, now)
        for name, was, now in zip(names, rows_in(old, names), rows_in(new, names), strict=True)
        if was is not None and now is not None
    }

    def moved(name: str) -> float:
        was, now = places[name]
        change = new.losses[now] - old.losses[was]
        return sign * change if math.isfinite(change) else -math.inf

    shown = []
    for name in sorted(places, key=moved, reverse=True)[:CHANGED]:
        was, now = places[name]
        before = reader.loop.iteration(found.a).read_example(was, name)
        after = reader.loop.iteration(found.b).read_example(now, name)
        if before is not None and after is not None:
            shown.append(_change(before, after))
    return tuple(shown)


def _change(before: Example, after: Example) -> Changed:
    return Changed(
        id=after.id,
        prompt=shortened(after.prompt),
        reference=shortened(after.reference),
        before=shortened(before.output or ""),
        after=shortened(after.output or ""),
    )


def shortened(text: str, limit: int = TEXT) -> str:
    """A text of data, cut where it is very long, with what was cut said."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def open_of(case: IterationFacts, role: str) -> Open | None:
    """What fails in the iteration of the case; None where nothing was evaluated."""
    try:
        view, _ = case.evaluations.view(case.number, case.iteration.parent)
    except (TuiLoopError, OSError) as error:
        return Open(case.number, role, unread=str(error))
    if not len(view):
        return None
    counts = breakdown_of(view, case.measured.labels)
    said = case.evaluations.judgements()
    figures = annotated(view.table, said) if said else None
    failed = [row for row in view.in_order(Order.LOSS) if view.outcome(row) is Outcome.FAILED]
    return Open(
        number=case.number,
        role=role,
        failed=len(failed),
        total=sum(view.outcome(row) is not Outcome.UNSCORED for row in range(len(view))),
        causes=tuple(Counted(each.name, each.count) for each in counts.causes[:GROUPS]),
        labels=tuple(
            Counted(each.name, each.failed, slice_words(each, beside_others=False))
            for each in [each for each in counts.labels if each.failed][:GROUPS]
        ),
        confusions=tuple(Counted(each.name, each.count) for each in counts.confusions[:GROUPS]),
        weak=tuple(
            Counted(f"{kind_words(each.kind)} {each.name}", each.failed, slice_words(each))
            for each in counts.weak[:GROUPS]
        ),
        worst=_worst(view, failed[:WORST]),
        judged=annotation_text(figures) if figures is not None and figures.differs else "",
    )


def _worst(view: ExampleView, rows: Sequence[int]) -> tuple[Failure, ...]:
    return tuple(_failure(view, row) for row in rows)


def _failure(view: ExampleView, row: int) -> Failure:
    example = view.table[row]
    loss = number_of(example.loss)
    return Failure(
        id=example.id,
        prompt=shortened(example.prompt),
        reference=shortened(example.reference),
        output=shortened(example.output or ""),
        loss=loss if loss is not None and math.isfinite(loss) else None,
        causes=tuple(cause_words(each) for each in view.causes[row]),
    )


SPLITS = ("train", "eval", "holdout")


def data_of(reader: LoopReader, numbers: Iterable[int]) -> tuple[DataFile, ...]:
    """Every version of a data file that an iteration saw, the splits in their usual order."""
    seen: dict[tuple[str, str, str, int], list[int]] = {}
    for number in numbers:
        for name, split in reader.splits(number).items():
            seen.setdefault((name, split.path, split.sha256 or "", split.rows), []).append(number)
    files = [
        DataFile(split=name, path=path, rows=rows, sha256=digest, iterations=tuple(numbers))
        for (name, path, digest, rows), numbers in seen.items()
    ]
    return tuple(sorted(files, key=lambda each: (_place(each.split), each.iterations)))


def environments_of(reader: LoopReader, numbers: Iterable[int]) -> tuple[Environment, ...]:
    """Devices and versions, the iterations that had the same ones together."""
    seen: dict[tuple[Any, ...], list[int]] = {}
    for number in numbers:
        try:
            effective = reader.loop.iteration(number).read_effective()
        except (TuiLoopError, OSError):  # such an iteration is told as unreadable
            continue
        versions = effective.get("versions")
        pairs = sorted(versions.items()) if isinstance(versions, dict) else []
        told = tuple((str(name), str(value)) for name, value in pairs)
        device, dtype = (str(effective.get(name, "")) for name in ("device", "dtype"))
        if device or told:
            seen.setdefault((device, dtype, told), []).append(number)
    return tuple(
        Environment(tuple(numbers), device, dtype, dict(versions))
        for (device, dtype, versions), numbers in seen.items()
    )


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)
