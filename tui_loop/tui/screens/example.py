"""One example in full: prompt, reference, output, and the loss of every token."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.codec import number
from tui_loop.core.examples.browsing import Outcome, Shift, outcome_of
from tui_loop.core.figures import loss
from tui_loop.core.records import Example, TokenLosses
from tui_loop.tui.actions import bindings
from tui_loop.tui.cells import fit, flat
from tui_loop.tui.footer import key_pieces
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.failures import OUTCOMES
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.toned import Part

BAR_CELLS = 24
BAR_NATS = 12.0
"""A full bar; about the loss of a token that a model holds for one in 160,000."""

HIGH_LOSS = 2.3
"""From here on a token's probability is below one in ten."""

FOOTER = ("example.previous", "example.following", "example.copy", "sheet.down", "app.back")


class OneExample(msgspec.Struct, frozen=True):
    """An example with what is known of it: its place in the list, and the other iteration's."""

    iteration: int
    place: int
    total: int
    example: Example
    tokens: TokenLosses | None
    shift: Shift
    other_number: int | None
    other: Example | None


class ExampleScreen(Screen[None]):
    """Reads one example; brackets and arrows step through the list behind it."""

    BINDINGS = bindings("example")
    DEFAULT_CSS = """
    ExampleScreen { background: $background; }
    ExampleScreen > Vertical { border: round $tone-accent; height: 1fr; }
    """

    def __init__(self, first: OneExample, step: Callable[[int], None]) -> None:
        super().__init__()
        self.shown = first
        self._step = step
        self.sheet = Sheet(example_lines(first))

    def compose(self) -> ComposeResult:
        with Vertical():
            yield self.sheet
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.sheet.focus()
        self.query_one("#keys", Bar).show(key_pieces(FOOTER, getattr(self.app, "keys", {})))
        self.show(self.shown)

    def show(self, one: OneExample) -> None:
        """Shows another example, or the same with its tokens."""
        same = one.example.id == self.shown.example.id
        self.shown = one
        title = f"Example {one.place + 1} of {one.total}, iteration {one.iteration}"
        entitle(
            self.query_one(Vertical), title, f"{one.example.id} · line {one.example.source_line}"
        )
        self.sheet.show(example_lines(one), keep_place=same)

    def action_step(self, by: int) -> None:
        self._step(by)

    def action_copy(self) -> None:
        example = self.shown.example
        texts = (example.prompt, example.reference, example.output or "")
        self.app.copy_to_clipboard("\n".join(texts))
        self.notify("copied: prompt, reference, output", markup=False)

    def action_back(self) -> None:
        self.dismiss()


def example_lines(one: OneExample) -> list[list[Part]]:
    """The example as lines to read."""
    example = one.example
    outcome = outcome_of(example)
    sign, tone = OUTCOMES[outcome]
    head: list[Part] = [(f"{sign}{outcome}", tone)]
    if one.shift is not Shift.UNKNOWN:
        head.append((f", {one.shift} against {one.other_number}", ""))
    if example.score is not None and example.score not in (0.0, 1.0):
        head.append((f"  score {example.score:.2f}", ""))
    head.append((f"  loss {loss(example.loss)} a token", ""))
    head.append((f" over {example.supervised_tokens} tokens", "muted"))
    if example.truncated:
        head.append(("  ! cut at the limit of new tokens", "warn"))
    said = "(nothing was generated)" if example.output is None else example.output or "(empty)"
    lines: list[list[Part]] = [
        head,
        [],
        [("prompt   ", "muted"), (example.prompt, "")],
        [],
        [("wanted   ", "muted"), (example.reference, "good")],
        [("said     ", "muted"), (said, "bad" if outcome is Outcome.FAILED else "")],
    ]
    if one.other is not None and one.other.output is not None:
        lines.append([(f"{one.other_number} said".ljust(9), "muted"), (one.other.output, "")])
    lines.append([])
    return lines + _token_lines(one.tokens)


def _token_lines(tokens: TokenLosses | None) -> list[list[Part]]:
    if tokens is None:
        return [[("token losses are not on this machine", "muted")]]
    lines: list[list[Part]] = [
        [
            (f"{'token':<22}{'loss':>8}  {'p':>5}  ", "head"),
            ("each bar cell is half a nat", "muted"),
        ]
    ]
    for text, raw in tokens.tokens:
        value = number(raw)
        lines.append(
            [
                (fit(flat(_quoted(text)), 22), ""),
                (fit(loss(raw), 8, right=True), ""),
                (f"  {_probability(value):>5}  ", "muted"),
                (_bar(value), "bad" if value is None or value >= HIGH_LOSS else "train"),
            ]
        )
    return lines


def _quoted(text: str) -> str:
    """A token with its blanks visible."""
    return f"'{text}'"


def _probability(value: float | None) -> str:
    """What the model gave the token, in percent."""
    if value is None or math.isnan(value):
        return ""
    share = 100 * math.exp(-max(value, 0.0))
    return f"{share:.0f}%" if share >= 1 else "<1%"


def _bar(value: float | None) -> str:
    if value is None or not math.isfinite(value):
        return "█" * BAR_CELLS
    return "█" * min(BAR_CELLS, round(max(value, 0.0) / BAR_NATS * BAR_CELLS))
