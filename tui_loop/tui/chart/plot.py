"""A chart as a grid of characters with roles. The only user of plotext.

plotext draws the frame, the ticks and every line, each in a layer of its own, and the layers are
laid over one another here. It is given places from 0 to 1 only, so no value is too large for it
nor too close to another, and a few points a column, so its cost does not grow with the run.
"""

from __future__ import annotations

import importlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from rich.cells import cell_len

from tui_loop.core.plot.scale import Scale, Tick, step_ticks, value_ticks
from tui_loop.core.plot.series import Series, column_of, per_column
from tui_loop.tui.chart.canvas import Canvas, Cell

Places = list[tuple[float, float]]
"""Points of a layer, from 0 to 1 each way."""

_FRAME_IN_ASCII = str.maketrans("│─┤┬└┴┼", "|-+++++")
_LEAST_WIDTH, _LEAST_HEIGHT = 8, 3  # of a canvas; a smaller one gets the room of the axes too


class Look(msgspec.Struct, frozen=True):
    """The signs of a chart; a cell has `dots` columns of a line's dots."""

    dots: int
    line: str
    raw: str
    overlay: str
    point: str
    overlay_point: str
    bad: str
    cursor: str
    foot: str
    train_key: str
    overlay_key: str


UNICODE = Look(2, "braille", "braille", "braille", "●", "○", "✗", "│", "┴", "──", "╌╌")
ASCII = Look(1, "*", ".", "+", "o", "O", "x", "|", "^", "**", "++")


class ChartSpec(msgspec.Struct, frozen=True):
    """What to draw from step `low` to step `high`.

    The series have finite values only; `bad_steps` are marked at the top edge. Without smoothed
    values the raw ones are the line. `overlay_label` names the overlaid run in the legend.
    """

    low: int
    high: int
    train: Series = msgspec.field(default_factory=Series)
    smooth: Series = msgspec.field(default_factory=Series)
    evaluated: Series = msgspec.field(default_factory=Series)
    overlay: Series = msgspec.field(default_factory=Series)
    overlay_evaluated: Series = msgspec.field(default_factory=Series)
    overlay_label: str = ""
    bad_steps: Sequence[int] = ()
    log: bool = False
    cursor: int | None = None
    ascii: bool = False


class _Area(msgspec.Struct, frozen=True):
    """Where the curves are, in cells of the chart."""

    left: int
    top: int
    columns: int
    rows: int


class Plot(msgspec.Struct, frozen=True):
    """A drawn chart: `rows` of cells, all of one width.

    The canvas is `columns` wide from column `left` on.
    """

    rows: list[list[Cell]]
    left: int
    columns: int


def warm_up() -> None:
    """Imports plotext, which takes longer than the first frame may; for a thread of its own."""
    importlib.import_module("plotext")


def plot(spec: ChartSpec, width: int, height: int) -> Plot:
    """The chart of `spec` in `width` x `height` cells; with nothing to draw, an empty frame."""
    if width < 1 or height < 1:
        return Plot([], 0, 0)
    look = ASCII if spec.ascii else UNICODE
    every = (spec.train, spec.smooth, spec.evaluated, spec.overlay, spec.overlay_evaluated)
    shown = [_within(series, spec.low, spec.high) for series in every]
    if spec.log:
        shown = [_positive(series) for series in shown]
    scale = _scale_of(shown, spec.log)

    foot = 2 if height >= _LEAST_HEIGHT + 2 else 0
    bad = [step for step in spec.bad_steps if spec.low <= step <= spec.high]
    head = 1 if bad and height - foot >= _LEAST_HEIGHT else 0  # a mark hides no value
    rows = height - foot - head
    ticks = value_ticks(scale, max(2, min(rows // 2, 6))) if scale else []
    margin = max((len(label) for _, label in ticks), default=0) + 1
    left = margin if width >= margin + _LEAST_WIDTH else 0
    columns = width - left
    canvas = _Area(left, head, columns, rows)

    grid = Canvas(width, height)
    _frame(grid, spec, left, foot, [(place * rows / (rows + head), name) for place, name in ticks])
    if scale:
        for role, lines in _layers(spec, shown, scale, canvas):
            grid.lay(lines, left, head, role)
    for step in bad:
        grid.put(left + column_of(step, spec.low, spec.high, columns), 0, look.bad, "bad")
    _legend(grid, _keys(spec, shown, look), canvas)
    if spec.cursor is not None and spec.low <= spec.cursor <= spec.high:
        column = left + column_of(spec.cursor, spec.low, spec.high, columns)
        for row in range(height - foot):
            grid.put_if_free(column, row, look.cursor, "cursor")
        if foot:
            grid.put(column, height - foot, look.foot, "cursor")
    return Plot(grid.rows(), left, columns)


def left_out(spec: ChartSpec) -> int:
    """How many values of the run in sight are not above 0, so have no place on a log scale."""
    both = (_within(series, spec.low, spec.high) for series in (spec.train, spec.evaluated))
    return sum(map(_not_positive, both)) if spec.log else 0


def _within(series: Series, low: int, high: int) -> Series:
    steps = series.steps
    if not steps or (low <= steps[0] and steps[-1] <= high):
        return series
    part = slice(bisect_left(steps, low), bisect_right(steps, high))
    return Series(steps[part], series.values[part])


def _not_positive(series: Series) -> int:
    if not series.values or min(series.values) > 0:
        return 0
    return sum(value <= 0 for value in series.values)


def _positive(series: Series) -> Series:
    if not _not_positive(series):
        return series
    kept = [pair for pair in zip(series.steps, series.values, strict=True) if pair[1] > 0]
    return Series([step for step, _ in kept], [value for _, value in kept])


def _scale_of(shown: Iterable[Series], log: bool) -> Scale | None:
    values = [series.values for series in shown if series.values]
    return Scale(min(map(min, values)), max(map(max, values)), log) if values else None


def _layers(
    spec: ChartSpec, shown: Sequence[Series], scale: Scale, canvas: _Area
) -> list[tuple[str, list[str]]]:
    """Role and lines of each layer, from the lowest to the topmost."""
    train, smooth, evaluated, overlay, overlay_evaluated = shown
    look = ASCII if spec.ascii else UNICODE
    columns, rows = canvas.columns, canvas.rows

    def places(series: Series, dots: int, *, mean: bool = False) -> Places:
        return _places(spec, series, scale, columns * dots, mean=mean)

    def line(series: Series, sign: str) -> list[str]:
        return _drawn(columns, rows, sign, places(series, look.dots, mean=True), joined=True)

    def points(series: Series, sign: str) -> list[str]:
        return _drawn(columns, rows, sign, places(series, 1), joined=False)

    alone = not smooth.steps  # then the raw values are the line
    raw = _drawn(
        columns, rows, look.line if alone else look.raw, places(train, look.dots), joined=alone
    )
    over = line(overlay, look.overlay)
    return [
        ("train" if alone else "train-raw", raw),
        ("overlay", over if spec.ascii else [_dashed(row) for row in over]),
        ("train", line(smooth, look.line)),
        ("overlay", points(overlay_evaluated, look.overlay_point)),
        ("eval", points(evaluated, look.point)),
    ]


def _dashed(line: str) -> str:
    """A line that is told from a whole one without colour."""
    return "".join(" " if column % 3 == 2 else sign for column, sign in enumerate(line))


def _places(spec: ChartSpec, series: Series, scale: Scale, columns: int, *, mean: bool) -> Places:
    """The smallest and the largest value of each column, or their middle, from left to right.

    Of the two, the one nearer to the point before comes first, so joining lines stay short.
    """
    places: Places = []
    found = per_column(series.steps, series.values, spec.low, spec.high, columns)
    for column, extremes in enumerate(found):
        if extremes is None:
            continue
        x = (column + 0.5) / columns
        low, high = scale.place(extremes[0]), scale.place(extremes[1])
        if mean or low == high:
            places.append((x, low / 2 + high / 2))
        elif places and abs(places[-1][1] - high) < abs(places[-1][1] - low):
            places += [(x, high), (x, low)]
        else:
            places += [(x, low), (x, high)]
    return places


def _keys(spec: ChartSpec, shown: Sequence[Series], look: Look) -> list[tuple[str, str, str]]:
    """The legend's lines: a name, its sign, its role."""
    train, smooth, evaluated, overlay, overlay_evaluated = shown
    keys = []
    if train.steps or smooth.steps:
        keys.append(("train", look.train_key, "train"))
    if evaluated.steps:
        keys.append(("eval", look.point.center(2), "eval"))
    if overlay.steps or overlay_evaluated.steps:
        signs = [look.overlay_key] * bool(overlay.steps)
        signs += [look.overlay_point] * bool(overlay_evaluated.steps)
        name = spec.overlay_label
        if spec.ascii:
            name = name.encode("ascii", "replace").decode()
        keys.append((name, " ".join(signs), "overlay"))
    return keys


def _legend(grid: Canvas, keys: list[tuple[str, str, str]], canvas: _Area) -> None:
    """The keys in the top right corner, or in another one that is free, where there is room."""
    if not keys:
        return
    widest = max(cell_len(name) for name, _, _ in keys)
    wide = widest + 1 + max(len(sign) for _, sign, _ in keys)
    tall = len(keys)
    if canvas.columns < 2 * wide + 2 or canvas.rows < tall + 3:
        return
    right, bottom = canvas.left + canvas.columns - wide - 1, canvas.top + canvas.rows - tall
    for column, row in ((right, canvas.top), (right, bottom), (canvas.left + 1, bottom)):
        if grid.free(column - 1, row, wide + 2, tall):
            for down, (name, sign, role) in enumerate(keys):
                text = name + " " * (widest + 1 - cell_len(name)) + sign
                grid.write(column, row + down, text + " " * (wide - cell_len(text)), role)
            return


def _frame(grid: Canvas, spec: ChartSpec, left: int, foot: int, ticks: Sequence[Tick]) -> None:
    """The axes with their ticks, in the `left` columns and the lowest `foot` rows."""
    columns, rows = grid.width - left, grid.height - foot
    figure = _figure(grid.width, grid.height)
    if left:
        figure.axes(True, axis="y", side=0)
        names = [name.rjust(left - 1) for _, name in ticks]
        figure.ruler("y").ticks([place for place, _ in ticks], names)
    if foot:
        figure.axes(True, axis="x", side=0)
        steps = step_ticks(spec.low, spec.high, max(2, columns // 12))
        across = [column_of(step, spec.low, spec.high, columns) for step in steps]
        figure.ruler("x").ticks([(column + 0.5) / columns for column in across], map(str, steps))
    for row, line in enumerate(_text(figure)):
        for column, sign in enumerate(line.translate(_FRAME_IN_ASCII) if spec.ascii else line):
            if sign != " ":
                named = column < left - 1 or row > rows
                grid.put(column, row, sign, "muted" if named else "axis")


def _drawn(columns: int, rows: int, sign: str, places: Places, *, joined: bool) -> list[str]:
    """`places` as lines of text, each a `sign`, joined by lines of it or only within a column."""
    if not places:
        return []
    figure = _figure(columns, rows)
    signal = figure.signal([x for x, _ in places], [y for _, y in places], marker=sign)
    if joined:
        signal.lines().density("full")
    else:
        for index in range(1, len(places)):
            if places[index][0] == places[index - 1][0]:
                signal.line(index)
        signal.density("full")
    figure.draw(signal)
    return _text(figure)


def _figure(width: int, height: int) -> Any:
    """The one figure of plotext, emptied: axes from 0 to 1, no frame, no colour."""
    import plotext  # type: ignore[import-untyped]

    plotext.terminal.limit(False, False)
    figure = plotext.figure.clear()
    figure.plot_size(width, height)
    figure.canvas("default")
    figure.axes(False)
    for axis in ("x", "y"):
        figure.ruler(axis).lim(0, 1).alignment(lim="edge").ticks([])
    return figure


def _text(figure: Any) -> list[str]:
    text: str = figure.build().string(colorless=True)
    return text.split("\n")[:-1]
