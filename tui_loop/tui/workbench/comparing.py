"""Holding the selected iteration against the marked one or its parent."""

from __future__ import annotations

from tui_loop.core.compare.contrast import Contrast
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import Kind
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.reader import RunView
from tui_loop.core.record.structs import LIVE
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.screens.compare import CompareScreen
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.workbench.examples import ExampleReading


class Comparing(ExampleReading):
    """What `c` opens."""

    def action_compare(self) -> None:
        iteration = self.iteration
        if iteration is None:
            self.say("select an iteration that has run; m marks the other one")
            return
        other = self.marked if self.marked not in (None, iteration.number) else iteration.parent
        if other is None:
            self.say("nothing to compare with: m marks another iteration")
            return
        self.compare_with(other, iteration.number)

    def compare_with(self, a: int, b: int) -> None:
        """Shows iteration `b` against `a`, above what is on the screen now."""
        self.run_worker(self._compare(a, b), group="compare", exclusive=True)

    async def _compare(self, a: int, b: int) -> None:
        below = self.app.screen
        try:
            contrast, runs = await self.elsewhere(self.observer.contrast, a, b)
        except TuiLoopError as error:
            self.tell(error)
            return
        if self.is_leaving() or self.app.screen is not below:
            return
        screen = CompareScreen(
            self.loop.name,
            contrast,
            (self._chart_run(runs[0]), self._chart_run(runs[1])),
            ascii_only=self.services.is_ascii,
        )
        screen.desk = Desk(self, screen, contrast)
        self.app.push_screen(screen)

    def _chart_run(self, view: RunView) -> ChartRun:
        iteration = self.snapshot.iteration(view.number) if self.snapshot else None
        return ChartRun(
            key=f"{self.loop.name}/{view.number}",
            label=str(view.number),
            metrics=view.run.metrics,
            evaluations=view.run.evaluations,
            is_live=view.state in LIVE,
            diverged_at=diverged_at(iteration),
        )


class Desk:
    """What is behind an example that a comparison opened: the comparison's list."""

    def __init__(self, bench: Comparing, screen: CompareScreen, contrast: Contrast) -> None:
        self._bench, self._screen, self._contrast = bench, screen, contrast

    def read_compared(self) -> None:
        self._bench.run_worker(self._read(), group="example", exclusive=True)

    def step_example(self, by: int) -> None:
        self._screen.step(by)

    def say_of_example(self, kind: Kind, note: str = "") -> None:
        self._bench.say_of_example(kind, note)

    def find_nearest(self) -> None:
        self._bench.find_nearest()

    def ask_example(self) -> None:
        self._bench.ask_example()

    def edit_example(self) -> None:
        self._bench.edit_example()

    def copy_example(self) -> None:
        self._bench.copy_example()

    async def _read(self) -> None:
        """Opens the example under the cursor, or shows it where one is open."""
        bench, rows = self._bench, self._screen.list
        at, total = rows.cursor, rows.count
        number, row = self._contrast.comparison.b, rows.shown.new[at]
        try:
            dossier = await bench.elsewhere(
                bench.observer.example_detail, number, self._contrast.new, row
            )
        except TuiLoopError as error:
            bench.tell(error)
            return
        screen = bench.app.screen
        if isinstance(screen, ExampleScreen):
            screen.show(dossier, at, total)
        elif screen is self._screen:
            bench.app.push_screen(ExampleScreen(self, dossier, at, total))
