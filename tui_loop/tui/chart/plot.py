"""A chart as cells of characters with roles. The only user of plotext.

plotext draws the frame, the ticks and every line, each in a layer of its own, and the layers are
drawn over one another here. It gets places from 0 to 1 only, so no value is too large or too close
to another, and a few points per column, so its cost does not grow with the run.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from tui_loop.core.plot.axis import Axis, axis_ticks
from tui_loop.core.plot.clip import Shown, outside, shown_range
from tui_loop.core.plot.scale import Scale, Tick, value_ticks
from tui_loop.core.plot.series import Series, column_of, per_column
from tui_loop.core.plot.values import Extremes, extremes_of
from tui_loop.core.text.figures import brief_number
from tui_loop.tui.chart.canvas import Canvas, Cell, Entry, draw_legend, legend_lines

Places = list[tuple[float, float]]
"""Points of a layer, from 0 to 1 each way."""

OVERLAYS = 4
"""Styles of overlays; the fifth has the first style again."""

_FRAME_IN_ASCII = str.maketrans("│─┤┬└┴┼", "|-+++++")
_LEAST_WIDTH, _LEAST_HEIGHT = 8, 3  # of a canvas; a smaller one gets the room of the axes too


class ChartSigns(msgspec.Struct, frozen=True):
    """The signs of a chart; a cell has `dots` columns of a line's dots.

    `lines`, `keys`, `points` and `dashes` have an element for the run itself and for each style
    of overlay: a line's sign, its key in the legend, the sign of an evaluation, and which columns
    of the line are drawn.
    """

    dots: int
    raw: str
    lines: tuple[str, ...]
    keys: tuple[str, ...]
    points: tuple[str, ...]
    dashes: tuple[str, ...]
    bad: str
    cursor: str
    foot: str
    above: str
    below: str


UNICODE = ChartSigns(
    dots=2,
    raw="braille",
    lines=("braille",) * (1 + OVERLAYS),
    keys=("──", "╌╌", "┈┈", "─╴", "─·"),
    points=("●", "○", "◇", "△", "□"),
    dashes=("1", "110", "10", "111110", "1110100"),
    bad="✗",
    cursor="│",
    foot="┴",
    above="▲",
    below="▼",
)
ASCII = ChartSigns(
    dots=1,
    raw=".",
    lines=("*", "+", "=", "%", "#"),
    keys=("**", "++", "==", "%%", "##"),
    points=("o", "O", "V", "A", "H"),
    dashes=("1",) * (1 + OVERLAYS),
    bad="x",
    cursor="|",
    foot="^",
    above="^",
    below="v",
)


class Curve(msgspec.Struct, frozen=True):
    """The curve of a run: a line, the logged values behind a smoothed one, and evaluations.

    All values are finite. `style` 0 is the run itself, 1 to OVERLAYS are those over it.
    """

    line: Series = msgspec.field(default_factory=Series)
    raw: Series = msgspec.field(default_factory=Series)
    points: Series = msgspec.field(default_factory=Series)
    style: int = 0

    @property
    def logged(self) -> Series:
        """The values of the line as they were logged."""
        return self.raw if self.raw.xs else self.line

    def roles(self) -> tuple[str, str, str]:
        """The roles of line, logged values and evaluations."""
        if self.style == 0:
            return "train", "train-raw", "eval"
        return f"overlay-{self.style}", f"overlay-{self.style}-raw", f"overlay-{self.style}"


class ChartSpec(msgspec.Struct, frozen=True):
    """What to draw from place `low` to place `high` of the x axis.

    `curves`: the run itself first. `shown`: the range of values, by default that of all in sight.
    Places in `bad` are marked at the top edge. `legend` is above the curves. A small chart has no
    legend and no x axis, and only its ends beside the y axis.
    """

    low: int
    high: int
    curves: Sequence[Curve] = ()
    shown: Shown | None = None
    axis: Axis = "step"
    legend: Sequence[Entry] = ()
    bad: Sequence[int] = ()
    log: bool = False
    cursor: int | None = None
    ascii: bool = False
    is_small: bool = False

    @property
    def signs(self) -> ChartSigns:
        return ASCII if self.ascii else UNICODE

    def logged(self) -> list[Series]:
        """The values as they were logged, of all curves; also of smoothed lines."""
        every = (part for each in self.curves for part in (each.logged, each.points))
        return [series for series in every if series.xs]


class Plot(msgspec.Struct, frozen=True):
    """A drawn chart: `rows` of cells, all of one width.

    The canvas is `columns` wide from column `left` on. `above` and `below` count the values that
    are outside the range of values.
    """

    rows: list[list[Cell]]
    left: int
    columns: int
    above: int = 0
    below: int = 0


class _Area(msgspec.Struct, frozen=True):
    """Where the curves are, in cells of the chart."""

    left: int
    top: int
    columns: int
    rows: int


def warm_up() -> None:
    """Imports plotext in advance, in a thread, because it would delay the first frame."""
    importlib.import_module("plotext")


def plot(spec: ChartSpec, width: int, height: int) -> Plot:
    """The chart of `spec` in `width` x `height` cells; with nothing to draw, an empty frame."""
    if width < 1 or height < 1:
        return Plot([], 0, 0)
    signs = spec.signs
    shown = spec.shown or shown_range(spec.logged(), spec.low, spec.high, log=spec.log)
    scale = Scale(shown.low, shown.high, spec.log) if shown else None
    above, below = _outside(spec, shown) if shown else (0, 0)

    foot = 2 if height >= _LEAST_HEIGHT + 2 and not spec.is_small else 0
    note = _outside_text(above, below)
    has_legend = spec.legend and not spec.is_small and height - foot >= _LEAST_HEIGHT + 2
    top = legend_lines(spec.legend, note, width, height - foot) if has_legend else 0
    bad = [place for place in spec.bad if spec.low <= place <= spec.high]
    head = 1 if bad and height - foot - top >= _LEAST_HEIGHT else 0  # a mark hides no value
    rows = height - foot - top - head
    ticks = _value_ticks(spec, scale, rows) if scale else []
    margin = max((len(label) for _, label in ticks), default=0) + 1
    left = margin if width >= margin + _LEAST_WIDTH else 0
    columns = width - left
    area = _Area(left, top + head, columns, rows)

    canvas = Canvas(width, height)
    _frame(canvas, spec, area, head, ticks)
    if scale:
        for role, lines in _layers(spec, scale, area):
            canvas.lay(lines, left, area.top, role)
    for column in {column_of(place, spec.low, spec.high, columns) for place in bad}:
        canvas.put(left + column, top, signs.bad, "bad")
    if top:
        draw_legend(canvas, spec.legend, note, top)
    if spec.cursor is not None and spec.low <= spec.cursor <= spec.high:
        column = left + column_of(spec.cursor, spec.low, spec.high, columns)
        for row in range(top, height - foot):
            canvas.put_if_free(column, row, signs.cursor, "cursor")
        if foot:
            canvas.put(column, height - foot, signs.foot, "cursor")
    return Plot(canvas.rows(), left, columns, above, below)


def not_on_log(spec: ChartSpec) -> int:
    """How many values of the run in sight have no place on a log scale: those not above 0."""
    if not spec.log or not spec.curves:
        return 0
    run = spec.curves[0]
    near = [series.within(spec.low, spec.high) for series in (run.logged, run.points)]
    return sum(
        sum(value <= 0 for value in series.values)
        for series in near
        if series.values and extremes_of(series.values)[0] <= 0
    )


def _outside(spec: ChartSpec, shown: Shown) -> tuple[int, int]:
    """How many logged values are above and below the shown range."""
    found = [
        outside(
            each.positive(spec.low, spec.high) if spec.log else each, spec.low, spec.high, shown
        )
        for each in spec.logged()
    ]
    return sum(above for above, _ in found), sum(below for _, below in found)


def _value_ticks(spec: ChartSpec, scale: Scale, rows: int) -> list[Tick]:
    if not spec.is_small:
        return value_ticks(scale, max(2, min(rows // 2, 6)))
    if scale.low == scale.high:
        return [(0.5, brief_number(scale.low))]
    return [(0.0, brief_number(scale.low)), (1.0, brief_number(scale.high))]


def _layers(spec: ChartSpec, scale: Scale, area: _Area) -> Iterator[tuple[str, list[str]]]:
    """Role and lines of each layer, from the lowest to the topmost."""
    drawn = [_Drawn(each, spec, scale, area) for each in reversed(spec.curves)]
    for each in drawn:
        yield each.raw()
    for each in drawn:
        yield each.line()
    for each in drawn:
        yield each.points()
    for each in drawn:
        yield from each.marks()


class _Drawn:
    """The layers of one curve."""

    def __init__(self, curve: Curve, spec: ChartSpec, scale: Scale, area: _Area) -> None:
        self._curve, self._spec, self._scale, self._area = curve, spec, scale, area
        self._signs, self._roles = spec.signs, curve.roles()
        self._beyond: list[tuple[int, bool]] = []

    def raw(self) -> tuple[str, list[str]]:
        places = self._places(self._curve.raw, self._signs.dots)
        return self._roles[1], self._text(self._signs.raw, places, joined=False)

    def line(self) -> tuple[str, list[str]]:
        """A smoothed line has the middle of each column, a line of logged values both extremes."""
        is_smoothed = bool(self._curve.raw.xs)
        places = self._places(self._curve.line, self._signs.dots, is_mean=is_smoothed)
        style = self._curve.style
        lines = self._text(self._signs.lines[style], places, joined=True)
        return self._roles[0], dashed(lines, self._signs.dashes[style])

    def points(self) -> tuple[str, list[str]]:
        sign = self._signs.points[self._curve.style]
        return self._roles[2], self._text(sign, self._places(self._curve.points, 1), joined=False)

    def marks(self) -> Iterator[tuple[str, list[str]]]:
        """Marks at the edges, in the columns of values beyond them."""
        columns, rows = self._area.columns, self._area.rows
        if self._beyond:
            edge = [[" "] * columns for _ in range(rows)]
            for column, is_above in self._beyond:
                edge[0 if is_above else -1][column] = (
                    self._signs.above if is_above else self._signs.below
                )
            yield self._roles[0], ["".join(row) for row in edge]

    def _text(self, sign: str, places: Places, *, joined: bool) -> list[str]:
        return _drawn(self._area.columns, self._area.rows, sign, places, joined=joined)

    def _places(self, series: Series, dots: int, *, is_mean: bool = False) -> Places:
        """The smallest and the largest value of each column, or their middle, from left to right.

        Of the two, the one nearer to the point before comes first, so joining lines stay short.
        """
        spec, scale = self._spec, self._scale
        if not series.xs:
            return []
        if spec.log:
            series = series.positive(spec.low, spec.high)
        columns = self._area.columns * dots
        places: Places = []
        found = per_column(series.xs, series.values, spec.low, spec.high, columns)
        for column, extremes in enumerate(found):
            if extremes is None:
                continue
            self._note_beyond(column // dots, extremes)
            x = (column + 0.5) / columns
            low, high = scale.place(extremes[0]), scale.place(extremes[1])
            if is_mean or low == high:
                places.append((x, low / 2 + high / 2))
            elif places and abs(places[-1][1] - high) < abs(places[-1][1] - low):
                places += [(x, high), (x, low)]
            else:
                places += [(x, low), (x, high)]
        return places

    def _note_beyond(self, column: int, extremes: Extremes) -> None:
        if extremes[1] > self._scale.high:
            self._beyond.append((column, True))
        if extremes[0] < self._scale.low:
            self._beyond.append((column, False))


def dashed(lines: list[str], pattern: str) -> list[str]:
    """A line with gaps, which distinguish it from others without colour.

    A column becomes a gap only if the columns beside it reach as high and as low: no extreme is
    lost.
    """
    if "0" not in pattern or not lines:
        return lines
    marked = [
        [row for row, line in enumerate(lines) if line[column] not in " \u2800"]
        for column in range(len(lines[0]))
    ]
    gaps = set()
    for column, rows in enumerate(marked):
        beside = [row for each in marked[max(column - 1, 0) : column + 2 : 2] for row in each]
        if column == 0:
            beside = marked[1] if len(marked) > 1 else []
        is_gap = pattern[column % len(pattern)] == "0" and rows and beside
        if is_gap and min(beside) <= rows[0] and rows[-1] <= max(beside):
            gaps.add(column)
    return [
        "".join(" " if column in gaps else sign for column, sign in enumerate(line))
        for line in lines
    ]


def _outside_text(above: int, below: int) -> str:
    counts = ((above, "above"), (below, "below"))
    return ", ".join(f"{count:,} {where}" for count, where in counts if count)


def _frame(canvas: Canvas, spec: ChartSpec, area: _Area, head: int, ticks: Sequence[Tick]) -> None:
    """The axes with their ticks, left of the area and below it.

    `head` rows above the area belong to the y axis, too.
    """
    left, rows = area.left, area.rows + head
    foot = canvas.height - area.top - area.rows
    figure = _figure(canvas.width, rows + foot)
    if left:
        figure.axes(True, axis="y", side=0)
        names = [name.rjust(left - 1) for _, name in ticks]
        places = [place * area.rows / rows for place, _ in ticks]
        figure.ruler("y").ticks(places, names)
    if foot:
        figure.axes(True, axis="x", side=0)
        most = max(2, area.columns // 12)
        across = [
            ((column_of(place, spec.low, spec.high, area.columns) + 0.5) / area.columns, label)
            for place, label in axis_ticks(spec.axis, spec.low, spec.high, most)
        ]
        figure.ruler("x").ticks([place for place, _ in across], [label for _, label in across])
    for row, line in enumerate(_text(figure)):
        for column, sign in enumerate(line.translate(_FRAME_IN_ASCII) if spec.ascii else line):
            if sign != " ":
                named = column < left - 1 or row > rows
                canvas.put(column, area.top - head + row, sign, "muted" if named else "axis")


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
