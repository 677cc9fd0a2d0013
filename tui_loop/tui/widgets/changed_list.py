"""Examples of two evaluations as rows: what was wanted, what either said, and why it failed."""

from __future__ import annotations

from collections.abc import Hashable

from tui_loop.core.compare.contrast import NO_PAIRS, Contrast
from tui_loop.core.compare.pairing import Paired
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.cause_kinds import cause_words
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.structs import Example
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.widgets.example_list import FLAG, SHORT_CAUSES
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

ROOMY = 140
"""From this width on, texts and causes have more of it."""

Sides = tuple[Example, Example]
Causes = tuple[tuple[str, ...], tuple[str, ...]]


class ChangedList(RowList):
    """The rows of `shown`; whatever a row has is read when it is drawn."""

    def __init__(self, contrast: Contrast) -> None:
        super().__init__(id="changed-list")
        self.contrast = contrast
        self.shown: Paired = NO_PAIRS
        self.why_empty: list[str] = []

    def show(self, shown: Paired, why_empty: list[str]) -> None:
        """Lists other examples, from the top."""
        self.shown, self.why_empty = shown, why_empty
        self.rows_changed()
        self.set_cursor(0, tell=False)

    @property
    def count(self) -> int:
        return len(self.shown)

    def key_of(self, index: int) -> Hashable:
        return self.shown.new[index] if index < self.count else None

    def empty(self) -> list[str]:
        return self.why_empty

    def at(self, index: int) -> Sides | None:
        """The example before and after; None where there is none, or it cannot be read."""
        if not 0 <= index < self.count:
            return None
        try:
            old = self.contrast.old.table[self.shown.old[index]]
            return old, self.contrast.new.table[self.shown.new[index]]
        except (TuiLoopError, OSError):  # the file has gone; the next comparison tells
            return None

    def causes_at(self, index: int) -> Causes:
        """Why it failed before and after; none where it passed."""
        old, new = self.contrast.old.causes, self.contrast.new.causes
        return old[self.shown.old[index]], new[self.shown.new[index]]

    def head(self, width: int) -> list[Part] | None:
        if not self.count:
            return None
        wanted, said, why, prompt = _widths(width)
        a, b = self.contrast.comparison.a, self.contrast.comparison.b
        cells = ["    ", fit("wanted", wanted), fit(f"{a} said", said), fit(f"{b} said", said)]
        return [("".join([*cells, fit(f"why {a} → {b}", why), fit("prompt", prompt)]), "head")]

    def row(self, index: int, width: int) -> list[Part]:
        sides = self.at(index)
        if sides is None:
            return [self.pointer(index), ("cannot be read any more", "muted")]
        old, new = sides
        wanted, said, why, prompt = _widths(width)
        flag = FLAG if self.contrast.new.marks.get(new.id) else " "
        return [
            self.pointer(index),
            (f"{flag} ", "changed"),
            (_cell(new.reference, wanted), ""),
            (_cell(said_by(old), said), _tone(old)),
            (_cell(said_by(new), said), _tone(new)),
            (_cell(why_words(*self.causes_at(index), is_fixed=bool(new.passed)), why), "muted"),
            (fit(flat(new.prompt, 400), prompt), "muted"),
        ]


def said_by(example: Example) -> str:
    """Returns the answer in the output, or a word where there is none."""
    if example.output is None:
        return "(none)"
    answer = answer_of(example.output)
    return answer if answer.strip() else "(empty)"


def why_words(before: tuple[str, ...], after: tuple[str, ...], *, is_fixed: bool) -> str:
    """`wrong label → ✓`: the first cause of either, once where it is the same."""
    was, now = (_short(each) for each in (before, after))
    if is_fixed:
        return f"{was} → ✓"
    if not before:
        return f"✓ → {now}"
    return was if was == now else f"{was} → {now}"


def _short(causes: tuple[str, ...]) -> str:
    return SHORT_CAUSES.get(causes[0], cause_words(causes[0])) if causes else "?"


def _tone(example: Example) -> str:
    return "good" if example.passed else "bad"


def _cell(text: str, width: int) -> str:
    return fit(flat(text, 400), width - 1) + " "


def _widths(width: int) -> tuple[int, int, int, int]:
    """Cells of what was wanted, of either output, of the causes and of the prompt."""
    wanted, said, why = (18, 26, 28) if width >= ROOMY else (11, 14, 19)
    return wanted, said, why, max(0, width - 4 - wanted - 2 * said - why)
