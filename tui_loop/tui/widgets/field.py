"""A line to type in, hidden until it is opened; what it gets is accepted or it stays open."""

from __future__ import annotations

from collections.abc import Callable

from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from tui_loop.tui.widgets.text_input import TextInput


class Field(TextInput):
    """A line of input that is opened for a while."""

    DEFAULT_CSS = """
    Field {
        display: none; height: 1; border: none; padding: 0 1; background: $row-cursor;
        &:focus { border: none; background: $row-cursor; }
        &.-open { display: block; }
    }
    """

    class Closed(Message):
        """The field was left."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._accept: Callable[[str], bool] = lambda _: True
        self._changed: Callable[[str], None] = lambda _: None
        self._back: Widget | None = None

    @property
    def is_open(self) -> bool:
        """Whether it can be typed in."""
        return self.has_class("-open")

    def open(
        self,
        value: str,
        hint: str,
        *,
        accept: Callable[[str], bool],
        changed: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Opens with `value`; `accept` takes what is entered, or refuses it with False."""
        if self.screen.focused is not self:
            self._back = self.screen.focused
        self._accept, self._changed = accept, changed
        with self.prevent(Input.Changed):
            self.value = value
        self.placeholder = hint
        self.cursor_position = len(value)
        self.add_class("-open")
        self.screen.set_focus(self)  # at once: the next key is for it

    def close(self) -> None:
        """Hides the field and gives the focus back."""
        if not self.is_open:
            return
        self.remove_class("-open")
        if self._back is not None and self._back.is_attached:
            self.screen.set_focus(self._back)
        self.post_message(self.Closed())

    async def action_submit(self) -> None:
        if self._accept(self.value):
            self.close()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self._changed(event.value)
