"""The loops of a folder as rows; where there are none, what can be done instead."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tui_loop.core.compare.loop_list import LoopEntry
from tui_loop.core.text.figures import loss, percent
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.iteration_lines import SIGNS
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

LONGEST_NAME, LEAST_NAME, LEAST_GOAL = 28, 12, 20

Doing = tuple[str, str]
"""(key, words)"""

_STATES = {
    **SIGNS,
    "finished": ("✓ finished", ""),
    "new": ("○ new", "muted"),
    "closed": ("■ closed", "muted"),
}


class LoopTable(RowList):
    """Rows of loops, or of things to do where there is no loop."""

    def __init__(self) -> None:
        super().__init__(id="loop-table")
        self.doings: Sequence[Doing] = ()
        self.loops: tuple[LoopEntry, ...] | None = None
        self.is_readable = True

    @property
    def is_welcome(self) -> bool:
        """Whether there is no loop to show."""
        return self.loops == () and self.is_readable

    @property
    def count(self) -> int:
        return len(self.doings) if self.is_welcome else len(self.loops or ())

    def key_of(self, index: int) -> Hashable:
        if self.is_welcome or not self.loops or index >= len(self.loops):
            return None
        return self.loops[index].name

    @property
    def current(self) -> LoopEntry | None:
        """The loop under the cursor."""
        if not self.loops or self.cursor >= len(self.loops):
            return None
        return self.loops[self.cursor]

    def show(self, loops: tuple[LoopEntry, ...], *, is_readable: bool = True) -> None:
        """Shows these loops, the cursor on the loop it was on; draws nothing if they are same."""
        if (loops, is_readable) == (self.loops, self.is_readable):
            return
        key = self.key_of(self.cursor)
        if key is None and loops:
            key = max(loops, key=lambda each: each.updated).name
        self.loops, self.is_readable = loops, is_readable
        self.rows_changed(key)

    def empty(self) -> list[str]:
        return ["reading the loops ..." if self.is_readable else "no loops can be shown"]

    def head(self, width: int) -> list[Part] | None:
        if not self.loops:
            return None
        cells = [fit(name, size, right=name == "iterations") for name, size in self._columns(width)]
        return [("  " + "  ".join(cells), "head")]

    def row(self, index: int, width: int) -> list[Part]:
        if self.is_welcome:
            key, words = self.doings[index]
            return [self.pointer(index), (f"{key}  ", "accent"), (words, "")]
        assert self.loops is not None
        loop = self.loops[index]
        parts: list[Part] = [self.pointer(index)]
        for name, size in self._columns(width):
            text, tone = self._cell(loop, name)
            parts += [(fit(flat(text), size, right=name == "iterations"), tone), ("  ", "")]
        return parts

    def _cell(self, loop: LoopEntry, column: str) -> Part:
        if column == "loop":
            return loop.name, "strong"
        if column == "state":
            return _state(loop)
        if column == "iterations":
            return str(loop.iterations), ""
        if column == "best":
            return best_in_words(loop), ""
        if column == "updated":
            return when(loop), "muted"
        return (loop.problem, "bad") if loop.problem else (loop.goal, "muted")

    def _columns(self, width: int) -> list[tuple[str, int]]:
        """The columns that have room, in order, with their widths."""
        names = [width_of(flat(loop.name)) for loop in self.loops or ()]
        name = min(LONGEST_NAME, max([LEAST_NAME, *names]))
        columns = [("loop", name), ("state", 13), ("best", 10), ("iterations", 10)]
        left = width - 2 - sum(size + 2 for _, size in columns)
        if left < 0:
            columns.pop()
            left += 12
        if left >= 18:
            columns.append(("updated", 16))
            left -= 18
        if left >= LEAST_GOAL:
            columns.append(("goal", left))
        return columns


def _state(loop: LoopEntry) -> Part:
    if loop.problem:
        return _STATES["unreadable"]
    if loop.silent_s is not None:
        return "▶ silent", "warn"
    return _STATES.get(loop.state, (loop.state, ""))


def best_in_words(loop: LoopEntry) -> str:
    """The best iteration and what it reached: `4  70%`."""
    if loop.best is None:
        return ""
    figure = percent(loop.metrics.get("score")) or loss(loop.metrics.get("eval_loss"))
    return f"{loop.best}  {figure}"


def when(loop: LoopEntry) -> str:
    """When it was worked on last, in this machine's time."""
    return loop.updated_at.astimezone().strftime("%Y-%m-%d %H:%M") if loop.updated else ""
