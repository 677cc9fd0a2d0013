"""Patterns over all loops of the folder: as hints in the form, and on a screen of their own."""

from __future__ import annotations

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.all_patterns import Patterns, PatternsReader
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import LIVE
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.controllers.live_screen import LiveScreen
from tui_loop.tui.screens.patterns import PatternsScreen
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT

POLL_SECONDS = 1.0
"""The time that one poll spends on comparisons; what is known by then is shown."""

Ended = tuple[tuple[int, str], ...]
"""The iterations that are not running, each with its state: patterns change when these do."""


class PatternsController:
    """Reads the patterns, shows them, and leads from one to its iterations."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._patterns = Patterns()
        self._folder = LoopsFolder(context.loop.path.parent)
        self.reader = PatternsReader(self._folder)
        self._live: LiveScreen[Ended, Patterns] = LiveScreen(
            context, "patterns", lambda _: self.reader.poll(POLL_SECONDS), self._found, self._failed
        )
        self._screen: PatternsScreen | None = None

    def open(self) -> None:
        """Shows the patterns and reads all loops again: other processes may have added runs."""
        self._screen = PatternsScreen(self, self._context.loop.name)
        self._live.open(self._screen)
        self._screen.show(self._patterns, doing="reading the loops ...")
        self._request(again=True)

    def refresh(self) -> None:
        """Reads them for the form of a draft, where an iteration has ended since."""
        if self._context.state.selected == DRAFT:
            self._request()

    def select(self, place: str) -> None:
        """Selects the iteration `loop/N` if it belongs to this loop."""
        loop, _, number = place.rpartition("/")
        if loop != self._context.loop.name:
            self._context.notify(
                f"{place} belongs to another loop. {{patterns.open}} opens that loop."
            )
            return
        self._live.close()
        self._context.bench.select(int(number))
        self._context.bench.go_to("iterations")

    def open_loop(self, place: str) -> None:
        """Opens the loop of the iteration `loop/N` with that iteration selected."""
        name, _, number = place.rpartition("/")
        if name == self._context.loop.name:
            self.select(place)
            return
        try:
            loop = self._folder.loop(name)
        except TuiLoopError as error:
            self._context.notify_error(error)
        else:
            self._context.services.open_loop(loop, int(number))

    def _request(self, *, again: bool = False) -> None:
        snapshot = self._context.snapshot
        if snapshot is not None:
            ended = ((e.number, e.state) for e in snapshot.iterations if e.state not in LIVE)
            self._live.request(tuple(ended), again=again)

    def _found(self, ended: Ended, found: Patterns) -> None:
        self._patterns = found
        if self._screen is not None and self._live.is_open:
            waiting = f"comparing, {found.waiting} to go ..." if found.waiting else ""
            self._screen.show(found, doing=waiting)
        self._context.pane(ConfigPane).learn(found.patterns)
        if found.waiting:
            self._live.request(ended, again=True)

    def _failed(self, _: Ended, fault: TuiLoopError) -> None:
        if self._screen is not None and self._live.is_open:
            self._screen.show_fault(fault)
