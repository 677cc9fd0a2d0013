"""The loops of a folder as rows; where there are none, what can be done instead."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

from tui_loop.core.compare.loop_list import LoopEntry
from tui_loop.core.text.figures import loss, percent
from tui_loop.tui.cells import fit, flat, width_of
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.widgets.toned import Part

LONGEST_NAME, LEAST_NAME, LEAST_GOAL = 28, 12, 20

Doing = tuple[str, str]
"""(key, words)"""

_SIGNS = {
    "idle": ("· ", ""),
    "new": ("○ ", "muted"),
    "queued": ("○ ", "muted"),
    "closed": ("■ ", "muted"),
    "running": ("▶ ", "accent"),
    "paused": ("▶ ", "warn"),
    "stopping": ("▶ ", "warn"),
    "unreadable": ("✗ ", "bad"),
}

STATE, LAST_RUN = 13, 11
"""Cells of a loop's state, and of how its last run ended."""


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
        if column == "state":
            return _state(loop)
        if column == "goal" and loop.problem:
            return loop.problem, "bad"
        return {
            "loop": (loop.name, "strong"),
            "last run": (loop.last_run, "muted"),
            "iterations": (str(loop.iterations), ""),
            "best": (best_in_words(loop), ""),
            "updated": (when(loop), "muted"),
            "goal": (loop.goal, "muted"),
        }[column]

    def _columns(self, width: int) -> list[tuple[str, int]]:
        """The columns that have room, in order, with their widths."""
        names = [width_of(flat(loop.name)) for loop in self.loops or ()]
        name = min(LONGEST_NAME, max([LEAST_NAME, *names]))
        columns = [
            ("loop", name),
            ("state", STATE),
            ("last run", LAST_RUN),
            ("best", 10),
            ("iterations", 10),
        ]
        left = width - 2 - sum(size + 2 for _, size in columns)
        for leaves in (("iterations", 10), ("last run", LAST_RUN)):
            if left < 0:
                columns.remove(leaves)
                left += leaves[1] + 2
        if left >= 18:
            columns.append(("updated", 16))
            left -= 18
        if left >= LEAST_GOAL:
            columns.append(("goal", left))
        return columns


def _state(loop: LoopEntry) -> Part:
    """What the loop is doing. How its last run ended has a column of its own."""
    if loop.silent_s is not None:
        return "▶ silent", "warn"
    state = "unreadable" if loop.problem else loop.state
    sign, tone = _SIGNS.get(state, ("", ""))
    return f"{sign}{state if loop.problem else loop.state_words}", tone


def best_in_words(loop: LoopEntry) -> str:
    """The best iteration and what it reached: `4  70%`."""
    if loop.best is None:
        return ""
    figure = percent(loop.metrics.get("score")) or loss(loop.metrics.get("eval_loss"))
    return f"{loop.best}  {figure}"


def when(loop: LoopEntry) -> str:
    """When it was worked on last, in this machine's time."""
    return loop.updated_at.astimezone().strftime("%Y-%m-%d %H:%M") if loop.updated else ""
