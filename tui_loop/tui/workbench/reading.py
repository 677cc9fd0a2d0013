"""Reading more of what is selected: details, the clipboard."""

from __future__ import annotations

import asyncio

from tui_loop.core.config.fields import as_setting
from tui_loop.tui.cells import flat
from tui_loop.tui.chart.widget import LossChart
from tui_loop.tui.screens.details import detail_lines
from tui_loop.tui.screens.reading import ReadingScreen
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.field_list import WHY
from tui_loop.tui.widgets.iterations import IterationTable
from tui_loop.tui.widgets.log import LogPane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.workbench.comparing import Comparing
from tui_loop.tui.workbench.examples import text_of


class Reading(Comparing):
    """What opens a screen of its own, or is copied."""

    async def on_row_list_opened(self, event: RowList.Opened) -> None:
        if not isinstance(event.rows, IterationTable):
            return
        iteration = self.iteration
        if iteration is None or self.snapshot is None:
            self.go_to("config")
            return
        notes = await asyncio.to_thread(self.loop.iteration(iteration.number).read_notes)
        compared = self.snapshot.comparisons.get(iteration.number)
        title = f"{self.loop.name}/{iteration.number}"
        self.app.push_screen(ReadingScreen(title, detail_lines(iteration, compared, notes)))

    def action_mark(self) -> None:
        iteration = self.iteration
        if iteration is None:
            self.say("a draft cannot be marked: it has no results yet")
            return
        self.marked = None if self.marked == iteration.number else iteration.number
        self.show_snapshot()
        self.look_again()

    def action_copy(self) -> None:
        text = self._text_to_copy()
        if text:
            self.app.copy_to_clipboard(text)
            self.say(f"copied: {flat(text, 60)}")

    def _text_to_copy(self) -> str:
        if self.current == "failures":
            table = self.query_one(FailuresPane).list
            example = table.at(table.cursor)
            return "" if example is None else text_of(example)
        if self.current == "log":
            lines = self.query_one(LogPane).list
            return lines.lines[lines.cursor].text if lines.lines else ""
        if self.current == "config":
            fields = self.query_one(ConfigPane).list
            key = fields.key_of(fields.cursor)
            if fields.shown is None or not isinstance(key, str):
                return ""
            draft = fields.shown.draft
            return draft.why if key == WHY else f"{key}={as_setting(draft.value(key))}"
        if self.current == "chart":
            return str(self.query_one(LossChart).border_subtitle or "")
        iteration = self.iteration
        return f"{self.loop.name}/{iteration.number}" if iteration else str(self.loop.draft)
