"""Generating what is listed again, under other settings; nothing of it is recorded."""

from __future__ import annotations

import shlex

from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.retry_settings import GENERATION, NEW_TOKENS, check_settings
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.structs import Example
from tui_loop.tui.screens.again import AgainScreen
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.workbench.observing import LoopScreen

AT_MOST = 500
"""Examples that are generated again at once."""


class Again(LoopScreen):
    """What is generated again."""

    def action_again(self) -> None:
        """Asks for the settings that are to be other ones."""
        pane = self.query_one(FailuresPane)
        examples = pane.list.examples
        if examples is None or not pane.list.listed:
            self.say("no example is listed that could be generated again: f lists others")
            return
        limit = examples.measured.max_new_tokens or NEW_TOKENS
        pane.field.close()
        pane.field.open(
            f"evaluation.max_new_tokens={2 * limit}",
            "evaluation.K=V: settings to generate what is listed with; enter begins",
            accept=self._take_settings,
        )

    def _take_settings(self, text: str) -> bool:
        """Begins, or says what is wrong with the settings."""
        try:
            settings = _settings_of(text)
        except TuiLoopError as error:
            self.tell(error)
            return False
        table = self.query_one(FailuresPane).list
        if table.examples is None or not table.listed:
            return True
        number, view = table.examples.number, table.examples.view
        work = self._generate(number, view, list(table.listed), settings)
        self.run_worker(work, group="again", exclusive=True)
        return True

    async def _generate(
        self, number: int, view: ExampleView, rows: list[int], settings: list[str]
    ) -> None:
        def read() -> list[Example]:
            return [view.table[row] for row in rows[:AT_MOST]]

        try:
            examples = await self.elsewhere(read)
        except TuiLoopError as error:
            self.tell(error)
            return
        title = f"Generating again, {self.loop.name}/{number}"
        screen = AgainScreen(title, examples, settings, len(rows) - len(examples))
        self.app.push_screen(screen)
        try:
            work = await self.elsewhere(self.backend.retry, self.loop, number, examples, settings)
        except TuiLoopError as error:
            if screen.is_attached:
                screen.show_fault(error)
            return
        screen.begin(work)


def _settings_of(text: str) -> list[str]:
    """The settings of a line; raises BadInput."""
    try:
        settings = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"{text}: {error}", "close the quotes") from error
    check_settings(settings, (*GENERATION, "run.device"))
    return settings
