"""Held-out examples: reading one, annotating it, and what leads from it to models and rows."""

from __future__ import annotations

import shlex
from pathlib import Path

from tui_loop.core.data.rows import SOURCE
from tui_loop.core.data.source_rows import resolved
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.annotations import AnnotationStatus, Kind, annotate, read_annotations
from tui_loop.core.examples.retry_settings import GENERATION, NEW_TOKENS, check_settings
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.record.structs import Example
from tui_loop.tui.cells import flat
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.example_lines import ANNOTATION_TEXTS
from tui_loop.tui.keys import with_keys
from tui_loop.tui.screens.again import AgainScreen
from tui_loop.tui.screens.asking import AskingScreen
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.screens.training import TrainingScreen, nearest_rows, suspected_rows
from tui_loop.tui.widgets.failures import FailuresPane

MAX_REGENERATED = 500
"""Examples that are generated again in one go."""

NOTHING_TRAINED = "Nothing has been trained yet. {run.start} runs the draft."

UNMEASURED = {
    True: "the base model has no training rows; select an iteration that was trained",
    False: "{run.start} runs the draft, which measures these losses (evaluation.train_rows)",
}
"""What to do where no loss was measured: of the base, of an older iteration."""


class ExamplesController:
    """Acts on the example under the cursor of the failures pane, or on the one that is open."""

    def __init__(self, context: Context, drafts: DraftsController) -> None:
        self._context, self._drafts = context, drafts

    def open(self) -> None:
        """Opens the example under the cursor."""
        self._context.run(self._open(), "example")

    def step(self, by: int) -> None:
        """Opens another example of the list; one that has left the list is replaced by the next."""
        rows, shown = self._context.pane(FailuresPane).list, self.example
        has_left = shown is not None and rows.key_of(rows.cursor) != shown.id
        rows.set_cursor(rows.cursor + (by - 1 if by > 0 and has_left else by), direction=by)
        self.open()

    def annotate(self, kind: Kind, note: str = "") -> None:
        """Records what a person says of the example."""
        example, number = self.example, self.number
        if example is not None and number is not None:
            self._context.run(
                self._annotate(number, example, kind, note), "annotate", is_exclusive=False
            )

    def show_nearest(self) -> None:
        """Shows the training rows that are nearest to the example."""
        example, number = self.example, self.number
        if example is None or number is None:
            return
        title = f"Training rows nearest to example {example.id}, {self._context.loop.name}/{number}"
        screen = TrainingScreen(title, "searching the training rows ...")
        self._context.push_screen(screen)
        self._context.run(self._show_nearest(screen, number, example), "training")

    def show_suspects(self) -> None:
        """Shows the training rows of the selected iteration that may be wrong."""
        number = self._context.state.shown_number
        if number is None:
            self._context.notify(NOTHING_TRAINED)
            return
        title = f"Training rows of {self._context.loop.name}/{number}"
        screen = TrainingScreen(title, "reading the training rows ...")
        self._context.push_screen(screen)
        self._context.run(self._show_suspects(screen, number), "training")

    def ask_models(self) -> None:
        """Asks the models: the prompt of the example in the failures pane, else what is typed."""
        context, number = self._context, self._context.state.shown_number
        is_reading = isinstance(context.top_screen, ExampleScreen)
        example = self.example if is_reading or context.state.pane == "failures" else None
        if number is None:
            context.notify(NOTHING_TRAINED)
        else:
            context.run(self._ask_models(number, example), "ask")

    def edit_file(self) -> None:
        """Opens the data file of the example at its line."""
        example, number = self.example, self.number
        if example is None or number is None:
            return
        try:
            path = self._eval_file(number, example)
        except TuiLoopError as error:
            self._context.notify_error(error)
        else:
            self._drafts.open_editor(path, example.source_line)

    def copy(self) -> None:
        """Copies the texts of the example."""
        example = self.example
        if example is not None:
            self._context.copy(text_of(example), "prompt, reference, output")

    def regenerate(self) -> None:
        """Asks for settings, and generates the listed examples again with them."""
        pane = self._context.pane(FailuresPane)
        examples = pane.list.examples
        if examples is None or not pane.list.listed:
            self._context.notify("No example is listed. {failures.filter} changes the filter.")
            return
        limit = examples.measured.max_new_tokens or NEW_TOKENS
        pane.field.close()
        pane.field.open(
            f"evaluation.max_new_tokens={2 * limit}",
            "settings for generating the listed examples again: evaluation.K=V",
            accept=self._regenerate_with,
        )

    @property
    def number(self) -> int | None:
        """Returns the iteration that the examples belong to."""
        screen = self._context.top_screen
        if isinstance(screen, ExampleScreen):
            return screen.detail.iteration
        examples = self._context.pane(FailuresPane).list.examples
        return examples.number if examples is not None else self._context.state.shown_number

    @property
    def example(self) -> Example | None:
        """Returns the example that is open, else the one under the cursor."""
        screen = self._context.top_screen
        if isinstance(screen, ExampleScreen):
            return screen.detail.example
        rows = self._context.pane(FailuresPane).list
        return rows.at(rows.cursor)

    async def _open(self) -> None:
        context, rows = self._context, self._context.pane(FailuresPane).list
        if rows.examples is None or rows.row_at_cursor is None:
            return
        number, view, row = rows.examples.number, rows.examples.view, rows.row_at_cursor
        at, total, below = rows.cursor, rows.count, context.top_screen
        detail = await context.in_thread(context.poller.example_detail, number, view, row)
        show_example(context, ExampleScreen(self, detail, at, total), below)

    async def _annotate(self, number: int, example: Example, kind: Kind, note: str) -> None:
        context = self._context

        def write() -> AnnotationStatus:
            annotate(context.loop.iteration(number), example, kind, note)
            return read_annotations(context.loop).of(example)

        status = await context.in_thread(write)
        if isinstance(context.top_screen, ExampleScreen):
            context.top_screen.show_annotations(example.id, status)
        words = {"note": "note added", "cleared": "annotation removed"}.get(
            kind
        ) or ANNOTATION_TEXTS[kind]
        context.notify(f"{example.id}: {words} (labels.jsonl)")
        context.bench.poll_now()

    async def _show_nearest(self, screen: TrainingScreen, number: int, example: Example) -> None:
        context = self._context
        found = await context.read_for(
            screen, context.backend.nearest, context.loop, number, example
        )
        if found is not None:
            screen.show(nearest_rows(found, example))

    async def _show_suspects(self, screen: TrainingScreen, number: int) -> None:
        context = self._context
        found = await context.read_for(screen, context.backend.suspects, context.loop, number)
        if found is not None:
            unmeasured = with_keys(UNMEASURED[number == 0], context.services.keys)
            screen.show(suspected_rows(found, unmeasured))

    async def _ask_models(self, number: int, example: Example | None) -> None:
        context = self._context
        client = await context.start_process(context.backend.inference_client, context.loop, number)
        title = f"Ask {context.loop.name}/{number}"
        context.push_screen(AskingScreen(client, title, example))

    def _regenerate_with(self, text: str) -> bool:
        """Starts, or says what is wrong with the settings."""
        try:
            settings = _settings_of(text)
        except TuiLoopError as error:
            self._context.notify_error(error)
            return False
        rows = self._context.pane(FailuresPane).list
        if rows.examples is not None and rows.listed:
            number, view = rows.examples.number, rows.examples.view
            work = self._regenerate(number, view, list(rows.listed), settings)
            self._context.run(work, "regenerate")
        return True

    async def _regenerate(
        self, number: int, view: ExampleView, rows: list[int], settings: list[str]
    ) -> None:
        context = self._context

        def read() -> list[Example]:
            return [view.table[row] for row in rows[:MAX_REGENERATED]]

        examples = await context.in_thread(read)
        title = f"Generating again, {context.loop.name}/{number}"
        screen = AgainScreen(title, examples, settings, len(rows) - len(examples))
        context.push_screen(screen)
        try:
            work = await context.start_process(
                context.backend.retry, context.loop, number, examples, settings
            )
        except TuiLoopError as fault:
            if screen.is_attached:
                screen.show_fault(fault)
        else:
            screen.begin(work)  # a screen that has closed closes it

    def _eval_file(self, number: int, example: Example) -> Path:
        """The file that a held-out row came from; raises TuiLoopError where it is missing here."""
        split = self._context.poller.reader.splits(number).get("eval")
        source = split.sources.get(example.columns.get(SOURCE, "")) if split is not None else None
        name = source.path if source is not None else split.path if split is not None else ""
        path = resolved(name, self._context.loop.root) if name else None
        if path is None or not path.is_file():
            name = name or "the data file"
            raise TuiLoopError(
                f"{flat(name, 200)} is not on this machine", "copy it here to edit it"
            )
        return path


def show_example(context: Context, screen: ExampleScreen, below: object) -> None:
    """Opens an example over `below`, or shows it in the example screen that is open."""
    top = context.top_screen
    if isinstance(top, ExampleScreen):
        top.show(screen.detail, screen.place, screen.total)
    elif not context.is_leaving() and top is below:
        context.push_screen(screen)


def text_of(example: Example) -> str:
    """Returns the texts that are copied of an example."""
    return "\n".join((example.prompt, example.reference, example.output or ""))


def _settings_of(text: str) -> list[str]:
    """The settings of a line; raises BadInput."""
    try:
        settings = shlex.split(text)
    except ValueError as error:
        raise BadInput(f"{text}: {error}", "close the quotes") from error
    check_settings(settings, (*GENERATION, "run.device"))
    return settings
