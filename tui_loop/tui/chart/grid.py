"""All metrics of a run as small charts in rows and columns."""

from __future__ import annotations

import time
from collections.abc import Iterator

import msgspec
from rich.segment import Segment
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from tui_loop.core.plot.metrics import metric_label, metric_text
from tui_loop.tui.cells import fit, width_of
from tui_loop.tui.chart import words
from tui_loop.tui.chart.canvas import GAP
from tui_loop.tui.chart.plot import ASCII, UNICODE, plot
from tui_loop.tui.chart.widget import LossChart, styled
from tui_loop.tui.widgets.pane import entitle
from tui_loop.tui.widgets.styled_lines import Span, StyledLines

LEAST_WIDTH, LEAST_HEIGHT = 30, 7
"""Cells of a small chart with its heading; more if there is room."""

TURN_SECONDS = 0.015
"""Longest time to draw charts at once (at least one), so that keys are not delayed."""

SHOW_SECONDS = 0.1
"""A drawing that takes longer is shown part by part."""


class SmallChart(msgspec.Struct, frozen=True):
    """A drawn chart: `version` is what it was drawn from."""

    version: object
    strips: list[Strip]
    value: str


class ChartGrid(StyledLines, can_focus=True, inherit_bindings=False):
    """Small charts of all metrics of the large one. It draws those in sight that changed.

    Its keys are those of the pane around it, because scrolling would leave the cursor behind.

    The zoom of the x axis, the scale, smoothing and overlays are those of the large chart.
    """

    DEFAULT_CSS = """
    ChartGrid {
        height: 1fr;
        border: round $frame;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $style-muted;
        &:focus { border: round $style-accent; border-title-color: $style-accent; }
        &:nocolor:focus { border-title-style: bold reverse; }
    }
    """

    class Picked(Message):
        """The chart of a metric was chosen."""

        def __init__(self, metric: str) -> None:
            super().__init__()
            self.metric = metric

    def __init__(self, chart: LossChart) -> None:
        super().__init__(id="grid")
        self._chart = chart
        self._names: list[str] = []
        self._drawn: dict[str, SmallChart] = {}
        self._picked = ""
        self._turn: Timer | None = None
        self._unshown: list[Region] = []
        self._shown_at = 0.0
        self.drawings = 0

    def show(self) -> None:
        """Shows the runs and the view of the large chart."""
        names, metric = self._chart.runs.run.names(), self._chart.metric
        if names != self._names:
            self._names = names
            self._drawn = {name: each for name, each in self._drawn.items() if name in names}
            self._fit()
            self.refresh()
        self._entitle(metric)
        if self._picked != metric:
            self._picked = metric
            self.refresh()
        self._keep_visible()
        self._draw_soon()

    @property
    def metric(self) -> str:
        """The metric under the cursor: the one that the large chart would draw."""
        return self._chart.metric

    @property
    def is_complete(self) -> bool:
        """Whether every chart in sight is drawn as it is now."""
        if self._turn is not None or self._names != self._chart.runs.run.names():
            return False
        return all(self._is_current(name) for name in self._in_sight())

    def move(self, columns: int, rows: int = 0) -> None:
        """Moves the cursor by a number of charts to the right, and of rows down."""
        if self._names:
            at = self._index() + columns + rows * self.columns
            last = len(self._names) - 1
            if not rows or 0 <= at <= last or abs(rows) > 1:
                self._pick(min(max(at, 0), last))
            elif rows > 0 and self._index() // self.columns < last // self.columns:
                self._pick(last)

    def page(self, by: int) -> None:
        """Moves the cursor by a number of screens."""
        self.move(0, by * max(self._visible_rows, 2))

    def end(self, *, is_last: bool) -> None:
        """Moves the cursor to the first or the last chart."""
        if self._names:
            self._pick(len(self._names) - 1 if is_last else 0)

    def on_resize(self) -> None:
        self._fit()
        self._keep_visible()
        self._draw_soon()
        self.refresh()

    def on_show(self) -> None:
        self._draw_soon()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None or offset.y < 1:
            return
        row = (offset.y - 1 + round(self.scroll_y)) // self._height
        index = row * self.columns + min(offset.x // (self._width + 1), self.columns - 1)
        if index < len(self._names):
            is_again = index == self._index() and event.chain > 1
            self._pick(index)
            if is_again:
                self.post_message(self.Picked(self._names[index]))

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        self._draw_soon()

    def notify_style_update(self) -> None:
        """Drops the charts that were drawn in the old colours."""
        super().notify_style_update()
        self._drawn = {}
        self._draw_soon()

    @property
    def columns(self) -> int:
        """How many charts are side by side."""
        return min(max(1, (self._room + 1) // (LEAST_WIDTH + 1)), max(1, len(self._names)))

    def render_line(self, y: int) -> Strip:
        width = self.inner_width
        if y == 0:
            return self._legend(width)
        if not self._names:
            text = words.nothing_to_draw(self._chart.runs.run) if y == 1 else ""
            return self.styled([(f" {text}", "muted")], width)
        row, line = divmod(y - 1 + round(self.scroll_y), self._height)
        base, strips = self.rich_style, list[Strip]()
        gap, blank = Strip.blank(1, base), Strip.blank(self._width, base)
        for index in range(row * self.columns, (row + 1) * self.columns):
            if index < len(self._names):
                drawn = self._drawn.get(self._names[index])
                if line == 0:
                    value = drawn.value if drawn else ""
                    strips.append(self.styled(self._heading(index, value), self._width))
                else:
                    has_line = drawn is not None and line <= len(drawn.strips)
                    strips.append(drawn.strips[line - 1] if drawn and has_line else blank)
                strips.append(gap)
        return Strip.join(strips).adjust_cell_length(width, base)

    def _heading(self, index: int, value: str) -> list[Span]:
        is_picked, width = index == self._index(), self._width
        sign, rule = ("> ", "-") if self._chart.ascii_only else ("▸ ", "─")
        label = metric_label(self._names[index])
        room = width - 2 - width_of(value) - 2
        label = label if width_of(label) <= room else fit(label, max(room, 1))
        style = ("accent" if self.has_focus else "strong") if is_picked else ""
        rest = max(width - 2 - width_of(label) - width_of(value) - 2, 0)
        return [
            (sign if is_picked else "  ", "accent"),
            (label, style),
            (f" {rule * rest} ", "muted"),
            (value, style),
        ]

    def _legend(self, width: int) -> Strip:
        chart = self._chart
        signs = ASCII if chart.ascii_only else UNICODE
        entries = words.run_keys(chart.runs.shown(overlay=chart.view.overlay), signs)
        base = self.rich_style
        segments, used = [Segment(" ", base)], 1
        for entry in entries:
            if used + entry.width > width:
                break
            shown = entry.in_ascii() if chart.ascii_only else entry
            segments += [Segment(text, chart.role_style(role)) for text, role in shown.parts]
            segments.append(Segment(" " * GAP, base))
            used += entry.width + GAP
        return Strip(segments).adjust_cell_length(width, base)

    def _entitle(self, metric: str) -> None:
        chart = self._chart
        separator = " - " if chart.ascii_only else " · "
        view = msgspec.structs.replace(chart.view, y=None)
        how = words.how(chart.runs.run, "loss", chart.axis, view)
        title = separator.join([words.subject(chart.runs, "Metrics", view), *how])
        subtitle = f"{self._index() + 1} of {len(self._names)}" if metric in self._names else ""
        if chart.ascii_only:
            title = title.encode("ascii", "replace").decode()
        entitle(self, f"{chart.number}{title}", subtitle)

    @property
    def _room(self) -> int:
        """Cells beside a scrollbar, whether there is one or not: the columns must not move."""
        return max(1, self.size.width - self.scrollbar_size_vertical)

    @property
    def _width(self) -> int:
        return max(1, (self._room + 1) // self.columns - 1)

    @property
    def _rows(self) -> int:
        return -(-len(self._names) // self.columns)

    @property
    def _visible_rows(self) -> int:
        """How many rows of charts are in sight at once."""
        fitting = max(1, (self.size.height - 1) // LEAST_HEIGHT)
        return max(1, min(fitting, self._rows))

    @property
    def _height(self) -> int:
        return max(2, (self.size.height - 1) // self._visible_rows)

    def _index(self) -> int:
        return self._names.index(self.metric) if self.metric in self._names else 0

    def _pick(self, index: int) -> None:
        self._chart.choose(self._names[index])

    def _fit(self) -> None:
        self.virtual_size = Size(self.size.width, self._rows * self._height + 1)

    def _keep_visible(self) -> None:
        if not self.size.height:  # no layout yet
            return
        top = self._index() // self.columns * self._height
        first, room = round(self.scroll_y), self._visible_rows * self._height
        if top < first or top + self._height > first + room:
            wanted = top if top < first else top + self._height - room
            self.scroll_to(y=wanted, animate=False, force=True, immediate=True)

    def _in_sight(self) -> Iterator[str]:
        first = round(self.scroll_y) // self._height
        last = -(-(round(self.scroll_y) + self.size.height - 1) // self._height)
        yield from self._names[first * self.columns : last * self.columns]

    def _draw_soon(self) -> None:
        if self._turn is None and self._is_shown:
            self._turn = self.set_timer(0.001, self._draw_some)

    @property
    def _is_shown(self) -> bool:
        """Whether neither the grid nor a pane around it is hidden."""
        around = (each for each in self.ancestors_with_self if isinstance(each, Widget))
        return self.is_attached and all(each.display for each in around)

    def _draw_some(self) -> None:
        """Draws charts in sight that changed, until the time is over."""
        self._turn = None
        runs = self._chart.runs
        if (
            not self._is_shown or not self.size.height or runs.is_behind
        ):  # more points follow at once
            return
        ends = time.monotonic() + TURN_SECONDS
        for name in list(self._in_sight()):
            for step in (
                self._is_current,
                self._prepare,
                self._draw,
            ):  # each takes a part of the time
                if step(name):
                    break
                if (now := time.monotonic()) > ends:
                    if now - self._shown_at > SHOW_SECONDS:
                        self._show_drawn()
                    self._draw_soon()
                    return
        self._show_drawn()

    def _show_drawn(self) -> None:
        """Puts the new drawings on the screen, all at once: each update composes whole lines."""
        self._shown_at = time.monotonic()
        if self._unshown:
            self.refresh(*self._unshown)
            self._unshown = []

    def _prepare(self, name: str) -> None:
        """Smooths the curves of a metric."""
        view = self._chart.view
        for each in self._chart.runs.shown(overlay=view.overlay):
            each.drawn(name, self._chart.axis, view.weight)

    def _is_current(self, name: str) -> bool:
        drawn = self._drawn.get(name)
        return drawn is not None and drawn.version == self._version(name)

    def _version(self, name: str) -> object:
        """What a chart depends on: size, view, and the number of points of its curves."""
        chart = self._chart
        view = msgspec.structs.replace(chart.view, metric=name, cursor=None, y=None, layout="grid")
        shown = chart.runs.shown(overlay=view.overlay)
        points = []
        for each in shown:
            curve = each.drawn(name, chart.axis, 0.0)
            points.append((each.version, len(curve.line.xs), len(curve.points.xs)))
        whole = chart.runs.whole(name, chart.axis, overlay=view.overlay)
        bad = chart.runs.run.nonfinite
        return (self._width, self._height), view, chart.axis, whole, bad, points

    def _draw(self, name: str) -> None:
        chart, version = self._chart, self._version(name)
        view = msgspec.structs.replace(chart.view, metric=name, cursor=None, y=None)
        spec = chart.spec_of(name, view)
        strips: list[Strip] = []
        if spec is not None:
            small = msgspec.structs.replace(spec, is_small=True)
            cells = plot(small, self._width, self._height - 1).rows
            strips = styled(cells, chart.role_style)
        found = chart.runs.run.latest(name)
        value = metric_text(name, found[1]) if found else ""
        self._drawn[name] = SmallChart(version, strips, value)
        self.drawings += 1
        row, column = divmod(self._names.index(name), self.columns)
        y = row * self._height - round(self.scroll_y) + 1
        self._unshown.append(Region(column * (self._width + 1), y, self._width, self._height))
