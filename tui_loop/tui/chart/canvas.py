"""A grid of cells that is drawn on in layers, and the legend above it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence

import msgspec
from rich.cells import cell_len

Cell = tuple[str, str]
"""What a cell shows and its role; the second cell of a wide character shows an empty string."""

BLANK: Cell = (" ", "muted")
_NOTHING = " \u2800"  # the braille pattern without a dot


class Canvas:
    """`width` x `height` cells; one that was not drawn on is None."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells: list[list[Cell | None]] = [[None] * width for _ in range(height)]

    def put(self, column: int, row: int, sign: str, role: str) -> None:
        self._cells[row][column] = (sign, role)

    def put_if_free(self, column: int, row: int, sign: str, role: str) -> None:
        if self._cells[row][column] is None:
            self._cells[row][column] = (sign, role)

    def lay(self, lines: Iterable[str], left: int, top: int, role: str) -> None:
        """Draws `lines` over the cells; blanks in them change nothing."""
        for row, line in enumerate(lines, top):
            cells = self._cells[row]
            for column, sign in enumerate(line, left):
                if sign not in _NOTHING:
                    cells[column] = (sign, role)

    def write(self, column: int, row: int, text: str, role: str) -> None:
        """Writes `text` with its blanks and wide characters, cut at the edge."""
        cells = self._cells[row]
        for sign in text:
            size = cell_len(sign)
            if column + size > self.width:
                break
            if size:
                cells[column : column + size] = [(sign, role), ("", role)][:size]
                column += size
            elif column and (before := cells[column - 1]) and before[0]:
                cells[column - 1] = (before[0] + sign, before[1])

    def free(self, column: int, row: int, width: int, height: int) -> bool:
        """Whether nothing was drawn in a rectangle, all of which is on the grid."""
        return all(
            cell is None
            for cells in self._cells[row : row + height]
            for cell in cells[column : column + width]
        )

    def rows(self) -> list[list[Cell]]:
        return [[BLANK if cell is None else cell for cell in cells] for cells in self._cells]


def message(text: str, width: int, height: int) -> list[list[Cell]]:
    """`text`, which has passed `one_line`, wrapped in the middle of `width` x `height` cells."""
    grid = Canvas(width, height)
    lines = textwrap.wrap(text, max(1, width - 2))[:height] if width else []
    for row, line in enumerate(lines, (height - len(lines)) // 2):
        grid.write(max(0, (width - cell_len(line)) // 2), row, line, "muted")
    return grid.rows()


GAP = 2
"""Cells between two entries."""

SHARE = 5
"""Rows of a chart for each line of its legend."""


class Entry(msgspec.Struct, frozen=True):
    """An entry of a legend: texts with their roles, which are shown as a whole or not at all.

    `room`: about the cells that it takes while there is a cursor.
    """

    parts: Sequence[Cell]
    room: int

    @property
    def width(self) -> int:
        return sum(cell_len(text) for text, _ in self.parts)

    def in_ascii(self) -> Entry:
        """The entry with `?` for other characters."""
        parts = [(text.encode("ascii", "replace").decode(), role) for text, role in self.parts]
        return Entry(parts, self.room)


def legend_lines(legend: Sequence[Entry], note: str, width: int, rows: int) -> int:
    """How many lines a chart of `rows` rows has for its legend.

    As many with a cursor as without, so nothing moves.
    """
    rooms = [each.room for each in legend] + [len(note)] * bool(note)
    return min(len(_packed(rooms, width - 1)), max(1, rows // SHARE))


def draw_legend(canvas: Canvas, legend: Sequence[Entry], note: str, lines: int) -> None:
    """Writes the entries that fit into `lines` lines, the number of the others, and `note`."""
    width, entries = canvas.width - 1, list(legend)
    end = _text(note)
    while entries and len(_packed([each.width for each in (*entries, *end)], width)) > lines:
        entries.pop()
        end = [*_text(f"+{len(legend) - len(entries)}"), *_text(note)]
    shown = [*entries, *end]
    for row, indexes in enumerate(_packed([each.width for each in shown], width)[:lines]):
        column = 1
        for index in indexes:
            for text, role in shown[index].parts:
                canvas.write(min(column, width), row, text, role)
                column += cell_len(text)
            column += GAP


def _packed(sizes: Sequence[int], width: int) -> list[list[int]]:
    """The indexes of entries by line, where two are GAP apart."""
    lines: list[list[int]] = []
    used = width
    for index, size in enumerate(sizes):
        if used + GAP + size > width:
            lines.append([])
            used = -GAP
        lines[-1].append(index)
        used += GAP + size
    return lines


def _text(text: str) -> list[Entry]:
    return [Entry([(text, "muted")], len(text))] if text else []
