"""The loss chart: one run's curves as it trains, with another's laid over them."""

from __future__ import annotations

import math
import time
from itertools import groupby
from typing import ClassVar

import msgspec
from rich.segment import Segment
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui_loop.core.plot.series import Series
from tui_loop.tui.actions import bindings
from tui_loop.tui.chart import view as chart_view
from tui_loop.tui.chart.canvas import Cell, message
from tui_loop.tui.chart.curves import (
    ChartRun,
    Curves,
    figures,
    nothing_to_draw,
    title,
    whole_of,
)
from tui_loop.tui.chart.plot import ChartSpec, Plot, left_out, plot
from tui_loop.tui.chart.view import ChartView, Range, snapped

PIECE_SECONDS, REDRAW_SECONDS = 0.01, 1.0
"""Between two pieces of a long run, and between two drawings meanwhile."""

FAR = 10  # columns of a far move of the cursor


class LossChart(Widget, can_focus=True):
    """The chart of a run. It draws when data, size or view change, and at no other time.

    How a run is looked at is kept for each `ChartRun.key`; a run that is shown for the first
    time takes metric, scale and smoothing over from the one before. Keys are bound elsewhere.
    """

    number = "3 "
    """What its title begins with."""

    ALLOW_SELECT = False  # a click sets the cursor
    DEFAULT_CSS = """
    LossChart {
        border: round $foreground;
        height: 1fr;
        &.-ascii { border: ascii $foreground; }
        &:focus { border-title-style: bold; }
        .chart--axis, .chart--muted { color: $foreground; text-style: dim; }
        .chart--train { color: $primary; }
        .chart--train-raw { color: $primary; text-style: dim; }
        .chart--eval { color: $warning; }
        .chart--overlay { color: $foreground; }
        .chart--cursor { color: $accent; }
        .chart--bad { color: $error; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--axis",
        "chart--muted",
        "chart--train",
        "chart--train-raw",
        "chart--eval",
        "chart--overlay",
        "chart--cursor",
        "chart--bad",
    }

    def __init__(
        self, *, ascii_only: bool = False, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.ascii_only = ascii_only
        self.set_class(ascii_only, "-ascii")
        self._curves, self._overlay = Curves(), Curves()
        self._key, self._views = "", dict[str, ChartView]()
        self._view = ChartView()
        self._plot: Plot | None = None
        self._plot_size: Size | None = None
        self._strips: list[Strip] = []
        self._titles = ("", "")
        self._shown: tuple[ChartRun | None, ChartRun | None] = None, None
        self._pieces: Timer | None = None
        self._drawn_at = -math.inf
        self._set_titles()

    def show(self, run: ChartRun | None, overlay: ChartRun | None = None) -> None:
        """Draws `run` with `overlay` over it; nothing happens if neither has anything new.

        A long run is taken over in pieces, with turns for keys in between.
        """
        was_behind, self._shown = self._is_behind, (run, overlay)
        moved = self._curves.follow(run)
        moved = self._overlay.follow(overlay) or moved
        fresh = msgspec.structs.replace(self._view, zoom=None, cursor=None)
        self._key = run.key if run else ""
        self._view = self._views.setdefault(self._key, fresh)
        if self._is_behind and self._pieces is None:
            self._spec()  # extends the series and its means by the same piece
            self._pieces = self.set_timer(PIECE_SECONDS, self._take_more)
        if moved or was_behind:
            self._redraw_in_time()

    @property
    def _is_behind(self) -> bool:
        return self._curves.is_behind or self._overlay.is_behind

    def _take_more(self) -> None:
        self._pieces = None
        if self._is_behind:
            self.show(*self._shown)

    def _redraw_in_time(self) -> None:
        """Draws at most once a second while pieces of a long run follow."""
        now = time.monotonic()
        if not self._is_behind or now - self._drawn_at >= REDRAW_SECONDS:
            self._drawn_at = now
            self._redraw()

    def look_at(self, key: str, step: int) -> None:
        """Puts the cursor of a run, shown or not yet, on a step of its whole history."""
        view = self._views.get(key, self._view)
        self._views[key] = view = msgspec.structs.replace(view, zoom=None, cursor=step)
        if key == self._key:
            self._look(view)

    @property
    def view(self) -> ChartView:
        """How the shown run is looked at."""
        return self._view

    def action_toggle_log(self) -> None:
        self._look(msgspec.structs.replace(self._view, log=not self._view.log))

    def action_toggle_overlay(self) -> None:
        self._look(msgspec.structs.replace(self._view, overlay=not self._view.overlay))

    def action_smooth_more(self) -> None:
        self._look(chart_view.with_weight(self._view, 1))

    def action_smooth_less(self) -> None:
        self._look(chart_view.with_weight(self._view, -1))

    def action_next_metric(self) -> None:
        self._look(chart_view.with_next_metric(self._view, self._curves.names()))

    def action_reset_view(self) -> None:
        self._look(msgspec.structs.replace(self._view, zoom=None, cursor=None))

    def action_zoom_in(self) -> None:
        self._zoom(closer=True)

    def action_zoom_out(self) -> None:
        self._zoom(closer=False)

    def action_cursor_left(self) -> None:
        self._move(-1)

    def action_cursor_right(self) -> None:
        self._move(1)

    def action_cursor_far_left(self) -> None:
        self._move(-FAR)

    def action_cursor_far_right(self) -> None:
        self._move(FAR)

    def on_click(self, event: events.Click) -> None:
        column = self._column_of(event)
        if column is not None and (whole := self._whole()):
            columns = self._drawn().columns
            self._look(
                chart_view.with_cursor_at(self._view, whole, self._curves.steps, columns, column)
            )

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, closer=True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, closer=False)

    def notify_style_update(self) -> None:
        """Colours changed: what was drawn is painted anew."""
        super().notify_style_update()
        self._strips = []

    def render_line(self, y: int) -> Strip:
        plot = self._drawn()
        if not self._strips:
            self._strips = self._painted(plot)
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.visual_style.rich_style)

    def _wheel(self, event: events.MouseEvent, *, closer: bool) -> None:
        event.stop()
        event.prevent_default()
        column, whole = self._column_of(event), self._whole()
        if column is not None and whole:
            low, high = self._view.shown(whole)
            around = chart_view.step_at(low, high, self._drawn().columns, column)
            self._zoom(closer=closer, around=around)

    def _column_of(self, event: events.MouseEvent) -> int | None:
        """The column of the canvas under the mouse."""
        offset, plot = event.get_content_offset(self), self._drawn()
        if offset is None or not plot.columns:
            return None
        return min(max(offset.x - plot.left, 0), plot.columns - 1)

    def _zoom(self, *, closer: bool, around: int | None = None) -> None:
        if whole := self._whole():
            self._look(chart_view.zoomed(self._view, whole, closer=closer, around=around))

    def _move(self, by: int) -> None:
        if whole := self._whole():
            columns, steps = self._drawn().columns, self._curves.steps
            self._look(chart_view.with_cursor_moved(self._view, whole, steps, columns, by))

    def _look(self, view: ChartView) -> None:
        if view == self._view:
            return
        self._view = self._views[self._key] = view
        self._redraw()

    def _redraw(self) -> None:
        self._plot = None
        self._set_titles()
        self.refresh()

    def _over(self) -> Curves:
        """The run to lay over this one; nobody's curves where there is none to show."""
        return self._overlay if self._view.overlay else Curves()

    def _whole(self) -> Range | None:
        return whole_of(self._curves, self._over())

    def _drawn(self) -> Plot:
        """The chart in the widget's size, drawn anew only if something changed."""
        if self._plot is None or self._plot_size != self.size:
            self._plot_size, self._strips = self.size, []
            nothing = nothing_to_draw(self._curves)
            spec = None if nothing else self._spec()
            if spec is None:
                self._plot = Plot(message(nothing, *self.size), 0, 0)
            else:
                self._plot = plot(spec, *self.size)
        return self._plot

    def _spec(self) -> ChartSpec | None:
        view, curves, over = self._view, self._curves, self._over()
        whole = self._whole()
        if whole is None:
            return None
        metric = chart_view.metric_of(view, curves.names())
        low, high = view.shown(whole)
        return ChartSpec(
            low=low,
            high=high,
            train=curves.train.series(metric),
            smooth=curves.train.smoothed(metric, view.weight) if view.weight else Series(),
            evaluated=curves.evaluations(metric),
            overlay=over.train.smoothed(metric, view.weight),
            overlay_evaluated=over.evaluations(metric),
            overlay_label=f"of {over.label}",
            bad_steps=curves.bad_steps,
            log=view.log,
            cursor=snapped(curves.steps, view.cursor) if view.cursor is not None else None,
            ascii=self.ascii_only,
        )

    def _painted(self, plot: Plot) -> list[Strip]:
        roles = {role for row in plot.rows for _, role in row}
        styles = {role: self.get_visual_style(f"chart--{role}").rich_style for role in roles}
        return [
            Strip(
                [
                    Segment("".join(sign for sign, _ in run), styles[role])
                    for role, run in groupby(row, key=_role_of)
                ],
                len(row),
            )
            for row in plot.rows
        ]

    def _set_titles(self) -> None:
        view, curves = self._view, self._curves
        spec = self._spec() if view.log else None
        separator = " - " if self.ascii_only else " · "
        titles = (
            f"{self.number}{title(curves, self._over(), view, separator)}",
            figures(curves, view, left_out(spec) if spec else 0, separator),
        )
        if self.ascii_only:
            titles = (_in_ascii(titles[0]), _in_ascii(titles[1]))
        if titles != self._titles:
            self._titles = titles
            self.border_title, self.border_subtitle = map(Content, titles)


class KeyedChart(LossChart):
    """A chart that is one box of a screen."""

    BINDINGS = bindings("chart")
    DEFAULT_CSS = """
    KeyedChart {
        border: round $frame;
        background: $background;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $tone-muted;
        &:focus { border: round $tone-accent; border-title-color: $tone-accent; }
        &:nocolor:focus { border-title-style: bold reverse; }
        & > .chart--train { color: $tone-train; }
        & > .chart--train-raw { color: $tone-train; text-style: dim; }
        & > .chart--eval { color: $tone-eval; }
        & > .chart--overlay { color: $tone-overlay; }
        & > .chart--axis { color: $tone-muted; }
        & > .chart--muted { color: $tone-muted; }
        & > .chart--bad { color: $tone-bad; }
    }
    """


def _role_of(cell: Cell) -> str:
    return cell[1]


def _in_ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
