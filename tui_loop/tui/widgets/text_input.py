"""A line of input that shows what a terminal would obey, sign for sign, and keeps it as it is."""

from __future__ import annotations

from rich.highlighter import Highlighter
from rich.text import Text
from textual.widgets import Input

from tui_loop.tui.cells import sign_for_sign


class _Gate(Highlighter):
    """Replaces signs by visible ones; as many, since the cursor counts them."""

    def __call__(self, text: str | Text) -> Text:
        plain = text if isinstance(text, str) else text.plain
        return Text(sign_for_sign(plain), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        return


class TextInput(Input):
    """One line, without a blinking cursor."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, compact=True, highlighter=_Gate(), id=id)
        self.cursor_blink = False
