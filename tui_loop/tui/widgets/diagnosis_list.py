"""A list of entries of several lines: the cursor goes from entry to entry and marks all of one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from textual import events
from textual.strip import Strip

from tui_loop.tui.diagnosis_lines import Entry, Key, Row, laid_out
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part


class DiagnosisList(RowList):
    """Findings and suggestions, wrapped to the width."""

    def __init__(self) -> None:
        super().__init__(id="diagnosis-list")
        self.entries: list[Entry] = []
        self._rows: list[Row] = []

    def show(self, entries: Sequence[Entry], at: Key | None = None) -> None:
        """Replaces the entries; the cursor goes to the one with that key, else to the first.

        Draws nothing if they are the same.
        """
        if list(entries) == self.entries:
            return
        self.entries = list(entries)
        self._lay_out(at)

    @property
    def key(self) -> Key | None:
        """The key of the entry under the cursor."""
        entry = self.entry
        return entry.key if entry is not None else None

    @property
    def entry(self) -> Entry | None:
        """The entry under the cursor; None where there is none for it to be on."""
        if not self._rows:
            return None
        found = self.entries[self._rows[self.cursor].entry]
        return found if found.about is not None else None

    @property
    def count(self) -> int:
        return len(self._rows)

    def key_of(self, index: int) -> Hashable:
        row = self._rows[index]
        return self.entries[row.entry].key if row.is_first else None

    def is_selectable(self, index: int) -> bool:
        row = self._rows[index]
        return row.is_first and self.entries[row.entry].about is not None

    def row(self, index: int, width: int) -> list[Part]:
        parts = self._rows[index].parts
        if index != self.cursor or not self.is_selectable(index):
            return parts
        (text, tone), *rest = parts
        return [self.pointer(index), (text[2:], tone), *rest]

    def render_line(self, y: int) -> Strip:
        width, index = self.inner_width, y + round(self.scroll_y)
        if not 0 <= index < self.count:
            return self.painted([], width)
        style = None
        if self._rows[index].entry == self._rows[self.cursor].entry and self.entry is not None:
            style = self.tone("cursor" if self.has_focus else "idle")
        return self.painted(self.row(index, width), width, style)

    def on_resize(self) -> None:
        self._lay_out(self.key)

    def on_click(self, event: events.Click) -> None:
        """A click on any line of an entry is one on the entry."""
        event.prevent_default()
        index = event.y + round(self.scroll_y)
        if not 0 <= index < self.count:
            return
        first = self._extent(index)[0]
        if first == self.cursor and event.chain > 1:
            self.action_open()
        elif self.is_selectable(first):
            self.set_cursor(first)

    def _lay_out(self, at: Key | None) -> None:
        width = max(1, self.size.width - self.styles.scrollbar_size_vertical)  # a bar may come
        self._rows = laid_out(self.entries, width)
        found = self.index_of(at) if at is not None else None
        self.rows_changed(at)
        if found is None:
            self.set_cursor(0, tell=False)

    def _extent(self, index: int) -> tuple[int, int]:
        """The first and the last line of the entry of a line."""
        entry = self._rows[index].entry
        first = last = index
        while first > 0 and self._rows[first - 1].entry == entry:
            first -= 1
        while last + 1 < len(self._rows) and self._rows[last + 1].entry == entry:
            last += 1
        return first, last

    def _keep_visible(self) -> None:
        """All of the entry is in view where it has room, with what stands before the first one
        and behind the last one."""
        room = self.size.height
        if not room or not self._rows:
            return
        first, last = self._extent(self.cursor)
        start = 0 if self._selectable(0, 1) == self.cursor else first
        end = self.count - 1 if self._selectable(self.count - 1, -1) == self.cursor else last
        top = min(round(self.scroll_y), start)
        if end >= top + room:
            top = min(first, end - room + 1)
        if last >= top + room or first < top:
            top = max(0, min(first, last - room + 1))
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def _refresh_row(self, index: int) -> None:
        self.refresh()
