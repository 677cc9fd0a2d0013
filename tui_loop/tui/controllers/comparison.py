"""Comparisons: the selected iteration with the newest mark, or with its parent."""

from __future__ import annotations

from tui_loop.core.compare.contrast import Contrast
from tui_loop.core.examples.annotations import Kind
from tui_loop.core.record.reader import RunView
from tui_loop.tui.chart.curves import ChartRun, chart_run
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.examples import ExamplesController, show_example
from tui_loop.tui.screens.compare import CompareScreen
from tui_loop.tui.screens.example import ExampleScreen


class ComparisonController:
    """Compares two iterations on a screen of its own."""

    def __init__(self, context: Context, examples: ExamplesController) -> None:
        self._context, self._examples = context, examples

    def open(self) -> None:
        """Compares the selected iteration with the newest mark, else with its parent."""
        context, iteration = self._context, self._context.iteration
        if iteration is None:
            context.notify("Select an iteration that has run. m marks the one to compare with.")
            return
        mark = context.state.newest_mark
        other = iteration.parent if mark is None else mark
        if other is None:
            context.notify("There is no iteration to compare with. m marks one.")
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
