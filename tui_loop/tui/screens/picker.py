"""The list of the loops in a folder; a welcome where there is none."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Hashable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.compare.loop_list import LoopEntry, LoopsReader
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import loss, percent
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.backend import Backend
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.keys import bindings, in_keys, keys_of
from tui_loop.tui.screens.new_loop import NewLoopScreen
from tui_loop.tui.services import AppServices, services_of
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

LONGEST_NAME, LEAST_NAME, LEAST_GOAL = 28, 12, 20

Command = tuple[str, str]
"""(key, words)"""

_SIGNS = {
    "idle": ("· ", ""),
    "new": ("○ ", "muted"),
    "queued": ("○ ", "muted"),
    "closed": ("■ ", "muted"),
    "running": ("▶ ", "accent"),
    "paused": ("▶ ", "warn"),
    "stopping": ("▶ ", "warn"),
    "unreadable": ("✗ ", "bad"),
}

STATE, LAST_RUN = 13, 11
"""Cells of a loop's state, and of the status of its last run."""


class LoopTable(RowList):
    """Rows of loops, or of the first commands where there is no loop."""

    def __init__(self) -> None:
        super().__init__(id="loop-table")
        self.commands: Sequence[Command] = ()
        self.loops: tuple[LoopEntry, ...] | None = None
        self.is_readable = True

    @property
    def is_welcome(self) -> bool:
        """Whether there is no loop to show."""
        return self.loops == () and self.is_readable

    @property
    def count(self) -> int:
        return len(self.commands) if self.is_welcome else len(self.loops or ())

    def key_of(self, index: int) -> Hashable:
        if self.is_welcome or not self.loops or index >= len(self.loops):
            return None
        return self.loops[index].name

    @property
    def current(self) -> LoopEntry | None:
        """The loop under the cursor."""
        if not self.loops or self.cursor >= len(self.loops):
            return None
        return self.loops[self.cursor]

    def show(self, loops: tuple[LoopEntry, ...], *, is_readable: bool = True) -> None:
        """Shows loops with the cursor on the same one; draws nothing if they are unchanged."""
        if (loops, is_readable) == (self.loops, self.is_readable):
            return
        key = self.key_of(self.cursor)
        if key is None and loops:
            key = max(loops, key=lambda each: each.updated).name
        self.loops, self.is_readable = loops, is_readable
        self.rows_changed(key)

    def empty(self) -> list[str]:
        return ["reading the loops ..." if self.is_readable else "The loops cannot be read."]

    def head(self, width: int) -> list[Span] | None:
        if not self.loops:
            return None
        cells = [fit(name, size, right=name == "iterations") for name, size in self._columns(width)]
        return [("  " + "  ".join(cells), "head")]

    def row(self, index: int, width: int) -> list[Span]:
        if self.is_welcome:
            key, words = self.commands[index]
            return [self.pointer(index), (f"{key}  ", "accent"), (words, "")]
        assert self.loops is not None
        loop = self.loops[index]
        parts: list[Span] = [self.pointer(index)]
        for name, size in self._columns(width):
            text, style = self._cell(loop, name)
            parts += [(fit(flat(text), size, right=name == "iterations"), style), ("  ", "")]
        return parts

    def _cell(self, loop: LoopEntry, column: str) -> Span:
        if column == "state":
            return _state(loop)
        if column == "goal" and loop.problem:
            return loop.problem, "bad"
        return {
            "loop": (loop.name, "strong"),
            "last run": (loop.last_run, "muted"),
            "iterations": (str(loop.iterations), ""),
            "best": (best_in_words(loop), ""),
            "updated": (when(loop), "muted"),
            "goal": (loop.goal, "muted"),
        }[column]

    def _columns(self, width: int) -> list[tuple[str, int]]:
        """The columns that have room, in order, with their widths."""
        names = [width_of(flat(loop.name)) for loop in self.loops or ()]
        name = min(LONGEST_NAME, max([LEAST_NAME, *names]))
        columns = [
            ("loop", name),
            ("state", STATE),
            ("last run", LAST_RUN),
            ("best", 10),
            ("iterations", 10),
        ]
        left = width - 2 - sum(size + 2 for _, size in columns)
        for dropped in (("iterations", 10), ("last run", LAST_RUN)):
            if left < 0:
                columns.remove(dropped)
                left += dropped[1] + 2
        if left >= 18:
            columns.append(("updated", 16))
            left -= 18
        if left >= LEAST_GOAL:
            columns.append(("goal", left))
        return columns


def _state(loop: LoopEntry) -> Span:
    """Returns the state of the loop; its last run has a column of its own."""
    if loop.silent_s is not None:
        return "▶ silent", "warn"
    state = "unreadable" if loop.problem else loop.state
    sign, style = _SIGNS.get(state, ("", ""))
    return f"{sign}{state if loop.problem else loop.state_words}", style


def best_in_words(loop: LoopEntry) -> str:
    """Returns the best iteration and its figure: `4  70%`."""
    if loop.best is None:
        return ""
    figure = percent(loop.metrics.get("score")) or loss(loop.metrics.get("eval_loss"))
    return f"{loop.best}  {figure}"


def when(loop: LoopEntry) -> str:
    """Returns the time of the last update, in local time."""
    return loop.updated_at.astimezone().strftime("%Y-%m-%d %H:%M") if loop.updated else ""


SECONDS = 2.0
"""The time between two polls of the folder."""

COMMANDS = ("picker.new", "picker.demo")

WELCOME: list[list[Span]] = [
    [("Fine-tuning is a loop: train, evaluate, inspect the failures, adjust, repeat.", "strong")],
    [],
    [
        (
            "A loop has a goal, data, a base model and iterations. Change the config, run it, and "
            "see how the loss and each held-out example changed. A loop is stored as plain files "
            "that git can diff and merge.",
            "",
        )
    ],
    [],
    [("There is no loop yet. Start with one of these:", "muted")],
]


class PickerScreen(Screen[None]):
    """Lists the loops, polls them for changes, and opens one."""

    BINDINGS = bindings("picker")
    AUTO_FOCUS = "#loop-table"
    DEFAULT_CSS = """
    PickerScreen {
        background: $background;
        & > Vertical { border: round $style-accent; height: 1fr; }
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
        self._is_creating_demo = False

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
        self.table.commands = [
            (keys_of(BY_ID[name], keymap)[0], BY_ID[name].description) for name in COMMANDS
        ]
        last = "app.back" if self._has_previous else "app.quit"
        names = ("list.open", *COMMANDS, last)
        self.query_one("#keys", Bar).show(
            key_pieces(names, keymap), key_pieces(["app.help"], keymap)
        )
        self.run_worker(self._poll(), name="poll", group="poll", exclusive=True)

    def show(self, loops: tuple[LoopEntry, ...], problem: BadInput | None = None) -> None:
        """Shows loops, or why they cannot be read; draws nothing if nothing changed."""
        self._problem = problem
        self.table.show(loops, is_readable=problem is None)
        self.set_class(self.table.is_welcome, "-welcome")
        self._show_note()

    async def _poll(self) -> None:
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
            self.run_worker(self.run_action(BY_ID[COMMANDS[event.index]].method))
        elif (loop := self.table.current) is not None:
            self._open(loop)

    def action_new(self) -> None:
        self.app.push_screen(NewLoopScreen(self.loops, self.backend))

    def action_demo(self) -> None:
        if not self._is_creating_demo:
            self._is_creating_demo = True
            self.run_worker(self._demo(), name="demo", group="demo")

    def action_back(self) -> None:
        if self._has_previous:
            self.dismiss()

    @property
    def _has_previous(self) -> bool:
        """Whether esc has a screen to go back to; the first one in the stack is Textual's own."""
        return len(self.app.screen_stack) > 1

    def _open(self, loop: LoopEntry) -> None:
        try:
            folder = self.loops.loop(loop.name)
        except TuiLoopError as error:
            self._notify_error(error)
            return
        self.services.open_loop(folder)

    async def _demo(self) -> None:
        try:
            found = await asyncio.to_thread(self.backend.demo, self.loops)
        except TuiLoopError as error:
            self._notify_error(error)
            return
        finally:
            self._is_creating_demo = False
        self.services.open_loop(found)

    def _notify_error(self, error: TuiLoopError) -> None:
        hint = in_keys(error.hint, self.services.keys)
        text = "; ".join(part for part in (error.message, hint) if part)
        self.notify(flat(text, 400), severity="error", markup=False)

    def _show_note(self) -> None:
        loop = self.table.current
        if self._problem is not None:
            lines: list[list[Span]] = [
                [("✗ ", "bad"), (self._problem.message, "bad")],
                [("  hint: ", "muted"), (in_keys(self._problem.hint, self.services.keys), "")],
            ]
            self.note.show(lines)
        else:
            self.note.show([] if loop is None else note_on(loop))


def note_on(loop: LoopEntry) -> list[list[Span]]:
    """Returns the details of a loop, which its row has no room for."""
    lines: list[list[Span]] = []
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
