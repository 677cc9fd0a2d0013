"""Reads frozen snapshots of a loop for a screen: its iterations, the draft, and the shown runs.

A screen polls it repeatedly, off the event loop. Parts that have not changed come back as the
same objects, so that a pane can compare them by identity and draw nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.compare.best import Best, best_config
from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.compare.contrast import Contrast, contrast_of
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.annotations import annotated, annotation_text
from tui_loop.core.examples.cause_kinds import CauseEvidence, Measured
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.example_detail import ExampleDetail, example_detail
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.iteration import next_parent
from tui_loop.core.record.reader import LoopReader, RunView, Stamp, stamp_of
from tui_loop.core.record.run_glance import RunGlance, glance_at
from tui_loop.core.record.structs import LIVE, Iteration, Split
from tui_loop.core.slurm.jobs import Job
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.draft import Draft, new_draft, read_draft
from tui_loop.core.workflow.stop_rules import AutoEnd, read_auto_end
from tui_loop.core.workflow.unattended import Doing, doing

if TYPE_CHECKING:
    from tui_loop.core.diagnosis.diagnose import Diagnoser
    from tui_loop.core.diagnosis.findings import Diagnosis
    from tui_loop.core.workflow.readiness import Checklist

COMPARE_SECONDS = 0.1
"""The time that a poll spends on comparisons; later polls make the remaining ones."""

GLANCE_SECONDS = RANKING_SECONDS = 0.05
"""The same for the ends of journals, and for the configs that are ranked."""

EXAMPLES_SECONDS = 0.1
"""The same for the outcomes of other iterations."""


class SnapshotRequest(msgspec.Struct, frozen=True):
    """What a screen shows. `rows`: the iterations to compare with their parents.

    `marked`: the iterations whose runs are overlaid. Examples are compared with the last of them.
    """

    selected: int | None = None
    marked: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()


class Examples(msgspec.Struct, frozen=True):
    """The evaluated examples of one iteration; `problem` says why they cannot be read.

    `against` is the iteration that they are compared with, the marked one or the parent.
    `annotated_score`: the score with people's annotations, as text. `suspects`: references that
    may be wrong, by id. `hint`: what to do about the problem. `missing`: what else is unreadable.
    `shown_for`: the live run that has no examples yet, for which its parent's are shown.
    """

    number: int
    against: int | None
    view: ExampleView
    measured: Measured
    problem: str = ""
    annotated_score: str = ""
    suspects: dict[str, CauseEvidence] = {}
    hint: str = ""
    missing: str = ""
    shown_for: int | None = None


class LoopSnapshot(msgspec.Struct, frozen=True):
    """The state of a loop at one moment.

    `comparisons` has the comparisons with parents that are made so far. `live`: of the runs in
    `live_numbers` the selected one, else the newest. `jobs`: the SLURM jobs of iterations, as they
    were asked for last. `unattended`: whether the queue or auto runs
    in the loop. `holdout_uses`: how often the holdout was evaluated, over all loops of the folder;
    it is counted when this loop evaluates it, and may lack later uses by other loops. `auto_end`:
    why auto stopped, if no iteration has been created since. `best`: the best config so far.
    `glances`: what was read so far of when, where and over how many tokens each run was.
    """

    name: str
    settings: LoopSettings
    model: str
    problem: str
    iterations: tuple[Iteration, ...]
    depths: tuple[int, ...]
    comparisons: dict[int, Comparison | None]
    draft: Draft | None
    draft_problem: str
    split_rows: dict[str, int]
    selected: RunView | None
    marked: tuple[RunView, ...]
    live: RunView | None
    examples: Examples | None
    is_complete: bool
    live_numbers: tuple[int, ...] = ()
    jobs: Mapping[int, Job] = {}
    unattended: Doing | None = None
    holdout_uses: int = 0
    auto_end: AutoEnd | None = None
    best: Best | None = None
    glances: Mapping[int, RunGlance] = {}

    def iteration(self, number: int | None) -> Iteration | None:
        """Returns the iteration with that number, if there is one."""
        return next((each for each in self.iterations if each.number == number), None)


class LoopPoller:
    """Reads snapshots of one loop. Thread-safe: concurrent calls wait for each other."""

    def __init__(self, loop: LoopFolder) -> None:
        self.loop = loop
        self.jobs: Mapping[int, Job] = {}
        """The jobs of the loop by number, as SLURM showed them last."""
        self.reader = LoopReader(loop)
        self._comparer = Comparer(self.reader)
        self._lock = threading.Lock()
        self._comparisons: dict[int, Comparison | None] = {}
        self._compared_iterations: object = None
        self._up_to_date: set[int] = set()
        self._iterations: tuple[Iteration, ...] = ()
        self._depths: tuple[int, ...] = ()
        self._glanced: dict[int, Iteration] = {}
        self._glances: Mapping[int, RunGlance] = {}
        self._best: Best | None = None
        self._ranked: object = None
        self._settings: tuple[Stamp, LoopSettings, str, str] | None = None
        self._draft: tuple[object, Draft | None, str] | None = None
        self._holdout_uses: tuple[object, int] = (None, 0)
        self._auto_end: tuple[Stamp, AutoEnd | None] | None = None
        self.evaluations = Evaluations(self.reader)
        self._examples: Examples | None = None
        self._diagnosis_lock = threading.Lock()
        self._diagnoser: tuple[LoopReader, Diagnoser] | None = None

    def poll(self, request: SnapshotRequest) -> LoopSnapshot:
        """Returns the loop's current state. Problems are part of it, never raised."""
        with self._lock, self.reader.steady():
            return self._poll(request)

    def contrast(self, a: int, b: int) -> tuple[Contrast, tuple[RunView, RunView]]:
        """Compares iteration `b` with `a`; returns both runs too. Raises TuiLoopError.

        Where one has no examples, the comparison has only the rest. Polls may run in between.
        """
        with self._lock:
            comparison = self._comparer.compare_or_outline(a, b)
        views = [self._whole_view(number, other) for number, other in ((a, None), (b, a))]
        with self._lock:
            readers = self.reader.at(a), self.reader.at(b)
            iterations = readers[0].poll(), readers[1].poll()
            runs = readers[0].view(), readers[1].view()
        return contrast_of(comparison, iterations, (views[0], views[1])), runs

    def _whole_view(self, number: int, other: int | None) -> ExampleView:
        while True:  # the lock is free between two steps, so that polls can run
            with self._lock:
                view, is_complete = self.evaluations.view(number, other, EXAMPLES_SECONDS)
            if is_complete:
                return view

    def examples_of(self, number: int) -> ExampleView:
        """Returns all examples of an iteration; raises TuiLoopError."""
        with self._lock:
            return self.evaluations.view(number, None)[0]

    def example_detail(self, number: int, view: ExampleView, row: int) -> ExampleDetail:
        """Returns everything about one example of a view; raises TuiLoopError."""
        with self._lock:
            return example_detail(self.reader, self.evaluations, number, view, row)

    def diagnosis(self, number: int) -> tuple[Diagnosis, Checklist | None]:
        """Diagnoses an iteration and checks its readiness; raises TuiLoopError.

        It has a reader and a lock of its own, so that polls do not wait for it. There is no
        checklist for the base, an unfinished iteration, or unreadable criteria.
        """
        # Imported here: the first frame needs no rules.
        from tui_loop.core.diagnosis.diagnose import Diagnoser
        from tui_loop.core.workflow.readiness import checklist_of

        with self._diagnosis_lock:
            if self._diagnoser is None:
                reader = LoopReader(self.loop)
                self._diagnoser = reader, Diagnoser(reader)
            reader, diagnoser = self._diagnoser
            try:
                with reader.steady():
                    diagnosis, checklist = diagnoser.diagnose(number), None
                    if number and reader.iteration(number).state == "finished":
                        with suppress(BadInput):
                            checklist = checklist_of(reader, number)
                    return diagnosis, checklist
            finally:
                reader.keep_runs({number})

    def _poll(self, request: SnapshotRequest) -> LoopSnapshot:
        self._read_iterations()
        live_numbers = tuple(each.number for each in self._iterations if each.state in LIVE)
        is_selected = request.selected in live_numbers
        live = request.selected if is_selected else max(live_numbers, default=None)
        numbers = {each.number for each in self._iterations}
        shown = (request.selected, *request.marked, live)
        existing = {number for number in shown if number is not None} & numbers
        views: dict[int | None, RunView] = {n: self.reader.at(n).view() for n in existing}
        self.reader.keep_runs(existing)
        settings, model, problem = self._read_settings()
        draft, draft_problem = self._read_draft()
        examples, has_all = self._read_examples(request, numbers)
        # The selected iteration's examples come first; comparisons only once they are complete.
        is_complete = has_all and self._compare(request.rows)
        is_complete = self._find_best() and is_complete
        is_complete = self._read_glances() and is_complete
        splits = self._splits(request.selected)
        return LoopSnapshot(
            name=self.loop.name,
            settings=settings,
            model=model,
            problem=problem,
            iterations=self._iterations,
            depths=self._depths,
            comparisons=self._comparisons,
            draft=draft,
            draft_problem=draft_problem,
            split_rows={name: split.rows for name, split in splits.items()},
            selected=views.get(request.selected),
            marked=tuple(views[number] for number in request.marked if number in views),
            live=views.get(live),
            live_numbers=live_numbers,
            jobs=self.jobs,
            examples=examples,
            is_complete=is_complete,
            unattended=doing(self.loop),
            holdout_uses=self._count_holdout_uses(splits.get("holdout")),
            auto_end=self._read_auto_end(),
            best=self._best,
            glances=self._glances,
        )

    def _read_iterations(self) -> None:
        now = self.reader.iterations()
        if now is not self._iterations:
            self._iterations = now
            self._depths = depths_of(now)

    def _read_glances(self) -> bool:
        """Reads the ends of the journals that changed until the time is up; whether all are."""
        started = time.monotonic()
        fresh: dict[int, RunGlance] = {}
        for each in self._iterations:
            known = self._glanced.get(each.number)
            if known is each:
                continue
            if time.monotonic() - started > GLANCE_SECONDS:
                break
            self._glanced[each.number] = each
            found = self._glance_of(each.number)
            if found != self._glances.get(each.number):
                fresh[each.number] = found
        if fresh:
            self._glances = {**self._glances, **fresh}
        return all(self._glanced.get(each.number) is each for each in self._iterations)

    def _glance_of(self, number: int) -> RunGlance:
        folder = self.loop.iteration(number)
        try:
            folder.check_place()
        except BadInput:  # the iteration is shown as unreadable
            return RunGlance()
        return glance_at(folder.journal)

    def _find_best(self) -> bool:
        """Ranks the configs again when an iteration has ended; returns whether that is done.

        Most of the time goes into reading configs, so these are read until the time is up.
        """
        ended = [each for each in self._iterations if each.state not in LIVE]
        key = tuple(map(id, ended))
        if self._ranked == key:
            return True
        started = time.monotonic()
        for each in ended:
            if time.monotonic() - started > RANKING_SECONDS:
                return False
            with suppress(BadInput):  # one that cannot be read has no rank
                self._comparer.config_key(each)
        self._ranked = key
        self._best = best_config(self._comparer, self._iterations)
        return True

    def _compare(self, rows: tuple[int, ...]) -> bool:
        """Compares `rows` with their parents until the time is up; returns whether all are done.

        When an iteration has ended, all comparisons are made again; the old ones are shown until
        then.
        """
        ended = tuple(id(each) for each in self._iterations if each.state not in LIVE)
        if ended != self._compared_iterations:
            self._compared_iterations, self._up_to_date = ended, set()
        started = time.monotonic()
        made: dict[int, Comparison | None] = {}
        by_number = {each.number: each for each in self._iterations}
        for number in rows:
            if number in self._up_to_date or number not in by_number:
                continue
            if made and time.monotonic() - started > COMPARE_SECONDS:
                break
            made[number] = self._comparer.against_parent(by_number[number])
            self._up_to_date.add(number)
        if made:
            self._comparisons = {**self._comparisons, **made}
        return all(number in self._up_to_date or number not in by_number for number in rows)

    def _read_settings(self) -> tuple[LoopSettings, str, str]:
        stamp = stamp_of(self.loop.settings_file)
        if self._settings is None or self._settings[0] != stamp:
            try:
                settings = self.loop.read_settings()
                self._settings = stamp, settings, self.loop.default_config().model.id, ""
            except (TuiLoopError, OSError) as error:
                self._settings = stamp, LoopSettings(), "", _message(error)
        return self._settings[1:]

    def _read_draft(self) -> tuple[Draft | None, str]:
        """Returns the draft on disk, else a new one from the last sound iteration."""
        parent = next_parent(self._iterations)
        stamp = stamp_of(self.loop.draft), stamp_of(self.loop.settings_file), parent
        if self._draft is None or self._draft[0] != stamp:
            try:
                draft = read_draft(self.loop) or new_draft(self.loop, parent)
                self._draft = stamp, draft, ""
            except (TuiLoopError, OSError) as error:
                self._draft = stamp, None, _message(error)
        return self._draft[1:]

    def _read_examples(
        self, request: SnapshotRequest, numbers: set[int]
    ) -> tuple[Examples | None, bool]:
        """Returns the selected iteration's examples, and whether their view is complete."""
        number = request.selected
        if number not in numbers or number is None:
            return None, True
        selected, shown_for = self.reader.iteration(number), None
        if self._shows_parent(selected, numbers):
            shown_for, number = number, selected.parent
            assert number is not None
            selected = self.reader.iteration(number)
        marks = [each for each in request.marked if each != number and each in numbers]
        other = marks[-1] if marks else selected.parent
        problem, hint, is_complete, measured = "", "", True, Measured()
        try:
            view, is_complete = self.evaluations.view(number, other, EXAMPLES_SECONDS)
            measured = self.evaluations.measured(number)
        except (TuiLoopError, OSError) as error:
            known = self._examples
            view = known.view if known and known.problem else ExampleView(ExampleTable())
            problem, hint = _message(error), getattr(error, "hint", "")
        against = view.against.number if view.against is not None else None
        is_lost = other is not None and other != against and is_complete and not problem
        missing = self._missing(view, other if is_lost else None)
        known = self._examples
        if (
            known is None
            or known.view is not view
            or (known.number, known.against, known.problem, known.missing, known.shown_for)
            != (number, against, problem, missing, shown_for)
        ):
            result = annotated(view.table, self.evaluations.annotations()) if view.marks else None
            self._examples = Examples(
                number,
                against,
                view,
                measured,
                problem,
                annotated_score=annotation_text(result) if result is not None else "",
                suspects=self.evaluations.suspects(number),
                hint=hint,
                missing=missing,
                shown_for=shown_for,
            )
        return self._examples, is_complete

    def _shows_parent(self, iteration: Iteration, numbers: set[int]) -> bool:
        """Whether the parent's examples are shown: until a run is evaluated for the first time."""
        is_waiting = iteration.state in (*LIVE, "queued")
        if not is_waiting or iteration.parent not in numbers or iteration.parent is None:
            return False
        own, parents = (
            self.loop.iteration(n).examples for n in (iteration.number, iteration.parent)
        )
        return stamp_of(own) is None and stamp_of(parents) is not None

    def _missing(self, view: ExampleView, other: int | None) -> str:
        """Lists what is unreadable except the examples; `other` is lacking in the view."""
        annotations = self.evaluations.annotations()
        has_rows = other is not None and stamp_of(self.loop.iteration(other).examples) is not None
        problems = []
        if view.table.bad_lines:
            bad_lines = counted(view.table.bad_lines, "bad line")
            problems.append(f"examples.jsonl:{view.table.first_bad_line}: {bad_lines} left out")
        if has_rows:
            problems.append(f"the examples of iteration {other} cannot be read")
        if annotations.trouble:
            problems.append("labels.jsonl cannot be read")
        if annotations.bad_lines:
            problems.append(f"labels.jsonl: {counted(annotations.bad_lines, 'bad line')}")
        return ", ".join(problems)

    def _splits(self, selected: int | None) -> dict[str, Split]:
        """Returns the splits of the selected iteration, else of the newest one that has any."""
        numbers = [each.number for each in reversed(self._iterations)]
        for number in numbers if selected is None else [selected, *numbers]:
            splits = self.reader.splits(number)
            if splits:
                return splits
        return {}

    def _read_auto_end(self) -> AutoEnd | None:
        """Returns the end of the last auto unless an iteration was created since."""
        stamp = stamp_of(self.loop.auto)
        if self._auto_end is None or self._auto_end[0] != stamp:
            end = None
            with suppress(TuiLoopError, OSError):
                end = read_auto_end(self.loop)
            self._auto_end = stamp, end
        end, newest = self._auto_end[1], self._iterations[-1].number if self._iterations else None
        return end if end is not None and end.last == newest else None

    def _count_holdout_uses(self, holdout: Split | None) -> int:
        """Counts a holdout's uses in all loops; counts again when this loop has used it."""
        if holdout is None or holdout.sha256 is None:
            return 0
        key = stamp_of(self.loop.holdout), holdout.sha256
        if self._holdout_uses[0] != key:
            # Imported here: most loops have no holdout.
            from tui_loop.core.workflow.holdout import holdout_uses, loops_of

            self._holdout_uses = key, 0
            with suppress(TuiLoopError, OSError):
                self._holdout_uses = key, len(holdout_uses(loops_of(self.loop), holdout.sha256))
        return self._holdout_uses[1]


def depths_of(iterations: tuple[Iteration, ...]) -> tuple[int, ...]:
    """Returns each iteration's depth below the base, for the indent that shows lineage.

    The first child of a parent has its parent's depth; its later children are branches, one
    deeper.
    """
    depths: dict[int, int] = {}
    children: dict[int | None, int] = {}
    for each in iterations:
        children[each.parent] = children.get(each.parent, 0) + 1
        is_branch = each.parent not in (None, 0) and children[each.parent] > 1
        depths[each.number] = depths.get(each.parent or 0, 0) + is_branch
    return tuple(depths[each.number] for each in iterations)


def _message(error: Any) -> str:
    return error.message if isinstance(error, TuiLoopError) else str(error)
