"""The preflight: check results above, and below one in full or the tokens of a training row."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import CheckResult, errors_of, warnings_of
from tui_loop.core.preflight.row_checks import TrainedRow
from tui_loop.core.text.figures import counted
from tui_loop.tui.cells import flat
from tui_loop.tui.keys import bindings, in_keys
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.bar import Bar, key_pieces
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import Sheet
from tui_loop.tui.widgets.styled_lines import Span

SIGNS = {
    "error": ("✗ error    ", "bad"),
    "warning": ("! warning  ", "warn"),
    "info": ("· info     ", "muted"),
}
FOOTER = ("list.open", "check.previous", "check.following", "app.back", "app.help")


class CheckStopped(TuiLoopError):
    """The screen was closed, so the check is cancelled."""

    def __init__(self) -> None:
        super().__init__("the check was cancelled")


class CheckResultList(RowList):
    """The check results, most severe first."""

    def __init__(self) -> None:
        super().__init__(id="findings")
        self.results: list[CheckResult] = []
        self.nothing = ""

    @property
    def count(self) -> int:
        return len(self.results)

    def empty(self) -> list[str]:
        return [self.nothing]

    def row(self, index: int, width: int) -> list[Span]:
        result = self.results[index]
        sign, style = SIGNS[result.severity]
        quiet = "muted" if result.severity == "info" else ""
        return [self.pointer(index), (sign, style), (result.message, quiet)]


class CheckScreen(Screen[None]):
    """Shows check results; `step` is called with the number of a training row to show."""

    BINDINGS = bindings("check")
    scopes = ("check", "list", "sheet", "app")
    DEFAULT_CSS = """
    CheckScreen { background: $background; }
    CheckScreen > Vertical { border: round $frame; border-subtitle-color: $style-muted; }
    CheckScreen > Vertical:focus-within {
        border: round $style-accent; border-title-color: $style-accent;
    }
    CheckScreen > Vertical:nocolor:focus-within { border-title-style: bold reverse; }
    CheckScreen > #found { height: 2fr; }
    CheckScreen > #shown { height: 3fr; }
    """

    def __init__(self, title: str, step: Callable[[int], None]) -> None:
        super().__init__()
        self._heading, self._step = title, step
        self._cancelled = threading.Event()
        self._doing = "checking the rows ..."
        self.row: TrainedRow | None = None
        self.list = CheckResultList()
        self.sheet = Sheet()

    def compose(self) -> ComposeResult:
        with Vertical(id="found"):
            yield self.list
        with Vertical(id="shown"):
            yield self.sheet
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.list.focus()
        self.query_one("#keys", Bar).show(key_pieces(FOOTER, getattr(self.app, "keys", {})))
        self._draw()

    def poll(self) -> None:
        """Raises CheckStopped once the screen is closed."""
        if self._cancelled.is_set():
            raise CheckStopped

    def show(self, results: Sequence[CheckResult], doing: str = "") -> None:
        """Shows the results so far; `doing`: the check in progress."""
        self.list.results, self._doing = list(results), doing
        if self.is_mounted:  # otherwise on_mount draws it
            self._draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Shows why there are no more results."""
        if self._cancelled.is_set():  # its panes may be gone already
            return
        entitle(self.query_one("#shown"), "Check failed")
        hint = in_keys(fault.hint, services_of(self).keys)
        self.sheet.show([[("✗ ", "bad"), (fault.message, "")], [("hint: ", "muted"), (hint, "")]])

    def show_row(self, row: TrainedRow) -> None:
        """Shows a training row, token by token."""
        self.row = row
        if self._cancelled.is_set():
            return
        entitle(
            self.query_one("#shown"),
            f"Training row {row.number} of {row.total}",
            f"line {row.line}",
        )
        self.sheet.show(row_lines(row))

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.row = None
        self._show_result()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.row = None
        self._show_result()
        self.sheet.focus()

    def action_step(self, by: int) -> None:
        number = 1 if self.row is None else self.row.number + by
        if self.row is None or 1 <= number <= self.row.total:
            self._step(number)

    def action_back(self) -> None:
        if self.sheet.has_focus:
            self.list.focus()
            return
        self._cancelled.set()
        self.dismiss()

    def _draw(self) -> None:
        results, doing = self.list.results, self._doing
        errors, warnings = len(errors_of(results)), len(warnings_of(results))
        counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        entitle(self.query_one("#found"), self._heading, doing or counts)
        self.list.nothing = doing or "No problem was found."
        self.list.rows_changed()
        if self.row is None:
            self._show_result()

    def _show_result(self) -> None:
        if not self.list.count or self._cancelled.is_set():
            return
        result = self.list.results[self.list.cursor]
        entitle(self.query_one("#shown"), result.kind.replace("_", " "))
        self.sheet.show(result_lines(result, services_of(self).keys))


def result_lines(result: CheckResult, keymap: dict[str, str]) -> list[list[Span]]:
    """Returns a check result in full, with the rows that show it."""
    lines: list[list[Span]] = [[("", ""), (result.message, "")]]
    if result.hint:
        lines.append([("hint: ", "muted"), (in_keys(result.hint, keymap), "")])
    if result.rows:
        lines.append([])
    places = [row.place for row in result.rows]
    width = max(map(len, places), default=0) + 2
    for place, row in zip(places, result.rows, strict=True):
        lines.append([(place.ljust(width), "muted"), (flat(row.text), "")])
    if result.count is not None and result.rows and result.count > len(result.rows):
        lines.append([("Only the first rows are shown.", "muted")])
    return lines


def row_lines(row: TrainedRow) -> list[list[Span]]:
    """Returns a row's tokens, turn by turn; those not trained on are muted and in brackets."""
    head = f"{row.trained} of {counted(len(row.tokens), 'token')} are trained on"
    if row.cut:
        head += f"; {row.cut} are cut at training.max_length"
    lines: list[list[Span]] = [
        [(head, "strong"), ("   [in brackets]: context, not trained on", "muted")],
        [],
    ]
    special = set(row.special)
    for turn in row.turns:
        lines.append([(turn.words, "strong")])
        parts: list[Span] = [("", "")]
        was: bool | None = None
        for place in range(turn.start, turn.end):
            text, trained = row.tokens[place]
            if trained != was:
                parts += [("]", "muted")] if was is False else []
                parts += [("[", "muted")] if trained is False else []
                was = trained
            style = "accent" if place in special else "" if trained else "muted"
            parts.append((text, style))
        parts += [("]", "muted")] if was is False else []
        lines += [parts, []]
    return lines
