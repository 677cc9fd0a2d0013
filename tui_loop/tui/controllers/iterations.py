"""Iterations: details, marks, the files behind one, and what is copied."""

from __future__ import annotations

import asyncio

from tui_loop.core.config.fields import as_setting
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.reason import edit_reason
from tui_loop.tui.cells import flat
from tui_loop.tui.chart.pane import ChartPane
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.controllers.examples import ExamplesController, text_of
from tui_loop.tui.iteration_lines import detail_lines
from tui_loop.tui.screens.dialogs import InputDialog
from tui_loop.tui.screens.reading import ReadingScreen
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.field_list import WHY
from tui_loop.tui.widgets.log import LogPane

COPIED_LENGTH = 60


class IterationsController:
    """Acts on the selected iteration."""

    def __init__(
        self, context: Context, drafts: DraftsController, examples: ExamplesController
    ) -> None:
        self._context, self._drafts, self._examples = context, drafts, examples

    def open(self) -> None:
        """Shows the selected iteration in full; of the draft, its form."""
        if self._context.iteration is None or self._context.snapshot is None:
            self._context.bench.go_to("config")
        else:
            self._context.run(self._open(), "details")

    async def _open(self) -> None:
        context, iteration = self._context, self._context.iteration
        if iteration is None or context.snapshot is None:
            return
        notes = await asyncio.to_thread(context.loop.iteration(iteration.number).read_notes)
        compared = context.snapshot.comparisons.get(iteration.number)
        title = f"{context.loop.name}/{iteration.number}"
        best, keys = context.snapshot.best, context.services.keys
        lines = detail_lines(iteration, compared, notes, best, keys)
        context.push_screen(ReadingScreen(title, lines))

    def edit_reason(self) -> None:
        """Edits the reason of the selected iteration, or of the draft."""
        iteration = self._context.iteration
        if iteration is None:
            self._context.bench.go_to("config")
            self._context.pane(ConfigPane).action_edit_why()
        else:
            self._context.run(self._edit_reason(iteration), "reason", is_exclusive=False)

    async def _edit_reason(self, iteration: Iteration) -> None:
        context = self._context
        why = await context.wait_for(
            InputDialog(
                f"Why was iteration {iteration.number} run?",
                [
                    [
                        (flat(iteration.title), ""),
                        ("  The original reason stays in the record.", "muted"),
                    ]
                ],
                "why",
                does="saves the reason",
                value=iteration.decision,
            )
        )
        if why:
            await context.in_thread(edit_reason, context.loop, iteration.number, why)
            context.notify(f"Saved the reason for iteration {iteration.number}.")
            context.bench.poll_now()

    def mark(self) -> None:
        """Marks the selected iteration to compare with and to overlay, or removes the mark."""
        iteration = self._context.iteration
        if iteration is None:
            self._context.notify("A draft has no results yet and cannot be marked.")
        else:
            self._context.bench.toggle_mark(iteration.number)

    def edit_file(self) -> None:
        """Opens the file behind what is selected: an example's data, the draft, a log, notes."""
        context, iteration = self._context, self._context.iteration
        if context.state.pane == "failures":
            self._examples.edit_file()
        elif iteration is None:
            self._drafts.edit_file()
        else:
            folder = context.loop.iteration(iteration.number)
            if context.state.pane == "log" and folder.output.exists():
                self._drafts.open_editor(folder.output)
            else:
                self._drafts.open_editor(folder.notes)
                context.bench.poll_now()

    def copy(self) -> None:
        """Copies what is selected in the current pane."""
        if text := self._text_to_copy():
            self._context.copy(text, flat(text, COPIED_LENGTH))

    def _text_to_copy(self) -> str:
        context = self._context
        match context.state.pane:
            case "failures":
                rows = context.pane(FailuresPane).list
                example = rows.at(rows.cursor)
                return "" if example is None else text_of(example)
            case "log":
                lines = context.pane(LogPane).list
                return lines.lines[lines.cursor].text if lines.lines else ""
            case "config":
                return self._setting_to_copy()
            case "chart":
                return str(context.pane(ChartPane).chart.border_subtitle or "")
        iteration = context.iteration
        return f"{context.loop.name}/{iteration.number}" if iteration else str(context.loop.draft)

    def _setting_to_copy(self) -> str:
        fields = self._context.pane(ConfigPane).list
        key = fields.key_of(fields.cursor)
        if fields.shown is None or not isinstance(key, str):
            return ""
        draft = fields.shown.draft
        return draft.why if key == WHY else f"{key}={as_setting(draft.value(key))}"
