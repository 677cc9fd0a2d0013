"""The pre-flight of the draft: asked for here, found off the screen's thread."""

from __future__ import annotations

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import ChecksFailed, by_severity
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.backend import Checks
from tui_loop.tui.screens.check import CheckScreen, CheckStopped
from tui_loop.tui.workbench.observing import LoopScreen


class Checking(LoopScreen):
    """What is done to look at a run before it is one."""

    _checks: Checks | None = None

    def action_check(self) -> None:
        draft, snapshot = self.draft, self.snapshot
        if snapshot is None:
            return
        if draft is None:
            self.say(snapshot.draft_problem or snapshot.problem or "there is no draft to check")
            return
        number = max((each.number for each in snapshot.iterations), default=0) + 1
        screen = CheckScreen(f"Check of {number}", lambda row: self._step_row(screen, row))
        self._checks = None
        self.app.push_screen(screen)
        self.run_worker(self._check(screen, draft), group="check", exclusive=True)

    def tell(self, error: TuiLoopError) -> None:
        """Shows an error; those for which a run was refused get a screen that lists them."""
        if not isinstance(error, ChecksFailed):
            super().tell(error)
            return
        screen = CheckScreen("The run was refused", lambda _: None)
        self._checks = None
        self.app.push_screen(screen)
        screen.show(error.errors)

    async def _check(self, screen: CheckScreen, draft: Draft) -> None:
        try:
            checks = await self.elsewhere(self.backend.preflight, self.loop, draft)
            found = await self.elsewhere(checks.of_rows)
            if not screen.is_attached:
                return
            self._checks = checks
            screen.show(found, "counting tokens ...")
            found = [*found, *await self.elsewhere(checks.of_tokens, screen.poll)]
        except CheckStopped:
            return
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
            return
        if screen.is_attached:
            screen.show(by_severity(found))

    def _step_row(self, screen: CheckScreen, number: int) -> None:
        self.run_worker(self._show_row(screen, number), group="check-row", exclusive=True)

    async def _show_row(self, screen: CheckScreen, number: int) -> None:
        if self._checks is None:
            return
        try:
            row = await self.elsewhere(self._checks.row, number)
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
            return
        if screen.is_attached:
            screen.show_row(row)
