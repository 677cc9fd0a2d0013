"""Preflight checks of the draft, and those for which a run was refused."""

from __future__ import annotations

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import ChecksFailed, by_severity, errors_of
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.backend import Checks
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.screens.check import CheckScreen

SUITED = (
    *("model.id", "model.revision", "data.train", "data.eval", "data.holdout", "data.eval_split"),
    *("data.shape", "data.columns", "data.chat_template", "evaluation.metric"),
)
"""Settings that must suit each other: the model, the data and the metric."""


class ChecksController:
    """Checks the draft off the event loop and shows what was found."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._checks: Checks | None = None

    def open(self) -> None:
        """Checks the draft."""
        draft = self._context.draft_to("check")
        if draft is not None:
            screen = self._show_screen(f"Check of {self._context.next_number}")
            self._context.run(self._check(screen, draft), "check")

    def check_edit(self, before: Draft | None, draft: Draft) -> None:
        """Checks whether model, data and metric suit each other after one of them was edited."""
        is_edited = before is None or any(
            before.value(each) != draft.value(each) for each in SUITED
        )
        if is_edited and not draft.problems:
            self._context.run(self._check_edit(draft), "check-edit")

    async def _check_edit(self, draft: Draft) -> None:
        context = self._context
        checks = await context.in_thread(context.backend.preflight, context.loop, draft)
        found = errors_of(await context.in_thread(checks.of_rows))
        if not found and not context.backend.hosted():  # counting tokens would slow the run here
            found = errors_of(await context.in_thread(checks.of_tokens, lambda: None))
        now = context.state.draft
        if found and now is not None and now.tables == draft.tables:
            context.notify_error(TuiLoopError(found[0].message, found[0].hint))

    def show_refusal(self, error: ChecksFailed) -> None:
        """Lists the checks for which a run was refused."""
        self._show_screen("The run was refused").show(error.errors)

    def _show_screen(self, title: str) -> CheckScreen:
        self._checks = None
        screen = CheckScreen(title, lambda row: self._show_row(screen, row))
        self._context.push_screen(screen)
        return screen

    async def _check(self, screen: CheckScreen, draft: Draft) -> None:
        context = self._context
        checks = await context.read_for(screen, context.backend.preflight, context.loop, draft)
        if checks is None:
            return
        found = await context.read_for(screen, checks.of_rows)
        if found is None:
            return
        self._checks = checks
        screen.show(found, "counting tokens ...")
        more = await context.read_for(screen, checks.of_tokens, screen.poll)
        if more is not None:
            screen.show(by_severity([*found, *more]))

    def _show_row(self, screen: CheckScreen, number: int) -> None:
        if self._checks is not None:
            self._context.run(self._read_row(screen, self._checks, number), "check-row")

    async def _read_row(self, screen: CheckScreen, checks: Checks, number: int) -> None:
        row = await self._context.read_for(screen, checks.row, number)
        if row is not None:
            screen.show_row(row)
