"""Reads the record of a loop once and gathers what a report needs."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tui_loop import __version__
from tui_loop.core.commands import shell_text
from tui_loop.core.compare.best import best_runs
from tui_loop.core.compare.claims import brief_delta, claim_words
from tui_loop.core.compare.comparison import Comparer, Comparison, has_results
from tui_loop.core.compare.uncertainty import passed_interval
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import annotated, annotation_text
from tui_loop.core.examples.breakdown import breakdown_of, kind_words, slice_words
from tui_loop.core.examples.cause_kinds import cause_words
from tui_loop.core.examples.history import Outcome, rows_in
from tui_loop.core.examples.view import ExampleView, Order
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import LIVE, Decision, Example, Iteration
from tui_loop.core.report.facts import (
    CHANGED,
    COMPARED,
    DETAILED,
    DIAGNOSED,
    GROUPS,
    NOTES,
    ROWS_COMPARED,
    ROWS_DIAGNOSED,
    TEXT,
    WORST,
    Changed,
    Counted,
    DataFile,
    Environment,
    Failure,
    FailureSummary,
    IterationEntry,
    ParentComparison,
    Recovery,
    Report,
    RunDetails,
)
from tui_loop.core.report.iterations import spans, whole
from tui_loop.core.report.svg import curves_of
from tui_loop.core.text.figures import counted
from tui_loop.core.text.secrets import redacted, without_secrets
from tui_loop.core.workflow.holdout import read_holdout_evaluations


def report_of(loop: LoopFolder) -> Report:
    """Gathers the facts of a report; raises BadInput where `loop.toml` cannot be read."""
    reader = LoopReader(loop)
    with reader.steady():
        return _Gatherer(reader).report()


class _Gatherer:
    def __init__(self, reader: LoopReader) -> None:
        self.loop, self.reader = reader.loop, reader
        self.comparer = Comparer(self.reader)
        self.diagnoser = Diagnoser(self.reader)
        self.iterations = self.reader.iterations()
        self.best_runs = best_runs(self.comparer, self.iterations)
        self.best = self.best_runs[0].number if self.best_runs else None
        self.left_out: list[str] = []

    def report(self) -> Report:
        settings = self.loop.read_settings()
        numbers = [each.number for each in self.iterations]
        entries = self._entries()
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
            iterations=tuple(entries),
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

    def _entries(self) -> list[IterationEntry]:
        compared = comparable(self.iterations)
        children = [each.number for each in self.iterations if each.parent is not None]
        older = [each for each in children if each not in compared and self._scored(each)]
        if older:
            self.left_out.append(
                f"comparisons of iterations {spans(older)} with their parents, to save time"
            )
        detailed = self._detailed()
        brief = [each.number for each in self.iterations if each.number not in detailed]
        if brief:
            self.left_out.append(f"detailed sections: iterations {spans(brief)}")
        decisions = {each.number: self._decision(each.number) for each in self.iterations}
        return [
            IterationEntry(
                iteration=_without_secrets(each),
                suggestion=redacted(decisions[each.number].suggestion or ""),
                predicted=without_secrets(decisions[each.number].predicted),
                against=comparison_with_parent(
                    self.reader, self.comparer, each, with_examples=each.number in detailed
                )
                if each.number in compared
                else None,
                story=self._story(each) if each.number in detailed else None,
                score_interval=passed_interval(each, self.reader.grouped_outcomes(each)),
            )
            for each in self.iterations
        ]

    def _decision(self, number: int) -> Decision:
        try:
            return self.loop.iteration(number).read_decision()
        except (TuiLoopError, OSError):  # its row shows it as unreadable
            return Decision()

    def _scored(self, number: int) -> bool:
        return self.reader.iteration(number).metrics.get("score") is not None

    def _detailed(self) -> set[int]:
        """Returns the first, the best and the newest iterations, which get their own sections."""
        numbers = [each.number for each in self.iterations]
        always = {*numbers[:1], *([] if self.best is None else [self.best])}
        return always | set(numbers[-DETAILED:])

    def _story(self, iteration: Iteration) -> RunDetails:
        number = iteration.number
        folder = self.loop.iteration(number)
        try:
            run = self.reader.at(number).view().run
            notes = redacted(shortened(folder.read_notes(), NOTES))
        except (TuiLoopError, OSError):
            return RunDetails()
        self.reader.keep_runs(set())
        return RunDetails(
            recoveries=tuple(
                Recovery(each.kind, redacted(each.message)) for each in run.recoveries
            ),
            warnings=run.warnings,
            notes=notes,
            curves=curves_of(run, diverged_at(iteration)),
        )

    def _ended_at(self) -> float | None:
        """Returns when the newest run ended, by its journal."""
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
        """Returns the diagnoses of the newest ended iterations, the newest first."""
        ended = [
            each
            for each in self.iterations
            if each.state not in (*LIVE, "draft", "queued", "unreadable")
        ]
        diagnoses = []
        newest = ended[-DIAGNOSED:][::-1]
        if newest and (whole(newest[0], "total") or 0) > ROWS_DIAGNOSED:
            self.left_out.append("diagnoses of all iterations but the newest, to save time")
            newest = newest[:1]
        for each in newest:
            try:
                diagnoses.append(self.diagnoser.diagnose(each.number))
            except (TuiLoopError, OSError) as error:
                self.left_out.append(f"diagnosis of iteration {each.number}: {error}")
        return diagnoses

    def _open(self) -> list[FailureSummary]:
        evaluated = [each for each in self.iterations if each.metrics.get("total")]
        roles: dict[int, str] = {}
        if self.best is not None:
            roles[self.best] = "the best so far"
        if evaluated:
            newest = evaluated[-1].number
            is_best = newest in roles
            roles[newest] = "the newest and the best so far" if is_best else "the newest"
        found = (failures_of(self.diagnoser.facts(number), role) for number, role in roles.items())
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
    """Returns the iterations to compare with their parents: the newest, as far as the limits go."""
    taken: set[int] = set()
    rows = 0
    for iteration in reversed(iterations):
        if iteration.parent is None or not has_results(iteration):
            continue
        rows += whole(iteration, "total") or 0
        if len(taken) == COMPARED or rows > ROWS_COMPARED:
            break
        taken.add(iteration.number)
    return taken


def comparison_with_parent(
    reader: LoopReader, comparer: Comparer, iteration: Iteration, *, with_examples: bool
) -> ParentComparison | None:
    """Compares an iteration with its parent; None where there is nothing to compare."""
    comparison = comparer.against_parent(iteration)
    if comparison is None:
        return None
    fixed, broken = _most_changed(reader, comparison) if with_examples else ((), ())
    return ParentComparison(
        parent=comparison.a,
        brief=brief_delta(comparison),
        claim=comparison.claim,
        lines=tuple((label, shell_text(text)) for label, text in claim_words(comparison)),
        notices=tuple(comparison.notices),
        score=comparison.interval,
        loss=comparison.loss,
        compared=comparison.compared,
        fixed=len(comparison.fixed),
        broken=len(comparison.broken),
        fixed_examples=fixed,
        broken_examples=broken,
    )


def _most_changed(
    reader: LoopReader, comparison: Comparison
) -> tuple[tuple[Changed, ...], tuple[Changed, ...]]:
    """Returns the fixed and the broken examples whose loss changed most."""
    try:
        return _changed(reader, comparison, comparison.fixed, -1), _changed(
            reader, comparison, comparison.broken, 1
        )
    except (TuiLoopError, OSError):  # another process changed the file meanwhile
        return (), ()


def _changed(
    reader: LoopReader, comparison: Comparison, names: Sequence[str], sign: int
) -> tuple[Changed, ...]:
    old, new = reader.outcomes(comparison.a), reader.outcomes(comparison.b)
    rows = {
        name: (was, now)
        for name, was, now in zip(names, rows_in(old, names), rows_in(new, names), strict=True)
        if was is not None and now is not None
    }

    def loss_change(name: str) -> float:
        was, now = rows[name]
        change = new.losses[now] - old.losses[was]
        return sign * change if math.isfinite(change) else -math.inf

    shown = []
    for name in sorted(rows, key=loss_change, reverse=True)[:CHANGED]:
        was, now = rows[name]
        before = reader.loop.iteration(comparison.a).read_example(was, name)
        after = reader.loop.iteration(comparison.b).read_example(now, name)
        if before is not None and after is not None:
            shown.append(_change(before, after))
    return tuple(shown)


def _change(before: Example, after: Example) -> Changed:
    return Changed(
        id=after.id,
        prompt=shortened(after.prompt),
        reference=shortened(after.reference),
        before=shortened(answer_of(before.output)),
        after=shortened(answer_of(after.output)),
    )


def shortened(text: str, limit: int = TEXT) -> str:
    """Shortens a long text of data and appends how many characters are missing."""
    if len(text) <= limit:
        return text
    return f"{text[:limit]}… ({len(text) - limit:,} more characters)"


def failures_of(facts: IterationFacts, role: str) -> FailureSummary | None:
    """Summarizes what fails in an iteration; None where nothing was evaluated."""
    try:
        view, _ = facts.evaluations.view(facts.number, facts.iteration.parent)
    except (TuiLoopError, OSError) as error:
        return FailureSummary(facts.number, role, unread=str(error))
    if not len(view):
        return None
    counts = breakdown_of(view, facts.measured.labels)
    annotations = facts.evaluations.annotations()
    figures = annotated(view.table, annotations) if annotations else None
    failed = [row for row in view.in_order(Order.LOSS) if view.outcome(row) is Outcome.FAILED]
    return FailureSummary(
        number=facts.number,
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
        output=shortened(answer_of(example.output)),
        loss=loss if loss is not None and math.isfinite(loss) else None,
        causes=tuple(cause_words(each) for each in view.causes[row]),
    )


SPLITS = ("train", "eval", "holdout")


def data_of(reader: LoopReader, numbers: Iterable[int]) -> tuple[DataFile, ...]:
    """Returns every version of a data file that an iteration used, ordered by split."""
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
    """Returns devices and versions, with the iterations that share them."""
    seen: dict[tuple[Any, ...], list[int]] = {}
    for number in numbers:
        try:
            effective = reader.loop.iteration(number).read_effective()
        except (TuiLoopError, OSError):  # the iteration's row shows it as unreadable
            continue
        versions = effective.get("versions")
        pairs = sorted(versions.items()) if isinstance(versions, dict) else []
        version_pairs = tuple((str(name), str(value)) for name, value in pairs)
        device, dtype = (str(effective.get(name, "")) for name in ("device", "dtype"))
        if device or version_pairs:
            seen.setdefault((device, dtype, version_pairs), []).append(number)
    return tuple(
        Environment(tuple(numbers), device, dtype, dict(versions))
        for (device, dtype, versions), numbers in seen.items()
    )


def _place(split: str) -> int:
    return SPLITS.index(split) if split in SPLITS else len(SPLITS)
