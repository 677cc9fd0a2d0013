"""The diagnosis of an iteration: findings, and suggestions to select for the next draft."""

from __future__ import annotations

from typing import Protocol

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from tui_loop.core.diagnosis.apply_suggestions import clash
from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.readiness import Checklist
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings, in_keys, keys_of
from tui_loop.tui.widgets.bar import Bar, Piece, key_pieces
from tui_loop.tui.widgets.diagnosis_list import (
    WIDE,
    DiagnosisList,
    Entry,
    Key,
    entries_of,
    key_of,
    plain_entries,
    ready_entries,
    text_of,
)
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList

AROUND = ("diagnosis.previous", "diagnosis.following")
FOOTER = (*AROUND, "diagnosis.copy", "app.back", "app.help")


class DiagnosisProgress:
    """What is known about one iteration and which suggestions are selected; it outlives the screen.

    `known` None: it has not been diagnosed yet.
    """

    def __init__(self) -> None:
        self.known: Diagnosis | None = None
        self.checklist: Checklist | None = None
        self.selected: list[Key] = []
        self.cursor: Key | None = None

    @property
    def suggestions(self) -> list[Suggestion]:
        """Returns the selected suggestions that are still offered, in the order of selection."""
        offered = self.known.suggestions if self.known is not None else ()
        found = {key_of(each): each for each in offered}
        return [found[key] for key in self.selected if key in found]


class DiagnosisCommands(Protocol):
    """What the screen asks of its controller."""

    def step(self, by: int) -> None:
        """Shows the next iteration, or the previous one."""

    def show_evidence(self, finding: Finding) -> None:
        """Shows the examples, steps or iteration behind a finding."""

    def draft_with(self, suggestions: list[Suggestion]) -> None:
        """Drafts the next iteration with suggestions."""


class DiagnosisScreen(Screen[None]):
    """One list of findings and suggestions; `show` updates it as they are found."""

    BINDINGS = bindings("diagnosis")
    scopes = ("diagnosis", "list", "app")
    DEFAULT_CSS = """
    DiagnosisScreen { background: $background; }
    DiagnosisScreen > Vertical {
        border: round $style-accent; border-title-color: $style-accent;
        border-subtitle-color: $style-muted; height: 1fr;
    }
    """

    def __init__(self, controller: DiagnosisCommands) -> None:
        super().__init__()
        self.controller = controller
        self.progress = DiagnosisProgress()
        self.list = DiagnosisList()
        self._heading = self._status = ""
        self._instead: list[Entry] = []

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.list
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.list.focus()
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def show(
        self,
        title: str,
        progress: DiagnosisProgress,
        *,
        status: str = "",
        instead: tuple[str, ...] = (),
    ) -> None:
        """Shows an iteration; `status`: what is in progress, `instead`: why there is nothing."""
        self._heading, self.progress, self._status = title, progress, status
        self._instead = plain_entries(*instead) if instead else []
        self._draw()

    def home_of(self, scope: str) -> Widget:
        """The widget whose methods the actions of a scope are."""
        return self.list if scope == "list" else self

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._keep_place()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        about = self._about
        if isinstance(about, Suggestion):
            findings = self.progress.known.findings if self.progress.known is not None else ()
            about = next((each for each in findings if each.kind == about.finding), None)
        if about is None and self.progress.known is None:
            return  # the diagnosis is not ready
        if about is None:
            self._show_message("This finding has no examples or steps to show.")
        else:
            self.controller.show_evidence(about)

    def action_take(self) -> None:
        """Selects the suggestion under the cursor, or removes it from the selection."""
        about = self._about
        if not isinstance(about, Suggestion):
            self._show_message("This is a finding. Select a suggestion below it.")
            return
        key, selected = key_of(about), self.progress.selected
        if key in selected:
            selected.remove(key)
        elif problem := clash(self.progress.suggestions, about):
            self._show_message(f"not selected: {problem}")
            return
        else:
            selected.append(key)
        self._draw()

    def action_draft(self) -> None:
        selected = self.progress.suggestions
        if selected:
            self.controller.draft_with(selected)
        else:
            self._show_message(
                "No suggestion is selected. {diagnosis.take} selects the one under the cursor."
            )

    def action_step(self, by: int) -> None:
        self.controller.step(by)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(f"{self._heading}\n\n{text_of(self._entries)}")
        self._show_message("copied: the diagnosis as text")

    def action_back(self) -> None:
        self.dismiss()

    @property
    def _about(self) -> Finding | Suggestion | None:
        entry = self.list.entry
        return entry.about if entry is not None else None

    @property
    def _entries(self) -> list[Entry]:
        ready = ready_entries(self.progress.checklist)
        if self._instead or self.progress.known is None:
            return [*self._instead, *(ready if self.progress.known is not None else ())]
        is_wide = self.size.width >= WIDE
        return [*entries_of(self.progress.known, self.progress.selected, is_wide=is_wide), *ready]

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        self.list.show(self._entries, self.progress.cursor)
        self._keep_place()
        entitle(self.query_one(Vertical), self._heading, self._status or self._selected_words())
        self._show_keys()

    def _show_keys(self) -> None:
        """Shows the keys that apply: without a suggestion there is nothing to select."""
        keymap = getattr(self.app, "keys", {})
        about = [each.about for each in self.list.entries if each.about is not None]
        offers = any(isinstance(each, Suggestion) for each in about)
        pieces = key_pieces(("diagnosis.take",) if offers else (), keymap)
        if about:
            pieces.append(Piece(keys_of(BY_ID["list.open"], keymap)[0], "accent"))
            pieces.append(Piece(" evidence  ", "muted", "focused.open"))
        rest = (*(("diagnosis.draft",) if offers else ()), *FOOTER)
        self.query_one("#keys", Bar).show([*pieces, *key_pieces(rest, keymap)[1:]])

    def _selected_words(self) -> str:
        selected = self.progress.suggestions
        if not selected:
            return ""
        changes = {name: pair[1] for each in selected for name, pair in each.changes.items()}
        changed = [f"{name.partition('.')[2]} {brief(value)}" for name, value in changes.items()]
        return f"{len(selected)} selected: {', '.join(changed) or 'no config change'}"

    def _keep_place(self) -> None:
        if self.list.key is not None:
            self.progress.cursor = self.list.key

    def _show_message(self, text: str) -> None:
        self.notify(flat(text, 400), markup=False)


def fault_lines(fault: TuiLoopError, keymap: dict[str, str]) -> tuple[str, ...]:
    """Returns why there is no diagnosis, and the hint."""
    return tuple(each for each in (f"✗ {fault.message}", in_keys(fault.hint, keymap)) if each)
