"""Held-out examples, one by one: reading them in full, and saying something of them."""

from __future__ import annotations

from pathlib import Path

from tui_loop.core.data.rows import SOURCE
from tui_loop.core.data.source_rows import resolved
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import AnnotationStatus, Kind, annotate, read_annotations
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.structs import Example
from tui_loop.tui.cells import flat
from tui_loop.tui.example_lines import SAID
from tui_loop.tui.screens.asking import AskingScreen
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.workbench.observing import LoopScreen


class ExampleReading(LoopScreen):
    """What is done with the example under the cursor; an `ExampleScreen` has this as its desk."""

    def on_failures_pane_opened(self) -> None:
        self.run_worker(self._read_example(), group="example", exclusive=True)

    def step_example(self, by: int) -> None:
        """Goes to another one; after one that has left the list, the next is there already."""
        table, shown = self.query_one(FailuresPane).list, self._example()
        has_left = shown is not None and table.key_of(table.cursor) != shown.id
        table.set_cursor(table.cursor + (by - 1 if by > 0 and has_left else by), direction=by)
        self.run_worker(self._read_example(), group="example", exclusive=True)

    def say_of_example(self, kind: Kind, note: str = "") -> None:
        self.run_worker(self._say(kind, note), group="example-say")

    def find_nearest(self) -> None:
        """Shows the training rows that are nearest to it."""
        raise NotImplementedError

    def edit_example(self) -> None:
        example, number = self._example(), self.shown_number
        if example is None or number is None:
            return
        try:
            path = self._eval_file(number, example)
        except TuiLoopError as error:
            self.tell(error)
            return
        problem = self.services.edit(path, example.source_line)
        if problem:
            self.notify(flat(problem, 300), severity="error", markup=False)

    def copy_example(self) -> None:
        example = self._example()
        if example is not None:
            self.app.copy_to_clipboard(text_of(example))
            self.say("copied: prompt, reference, output")

    def ask_example(self) -> None:
        example, number = self._example(), self.shown_number
        if example is not None and number is not None:
            self.run_worker(self._open_asking(number, example), group="ask", exclusive=True)

    def action_ask(self) -> None:
        """Asks the models: of a failure its prompt, else what is typed."""
        if self.current == "failures" and self._example() is not None:
            self.ask_example()
        elif self.shown_number is None:
            self.say("nothing has been trained yet: r runs the draft")
        else:
            self.run_worker(self._open_asking(self.shown_number, None), group="ask", exclusive=True)

    async def _open_asking(self, number: int, example: Example | None) -> None:
        try:
            asker = await self.elsewhere(self.backend.inference_client, self.loop, number)
        except TuiLoopError as error:
            self.tell(error)
            return
        title = f"Ask {self.loop.name}/{number}"
        self.app.push_screen(AskingScreen(asker, title, example))

    async def _read_example(self) -> None:
        """Opens the example under the cursor, or shows it where one is open."""
        place = self._place()
        if place is None:
            return
        number, view, row = place
        table = self.query_one(FailuresPane).list
        at, total = table.cursor, table.count
        try:
            dossier = await self.elsewhere(self.observer.example_detail, number, view, row)
        except TuiLoopError as error:
            self.tell(error)
            return
        screen = self.app.screen
        if isinstance(screen, ExampleScreen):
            screen.show(dossier, at, total)
        elif not self.is_leaving() and screen is self:
            self.app.push_screen(ExampleScreen(self, dossier, at, total))

    async def _say(self, kind: Kind, note: str) -> None:
        example, number = self._example(), self.shown_number
        if example is None or number is None:
            return
        try:
            standing = await self.elsewhere(self._write_down, number, example, kind, note)
        except TuiLoopError as error:
            self.tell(error)
            return
        if isinstance(self.app.screen, ExampleScreen):
            self.app.screen.show_standing(example.id, standing)
        told = {"note": "noted", "cleared": "taken back"}.get(kind) or SAID[kind]
        self.app.clear_notifications()  # what was said of it before is no longer so
        self.say(f"{example.id}: {told} (labels.jsonl)")
        self.look_again()

    def _write_down(self, number: int, example: Example, kind: Kind, note: str) -> AnnotationStatus:
        """Adds it to what was said, and gives how the example stands with it."""
        annotate(self.loop.iteration(number), example, kind, note)
        return read_annotations(self.loop).of(example)

    def _place(self) -> tuple[int, ExampleView, int] | None:
        """The iteration, the view and its row under the cursor."""
        table = self.query_one(FailuresPane).list
        if table.examples is None or table.row_at_cursor is None:
            return None
        return table.examples.number, table.examples.view, table.row_at_cursor

    def _example(self) -> Example | None:
        screen = self.app.screen
        if isinstance(screen, ExampleScreen):
            return screen.dossier.example
        table = self.query_one(FailuresPane).list
        return table.at(table.cursor)

    def _eval_file(self, number: int, example: Example) -> Path:
        """The file that a held-out row came from; raises TuiLoopError where it is not here."""
        split = self.observer.reader.splits(number).get("eval")
        source = split.sources.get(example.columns.get(SOURCE, "")) if split is not None else None
        name = source.path if source is not None else split.path if split is not None else ""
        path = resolved(name, self.loop.root) if name else None
        if path is None or not path.is_file():
            name = name or "the data file"
            raise TuiLoopError(
                f"{flat(name, 200)} is not on this machine", "copy it here to edit it"
            )
        return path


def text_of(example: Example) -> str:
    """What is copied of an example."""
    return "\n".join((example.prompt, example.reference, example.output or ""))
