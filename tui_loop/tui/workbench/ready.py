"""Whether the selected iteration is ready, and a look at the holdout where it is wanted."""

from __future__ import annotations

import textwrap
from typing import Any

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.workflow.readiness import checklist
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.ready import ReadyScreen
from tui_loop.tui.widgets.toned import Part
from tui_loop.tui.workbench.observing import LoopScreen, is_bare

LINE = 68
"""Cells of a line of the question."""


States = tuple[tuple[int, str, bool], ...]
"""The iterations with their states, and whether their figures are there: checklists follow them."""


class ReadyReading(LoopScreen):
    """What `Y` opens."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._ready_screen: ReadyScreen | None = None
        self._ready_of: States = ()

    def action_ready(self) -> None:
        number = self.shown_number
        if number is None:
            self.say("nothing has been trained yet: r runs the draft")
            return
        self._ready_screen, self._ready_of = ReadyScreen(self, self.loop.name, number), self._states
        self.app.push_screen(self._ready_screen)
        self.check_ready(self._ready_screen)

    def look_at_ready_again(self) -> None:
        """Has the checklist made anew where it is open and an iteration began or ended since."""
        screen = self._ready_screen
        if screen is None or screen not in self.app.screen_stack or screen.is_looking:
            return
        if self._states != self._ready_of:
            self._ready_of = self._states
            self.check_ready(screen)

    @property
    def _states(self) -> States:
        known = self.snapshot.iterations if self.snapshot is not None else ()
        return tuple((each.number, each.state, not is_bare(each)) for each in known)

    def check_ready(self, screen: ReadyScreen) -> None:
        """Has the checklist made and shown."""
        self.run_worker(self._check_ready(screen), group="ready-check", exclusive=True)

    def ask_look(self, screen: ReadyScreen) -> None:
        """Says what a look at the holdout costs, and asks."""
        self.run_worker(self._ask_look(screen), group="ready", exclusive=True)

    async def _check_ready(self, screen: ReadyScreen) -> None:
        try:
            found = await self.elsewhere(checklist, self.loop, screen.number)
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
            return
        if screen.is_attached:
            screen.show(found)

    async def _ask_look(self, screen: ReadyScreen) -> None:
        try:
            sentences = await self.elsewhere(self.backend.holdout_cost, self.loop, screen.number)
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
            return
        if self.app.screen is not screen:
            return

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._look(screen), group="ready", exclusive=True)

        lines: list[list[Part]] = [
            [(line, "")] for each in sentences for line in textwrap.wrap(each, LINE)
        ]
        answers = [("c", "leave it locked", ""), ("l", "look, and have it counted", "look")]
        self.app.push_screen(AskScreen("Look at the holdout?", lines, answers), answered)

    async def _look(self, screen: ReadyScreen) -> None:
        try:
            work = await self.elsewhere(self.backend.evaluate_holdout, self.loop, screen.number)
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
            return
        screen.begin(work)
