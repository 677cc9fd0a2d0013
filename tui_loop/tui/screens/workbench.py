"""The workbench: the five panes on one loop, all at once or one at a time."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, cast

import msgspec
from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.widget import Widget

from tui_loop.core.draft import (
    Draft,
    draft_text,
    drop_draft,
    new_draft,
    read_draft,
    write_draft,
)
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.fields import as_setting
from tui_loop.core.files import write_atomically
from tui_loop.core.observer import LoopObserver, LoopSnapshot, Wanted
from tui_loop.core.records import Example, Iteration
from tui_loop.core.requests import ask
from tui_loop.core.store import LoopFolder
from tui_loop.tui.actions import ACTIONS, bindings, keys_of
from tui_loop.tui.backend import Backend, Preview
from tui_loop.tui.cells import flat
from tui_loop.tui.screens.ask import AskScreen
from tui_loop.tui.screens.compare import CompareScreen, compare_lines
from tui_loop.tui.screens.details import detail_lines
from tui_loop.tui.screens.example import ExampleScreen, OneExample
from tui_loop.tui.screens.reading import ReadingScreen
from tui_loop.tui.screens.run_dialog import RunDialog
from tui_loop.tui.status import status_line
from tui_loop.tui.widgets.bar import Bar, Piece
from tui_loop.tui.widgets.chart import ChartRun, LossChart
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.field_list import WHY
from tui_loop.tui.widgets.iterations import DRAFT, IterationsPane, IterationTable, is_live
from tui_loop.tui.widgets.log import LogPane
from tui_loop.tui.widgets.pane import Pane
from tui_loop.tui.widgets.row_list import RowList

if TYPE_CHECKING:
    from tui_loop.tui.app import LoopApp

PANES = ("iterations", "config", "chart", "failures", "log")
NAMES = ("Iterations", "Config", "Chart", "Failures", "Log")
NEIGHBOURS = {
    "iterations": {"right": "chart", "down": "config"},
    "config": {"up": "iterations", "right": "failures", "down": "log"},
    "chart": {"left": "iterations", "down": "failures"},
    "failures": {"left": "config", "up": "chart", "down": "log"},
    "log": {"up": "config", "left": "config", "right": "failures"},
}
WIDE, HIGH = 120, 32
"""From this size on, all panes are shown at once."""

LIVE_SECONDS = 0.5
IDLE_SECONDS = 2.0
CHART_SECONDS = 1.0
"""A chart of a live run is drawn at most this often."""


class ChartPane(LossChart):
    """The chart as a pane."""

    BINDINGS = bindings("chart")
    scope = "chart"
    DEFAULT_CSS = """
    ChartPane {
        border: round $frame;
        background: $background;
        border-title-color: $foreground;
        border-title-style: bold;
        border-subtitle-color: $tone-muted;
        &:focus { border: round $tone-accent; border-title-color: $tone-accent; }
    }
    """


class Workbench(Screen[None]):
    """One loop: looks at its record again and again and shows it; asks the backend to run."""

    BINDINGS = bindings("workbench")
    AUTO_FOCUS = "#iteration-table"
    DEFAULT_CSS = """
    Workbench {
        background: $background;
        & > #panes {
            height: 1fr;
            layout: grid;
            grid-size: 2 3;
            grid-columns: 21fr 29fr;
            grid-rows: 9fr 11fr 7;
            & > #log { column-span: 2; }
        }
        & > #tabs { display: none; }
        &.-single {
            & > #tabs { display: block; }
            & > #panes { layout: vertical; }
            & > #panes > * { display: none; height: 1fr; }
            & > #panes > .-current { display: block; }
        }
    }
    """

    def __init__(self, loop: LoopFolder, backend: Backend, number: int | None = None) -> None:
        super().__init__()
        self.loop, self.backend = loop, backend
        self.observer = LoopObserver(loop)
        self.snapshot: LoopSnapshot | None = None
        self.draft: Draft | None = None
        self.selected: int | str | None = number
        self.marked: int | None = None
        self.current = "iterations"
        self.is_zoomed = False
        self._wake = asyncio.Event()
        self._edits = 0
        self._charted_at = 0.0
        self._charted: object = None
        self._follows_run = False
        self._seen_live: int | None = None

    def compose(self) -> ComposeResult:
        yield Bar(id="status")
        yield Bar(id="tabs")
        with Container(id="panes"):
            yield IterationsPane()
            yield ChartPane(id="chart", ascii_only=cast("LoopApp", self.app).is_ascii)
            yield ConfigPane()
            yield FailuresPane()
            yield LogPane()
        yield Bar(id="keys")

    def on_mount(self) -> None:
        self.query_one("#status", Bar).show([Piece(f" {self.loop.name} ", "strong")])
        self._lay_out()
        self.call_after_refresh(self._begin)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        for pane in PANES:
            widget = self.query_one(f"#{pane}")
            if event.widget is widget or widget in event.widget.ancestors:
                self.current = pane
        self._lay_out()

    # what is shown

    def look_again(self) -> None:
        """Has the record looked at at once."""
        self._wake.set()

    def _begin(self) -> None:
        self.run_worker(self._observe(), name="observe", exclusive=True, group="observe")

    async def _observe(self) -> None:
        while True:
            self._wake.clear()
            edits = self._edits
            snapshot = await asyncio.to_thread(self.observer.look, self._wanted())
            if edits == self._edits:
                self.draft = snapshot.draft
            self.snapshot = snapshot
            self._choose_first()
            self._show()
            self._tell_fault()
            pause = LIVE_SECONDS if snapshot.live else IDLE_SECONDS
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause if snapshot.is_complete else 0.02)

    def _wanted(self) -> Wanted:
        table = self.query_one(IterationTable)
        rows = (table.key_of(index) for index in table.visible_rows())
        numbers = tuple(row for row in rows if isinstance(row, int))
        return Wanted(self._shown_number(), self.marked, numbers)

    def _shown_number(self) -> int | None:
        """The iteration that chart, failures and log show: of a draft, the one it derives from."""
        if isinstance(self.selected, int):
            return self.selected
        return self.draft.parent if self.draft is not None else None

    def _choose_first(self) -> None:
        """Selects something on the first look, and goes along with a run that was started here."""
        assert self.snapshot is not None
        numbers = [each.number for each in self.snapshot.iterations]
        live = self.snapshot.live.number if self.snapshot.live else None
        if self._follows_run and live is not None and live != self._seen_live:
            self.selected = self._seen_live = live
            self._wake.set()
        if self.selected is None or (self.selected != DRAFT and self.selected not in numbers):
            newest = numbers[-1] if numbers else DRAFT
            self.selected = live if live is not None else newest
            self._wake.set()

    def _show(self) -> None:
        snapshot = self.snapshot
        if snapshot is None:
            return
        if snapshot.draft is not self.draft:
            snapshot = msgspec.structs.replace(snapshot, draft=self.draft)
        self.query_one(IterationsPane).show(snapshot, self.marked, self.selected)
        self.query_one(ConfigPane).show(snapshot, self._selected_iteration(), self.draft)
        self.query_one(FailuresPane).show(snapshot)
        self.query_one(LogPane).show(snapshot)
        self._show_chart(snapshot)
        self.query_one("#status", Bar).show(*status_line(snapshot, time.time()))
        self._show_keys()

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
        chart.show(
            _chart_run(self.loop, snapshot, "selected"), _chart_run(self.loop, snapshot, "marked")
        )

    def _selected_iteration(self) -> Iteration | None:
        number = self.selected if isinstance(self.selected, int) else None
        return self.snapshot.iteration(number) if self.snapshot else None

    def _tell_fault(self) -> None:
        fault = self.backend.take_fault()
        if fault is not None:
            self._tell(fault)

    def _tell(self, error: TuiLoopError) -> None:
        text = f"{flat(error.message, 600)}\n{flat(error.hint, 300)}".strip()
        self.notify(text, severity="error", timeout=15, markup=False)

    def _say(self, text: str) -> None:
        self.notify(flat(text, 400), markup=False)

    # layout

    def _lay_out(self) -> None:
        all_at_once = self.size.width >= WIDE and self.size.height >= HIGH and not self.is_zoomed
        self.set_class(not all_at_once, "-single")
        for pane in PANES:
            self.query_one(f"#{pane}").set_class(pane == self.current, "-current")
        tabs = [
            Piece(
                f" {number} {name} ", "mark" if pane == self.current else "muted", f"pane('{pane}')"
            )
            for number, (pane, name) in enumerate(zip(PANES, NAMES, strict=True), 1)
        ]
        self.query_one("#tabs", Bar).show(tabs)
        self._show_keys()

    def _show_keys(self) -> None:
        """The keys that matter here: the pane's own first, then those of the loop."""
        keymap = cast("LoopApp", self.app).keys
        live = self.snapshot is not None and self.snapshot.live is not None
        pieces = [Piece(" ")]
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

    def home_of(self, scope: str) -> Widget:
        """The widget whose methods the actions of a scope are."""
        if scope in PANES:
            return self.query_one(f"#{scope}")
        return self._main(self.current) if scope == "list" else self

    def _main(self, pane: str) -> Widget:
        widget = self.query_one(f"#{pane}")
        return widget.main if isinstance(widget, Pane) else widget

    @property
    def scopes(self) -> tuple[str, ...]:
        """The scopes that are at hand, the nearest first."""
        lists = () if self.current == "chart" else ("list",)
        return (self.current, "workbench", *lists, "app")

    # going about

    def action_pane(self, name: str) -> None:
        self.current = name
        self._lay_out()
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
        self._lay_out()

    def action_back(self) -> None:
        config = self.query_one(ConfigPane)
        if config.is_editing:
            config.close_editor()
            return
        for pane in (self.query_one(FailuresPane), self.query_one(LogPane)):
            if pane.field.has_class("-open") or (pane.field.value and pane.id == self.current):
                pane.close_field(clear=True)
                return
        if self.is_zoomed:
            self.action_zoom()

    def action_select(self, step: int) -> None:
        table = self.query_one(IterationTable)
        table.set_cursor(table.cursor + step, direction=step)

    def on_row_list_moved(self, event: RowList.Moved) -> None:
        if isinstance(event.rows, IterationTable):
            self._follows_run = False
            self._select(cast(int | str, event.rows.key_of(event.index)))

    def _select(self, key: int | str) -> None:
        self.selected = key
        self.query_one(IterationsPane).show_note()
        if self.snapshot is not None:
            self.query_one(ConfigPane).show(self.snapshot, self._selected_iteration(), self.draft)
        self._wake.set()

    async def on_row_list_opened(self, event: RowList.Opened) -> None:
        if not isinstance(event.rows, IterationTable):
            return
        iteration = self._selected_iteration()
        if iteration is None or self.snapshot is None:
            self.action_pane("config")
            return
        notes = await asyncio.to_thread(self.loop.iteration(iteration.number).read_notes)
        compared = self.snapshot.compared.get(iteration.number)
        title = f"{self.loop.name}/{iteration.number}"
        self.app.push_screen(ReadingScreen(title, detail_lines(iteration, compared, notes)))

    # the draft

    async def on_config_pane_edited(self, event: ConfigPane.Edited) -> None:
        await self._save_draft(event.draft)

    def on_config_pane_refused(self, event: ConfigPane.Refused) -> None:
        self._say(event.text)

    def on_config_pane_reset_wanted(self) -> None:
        draft = self.draft
        if draft is None or not draft.changed:
            self._say("nothing has been changed")
            return

        def answered(answer: str | None) -> None:
            if answer == "reset":
                self.run_worker(self._save_draft(draft.reset()), group="draft")

        count = len(draft.changed)
        self.app.push_screen(
            AskScreen(
                "Undo all changes?",
                [[(f"{count} field{'s' if count > 1 else ''} go back to the parent's", "")]],
                [("u", "undo them", "reset"), ("k", "keep them", "")],
            ),
            answered,
        )

    async def _save_draft(self, draft: Draft) -> None:
        """Keeps the draft, in memory first, then on disk."""
        self._edits += 1
        self.draft = draft
        self._show()
        try:
            self.draft = await asyncio.to_thread(write_draft, self.loop, draft)
        except OSError as error:
            self.notify(
                f"draft.toml cannot be written: {flat(str(error), 200)}; it is kept in memory",
                severity="error",
                markup=False,
            )
            return
        self._edits += 1
        self._wake.set()

    def action_draft(self) -> None:
        """Drafts the next iteration from the selected one; asks before a draft is replaced."""
        iteration = self._selected_iteration()
        if iteration is None:
            self.action_pane("config")
            return
        if iteration.config is None:
            self._say(f"{iteration.number} cannot be read, so nothing can be drafted from it")
            return
        if self.draft is None or not (self.draft.changed or self.draft.why):
            self.run_worker(self._draft_from(iteration.number), group="draft")
            return

        def answered(answer: str | None) -> None:
            if answer == "replace":
                self.run_worker(self._draft_from(iteration.number), group="draft")

        changed = ", ".join(name.partition(".")[2] for name in self.draft.changed)
        self.app.push_screen(
            AskScreen(
                "There is a draft already",
                [[("it changes ", "muted"), (changed or "nothing yet, but gives a reason", "")]],
                [
                    ("r", f"replace it by one from {iteration.number}", "replace"),
                    ("e", "keep it", ""),
                ],
            ),
            answered,
        )

    async def _draft_from(self, number: int) -> None:
        try:
            draft = await asyncio.to_thread(new_draft, self.loop, number)
        except TuiLoopError as error:
            self._tell(error)
            return
        self.selected = DRAFT
        await self._save_draft(draft)
        self.query_one(IterationsPane).table.rows_changed(DRAFT)
        self._show()
        self.action_pane("config")

    # running

    def action_run(self) -> None:
        snapshot, draft = self.snapshot, self.draft
        if snapshot is None:
            return
        if snapshot.live is not None or self.backend.hosted():
            running = snapshot.live.number if snapshot.live else self.backend.hosted()
            self._say(f"{running} is running: the draft waits, s stops the run")
            return
        if draft is None:
            self._say(snapshot.draft_problem or snapshot.problem or "there is no draft to run")
            return
        if draft.problems:
            self._select_draft()
            self.action_pane("config")
            self.query_one(ConfigPane).action_next_problem()
            count = len(draft.problems)
            self._say(f"{count} problem{'s' if count > 1 else ''} in the draft: n goes to the next")
            return
        number = max((each.number for each in snapshot.iterations), default=0) + 1
        dialog = RunDialog(draft, number, draft.config.model.id)
        self.app.push_screen(dialog, self._run_answered)
        self.run_worker(self._preview(dialog, draft), group="preview", exclusive=True)

    async def _preview(self, dialog: RunDialog, draft: Draft) -> None:
        found: Preview | TuiLoopError
        try:
            found = await asyncio.to_thread(self.backend.preview, self.loop, draft)
        except TuiLoopError as error:
            found = error
        if dialog.is_attached:
            dialog.show(found)

    def _run_answered(self, why: str | None) -> None:
        if why is not None and self.draft is not None:
            self.run_worker(self._start(self.draft.with_why(why)), group="start", exclusive=True)

    async def _start(self, draft: Draft) -> None:
        try:
            number = await asyncio.to_thread(self.backend.start, self.loop, draft)
            await asyncio.to_thread(drop_draft, self.loop)
        except (TuiLoopError, OSError) as error:
            await self._save_draft(draft)
            self._tell(error if isinstance(error, TuiLoopError) else TuiLoopError(str(error)))
            return
        self.draft = None
        self._edits += 1
        self.selected, self._follows_run, self._seen_live = number, True, None
        self._wake.set()
        self.action_pane("chart")

    def _select_draft(self) -> None:
        self.selected = DRAFT
        self.query_one(IterationTable).rows_changed(DRAFT)
        self._select(DRAFT)

    def action_stop(self) -> None:
        live = self.snapshot.live if self.snapshot else None
        if live is None:
            self._say("nothing is running")
            return
        if live.state == "stopping":
            self._say(f"{live.number} is stopping: it ends at the next step or batch")
            return
        number, attempt = live.number, live.run.attempt

        def answered(answer: str | None) -> None:
            if answer:
                self.run_worker(self._ask_stop(number, attempt, answer), group="stop")

        self.app.push_screen(
            AskScreen(
                f"Stop {number}?",
                [[("it has done ", "muted"), (f"{live.run.done} of {live.run.total or '?'}", "")]],
                [
                    ("e", "save the weights and evaluate them", "evaluate"),
                    ("s", "save the weights", "save"),
                    ("x", "throw the weights away", "drop"),
                    ("c", "let it run", ""),
                ],
            ),
            answered,
        )

    async def _ask_stop(self, number: int, attempt: int, how: str) -> None:
        path = self.loop.iteration(number).requests
        try:
            await asyncio.to_thread(
                ask, path, attempt, "stop", save=how != "drop", evaluate=how == "evaluate"
            )
        except OSError as error:
            self._tell(TuiLoopError(f"cannot ask {number} to stop: {error}"))
            return
        self._say(f"{number} has been asked to stop")
        self._wake.set()

    # comparing

    def action_mark(self) -> None:
        iteration = self._selected_iteration()
        if iteration is None:
            self._say("a draft cannot be marked: it has no results yet")
            return
        self.marked = None if self.marked == iteration.number else iteration.number
        self._show()
        self._wake.set()

    def action_compare(self) -> None:
        iteration = self._selected_iteration()
        if iteration is None:
            self._say("select an iteration that has run; m marks the other one")
            return
        other = self.marked if self.marked not in (None, iteration.number) else iteration.parent
        if other is None:
            self._say("nothing to compare with: m marks another iteration")
            return
        self.run_worker(self._compare(other, iteration.number), group="compare", exclusive=True)

    async def _compare(self, a: int, b: int) -> None:
        def read() -> CompareScreen:
            result = self.observer.compare(a, b)
            old, new = ({row.id: row for row in self.observer.reader.examples(n)} for n in (a, b))
            return CompareScreen(self.loop.name, result, compare_lines(result, old, new))

        try:
            self.app.push_screen(await asyncio.to_thread(read))
        except TuiLoopError as error:
            self._tell(error)

    # examples

    async def on_failures_pane_tokens_wanted(self, event: FailuresPane.TokensWanted) -> None:
        folder = self.loop.iteration(event.iteration)
        tokens = None
        with suppress(TuiLoopError, OSError):
            tokens = await asyncio.to_thread(
                folder.read_example_tokens, event.index, event.example.id
            )
        self.query_one(FailuresPane).show_tokens(event.example.id, tokens)
        if isinstance(self.app.screen, ExampleScreen):
            self._show_example(self.app.screen)

    def on_failures_pane_opened(self) -> None:
        one = self._one_example()
        if one is not None:
            self.app.push_screen(ExampleScreen(one, self._step_example))

    def _step_example(self, by: int) -> None:
        table = self.query_one(FailuresPane).list
        table.set_cursor(table.cursor + by, tell=False)
        self.query_one(FailuresPane).show_note()
        if isinstance(self.app.screen, ExampleScreen):
            self._show_example(self.app.screen)

    def _show_example(self, screen: ExampleScreen) -> None:
        one = self._one_example()
        if one is not None:
            screen.show(one)

    def _one_example(self) -> OneExample | None:
        pane = self.query_one(FailuresPane)
        table = pane.list
        example = table.at(table.cursor)
        if example is None or table.examples is None:
            return None
        others = table.against.rows if table.against else []
        return OneExample(
            iteration=table.examples.number,
            place=table.cursor,
            total=table.count,
            example=example,
            tokens=pane.tokens.get(example.id),
            shift=table.shift_at(table.cursor),
            other_number=table.against.number if table.against else None,
            other=next((each for each in others if each.id == example.id), None),
        )

    # files and clipboard

    def action_edit_file(self) -> None:
        """Opens the file behind what is selected: the draft, or an iteration's notes."""
        iteration = self._selected_iteration()
        if iteration is None:
            self.run_worker(self._edit_draft(), group="edit", exclusive=True)
            return
        folder = self.loop.iteration(iteration.number)
        if self.current == "log" and folder.output.exists():
            self._edit(folder.output)
            return
        self._edit(folder.notes)
        self._wake.set()

    def _edit(self, path: Path) -> bool:
        problem = cast("LoopApp", self.app).edit(path)
        if problem:
            self.notify(flat(problem, 300), severity="error", markup=False)
        return not problem

    async def _edit_draft(self) -> None:
        draft = self.draft
        if draft is None:
            self._edit(self.loop.draft)
            self._wake.set()
            return
        before = draft_text(draft)
        await asyncio.to_thread(write_draft, self.loop, draft)
        await self._edit_again(before)

    def _unreadable_draft(self, error: TuiLoopError, before: str) -> None:
        """What was typed is not lost: it is edited again, or the draft is as it was."""

        def answered(answer: str | None) -> None:
            if answer == "restore":
                write_atomically(self.loop.draft, before)
                self._wake.set()
            else:
                self.run_worker(self._edit_again(before), group="edit", exclusive=True)

        self.app.push_screen(
            AskScreen(
                "The draft cannot be read",
                [[(error.message, "bad")], [(error.hint, "muted")]],
                [("e", "edit it again", "edit"), ("r", "restore it as it was", "restore")],
            ),
            answered,
        )

    async def _edit_again(self, before: str) -> None:
        self._edit(self.loop.draft)
        try:
            fresh = await asyncio.to_thread(read_draft, self.loop)
        except TuiLoopError as error:
            self._unreadable_draft(error, before)
            return
        if fresh is not None:
            await self._save_draft(fresh)

    def action_open_loop(self) -> None:
        cast("LoopApp", self.app).pick_loop()

    def action_copy(self) -> None:
        text = self._text_to_copy()
        if text:
            self.app.copy_to_clipboard(text)
            self._say(f"copied: {flat(text, 60)}")

    def _text_to_copy(self) -> str:
        if self.current == "failures":
            table = self.query_one(FailuresPane).list
            example = table.at(table.cursor)
            return "" if example is None else _as_text(example)
        if self.current == "log":
            lines = self.query_one(LogPane).list
            return lines.lines[lines.cursor].text if lines.lines else ""
        if self.current == "config":
            fields = self.query_one(ConfigPane).list
            key = fields.key_of(fields.cursor)
            if fields.shown is None or not isinstance(key, str):
                return ""
            draft = fields.shown.draft
            return draft.why if key == WHY else f"{key}={as_setting(draft.value(key))}"
        if self.current == "chart":
            return str(self.query_one(ChartPane).border_subtitle or "")
        iteration = self._selected_iteration()
        return f"{self.loop.name}/{iteration.number}" if iteration else str(self.loop.draft)


def _as_text(example: Example) -> str:
    return "\n".join((example.prompt, example.reference, example.output or ""))


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
        is_live=is_live(iteration),
    )
