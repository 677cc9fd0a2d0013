"""A loop at one moment, for a screen: its iterations, the draft, and the runs that are looked at.

An observer is asked again and again, off the screen's thread; parts that did not change come
back as the same objects.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.compare.contrast import Contrast, contrast_of
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.annotations import annotated
from tui_loop.core.examples.annotations import annotation_text as in_words
from tui_loop.core.examples.cause_kinds import CauseEvidence, Measured
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.example_detail import ExampleDetail, example_detail
from tui_loop.core.examples.table import ExampleTable
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.reader import LoopReader, RunView, Stamp, stamp_of
from tui_loop.core.record.structs import LIVE, Iteration, Split
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.draft import Draft, new_draft, read_draft
from tui_loop.core.workflow.unattended import Doing, doing

if TYPE_CHECKING:
    from tui_loop.core.diagnosis.diagnose import Diagnoser
    from tui_loop.core.diagnosis.findings import Diagnosis
    from tui_loop.core.workflow.readiness import Checklist

COMPARE_SECONDS = 0.1
"""A look spends at most this long on comparisons; the next one goes on with the rest."""

EXAMPLES_SECONDS = 0.1
"""The same for the outcomes of other iterations."""


class SnapshotRequest(msgspec.Struct, frozen=True):
    """What a screen looks at. `rows`: the numbers whose change against the parent is shown."""

    selected: int | None = None
    marked: int | None = None
    rows: tuple[int, ...] = ()


class Examples(msgspec.Struct, frozen=True):
    """The evaluated examples of one iteration; `problem` says why they cannot be read.

    `against` is the iteration that they are held against, the marked one or the parent. `judged`:
    the score with what people said, in words. `suspects`: references that may be wrong, by id.
    `hint`: what to do about the problem. `missing`: what else could not be read.
    """

    number: int
    against: int | None
    view: ExampleView
    measured: Measured
    problem: str = ""
    judged: str = ""
    suspects: dict[str, CauseEvidence] = {}
    hint: str = ""
    missing: str = ""


class LoopSnapshot(msgspec.Struct, frozen=True):
    """The loop as it was a moment ago.

    `compared` has the comparisons with parents that are known by now. `by_itself`: what goes
    through the loop with nobody there. `holdout_looks`: how often the holdout was looked at, over
    all loops of the folder; those of other loops since this one looked may be lacking.
    """

    name: str
    settings: LoopSettings
    model: str
    problem: str
    iterations: tuple[Iteration, ...]
    depths: tuple[int, ...]
    compared: dict[int, Comparison | None]
    draft: Draft | None
    draft_problem: str
    split_rows: dict[str, int]
    selected: RunView | None
    marked: RunView | None
    live: RunView | None
    examples: Examples | None
    is_complete: bool
    by_itself: Doing | None = None
    holdout_looks: int = 0

    def iteration(self, number: int | None) -> Iteration | None:
        """The iteration with that number, if there is one."""
        return next((each for each in self.iterations if each.number == number), None)


class LoopPoller:
    """Looks at one loop; threads that ask at the same time wait for each other."""

    def __init__(self, loop: LoopFolder) -> None:
        self.loop = loop
        self.reader = LoopReader(loop)
        self._comparer = Comparer(self.reader)
        self._lock = threading.Lock()
        self._compared: dict[int, Comparison | None] = {}
        self._compared_of: object = None
        self._current: set[int] = set()
        self._iterations: tuple[Iteration, ...] = ()
        self._depths: tuple[int, ...] = ()
        self._settings: tuple[Stamp, LoopSettings, str, str] | None = None
        self._draft: tuple[object, Draft | None, str] | None = None
        self._looks: tuple[object, int] = (None, 0)
        self.evaluations = Evaluations(self.reader)
        self._examples: Examples | None = None
        self._diagnosing = threading.Lock()
        self._diagnoser: tuple[LoopReader, Diagnoser] | None = None

    def look(self, wanted: SnapshotRequest) -> LoopSnapshot:
        """The loop now; problems are told in it, never raised."""
        with self._lock:
            return self._look(wanted)

    def contrast(self, a: int, b: int) -> tuple[Contrast, tuple[RunView, RunView]]:
        """Iteration `b` against `a`, with both runs; raises TuiLoopError.

        Where one has no examples, what can be said without. Looks may come in between.
        """
        with self._lock:
            compared = self._comparer.compare_or_outline(a, b)
        views = [self._whole_view(number, other) for number, other in ((a, None), (b, a))]
        with self._lock:
            readers = self.reader.at(a), self.reader.at(b)
            iterations = readers[0].look(), readers[1].look()
            runs = readers[0].view(), readers[1].view()
        return contrast_of(compared, iterations, (views[0], views[1])), runs

    def _whole_view(self, number: int, other: int | None) -> ExampleView:
        while True:
            with self._lock:
                view, is_complete = self.evaluations.view(number, other, EXAMPLES_SECONDS)
            if is_complete:
                return view

    def examples_of(self, number: int) -> ExampleView:
        """All examples of an iteration; raises TuiLoopError."""
        with self._lock:
            return self.evaluations.view(number, None)[0]

    def dossier(self, number: int, view: ExampleView, row: int) -> ExampleDetail:
        """All that there is on one example of a view; raises TuiLoopError."""
        with self._lock:
            return example_detail(self.reader, self.evaluations, number, view, row)

    def diagnosis(self, number: int) -> tuple[Diagnosis, Checklist | None]:
        """What is to be said of an iteration, and whether it is ready; raises TuiLoopError.

        It has a reader of its own: looks wait for none of it. No checklist: of the base, of what
        did not finish, and where the criteria cannot be read.
        """
        from tui_loop.core.diagnosis.diagnose import Diagnoser  # the first frame has no rules
        from tui_loop.core.workflow.readiness import checklist_of

        with self._diagnosing:
            if self._diagnoser is None:
                reader = LoopReader(self.loop)
                self._diagnoser = reader, Diagnoser(reader)
            reader, diagnoser = self._diagnoser
            try:
                found, checks = diagnoser.diagnose(number), None
                if number and reader.iteration(number).state == "finished":
                    with suppress(BadInput):
                        checks = checklist_of(reader, number)
                return found, checks
            finally:
                reader.keep_runs({number})

    def _look(self, wanted: SnapshotRequest) -> LoopSnapshot:
        self._look_at_iterations()
        live = next((each for each in reversed(self._iterations) if each.state in LIVE), None)
        there = {each.number for each in self._iterations}
        asked = (wanted.selected, wanted.marked, live.number if live else None)
        looked_at = {number for number in asked if number is not None} & there
        views: dict[int | None, RunView] = {n: self.reader.at(n).view() for n in looked_at}
        self.reader.keep_runs(looked_at)
        settings, model, problem = self._read_settings()
        draft, draft_problem = self._read_draft()
        examples, has_all = self._look_at_examples(wanted, there)
        is_complete = has_all and self._compare(wanted.rows)  # what is looked at comes first
        splits = self._splits(wanted.selected)
        return LoopSnapshot(
            name=self.loop.name,
            settings=settings,
            model=model,
            problem=problem,
            iterations=self._iterations,
            depths=self._depths,
            compared=self._compared,
            draft=draft,
            draft_problem=draft_problem,
            split_rows={name: split.rows for name, split in splits.items()},
            selected=views.get(asked[0]),
            marked=views.get(asked[1]),
            live=views.get(asked[2]),
            examples=examples,
            is_complete=is_complete,
            by_itself=doing(self.loop),
            holdout_looks=self._count_looks(splits.get("holdout")),
        )

    def _look_at_iterations(self) -> None:
        now = tuple(self.reader.iteration(number) for number in self.reader.numbers())
        same = len(now) == len(self._iterations) and all(
            one is other for one, other in zip(now, self._iterations, strict=True)
        )
        if not same:
            self._iterations = now
            self._depths = depths_of(now)

    def _compare(self, rows: tuple[int, ...]) -> bool:
        """Compares as many of `rows` with their parents as there is time for; whether all are.

        When an iteration has ended, what was known stays until it is compared anew.
        """
        ended = tuple(id(each) for each in self._iterations if each.state not in LIVE)
        if ended != self._compared_of:
            self._compared_of, self._current = ended, set()
        begun = time.monotonic()
        found: dict[int, Comparison | None] = {}
        by_number = {each.number: each for each in self._iterations}
        for number in rows:
            if number in self._current or number not in by_number:
                continue
            if found and time.monotonic() - begun > COMPARE_SECONDS:
                break
            found[number] = self._comparer.against_parent(by_number[number])
            self._current.add(number)
        if found:
            self._compared = {**self._compared, **found}
        return all(number in self._current or number not in by_number for number in rows)

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
        """The draft on disk, or else an unsaved one from the newest iteration that can be read."""
        readable = [each.number for each in self._iterations if each.config is not None]
        newest = readable[-1] if readable else None
        stamp = stamp_of(self.loop.draft), stamp_of(self.loop.settings_file), newest
        if self._draft is None or self._draft[0] != stamp:
            try:
                draft = read_draft(self.loop) or new_draft(self.loop, newest)
                self._draft = stamp, draft, ""
            except (TuiLoopError, OSError) as error:
                self._draft = stamp, None, _message(error)
        return self._draft[1:]

    def _look_at_examples(
        self, wanted: SnapshotRequest, there: set[int]
    ) -> tuple[Examples | None, bool]:
        """The selected iteration's examples, and whether all that belongs to them is known."""
        if wanted.selected not in there or wanted.selected is None:
            return None, True
        selected = self.reader.iteration(wanted.selected)
        other = wanted.marked if wanted.marked not in (None, wanted.selected) else selected.parent
        problem, hint, is_complete, measured = "", "", True, Measured()
        try:
            view, is_complete = self.evaluations.view(wanted.selected, other, EXAMPLES_SECONDS)
            measured = self.evaluations.measured(wanted.selected)
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
            or (known.number, known.against, known.problem, known.missing)
            != (wanted.selected, against, problem, missing)
        ):
            told = annotated(view.table, self.evaluations.judgements()) if view.marks else None
            with_words = in_words(told) if told is not None else ""
            suspects = self.evaluations.suspects(wanted.selected)
            self._examples = Examples(
                wanted.selected,
                against,
                view,
                measured,
                problem,
                with_words,
                suspects,
                hint,
                missing,
            )
        return self._examples, is_complete

    def _missing(self, view: ExampleView, other: int | None) -> str:
        """What could not be read beside an iteration's own examples; `other` is not in the view."""
        said = self.evaluations.judgements()
        has_rows = other is not None and stamp_of(self.loop.iteration(other).examples) is not None
        bad_lines, first = view.table.bad_lines, view.table.first_bad_line
        text = f"examples.jsonl:{first}: {counted(bad_lines, 'bad line')} left out"
        return ", ".join(
            [text] * bool(bad_lines)
            + [f"{other}'s examples cannot be read"] * has_rows
            + ["labels.jsonl cannot be read"] * bool(said.trouble)
            + [f"labels.jsonl: {counted(said.bad_lines, 'bad line')}"] * bool(said.bad_lines)
        )

    def _splits(self, selected: int | None) -> dict[str, Split]:
        """The splits as the selected iteration or else the newest one has them."""
        numbers = [each.number for each in reversed(self._iterations)]
        for number in numbers if selected is None else [selected, *numbers]:
            splits = self.reader.splits(number)
            if splits:
                return splits
        return {}

    def _count_looks(self, holdout: Split | None) -> int:
        """How often anybody looked at a holdout; counted anew when this loop has looked."""
        if holdout is None or holdout.sha256 is None:
            return 0
        known = stamp_of(self.loop.holdout), holdout.sha256
        if self._looks[0] != known:
            from tui_loop.core.workflow.holdout import holdout_uses, loops_of  # not for every loop

            self._looks = known, 0
            with suppress(TuiLoopError, OSError):
                self._looks = known, len(holdout_uses(loops_of(self.loop), holdout.sha256))
        return self._looks[1]


def depths_of(iterations: tuple[Iteration, ...]) -> tuple[int, ...]:
    """How deep each iteration stands below the base, for the indent that shows lineage.

    A child that directly continues its parent's line stands at its parent's depth; the second
    and later children of one parent are a branch, one deeper.
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
