"""Lists that draw only what is visible, with a cursor that stays on its item."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from itertools import accumulate

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.strip import Strip

from tui_loop.tui.cells import width_of
from tui_loop.tui.keys import NO_KEYMAP, bindings, with_keys
from tui_loop.tui.widgets.sheet import wrapped
from tui_loop.tui.widgets.styled_lines import Span, StyledLines

SEARCHED_CELLS = 500
"""Cells of a row whose text is searched, enough for every text."""

MATCH_CONTEXT = 2
"""Rows that stay in view above and below a match."""


class RowList(StyledLines, can_focus=True):
    """Rows by number; a subclass has their count and draws one.

    `key_of` identifies a row, so that the cursor stays on it when others are added.
    """

    BINDINGS = bindings("list")
    DEFAULT_CSS = "RowList { height: 1fr; overflow-x: hidden; }"

    cursor = reactive(0, repaint=False)

    class Moved(Message):
        """The cursor is on another row."""

        def __init__(self, rows: RowList, index: int) -> None:
            super().__init__()
            self.rows, self.index = rows, index

        @property
        def control(self) -> RowList:
            return self.rows

    class Opened(Moved):
        """A row was chosen with enter or a second click."""

    @property
    def count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def row(self, index: int, width: int) -> list[Span]:
        """The parts of a row, in `width` cells."""
        raise NotImplementedError

    def head(self, width: int) -> list[Span] | None:
        """A line above the rows that does not scroll, None for none."""
        return None

    def key_of(self, index: int) -> Hashable:
        """Returns what identifies the row."""
        return index

    def index_of(self, key: Hashable) -> int | None:
        """The row with that key; None where there is none."""
        return next((index for index in range(self.count) if self.key_of(index) == key), None)

    def is_selectable(self, index: int) -> bool:
        """Returns whether the cursor can be on the row."""
        return True

    def empty(self) -> list[str]:
        """Returns lines on what will be here and how to get it; an `{id}` becomes a key."""
        return []

    def rows_changed(self, cursor_key: Hashable | None = None) -> None:
        """Redraws after the rows changed; the cursor goes to the row with that key."""
        self._fit_virtual_size()
        found = self.index_of(cursor_key) if cursor_key is not None else None
        self.set_cursor(self.cursor if found is None else found, notify=False)
        self.refresh()

    def set_cursor(self, index: int, *, notify: bool = True, direction: int = 1) -> None:
        """Moves the cursor to the nearest selectable row, and scrolls it into view.

        `notify`: posts Moved if the cursor is on another row.
        """
        found = self._selectable(index, direction)
        old = self.cursor
        self.cursor = found
        self._keep_visible()
        if found != old:
            self._refresh_row(old)
            self._refresh_row(found)
            if notify:
                self.post_message(self.Moved(self, found))

    def keep_around(self, index: int, context: int) -> None:
        """Scrolls so that rows above and below a row are in view, too, where there is room."""
        room = max(1, self.size.height - self._head_lines)
        context = min(context, (room - 1) // 2)
        first, top = round(self.scroll_y), None
        if index - context < first:
            top = max(0, index - context)
        elif index + context >= first + room:
            top = min(self.count - room, index + context - room + 1)
        if top is not None and self.size.height:
            self.scroll_to(y=max(0, top), animate=False, force=True, immediate=True)

    def action_move(self, step: int) -> None:
        self.set_cursor(self.cursor + step, direction=step)

    def action_move_page(self, step: int) -> None:
        page = max(1, self.size.height - self._head_lines - 1)
        self.set_cursor(self.cursor + step * page, direction=step)

    def action_top(self) -> None:
        self.set_cursor(0)

    def action_bottom(self) -> None:
        self.set_cursor(self.count - 1, direction=-1)

    def action_open(self) -> None:
        if self.count:
            self.post_message(self.Opened(self, self.cursor))

    def row_on(self, y: int) -> int | None:
        """The row on a line of the widget, None where there is none."""
        index = y - self._head_lines + round(self.scroll_y)
        return index if y >= self._head_lines and 0 <= index < self.count else None

    def on_click(self, event: events.Click) -> None:
        index = self.row_on(event.y)
        if index is None:
            return
        if index == self.cursor and event.chain > 1:
            self.action_open()
        else:
            self.set_cursor(index)

    def on_resize(self) -> None:
        self._fit_virtual_size()
        self._keep_visible()
        self.refresh()

    def on_focus(self) -> None:
        self._refresh_row(self.cursor)

    def on_blur(self) -> None:
        self._refresh_row(self.cursor)

    def texts(self) -> Iterator[str]:
        """Yields the text of every row to search in, "" for one that cannot be selected."""
        for index in range(self.count):
            row = self.row(index, SEARCHED_CELLS) if self.is_selectable(index) else ()
            yield "".join(text for text, _ in row)

    @property
    def search_place(self) -> int:
        """The row from which a search continues."""
        return self.cursor

    def show_match(self, index: int | None) -> None:
        """Moves the cursor to a row that was found, with some rows around it."""
        if index is not None:
            self.set_cursor(index)
            self.keep_around(index, MATCH_CONTEXT)

    def visible_rows(self) -> range:
        """Numbers of the rows on the screen."""
        first = round(self.scroll_y)
        return range(first, min(self.count, first + max(0, self.size.height - self._head_lines)))

    def render_line(self, y: int) -> Strip:
        width = self.inner_width
        head = self.head(width) if self._head_lines else None
        if head is not None and y == 0:
            return self.styled(head, width)
        if not self.count:
            keys = getattr(self.app, "keys", NO_KEYMAP)
            why = (with_keys(line, keys) for line in self.empty())
            wrapped_lines = [wrapped([(" ", ""), (line, "muted")], width) for line in why]
            lines, at = [each for line in wrapped_lines for each in line], y - self._head_lines
            return self.styled(lines[at] if at < len(lines) else [], width)
        index = y - self._head_lines + round(self.scroll_y)
        if not 0 <= index < self.count:
            return self.styled([], width)
        style = None
        if index == self.cursor and self.is_selectable(index):
            style = self.style_of("cursor" if self.has_focus else "idle")
        return self.styled(self.row(index, width), width, style)

    def pointer(self, index: int) -> Span:
        """The sign of the cursor's row, which is visible without colour."""
        return ("▸ " if index == self.cursor else "  ", "accent")

    @property
    def _head_lines(self) -> int:
        return 0 if self.head(max(1, self.size.width)) is None else 1

    def _fit_virtual_size(self) -> None:
        self.virtual_size = Size(self.size.width, self.count + self._head_lines)

    def _selectable(self, index: int, direction: int) -> int:
        last = max(0, self.count - 1)
        index = min(max(index, 0), last)
        for step in (1 if direction >= 0 else -1, -1 if direction >= 0 else 1):
            at = index
            while 0 <= at <= last:
                if self.count == 0 or self.is_selectable(at):
                    return at
                at += step
        return index

    def _keep_visible(self) -> None:
        if not self.size.height:  # there is no layout yet
            return
        room = max(1, self.size.height - self._head_lines)
        first = round(self.scroll_y)
        if self.cursor < first:
            top = 0 if self._selectable(0, 1) == self.cursor else self.cursor
            self.scroll_to(y=top, animate=False, force=True, immediate=True)
        elif self.cursor >= first + room:
            self.scroll_to(y=self.cursor - room + 1, animate=False, force=True, immediate=True)

    def _refresh_row(self, index: int) -> None:
        y = index - round(self.scroll_y) + self._head_lines
        if 0 <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))


Cell = tuple[Sequence[Span], int]
"""The text of a row in a column, and the column's width."""


def side_by_side(cells: Sequence[Cell]) -> list[list[Span]]:
    """Wraps each cell in its column; returns the lines of the row."""
    columns = [(wrapped(list(parts), max(1, width)), max(1, width)) for parts, width in cells]
    return [
        [part for lines, width in columns for part in _padded(lines, at, width)]
        for at in range(max(len(lines) for lines, _ in columns))
    ]


def _padded(lines: list[list[Span]], at: int, width: int) -> list[Span]:
    parts = lines[at] if at < len(lines) else []
    used = sum(width_of(text) for text, _ in parts)
    return [*parts, (" " * max(0, width - used), "")]


class WrappedList(RowList):
    """Rows by number; a subclass returns the cells of one, which wrap."""

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._tops: list[int] = [0]
        self._laid_out_for: tuple[int, int] = (-1, -1)

    def cells(self, index: int, width: int) -> list[Cell]:
        """The cells of a row, whose widths add up to `width` at most."""
        raise NotImplementedError

    def row(self, index: int, width: int) -> list[Span]:
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
            return self.styled([], width)
        index = self._row_at(at)
        style = None
        if index == self.cursor and self.is_selectable(index):
            style = self.style_of("cursor" if self.has_focus else "idle")
        lines = side_by_side(self.cells(index, width))
        line = at - self._tops[index]
        return self.styled(lines[line] if line < len(lines) else [], width, style)

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
        """The row that has a line; lines are counted from the first row."""
        return max(0, min(bisect_right(self._tops, line) - 1, self.count - 1))

    def _ensure_layout(self) -> None:
        """Counts the lines again where the width or the count has changed."""
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
