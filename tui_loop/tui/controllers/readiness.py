"""Whether the selected iteration is ready, and the evaluation of the locked holdout."""

from __future__ import annotations

import textwrap

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.iteration import is_bare
from tui_loop.core.workflow.readiness import Checklist, checklist
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.live_screen import LiveScreen
from tui_loop.tui.screens.ready import ReadyScreen
from tui_loop.tui.widgets.styled_lines import Span

LINE_WIDTH = 68
"""Cells of a line of the question."""

Request = tuple[int, tuple[tuple[int, str, bool], ...]]
"""The iteration, and all with their states and whether their metrics are known."""


class ReadinessController:
    """Shows the checklist of an iteration and evaluates the holdout."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._live: LiveScreen[Request, Checklist] = LiveScreen(
            context, "ready-check", self._read, self._found, self._failed
        )
        self._screen: ReadyScreen | None = None

    def open(self) -> None:
        """Shows whether the selected iteration is ready."""
        number = self._context.state.shown_number
        if number is None:
            self._context.notify("Nothing has been trained yet. {run.start} runs the draft.")
            return
        self._screen = ReadyScreen(self, self._context.loop.name, number)
        self._live.open(self._screen)
        self.check()

    def check(self) -> None:
        """Reads the checklist again."""
        self._request(again=True)

    def refresh(self) -> None:
        """Reads it again where it is open and an iteration began or ended since."""
        if self._live.is_open and self._screen is not None and not self._screen.is_evaluating:
            self._request()

    def evaluate_holdout(self) -> None:
        """Says what a holdout evaluation costs, asks, and starts it."""
        if self._screen is not None:
            self._context.run(self._evaluate_holdout(self._screen), "ready")

    async def _evaluate_holdout(self, screen: ReadyScreen) -> None:
        context = self._context
        sentences = await context.read_for(
            screen, context.backend.holdout_cost, context.loop, screen.number
        )
        if sentences is None or context.top_screen is not screen:
            return
        lines: list[list[Span]] = [
            [(line, "")] for each in sentences for line in textwrap.wrap(each, LINE_WIDTH)
        ]
        answers = [
            ("c", "leave it locked", ""),
            ("e", "evaluate the holdout; this use is counted", "evaluate"),
        ]
        if await context.ask("Evaluate the holdout?", lines, answers):
            try:
                run = await context.start_process(
                    context.backend.evaluate_holdout, context.loop, screen.number
                )
            except TuiLoopError as fault:
                if screen.is_attached:
                    screen.show_fault(fault)
            else:
                screen.begin(run)  # a screen that has closed closes it

    def _request(self, *, again: bool = False) -> None:
        if self._screen is not None:
            snapshot = self._context.snapshot
            known = snapshot.iterations if snapshot is not None else ()
            states = tuple((each.number, each.state, not is_bare(each)) for each in known)
            self._live.request((self._screen.number, states), again=again)

    def _read(self, request: Request) -> Checklist:
        return checklist(self._context.loop, request[0])

    def _found(self, _: Request, found: Checklist) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show(found)

    def _failed(self, _: Request, fault: TuiLoopError) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show_fault(fault)
