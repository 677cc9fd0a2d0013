"""The legend of a chart: entries in lines of their own above the curves."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich.cells import cell_len

from tui_loop.tui.chart.canvas import Canvas, Cell

GAP = 2
"""Cells between two entries."""

SHARE = 5
"""A chart of so many rows has a line of legend at most, one of twice as many has two."""


class Entry(msgspec.Struct, frozen=True):
    """An entry of a legend: texts with their roles, which are shown as a whole or not at all.

    `room`: the cells that it takes when there is a cursor, about.
    """

    parts: Sequence[Cell]
    room: int

    @property
    def width(self) -> int:
        return sum(cell_len(text) for text, _ in self.parts)

    def in_ascii(self) -> Entry:
        """The entry without any other sign."""
        parts = [(text.encode("ascii", "replace").decode(), role) for text, role in self.parts]
        return Entry(parts, self.room)


def legend_lines(legend: Sequence[Entry], note: str, width: int, rows: int) -> int:
    """How many lines a chart of `rows` rows has for its legend.

    As many with a cursor as without, so nothing moves.
    """
    rooms = [each.room for each in legend] + [len(note)] * bool(note)
    return min(len(_packed(rooms, width - 1)), max(1, rows // SHARE))


def draw_legend(canvas: Canvas, legend: Sequence[Entry], note: str, lines: int) -> None:
    """Writes as many entries as have room in `lines` lines, how many have none, and `note`."""
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
