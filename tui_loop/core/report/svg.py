"""Draws line charts as SVG: few points and lines, no script, colours from the page's style.

Train and eval also differ in dashes and marks, never in colour alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape

import msgspec

from tui_loop.core.plot.scale import Scale, step_ticks, value_ticks
from tui_loop.core.plot.series import Series, column_start, per_column, series_of
from tui_loop.core.plot.smoothing import smoothed
from tui_loop.core.record.state import RunState
from tui_loop.core.report.document import RunChart, TrailChart
from tui_loop.core.report.facts import POINTS, Curves, Line
from tui_loop.core.text import figures
from tui_loop.core.text.untrusted import visible

WIDTH, HEIGHT = 480, 220
LEFT, RIGHT, TOP, BOTTOM = 46, 16, 24, 26
LOG_FROM = 10.0
"""Losses of iterations whose largest ratio is above this are drawn on a log scale."""

LOG_SPAN = 1e5
"""The largest ratio of the ends of a log scale."""

LEGEND = 106
"""The width of a legend entry, in pixels."""

NUMBERS = 12
"""About the most labels below a chart over iterations."""


Pixels = tuple[float, float]
"""The first and the last pixel of an axis."""

ACROSS: Pixels = (LEFT, WIDTH - RIGHT)
UP: Pixels = (HEIGHT - BOTTOM, TOP)
TICKS = 6
"""About the most labels of an axis."""


class Axis(msgspec.Struct, frozen=True):
    """A scale along the pixels of a picture."""

    scale: Scale
    pixels: Pixels

    def at(self, value: float) -> float:
        """Returns the pixel of a value. A value beyond the scale is at the scale's end."""
        return self.at_place(self.scale.place(value))

    def at_place(self, place: float) -> float:
        """Returns the pixel of a place from 0 to 1."""
        first, last = self.pixels
        return first + place * (last - first)


def run_svg(chart: RunChart) -> str:
    """Returns a chart of train and eval loss over the steps of a run."""
    curves = chart.curves
    train, smooth, evaluated = curves.train, curves.smooth, curves.eval
    values = [*train.values, *evaluated.values]
    steps = [*train.steps, *evaluated.steps]
    ys = _loss_axis(values, is_log=chart.is_log)
    first, last = min(steps), max(steps)
    xs = Axis(Scale(first, last), ACROSS)
    bold = smooth if smooth.values else train
    parts = [
        _axes(ys, xs, [(step, str(step)) for step in step_ticks(first, last, TICKS)]),
        _path(train, xs, ys, "train raw") if smooth.values else "",
        _path(bold, xs, ys, "train"),
        _path(evaluated, xs, ys, "eval"),
        *(
            f'<circle class="eval" cx="{_px(xs.at(x))}" cy="{_px(ys.at(y))}" r="3"/>'
            for x, y in zip(evaluated.steps, evaluated.values, strict=True)
        ),
    ]
    legend = [("train", f"train {figures.loss(bold.values[-1])}")] if bold.values else []
    if evaluated.values:
        legend.append(("eval", f"eval ● {figures.loss(evaluated.values[-1])}"))
    notes = ["log scale"] if ys.scale.is_log else []
    if lost := train.nonfinite + evaluated.nonfinite:
        notes.append(f"{lost} not finite")
    if (at := curves.diverged_at) is not None and first <= at <= last:
        parts.append(_rule(xs.at(at)))
        notes.append(f"diverged at step {at}")
    parts.append(_legend(legend, "loss" + "".join(f", {note}" for note in notes)))
    return _svg(chart.title, parts)


def trail_svg(chart: TrailChart) -> str:
    """Returns a chart of a metric over the iterations, each with its interval."""
    numbers = sorted({*(point.number for point in chart.points), *chart.without})
    place = {number: at for at, number in enumerate(numbers)}
    xs = Axis(Scale(-0.5, len(numbers) - 0.5), ACROSS)
    if chart.is_share:
        ys = Axis(Scale(0.0, 1.0), UP)
    else:
        losses = [point.value for point in chart.points]
        is_wide = min(losses) > 0 and max(losses) > LOG_FROM * min(losses)
        ys = _loss_axis(losses, is_log=is_wide)
    every = max(1, math.ceil(len(numbers) / NUMBERS))
    shown = [(place[number], str(number)) for number in numbers[::every]]
    parts = [_axes(ys, xs, shown, is_share=chart.is_share)]
    for point in chart.points:
        x, y = _px(xs.at(place[point.number])), _px(ys.at(point.value))
        if point.low is not None and point.high is not None:
            low, high = _px(ys.at(point.low)), _px(ys.at(point.high))
            parts.append(f'<path class="bar" d="M{x} {low}V{high}"/>')
        kind = "best" if point.number == chart.best else "point"
        label = figures.percent(point.value) if chart.is_share else figures.loss(point.value)
        parts.append(
            f'<circle class="{kind}" cx="{x}" cy="{y}" r="{5 if kind == "best" else 3.5}">'
            f"<title>{point.number}: {text_of(label)}</title></circle>"
        )
    bottom = HEIGHT - BOTTOM - 4
    parts += [
        f'<text class="none" x="{_px(xs.at(place[number]))}" y="{bottom}">×</text>'
        for number in chart.without
    ]
    legend = [("best", "● best so far")] if chart.best in place else []
    note = "log scale" if ys.scale.is_log else ""
    if chart.without:
        note += f"{', ' if note else ''}× has none"
    parts.append(_legend(legend, note))
    return _svg(chart.title, parts)


def _svg(title: str, parts: Iterable[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{text_of(title)}">{"".join(parts)}</svg>'
    )


def _axes(ys: Axis, xs: Axis, marks: Sequence[tuple[float, str]], *, is_share: bool = False) -> str:
    """Returns lines at round values, and the labels of both axes.

    `marks`: (value, label) along the horizontal axis.
    """
    parts = []
    for place, text in value_ticks(ys.scale, TICKS):
        y = _px(ys.at_place(place))
        parts.append(f'<path class="grid" d="M{LEFT} {y}H{WIDTH - RIGHT}"/>')
        label = text_of(figures.percent(place) if is_share else text)
        parts.append(f'<text class="y" x="{LEFT - 6}" y="{y}" dy="4">{label}</text>')
    parts += [
        f'<text class="x" x="{_px(xs.at(value))}" y="{HEIGHT - 8}">{text_of(text)}</text>'
        for value, text in marks
    ]
    return "".join(parts)


def _path(line: Line, xs: Axis, ys: Axis, kind: str) -> str:
    if not line.steps:
        return ""
    points = " ".join(
        f"{_px(xs.at(x))} {_px(ys.at(y))}" for x, y in zip(line.steps, line.values, strict=True)
    )
    return f'<path class="{kind}" d="M{points}"/>'


def _rule(x: float) -> str:
    return f'<path class="rule" d="M{_px(x)} {TOP}V{HEIGHT - BOTTOM}"/>'


def _legend(entries: Sequence[tuple[str, str]], note: str) -> str:
    message = "".join(
        f'<text class="legend {kind}" x="{WIDTH - RIGHT - LEGEND * at}" y="14">'
        f"{text_of(text)}</text>"
        for at, (kind, text) in enumerate(reversed(entries))
    )
    return f'<text class="note" x="{LEFT}" y="14">{text_of(note)}</text>{message}'


def _loss_axis(values: Sequence[float], *, is_log: bool) -> Axis:
    low, high = min(values), max(values)
    if is_log and high > 0:
        least = min((value for value in values if value > 0), default=high)
        return Axis(Scale(max(least, high / LOG_SPAN), high, is_log=True), UP)
    low = min(low, 0.0) if low < high / 2 else low
    room = (high - low) * 0.05 or abs(high) * 0.05 or 1.0
    return Axis(Scale(low, high + room), UP)


def _px(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")


def text_of(text: str) -> str:
    """Returns a text for any place in a page or picture, with all of it visible and no markup."""
    return escape(visible(text), quote=True)


SMOOTHING = 0.8
"""The weight of the moving average, as in `plot.smoothing.smoothed`."""

FEWEST_SMOOTHED = 12
"""The least number of logs that are smoothed: fewer are legible as they are."""


def curves_of(run: RunState, diverged_at: int | None = None) -> Curves:
    """Returns the curves of train and eval loss of a run, with few enough points for a chart."""
    train, evaluated = series_of(run.metrics, "loss"), series_of(run.evaluations, "eval_loss")
    means = Line()
    if len(train.values) >= FEWEST_SMOOTHED:
        means = _some(train.xs, smoothed(train.values, SMOOTHING))
    return Curves(
        train=_line(train), smooth=means, eval=_line(_last_at(evaluated)), diverged_at=diverged_at
    )


def _last_at(series: Series) -> Series:
    """Keeps the later of two values at one step: a run may end right after an evaluation."""
    found = dict(zip(series.xs, series.values, strict=True))
    steps = sorted(found)
    return Series(steps, [found[step] for step in steps], series.nonfinite)


def _line(series: Series) -> Line:
    line = _thinned(series.xs, series.values)
    return Line(line.steps, line.values, len(series.values), len(series.nonfinite))


def _thinned(steps: Sequence[int], values: Sequence[float]) -> Line:
    """Returns the points themselves where they are few, else the extremes of each column."""
    if len(steps) <= 2 * POINTS:
        return Line(tuple(steps), tuple(map(_short, values)), len(values))
    low, high = steps[0], steps[-1]
    xs, ys = [], []
    for column, found in enumerate(per_column(steps, values, low, high, POINTS)):
        if found is not None:
            at = min(high, column_start(column, low, high, POINTS))
            for value in dict.fromkeys(found):
                xs.append(at)
                ys.append(_short(value))
    return Line(tuple(xs), tuple(ys), len(values))


def _some(steps: Sequence[int], values: Sequence[float]) -> Line:
    """Returns points at even distances, including the last: a smooth line needs no extremes."""
    count = min(len(steps), 2 * POINTS)
    chosen = [round(at * (len(steps) - 1) / max(1, count - 1)) for at in range(count)]
    points = tuple(_short(values[at]) for at in chosen)
    return Line(tuple(steps[at] for at in chosen), points, len(values))


def _short(value: float) -> float:
    """Rounds to five significant digits, more than a picture shows."""
    return float(f"{value:.5g}") if math.isfinite(value) else value
