"""The workbench: the screen on one loop, its panes, its selection and its controllers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, cast

import msgspec
from textual import events
from textual.widget import Widget

from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import RunView
from tui_loop.core.snapshot import LoopSnapshot, SnapshotRequest
from tui_loop.core.workflow.draft import Draft
from tui_loop.tui.actions import ACTIONS, BY_ID
from tui_loop.tui.backend import Backend
from tui_loop.tui.chart.curves import ChartRun, chart_run
from tui_loop.tui.chart.pane import ChartPane
from tui_loop.tui.chart.plot import warm_up
from tui_loop.tui.chart.view import view_from
from tui_loop.tui.controllers.checks import ChecksController
from tui_loop.tui.controllers.comparison import ComparisonController, ProgressController
from tui_loop.tui.controllers.context import (
    MAX_MARKS,
    Context,
    SelectionState,
    remembered,
    with_remembered,
)
from tui_loop.tui.controllers.diagnosis import DiagnosisController
from tui_loop.tui.controllers.drafts import DraftsController
from tui_loop.tui.controllers.examples import ExamplesController
from tui_loop.tui.controllers.filters import FiltersController
from tui_loop.tui.controllers.iterations import IterationsController
from tui_loop.tui.controllers.jobs import JobsController
from tui_loop.tui.controllers.loop import LoopController
from tui_loop.tui.controllers.patterns import PatternsController
from tui_loop.tui.controllers.readiness import ReadinessController
from tui_loop.tui.controllers.runs import RunsController
from tui_loop.tui.controllers.unattended import AutopilotController, QueueController
from tui_loop.tui.keys import bindings, keys_of
from tui_loop.tui.services import AppServices, services_of
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import DRAFT, IterationsPane, IterationTable
from tui_loop.tui.widgets.log import LogPane
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.workbench.frame import Frame
from tui_loop.tui.workbench.header import status_line
from tui_loop.tui.workbench.layout import PANES, PaneState, mode_of

OPEN_WORDS = {"iterations": "details", "config": "change", "failures": "read"}
"""What enter does in a pane."""

NEIGHBOURS = {
    "iterations": {"right": "chart", "down": "config"},
    "config": {"up": "iterations", "right": "failures", "down": "log"},
    "chart": {"left": "iterations", "down": "failures"},
    "failures": {"left": "config", "up": "chart", "down": "log"},
    "log": {"up": "config", "left": "config", "right": "failures"},
}

LIVE_SECONDS, IDLE_SECONDS = 0.5, 2.0
MORE_SECONDS = 0.02
"""Between two polls: while something runs, else, and where the last one had no time for all."""


class Workbench(Frame):
    """Polls the loop, shows the snapshots in its panes, and owns the selection.

    A key names a method of a controller; a pane requests work with a message, which is passed on
    to a controller here.
    """

    BINDINGS = bindings("workbench")
    AUTO_FOCUS = "#iteration-table"

    def __init__(self, loop: LoopFolder, backend: Backend, number: int | None = None) -> None:
        super().__init__()
        self.loop, self.backend = loop, backend
        self.state = SelectionState(selected=number)
        self.snapshot: LoopSnapshot | None = None
        self.is_zoomed = False
        self._due: set[Callable[[], None]] = set()
        self._other_pane = "chart"
        self._wake = asyncio.Event()
        context = self.context = Context(self, self, loop, backend)
        self.drafts = DraftsController(context)
        self.autopilot = AutopilotController(context)
        self.jobs = JobsController(context)
        self.runs = RunsController(context, self.drafts, self.autopilot, self.jobs)
        self.examples = ExamplesController(context, self.drafts)
        self.filters = FiltersController(context)
        self.iterations = IterationsController(context, self.drafts, self.examples)
        self.comparison = ComparisonController(context, self.examples)
        self.diagnosis = DiagnosisController(context, self.drafts, self.comparison)
        self.queue = QueueController(context, self.drafts)
        self.progress = ProgressController(context, self.comparison, self.queue)
        self.patterns = PatternsController(context)
        self.readiness = ReadinessController(context)
        self.checks = ChecksController(context)
        self.loop_settings = LoopController(context, self.drafts)
        context.show_refusal = self.checks.show_refusal

    # --- the screen ---

    def first_pane(self) -> Pane:
        return IterationsPane()

    def on_mount(self) -> None:
        self.show_name(self.loop.name)
        self.lay_out()
        self.call_after_refresh(self._mount_panes)

    async def _mount_panes(self) -> None:
        """Mounts the other panes and starts to poll."""
        chart = ChartPane(ascii_only=self.services.is_ascii)
        config = ConfigPane(self.drafts.completions)
        await self.query_one("#panes").mount_all([chart, config, FailuresPane(), LogPane()])
        self.filters.restore()
        self._restore()
        self.takes_keys = True
        self.lay_out()
        self.set_focus(self._main(self.state.pane))
        self.run_worker(self._poll(), name="poll", exclusive=True, group="poll")

    @property
    def services(self) -> AppServices:
        return services_of(self)

    @property
    def pane_state(self) -> PaneState:
        config = self.query(ConfigPane)
        return PaneState(
            focus=self.state.pane,
            other=self._other_pane,
            is_live=self.snapshot is not None and self.snapshot.live is not None,
            is_zoomed=self.is_zoomed,
            config_rows=config.first().list.count if config else 0,
        )

    def on_unmount(self) -> None:
        """Remembers the selection; not with every key, which a disk would slow."""
        self.services.memory.put(self._memory_key, remembered(self.state))

    def on_resize(self, event: events.Resize) -> None:
        self.lay_out()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        within = [event.widget, *event.widget.ancestors]
        pane = next((each.id for each in within if each.id in PANES), None)
        if pane is not None:
            self._set_pane(pane)

    def lay_out(self) -> None:
        """Fits the panes; a config that is not in focus folds to its changes beside the others."""
        mode = mode_of(self.size, is_zoomed=self.is_zoomed)
        for config in self.query(ConfigPane):
            config.fold(mode == "all" and self.state.pane != "config")
        super().lay_out()
        self._show_keys()

    # --- the selection, of which this is the only writer ---

    def select(self, key: int | str, *, follow: bool = False) -> None:
        """Selects an iteration or the draft; `follow`: the selection follows the run."""
        followed = key if follow and isinstance(key, int) else None
        self._change(selected=key, followed_run=followed, follows_unattended=False, seen_live=None)
        if not self.context.is_leaving():
            table = self.query_one(IterationTable)
            if table.count and table.key_of(table.cursor) != key:
                table.rows_changed(key)
            self._soon(self._show_selection)

    def _soon(self, show: Callable[[], None]) -> None:
        """Calls `show` once after the next frame, so that a key in between is handled first."""

        def called() -> None:
            self._due.discard(show)
            show()

        if not self.is_current:  # nothing is drawn below another screen
            show()
        elif show not in self._due:
            self._due.add(show)
            self.call_after_refresh(called)

    def _show_selection(self) -> None:
        if not self.context.is_leaving():
            self._show_snapshot()
            self.poll_now()

    def follow_unattended(self) -> None:
        """Lets the selection follow the runs of auto or the queue, until another is selected."""
        self._change(follows_unattended=True, seen_live=None)

    def toggle_mark(self, number: int) -> None:
        """Marks an iteration, or removes its mark; of too many marks the oldest goes."""
        others = tuple(each for each in self.state.marked if each != number)
        is_new = number not in self.state.marked
        self._change(marked=(*others, number)[-MAX_MARKS:] if is_new else others)
        self._show_snapshot()
        self.poll_now()

    def replace_draft(self, draft: Draft | None, *, is_unsaved: bool = False) -> None:
        """Puts another draft in place of the one that is edited."""
        edits = self.state.draft_edits + 1
        self._change(draft=draft, draft_edits=edits, is_draft_unsaved=is_unsaved)
        if not self.context.is_leaving():
            self._show_snapshot()

    def go_to(self, pane: str) -> None:
        """Gives the focus to a pane."""
        self.action_pane(pane)

    def poll_now(self) -> None:
        """Reads the record again at once."""
        self._wake.set()

    def _change(self, **values: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **values)

    def _restore(self) -> None:
        """Selects and marks what was selected and marked when this loop was open last."""
        known = with_remembered(self.state, self.services.memory.get(self._memory_key))
        if self.state.selected is not None:  # the command line names an iteration
            known = msgspec.structs.replace(known, selected=self.state.selected)
        self.state = known
        chart = self.services.memory.get(self._chart_key)
        self.query_one(ChartPane).restore(view_from(chart))

    @property
    def _chart_key(self) -> str:
        return f"chart {self.loop.path.resolve()}"

    @property
    def _memory_key(self) -> str:
        return f"workbench {self.loop.path.resolve()}"

    def _set_pane(self, pane: str) -> None:
        if pane != self.state.pane:
            if pane != "iterations":
                self._other_pane = pane
            self._change(pane=pane)
            self.lay_out()

    # --- polling ---

    async def _poll(self) -> None:
        await asyncio.to_thread(warm_up)
        while not self.context.is_leaving():
            self._wake.clear()
            edits, request = self.state.draft_edits, self._request()
            snapshot = await asyncio.to_thread(self.context.poller.poll, request)
            if self.context.is_leaving():
                return
            self._take(snapshot, edits)
            if self._request() != request:  # what is shown first has put other rows in view
                self._wake.set()
            pause = LIVE_SECONDS if self.context.hosted_or_live else IDLE_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._wake.wait(), pause if snapshot.is_complete else MORE_SECONDS
                )

    def _request(self) -> SnapshotRequest:
        return SnapshotRequest(self.state.shown_number, self.state.marked, self.rows_in_view())

    def rows_in_view(self) -> tuple[int, ...]:
        """Returns the numbers of the iterations on the screen."""
        table = self.query_one(IterationTable)
        rows = (table.key_of(index) for index in table.visible_rows())
        return tuple(row for row in rows if isinstance(row, int))

    def _take(self, snapshot: LoopSnapshot, edits: int) -> None:
        """Shows a snapshot; its draft counts unless it was edited since the poll began."""
        self.snapshot = snapshot
        if edits == self.state.draft_edits and not self.state.is_draft_unsaved:
            self._change(draft=snapshot.draft)
        self._follow_or_choose(snapshot)
        self._show_snapshot()
        self.runs.report_ends(snapshot)
        for controller in (
            self.autopilot,
            self.diagnosis,
            self.patterns,
            self.jobs,
            self.progress,
            self.readiness,
            self.queue,
        ):
            controller.refresh()

    def _follow_or_choose(self, snapshot: LoopSnapshot) -> None:
        """Follows a run that was started here; selects something in the first snapshot."""
        state = self.state
        numbers = [each.number for each in snapshot.iterations]
        live = snapshot.live.number if snapshot.live is not None else None
        followed = state.followed_run
        is_followed = followed is not None and live is not None and live <= followed
        if state.follows_unattended and live is not None:
            is_followed = True
        if is_followed and live != state.seen_live:
            self._change(selected=live, seen_live=live)
        marked = tuple(each for each in state.marked if each in numbers)
        if marked != state.marked:  # the loop of that name is another one by now
            self._change(marked=marked)
        if self.state.selected is None or self.state.selected not in (DRAFT, *numbers):
            newest = numbers[-1] if numbers else DRAFT
            self._change(selected=live if live is not None else newest)

    def _show_snapshot(self) -> None:
        snapshot, state = self.snapshot, self.state
        if snapshot is None:
            return
        if snapshot.draft is not state.draft:
            snapshot = msgspec.structs.replace(snapshot, draft=state.draft)
        self.query_one(IterationsPane).show(snapshot, state.marked, state.selected)
        self.query_one(ConfigPane).show(snapshot, self.context.iteration, state.draft)
        self.query_one(FailuresPane).show(snapshot)
        self.query_one(LogPane).show(snapshot)
        self._soon(self._show_chart)
        hosted, width = self.backend.hosted(), self.size.width
        status = status_line(snapshot, time.time(), hosted, width=width)
        self.query_one("#status", Bar).show(*status)
        self.lay_out()

    def _show_chart(self) -> None:
        """Shows the curves, whose drawing takes as long as that of all other panes."""
        snapshot = self.snapshot
        if snapshot is None or self.context.is_leaving():
            return

        def drawn(view: RunView) -> ChartRun:
            return chart_run(self.loop.name, view, snapshot.iteration(view.number))

        selected = snapshot.selected
        overlays = [view for view in snapshot.marked if view is not selected]
        self.query_one(ChartPane).show(
            drawn(selected) if selected is not None else None, [drawn(view) for view in overlays]
        )

    # --- messages of the panes ---

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        if isinstance(event.rows, IterationTable):
            self.select(cast(int | str, event.rows.key_of(event.index)))

    def on_row_list_opened(self, event: RowList.Opened) -> None:
        if isinstance(event.rows, IterationTable):
            self.iterations.open()

    async def on_config_pane_edited(self, event: ConfigPane.Edited) -> None:
        before = self.state.draft
        await self.drafts.save(event.draft)
        self.checks.check_edit(before, event.draft)

    def on_config_pane_refused(self, event: ConfigPane.Refused) -> None:
        self.context.notify(event.text)

    def on_config_pane_reset_wanted(self) -> None:
        self.drafts.reset()

    def on_failures_pane_opened(self) -> None:
        self.examples.open()

    def on_failures_pane_breakdown_wanted(self) -> None:
        self.filters.open()

    def on_chart_pane_view_changed(self, event: ChartPane.ViewChanged) -> None:
        self.services.memory.put(self._chart_key, event.view.to_json())

    def on_iterations_pane_chosen(self, event: IterationsPane.Chosen) -> None:
        self.filters.remember_iterations(event.choice)

    def on_failures_pane_chosen(self, event: FailuresPane.Chosen) -> None:
        self.filters.remember(event.choice)

    # --- keys ---

    def action_call(self, controller: str, method: str) -> None:
        """Calls a method of a controller."""
        getattr(getattr(self, controller), method)()

    def action_pane(self, name: str) -> None:
        if not self.takes_keys:
            return
        self._set_pane(name)
        self.set_focus(self._main(name))  # at once: the next key is for it

    def action_step_pane(self, step: int) -> None:
        self.action_pane(PANES[(PANES.index(self.state.pane) + step) % len(PANES)])

    def action_neighbour(self, direction: str) -> None:
        if mode_of(self.size, is_zoomed=self.is_zoomed) != "all":
            self.action_step_pane(-1 if direction in ("left", "up") else 1)
        elif to := NEIGHBOURS[self.state.pane].get(direction):
            self.action_pane(to)

    def action_zoom(self) -> None:
        self.is_zoomed = not self.is_zoomed
        self.lay_out()

    def action_back(self) -> None:
        """Leaves the innermost thing that is open: the editor, a search, evidence, a zoom."""
        config = self.query_one(ConfigPane)
        if config.is_editing:
            config.editor.close()
            return
        for pane in (self.query_one(name) for name in (IterationsPane, FailuresPane, LogPane)):
            if (pane.field.is_open or pane.id == self.state.pane) and pane.leave_search():
                return
        if self.diagnosis.return_from_evidence():
            return
        if self.state.pane == "chart" and self.query_one(ChartPane).leave_view():
            return
        if self.is_zoomed:
            self.action_zoom()

    def action_select(self, step: int) -> None:
        table = self.query_one(IterationTable)
        table.set_cursor(table.cursor + step, direction=step)

    def action_open_loop(self) -> None:
        self.services.pick_loop()

    @property
    def scopes(self) -> tuple[str, ...]:
        """Returns the scopes whose actions are available, the nearest first."""
        lists = () if self.state.pane == "chart" else ("list",)
        return (self.state.pane, "workbench", *lists, "app")

    def home_of(self, scope: str) -> Widget:
        """Returns the widget whose methods the actions of a scope are."""
        if scope in PANES:
            return self.query_one(f"#{scope}")
        return self._main(self.state.pane) if scope == "list" else self

    def _show_keys(self) -> None:
        """Shows the keys that can be used now: the pane's own first, then those of the loop."""
        keymap = self.services.keys
        pieces = [Piece(" ")]
        word = OPEN_WORDS.get(self.state.pane)
        if word and not (self.state.pane == "config" and self.state.selected != DRAFT):
            pieces.append(Piece(keys_of(BY_ID["list.open"], keymap)[0], "accent"))
            pieces.append(Piece(f" {word}  ", "muted", "app.perform('list.open')"))
        for scope in (self.state.pane, "workbench"):
            for action in ACTIONS:
                if action.scope == scope and action.short and not self.why_not(action.id):
                    pieces.append(Piece(keys_of(action, keymap)[0], "accent"))
                    call = f"app.perform('{action.id}')"
                    pieces.append(Piece(f" {action.short}  ", "muted", call))
        right = []
        for name, word in (("leader", "more  "), ("help", "help  "), ("commands", "commands ")):
            action = BY_ID[f"app.{name}"]
            right.append(Piece(f"{keys_of(action, keymap)[0]} ", "accent"))
            right.append(Piece(word, "muted", f"app.{action.call}"))
        self.query_one("#keys", Bar).show(pieces, right)

    def why_not(self, action: str) -> str:
        """Returns why an action can do nothing now, "" where it can."""
        is_live = self.snapshot is not None and self.snapshot.live is not None
        unattended = self.snapshot.unattended if self.snapshot is not None else None
        if action in LIVE_ONLY and not is_live:
            return "nothing is running"
        if action == "run.stop" and not is_live and unattended is None:
            return "nothing is running"
        if action in IDLE_ONLY and is_live:
            return "a run is live"
        if action in DRAFT_ONLY and self.state.selected != DRAFT:
            return "this config has run"
        return ""

    def _main(self, pane: str) -> Widget:
        widget = self.query_one(f"#{pane}")
        return widget.main if isinstance(widget, Pane) else widget


LIVE_ONLY = ("run.pause", "run.evaluate", "run.checkpoint")
IDLE_ONLY = ("run.start", "run.resume")
DRAFT_ONLY = ("config.choice", "config.reset", "config.reset_all", "config.problem")
"""Actions that need a live run, no live run, or the draft."""
