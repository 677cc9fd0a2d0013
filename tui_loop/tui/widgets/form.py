"""A form of fields, and the choices that a field offers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence, Set

import msgspec
from textual import events
from textual.message import Message
from textual.strip import Strip

from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.keys import bindings_of
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span, StyledLines

WIDEST_VALUE = 48


class Choice(msgspec.Struct, frozen=True):
    """A value with a short description; `refusal`: why it cannot be chosen, "" if it can."""

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

    def row(self, index: int, width: int) -> list[Span]:
        choice = self.choices[index]
        words = choice.refusal or choice.words
        values = [width_of(flat(each.value)) for each in self.choices[:200] if each.words]
        size = min(WIDEST_VALUE, max(values, default=0)) if words else 0
        value = flat(choice.value)
        style = "muted" if choice.refusal else ""
        pointer = self.pointer(index) if self.is_active else ("  ", "")
        return [pointer, (fit(value, max(size, width_of(value))), style), (f"  {words}", "muted")]

    def on_click(self, event: events.Click) -> None:
        event.stop()
        index = event.y + round(self.scroll_y)
        if self.is_selectable(index):
            self.post_message(self.Opened(self, index))


LABEL_CELLS = 10


class FormInput(TextInput):
    """One line of input of a form; `field` is its name."""

    DEFAULT_CSS = """
    FormInput {
        height: 1; border: none; padding: 0 1; background: $background;
        &:focus { border: none; background: $row-cursor; }
    }
    """

    def __init__(self, field: str, hint: str) -> None:
        super().__init__(placeholder=hint, id=f"field-{field}")
        self.field = field


class FormLabels(StyledLines, can_focus=False):
    """One label per line, with signs for the current field and for wrong ones."""

    DEFAULT_CSS = f"FormLabels {{ width: {LABEL_CELLS}; height: 1fr; overflow: hidden hidden; }}"

    def __init__(self, labels: Sequence[str]) -> None:
        super().__init__()
        self._labels = list(labels)
        self._current = ""
        self._wrong: Set[str] = frozenset()

    def show(self, current: str, wrong: Set[str]) -> None:
        """Points at a label and marks others; draws nothing if they are the same."""
        if (current, wrong) != (self._current, self._wrong):
            self._current, self._wrong = current, frozenset(wrong)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if not 0 <= y < len(self._labels):
            return self.styled([], width)
        label = self._labels[y]
        style = "strong" if label == self._current else "muted"
        sign = ("✗ ", "bad") if label in self._wrong else ("▸ ", "accent")
        if label != self._current and label not in self._wrong:
            sign = ("  ", "")
        return self.styled([sign, (fit(label, width - 2), style)], width)


class FormRow(StyledLines, can_focus=True):
    """A line that acts on enter or a click."""

    BINDINGS = bindings_of("list.open")
    DEFAULT_CSS = "FormRow { height: 1; overflow: hidden hidden; }"

    class Chosen(Message):
        """Enter was pressed on the row, or it was clicked."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words, self._is_busy = words, False

    def show(self, is_busy: bool) -> None:
        """Shows whether its action is running."""
        if is_busy != self._is_busy:
            self._is_busy = is_busy
            self.refresh()

    def action_open(self) -> None:
        self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.action_open()

    def render_line(self, y: int) -> Strip:
        words = f"{self._words} ..." if self._is_busy else self._words
        line = self.style_of("cursor") if self.has_focus else None
        return self.styled([(words, "strong")], self.size.width, line)
