"""Read-only screens: lines in a frame, the messages of the session, the help."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.tui.actions import ACTIONS, SCOPES
from tui_loop.tui.cells import fit
from tui_loop.tui.keys import keys_of
from tui_loop.tui.messages import Message
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

SEVERITY_STYLES = {"information": "", "warning": "warn", "error": "bad"}


class ReadingScreen(Screen[None]):
    """Shows styled lines in a frame."""

    DEFAULT_CSS = """
    ReadingScreen { background: $background; }
    ReadingScreen > Vertical { border: round $style-accent; height: 1fr; }
    """
    FOOTER = ("sheet.down", "sheet.page_down", "sheet.bottom", "app.search", "app.back", "app.help")

    def __init__(self, title: str, lines: Sequence[Sequence[Span]]) -> None:
        super().__init__()
        self._heading = title
        self.sheet = Sheet(lines)

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            yield self.sheet
        entitle(box, self._heading)
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.sheet.focus()
        self.query_one("#keys", Bar).show(key_pieces(self.FOOTER, getattr(self.app, "keys", {})))

    def action_back(self) -> None:
        self.dismiss()


def message_lines(messages: Sequence[Message]) -> list[list[Span]]:
    """Returns the messages of the session, newest first."""
    if not messages:
        return [[("No message so far.", "muted")]]
    return [
        [
            (time.strftime("%H:%M:%S  ", time.localtime(each.t)), "muted"),
            (each.text, SEVERITY_STYLES[each.severity]),
            (f"  ×{each.count}" if each.count > 1 else "", "muted"),
        ]
        for each in reversed(messages)
    ]


WIDTH, KEYS = 75, 20
"""Cells of a line, which fits a terminal of 80 columns, and of the keys in it."""

SIGNS: tuple[tuple[str, str], ...] = (
    ("better, worse", "a change confirmed by replicates of both configs"),
    ("better? no diff?", "not confirmed: one run per config cannot rule out noise"),
    ("✓ ✗ ≈", "a prediction that was right, wrong, too close to call"),
    ("● ◐ ○", "a finding that is an alarm, a warning, a note"),
    ("+21 ±15", "score difference in points ± half its 95% interval"),
    ("• !", "a field changed from the parent, a field with a problem"),
    ("✓ ✗ ·", "an example that passed, failed, was not scored"),
    ("✗✗|✓", "outcome by iteration; | means the reference changed"),
    ("↑ ↓", "fixed, broken since the parent or the marked iteration"),
    ("⚑", "an example with an annotation"),
    ("+1", "one more cause of the failure than the one shown"),
    ("m", "an iteration marked for comparison and for the chart"),
)


class HelpScreen(ReadingScreen):
    """The keys, grouped by scope, and the signs."""

    def __init__(self, first: tuple[str, ...], keymap: dict[str, str]) -> None:
        super().__init__("Help", help_lines(first, keymap))


def help_lines(first: tuple[str, ...], keymap: dict[str, str]) -> list[list[Span]]:
    """Returns the keys with their descriptions; the scopes in `first` come first."""
    order = [*first, *(scope for scope in SCOPES if scope not in first)]
    lines: list[list[Span]] = []
    for scope in order:
        mine = [action for action in ACTIONS if action.scope == scope]
        if not mine:
            continue
        if lines:
            lines.append([])
        lines.append([(SCOPES[scope], "strong")])
        longest = max(len(action.id) for action in mine)
        for action in mine:
            keys = "  ".join(keys_of(action, keymap))
            keys = keys if len(keys) <= KEYS - 4 else keys.replace("  ", " ")
            lines.append(
                [
                    (fit(f"  {keys}", KEYS), "accent"),
                    (fit(action.description, WIDTH - KEYS - longest), ""),
                    (action.id, "muted"),
                ]
            )
    lines += [[], [("Signs", "strong")]]
    lines += [[(fit(f"  {sign}", KEYS), "accent"), (words, "")] for sign, words in SIGNS]
    lines += [
        [],
        [("To remap keys by id, edit config.toml; `tui-loop keys` describes how.", "muted")],
    ]
    return lines
