"""The rows of the config form: a heading per group, then its fields, with changes marked."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import msgspec

from tui_loop.core.config.fields import as_setting, field
from tui_loop.core.diagnosis.findings import expected_of
from tui_loop.core.patterns.all_patterns import NO_HINT, Hint
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.draft import Draft, names_of
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.styled_lines import Span

WHY = "why"
"""The key of the first row, the reason for the change."""

PREDICTED = "predicted"
"""The key of the row below it, the prediction for the change; all others are `group.field`."""

WHY_INDENT, WHY_SHOWN = 14, 48
"""Cells before the reason, and cells of it that fit into every form."""


class Shown(msgspec.Struct, frozen=True):
    """The config that the form shows; only a draft can be edited."""

    title: str
    draft: Draft
    is_draft: bool


class FieldList(RowList):
    """The rows: a heading per group, then its fields."""

    def __init__(self, hint_of: Callable[[str, Any], Hint] = lambda *_: NO_HINT) -> None:
        """`hint_of`: returns the hint on a field at a value."""
        super().__init__(id="field-list")
        self._hint_of = hint_of
        self.shown: Shown | None = None
        self.problems: dict[str, str] = {}
        self.only_changed = False
        self.is_folded = False
        """Whether the layout has room for the changes alone."""
        self.keys: list[str] = []
        self.why_empty = ["reading the config ..."]

    @property
    def count(self) -> int:
        return len(self.keys)

    def key_of(self, index: int) -> Hashable:
        return self.keys[index] if 0 <= index < len(self.keys) else None

    def is_selectable(self, index: int) -> bool:
        key = self.keys[index]
        return key == WHY or "." in key or key in self.problems

    def empty(self) -> list[str]:
        return self.why_empty

    def list_again(self, key: Hashable) -> None:
        """Lists the fields again, with the cursor on `key`."""
        self.keys = self._keys()
        self.rows_changed(key)

    def row(self, index: int, width: int) -> list[Span]:
        key = self.keys[index]
        assert self.shown is not None
        if key == WHY:
            why = self.shown.draft.why or "(no reason given)"
            return [self.pointer(index), ("  ", ""), (fit("why", 10), ""), (flat(why), "")]
        if key == PREDICTED:
            return [(" " * WHY_INDENT, ""), (expected_of(self.shown.draft.predicted), "muted")]
        if "." not in key:
            problem = f"  ! {self.problems[key]}" if key in self.problems else ""
            return [self.pointer(index), (key, "strong"), (problem, "bad")]
        draft, known = self.shown.draft, field(key)
        value, was = draft.value(key), draft.was(key)
        label_width = min(29, max(12, width - 30))
        room = max(6, width - 4 - label_width)
        note, style = "", "muted"
        if key in self.problems:
            sign, note, style = ("! ", "bad"), self.problems[key], "bad"
        elif value != was:
            sign, note, style = ("• ", "changed"), f"was {brief(was)}", "changed"
        else:
            sign = ("  ", "")
        hint = self._hint_of(key, value)
        if hint.is_warning and style != "bad":
            note, style = " · ".join(each for each in (f"◐ {hint.brief}", note) if each), "warn"
        shown = flat(_shown(value), 300)
        value_width = min(max(14, len(shown) + 1), room - min(len(note), room // 2))
        return [
            self.pointer(index),
            sign,
            (fit(known.label, label_width - 1) + " ", ""),
            (
                fit(shown, value_width),
                "strong" if value != was else _value_style(known.default, value),
            ),
            (f" {flat(note)}" if note else "", style),
        ]

    def _keys(self) -> list[str]:
        if self.shown is None:
            return []
        draft = self.shown.draft
        changed = draft.changed
        keys, group = [WHY], ""
        if expected_of(draft.predicted):
            keys.append(PREDICTED)
        for name in names_of(draft.before, draft.tables):
            if (
                (self.only_changed or self.is_folded)
                and name not in changed
                and name not in self.problems
            ):
                continue
            if (owner := name.partition(".")[0]) != group:
                group = owner
                keys.append(group)
            keys.append(name)
        return keys + [key for key in self.problems if key not in keys]


def by_field(problems: list[str]) -> dict[str, str]:
    """Problems by the field that they name."""
    found: dict[str, str] = {}
    for problem in problems:
        name, _, text = problem.partition(": ")
        found.setdefault(name, text)
    return found


def _shown(value: Any) -> str:
    return brief(value) if isinstance(value, (float, bool)) or value is None else as_setting(value)


def _value_style(default: Any, value: Any) -> str:
    return "muted" if value is None or value == default else ""
