"""Pane 5: the log of the selected run, which follows the newest line or stays at a line."""

from __future__ import annotations

import msgspec
from textual.app import ComposeResult

from tui_loop.core.record.log_lines import LogLine, clock
from tui_loop.core.record.reader import LOG_LINES, RunView
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.core.text.figures import counted
from tui_loop.tui.actions import BY_ID
from tui_loop.tui.keys import bindings, keys_of
from tui_loop.tui.services import services_of
from tui_loop.tui.widgets.pane import SearchablePane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.search import TextSearch
from tui_loop.tui.widgets.styled_lines import Span

LEVELS = ("all", "no steps", "warnings")
STYLES = {"error": "bad", "warning": "warn", "step": "", "debug": "muted", "info": ""}


class LogChoice(msgspec.Struct, frozen=True):
    """The user's choices for the log of one attempt: the level and the searched text."""

    level: str = LEVELS[0]
    search: str = ""


class LogList(RowList):
    """The lines that pass the level; at most LOG_LINES of them."""

    def __init__(self, search: TextSearch) -> None:
        super().__init__(id="log-list")
        self.view: RunView | None = None
        self.lines: list[LogLine] = []
        self.level = LEVELS[0]
        self.search = search
        self.is_following = True
        self.unseen = 0
        self.why_empty: list[str] = []

    @property
    def count(self) -> int:
        return len(self.lines)

    def empty(self) -> list[str]:
        return self.why_empty

    def row(self, index: int, width: int) -> list[Span]:
        line = self.lines[index]
        style = STYLES.get(line.level, "")
        sign = {"error": "✗ ", "warning": "! "}.get(line.level, "  ")
        return [
            self.pointer(index),
            (f"{clock(line.t)}  ", "muted"),
            (sign, style),
            *self.search.marked(line.text, style),
        ]

    def show(self, view: RunView | None) -> bool:
        """Takes the new lines; returns whether anything changed."""
        before, self.view = self.view, view
        if view is before:
            return False
        if view is None or before is None or view.number != before.number:
            self.is_following = True
            self.list_all()
            return True
        fresh = view.logged - before.logged
        if fresh < 0 or fresh > len(view.log):
            self.list_all()
            return True
        added = [line for line in view.log[len(view.log) - fresh :] if self._passes(line)]
        if not added:
            return fresh > 0
        self._add(added)
        return True

    def list_all(self) -> None:
        """Lists all lines that pass the level."""
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

    def action_bottom(self) -> None:
        """Goes to the newest line, and posts Moved even if the cursor is there already."""
        super().action_bottom()
        self.post_message(self.Moved(self, self.cursor))

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
        if self.level == "warnings":
            return line.level in ("warning", "error")
        return self.level == "all" or line.level != "step"


class LogPane(SearchablePane):
    """The lines and a field to search with."""

    BINDINGS = bindings("log")
    scope = "log"
    searches_upwards = True

    def __init__(self) -> None:
        super().__init__(id="log")
        self.list = LogList(self.search)
        self._state = ""
        self._attempt: tuple[int, int] | None = None
        self._chosen: dict[tuple[int, int], LogChoice] = {}

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
        self._state = snapshot.selected.state if snapshot.selected else ""
        self._restore_choice(snapshot.selected)
        if self.list.show(snapshot.selected):
            self.refresh_matches()
            self.show_titles()
        self._show_why_empty()

    def _show_why_empty(self) -> None:
        """Shows what will be here, or why there is no line."""
        is_filtered = self.list.level != LEVELS[0] and bool(self.list.view and self.list.view.log)
        why = {
            "": "The log of a run appears here. {run.start} runs the draft.",
            "queued": "The run has not started yet.",
        }.get(
            self._state,
            "No line has this level. {log.level} shows more." if is_filtered else "No line yet.",
        )
        if self.list.why_empty != [why]:
            self.list.why_empty = [why]
            self.list.refresh()

    def find_matches(self) -> None:
        self.search.find_in(line.text for line in self.list.lines)

    def show_titles(self) -> None:
        table, view = self.list, self.list.view
        title = "5 Log" if view is None else f"5 Log of iteration {view.number}"
        parts = ["following" if table.is_following else self._paused_words()]
        if self.search:
            parts.append(self.search.words(table.cursor))
        if table.level != "all":
            parts.append(table.level)
        if view is not None and view.run.warnings:
            parts.append(f"warn {view.run.warnings}")
        if view is not None and view.bad_lines:
            parts.append(f"{view.bad_lines} lines unreadable")
        if view is not None and view.run.unknown:
            parts.append(f"skipped {view.run.unknown} events of a newer version")
        self.entitle(title, " · ".join(parts) if view is not None else "")

    def action_next_level(self) -> None:
        self.list.level = LEVELS[(LEVELS.index(self.list.level) + 1) % len(LEVELS)]
        self.list.list_all()
        self.refresh_matches()
        self.show_titles()
        self._show_why_empty()

    def action_follow(self) -> None:
        self.list.follow()
        self.show_titles()

    def leave_search(self) -> bool:
        """Ends the search; returns whether there was one."""
        was_open = self.field.is_open
        self.field.close()
        return self.end_search() or was_open

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        event.stop()
        self.list.is_following = self.list.cursor >= self.list.count - 1
        if self.list.is_following:
            self.list.unseen = 0
        self.show_titles()

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        event.stop()

    def _paused_words(self) -> str:
        keys = keys_of(BY_ID["log.follow"], services_of(self).keys)
        follows = f"{keys[0]} follows" if keys else "not following"
        unseen = self.list.unseen
        return f"+{counted(unseen, 'line')}, {follows}" if unseen else follows

    def _restore_choice(self, view: RunView | None) -> None:
        """Restores level and search of this attempt of the run; a new attempt shows all lines."""
        attempt = None if view is None else (view.number, view.run.attempt)
        if attempt == self._attempt:
            return
        if self._attempt is not None:
            self._chosen[self._attempt] = LogChoice(self.list.level, self.search.text)
        self._attempt = attempt
        choice = self._chosen.get(attempt, LogChoice()) if attempt is not None else LogChoice()
        if choice == LogChoice(self.list.level, self.search.text):
            return
        self.list.level = choice.level
        self.search.set_text(choice.search)
        if self.list.view is not None and view is not None:
            self.list.list_all()
