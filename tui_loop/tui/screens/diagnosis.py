"""What is wrong with an iteration and what to change next; what convinces goes into the draft."""

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
from tui_loop.tui.actions import BY_ID, bindings, keys_of
from tui_loop.tui.cells import flat
from tui_loop.tui.diagnosis_lines import (
    WIDE,
    Entry,
    Key,
    entries_of,
    key_of,
    ready_entries,
    text_of,
    told,
)
from tui_loop.tui.footer import key_pieces
from tui_loop.tui.hints import in_keys
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.diagnosis_list import DiagnosisList
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList

AROUND = ("diagnosis.previous", "diagnosis.following")
FOOTER = (*AROUND, "diagnosis.copy", "app.back", "app.help")


class Looked:
    """How far somebody is with the diagnosis of one iteration: what is known and what was taken.

    `known` None: nothing yet. It outlives the screen.
    """

    def __init__(self) -> None:
        self.known: Diagnosis | None = None
        self.checks: Checklist | None = None
        self.taken: list[Key] = []
        self.cursor: Key | None = None

    @property
    def suggestions(self) -> list[Suggestion]:
        """What was taken, in the order of taking; what is no longer suggested is left out."""
        offered = self.known.suggestions if self.known is not None else ()
        found = {key_of(each): each for each in offered}
        return [found[key] for key in self.taken if key in found]


class DiagnosisDesk(Protocol):
    """Who does what the screen is asked for beyond what it shows."""

    def step_diagnosis(self, by: int) -> None:
        """Goes on to the next iteration, or back."""

    def show_evidence(self, finding: Finding) -> None:
        """Shows where a finding is to be seen."""

    def draft_from_diagnosis(self, taken: list[Suggestion]) -> None:
        """Drafts the next iteration with what was taken."""


class DiagnosisScreen(Screen[None]):
    """One list; what is found out is brought by `show` as it comes."""

    BINDINGS = bindings("diagnosis")
    scopes = ("diagnosis", "list", "app")
    DEFAULT_CSS = """
    DiagnosisScreen { background: $background; }
    DiagnosisScreen > Vertical {
        border: round $tone-accent; border-title-color: $tone-accent;
        border-subtitle-color: $tone-muted; height: 1fr;
    }
    """

    def __init__(self, desk: DiagnosisDesk) -> None:
        super().__init__()
        self.desk = desk
        self.looked = Looked()
        self.list = DiagnosisList()
        self._heading = self._doing = ""
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
        self, title: str, looked: Looked, *, doing: str = "", instead: tuple[str, ...] = ()
    ) -> None:
        """Shows an iteration; `doing`: what is being done, `instead`: why there is nothing."""
        self._heading, self.looked, self._doing = title, looked, doing
        self._instead = told(*instead) if instead else []
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
            findings = self.looked.known.findings if self.looked.known is not None else ()
            about = next((each for each in findings if each.kind == about.finding), None)
        if about is None and self.looked.known is None:
            return  # it is being made
        if about is None:
            self._say("there is no more to see: the sentence has its figures")
        else:
            self.desk.show_evidence(about)

    def action_take(self) -> None:
        """Takes the suggestion under the cursor, or puts it back."""
        about = self._about
        if not isinstance(about, Suggestion):
            self._say("a finding is not taken: the suggestions below it are")
            return
        key, taken = key_of(about), self.looked.taken
        if key in taken:
            taken.remove(key)
        elif problem := clash(self.looked.suggestions, about):
            self._say(f"not taken: {problem}")
            return
        else:
            taken.append(key)
        self._draw()

    def action_draft(self) -> None:
        taken = self.looked.suggestions
        if taken:
            self.desk.draft_from_diagnosis(taken)
        else:
            self._say("nothing is taken yet: space takes the suggestion under the cursor")

    def action_step(self, by: int) -> None:
        self.desk.step_diagnosis(by)

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(f"{self._heading}\n\n{text_of(self._entries)}")
        self._say("copied: the diagnosis as text")

    def action_back(self) -> None:
        self.dismiss()

    @property
    def _about(self) -> Finding | Suggestion | None:
        entry = self.list.entry
        return entry.about if entry is not None else None

    @property
    def _entries(self) -> list[Entry]:
        ready = ready_entries(self.looked.checks)
        if self._instead or self.looked.known is None:
            return [*self._instead, *(ready if self.looked.known is not None else ())]
        is_wide = self.size.width >= WIDE
        return [*entries_of(self.looked.known, self.looked.taken, is_wide=is_wide), *ready]

    def _draw(self) -> None:
        if not self.is_mounted:
            return
        self.list.show(self._entries, self.looked.cursor)
        self._keep_place()
        entitle(self.query_one(Vertical), self._heading, self._doing or self._what_is_taken())
        self._show_keys()

    def _show_keys(self) -> None:
        """What can be done with what is there: where nothing is said, there is nothing to take."""
        keymap = getattr(self.app, "keys", {})
        about = [each.about for each in self.list.entries if each.about is not None]
        offers = any(isinstance(each, Suggestion) for each in about)
        pieces = key_pieces(("diagnosis.take",) if offers else (), keymap)
        if about:
            pieces.append(Piece(keys_of(BY_ID["list.open"], keymap)[0], "accent"))
            pieces.append(Piece(" evidence  ", "muted", "focused.open"))
        rest = (*(("diagnosis.draft",) if offers else ()), *FOOTER)
        self.query_one("#keys", Bar).show([*pieces, *key_pieces(rest, keymap)[1:]])

    def _what_is_taken(self) -> str:
        taken = self.looked.suggestions
        if not taken:
            return ""
        changes = {name: pair[1] for each in taken for name, pair in each.changes.items()}
        told = [f"{name.partition('.')[2]} {brief(value)}" for name, value in changes.items()]
        return f"{len(taken)} taken: {', '.join(told) or 'in words alone'}"

    def _keep_place(self) -> None:
        if self.list.key is not None:
            self.looked.cursor = self.list.key

    def _say(self, text: str) -> None:
        self.notify(flat(text, 400), markup=False)


def fault_told(fault: TuiLoopError, keymap: dict[str, str]) -> tuple[str, ...]:
    """Why there is no diagnosis."""
    return tuple(each for each in (f"✗ {fault.message}", in_keys(fault.hint, keymap)) if each)
