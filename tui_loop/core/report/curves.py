"""The curves of a run as few points as a picture can show, every extreme kept."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tui_loop.core.record.state import RunState
from tui_loop.core.report.facts import POINTS, Curves, Line
from tui_loop.core.series import Series, column_start, per_column, series_of, smoothed

SMOOTHING = 0.8
FEWEST_SMOOTHED = 12
"""Fewer logs need no mean to be read."""


def curves_of(run: RunState, diverged_at: int | None = None) -> Curves:
    """Train and eval loss of a run."""
    train, evaluated = series_of(run.metrics, "loss"), series_of(run.evaluations, "eval_loss")
    means = Line()
    if len(train.values) >= FEWEST_SMOOTHED:
        means = _some(train.steps, smoothed(train.values, SMOOTHING))
    return Curves(
        train=_line(train), smooth=means, eval=_line(_last_at(evaluated)), diverged_at=diverged_at
    )


def _last_at(series: Series) -> Series:
    """Of two values at one step the later one: a run may end where it was just evaluated."""
    found = dict(zip(series.steps, series.values, strict=True))
    steps = sorted(found)
    return Series(steps, [found[step] for step in steps], series.nonfinite)


def _line(series: Series) -> Line:
    line = _thinned(series.steps, series.values)
    return Line(line.steps, line.values, len(series.values), len(series.nonfinite))


def _thinned(steps: Sequence[int], values: Sequence[float]) -> Line:
    """The points themselves where they are few, else the extremes of each column."""
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
    """A smooth line needs no extremes: points at even distances, the last one too."""
    count = min(len(steps), 2 * POINTS)
    chosen = [round(at * (len(steps) - 1) / max(1, count - 1)) for at in range(count)]
    points = tuple(_short(values[at]) for at in chosen)
    return Line(tuple(steps[at] for at in chosen), points, len(values))


def _short(value: float) -> float:
    """Five digits: more than a picture shows."""
    return float(f"{value:.5g}") if math.isfinite(value) else value
