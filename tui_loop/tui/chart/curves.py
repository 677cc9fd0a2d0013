"""Runs of a chart: their points as series, and the styles of overlays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tui_loop.core.plot.axis import AXES, Axis
from tui_loop.core.plot.metrics import evaluated_name, is_smoothed, metric_names
from tui_loop.core.plot.series import Series
from tui_loop.core.plot.track import Found, Track
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.record.points import Point
from tui_loop.core.record.reader import RunView
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.text.untrusted import one_line
from tui_loop.tui.chart.plot import OVERLAYS, Curve
from tui_loop.tui.chart.view import Range

PIECE = 20_000
"""Points that are processed at once, in about 20 ms, so that keys are not delayed."""

LABEL_WIDTH = 24  # of a run's label in the border and the legend


class ChartRun(msgspec.Struct, frozen=True):
    """A run to draw: `key` is `loop/number`, `label` its name in titles; both may be hostile.

    The points are in the order of their steps; `system` are samples of the machine. The sequences
    may grow between two calls of `LossChart.show`.
    """

    key: str
    label: str
    metrics: Sequence[Point] = ()
    evaluations: Sequence[Point] = ()
    system: Sequence[Point] = ()
    is_live: bool = False
    diverged_at: int | None = None

    @property
    def is_base(self) -> bool:
        """Whether this is iteration 0, which is never trained."""
        number = self.key.rpartition("/")[2]
        return bool(number) and not number.strip("0")


def chart_run(loop: str, view: RunView, iteration: Iteration | None) -> ChartRun:
    """Returns a run to draw; `iteration` is its row in the list, None where there is none yet."""
    state = iteration.state if iteration is not None else view.state
    return ChartRun(
        key=f"{loop}/{view.number}",
        label=str(view.number),
        metrics=view.run.metrics,
        evaluations=view.run.evaluations,
        system=view.run.system,
        is_live=state in (*LIVE, "queued"),
        diverged_at=diverged_at(iteration),
    )


class Curves:
    """The points of one run, kept up to date with it. `style` is that of an overlay, from 1 on."""

    def __init__(self, style: int = 0) -> None:
        self.style = style
        self.run: ChartRun | None = None
        self.train = Track()
        self.evaluated, self.system = Track(self.train), Track(self.train)
        self.is_behind = False
        """Whether the run has points that `follow` has not processed yet."""

    def follow(self, run: ChartRun | None) -> bool:
        """Processes at most PIECE new points of each kind; returns whether anything changed."""
        before, self.run = _identity(self.run), run
        moved = self.is_behind = False
        for track, points in (
            (self.train, run.metrics if run else ()),
            (self.evaluated, run.evaluations if run else ()),
            (self.system, run.system if run else ()),
        ):
            moved = track.follow(points, PIECE) or moved
            self.is_behind = self.is_behind or len(track) < len(points)
        return moved or before != _identity(run)

    @property
    def version(self) -> tuple[object, ...]:
        """Changes when the run or its old points are replaced, but not when points are added."""
        tracks = (self.train, self.evaluated, self.system)
        return _identity(self.run), self.style, *(track.replaced for track in tracks)

    @property
    def label(self) -> str:
        return one_line(self.run.label, LABEL_WIDTH) if self.run else ""

    @property
    def main(self) -> Track:
        """The track that the cursor moves on: training, else evaluations, else samples."""
        tracks = (self.train, self.evaluated, self.system)
        return next((track for track in tracks if track.steps), self.train)

    @property
    def steps(self) -> Sequence[int]:
        """The logged steps; of a run that logged none, those of its evaluations or samples."""
        return self.main.steps

    def bad(self, axis: Axis) -> list[int]:
        """The places where a value of any metric was not finite, or the run diverged.

        Once the weights are NaN, the loss may be 0.0; the gradient norm shows the divergence.
        """
        at = self.run.diverged_at if self.run else None
        bad = {*self.train.nonfinite, *self.evaluated.nonfinite, *([] if at is None else [at])}
        return sorted({self.main.place(axis, step) for step in bad})

    @property
    def nonfinite(self) -> int:
        """How many points have a value that is not finite."""
        return len(self.train.nonfinite) + len(self.evaluated.nonfinite)

    def names(self) -> list[str]:
        """The metrics that can be drawn."""
        return metric_names(self.train.names, self.evaluated.names, self.system.names)

    def axes(self) -> list[Axis]:
        """The x axes that the run has."""
        return [axis for axis in AXES if self.main.has(axis)]

    def track_of(self, metric: str) -> Track:
        """The track with a metric that is not only in evaluations."""
        if metric in self.train.names or metric in self.evaluated.names:
            return self.train
        return self.system

    def is_system(self, metric: str) -> bool:
        return self.track_of(metric) is self.system and metric in self.system.names

    def evaluated_name(self, metric: str) -> str | None:
        """The name of a metric in the run's evaluations."""
        return None if self.is_system(metric) else evaluated_name(metric, self.evaluated.names)

    def drawn(self, metric: str, axis: Axis, weight: float) -> Curve:
        """The curve of a metric; empty where the run does not have the axis."""
        if not self.main.has(axis):
            return Curve(style=self.style)
        track, name = self.track_of(metric), self.evaluated_name(metric)
        line = track.series(metric, axis)
        raw = Series()
        if weight and track is self.train and is_smoothed(metric):
            raw, line = line, track.smoothed(metric, weight, axis)
        points = self.evaluated.series(name, axis) if name else Series()
        return Curve(line, raw, points, self.style)

    def latest(self, metric: str) -> Found | None:
        """The newest step and value of a metric, from evaluations where it has no other."""
        found = self.track_of(metric).latest(metric)
        return found or self.evaluated.latest(metric)

    def ends(self, metric: str, axis: Axis) -> Iterator[int]:
        """The first and the last place of the points that belong to a metric's chart."""
        tracks = [self.train, self.evaluated]
        if self.is_system(metric):
            tracks.append(self.system)
        for track in tracks:
            if track.steps and self.main.has(axis):
                xs = track.xs(axis)
                yield xs[0]
                yield xs[-1]


class Runs:
    """The shown run and its overlays, each with a style that it keeps."""

    def __init__(self) -> None:
        self.run = Curves()
        self.over: list[Curves] = []

    def follow(self, run: ChartRun | None, overlays: Sequence[ChartRun]) -> bool:
        """Processes new points and runs; returns whether anything changed.

        A run is not drawn over itself.
        """
        moved = self.run.follow(run)
        known = {each.run.key: each for each in self.over if each.run}
        wanted = {each.key: each for each in overlays if run is None or each.key != run.key}
        kept = [each for key, each in known.items() if key in wanted]
        moved = moved or list(known) != list(wanted)
        for key in wanted:
            if key not in known:
                known[key] = Curves(_free_style(kept))
                kept.append(known[key])
        self.over = [known[key] for key in wanted]
        for each, overlay in zip(self.over, wanted.values(), strict=True):
            moved = each.follow(overlay) or moved
        return moved

    @property
    def is_behind(self) -> bool:
        return self.run.is_behind or any(each.is_behind for each in self.over)

    @property
    def is_live(self) -> bool:
        """Whether any of the runs is still logging."""
        return any(each.run is not None and each.run.is_live for each in (self.run, *self.over))

    def shown(self, *, overlay: bool) -> list[Curves]:
        """The run, and with `overlay` those over it."""
        return [self.run, *self.over] if overlay else [self.run]

    def whole(self, metric: str, axis: Axis, *, overlay: bool) -> Range | None:
        """The first and the last place of the run and, where it has points, of those over it."""
        shown = self.shown(overlay=overlay and bool(self.run.steps))
        ends = [place for each in shown for place in each.ends(metric, axis)]
        return (min(ends), max(ends)) if ends else None


def _free_style(shown: Sequence[Curves]) -> int:
    """The first of the styles that the fewest overlays have."""
    used = [each.style for each in shown]
    return min(range(1, OVERLAYS + 1), key=lambda style: (used.count(style), style))


def _identity(run: ChartRun | None) -> tuple[str, str, bool, int | None] | None:
    return (run.key, run.label, run.is_live, run.diverged_at) if run else None
