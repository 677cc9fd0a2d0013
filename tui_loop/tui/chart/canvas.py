"""A grid of cells that is drawn on in layers: what each shows and the role it has."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

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
        """Puts the signs of `lines` over what is there; their blanks leave it as it is."""
        for row, line in enumerate(lines, top):
            cells = self._cells[row]
            for column, sign in enumerate(line, left):
                if sign not in _NOTHING:
                    cells[column] = (sign, role)

    def write(self, column: int, row: int, text: str, role: str) -> None:
        """Puts `text`, blanks and wide characters included; what goes beyond the edge is cut."""
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
