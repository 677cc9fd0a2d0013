"""Pane 2: a config as one list with a single editor; only a draft can be edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.message import Message

from tui_loop.core.config.fields import as_setting, field, from_setting, next_choice
from tui_loop.core.config.tables import Tables
from tui_loop.core.examples.completion import Completion
from tui_loop.core.patterns.all_patterns import NO_HINT, NO_HINTS, Hint, Hints, hints_for
from tui_loop.core.patterns.pattern import Pattern
from tui_loop.core.record.structs import Iteration
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.cells import width_of
from tui_loop.tui.keys import bindings
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.field_list import WHY, WHY_SHOWN, FieldList, Shown, by_field
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

HELP, MORE, ROOMY = 4, 2, 14
"""Rows of the help with the rule over it; more in a pane of so many rows."""

BATCH_SIZE = "training.per_device_train_batch_size"
ACCUMULATION = "training.gradient_accumulation_steps"


FieldCompletions = Callable[[str, str], Sequence[Completion]]


def _no_completions(name: str, typed: str) -> Sequence[Completion]:
    return ()


class ConfigPane(Pane):
    """The list, help on the field under the cursor, and the one editor."""

    BINDINGS = bindings("config")
    scope = "config"
    DEFAULT_CSS = """
    ConfigPane {
        & > #field-help { height: 4; padding: 0; border-top: solid $frame; }
    }
    """

    class Edited(Message):
        """The draft was changed by the user."""

        def __init__(self, draft: Draft) -> None:
            super().__init__()
            self.draft = draft

    class Refused(Message):
        """An edit was refused; `text` is the reason."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class ResetWanted(Message):
        """A request to reset all fields, which the user has to confirm."""

    def __init__(self, completions: FieldCompletions = _no_completions) -> None:
        """`completions`: the ways to complete a text that is typed as the value of a field."""
        super().__init__(id="config")
        self._completions = completions
        self.list = FieldList(self.hint_of)
        self.help = Sheet(id="field-help", is_note=True)
        self.editor = Field(id="field-editor")
        self._patterns: Sequence[Pattern] = ()
        self._hints: tuple[object, Hints] = (None, NO_HINTS)

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.help
        yield self.editor

    def on_mount(self) -> None:
        self.entitle("2 Config")

    def on_resize(self, event: events.Resize) -> None:
        """Makes the help higher in a high pane, for a pattern of two lines above the limits."""
        self.help.styles.height = HELP + MORE * (event.size.height >= ROOMY)

    @property
    def main(self) -> RowList:
        return self.list

    @property
    def is_editing(self) -> bool:
        """Whether the editor is open."""
        return self.editor.is_open

    def show(
        self, snapshot: LoopSnapshot, iteration: Iteration | None, draft: Draft | None
    ) -> None:
        """Shows the iteration's config, or the draft where there is no iteration."""
        if iteration is None:
            number = max((each.number for each in snapshot.iterations), default=0) + 1
            origin = f"from {draft.parent}" if draft and draft.parent else "from the defaults"
            shown = (
                Shown(f"2 Config of iteration {number}, {origin}", draft, True) if draft else None
            )
            why = snapshot.draft_problem or snapshot.problem
        else:
            shown, why = _recorded(iteration), "The config cannot be read."
        if why and shown is None:
            self.list.why_empty = [f"✗ {why}"]
        same = self.list.shown == shown and shown is not None
        if not same:
            self._take(shown)

    def fold(self, is_folded: bool) -> None:
        """Shows the changes alone, or all fields unless the user hid them."""
        if self.list.is_folded != is_folded:
            self.list.is_folded = is_folded
            self.help.display = not is_folded
            self.list.list_again(self.list.key_of(self.list.cursor))

    def learn(self, patterns: Sequence[Pattern]) -> None:
        """Takes the patterns over all loops, which are shown beside the fields of a draft."""
        if patterns is not self._patterns:
            self._patterns, self._hints = patterns, (None, NO_HINTS)
            if self.is_attached:
                self.list.refresh()
                self._refresh_help()

    def go_to_changed(self) -> None:
        """Puts the cursor on the first field that differs from the parent's."""
        shown = self.list.shown
        changed = shown.draft.changed if shown is not None else {}
        first = next((key for key in self.list.keys if key in changed), None)
        if first is not None:
            self.list.rows_changed(first)
            self._show_help()

    def hint_of(self, name: str, value: Any) -> Hint:
        """Returns the hint from the patterns on a draft's field at a value."""
        shown = self.list.shown
        if shown is None or not shown.is_draft or not self._patterns:
            return NO_HINT
        base, is_lora = shown.draft.value("model.id"), shown.draft.value("lora.enabled")
        key = base, is_lora
        if self._hints[0] != key:
            self._hints = key, hints_for(self._patterns, str(base), is_lora=bool(is_lora))
        return self._hints[1].of(name, value, shown.draft.was(name))

    def action_next_choice(self) -> None:
        name = self._field_under_cursor()
        draft = self._editable()
        if draft is None or name is None or name == WHY:
            return
        known = field(name)
        if known.kind not in ("switch", "choice"):
            self._begin_edit()
            return
        self._edit(draft.with_value(name, next_choice(known, draft.value(name))))

    def action_reset_field(self) -> None:
        name, draft = self._field_under_cursor(), self._editable()
        if draft is not None and name not in (None, WHY) and name is not None:
            self._edit(draft.with_value(name, draft.was(name)))

    def action_reset_all(self) -> None:
        if self._editable() is not None:
            self.post_message(self.ResetWanted())

    def action_only_changed(self) -> None:
        table = self.list
        table.only_changed = not table.only_changed
        table.list_again(table.key_of(table.cursor))
        self._show_help()

    def action_edit_why(self) -> None:
        if self._editable() is not None:
            self.list.rows_changed(WHY)
            self._begin_edit()

    def action_next_problem(self) -> None:
        table = self.list
        later = [*range(table.cursor + 1, table.count), *range(table.cursor + 1)]
        for index in later:
            if table.keys[index] in table.problems:
                table.set_cursor(index)
                return
        self.post_message(self.Refused("This config has no problems."))

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        if self._editable() is not None:
            self._begin_edit()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self._show_help()

    def on_field_closed(self, event: Field.Closed) -> None:
        event.stop()
        self._show_help()

    def _take(self, shown: Shown | None) -> None:
        table = self.list
        was_draft = table.shown.is_draft if table.shown else None
        key = table.key_of(table.cursor)
        table.shown = shown
        table.problems = by_field(shown.draft.problems) if shown and shown.is_draft else {}
        if self.is_editing and (shown is None or shown.is_draft != was_draft):
            self.editor.close()
        table.list_again(key)
        self._entitle()
        self._show_help()

    def _edit(self, draft: Draft) -> None:
        assert self.list.shown is not None
        self._take(msgspec.structs.replace(self.list.shown, draft=draft))
        self.post_message(self.Edited(draft))

    def _editable(self, *, quiet: bool = False) -> Draft | None:
        shown = self.list.shown
        if shown is None or shown.is_draft:
            return shown.draft if shown else None
        if not quiet:
            self.post_message(
                self.Refused(
                    "This config has run and is read-only. {loop.next} drafts the next iteration "
                    "from it."
                )
            )
        return None

    def _field_under_cursor(self) -> str | None:
        key = self.list.key_of(self.list.cursor)
        return key if isinstance(key, str) and (key == WHY or "." in key) else None

    def _begin_edit(self) -> None:
        """Opens the editor on the field under the cursor."""
        name, shown = self._field_under_cursor(), self.list.shown
        if shown is None or name is None:
            return
        value = shown.draft.why if name == WHY else as_setting(shown.draft.value(name))
        hint = "why this change?" if name == WHY else field(name).limits
        self.editor.open(
            value,
            hint,
            accept=self._accept,
            changed=self._check,
            complete=partial(self._completions, name),
        )
        self._show_help()

    def _check(self, text: str) -> None:
        self._show_help(self._problem_of(text), text)

    def _refresh_help(self) -> None:
        """Shows the help again, on the typed value while the editor is open."""
        if self.is_editing and self._field_under_cursor() is not None:
            self._check(self.editor.value)
        else:
            self._show_help()

    def _accept(self, text: str) -> bool:
        """Takes the value of the field under the cursor, or shows why it is refused."""
        name, draft = self._field_under_cursor(), self._editable(quiet=True)
        problem = self._problem_of(text)
        if problem or draft is None or name is None:
            self._show_help(problem)
            return False
        if name == WHY:
            self._edit(draft.with_why(text.strip()))
        else:
            self._edit(draft.with_value(name, from_setting(name, text)))
        return True

    def _problem_of(self, text: str) -> str:
        """What is wrong with `text` as the value of the field under the cursor."""
        name, shown = self._field_under_cursor(), self.list.shown
        if shown is None or name in (None, WHY) or name is None:
            return ""
        candidate = shown.draft.with_value(name, from_setting(name, text))
        return by_field(candidate.problems).get(name, "")

    def _entitle(self) -> None:
        shown = self.list.shown
        if shown is None:
            self.entitle("2 Config")
            return
        changed, problems = len(shown.draft.changed), len(self.list.problems)
        parts = [f"{changed} changed" if changed else "", f"! {problems}" if problems else ""]
        if not shown.is_draft:
            parts.append("read-only")
        self.entitle(shown.title, " · ".join(part for part in parts if part))

    def _show_help(self, problem: str = "", typed: str | None = None) -> None:
        """Shows help on the field under the cursor: its problem, limits, and a hint.

        `typed`: the text in the editor, None while it is closed.
        """
        name, shown = self._field_under_cursor(), self.list.shown
        if shown is None or name is None:
            self.help.show([])
            return
        if name == WHY:
            why = shown.draft.why
            text = (
                why
                if width_of(why) > WHY_SHOWN
                else "the reason for the change, saved in the record"
            )
            lines: list[list[Span]] = [[(" why: ", "strong"), (text, "")]]
        else:
            known = field(name)
            fault = problem or self.list.problems.get(name, "")
            origin = f"parent has {brief(shown.draft.was(name))}"
            default = f"default {brief(known.default)}"
            lines = [
                [(f" {known.label}: ", "strong"), (known.help, "")],
                [(" ", ""), (" · ".join([known.limits or "any", default, origin]), "muted")],
            ]
            if fault:
                lines.insert(0, [(" ! ", "bad"), (fault, "bad")])
            elif derived := _derived(name, shown.draft):
                lines.append([(" ", ""), (derived, "muted")])
            value = shown.draft.value(name) if typed is None else from_setting(name, typed)
            if not fault and (hint := self.hint_of(name, value)).text:
                lines.insert(0 if hint.is_warning else 2, _hint_line(hint))
        self.help.show(lines)


def _recorded(iteration: Iteration) -> Shown | None:
    """The config of an iteration, beside its parent's, which is derived from the changes."""
    if iteration.config is None:
        return None
    tables: Tables = iteration.config
    before = {group: dict(table) for group, table in tables.items()}
    for name, pair in iteration.changes.items():
        group, _, label = name.partition(".")
        if isinstance(pair, (list, tuple)) and len(pair) == 2 and group in before:
            before[group][label] = pair[0]
    draft = Draft(iteration.parent, iteration.decision, tables, before)
    origin = "" if iteration.parent is None else f", from {iteration.parent}"
    return Shown(f"2 Config of iteration {iteration.number}{origin}", draft, False)


def _hint_line(hint: Hint) -> list[Span]:
    style = "warn" if hint.is_warning else "muted"
    return [(" ◐ " if hint.is_warning else " ", style), (hint.text, style)]


def _derived(name: str, draft: Draft) -> str:
    """Returns what follows from the value of a field together with others."""
    training = draft.tables.get("training", {})
    batch = training.get("per_device_train_batch_size")
    accumulation = training.get("gradient_accumulation_steps")
    if name in (BATCH_SIZE, ACCUMULATION):
        known = isinstance(batch, int) and isinstance(accumulation, int)
        return f"effective batch {(batch or 1) * (accumulation or 1)}" if known else ""
    lora = draft.tables.get("lora", {})
    alpha, rank = lora.get("lora_alpha"), lora.get("r")
    is_scaled = name in ("lora.r", "lora.lora_alpha")
    if is_scaled and isinstance(rank, int) and rank > 0 and isinstance(alpha, (int, float)):
        return f"scale {alpha / (rank**0.5 if lora.get('use_rslora') else rank):.3g}"
    if name == "training.num_train_epochs" and training.get("max_steps"):
        return f"max_steps is set to {training['max_steps']} and overrides this field"
    return ""
