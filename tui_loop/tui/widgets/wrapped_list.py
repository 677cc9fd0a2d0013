"""A list whose rows have as many lines as their texts need."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from textual.geometry import Region, Size
from textual.strip import Strip

from tui_loop.tui.cells import width_of
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.sheet import wrapped
from tui_loop.tui.widgets.toned import Part

Cell = tuple[Sequence[Part], int]
"""What is in a column of a row, and the column's width."""


def side_by_side(cells: Sequence[Cell]) -> list[list[Part]]:
    """Wraps each cell in its column; returns the lines of the row."""
    columns = [(wrapped(list(parts), max(1, width)), max(1, width)) for parts, width in cells]
    return [
        [part for lines, width in columns for part in _padded(lines, at, width)]
        for at in range(max(len(lines) for lines, _ in columns))
    ]


def _padded(lines: list[list[Part]], at: int, width: int) -> list[Part]:
    parts = lines[at] if at < len(lines) else []
    used = sum(width_of(text) for text, _ in parts)
    return [*parts, (" " * max(0, width - used), "")]


class WrappedList(RowList):
    """Rows by number; a subclass gives the cells of one, which wrap."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._tops: list[int] = [0]
        self._laid_out_for: tuple[int, int] = (-1, -1)

    def cells(self, index: int, width: int) -> list[Cell]:
        """The cells of a row, whose widths add up to `width` at most."""
        raise NotImplementedError

    def row(self, index: int, width: int) -> list[Part]:
        """The row on one line."""
        return [part for parts, _ in self.cells(index, width) for part in parts]

    def visible_rows(self) -> range:
        self._ensure_layout()
        first = self._row_at(round(self.scroll_y))
        room = max(0, self.size.height - self._head_lines)
        return range(first, min(self.count, self._row_at(round(self.scroll_y) + room) + 1))

    def render_line(self, y: int) -> Strip:
        self._ensure_layout()
        at = y - self._head_lines + round(self.scroll_y)
        if y < self._head_lines or not self.count:
            return super().render_line(y)
        width = self.inner_width
        if not 0 <= at < self._tops[-1]:
            return self.painted([], width)
        index = self._row_at(at)
        style = None
        if index == self.cursor and self.is_selectable(index):
            style = self.tone("cursor" if self.has_focus else "idle")
        lines = side_by_side(self.cells(index, width))
        line = at - self._tops[index]
        return self.painted(lines[line] if line < len(lines) else [], width, style)

    def row_on(self, y: int) -> int | None:
        self._ensure_layout()
        at = y - self._head_lines + round(self.scroll_y)
        return self._row_at(at) if y >= self._head_lines and 0 <= at < self._tops[-1] else None

    def _fit_virtual_size(self) -> None:
        self._lay_out()
        self.virtual_size = Size(self.size.width, self._tops[-1] + self._head_lines)

    def _lay_out(self) -> None:
        """Counts the lines of the rows."""
        width, count = self.inner_width, self.count
        heights = (len(side_by_side(self.cells(row, width))) for row in range(count))
        self._tops = list(accumulate(heights, initial=0)) if width > 0 else list(range(count + 1))
        self._laid_out_for = (width, count)

    def _row_at(self, line: int) -> int:
        """The row that has a line, counted from the first row's first."""
        return max(0, min(bisect_right(self._tops, line) - 1, self.count - 1))

    def _ensure_layout(self) -> None:
        """Counts the lines anew where the width has changed: a scroll bar came or went."""
        if self._laid_out_for != (self.inner_width, self.count):
            self._fit_virtual_size()

    def _keep_visible(self) -> None:
        self._ensure_layout()
        if not self.size.height or self.cursor + 1 >= len(self._tops):
            return
        room = max(1, self.size.height - self._head_lines)
        top, bottom = self._tops[self.cursor], self._tops[self.cursor + 1]
        first = round(self.scroll_y)
        if top < first or bottom - top > room:
            at = 0 if self._selectable(0, 1) == self.cursor else top
            self.scroll_to(y=at, animate=False, force=True, immediate=True)
        elif bottom > first + room:
            self.scroll_to(y=bottom - room, animate=False, force=True, immediate=True)

    def _refresh_row(self, index: int) -> None:
        if index + 1 < len(self._tops):
            top, bottom = self._tops[index], self._tops[index + 1]
            y = top - round(self.scroll_y) + self._head_lines
            self.refresh(Region(0, y, self.size.width, bottom - top))
