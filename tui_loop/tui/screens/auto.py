"""The dialog that starts auto: what it would do first, and its budget."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import msgspec
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.core.errors import TuiLoopError
from tui_loop.tui.actions import bindings_of
from tui_loop.tui.cells import flat
from tui_loop.tui.screens.rows import fault_lines
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.text_input import TextInput
from tui_loop.tui.widgets.toned import Part

ITERATIONS = 4
LEAST_LINES, MOST_LINES = 6, 12

Lines = list[list[Part]]


class Budget(msgspec.Struct, frozen=True):
    """What auto may spend; `hours` None for no limit."""

    iterations: int
    hours: float | None = None


class AutoDialog(ModalScreen[Budget | None]):
    """Returns the budget, None for esc."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    AutoDialog { align: center middle; background: $background 40%; }
    AutoDialog:ansi { background: ansi_default; }
    AutoDialog > Vertical {
        width: 100; max-width: 100%; height: auto; max-height: 100%;
        border: round $tone-accent; background: $background; padding: 0 1;
        & > Sheet { height: 6; padding: 0; }
        & > Horizontal { height: 1; }
        & > Horizontal > Sheet { width: 16; height: 1; padding: 0; }
        & > Horizontal > TextInput { width: 1fr; }
    }
    """

    def __init__(self, loop: str, start: int | None) -> None:
        """`start`: the iteration to continue from, None for the best so far."""
        super().__init__()
        self._heading = f"Auto in {loop}, from {start if start is not None else 'the best'}"
        self._preview: Lines = [[("reading the diagnosis ...", "muted")]]
        self._is_possible = False
        self.sheet = Sheet(self._lines())
        self.sheet.can_focus = False
        self.iterations = TextInput(str(ITERATIONS), id="auto-iterations")
        self.hours = TextInput("", placeholder="no limit", id="auto-hours")

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
            for name, field in (("iterations", self.iterations), ("hours at most", self.hours)):
                with Horizontal():
                    yield Sheet([[(name, "muted")]], is_note=True)
                    yield field
        entitle(box, self._heading, "enter starts · tab next field · esc goes back")

    def on_mount(self) -> None:
        self.iterations.focus()

    def show(self, ahead: Sequence[str]) -> None:
        """Shows what auto would do first."""
        self._preview = [[(flat(each), "")] for each in ahead]
        self._is_possible = True
        self._fill()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why auto cannot start."""
        self._preview = fault_lines(fault, services_of(self).keys)
        self._fill()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        budget, problem = _budget(self.iterations.value.strip(), self.hours.value.strip())
        if problem:
            self._fill(problem)
        elif budget is not None and self._is_possible:
            self.dismiss(budget)

    def action_back(self) -> None:
        self.dismiss(None)

    def _fill(self, problem: str = "") -> None:
        self.sheet.show(self._lines(problem))
        self.call_after_refresh(self._fit)

    def _fit(self) -> None:
        height = self.sheet.virtual_size.height
        self.sheet.styles.height = min(MOST_LINES, max(LEAST_LINES, height))

    def _lines(self, problem: str = "") -> Lines:
        if not self._is_possible:
            return self._preview
        lines = [
            *self._preview,
            [
                (
                    "After each run it judges the result and continues from the best one, until it "
                    "is ready, on a plateau, or out of budget. s stops it.",
                    "muted",
                )
            ],
        ]
        return [*lines, [("✗ ", "bad"), (problem, "bad")]] if problem else lines


def _budget(iterations: str, hours: str) -> tuple[Budget | None, str]:
    """What was typed, and what is wrong with it."""
    if not re.fullmatch(r"0*[1-9]\d{0,5}", iterations, re.ASCII):
        return None, "iterations: a whole number from 1 on"
    if not hours:
        return Budget(int(iterations)), ""
    try:
        limit = float(hours) if hours.isascii() else math.nan
    except ValueError:
        limit = math.nan
    if not (math.isfinite(limit) and limit > 0):
        return None, "hours: a number above 0, or nothing for no limit"
    return Budget(int(iterations), limit), ""
