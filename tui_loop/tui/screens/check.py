"""What the pre-flight found: findings above, and below what shows one, or a row's tokens."""

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
from tui_loop.tui.actions import bindings
from tui_loop.tui.cells import flat
from tui_loop.tui.hints import in_keys
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
    """Nobody waits for the check any more."""

    def __init__(self) -> None:
        super().__init__("nobody waits for the check")


class FindingList(RowList):
    """The findings, the gravest first."""

    def __init__(self) -> None:
        super().__init__(id="findings")
        self.findings: list[CheckResult] = []
        self.nothing = ""

    @property
    def count(self) -> int:
        return len(self.findings)

    def empty(self) -> list[str]:
        return [self.nothing]

    def row(self, index: int, width: int) -> list[Span]:
        finding = self.findings[index]
        sign, style = SIGNS[finding.severity]
        quiet = "muted" if finding.severity == "info" else ""
        return [self.pointer(index), (sign, style), (finding.message, quiet)]


class CheckScreen(Screen[None]):
    """Reads findings; `step` is called for the number of a training row that is to be shown."""

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
        self._gone = threading.Event()
        self._doing = "checking the rows ..."
        self.row: TrainedRow | None = None
        self.list = FindingList()
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
        """Ends a check that nobody waits for: raises CheckStopped."""
        if self._gone.is_set():
            raise CheckStopped

    def show(self, findings: Sequence[CheckResult], doing: str = "") -> None:
        """Shows what has been found so far, and what is still being done."""
        self.list.findings, self._doing = list(findings), doing
        if self.is_mounted:  # else it is drawn once it is
            self._draw()

    def show_fault(self, fault: TuiLoopError) -> None:
        """Says why there is nothing more."""
        entitle(self.query_one("#shown"), "Not done")
        hint = in_keys(fault.hint, services_of(self).keys)
        self.sheet.show([[("✗ ", "bad"), (fault.message, "")], [("hint: ", "muted"), (hint, "")]])

    def show_row(self, row: TrainedRow) -> None:
        """Shows a training row, token by token."""
        self.row = row
        entitle(
            self.query_one("#shown"),
            f"Training row {row.number} of {row.total}",
            f"line {row.line}",
        )
        self.sheet.show(row_lines(row))

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.row = None
        self._show_finding()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()
        self.row = None
        self._show_finding()
        self.sheet.focus()

    def action_step(self, by: int) -> None:
        number = 1 if self.row is None else self.row.number + by
        if self.row is None or 1 <= number <= self.row.total:
            self._step(number)

    def action_back(self) -> None:
        if self.sheet.has_focus:
            self.list.focus()
            return
        self._gone.set()
        self.dismiss()

    def _draw(self) -> None:
        findings, doing = self.list.findings, self._doing
        errors, warnings = len(errors_of(findings)), len(warnings_of(findings))
        counts = f"{counted(errors, 'error')}, {counted(warnings, 'warning')}"
        entitle(self.query_one("#found"), self._heading, doing or counts)
        self.list.nothing = doing or "nothing was found"
        self.list.rows_changed()
        if self.row is None:
            self._show_finding()

    def _show_finding(self) -> None:
        if not self.list.count:
            return
        finding = self.list.findings[self.list.cursor]
        entitle(self.query_one("#shown"), finding.kind.replace("_", " "))
        self.sheet.show(finding_lines(finding, services_of(self).keys))


def finding_lines(finding: CheckResult, keymap: dict[str, str]) -> list[list[Span]]:
    """A finding in full, with the rows that show it."""
    lines: list[list[Span]] = [[("", ""), (finding.message, "")]]
    if finding.hint:
        lines.append([("hint: ", "muted"), (in_keys(finding.hint, keymap), "")])
    if finding.rows:
        lines.append([])
    places = [row.place for row in finding.rows]
    width = max(map(len, places), default=0) + 2
    for place, row in zip(places, finding.rows, strict=True):
        lines.append([(place.ljust(width), "muted"), (flat(row.text), "")])
    if finding.count is not None and finding.rows and finding.count > len(finding.rows):
        lines.append([("these are the first of them", "muted")])
    return lines


def row_lines(row: TrainedRow) -> list[list[Span]]:
    """A row's tokens, turn by turn: what is not trained on is dim and in brackets."""
    head = f"{row.trained} of {counted(len(row.tokens), 'token')} are trained on"
    if row.cut:
        head += f"; {row.cut} are beyond training.max_length"
    lines: list[list[Span]] = [
        [(head, "strong"), ("   [in brackets]: seen, but not trained on", "muted")],
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
