"""The parts of a form: labels in a column, fields of input beside them, a row that acts."""

from __future__ import annotations

from collections.abc import Sequence, Set

from textual import events
from textual.message import Message
from textual.strip import Strip

from tui_loop.tui.actions import bindings_of
from tui_loop.tui.cells import fit
from tui_loop.tui.widgets.text_input import TextInput
from tui_loop.tui.widgets.toned import Toned

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


class FormLabels(Toned, can_focus=False):
    """One label a line; the one of the current field is pointed at, wrong ones are marked."""

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
            return self.painted([], width)
        label = self._labels[y]
        tone = "strong" if label == self._current else "muted"
        sign = ("✗ ", "bad") if label in self._wrong else ("▸ ", "accent")
        if label != self._current and label not in self._wrong:
            sign = ("  ", "")
        return self.painted([sign, (fit(label, width - 2), tone)], width)


class FormRow(Toned, can_focus=True):
    """A line that does something when it is entered."""

    BINDINGS = bindings_of("list.open")
    DEFAULT_CSS = "FormRow { height: 1; overflow: hidden hidden; }"

    class Chosen(Message):
        """Enter was pressed on the row, or it was clicked."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self._words, self._is_busy = words, False

    def show(self, is_busy: bool) -> None:
        """Whether it is at work."""
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
        line = self.tone("cursor") if self.has_focus else None
        return self.painted([(words, "strong")], self.size.width, line)
