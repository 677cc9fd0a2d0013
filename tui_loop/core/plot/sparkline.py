"""A curve of one line of text: the recent course of a metric in a list."""

from __future__ import annotations

from tui_loop.core.plot.series import Series, per_column

PARTS = 4
"""A sparkline shows the newest of so many parts of a run: the first steps would flatten it."""

LEVELS, ASCII_LEVELS = "▁▂▃▄▅▆▇█", "_.-^"


def sparkline(series: Series, width: int, *, ascii_only: bool = False) -> str:
    """Returns the newest PARTS-th of a series in `width` cells.

    A cell shows the middle of its extremes, without any that of the cell before.
    """
    if not series.xs:
        return " " * width
    low, high = series.xs[0], series.xs[-1]
    found = per_column(series.xs, series.values, low, high, PARTS * width)
    middles: list[float | None] = []
    for pair in found:
        before = middles[-1] if middles else None
        middles.append(before if pair is None else pair[0] / 2 + pair[1] / 2)
    recent = middles[-width:]
    if high <= low:  # the only column that has points is in the middle
        recent = [middles[-1]] * width
    known = [value for value in recent if value is not None]
    bottom, half = min(known), max(known) / 2 - min(known) / 2
    levels = ASCII_LEVELS if ascii_only else LEVELS
    top = len(levels) - 1

    def level(value: float) -> int:
        return min(int((top + 1) * (value / 2 - bottom / 2) / half), top) if half > 0 else top // 2

    return "".join(" " if value is None else levels[level(value)] for value in recent)
