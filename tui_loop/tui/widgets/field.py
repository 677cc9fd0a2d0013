"""Lines of input: a safe one, and one that is hidden until it is opened."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.highlighter import Highlighter
from rich.text import Text
from textual.message import Message
from textual.suggester import SuggestionReady
from textual.widget import Widget
from textual.widgets import Input
from textual.widgets.input import Selection

from tui_loop.tui.cells import sign_for_sign
from tui_loop.tui.keys import bindings, with_keys
from tui_loop.tui.services import services_of

if TYPE_CHECKING:  # not imported before the first frame
    from tui_loop.core.examples.completion import Completion

    Complete = Callable[[str], Sequence[Completion]]


class _Gate(Highlighter):
    """Replaces control characters one for one, since the cursor counts characters."""

    def __call__(self, text: str | Text) -> Text:
        plain = text if isinstance(text, str) else text.plain
        return Text(sign_for_sign(plain), no_wrap=True, overflow="ignore", end="")

    def highlight(self, text: Text) -> None:
        return


class TextInput(Input):
    """One line, without a blinking cursor; an `{id}` in its placeholder becomes a key."""

    def __init__(self, value: str = "", *, placeholder: str = "", id: str | None = None) -> None:
        super().__init__(value, placeholder=placeholder, compact=True, highlighter=_Gate(), id=id)
        self.cursor_blink = False

    def on_mount(self) -> None:
        self.placeholder = with_keys(self.placeholder, services_of(self).keys)


def _no_completions(_: str) -> Sequence[Completion]:
    return ()


class Field(TextInput):
    """A line of input that is hidden while it is closed.

    The text may have completions. The first one is shown behind the cursor; up and down show
    others, and tab or the right arrow takes the one that is shown.
    """

    BINDINGS = bindings("field")
    DEFAULT_CSS = """
    Field {
        display: none; height: 1; border: none; padding: 0 1; background: $row-cursor;
        &:focus { border: none; background: $row-cursor; }
        &.-open { display: block; }
    }
    """

    class Closed(Message):
        """The field was closed."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.select_on_focus = False  # its text is selected as it opens, before the next key
        self._accept: Callable[[str], bool] = lambda _: True
        self._changed: Callable[[str], None] = lambda _: None
        self._complete: Complete = _no_completions
        self.completions: Sequence[Completion] = ()
        self._suggested = 0
        self._back: Widget | None = None

    @property
    def is_open(self) -> bool:
        """Whether the field is shown and takes text."""
        return self.has_class("-open")

    @property
    def suggestion(self) -> Completion | None:
        """The completion that tab would take."""
        return self.completions[self._suggested] if self.completions else None

    def open(
        self,
        value: str,
        hint: str,
        *,
        accept: Callable[[str], bool],
        changed: Callable[[str], None] = lambda _: None,
        complete: Complete = _no_completions,
    ) -> None:
        """Opens with `value` selected, so that typing replaces it, and an arrow keeps it.

        `accept` gets the entered text, and refuses it with False. `complete` returns the
        completions of the text so far.
        """
        if self.screen.focused is not self:
            self._back = self.screen.focused
        self._accept, self._changed, self._complete = accept, changed, complete
        self.completions = ()
        with self.prevent(Input.Changed):
            self.value = value
        self.placeholder = with_keys(hint, services_of(self).keys)
        self.selection = Selection(0, len(value))
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

    def action_cursor_right(self, select: bool = False) -> None:
        if self.suggestion is not None and self.cursor_at_end and not select:
            self.action_complete()
        else:
            super().action_cursor_right(select)

    def action_complete(self) -> None:
        """Takes the suggestion that is shown."""
        suggestion = self.suggestion
        if suggestion is not None:
            self.value = suggestion.text
            self.cursor_position = len(self.value)

    def action_suggest(self, step: int) -> None:
        """Shows another suggestion."""
        if self.completions:
            self._suggested = (self._suggested + step) % len(self.completions)
            self._show_suggestion()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.is_open:
            self.completions, self._suggested = self._complete(self.value), 0
            self._show_suggestion()
            self._changed(event.value)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in ("complete", "suggest") and not self.completions:
            return False  # the key is for a widget around the field
        return super().check_action(action, parameters)

    def _show_suggestion(self) -> None:
        suggestion = self.suggestion
        if suggestion is not None:
            self.post_message(SuggestionReady(self.value, self.value + suggestion.rest))
