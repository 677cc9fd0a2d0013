"""Dialogs: a question with answers, a line of text, and whether foreign code may run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.core.consent import ForeignCode
from tui_loop.tui.actions import bindings_of
from tui_loop.tui.cells import width_of
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

Answer = tuple[str, str, str]
"""(key, words, value)"""


class _Answers(RowList):
    def __init__(self, answers: Sequence[Answer]) -> None:
        super().__init__(id="answers")
        self.answers = list(answers)

    @property
    def count(self) -> int:
        return len(self.answers)

    def row(self, index: int, width: int) -> list[Span]:
        key, words, _ = self.answers[index]
        return [self.pointer(index), (f"{key}  ", "accent"), (words, "")]


class AskScreen(ModalScreen[str]):
    """Returns the value of the chosen answer, "" for esc."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    AskScreen { align: center middle; background: $background 40%; }
    AskScreen:ansi { background: ansi_default; }
    AskScreen > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background; padding: 0 1;
        & > Sheet { height: auto; max-height: 12; padding: 0; }
        & > #answers { margin-top: 1; }
    }
    """

    def __init__(
        self, title: str, lines: Sequence[Sequence[Span]], answers: Sequence[Answer]
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


MOST_LINES = 12


class InputDialog(ModalScreen[str | None]):
    """Returns what was typed, None for esc; `is_needed`: an empty line is not accepted."""

    BINDINGS = bindings_of("app.back")
    DEFAULT_CSS = """
    InputDialog { align: center middle; background: $background 40%; }
    InputDialog:ansi { background: ansi_default; }
    InputDialog > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background; padding: 0 1;
        & > Sheet { height: 3; padding: 0; }
        & > Horizontal { height: 1; margin-top: 1; }
        & > Horizontal > Sheet { height: 1; padding: 0; }
        & > Horizontal > TextInput { width: 1fr; }
    }
    """

    def __init__(
        self,
        title: str,
        lines: Sequence[Sequence[Span]],
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
        self.call_after_refresh(self._fit)  # its width is unknown before

    def _fit(self) -> None:
        self.sheet.styles.height = min(MOST_LINES, max(1, self.sheet.virtual_size.height))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if text or not self._is_needed:
            self.dismiss(text)

    def action_back(self) -> None:
        self.dismiss(None)


FILES_SHOWN = 5
HASH_DIGITS = 12


class ConsentScreen(AskScreen):
    """Returns "allow" where the code may run, "" where it may not."""

    def __init__(self, code: Sequence[ForeignCode]) -> None:
        super().__init__(
            "Run this code?",
            [
                [("This loop contains Python code that runs with your permissions.", "warn")],
                *_lines(code),
                [("Read it first. This question returns when the code changes.", "muted")],
            ],
            [
                ("n", "do not run it", ""),
                ("y", "allow this code and remember it", "allow"),
            ],
        )


def _lines(code: Sequence[ForeignCode]) -> Iterator[list[Span]]:
    """Yields each owner with its folder and files, up to FILES_SHOWN files in all."""
    shown = 0
    for each in code:
        if shown == FILES_SHOWN:
            break
        yield [(f"{each.field} ", "muted"), (each.owner, ""), (f" in {_folder_of(each)}", "muted")]
        for file in each.files[: FILES_SHOWN - shown]:
            shown += 1
            yield [(f"  {file.name}", ""), (f"  sha256 {file.sha256[:HASH_DIGITS]}", "muted")]
    rest = sum(len(each.files) for each in code) - shown
    if rest:
        yield [(f"  and {rest} more file{'s' if rest > 1 else ''}", "muted")]


def _folder_of(code: ForeignCode) -> str:
    """Returns the folder of the code, relative where it is inside the working directory."""
    file = code.files[0]
    folder = Path(file.path.removesuffix(file.name) or ".")
    here = Path.cwd()
    if folder == here:
        return "this folder"
    return f"./{folder.relative_to(here)}" if folder.is_relative_to(here) else str(folder)
