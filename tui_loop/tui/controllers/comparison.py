"""Comparisons of two iterations, and the progress over all of them."""

from __future__ import annotations

from tui_loop.core.compare.contrast import Contrast
from tui_loop.core.compare.progress import Pair, Progress, ProgressReader
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import Kind
from tui_loop.core.record.reader import LoopReader, RunView
from tui_loop.core.text.figures import counted
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import QueuedDraft, editing_queue, queued_plan
from tui_loop.tui.chart.curves import ChartRun, chart_run
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.examples import ExamplesController, show_example
from tui_loop.tui.controllers.live_screen import LiveScreen
from tui_loop.tui.controllers.unattended import QueueController, queue_words
from tui_loop.tui.screens.compare import CompareScreen
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.screens.progress import ProgressScreen


class ComparisonController:
    """Compares two iterations on a screen of its own."""

    def __init__(self, context: Context, examples: ExamplesController) -> None:
        self._context, self._examples = context, examples

    def open(self) -> None:
        """Compares the selected iteration with the newest mark, else with its parent."""
        context, iteration = self._context, self._context.iteration
        if iteration is None:
            context.notify(
                "Select an iteration that has run. {loop.mark} marks the one to compare with."
            )
            return
        mark = context.state.newest_mark
        other = iteration.parent if mark is None else mark
        if other is None:
            context.notify("There is no iteration to compare with. {loop.mark} marks one.")
        else:
            self.compare(other, iteration.number)

    def compare(self, a: int, b: int) -> None:
        """Shows iteration `b` compared with `a`."""
        self._context.run(self._compare(a, b), "compare")

    async def _compare(self, a: int, b: int) -> None:
        context, below = self._context, self._context.top_screen
        contrast, runs = await context.in_thread(context.poller.contrast, a, b)
        if context.is_leaving() or context.top_screen is not below:
            return
        screen = CompareScreen(
            context.loop.name,
            contrast,
            (self._drawn(runs[0]), self._drawn(runs[1])),
            ascii_only=context.services.is_ascii,
        )
        screen.controller = _ComparedExamples(context, self._examples, screen, contrast)
        context.push_screen(screen)

    def _drawn(self, view: RunView) -> ChartRun:
        snapshot = self._context.snapshot
        iteration = snapshot.iteration(view.number) if snapshot is not None else None
        return chart_run(self._context.loop.name, view, iteration)


class _ComparedExamples:
    """Opens the examples of a comparison's list; everything else is done as in the failures."""

    def __init__(
        self,
        context: Context,
        examples: ExamplesController,
        screen: CompareScreen,
        contrast: Contrast,
    ) -> None:
        self._context, self._examples = context, examples
        self._screen, self._contrast = screen, contrast

    def open(self) -> None:
        self._context.run(self._open(), "example")

    def step(self, by: int) -> None:
        self._screen.step(by)

    def annotate(self, kind: Kind, note: str = "") -> None:
        self._examples.annotate(kind, note)

    def show_nearest(self) -> None:
        self._examples.show_nearest()

    def ask_models(self) -> None:
        self._examples.ask_models()

    def edit_file(self) -> None:
        self._examples.edit_file()

    def copy(self) -> None:
        self._examples.copy()

    async def _open(self) -> None:
        context, rows = self._context, self._screen.list
        at, total = rows.cursor, rows.count
        number, row = self._contrast.comparison.b, rows.shown.new[at]
        detail = await context.in_thread(
            context.poller.example_detail, number, self._contrast.new, row
        )
        show_example(context, ExampleScreen(self, detail, at, total), self._screen)


States = tuple[tuple[int, str], ...]
"""The iterations with their states: the figures change when these do."""


class ProgressController:
    """Shows score and loss over the iterations."""

    def __init__(
        self, context: Context, comparison: ComparisonController, queue: QueueController
    ) -> None:
        self._context, self._comparison, self._queue = context, comparison, queue
        self.reader = ProgressReader(LoopReader(context.loop))
        self._live: LiveScreen[States, Progress] = LiveScreen(
            context, "progress", lambda _: self.reader.poll(), self._found, self._failed
        )
        self._screen: ProgressScreen | None = None

    def open(self) -> None:
        """Shows the progress of the loop."""
        context = self._context
        self._screen = ProgressScreen(self, context.loop.name, context.state.shown_number)
        self._live.open(self._screen)
        self._request(again=True)

    def refresh(self) -> None:
        """Reads it again where it is open and an iteration has changed."""
        if self._live.is_open:
            self._request()

    def select(self, number: int) -> None:
        """Selects an iteration in the workbench."""
        self._context.bench.select(number)
        self._context.bench.go_to("iterations")

    def compare(self, a: int, b: int) -> None:
        """Shows iteration `b` compared with `a`."""
        self._comparison.compare(a, b)

    def enqueue_replicates(self, pair: Pair) -> None:
        """Queues the runs that would decide between two configs."""
        self._context.run(self._enqueue_replicates(pair), "draft", is_exclusive=False)

    async def _enqueue_replicates(self, pair: Pair) -> None:
        def work() -> tuple[int, int]:
            wanted = self._replicates(pair)
            with editing_queue(self._context.loop) as queue:
                new = [each for each in wanted if each not in queue]
                queue.extend(new)
                return len(new), len(queue)

        async with self._queue.turn:
            added, count = await self._context.in_thread(work)
        what = f"Queued {counted(added, 'replicate')}" if added else "These runs are queued already"
        self._context.notify(f"{what}; {queue_words(count)}. {{loop.queue}} shows the queue.")

    def _replicates(self, pair: Pair) -> list[QueuedDraft]:
        runs = pair.reach.runs if pair.reach is not None else None
        found: list[QueuedDraft] = []
        for number, have in zip((pair.a, pair.b), pair.replicates, strict=True):
            lacking = (runs or 0) - have
            if lacking > 0:
                why = f"is {pair.b} better than {pair.a} by more than training noise?"
                plan = plan_next(self._context.loop, parent=number, settings=[], why=why)
                found += map(queued_plan, replicates(self._context.loop, plan, lacking))
        return found

    def _request(self, *, again: bool = False) -> None:
        if self._context.snapshot is not None:
            iterations = self._context.snapshot.iterations
            self._live.request(tuple((each.number, each.state) for each in iterations), again=again)

    def _found(self, _: States, found: Progress) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show(found)

    def _failed(self, _: States, fault: TuiLoopError) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show_fault(fault)
