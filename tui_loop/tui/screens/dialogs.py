"""Dialogs: a question with answers, a line of text, and whether foreign code may run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from tui_loop.core.consent import ForeignCode
from tui_loop.tui.cells import width_of
from tui_loop.tui.keys import bindings_of, with_keys
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.field import TextInput
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

Lines = Sequence[Sequence[Span]]
Result = TypeVar("Result")

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


class Dialog(ModalScreen[Result]):
    """A framed box in the middle of the screen: lines to read, and below them what a subclass adds.

    The lines get as many rows as they need, from `LEAST_LINES` to `MOST_LINES`. esc returns
    `CANCELLED`.
    """

    BINDINGS = bindings_of("app.back")
    LEAST_LINES, MOST_LINES = 1, 12
    CANCELLED: Any = None
    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 40%; }
    Dialog:ansi { background: ansi_default; }
    Dialog > Vertical {
        width: 76; max-width: 100%; height: auto; max-height: 100%;
        border: round $style-accent; background: $background; padding: 0 1;
        &.-wide { width: 100; }
        & > Sheet { padding: 0; }
        & > Horizontal { height: 1; }
        & > Horizontal > Sheet { height: 1; padding: 0; }
        & > Horizontal > TextInput { width: 1fr; }
    }
    """

    def __init__(self, title: str, keys: str, lines: Lines, *, is_wide: bool = False) -> None:
        """`keys`: the keys of the dialog, shown in its frame; an `{id}` becomes a key."""
        super().__init__()
        self.sheet = Sheet(lines)
        self.sheet.can_focus = False
        self.sheet.styles.height = self.LEAST_LINES
        self._title, self._keys, self._is_wide = title, keys, is_wide

    def compose(self) -> ComposeResult:
        with Vertical(classes="-wide" if self._is_wide else None) as box:
            yield self.sheet
            yield from self.compose_below()
        entitle(box, self._title, with_keys(self._keys, services_of(self).keys))

    def compose_below(self) -> ComposeResult:
        """Yields the widgets below the lines."""
        raise NotImplementedError

    def on_mount(self) -> None:
        self._fit_soon()

    def show_lines(self, lines: Lines) -> None:
        """Shows other lines."""
        self.sheet.show(lines)
        self._fit_soon()

    def action_back(self) -> None:
        self.dismiss(self.CANCELLED)

    def _fit_soon(self) -> None:
        self.call_after_refresh(self._fit)  # its width is unknown before

    def _fit(self) -> None:
        height = self.sheet.virtual_size.height
        self.sheet.styles.height = min(self.MOST_LINES, max(self.LEAST_LINES, height))


def labelled(label: str, field: TextInput, *, width: int = 0, note: str = "") -> Horizontal:
    """Returns a line of input behind its label; `width`: the least cells of the label.

    `note`: what may be typed, at the end of the line.
    """
    sheet = Sheet([[(label, "muted")]], is_note=True)
    sheet.styles.width = max(width, width_of(label)) + 2
    if not note:
        return Horizontal(sheet, field)
    after = Sheet([[(note, "muted")]], is_note=True)
    after.styles.width = width_of(note)
    return Horizontal(sheet, field, after)


class AskScreen(Dialog[str]):
    """Returns the value of the chosen answer, "" for esc."""

    CANCELLED = ""
    DEFAULT_CSS = "AskScreen #answers { margin-top: 1; }"

    def __init__(
        self, title: str, lines: Lines, answers: Sequence[Answer], *, is_wide: bool = False
    ) -> None:
        keys = "{list.open} chooses · {app.back} goes back"
        super().__init__(title, keys, lines, is_wide=is_wide)
        self._answers = answers

    def compose_below(self) -> ComposeResult:
        answers = _Answers(self._answers)
        answers.styles.height = len(self._answers)
        yield answers

    def on_mount(self) -> None:
        super().on_mount()
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


FRAME_LINES = 6
"""Rows of a question around its lines: the frame, the gap, and two answers."""


class ScriptScreen(AskScreen):
    """A question about a text of many lines, which gets the height of the terminal."""

    def __init__(self, title: str, text: str, answers: Sequence[Answer]) -> None:
        lines = [[(line, "")] for line in text.splitlines()]
        super().__init__(title, lines, answers, is_wide=True)

    def on_mount(self) -> None:
        self.MOST_LINES = max(self.LEAST_LINES, self.app.size.height - FRAME_LINES)
        super().on_mount()

    def on_key(self, event: events.Key) -> None:
        if event.key in ("pagedown", "pageup"):
            event.stop()
            by = self.sheet.size.height * (1 if event.key == "pagedown" else -1)
            self.sheet.scroll_relative(y=by, animate=False)


class InputDialog(Dialog[str | None]):
    """Returns what was typed, None for esc; `is_needed`: an empty line is not accepted."""

    DEFAULT_CSS = "InputDialog > Vertical > Horizontal { margin-top: 1; }"

    def __init__(
        self,
        title: str,
        lines: Lines,
        label: str,
        *,
        does: str,
        value: str = "",
        placeholder: str = "",
        is_needed: bool = True,
    ) -> None:
        """`does`: what enter does, in a few words."""
        super().__init__(title, f"enter {does} · {{app.back}} goes back", lines)
        self._label, self._is_needed = label, is_needed
        self.field = TextInput(value, placeholder=placeholder)

    def compose_below(self) -> ComposeResult:
        yield labelled(self._label, self.field)

    def on_mount(self) -> None:
        super().on_mount()
        self.field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        text = event.value.strip()
        if text or not self._is_needed:
            self.dismiss(text)


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
                ("y", "allow this code from now on", "allow"),
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
