"""Pane 5: what the selected iteration's run said, following the newest line or standing still."""

from __future__ import annotations

from textual.app import ComposeResult

from tui_loop.core.record.log_lines import LogLine, clock
from tui_loop.core.record.reader import LOG_LINES, RunView
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.tui.actions import bindings
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

LEVELS = ("all", "no steps", "warnings")
TONES = {"error": "bad", "warning": "warn", "step": "", "debug": "muted", "info": ""}


class LogList(RowList):
    """The lines that pass the level and the search; at most LOG_LINES of them."""

    def __init__(self) -> None:
        super().__init__(id="log-list")
        self.view: RunView | None = None
        self.lines: list[LogLine] = []
        self.level = LEVELS[0]
        self.search = ""
        self.is_following = True
        self.unseen = 0
        self.why_empty: list[str] = []

    @property
    def count(self) -> int:
        return len(self.lines)

    def empty(self) -> list[str]:
        return self.why_empty

    def row(self, index: int, width: int) -> list[Part]:
        line = self.lines[index]
        tone = TONES.get(line.level, "")
        sign = {"error": "✗ ", "warning": "! "}.get(line.level, "  ")
        return [
            self.pointer(index),
            (f"{clock(line.t)}  ", "muted"),
            (sign, tone),
            (line.text, tone),
        ]

    def show(self, view: RunView | None) -> bool:
        """Takes what is new; whether anything changed."""
        before, self.view = self.view, view
        if view is before:
            return False
        if view is None or before is None or view.number != before.number:
            self.is_following = True
            self.again()
            return True
        fresh = view.logged - before.logged
        if fresh < 0 or fresh > len(view.log):
            self.again()
            return True
        added = [line for line in view.log[len(view.log) - fresh :] if self._passes(line)]
        if not added:
            return fresh > 0
        self._add(added)
        return True

    def again(self) -> None:
        """Filters everything anew."""
        self.lines = [line for line in (self.view.log if self.view else []) if self._passes(line)]
        self.unseen = 0
        if self.is_following:
            self.follow()
        else:
            self.rows_changed()

    def follow(self) -> None:
        """Goes to the newest line and stays with it."""
        self.is_following, self.unseen = True, 0
        self.cursor = max(0, len(self.lines) - 1)
        self.rows_changed()

    def _add(self, lines: list[LogLine]) -> None:
        self.lines.extend(lines)
        dropped = max(0, len(self.lines) - LOG_LINES)
        if dropped:
            del self.lines[:dropped]
        if self.is_following:
            self.follow()
            return
        self.unseen += len(lines)
        if dropped:
            self.cursor = max(0, self.cursor - dropped)
            self.scroll_to(y=max(0, self.scroll_y - dropped), animate=False, immediate=True)
            self.rows_changed()
        else:
            self._fit_virtual_size()

    def _passes(self, line: LogLine) -> bool:
        if self.level == "warnings" and line.level not in ("warning", "error"):
            return False
        if self.level == "no steps" and line.level == "step":
            return False
        return not self.search or self.search.casefold() in line.text.casefold()


class LogPane(Pane):
    """The lines and a field to search with."""

    BINDINGS = bindings("log")
    scope = "log"

    def __init__(self) -> None:
        super().__init__(id="log")
        self.list = LogList()
        self.field = Field(id="log-search")

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.field

    def on_mount(self) -> None:
        self.entitle("5 Log")

    @property
    def main(self) -> RowList:
        return self.list

    def show(self, snapshot: LoopSnapshot) -> None:
        """Shows the selected run's lines."""
        state = snapshot.selected.state if snapshot.selected else ""
        self.list.why_empty = {
            "": ["what a run says comes here: r runs the draft"],
            "queued": ["it has not begun yet"],
        }.get(state, ["no line passes" if self.list.search else "it has said nothing"])
        if self.list.show(snapshot.selected):
            self._entitle()

    def action_next_level(self) -> None:
        self.list.level = LEVELS[(LEVELS.index(self.list.level) + 1) % len(LEVELS)]
        self._again()

    def action_search(self) -> None:
        self.field.open(
            self.list.search,
            "only lines that have this",
            accept=lambda _: True,
            changed=self._search,
        )

    def action_follow(self) -> None:
        self.list.follow()
        self._entitle()

    def leave_search(self) -> bool:
        """Ends the search; whether there was one."""
        was = self.field.is_open or bool(self.list.search)
        self.field.close()
        if self.list.search:
            self._search("")
        return was

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.list.is_following = self.list.cursor >= self.list.count - 1
        if self.list.is_following:
            self.list.unseen = 0
        self._entitle()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()

    def _search(self, text: str) -> None:
        self.list.search = text
        self._again()

    def _again(self) -> None:
        self.list.again()
        self._entitle()

    def _entitle(self) -> None:
        table, view = self.list, self.list.view
        title = "5 Log" if view is None else f"5 Log of {view.number}"
        parts = ["following" if table.is_following else f"standing, {table.unseen} new: F follows"]
        if table.level != "all":
            parts.append(table.level)
        if view is not None and view.run.warnings:
            parts.append(f"warn {view.run.warnings}")
        if view is not None and view.bad_lines:
            parts.append(f"{view.bad_lines} lines unreadable")
        if view is not None and view.run.unknown:
            parts.append(f"{view.run.unknown} events of a later version left out")
        if table.search:
            parts.append(f"/{table.search}")
        self.entitle(title, " · ".join(parts) if view is not None else "")
