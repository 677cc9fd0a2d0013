"""The large chart: one metric of a run as it trains, with other runs over it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import ClassVar

import msgspec
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui_loop.core.plot.axis import Axis
from tui_loop.core.plot.clip import Shown, shown_range
from tui_loop.tui.chart import view as views
from tui_loop.tui.chart import words
from tui_loop.tui.chart.canvas import Cell, message
from tui_loop.tui.chart.curves import ChartRun, Runs
from tui_loop.tui.chart.plot import ASCII, OVERLAYS, UNICODE, ChartSpec, Plot, not_on_log, plot
from tui_loop.tui.chart.view import ChartView, Places, Range

PIECE_SECONDS, REDRAW_SECONDS = 0.01, 1.0
"""Seconds between two pieces of a long run, and between two drawings while points arrive."""

FAR = 10  # columns of a long move of the cursor

ROLES = (
    *("axis", "muted", "train", "train-raw", "eval", "cursor", "bad"),
    *(f"overlay-{style}{raw}" for style in range(1, OVERLAYS + 1) for raw in ("", "-raw")),
)


class ChartActions:
    """The actions of a chart, for the chart itself and for the pane around it."""

    @property
    def chart(self) -> LossChart:
        """The chart that the actions change."""
        raise NotImplementedError

    def action_toggle_log(self) -> None:
        view = self.chart.view
        self.chart.set_view(msgspec.structs.replace(view, log=not view.log, y=None))

    def action_toggle_clip(self) -> None:
        view = self.chart.view
        self.chart.set_view(msgspec.structs.replace(view, clip=not view.clip, y=None))

    def action_toggle_overlay(self) -> None:
        view = self.chart.view
        self.chart.set_view(msgspec.structs.replace(view, overlay=not view.overlay))

    def action_next_x_axis(self) -> None:
        self.chart.set_axis(views.next_axis(self.chart.axis, self.chart.runs.run.axes()))

    def action_smooth_more(self) -> None:
        self.chart.set_view(views.with_weight(self.chart.view, 1))

    def action_smooth_less(self) -> None:
        self.chart.set_view(views.with_weight(self.chart.view, -1))

    def action_next_metric(self) -> None:
        self.chart.set_view(views.with_next_metric(self.chart.view, self.chart.runs.run.names()))

    def action_reset_view(self) -> None:
        view = self.chart.view
        self.chart.set_view(msgspec.structs.replace(views.without_zoom(view), cursor=None))

    def action_zoom_in(self) -> None:
        self.chart.zoom(closer=True)

    def action_zoom_out(self) -> None:
        self.chart.zoom(closer=False)

    def action_zoom_in_y(self) -> None:
        self.chart.zoom_y(closer=True)

    def action_zoom_out_y(self) -> None:
        self.chart.zoom_y(closer=False)

    def action_cursor_left(self) -> None:
        self.chart.move_cursor(-1)

    def action_cursor_right(self) -> None:
        self.chart.move_cursor(1)

    def action_cursor_far_left(self) -> None:
        self.chart.move_cursor(-FAR)

    def action_cursor_far_right(self) -> None:
        self.chart.move_cursor(FAR)


class LossChart(ChartActions, Widget, can_focus=True):
    """The chart of a run. It draws only when data, size or view change.

    Zoom and cursor are kept for each `ChartRun.key`; everything else holds for all runs. Keys are
    bound elsewhere.
    """

    number = "3 "
    """The start of its title."""

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
        .chart--overlay-1 { color: $foreground; }
        .chart--overlay-1-raw { color: $foreground; text-style: dim; }
        .chart--overlay-2 { color: $secondary; }
        .chart--overlay-2-raw { color: $secondary; text-style: dim; }
        .chart--overlay-3 { color: $success; }
        .chart--overlay-3-raw { color: $success; text-style: dim; }
        .chart--overlay-4 { color: $error; }
        .chart--overlay-4-raw { color: $error; text-style: dim; }
        .chart--cursor { color: $accent; }
        .chart--bad { color: $error; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"chart--{role}" for role in ROLES}

    class Changed(Message):
        """Data or view changed, and the chart draws them."""

    def __init__(
        self, *, ascii_only: bool = False, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.ascii_only = ascii_only
        self.set_class(ascii_only, "-ascii")
        self.runs = Runs()
        self._key, self._views = "", dict[str, ChartView]()
        self._view = ChartView()
        self._fixed: dict[str, tuple[object, Shown]] = {}
        self._plot: Plot | None = None
        self._plot_size: Size | None = None
        self._strips: list[Strip] = []
        self._styles: dict[str, Style] = {}
        self._titles = ("", "")
        self._shown: tuple[ChartRun | None, Sequence[ChartRun]] = None, ()
        self._pieces: Timer | None = None
        self._later: Timer | None = None
        self._drawn_at = -math.inf
        self._set_titles()

    @property
    def chart(self) -> LossChart:
        return self

    def show(self, run: ChartRun | None, overlays: Sequence[ChartRun] = ()) -> None:
        """Draws `run` with `overlays` over it, if any of them has changed.

        A long run is processed in pieces, so that keys are not delayed. New points of a live run
        are drawn at most once a second.
        """
        keys = [each.key for each in (*((run,) if run else ()), *overlays)]
        before = [each.run.key for each in self.runs.shown(overlay=True) if each.run]
        was_behind, self._shown = self.runs.is_behind, (run, overlays)
        moved = self.runs.follow(run, overlays)
        self._key = run.key if run else ""
        fresh = msgspec.structs.replace(self._view, zoom=None, y=None, cursor=None)
        self._view = views.with_choices_of(self._views.get(self._key, fresh), self._view)
        self._views[self._key] = self._view
        if self.runs.is_behind and self._pieces is None:
            for each in self.runs.shown(overlay=True):  # extends series and means by the same piece
                each.drawn(self.metric, self.axis, self._view.weight)
            self._pieces = self.set_timer(PIECE_SECONDS, self._take_more)
        if moved or was_behind:
            is_whole = not self.runs.is_behind
            self._redraw_in_time(at_once=is_whole and (was_behind or keys != before))

    def _take_more(self) -> None:
        self._pieces = None
        if self.runs.is_behind:
            self.show(*self._shown)

    def _redraw_in_time(self, *, at_once: bool) -> None:
        """Draws at most once a second while pieces of a long run follow, or a run is live."""
        now = time.monotonic()
        left = self._drawn_at + REDRAW_SECONDS - now
        if at_once or left <= 0 or not (self.runs.is_behind or self.runs.is_live):
            self._drawn_at = now
            self._redraw()
        elif self._later is None:
            self._later = self.set_timer(left, self._redraw_later)

    def _redraw_later(self) -> None:
        self._later = None
        self._drawn_at = time.monotonic()
        self._redraw()

    def show_step(self, key: str, step: int) -> None:
        """Puts the cursor of a run, shown or not yet, on a step of its whole history."""
        view = msgspec.structs.replace(self._view, zoom=None, y=None, cursor=step)
        self._views[key] = view
        if key == self._key:
            self.set_view(view)

    @property
    def view(self) -> ChartView:
        """The view of the shown run."""
        return self._view

    @property
    def metric(self) -> str:
        """The metric that is drawn."""
        return views.metric_of(self._view, self.runs.run.names())

    @property
    def axis(self) -> Axis:
        """The x axis that is drawn."""
        return views.axis_of(self._view, self.runs.run.axes())

    def set_view(self, view: ChartView) -> None:
        """Changes the view of the shown run."""
        if view == self._view:
            return
        self._view = self._views[self._key] = view
        self._redraw()

    def choose(self, metric: str) -> None:
        """Draws another metric."""
        self.set_view(views.with_metric(self._view, metric))

    def set_axis(self, axis: Axis) -> None:
        """Changes the x axis; the points in sight and the cursor stay."""
        track = self.runs.run.main
        self.set_view(views.with_axis(self._view, axis, track.xs(self.axis), track.xs(axis)))

    def leave_view(self) -> bool:
        """Removes the cursor, else the zoom; returns whether there was one of them."""
        before = self._view
        self.set_view(views.without_innermost(before))
        return self._view != before

    def zoom(self, *, closer: bool, around: int | None = None) -> None:
        """Shows half or twice the x axis, around a place or the cursor."""
        if whole := self._whole():
            xs = self.runs.run.main.xs(self.axis)
            least = 2 * (whole[1] - whole[0]) // max(len(xs) - 1, 1)
            around = self.cursor if around is None else around
            self.set_view(
                views.zoomed(self._view, whole, closer=closer, around=around, least=least)
            )

    def zoom_y(self, *, closer: bool) -> None:
        """Shows half or twice the values, around the one at the cursor or the newest one."""
        spec = self.spec_of(self.metric, self._view)
        if spec is None or spec.shown is None:
            return
        curve = spec.curves[0]
        series = curve.logged if curve.logged.xs else curve.points
        value = spec.shown.low
        if series.xs:
            at = spec.high if spec.cursor is None else spec.cursor
            value = series.values[views.nearest_index(series.xs, at)]
        self.set_view(views.zoomed_y(self._view, spec.shown, closer=closer, around=value))

    def move_cursor(self, by: int) -> None:
        """Moves the cursor by a number of columns."""
        if places := self._places():
            self.set_view(views.with_cursor_moved(self._view, places, by))

    @property
    def cursor(self) -> int | None:
        """The place of the cursor on the x axis: that of the nearest logged step."""
        step = self._cursor_step()
        return None if step is None else self.runs.run.main.place(self.axis, step)

    def on_resize(self) -> None:
        self._set_titles()

    def on_click(self, event: events.Click) -> None:
        column = self._column_of(event)
        if column is not None and (places := self._places()):
            self.set_view(views.with_cursor_at(self._view, places, column))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, closer=True)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, closer=False)

    def notify_style_update(self) -> None:
        """Drops the cells that were drawn in the old colours."""
        super().notify_style_update()
        self._strips, self._styles = [], {}

    def render_line(self, y: int) -> Strip:
        plot = self._drawn()
        if not self._strips:
            self._strips = styled(plot.rows, self.role_style)
        if y < len(self._strips):
            return self._strips[y]
        return Strip.blank(self.size.width, self.visual_style.rich_style)

    def role_style(self, role: str) -> Style:
        """The style of a role's cells; no role is plain text."""
        if role not in self._styles:
            style = self.get_visual_style(f"chart--{role}") if role else self.visual_style
            self._styles[role] = style.rich_style
        return self._styles[role]

    def _wheel(self, event: events.MouseEvent, *, closer: bool) -> None:
        event.stop()
        event.prevent_default()
        column, whole = self._column_of(event), self._whole()
        if column is not None and whole:
            low, high = self._view.shown(whole)
            self.zoom(
                closer=closer, around=views.place_at(low, high, self._drawn().columns, column)
            )

    def _column_of(self, event: events.MouseEvent) -> int | None:
        """The column of the canvas under the mouse."""
        offset, plot = event.get_content_offset(self), self._drawn()
        if offset is None or not plot.columns:
            return None
        return min(max(offset.x - plot.left, 0), plot.columns - 1)

    def _redraw(self) -> None:
        self._plot = None
        self._set_titles()
        self.refresh()
        if self.is_attached:
            self.post_message(self.Changed())

    def _cursor_step(self) -> int | None:
        steps, step = self.runs.run.steps, self._view.cursor
        if step is None or not steps:
            return None
        return steps[views.nearest_index(steps, step)]

    def _places(self) -> Places | None:
        whole, track = self._whole(), self.runs.run.main
        if whole is None or not track.steps:
            return None
        return Places(whole, track.steps, track.xs(self.axis), max(self._drawn().columns, 1))

    def _whole(self) -> Range | None:
        return self.runs.whole(self.metric, self.axis, overlay=self._view.overlay)

    def _drawn(self) -> Plot:
        """The chart in the widget's size, drawn again only if something changed."""
        if self._plot is None or self._plot_size != self.size:
            self._plot_size, self._strips = self.size, []
            nothing = words.nothing_to_draw(self.runs.run)
            spec = None if nothing else self._spec()
            if spec is None:
                text = _in_ascii(nothing) if self.ascii_only else nothing
                self._plot = Plot(message(text, *self.size), 0, 0)
            else:
                self._plot = plot(spec, *self.size)
        return self._plot

    def spec_of(self, metric: str, view: ChartView) -> ChartSpec | None:
        """The chart of a metric in a view, None where no run has a point."""
        axis = self.axis
        whole = self.runs.whole(metric, axis, overlay=view.overlay)
        if whole is None:
            return None
        low, high = view.shown(whole)
        shown = self.runs.shown(overlay=view.overlay)
        spec = ChartSpec(
            low=low,
            high=high,
            curves=[each.drawn(metric, axis, view.weight) for each in shown],
            axis=axis,
            bad=self.runs.run.bad(axis),
            log=view.log,
            cursor=self.cursor if view.cursor is not None else None,
            ascii=self.ascii_only,
        )
        values = shown_range(spec.logged(), low, high, log=view.log, clip=view.clip)
        if values and view.zoom:
            values = self._fixed_range(metric, view, values)
        return msgspec.structs.replace(spec, shown=values)

    def _spec(self) -> ChartSpec | None:
        metric, view = self.metric, self._view
        spec = self.spec_of(metric, view)
        if spec is None:
            return None
        shown = Shown(*view.y, is_clipped=True) if view.y else spec.shown
        signs = ASCII if self.ascii_only else UNICODE
        curves = self.runs.shown(overlay=view.overlay)
        legend = words.legend(curves, metric, spec.axis, spec.cursor, signs)
        if self.ascii_only:
            legend = [each.in_ascii() for each in legend]
        return msgspec.structs.replace(spec, shown=shown, legend=legend)

    def _fixed_range(self, metric: str, view: ChartView, shown: Shown) -> Shown:
        """The range of values that a zoomed view had at first: new points do not move it."""
        keys = [each.run.key for each in self.runs.shown(overlay=True) if each.run]
        of_what = view.zoom, view.x, view.log, view.clip, view.overlay, keys
        fixed = self._fixed.get(metric)
        if fixed is None or fixed[0] != of_what or self.runs.is_behind:
            fixed = self._fixed[metric] = of_what, shown
        return fixed[1]

    def _set_titles(self) -> None:
        view, runs = self._view, self.runs
        spec = self._spec() if view.log else None
        separator = " - " if self.ascii_only else " · "
        step, missing = self._cursor_step(), not_on_log(spec) if spec else 0
        title = words.title(runs, self.metric, self.axis, view)
        figures = words.figures(runs.run, self.metric, self.axis, step=step, not_on_log=missing)
        room = max(self.size.width - 4, 0) or 80  # corners and blanks; at first there is no size
        titles = (
            words.joined([f"{self.number}{title[0]}", *title[1:]], separator, room),
            words.joined(figures, separator if step is None else "  ", room),
        )
        if self.ascii_only:
            titles = (_in_ascii(titles[0]), _in_ascii(titles[1]))
        if titles != self._titles:
            self._titles = titles
            self.border_title, self.border_subtitle = map(Content, titles)


def styled(rows: Iterable[Sequence[Cell]], style_of: Callable[[str], Style]) -> list[Strip]:
    """Rows of cells as strips."""
    return [
        Strip(
            [
                Segment("".join(sign for sign, _ in cells), style_of(role))
                for role, cells in groupby(row, key=_role_of)
            ],
            len(row),
        )
        for row in rows
    ]


def _role_of(cell: Cell) -> str:
    return cell[1]


def _in_ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode()
