"""A question with a few answers, each with a key of its own."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen

from tui_loop.tui.actions import bindings_of
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

Answer = tuple[str, str, str]
"""(key, words, value)"""


class _Answers(RowList):
    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(id="answers")
        self.answers = list(answers)

    @property
    def count(self) -> int:
        return len(self.answers)

    def row(self, index: int, width: int) -> list[Part]:
        key, words, _ = self.answers[index]
        return [self.pointer(index), (f"{key}  ", "accent"), (words, "")]


class AskScreen(ModalScreen[str]):
    """Gives the value of the chosen answer, "" where none was."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    AskScreen { align: center middle; background: $background 40%; }
    AskScreen:ansi { background: ansi_default; }
    AskScreen > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $tone-accent; background: $background; padding: 0 1;
        & > Sheet { height: auto; max-height: 12; padding: 0; }
        & > #answers { margin-top: 1; }
    }
    """

    def __init__(
        self, title: str, lines: Sequence[Sequence[Part]], answers: Sequence[Answer]
    ) -> None:
        super().__init__()
        self._title, self._lines, self._answers = title, lines, answers

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            sheet = Sheet(self._lines)
            sheet.can_focus = False
            sheet.styles.height = min(10, len(self._lines) + 1)
            yield sheet
            answers = _Answers(self._answers)
            answers.styles.height = len(self._answers)
            yield answers
        entitle(box, self._title, "enter chooses · esc goes back")

    def on_mount(self) -> None:
        self.query_one(_Answers).focus()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.dismiss(self._answers[event.index][2])

    def on_key(self, event: events.Key) -> None:
        for key, _, value in self._answers:
            if event.character == key:
                event.stop()
                self.dismiss(value)
                return

    def action_back(self) -> None:
        self.dismiss("")
