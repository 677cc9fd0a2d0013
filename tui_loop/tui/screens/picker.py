"""The loops of a folder to choose from; a welcome where there is none."""

from __future__ import annotations

import asyncio
import os

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.compare.loop_list import LoopEntry, LoopsReader
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.tui.actions import BY_ID, bindings, keys_of
from tui_loop.tui.backend import Backend
from tui_loop.tui.cells import flat
from tui_loop.tui.footer import key_pieces
from tui_loop.tui.hints import in_keys
from tui_loop.tui.screens.new_loop import NewLoopScreen
from tui_loop.tui.services import AppServices, services_of
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.loop_table import LoopTable, best_in_words, when
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

SECONDS = 2.0
"""The folder is looked at this often."""

DOINGS = ("picker.new", "picker.demo")

WELCOME: list[list[Part]] = [
    [("Fine-tuning is a loop: train, evaluate, look at what fails, adjust, repeat.", "strong")],
    [],
    [
        (
            "A loop here is one goal with its data, a base model and its iterations. You change "
            "the config, run it, and see what that did to the loss and to each held-out example. "
            "All of it is kept as plain files, made for git.",
            "",
        )
    ],
    [],
    [("There is no loop yet. Begin with one of these:", "muted")],
]


class PickerScreen(Screen[None]):
    """Lists the loops, looked at again and again, and opens one."""

    BINDINGS = bindings("picker")
    AUTO_FOCUS = "#loop-table"
    DEFAULT_CSS = """
    PickerScreen {
        background: $background;
        & > Vertical { border: round $tone-accent; height: 1fr; }
        & #loop-welcome { height: auto; display: none; padding: 1 2; }
        & #loop-note { height: 4; padding: 0 1; border-top: solid $frame; }
        &.-welcome #loop-welcome { display: block; }
        &.-welcome #loop-note { display: none; }
        &.-welcome #loop-table { padding: 0 1; }
    }
    """
    scopes = ("picker", "list", "app")

    def __init__(self, loops: LoopsFolder, backend: Backend) -> None:
        super().__init__()
        self.loops, self.backend = loops, backend
        self.reader = LoopsReader(loops)
        self.table = LoopTable()
        self.note = Sheet(id="loop-note", is_note=True)
        self._problem: BadInput | None = None
        self._is_laying_out = False

    @property
    def services(self) -> AppServices:
        return services_of(self)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield Sheet(WELCOME, id="loop-welcome", is_note=True)
            yield self.table
            yield self.note
        entitle(box, "Loops", f"in {os.path.abspath(self.loops.path)}")
        yield Bar(id="keys")

    def on_mount(self) -> None:
        keymap = self.services.keys
        self.table.doings = [
            (keys_of(BY_ID[name], keymap)[0], BY_ID[name].description) for name in DOINGS
        ]
        last = "app.back" if self._has_behind else "app.quit"
        names = ("list.open", *DOINGS, last)
        self.query_one("#keys", Bar).show(
            key_pieces(names, keymap), key_pieces(["app.help"], keymap)
        )
        self.run_worker(self._look(), name="look", group="look", exclusive=True)

    def show(self, loops: tuple[LoopEntry, ...], problem: BadInput | None = None) -> None:
        """Shows these loops, or why there are none to show; draws nothing if they are the same."""
        self._problem = problem
        self.table.show(loops, is_readable=problem is None)
        self.set_class(self.table.is_welcome, "-welcome")
        self._show_note()

    async def _look(self) -> None:
        while True:
            try:
                self.show(await asyncio.to_thread(self.reader.poll))
            except BadInput as error:
                self.show((), error)
            await asyncio.sleep(SECONDS)

    def on_row_list_moved(self) -> None:
        self._show_note()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        if self.table.is_welcome:
            self.run_worker(self.run_action(BY_ID[DOINGS[event.index]].method))
        elif (loop := self.table.current) is not None:
            self._open(loop)

    def action_new(self) -> None:
        self.app.push_screen(NewLoopScreen(self.loops, self.backend))

    def action_demo(self) -> None:
        if not self._is_laying_out:
            self._is_laying_out = True
            self.run_worker(self._demo(), name="demo", group="demo")

    def action_back(self) -> None:
        if self._has_behind:
            self.dismiss()

    @property
    def _has_behind(self) -> bool:
        """Whether there is another screen of ours to go back to; the first is Textual's own."""
        return len(self.app.screen_stack) > 1

    def _open(self, loop: LoopEntry) -> None:
        try:
            folder = self.loops.loop(loop.name)
        except TuiLoopError as error:
            self._tell(error)
            return
        self.services.open_loop(folder)

    async def _demo(self) -> None:
        try:
            found = await asyncio.to_thread(self.backend.demo, self.loops)
        except TuiLoopError as error:
            self._tell(error)
            return
        finally:
            self._is_laying_out = False
        self.services.open_loop(found)

    def _tell(self, error: TuiLoopError) -> None:
        hint = in_keys(error.hint, self.services.keys)
        words = "; ".join(part for part in (error.message, hint) if part)
        self.notify(flat(words, 400), severity="error", markup=False)

    def _show_note(self) -> None:
        loop = self.table.current
        if self._problem is not None:
            lines: list[list[Part]] = [
                [("✗ ", "bad"), (self._problem.message, "bad")],
                [("  hint: ", "muted"), (in_keys(self._problem.hint, self.services.keys), "")],
            ]
            self.note.show(lines)
        else:
            self.note.show([] if loop is None else note_on(loop))


def note_on(loop: LoopEntry) -> list[list[Part]]:
    """What the row of a loop has no room for."""
    lines: list[list[Part]] = []
    if loop.problem:
        lines.append([("✗ ", "bad"), (loop.problem, "bad")])
    if loop.goal:
        lines.append([("goal: ", "muted"), (loop.goal, "")])
    ending = "" if loop.iterations == 1 else "s"
    parts = [f"{loop.iterations or 'no'} iteration{ending}"]
    if loop.best is not None:
        parts.append(f"best {best_in_words(loop)}")
    if loop.updated:
        parts.append(f"updated {when(loop)}")
    if loop.last_run:
        parts.append(f"last run {loop.last_run}")
    return [*lines, [(" · ".join(parts), "muted")]]
