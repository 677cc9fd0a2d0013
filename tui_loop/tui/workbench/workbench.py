"""The workbench: the five panes on one loop, all at once or one at a time."""

from __future__ import annotations

import time
from typing import cast

import msgspec
from textual import events
from textual.widget import Widget

from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import diverged_at
from tui_loop.core.snapshot import LoopSnapshot
from tui_loop.tui.actions import ACTIONS, BY_ID, bindings, keys_of
from tui_loop.tui.backend import Backend
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.chart.pane import ChartPane
from tui_loop.tui.status import status_line
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import IterationsPane, IterationTable, is_live
from tui_loop.tui.widgets.log import LogPane
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.workbench.again import Again
from tui_loop.tui.workbench.automating import Automating
from tui_loop.tui.workbench.checking import Checking
from tui_loop.tui.workbench.diagnosing import Diagnosing
from tui_loop.tui.workbench.ending import Ending
from tui_loop.tui.workbench.filtering import Filtering
from tui_loop.tui.workbench.frame import PANES
from tui_loop.tui.workbench.patterns import Learning
from tui_loop.tui.workbench.progressing import Progressing
from tui_loop.tui.workbench.reading import Reading
from tui_loop.tui.workbench.ready import ReadyReading
from tui_loop.tui.workbench.training import TrainingReading

OPEN_WORDS = {"iterations": "details", "config": "change", "failures": "read"}
"""What enter does in a pane."""

NEIGHBOURS = {
    "iterations": {"right": "chart", "down": "config"},
    "config": {"up": "iterations", "right": "failures", "down": "log"},
    "chart": {"left": "iterations", "down": "failures"},
    "failures": {"left": "config", "up": "chart", "down": "log"},
    "log": {"up": "config", "left": "config", "right": "failures"},
}
CHART_SECONDS = 1.0
"""A chart of a live run is drawn at most this often."""


class Workbench(
    Reading,
    TrainingReading,
    Filtering,
    Again,
    Diagnosing,
    Learning,
    ReadyReading,
    Progressing,
    Automating,
    Checking,
    Ending,
):
    """Composes the panes, shows them the snapshot, and moves between them."""

    BINDINGS = bindings("workbench")
    AUTO_FOCUS = "#iteration-table"

    def __init__(self, loop: LoopFolder, backend: Backend, number: int | None = None) -> None:
        super().__init__(loop, backend, number)
        self._charted_at = 0.0
        self._charted: object = None

    def first_pane(self) -> Pane:
        return IterationsPane()

    def on_mount(self) -> None:
        self.name_loop(self.loop.name)
        self.lay_out()
        self.call_after_refresh(self._furnish)

    async def _furnish(self) -> None:
        """Mounts the other panes, and begins to look."""
        chart = ChartPane(ascii_only=self.services.is_ascii)
        await self.query_one("#panes").mount_all([chart, ConfigPane(), FailuresPane(), LogPane()])
        self.restore_filter()
        self.takes_keys = True
        self.lay_out()
        self.begin_looking()

    def on_resize(self, event: events.Resize) -> None:
        self.lay_out()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        within = [event.widget, *event.widget.ancestors]
        self.current = next((each.id for each in within if each.id in PANES), None) or self.current
        self.lay_out()

    def show_snapshot(self) -> None:
        snapshot = self.snapshot
        if snapshot is None:
            return
        if snapshot.draft is not self.draft:
            snapshot = msgspec.structs.replace(snapshot, draft=self.draft)
        self.query_one(IterationsPane).show(snapshot, self.marked, self.selected)
        self.query_one(ConfigPane).show(snapshot, self.iteration, self.draft)
        self.query_one(FailuresPane).show(snapshot)
        self.query_one(LogPane).show(snapshot)
        self._show_chart(snapshot)
        self.query_one("#status", Bar).show(
            *status_line(snapshot, time.time(), self.backend.hosted())
        )
        self._show_keys()
        self.look_at_diagnosis_again()
        self.look_at_patterns_again()
        self.look_at_progress_again()
        self.look_at_ready_again()

    def rows_in_view(self) -> tuple[int, ...]:
        table = self.query_one(IterationTable)
        rows = (table.key_of(index) for index in table.visible_rows())
        return tuple(row for row in rows if isinstance(row, int))

    def go_to(self, pane: str) -> None:
        self.action_pane(pane)

    def select(self, key: int | str) -> None:
        self.selected = key
        table = self.query_one(IterationTable)
        if table.count and table.key_of(table.cursor) != key:
            table.rows_changed(key)
        self.show_snapshot()
        self._wake.set()

    def action_pane(self, name: str) -> None:
        if not self.takes_keys:
            return
        self.current = name
        self.lay_out()
        self._main(name).focus()

    def action_step_pane(self, step: int) -> None:
        self.action_pane(PANES[(PANES.index(self.current) + step) % len(PANES)])

    def action_neighbour(self, direction: str) -> None:
        if self.has_class("-single"):
            self.action_step_pane(-1 if direction in ("left", "up") else 1)
        elif to := NEIGHBOURS[self.current].get(direction):
            self.action_pane(to)

    def action_zoom(self) -> None:
        self.is_zoomed = not self.is_zoomed
        self.lay_out()

    def action_back(self) -> None:
        """Leaves the innermost thing that is open: the editor, a search, the zoom."""
        config = self.query_one(ConfigPane)
        if config.is_editing:
            config.editor.close()
            return
        for pane in (self.query_one(FailuresPane), self.query_one(LogPane)):
            if (pane.field.is_open or pane.id == self.current) and pane.leave_search():
                return
        if self.is_zoomed:
            self.action_zoom()
        else:
            self.return_to_diagnosis()

    def action_select(self, step: int) -> None:
        table = self.query_one(IterationTable)
        table.set_cursor(table.cursor + step, direction=step)

    def action_open_loop(self) -> None:
        self.services.pick_loop()

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        if isinstance(event.rows, IterationTable):
            self.follows_run = None
            self.select(cast(int | str, event.rows.key_of(event.index)))

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that are at hand, the nearest first."""
        lists = () if self.current == "chart" else ("list",)
        return (self.current, "workbench", *lists, "app")

    def home_of(self, scope: str) -> Widget:
        """The widget whose methods the actions of a scope are."""
        if scope in PANES:
            return self.query_one(f"#{scope}")
        return self._main(self.current) if scope == "list" else self

    def _show_chart(self, snapshot: LoopSnapshot) -> None:
        key = (
            snapshot.selected.number if snapshot.selected else None,
            snapshot.marked.number if snapshot.marked else None,
            bool(snapshot.live),
        )
        now = time.monotonic()
        if key == self._charted and snapshot.live and now - self._charted_at < CHART_SECONDS:
            return
        self._charted, self._charted_at = key, now
        chart = self.query_one(ChartPane)
        marked = _chart_run(self.loop, snapshot, "marked")
        chart.show(_chart_run(self.loop, snapshot, "selected"), (marked,) if marked else ())

    def lay_out(self) -> None:
        super().lay_out()
        self._show_keys()

    def _show_keys(self) -> None:
        """The keys that matter here: the pane's own first, then those of the loop."""
        keymap = self.services.keys
        live = self.snapshot is not None and self.snapshot.live is not None
        pieces = [Piece(" ")]
        if word := OPEN_WORDS.get(self.current):
            pieces.append(Piece(keys_of(BY_ID["list.open"], keymap)[0], "accent"))
            pieces.append(Piece(f" {word}  ", "muted", self._call_of("list.open")))
        for scope in (self.current, "workbench"):
            for action in ACTIONS:
                hidden = action.id == ("run.start" if live else "run.stop")
                if action.scope == scope and action.short and not hidden:
                    pieces.append(Piece(keys_of(action, keymap)[0], "accent"))
                    pieces.append(Piece(f" {action.short}  ", "muted", self._call_of(action.id)))
        right = [Piece("? ", "accent"), Piece("help  ", "muted", "app.help")]
        right += [Piece(": ", "accent"), Piece("commands ", "muted", "app.command_palette")]
        self.query_one("#keys", Bar).show(pieces, right)

    def _call_of(self, name: str) -> str:
        return f"app.perform('{name}')"

    def _main(self, pane: str) -> Widget:
        widget = self.query_one(f"#{pane}")
        return widget.main if isinstance(widget, Pane) else widget


def _chart_run(loop: LoopFolder, snapshot: LoopSnapshot, which: str) -> ChartRun | None:
    view = snapshot.selected if which == "selected" else snapshot.marked
    if view is None:
        return None
    iteration = snapshot.iteration(view.number)
    return ChartRun(
        key=f"{loop.name}/{view.number}",
        label=str(view.number),
        metrics=view.run.metrics,
        evaluations=view.run.evaluations,
        is_live=is_live(iteration) or (iteration is not None and iteration.state == "queued"),
        diverged_at=diverged_at(iteration),
    )
