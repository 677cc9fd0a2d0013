"""Pane 4: the held-out examples of the selected iteration, and the one under the cursor."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec
from textual.app import ComposeResult
from textual.message import Message

from tui_loop.core.codec import number
from tui_loop.core.examples.browsing import (
    Choice,
    Filter,
    Order,
    Outcome,
    Shift,
    chosen,
    outcome_of,
    shifts,
)
from tui_loop.core.figures import loss
from tui_loop.core.observer import Examples, LoopSnapshot
from tui_loop.core.records import Example, TokenLosses
from tui_loop.tui.actions import bindings
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

OUTCOMES = {
    Outcome.FAILED: ("✗ ", "bad"),
    Outcome.PASSED: ("✓ ", "good"),
    Outcome.UNSCORED: ("· ", "muted"),
}
SHIFTS = {Shift.FIXED: ("fixed  ", "good"), Shift.BROKEN: ("broken ", "bad")}


class ExampleList(RowList):
    """The listed examples."""

    def __init__(self) -> None:
        super().__init__(id="example-list")
        self.examples: Examples | None = None
        self.against: Examples | None = None
        self.choice = Choice()
        self.listed: list[int] = []
        self.shifts: list[Shift] = []
        self.has_shares = False
        self.why_empty: list[str] = []

    @property
    def count(self) -> int:
        return len(self.listed)

    def key_of(self, index: int) -> Hashable:
        example = self.at(index)
        return example.id if example else None

    def empty(self) -> list[str]:
        return self.why_empty

    def at(self, index: int) -> Example | None:
        """The example in row `index`."""
        if self.examples is None or not 0 <= index < len(self.listed):
            return None
        return self.examples.rows[self.listed[index]]

    def shift_at(self, index: int) -> Shift:
        """What happened to the example in row `index` against the other iteration."""
        at = self.listed[index]
        return self.shifts[at] if self.shifts else Shift.UNKNOWN

    def head(self, width: int) -> list[Part] | None:
        if not self.listed:
            return None
        pair, prompt = self._widths(width)
        score = fit("score", 7, right=True) if self.has_shares else ""
        texts = ["  ", "  ", fit("change", 7), fit("loss", 7, right=True), score, "  "]
        return [
            ("".join([*texts, fit("wanted → said", pair), "  ", fit("prompt", prompt)]), "head")
        ]

    def row(self, index: int, width: int) -> list[Part]:
        example = self.at(index)
        if example is None:
            return []
        pair, prompt = self._widths(width)
        said = "" if example.output is None else f" → {example.output}"
        return [
            self.pointer(index),
            OUTCOMES[outcome_of(example)],
            SHIFTS.get(self.shift_at(index), (" " * 7, "")),
            (fit(loss(example.loss), 7, right=True), ""),
            (self._score(example), ""),
            ("  ", ""),
            (fit(flat((example.reference + said).strip(), 400), pair), ""),
            ("  ", ""),
            (fit(flat(example.prompt, 400), prompt), "muted"),
        ]

    def _score(self, example: Example) -> str:
        if not self.has_shares:
            return ""
        return fit("" if example.score is None else f"{example.score:.2f}", 7, right=True)

    def _widths(self, width: int) -> tuple[int, int]:
        room = max(10, width - 2 - 2 - 7 - 7 - (7 if self.has_shares else 0) - 2 - 2)
        pair = min(36, max(14, room * 2 // 5))
        return pair, max(0, room - pair)


class FailuresPane(Pane):
    """The list, the example under the cursor in short, and a line to search with."""

    BINDINGS = bindings("failures")
    scope = "failures"
    DEFAULT_CSS = """
    FailuresPane {
        & > #example-note { height: 4; padding: 0; border-top: solid $frame; }
    }
    """

    class TokensWanted(Message):
        """The token losses of an example are to be read."""

        def __init__(self, iteration: int, index: int, example: Example) -> None:
            super().__init__()
            self.iteration, self.index, self.example = iteration, index, example

    class Opened(Message):
        """The example under the cursor is to be read in full."""

    def __init__(self) -> None:
        super().__init__(id="failures")
        self.list = ExampleList()
        self.note = Sheet(id="example-note", is_note=True)
        self.field = Field(id="example-search")
        self.tokens: dict[str, TokenLosses | None] = {}

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.note
        yield self.field

    def on_mount(self) -> None:
        self.entitle("4 Failures")

    @property
    def main(self) -> RowList:
        return self.list

    def show(self, snapshot: LoopSnapshot) -> None:
        """Shows the selected iteration's examples."""
        table = self.list
        if snapshot.examples is not table.examples or snapshot.against is not table.against:
            same_run = (
                table.examples is not None
                and snapshot.examples is not None
                and table.examples.number == snapshot.examples.number
            )
            if not same_run or snapshot.examples is not table.examples:
                self.tokens.clear()
            table.examples, table.against = snapshot.examples, snapshot.against
            rows = table.examples.rows if table.examples else []
            table.has_shares = any(row.score not in (None, 0.0, 1.0) for row in rows)
            table.shifts = shifts(table.against.rows, rows) if table.against else []
            self._list_again(to_top=not same_run)
        self._say_why_empty(snapshot)

    def choose(self, choice: Choice) -> None:
        """Lists by another filter, order or search; the cursor stays on its example."""
        self.list.choice = choice
        self._list_again()

    def show_tokens(self, example: str, tokens: TokenLosses | None) -> None:
        """Takes the token losses that were asked for."""
        self.tokens[example] = tokens
        self.show_note()

    def show_note(self) -> None:
        """The example under the cursor, in three lines."""
        example = self.list.at(self.list.cursor)
        if example is None or self.list.examples is None:
            self.note.show([])
            return
        if example.id not in self.tokens:
            at = self.list.listed[self.list.cursor]
            self.post_message(self.TokensWanted(self.list.examples.number, at, example))
        self.note.show(_short_lines(example, self.tokens.get(example.id)))

    def action_next_filter(self) -> None:
        self.choose(_next(self.list.choice, "filter", list(Filter)))

    def action_next_order(self) -> None:
        self.choose(_next(self.list.choice, "order", list(Order)))

    def action_reverse(self) -> None:
        choice = self.list.choice
        self.choose(msgspec.structs.replace(choice, is_reversed=not choice.is_reversed))

    def action_search(self) -> None:
        self.field.open(
            self.list.choice.search,
            "search prompt, reference, output",
            accept=lambda _: True,
            changed=self._search,
        )

    def leave_search(self) -> bool:
        """Ends the search; whether there was one."""
        was = self.field.is_open or bool(self.list.choice.search)
        self.field.close()
        if self.list.choice.search:
            self._search("")
        return was

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.show_note()
        self._entitle()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.post_message(self.Opened())

    def _search(self, text: str) -> None:
        self.choose(msgspec.structs.replace(self.list.choice, search=text))

    def _list_again(self, *, to_top: bool = False) -> None:
        table = self.list
        key = None if to_top else table.key_of(table.cursor)
        rows = table.examples.rows if table.examples else []
        table.listed = chosen(rows, table.shifts, table.choice)
        if to_top:
            table.set_cursor(0, tell=False)
        table.rows_changed(key)
        self.show_note()
        self._entitle()

    def _entitle(self) -> None:
        table, choice = self.list, self.list.choice
        if table.examples is None or not table.examples.rows:
            self.entitle("4 Failures")
            return
        parts = [f"4 Failures of {table.examples.number}"]
        shown = "all" if choice.filter is Filter.ALL else str(choice.filter)
        parts.append(f"{len(table.listed)} of {len(table.examples.rows)} {shown}")
        parts.append(f"by {choice.order}{', reversed' if choice.is_reversed else ''}")
        if choice.search:
            parts.append(f"/{choice.search}")
        against = f"against {table.against.number}" if table.against else ""
        self.entitle(" · ".join(parts), against)

    def _say_why_empty(self, snapshot: LoopSnapshot) -> None:
        table, choice = self.list, self.list.choice
        if table.examples is None:
            lines = ["nothing has been evaluated yet: r runs the draft"]
        elif table.examples.problem:
            lines = [f"✗ {table.examples.problem}"]
        elif not table.examples.rows:
            state = snapshot.selected.state if snapshot.selected else ""
            lines = {
                "running": ["its examples come when it has been evaluated"],
                "stopping": ["it is stopping"],
                "queued": ["it has not begun yet"],
            }.get(state, ["it ended before it was evaluated"])
        elif choice.search:
            lines = [f"no {choice.filter} example has {choice.search!r}", "esc ends the search"]
        else:
            lines = [f"no example is {choice.filter}: f lists others"]
        if lines != table.why_empty:
            table.why_empty = lines
            if not table.count:
                table.refresh()


def _next(choice: Choice, field: str, values: Sequence[object]) -> Choice:
    at = values.index(getattr(choice, field))
    return msgspec.structs.replace(choice, **{field: values[(at + 1) % len(values)]})


def _short_lines(example: Example, tokens: TokenLosses | None) -> list[list[Part]]:
    said = "(nothing was generated)" if example.output is None else example.output or "(empty)"
    lines: list[list[Part]] = [
        [(" wanted  ", "muted"), (flat(example.reference, 300), "good")],
        [(" said    ", "muted"), (flat(said, 300), "bad" if example.passed is False else "")],
    ]
    if tokens and tokens.tokens:
        text, worst = max(tokens.tokens, key=lambda pair: number(pair[1]) or 0.0)
        lines.append(
            [
                (" worst   ", "muted"),
                (f"{flat(repr(text))[1:-1]!r} {loss(worst)} ", ""),
                (f"of {len(tokens.tokens)} tokens · enter reads it in full", "muted"),
            ]
        )
    return lines
