"""Choices for a field of input: listed below it, taken with enter or a click."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec
from textual import events

from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

WIDEST_VALUE = 48


class Choice(msgspec.Struct, frozen=True):
    """A value with a few words on it; `refusal` says why it cannot be taken, "" if it can."""

    value: str
    words: str = ""
    refusal: str = ""


class ChoiceList(RowList):
    """Follows a field that keeps the focus; `is_active` shows which row enter would take."""

    def __init__(self) -> None:
        super().__init__(id="choices")
        self.can_focus = False
        self.choices: tuple[Choice, ...] = ()
        self.is_active = False
        self.nothing = ""

    @property
    def count(self) -> int:
        return len(self.choices)

    def key_of(self, index: int) -> Hashable:
        return self.choices[index].value

    def is_selectable(self, index: int) -> bool:
        return index < len(self.choices) and not self.choices[index].refusal

    @property
    def current(self) -> Choice | None:
        """The row that enter would take."""
        if not self.is_active or not self.is_selectable(self.cursor):
            return None
        return self.choices[self.cursor]

    def show(
        self, choices: Sequence[Choice], *, active: bool, nothing: str = "", at: str | None = None
    ) -> None:
        """Shows these, the cursor on the value `at` if it is among them, else on the first."""
        fresh = tuple(choices)
        if (fresh, active, nothing) == (self.choices, self.is_active, self.nothing):
            return
        if fresh != self.choices:
            self.cursor = 0
        self.choices, self.is_active, self.nothing = fresh, active, nothing
        self.rows_changed(at)

    def empty(self) -> list[str]:
        return [self.nothing]

    def row(self, index: int, width: int) -> list[Part]:
        choice = self.choices[index]
        words = choice.refusal or choice.words
        values = [width_of(flat(each.value)) for each in self.choices[:200] if each.words]
        size = min(WIDEST_VALUE, max(values, default=0)) if words else 0
        value = flat(choice.value)
        tone = "muted" if choice.refusal else ""
        pointer = self.pointer(index) if self.is_active else ("  ", "")
        return [pointer, (fit(value, max(size, width_of(value))), tone), (f"  {words}", "muted")]

    def on_click(self, event: events.Click) -> None:
        event.stop()
        index = event.y + round(self.scroll_y)
        if self.is_selectable(index):
            self.post_message(self.Opened(self, index))
