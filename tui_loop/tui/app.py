"""The app: opens a loop or the picker; themes, keys, the editor, and crash reports."""

from __future__ import annotations

import asyncio
import gc
import io
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual import on
from textual.await_complete import AwaitComplete
from textual.binding import Binding, BindingType
from textual.driver import Driver
from textual.screen import Screen

from tui_loop.core.errors import TuiLoopError, file_error
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.secrets import redacted
from tui_loop.tui.actions import BY_ID, WORKBENCH_SCOPES
from tui_loop.tui.backend import Backend
from tui_loop.tui.cells import flat
from tui_loop.tui.event_order import EveryResize, KeysInOrder
from tui_loop.tui.keys import bindings, leader_actions
from tui_loop.tui.messages import MessageLine
from tui_loop.tui.screens.dialogs import AskScreen
from tui_loop.tui.screens.palette import Commands, Palette
from tui_loop.tui.screens.prompts import LeaderMenu, SearchLine
from tui_loop.tui.screens.reading import HelpScreen, ReadingScreen, message_lines
from tui_loop.tui.services import AppServices
from tui_loop.tui.settings import Memory, Settings
from tui_loop.tui.terminal import opening_words
from tui_loop.tui.themes import THEMES, VARIABLES
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.search import TextSearch
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span
from tui_loop.tui.workbench.frame import LoadingScreen

LAST_THEME = "theme"


FOCUSED: dict[str, type] = {"list": RowList, "sheet": Sheet}
"""Scopes of what has the focus."""


SWITCH_SECONDS = 0.001
"""Python's switch interval between threads. A key press needs about ten switches: during a search
of 100,000 examples it takes 20 ms, and 60 ms with Python's default interval of 5 ms."""

TERMINAL_SECONDS = 1.0
"""Interval of the checks that the terminal still exists."""

SETTLED_SECONDS = 1.0
"""Time after the start. Objects that exist by then are permanent: later collections skip them."""

COLLECTIONS = (10_000, 10, 100)
"""Python's thresholds: most garbage is young, and a full collection comes every few minutes."""


class LoopApp(KeysInOrder, EveryResize, MessageLine):
    """The terminal application on one `loops/` folder."""

    TITLE = "tui_loop"
    COMMANDS = {Commands}
    INLINE_PADDING = 0
    BINDINGS: ClassVar[list[BindingType]] = [
        *bindings("app"),
        Binding("ctrl+c", "leave", show=False, id="app.interrupt", priority=True),
    ]
    DEFAULT_CSS = """
    Input { background: $background; border: none; height: 1; padding: 0 1; }
    Input:focus { background: $row-cursor; border: none; }
    """

    def __init__(
        self,
        loops: LoopsFolder,
        backend: Backend,
        *,
        settings: Settings,
        memory: Memory,
        loop: str | None = None,
        number: int | None = None,
        driver_class: type[Driver] | None = None,
        is_ascii: bool = False,
        few_colours: bool = False,
        terminal: io.TextIOWrapper | None = None,
        has_terminal: Callable[[], bool] = lambda: True,
        can_stop: Callable[[], bool] = lambda: True,
    ) -> None:
        colourless = "NO_COLOR" in os.environ
        super().__init__(driver_class=driver_class, ansi_color=True if colourless else None)
        self.loops, self.backend = loops, backend
        self.settings, self.memory = settings, memory
        self.keys = dict(settings.keys)
        self.is_ascii = is_ascii
        self._first, self._number = loop, number
        self._search = TextSearch()
        self._terminal, self._has_terminal = terminal, has_terminal
        self._can_stop = can_stop
        self._loop: asyncio.AbstractEventLoop | None = None
        self.left_for: signal.Signals | None = None
        self.crash_report: Path | None = None
        for theme in THEMES:
            self.register_theme(theme)
        plain = few_colours or colourless
        self.theme = settings.theme or ("terminal" if plain else self._last_theme())

    def _last_theme(self) -> str:
        """Returns the theme of the last session, "dark" where no known one is remembered."""
        known = self.memory.get(LAST_THEME)
        return known if known in [theme.name for theme in THEMES] else "dark"

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def on_mount(self) -> None:
        self.animation_level = "none"
        if not self.is_headless:
            self._loop = asyncio.get_running_loop()
            if self.left_for is not None:  # a signal that came before the event loop ran
                self.exit()
            # libraries print to descriptors 1 and 2, which are the run's log
            sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__
            sys.setswitchinterval(SWITCH_SECONDS)
            self.set_timer(SETTLED_SECONDS, _collect_garbage)
            self.set_interval(TERMINAL_SECONDS, self._check_terminal)
        self.set_keymap(self.keys)
        for warning in self.settings.warnings:
            self.notify(warning, severity="warning", timeout=15)
        self.begin_typing()

    def get_default_screen(self) -> Screen[None]:
        """The home screen: the loop that was asked for, or the loops to choose from."""
        if self._first is None:
            return self._picker()
        return LoadingScreen(self.loops.loop(self._first), self._number)

    def open_loop(self, loop: LoopFolder, number: int | None = None) -> None:
        """Shows the workbench on a loop, in place of whatever was open."""
        from tui_loop.tui.workbench.workbench import Workbench

        while len(self.screen_stack) > 1:
            self.pop_screen()
        if not self.screen._result_callbacks:  # Textual's first screen has no callback to pop
            self.screen._push_result_callback(self.screen, None)
        if not isinstance(self.screen, LoadingScreen):
            self.clear_messages_of(self.screen)
        self.switch_screen(Workbench(loop, self.backend, number))

    def pick_loop(self) -> None:
        """Shows the loops to choose from."""
        self.push_screen(self._picker())

    def _picker(self) -> Screen[None]:
        from tui_loop.tui.screens.picker import PickerScreen

        return PickerScreen(self.loops, self.backend)

    async def action_perform(self, name: str) -> None:
        """Runs the action with an id on the widget, screen or app that has it."""
        action = BY_ID[name]
        if action.scope in WORKBENCH_SCOPES:
            self._return_to_workbench()
        home: Any = self if action.scope == "app" else self.screen
        home_of = getattr(self.screen, "home_of", None)
        if home_of is not None and action.scope != "app":
            home = home_of(action.scope)
        elif action.scope in FOCUSED:
            home = self.focused or home
        await self.run_action(action.call, default_namespace=home)

    def _return_to_workbench(self) -> None:
        """Closes the screens above the workbench, whose commands are available everywhere."""
        while len(self.screen_stack) > 1 and not hasattr(self.screen, "context"):
            self.pop_screen()

    def pop_screen(self) -> AwaitComplete:
        self.clear_messages_of(self.screen)
        return super().pop_screen()

    def action_leader(self, prefix: str) -> None:
        """Shows the commands behind a leader key; the next key runs one."""
        if self.screen.is_modal:
            return
        commands = leader_actions(prefix, self._leader_scopes(), self.keys)
        self.clear_notifications()  # the menu is where messages are

        def chosen(action: str | None) -> None:
            if action:
                self.call_next(self.action_perform, action)

        self.push_screen(LeaderMenu(prefix, commands), chosen)

    def _leader_scopes(self) -> list[str]:
        """Returns the scopes whose commands can be run now, the nearest first."""
        scopes = (*getattr(self.screen, "scopes", ("sheet", "app")), *WORKBENCH_SCOPES)
        has_workbench = any(hasattr(screen, "context") for screen in self.screen_stack)
        return [
            scope
            for scope in dict.fromkeys(scopes)
            if isinstance(self.focused, FOCUSED.get(scope, object))
            and (has_workbench or scope not in WORKBENCH_SCOPES)
        ]

    def action_search(self) -> None:
        """Searches in the list or text that has the focus, as it is typed."""
        found = self._searched()
        if found is None:
            self.notify("There is nothing to search here.")
            return
        start, before = found.search_place, self._search.text

        def find(text: str) -> None:
            self._search.set_text(text)
            self._search.find_in(found.texts())
            self._show_match(found, self._search.near(start))

        def end(text: str | None) -> None:
            if not text:  # the last search stays
                self._search.set_text(before)

        self.push_screen(SearchLine(find), end)

    def action_match(self, step: int) -> None:
        """Goes to the next match of the last search, or to the previous one."""
        found, search = self._searched(), self._search
        if found is None:
            self.notify("There is nothing to search here.")
        elif not search:
            self.notify("Nothing has been searched for yet. {app.search} searches.")
        else:
            search.find_in(found.texts())
            place = found.search_place
            self._show_match(found, search.after(place) if step > 0 else search.before(place))

    def _searched(self) -> RowList | Sheet | None:
        focused = self.focused
        return focused if isinstance(focused, RowList | Sheet) else None

    def _show_match(self, where: RowList | Sheet, row: int | None) -> None:
        where.show_match(row)
        if self._search:
            self.notify_place(self._search.words(-1 if row is None else row))

    def action_messages(self) -> None:
        """Shows the messages of this session, newest first."""
        self.push_screen(ReadingScreen("Messages", message_lines(self.message_history)))

    def action_command_palette(self) -> None:
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette())

    def action_help(self) -> None:
        if isinstance(self.screen, HelpScreen):
            return
        scopes = getattr(self.screen, "scopes", ("sheet", "app"))
        self.push_screen(HelpScreen(scopes, self.keys))

    def action_next_theme(self) -> None:
        names = [theme.name for theme in THEMES]
        known = self.theme if self.theme in names else names[0]
        self.action_show_theme(names[(names.index(known) + 1) % len(names)])

    def action_show_theme(self, name: str) -> None:
        """Shows the colours with that name and remembers them."""
        self.theme = name
        self.memory.put(LAST_THEME, name)
        self.notify(f"colours: {name}", timeout=2)

    async def action_back(self) -> None:
        self.clear_notifications()
        back = getattr(self.screen, "action_back", None)
        if back is not None:
            back()

    def action_leave(self) -> None:
        """Quits; asks first while this process hosts a run."""
        hosted = self.backend.hosted()
        if not hosted:
            self.exit()
            return
        if isinstance(self.screen, AskScreen):
            return

        def answered(answer: str | None) -> None:
            if answer == "keep":
                self.exit()
            elif answer == "stop":
                self._stop_and_leave(hosted)

        dangers = self.backend.dangers()
        lines: list[list[Span]] = [[("! ", "warn"), (danger, "warn")] for danger in dangers]
        background = "The run can continue in the background. Open tui-loop again to follow it."
        self.push_screen(
            AskScreen(
                f"{hosted} is running here",
                lines or [[(background, "")]],
                [
                    ("b", "keep it running in the background, and quit", "keep"),
                    ("s", "stop it, save the weights, and quit", "stop"),
                    ("c", "stay", ""),
                ],
            ),
            answered,
        )

    def _stop_and_leave(self, hosted: str) -> None:
        """Requests the hosted run to stop, and quits after it has."""
        try:
            self.backend.stop_hosted()
        except (OSError, TuiLoopError) as error:
            fault = error if isinstance(error, TuiLoopError) else file_error(error)
            message = f"Cannot stop {hosted}: {fault.message}"
            self.notify(flat(message, 400), severity="error", markup=False)
            return
        self.notify(f"{hosted} is stopping. The app closes when the weights are saved.")
        self.set_interval(0.2, self._leave_when_done)

    def leave_for(self, reason: signal.Signals) -> None:
        """Exits the app on SIGHUP, when its terminal was closed, or on SIGTERM.

        Called from a signal handler. The caller of the app decides what happens to a hosted run.
        """
        if self.left_for != signal.SIGTERM:
            self.left_for = reason
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self.exit)

    def _check_terminal(self) -> None:
        """Exits if the terminal was closed without a signal; its reader would spin endlessly."""
        if not self._has_terminal():
            self.leave_for(signal.SIGHUP)

    def action_detach(self) -> None:
        """Quits; a hosted run continues in the background."""
        self.exit()

    def action_suspend_process(self) -> None:
        """Suspends the app until the shell's `fg`.

        Not while this process hosts a run, which would be suspended too, and not without a shell,
        because nothing could continue the app.
        """
        if hosted := self.backend.hosted():
            self.notify(
                f"Suspending the app would also suspend {hosted}. {{run.detach}} quits the app; "
                "the run continues."
            )
            return
        if not self._can_stop():
            self.notify("Cannot suspend the app: no shell could resume it. {app.quit} quits.")
            return
        super().action_suspend_process()

    @on(Driver.SignalResume)
    def _draw_again(self) -> None:
        """Redraws all widgets, because the terminal was cleared meanwhile."""
        self.refresh(layout=True)

    def _leave_when_done(self) -> None:
        if not self.backend.hosted():
            self.exit()

    def edit(self, path: Path, line: int | None = None) -> str:
        """Opens a file in $EDITOR, at a line if the editor supports it, and waits.

        Returns what went wrong, "" if nothing did.
        """
        words, stream = opening_words(path, line), self._terminal
        if stream is None:
            return self._run_editor(words, None)
        with self.suspend(), self._editor_has_keys():
            return self._run_editor(words, stream)

    @contextmanager
    def _editor_has_keys(self) -> Iterator[None]:
        """Keeps ctrl+c in the editor from interrupting the app.

        While this process hosts a run, ctrl+z suspends neither: it would suspend the run too.
        """
        before = signal.signal(signal.SIGINT, lambda *_: None)
        stopped = self.backend.hosted()
        stop = signal.signal(signal.SIGTSTP, signal.SIG_IGN) if stopped else None
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            if stopped:
                signal.signal(signal.SIGTSTP, stop)

    def _run_editor(self, command: list[str], stream: io.TextIOWrapper | None) -> str:
        try:
            done = subprocess.run(command, stdout=stream, stderr=stream, check=False)
        except OSError as error:
            return f"{command[0]}: {error.strerror}; set $EDITOR to an installed editor"
        return f"{command[0]} exited with code {done.returncode}" if done.returncode else ""

    def _handle_exception(self, error: Exception) -> None:
        """Ends the app after an error of its own; writes the traceback without local variables."""
        self._return_code = 1
        self.report(error)
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self._close_messages_no_wait()

    def report(self, error: Exception) -> None:
        """Writes the first error to a file; later ones are often caused by it."""
        if self.crash_report is not None:
            return
        report = self.memory.folder / "crash.log"
        with suppress(OSError):
            report.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(report, redacted("".join(traceback.format_exception(error))))
            self.crash_report = report


if TYPE_CHECKING:
    _SERVICES: type[AppServices] = LoopApp  # mypy compares the app with what its screens use


def _collect_garbage() -> None:
    """Turns garbage collection on, which is off during the start to save time.

    A full collection visits every reference of the examples in memory, which are not garbage. With
    a million of them it takes most of a second, and by default it runs every other second.
    """
    gc.freeze()
    gc.set_threshold(*COLLECTIONS)
    gc.enable()
