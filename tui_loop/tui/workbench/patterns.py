"""What all loops of the folder taught, read beside the screen: for the form, and as a screen."""

from __future__ import annotations

from typing import Any

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.all_patterns import Patterns, PatternsReader
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import LIVE
from tui_loop.tui.latest import Latest
from tui_loop.tui.screens.patterns import PatternsScreen
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.workbench.observing import LoopScreen

LOOK_SECONDS = 1.0
"""A look compares iterations for so long; what is known by then is shown, the next one goes on."""

Ended = tuple[tuple[int, str], ...]
"""The iterations that are not running, each with its state: patterns change when they do."""


class Learning(LoopScreen):
    """What `P` opens, and the hints in the form."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._patterns = Patterns()
        self._patterns_screen: PatternsScreen | None = None
        self._reads_patterns = False
        self._patterns_reader = PatternsReader(LoopsFolder(self.loop.path.parent))
        self._looks: Latest[Ended, Patterns | Exception] = Latest(self._read, self._hear_patterns)

    def action_patterns(self) -> None:
        """Shows them, and has the loops read again: others may have changed meanwhile."""
        self._patterns_screen = PatternsScreen(self, self.loop.name)
        self.app.push_screen(self._patterns_screen, self._patterns_closed)
        self._patterns_screen.show(self._patterns, doing="reading the loops ...")
        self._ask_for_patterns(again=True)

    def _patterns_closed(self, _: None) -> None:
        self._patterns_screen = None

    def look_at_patterns_again(self) -> None:
        """Has them read where the draft is looked at and an iteration came to its end since."""
        if self.selected == DRAFT:
            self._ask_for_patterns()

    def select_place(self, place: str) -> None:
        """Selects an iteration of this loop; of another one, says how to get there."""
        loop, _, number = place.rpartition("/")
        if loop != self.loop.name:
            self.notify(f"{place} is of another loop: O opens it", timeout=2, markup=False)
            return
        if self._patterns_screen is not None and self.app.screen is self._patterns_screen:
            self._patterns_screen.dismiss()
        self.follows_run = None
        self.select(int(number))
        self.go_to("iterations")

    def open_place(self, place: str) -> None:
        """Opens the loop that an iteration is of, on it."""
        name, _, number = place.rpartition("/")
        if name == self.loop.name:
            self.select_place(place)
            return
        try:
            loop = LoopsFolder(self.loop.path.parent).loop(name)
        except TuiLoopError as error:
            self.tell(error)
            return
        self.services.open_loop(loop, int(number))

    def _ask_for_patterns(self, *, again: bool = False) -> None:
        if self.snapshot is None:
            return
        ended = tuple((e.number, e.state) for e in self.snapshot.iterations if e.state not in LIVE)
        if not self._reads_patterns:
            self._reads_patterns = True
            self.run_worker(self._looks.run(), group="patterns", exclusive=True)
        self._looks.ask(ended, again=again)

    def _read(self, _: Ended) -> Patterns | Exception:
        try:
            return self._patterns_reader.poll(LOOK_SECONDS)
        except Exception as error:  # told on the screen, which is not to end with it
            return error

    def _hear_patterns(self, ended: Ended, answer: Patterns | Exception) -> None:
        if self.is_leaving():
            return
        screen = self._patterns_screen  # which may not be attached yet
        if isinstance(answer, Exception):
            fault = answer if isinstance(answer, TuiLoopError) else self.fault_of(answer)
            if screen is not None:
                screen.show_fault(fault)
            return
        self._patterns = answer
        doing = f"comparing, {answer.waiting} to go ..." if answer.waiting else ""
        if screen is not None:
            screen.show(answer, doing=doing)
        self.query_one(ConfigPane).learn(answer.patterns)
        if answer.waiting:
            self._looks.ask(ended, again=True)
