"""A run as the chart knows it, and what the chart's border says of it in words and figures."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tui_loop.core.plot.series import Series, Track, evaluated_name, metric_names
from tui_loop.core.record.state import Point
from tui_loop.core.text.figures import brief_number
from tui_loop.core.text.untrusted import one_line
from tui_loop.tui.chart.view import ChartView, Range, metric_of, snapped

PIECE = 20_000
"""Points that are taken over at once: 20 ms, after which keys have their turn."""

NAME_WIDTH = 24  # of a label or a metric in the border
_AT_THE_CURSOR = {"loss": "loss", "learning_rate": "lr", "grad_norm": "grad"}


class ChartRun(msgspec.Struct, frozen=True):
    """A run to draw: `key` is `loop/number`, `label` its name in titles; both may be hostile.

    The points are in the order of their steps. The sequences may grow between two calls of
    `LossChart.show`.
    """

    key: str
    label: str
    metrics: Sequence[Point] = ()
    evaluations: Sequence[Point] = ()
    is_live: bool = False
    diverged_at: int | None = None

    @property
    def is_base(self) -> bool:
        """Whether this is iteration 0, which is never trained."""
        number = self.key.rpartition("/")[2]
        return bool(number) and not number.strip("0")


class Curves:
    """What is known of a shown run, kept up to date with it."""

    def __init__(self) -> None:
        self.run: ChartRun | None = None
        self.train, self.evaluated = Track(), Track()

    def follow(self, run: ChartRun | None) -> bool:
        """Takes over what is new, at most PIECE points of each kind; whether anything is."""
        before, self.run = _identity(self.run), run
        moved = self.train.follow(run.metrics if run else (), PIECE)
        moved = self.evaluated.follow(run.evaluations if run else (), PIECE) or moved
        return moved or before != _identity(run)

    @property
    def is_behind(self) -> bool:
        """Whether the run has points that `follow` has yet to take over."""
        run = self.run
        return run is not None and (
            len(self.train) < len(run.metrics) or len(self.evaluated) < len(run.evaluations)
        )

    @property
    def label(self) -> str:
        return one_line(self.run.label, NAME_WIDTH) if self.run else ""

    @property
    def steps(self) -> list[int]:
        """The logged steps; of a run that logged none, those of its evaluations."""
        return self.train.steps or self.evaluated.steps

    @property
    def bad_steps(self) -> list[int]:
        """The steps at which any value, of whichever metric, was not finite, or the run diverged.

        After the weights have gone NaN the loss may read 0.0; the gradient's norm tells.
        """
        bad = [*self.train.nonfinite, *self.evaluated.nonfinite]
        at = self.run.diverged_at if self.run else None
        return bad if at is None or at in bad else [*bad, at]

    def names(self) -> list[str]:
        """The metrics that can be drawn."""
        return metric_names(self.train.names, self.evaluated.names)

    def evaluations(self, metric: str) -> Series:
        name = evaluated_name(metric, self.evaluated.names)
        return self.evaluated.series(name) if name else Series()


def whole_of(curves: Curves, overlay: Curves) -> Range | None:
    """The first and the last step of a run and, where it has any, of the one over it."""
    shown = [curves.train, curves.evaluated]
    if curves.steps:
        shown += [overlay.train, overlay.evaluated]
    ends = [(track.steps[0], track.steps[-1]) for track in shown if track.steps]
    return (min(first for first, _ in ends), max(last for _, last in ends)) if ends else None


def nothing_to_draw(curves: Curves) -> str:
    """Why there is no curve, and how to get one; empty where there is one."""
    run = curves.run
    if run is None:
        return "no iteration is selected: the loss of the one you go to shows here"
    if run.is_base:
        return "the base is not trained: it has no loss curve"
    if curves.steps:
        return ""
    if run.is_live:
        return "no loss yet: it shows here as soon as the run logs its first step"
    return "no loss: this run logged no step, its log says why"


def title(curves: Curves, overlay: Curves, view: ChartView, separator: str) -> str:
    """What is drawn of which run, and how."""
    metric = one_line(metric_of(view, curves.names()), NAME_WIDTH).replace("_", " ")
    parts = [metric[:1].upper() + metric[1:] + (f" of {curves.label}" if curves.label else "")]
    if overlay.run:
        parts[0] += f" over {overlay.label}"
    if view.log:
        parts.append("log")
    parts.append(f"smooth {view.weight:g}" if view.weight else "not smoothed")
    if view.zoom:
        parts.append(f"steps {view.zoom[0]} to {view.zoom[1]}")
    return separator.join(parts)


def figures(curves: Curves, view: ChartView, left_out: int, separator: str) -> str:
    """The figures at the cursor, or the latest ones; `left_out` have no place on a log scale."""
    metric = metric_of(view, curves.names())
    if view.cursor is not None and curves.steps:
        parts = ["  ".join(_at(curves, metric, snapped(curves.steps, view.cursor)))]
    else:
        parts = _latest(curves, metric)
    if left_out:
        parts.append(f"{left_out} at or below 0 not on the log scale")
    return separator.join(parts)


def _at(curves: Curves, metric: str, step: int) -> list[str]:
    values = curves.train.at(step)
    names = dict.fromkeys([metric, *_AT_THE_CURSOR])
    # What went wrong at this step is said whatever metric is drawn.
    names |= dict.fromkeys(name for name, value in values.items() if not math.isfinite(value))
    parts = [f"step {step}"]
    for name in names:
        if name in values:
            short = _AT_THE_CURSOR.get(name) or one_line(name, NAME_WIDTH)
            worded = _figure(values[name]) if name == metric else brief_number(values[name])
            parts.append(f"{short} {worded}")
    evaluated = evaluated_name(metric, curves.evaluated.names)
    if evaluated and (found := curves.evaluated.latest(evaluated, until=step)):
        at = "" if found[0] == step else f" at {found[0]}"
        parts.append(f"eval {_figure(found[1])}{at}")
    return parts


def _latest(curves: Curves, metric: str) -> list[str]:
    parts = []
    if found := curves.train.latest(metric):
        parts.append(f"train {_figure(found[1])}")
    name = evaluated_name(metric, curves.evaluated.names)
    if name and (found := curves.evaluated.latest(name)):
        parts.append(f"eval {_figure(found[1])}")
    if bad := len(curves.train.nonfinite) + len(curves.evaluated.nonfinite):
        parts.append(f"{bad} non-finite")
    if curves.run and curves.run.diverged_at is not None:
        parts.append(f"diverged at {curves.run.diverged_at}")
    return parts


def _figure(value: float) -> str:
    """Three decimals where they mean something, so a figure that changes keeps its width."""
    return f"{value:.3f}" if 0.01 <= abs(value) < 1000 else brief_number(value)


def _identity(run: ChartRun | None) -> tuple[str, str, bool, int | None] | None:
    return (run.key, run.label, run.is_live, run.diverged_at) if run else None
