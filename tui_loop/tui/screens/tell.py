"""A dialog that asks for a line of text: enter does what the title says."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.tui.actions import bindings_of
from tui_loop.tui.cells import width_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.text_input import TextInput
from tui_loop.tui.widgets.toned import Part

MOST_LINES = 12


class InputDialog(ModalScreen[str | None]):
    """Returns what was typed, None for esc; `is_needed`: an empty line is not accepted."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    InputDialog { align: center middle; background: $background 40%; }
    InputDialog:ansi { background: ansi_default; }
    InputDialog > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $tone-accent; background: $background; padding: 0 1;
        & > Sheet { height: 3; padding: 0; }
        & > Horizontal { height: 1; margin-top: 1; }
        & > Horizontal > Sheet { height: 1; padding: 0; }
        & > Horizontal > TextInput { width: 1fr; }
    }
    """

    def __init__(
        self,
        title: str,
        lines: Sequence[Sequence[Part]],
        label: str,
        *,
        does: str,
        value: str = "",
        placeholder: str = "",
        is_needed: bool = True,
    ) -> None:
        """`does`: what enter does, in a few words."""
        super().__init__()
        self._title, self._does, self._is_needed = title, does, is_needed
        self.sheet = Sheet(lines)
        self.sheet.can_focus = False
        self.label = Sheet([[(label, "muted")]], is_note=True)
        self.label.styles.width = width_of(label) + 2
        self.field = TextInput(value, placeholder=placeholder)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
            with Horizontal():
                yield self.label
                yield self.field
        entitle(box, self._title, f"enter {self._does} · esc goes back")

    def on_mount(self) -> None:
        self.field.focus()
        self.call_after_refresh(self._fit)  # before, it may not know its width

    def _fit(self) -> None:
        self.sheet.styles.height = min(MOST_LINES, max(1, self.sheet.virtual_size.height))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if text or not self._is_needed:
            self.dismiss(text)

    def action_back(self) -> None:
        self.dismiss(None)
