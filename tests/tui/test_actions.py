"""Every action of the table: its first key, pressed where it is at home, does what it says."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual import events
from textual.command import CommandPalette

from tests.tui.conftest import (
    OpenApp,
    Opened,
    ScriptedRun,
    an_editor,
    finds,
    on_app,
    scripted_iteration,
)
from tui_loop.core.data.row_files import RowFiles
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.annotations import read_annotations
from tui_loop.core.examples.query import parse
from tui_loop.core.examples.tfidf_index import Answer, Neighbour
from tui_loop.core.examples.view import Order
from tui_loop.core.workflow.queue import QueuedDraft, add, clear, read_queue
from tui_loop.tui.actions import ACTIONS, BY_ID, SCOPES
from tui_loop.tui.backend import NearestRows
from tui_loop.tui.chart.widget import LossChart
from tui_loop.tui.keys import keys_of, leader_actions
from tui_loop.tui.screens.again import AgainScreen
from tui_loop.tui.screens.asking import AskingScreen
from tui_loop.tui.screens.breakdown import BreakdownScreen
from tui_loop.tui.screens.check import CheckScreen
from tui_loop.tui.screens.compare import CompareScreen
from tui_loop.tui.screens.diagnosis import DiagnosisScreen
from tui_loop.tui.screens.dialogs import AskScreen, InputDialog
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.screens.new_loop import NewLoopScreen
from tui_loop.tui.screens.patterns import PatternsScreen
from tui_loop.tui.screens.picker import PickerScreen
from tui_loop.tui.screens.progress import ProgressScreen
from tui_loop.tui.screens.prompts import LeaderMenu, SearchLine
from tui_loop.tui.screens.queue import QueueScreen
from tui_loop.tui.screens.reading import HelpScreen, ReadingScreen
from tui_loop.tui.screens.ready import ReadyScreen
from tui_loop.tui.screens.run_dialogs import AutoDialog, RunDialog
from tui_loop.tui.screens.training import TrainingScreen
from tui_loop.tui.settings import Memory, Settings, read_settings
from tui_loop.tui.widgets.bar import Bar
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FAILED, FailuresPane
from tui_loop.tui.widgets.field import Field
from tui_loop.tui.widgets.field_list import WHY
from tui_loop.tui.widgets.iteration_columns import ColumnsScreen
from tui_loop.tui.widgets.iterations import DRAFT, IterationsPane, IterationTable
from tui_loop.tui.widgets.log import LogPane
from tui_loop.tui.widgets.row_list import RowList
from tui_loop.tui.workbench.layout import PANES
from tui_loop.tui.workbench.workbench import Workbench

ELSEWHERE = ("picker", "new", "check", "compare", "diagnosis", "patterns", "progress", "ready")
"""Scopes of screens that have tests of their own."""

SMALL, WIDE = (80, 24), (160, 48)
RATE = "training.learning_rate"
SCHEDULER = "training.lr_scheduler_type"

Check = Callable[[Opened, str], Awaitable[None]]
CHECKS: dict[str, Check] = {}
GROUPS: dict[str, list[str]] = {}
"""Checks that share an app; each begins on a fresh workbench."""


def does(name: str, *, alone: bool = False) -> Callable[[Check], Check]:
    """Registers the check of what the first key of an action does."""

    def register(check: Check) -> Check:
        assert name not in CHECKS
        CHECKS[name] = check
        GROUPS.setdefault(name if alone else BY_ID[name].scope, []).append(name)
        return check

    return register


@does("app.help")
async def help_is_shown(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Loop and run", "choose the columns", "iterations.columns")
    assert isinstance(opened.app.screen, HelpScreen)


@does("app.commands")
async def the_palette_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.until(lambda: CommandPalette.is_open(opened.app))


@does("app.leader")
async def the_menu_of_more_commands_opens_and_its_next_key_runs_one(
    opened: Opened, key: str
) -> None:
    await opened.press("3", key)
    await opened.shows("g ...")
    for sign, name in (("h", "loop.progress"), ("k", "run.checkpoint"), ("i", "app.messages")):
        await opened.shows(f"  {sign} {BY_ID[name].description[:20]}")
    assert isinstance(opened.app.screen, LeaderMenu)
    await opened.press("h")
    await opened.until(lambda: isinstance(opened.app.screen, ProgressScreen))
    await opened.press("escape")
    await opened.until(lambda: opened.app.screen is opened.bench)
    for closing in ("escape", "Z"):
        await opened.press(key)
        assert isinstance(opened.app.screen, LeaderMenu)
        await opened.press(closing)
        await opened.until(lambda: opened.app.screen is opened.bench)
    assert opened.bench.state.pane == "chart"
    assert opened.app.focused is opened.get(LossChart)


@does("app.messages")
async def the_messages_of_the_session_are_listed(opened: Opened, key: str) -> None:
    await opened.press("s", "s")
    await opened.tells("Nothing is running.")
    opened.app.notify("it broke\nread the manual", severity="error")
    await opened.press(key)
    await opened.shows("Messages", "Nothing is running.", "it broke", "read the manual")
    assert isinstance(opened.app.screen, ReadingScreen)
    assert opened.text.index("it broke") < opened.text.index("Nothing is running.")


@does("app.search")
async def the_cursor_goes_to_what_is_typed(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press(key)
    assert isinstance(opened.app.screen, SearchLine)
    await opened.type("LORA_ALPHA")
    await opened.until(lambda: rows.key_of(rows.cursor) == "lora.lora_alpha")
    await opened.tells("match 1 of 1")
    await opened.type("§")  # no field has it
    await opened.tells("no match for §")
    assert rows.key_of(rows.cursor) == "lora.lora_alpha"
    await opened.press("enter")
    await opened.until(lambda: opened.app.screen is opened.bench)
    assert opened.app.focused is rows


async def _searched_for_steps(opened: Opened) -> tuple[RowList, list[int]]:
    """The config after a search for `steps`, and the rows that have it."""
    rows = await _in_config(opened)
    await opened.press("slash")
    await opened.type("steps")
    await opened.press("enter")
    await opened.until(lambda: opened.app.screen is opened.bench)
    matches = [row for row, text in enumerate(rows.texts()) if "steps" in text]
    assert len(matches) > 2
    assert rows.cursor == matches[0]
    return rows, matches


@does("app.next_match")
async def the_next_match_is_found_and_after_the_last_the_first(opened: Opened, key: str) -> None:
    rows, matches = await _searched_for_steps(opened)
    places = []
    for _ in matches:
        await opened.press(key)
        places.append(rows.cursor)
    assert places == [*matches[1:], matches[0]]


@does("app.previous_match")
async def the_previous_match_is_found_and_before_the_first_the_last(
    opened: Opened, key: str
) -> None:
    rows, matches = await _searched_for_steps(opened)
    places = []
    for _ in matches:
        await opened.press(key)
        places.append(rows.cursor)
    assert places == matches[::-1]


@does("app.theme", alone=True)
async def the_next_colours_are_taken_and_remembered(opened: Opened, key: str) -> None:
    assert opened.app.theme == "dark"
    await opened.press(key)
    await opened.tells("colours: light")
    assert opened.app.theme == "light"
    assert Memory().get("theme") == "light"


@does("app.back")
async def one_goes_back(opened: Opened, key: str) -> None:
    await opened.press("question_mark")
    assert isinstance(opened.app.screen, HelpScreen)
    await opened.press(key)
    await opened.until(lambda: opened.app.screen is opened.bench)


@does("app.quit", alone=True)
async def the_app_ends(opened: Opened, key: str) -> None:
    assert opened.app.return_code is None
    await opened.press(key)
    assert opened.app.return_code == 0


def _goes_to(pane: str, begin: str) -> Check:
    async def check(opened: Opened, key: str) -> None:
        await opened.press(begin)
        assert opened.bench.state.pane != pane
        await opened.press(key)
        assert opened.bench.state.pane == pane
        assert opened.app.focused is not None
        box = opened.bench.query_one(f"#{pane}")
        assert box in opened.app.focused.ancestors_with_self

    return check


for action, pane, begin in (
    ("pane.iterations", "iterations", "3"),
    ("pane.config", "config", "1"),
    ("pane.chart", "chart", "1"),
    ("pane.failures", "failures", "1"),
    ("pane.log", "log", "1"),
    ("pane.left", "iterations", "3"),
    ("pane.right", "chart", "1"),
    ("pane.up", "config", "5"),
    ("pane.down", "failures", "3"),
    ("pane.next", "config", "1"),
    ("pane.previous", "log", "1"),
):
    does(action)(_goes_to(pane, begin))


@does("pane.zoom")
async def the_pane_fills_the_screen_and_shrinks_again(opened: Opened, key: str) -> None:
    await opened.press("4")
    await opened.press(key)
    await opened.hides("3 Loss of 2")
    await opened.shows("4 Failures of iteration 2")
    assert opened.bench.query_one("#failures").size.width == 158
    await opened.press(key)
    await opened.shows("3 Loss of 2", "4 Failures of iteration 2")


@does("run.start")
async def the_run_dialog_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Run 4, from 2", "96 training rows, 24 evaluation rows")
    assert isinstance(opened.app.screen, RunDialog)


@does("run.check")
async def the_draft_is_checked(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Check of 4", "0 errors, 0 warnings", "30 optimizer steps")
    assert isinstance(opened.app.screen, CheckScreen)


@does("run.stop", alone=True)
async def it_asks_how_to_stop(opened: Opened, key: str) -> None:
    run = scripted_iteration(opened.bench.loop).starts().steps(2.0, 1.5)
    try:
        opened.bench.poll_now()
        await opened.shows("▶ 4 training")
        await opened.press(key)
        await opened.shows("Stop 4?", "2 of 30 steps are done.")
        assert isinstance(opened.app.screen, AskScreen)
    finally:
        run.closes()


def _asks(name: str, *requests: str) -> None:
    async def check(opened: Opened, key: str) -> None:
        run = scripted_iteration(opened.bench.loop).starts().steps(2.0)
        try:
            opened.bench.poll_now()
            await opened.shows("▶ 4 training")
            for request in requests:
                heard: list[Any] = []
                await opened.press(key)
                await opened.until(lambda: heard.extend(run.takes_requests()) or heard)  # noqa: B023
                assert [each.name for each in heard] == [request]
                opened.bench.poll_now()
                await opened.shows("▶ 4 paused" if request == "pause" else "▶ 4 training")
        finally:
            run.closes()

    does(name, alone=True)(check)


_asks("run.pause", "pause", "continue")
_asks("run.evaluate", "evaluate")
_asks("run.checkpoint", "checkpoint")


@does("run.resume", alone=True)
async def it_asks_whether_to_resume_and_says_from_where(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.tells(
        "Run 2 is finished. Only stopped, failed or interrupted runs can be resumed."
    )
    run = scripted_iteration(opened.bench.loop).starts().steps(2.0)
    run.ends("stopped")
    opened.bench.poll_now()
    await opened.shows("■ stopped")
    opened.bench.select(4)
    await opened.press(key)
    await opened.shows("Resume 4?", "It continues from checkpoint 40 (not 60: optimizer.pt is cut")
    await opened.press("r")
    await opened.until(lambda: opened.backend.runs)
    assert opened.backend.run.folder.number == 4


@does("run.detach", alone=True)
async def the_app_lets_go_of_its_terminal(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.until(lambda: opened.app.return_code == 0)


@does("app.suspend", alone=True)
async def it_does_not_stop_while_a_run_lives_in_it(opened: Opened, key: str) -> None:
    folder = opened.bench.loop.iteration(3)
    run = ScriptedRun(folder)
    opened.backend.runs.append(run)
    await opened.press(key)
    await opened.tells(
        "Suspending the app would also suspend support-intents/3. D quits the app; "
        "the run continues."
    )
    run.closes()


@does("loop.next")
async def a_draft_is_begun(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("2 Config of iteration 4, from 2")
    assert opened.bench.state.selected == DRAFT
    assert opened.bench.state.pane == "config"
    assert tomllib.loads(opened.bench.loop.draft.read_text())["parent"] == 2


@does("loop.diagnosis")
async def the_diagnosis_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Diagnosis of support-intents/2")
    assert isinstance(opened.app.screen, DiagnosisScreen)


@does("loop.patterns")
async def the_patterns_open(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Patterns", "at learning_rate 20 or more, the one run diverged on tiny")
    assert isinstance(opened.app.screen, PatternsScreen)


@does("loop.progress")
async def the_progress_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Progress of support-intents", "the best so far is iteration 2")
    assert isinstance(opened.app.screen, ProgressScreen)


@does("loop.ready")
async def the_checklist_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Is support-intents/2 ready?", "no worse than its parent (1)")
    assert isinstance(opened.app.screen, ReadyScreen)


@does("loop.compare")
async def the_comparison_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Compare support-intents/2 against 1", "8 fixed, 1 broken")
    assert isinstance(opened.app.screen, CompareScreen)


@does("loop.mark")
async def it_is_marked(opened: Opened, key: str) -> None:
    await opened.press(key)
    assert opened.bench.state.marked == (2,)
    await opened.until(lambda: re.search(r"▸ +2m★ ", opened.text))
    await opened.press("up")
    await opened.shows("3 Loss of 1 over 2")


@does("loop.previous")
async def the_one_before_is_selected(opened: Opened, key: str) -> None:
    await opened.press("4", key)
    await opened.shows("3 Loss of 1", "4 Failures of iteration 1")
    assert opened.bench.state.selected == 1


@does("loop.following")
async def the_one_after_is_selected(opened: Opened, key: str) -> None:
    await opened.press("4", key)
    await opened.shows("3 Loss of 3", "5 Log of iteration 3")
    assert opened.bench.state.selected == 3


@does("loop.edit")
async def the_notes_are_edited(opened: Opened, key: str) -> None:
    folder = opened.bench.loop.path.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITOR", an_editor(folder, "path.write_text('what I saw\\n')"))
        await opened.press(key)
    assert opened.bench.loop.iteration(2).read_notes() == "what I saw"


@does("loop.copy")
async def what_is_selected_is_copied(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("copied: support-intents/2")
    assert opened.app.clipboard == "support-intents/2"
    await opened.press("4", key)
    await opened.shows("copied: Message: my case number 23")
    assert opened.app.clipboard.endswith("Intent:\npin blocked\ncard arrival")


@does("loop.open")
async def the_loops_are_shown(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.until(lambda: isinstance(opened.app.screen, PickerScreen))


async def _in_config(opened: Opened) -> RowList:
    await opened.press("2")
    rows: RowList = opened.get(ConfigPane).list
    assert rows.cursor == 0
    return rows


@does("list.down")
async def the_cursor_goes_down_past_headings(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press(key)
    assert rows.key_of(rows.cursor) == "model.id"
    await opened.until(lambda: any(line.startswith("│▸   id") for line in opened.lines))


@does("list.up")
async def the_cursor_goes_up(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press("down", "down", key)
    assert rows.key_of(rows.cursor) == "model.id"


@does("list.page_down")
async def the_cursor_goes_down_a_page(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press(key)
    assert rows.size.height - 2 <= rows.cursor <= rows.size.height
    await opened.press(key)
    assert rows.scroll_y > 0


@does("list.page_up")
async def the_cursor_goes_up_a_page(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press("end", key)
    assert 0 < rows.cursor <= rows.count - rows.size.height + 1


@does("list.bottom")
async def the_cursor_goes_to_the_bottom(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press(key)
    assert rows.cursor == rows.count - 1
    await opened.shows("on_divergence")


@does("list.top")
async def the_cursor_goes_to_the_top(opened: Opened, key: str) -> None:
    rows = await _in_config(opened)
    await opened.press("end", key)
    assert (rows.cursor, rows.scroll_y) == (0, 0)


@does("list.open")
async def the_iteration_opens_in_full(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows(
        "because: it had not converged", "eval_loss", "notes  in the workbench, e edits them"
    )
    assert isinstance(opened.app.screen, ReadingScreen)


async def _on_field(opened: Opened, name: str) -> RowList:
    """The cursor on a field of the draft."""
    await opened.goes_to(DRAFT)
    await finds(opened, name)
    rows: RowList = opened.get(ConfigPane).list
    return rows


@does("iterations.why")
async def the_reason_of_a_run_is_written(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Why was iteration 2 run?", "The original reason stays in the record.")
    assert isinstance(opened.app.screen, InputDialog)
    await opened.type("twice the epochs")
    await opened.press("enter")
    await opened.tells("Saved the reason for iteration 2.")
    await opened.shows("because: twice the epochs")
    decision = opened.bench.loop.iteration(2).read_decision()
    assert (decision.why, decision.first_why) == ("twice the epochs", "it had not converged")
    summary = opened.bench.loop.iteration(2).read_summary()
    assert summary is not None
    assert summary.decision == "twice the epochs"
    await opened.goes_to(DRAFT)
    await opened.press("1", key)
    await opened.until(lambda: opened.get(ConfigPane).is_editing, "the reason of the draft")
    await opened.type("a guess")
    await opened.press("enter")
    draft = opened.bench.state.draft
    assert draft is not None
    assert draft.why == "a guess"


@does("config.choice")
async def the_next_value_is_taken(opened: Opened, key: str) -> None:
    await _on_field(opened, SCHEDULER)
    await opened.press(key)
    await opened.shows("cosine", "was linear")
    draft = opened.bench.state.draft
    assert draft is not None
    assert draft.value(SCHEDULER) == "cosine"


@does("config.reset")
async def the_field_is_as_the_parent_has_it(opened: Opened, key: str) -> None:
    await _on_field(opened, SCHEDULER)
    await opened.press("space")
    await opened.shows("was linear")
    await opened.press(key)
    await opened.hides("was linear")
    draft = opened.bench.state.draft
    assert draft is not None
    assert not draft.changed


@does("config.reset_all")
async def all_fields_are_as_the_parent_has_them(opened: Opened, key: str) -> None:
    await _on_field(opened, SCHEDULER)
    await opened.press("space", key)
    await opened.shows("Undo all changes?", "1 field will have the parent's value again.")
    await opened.press("u")
    await opened.until(
        lambda: opened.bench.state.draft is not None and not opened.bench.state.draft.changed
    )


@does("config.changed")
async def only_changed_fields_are_listed(opened: Opened, key: str) -> None:
    await opened.press("2", key)
    assert opened.get(ConfigPane).list.keys == [WHY, "training", "training.num_train_epochs"]
    await opened.press(key)
    assert "model.id" in opened.get(ConfigPane).list.keys


@does("config.problem")
async def the_cursor_goes_to_the_problem(opened: Opened, key: str) -> None:
    await opened.goes_to(DRAFT)
    assert opened.bench.state.draft is not None
    await opened.bench.drafts.save(opened.bench.state.draft.with_value(RATE, "fast"))
    await opened.press("2", key)
    rows = opened.get(ConfigPane).list
    assert rows.key_of(rows.cursor) == RATE
    await opened.shows("must be a number, not 'fast'")


@does("config.why")
async def the_reason_is_written(opened: Opened, key: str) -> None:
    await opened.goes_to(DRAFT)
    await opened.press("2", key)
    await opened.type("a guess")
    await opened.press("enter")
    await opened.until(
        lambda: opened.bench.state.draft is not None and opened.bench.state.draft.why
    )
    await opened.until(lambda: 'why = "a guess"' in opened.bench.loop.draft.read_text())


def _changes_the_view(expected: dict[str, Any], *before: str) -> Check:
    async def check(opened: Opened, key: str) -> None:
        await opened.press("3", *before)
        chart = opened.get(LossChart)
        was = chart.view
        await opened.press(key)
        for name, value in expected.items():
            assert getattr(was, name) != value
            assert getattr(chart.view, name) == value

    return check


for action, expected, keys in (
    ("chart.log", {"log": True}, ()),
    ("chart.smoother", {"weight": 0.8}, ()),
    ("chart.rougher", {"weight": 0.3}, ()),
    ("chart.left", {"cursor": 30}, ()),
    ("chart.right", {"cursor": 30}, ("left", "left")),
    ("chart.far_left", {"cursor": 26}, ("left",)),
    ("chart.far_right", {"cursor": 30}, ("left", "shift+left")),
    ("chart.zoom_in", {"zoom": (16, 30)}, ()),
    ("chart.zoom_out", {"zoom": None}, ("plus",)),
    ("chart.reset", {"zoom": None, "cursor": None}, ("left", "plus")),
    ("chart.metric", {"metric": "eval_loss"}, ()),
    ("chart.x_axis", {"x": "epoch"}, ()),
    ("chart.clip", {"clip": False}, ()),
    ("chart.zoom_out_y", {"y": None}, ("g >",)),
    ("chart.overlay", {"overlay": False}, ()),
):
    does(action)(_changes_the_view(expected, *keys))


async def _searching_the_queue(opened: Opened, text: str) -> QueueScreen:
    screen = await _at_the_queue(opened)
    await opened.press("slash")
    await opened.type(text)
    await opened.press("enter")
    return screen


@does("search.search")
async def the_rows_of_a_list_are_searched(opened: Opened, key: str) -> None:
    screen = await _at_the_queue(opened)
    await opened.press("N")
    await opened.tells("Nothing has been searched for yet. / searches.")
    await opened.press(key)
    await opened.type("no such draft")
    await opened.shows("no match for no such draft")
    await opened.press("escape")
    assert opened.app.screen is screen
    await opened.press("escape")


@does("search.next_match")
async def the_next_row_that_matches_is_gone_to(opened: Opened, key: str) -> None:
    screen = await _searching_the_queue(opened, "s")
    assert len(screen.search.rows) == 2
    await opened.shows("match 1 of 2")
    await opened.press(key)
    await opened.shows("match 2 of 2")
    assert screen.list.cursor == screen.search.rows[1]
    await opened.press("escape", "escape")


@does("search.previous_match")
async def the_row_before_that_matches_is_gone_to(opened: Opened, key: str) -> None:
    screen = await _searching_the_queue(opened, "s")
    await opened.press(key)
    await opened.shows("match 2 of 2")
    assert screen.list.cursor == screen.search.rows[-1]
    await opened.press("escape", "escape")


@does("iterations.filter")
async def iterations_that_meet_all_terms_are_listed(opened: Opened, key: str) -> None:
    await opened.press("1", key)
    await opened.type("state:failed")
    await opened.press("enter")
    await opened.shows("1 of 4 · state:failed")
    await opened.press("escape")
    await opened.hides("1 of 4")


@does("iterations.search")
async def an_iteration_is_searched(opened: Opened, key: str) -> None:
    await opened.press("1", key)
    await opened.type("faster")
    await opened.press("enter")
    await opened.shows("match 1 of 1")
    assert opened.bench.state.selected == 3
    await opened.press("escape")


@does("iterations.sort")
async def iterations_have_another_order(opened: Opened, key: str) -> None:
    await opened.press("1")
    for order in ("score", "eval loss", "lr", "time", "tokens", "tok/s"):
        await opened.press(key)
        await opened.shows(f"by {order}")
    await opened.press(key)
    await opened.hides("by tok/s")


@does("iterations.reverse")
async def the_newest_iteration_comes_first(opened: Opened, key: str) -> None:
    await opened.press("1", key)
    await opened.shows("by number, reversed")
    rows = opened.get(IterationTable)
    assert [rows.key_of(at) for at in range(rows.count)] == [3, 2, 1, 0, DRAFT]
    await opened.press(key)


@does("iterations.columns")
async def columns_are_offered(opened: Opened, key: str) -> None:
    await opened.press("1", key)
    await opened.shows("□ lr", "learning rate", "space shows or hides a column")
    assert isinstance(opened.app.screen, ColumnsScreen)
    await opened.press("enter")
    await opened.until(lambda: opened.app.screen is opened.bench)


@does("columns.toggle")
async def a_column_comes_and_goes(opened: Opened, key: str) -> None:
    await opened.press("1", "g C", key)
    await opened.shows("■ train loss")
    assert opened.get(IterationsPane).choice.columns == ("train loss",)
    await opened.press(key)
    await opened.shows("□ train loss")
    assert opened.get(IterationsPane).choice.columns == ()
    await opened.press("escape")


@does("chart.zoom_in_y")
async def the_values_are_zoomed(opened: Opened, key: str) -> None:
    await opened.press("3", key)
    chart = opened.get(LossChart)
    assert chart.view.y is not None
    await opened.shows(" · y ")
    await opened.press("escape")


@does("chart.list")
async def the_list_of_metrics_appears_and_goes(opened: Opened, key: str) -> None:
    await opened.press("3", key)
    await opened.shows("─ Metrics ─", "eval loss", "learning rate")
    await opened.press(key)
    await opened.hides("─ Metrics ─")


@does("chart.grid")
async def all_metrics_are_small_charts(opened: Opened, key: str) -> None:
    await opened.press("3", key)
    await opened.shows("3 Metrics of 2", "▸ loss ─", "grad norm ─", "1 of 5")
    await opened.press("right", "enter")
    await opened.shows("3 Eval loss of 2")
    await opened.press(key, key)
    await opened.hides("3 Metrics of 2")


@does("failures.breakdown")
async def what_fails_is_counted(opened: Opened, key: str) -> None:
    await opened.press("4")
    await opened.shows("7 of 24 failed")
    await opened.press(key)
    await opened.shows("What fails in support-intents/2", "fixed", "against 1")
    screen = opened.app.screen
    assert isinstance(screen, BreakdownScreen)
    await opened.until(lambda: screen.list.cursor == 1 and screen.list.scroll_y == 0)
    counts = {line.term: " ".join(line.figures.split()) for line in screen.list.lines}
    assert counts["is:failed"] == "7"
    assert counts["is:fixed"] == "8"
    assert counts["cause:wrong_label"] == "7 was 14 (-7)"


@does("failures.sort")
async def another_order_is_taken(opened: Opened, key: str) -> None:
    await opened.press("4")
    pane = opened.get(FailuresPane)
    assert pane.list.at(0).source_line == 24
    await opened.press(key)
    assert pane.choice.order is Order.SCORE
    for shown in ("by change of loss", "by flips", "by length", "by file order"):
        await opened.press(key)
        await opened.shows(shown)
    assert pane.list.at(pane.list.count - 1).source_line == 24
    await opened.press(key)


@does("failures.reverse")
async def the_order_is_turned_round(opened: Opened, key: str) -> None:
    await opened.press("4")
    table = opened.get(FailuresPane).list
    before = [table.at(index).id for index in range(table.count)]
    await opened.press(key)
    await opened.shows("by loss, reversed")
    assert [table.at(index).id for index in range(table.count)] == before[::-1]
    await opened.press(key)


@does("failures.filter")
async def only_examples_that_meet_all_terms_are_listed(opened: Opened, key: str) -> None:
    await opened.press("4", key)
    await opened.type("is:failed NUMBER 23")
    await opened.shows("1 of 24 · is:failed NUMBER 23")
    await opened.press("enter")
    assert opened.app.focused is opened.get(FailuresPane).list
    await opened.press("escape")
    await opened.shows("7 of 24 failed")
    assert opened.get(FailuresPane).choice.query == FAILED


@does("log.level")
async def steps_are_left_out_then_all_but_warnings(opened: Opened, key: str) -> None:
    await opened.press("5", "z", key)
    await opened.hides("step 30  loss")
    await opened.shows("evaluated at step 30", "no steps")
    await opened.press(key)
    await opened.hides("evaluated at step 30")
    await opened.shows("12 prompts are longer than usual")
    await opened.press(key)
    await opened.shows("step 30  loss")


@does("failures.search")
async def an_example_is_searched_and_no_other_leaves_the_list(opened: Opened, key: str) -> None:
    await opened.press("4", key)
    await opened.type("NUMBER 23")
    table = opened.get(FailuresPane).list
    await opened.shows("match 1 of 1")
    assert "number 23" in table.at(table.cursor).prompt
    assert table.count == 7
    await opened.press("enter", "escape")
    await opened.hides("match 1 of 1")


def _goes_to_matches(
    pane: type[Any], number: str, text: str, wanted: Callable[[list[int]], int]
) -> Check:
    """Checks which of several matches a key goes to from the first one."""

    async def check(opened: Opened, key: str) -> None:
        await opened.press(number, "home")
        if all(key not in each.keys.split(",") for each in ACTIONS if each.scope == "workbench"):
            await opened.press(key)
            await opened.tells("Nothing has been searched for yet. / searches.")
        await opened.press("slash")
        await opened.type(text)
        await opened.press("enter", "home")
        box = opened.get(pane)
        matches = box.search.rows
        assert len(matches) > 2
        box.main.set_cursor(matches[0])
        await opened.press(key)
        assert box.main.cursor == wanted(matches)
        await opened.shows(f"match {matches.index(wanted(matches)) + 1} of {len(matches)}")
        await opened.press("escape")

    return check


def _second(matches: list[int]) -> int:
    return matches[1]


def _last(matches: list[int]) -> int:
    return matches[-1]


does("iterations.next_match")(_goes_to_matches(IterationsPane, "1", "e", _second))
does("iterations.previous_match")(_goes_to_matches(IterationsPane, "1", "e", _last))
does("failures.next_match")(_goes_to_matches(FailuresPane, "4", "number 2", _second))
does("failures.previous_match")(_goes_to_matches(FailuresPane, "4", "number 2", _last))
does("log.next_match")(_goes_to_matches(LogPane, "5", "loss", _second))
does("log.previous_match")(_goes_to_matches(LogPane, "5", "loss", _last))


@does("log.search")
async def a_line_is_searched_with_the_lines_around_it(opened: Opened, key: str) -> None:
    await opened.press("5")
    pane = opened.get(LogPane)
    before = pane.list.count
    await opened.press(key)
    await opened.type("LONGER")
    await opened.shows("step 15  loss", "12 prompts are longer", "step 16  loss", "match 1 of 1")
    assert "longer" in pane.list.lines[pane.list.cursor].text
    assert pane.list.count == before
    await opened.press("enter", "escape")
    await opened.hides("match 1 of 1")


@does("log.follow")
async def the_newest_line_is_followed_again(opened: Opened, key: str) -> None:
    await opened.press("5", "up")
    await opened.shows("end follows")
    await opened.press(key)
    await opened.shows("following")
    rows = opened.get(LogPane).list
    assert rows.cursor == rows.count - 1


async def _typing_a_filter(opened: Opened) -> Field:
    await opened.press("4", "f")
    field = opened.get(FailuresPane).field
    await opened.type("cause:wrong")
    await opened.until(lambda: field.suggestion is not None)
    return field


@does("field.complete")
async def the_suggestion_is_taken(opened: Opened, key: str) -> None:
    field = await _typing_a_filter(opened)
    await opened.shows("cause:wrong_label")
    await opened.press(key)
    assert field.value == "cause:wrong_label"
    assert field.has_focus
    await opened.press("enter", "escape")


@does("field.next")
async def another_suggestion_is_shown(opened: Opened, key: str) -> None:
    field = await _typing_a_filter(opened)
    await opened.type("label:")
    await opened.until(lambda: field.suggestion is not None and len(field.completions) == 4)
    await opened.press(key)
    assert field.suggestion == field.completions[1]
    await opened.press("escape", "escape")


@does("field.previous")
async def the_suggestion_before_is_shown(opened: Opened, key: str) -> None:
    field = await _typing_a_filter(opened)
    await opened.type("label:")
    await opened.until(lambda: field.suggestion is not None and len(field.completions) == 4)
    await opened.press(key)
    assert field.suggestion == field.completions[-1]
    await opened.press("escape", "escape")


def _scrolls(expected: Callable[[Any], float], *before: str) -> Check:
    async def check(opened: Opened, key: str) -> None:
        await opened.press("question_mark", *before)
        screen = opened.app.screen
        assert isinstance(screen, HelpScreen)
        await opened.until(lambda: screen.sheet.max_scroll_y > 0)
        wanted = expected(screen.sheet)
        await opened.until(lambda: screen.sheet.scroll_y != wanted, "another place")
        await opened.press(key)
        await opened.until(lambda: screen.sheet.scroll_y == wanted, f"scrolled to {wanted}")

    return check


for action, target, keys in (
    ("sheet.down", lambda _: 1, ()),
    ("sheet.up", lambda _: 1, ("down", "down")),
    ("sheet.page_down", lambda sheet: sheet.size.height - 1, ()),
    ("sheet.page_up", lambda sheet: sheet.size.height - 1, ("pagedown", "pagedown")),
    ("sheet.bottom", lambda sheet: sheet.max_scroll_y, ()),
    ("sheet.top", lambda _: 0, ("end",)),
):
    does(action)(_scrolls(target, *keys))


async def _reading_an_example(opened: Opened) -> ExampleScreen:
    await opened.press("4", "enter")
    await opened.shows("Example 1 of 7", "prompt   Message: my case number 23")
    assert isinstance(opened.app.screen, ExampleScreen)
    return opened.app.screen


@does("example.following")
async def the_next_example_is_shown(opened: Opened, key: str) -> None:
    await _reading_an_example(opened)
    await opened.press(key)
    await opened.shows("Example 2 of 7", "my case number 22", "' top'")


@does("example.previous")
async def the_previous_example_is_shown(opened: Opened, key: str) -> None:
    await _reading_an_example(opened)
    for place in (2, 3):
        await opened.press("right_square_bracket")
        await opened.shows(f"Example {place} of 7")
    await opened.press(key)
    await opened.shows("Example 2 of 7", "my case number 22")


@does("example.token_right")
async def the_cursor_goes_to_the_next_token(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    assert screen.token == 0
    await opened.shows("1 of 2  ' pin'", "tuned 2.780 (6.2%)", "base 2.780")
    await opened.press(key, key)
    assert screen.token == 1
    await opened.shows("2 of 2  ' blocked'")


@does("example.token_left")
async def the_cursor_goes_to_the_token_before(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    await opened.press("right", key, key)
    assert screen.token == 0


@does("example.worst")
async def the_tokens_are_gone_through_worst_first(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    places = [screen.token]
    for _ in range(2):
        await opened.press(key)
        places.append(screen.token)
    assert places == [0, 1, 0]


@does("example.reasoning")
async def the_reasoning_is_unfolded_and_folded(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    await opened.hides("reasoning:")
    output = "<think>The card is lost, or blocked.</think>\npin card"
    example = msgspec.structs.replace(screen.detail.example, output=output)
    screen.show(msgspec.structs.replace(screen.detail, example=example), 0, 7)
    await opened.shows("said     reasoning: 6 words   space unfolds", "         pin [card]")
    await opened.hides("The card is lost")
    await opened.press(key)
    await opened.shows("space folds", "         The card is lost, or blocked.")
    await opened.press(key)
    await opened.hides("The card is lost")


@does("example.whose")
async def the_losses_of_another_iteration_are_shown(opened: Opened, key: str) -> None:
    await _reading_an_example(opened)
    await opened.shows("tuned     pin blocked")
    for shown in ("iter 1    pin blocked", "base      pin blocked", "tuned     pin blocked"):
        await opened.press(key)
        await opened.shows(shown)


@does("example.nearest")
async def the_nearest_training_rows_are_shown(opened: Opened, key: str) -> None:
    row = Row("t7", "my pin is blocked", "pin blocked", 7)
    told = "the nearest training row has similarity 0.91"
    answer = Answer(told, is_new=False, neighbours=[Neighbour(row, 0.91)])
    opened.backend.near = NearestRows(
        answer, RowFiles({"": "train.jsonl"}, {}), "train.jsonl has changed since"
    )
    await _reading_an_example(opened)
    await opened.press(key)
    await opened.shows("the nearest training row has similarity", "has changed since", "0.91")
    await opened.shows("my pin is blocked", "train.jsonl:7")


@does("example.annotate")
async def the_annotations_are_shown_in_a_menu(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    await opened.press(key)
    await opened.shows("a ...", "a annotate: output accepted", "n write a note")
    assert isinstance(opened.app.screen, LeaderMenu)
    await opened.press("m")
    await opened.shows("⚑ marked as ambiguous")
    assert screen.detail.annotation.verdict == "ambiguous"
    opened.bench.loop.labels.unlink()


def _says(verdict: str, mark: str) -> Check:
    async def check(opened: Opened, key: str) -> None:
        screen = await _reading_an_example(opened)
        await opened.press(key)
        await opened.shows(f"⚑ {mark}")
        assert screen.detail.annotation.verdict == verdict
        standing = read_annotations(opened.bench.loop).of(screen.detail.example)
        assert standing.verdict == verdict
        table = opened.get(FailuresPane).list
        await opened.until(lambda: table.count == 6, "one has left the list")
        await opened.press("right_square_bracket")
        await opened.shows("Example 1 of 6", "my case number 22")
        opened.bench.loop.labels.unlink()

    return check


for action, verdict, mark in (
    ("example.accept", "accepted", "accepted as correct"),
    ("example.bad_reference", "bad_reference", "marked as a bad reference, not counted"),
    ("example.ambiguous", "ambiguous", "marked as ambiguous, not counted"),
):
    does(action)(_says(verdict, mark))


@does("example.clear")
async def what_was_said_is_taken_back(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    await opened.press("a b")
    await opened.shows("⚑ marked as a bad reference")
    await opened.press(key)
    await opened.hides("⚑ marked as a bad reference")
    assert screen.detail.outcome == "failed"
    assert read_annotations(opened.bench.loop).of(screen.detail.example).verdict == ""
    opened.bench.loop.labels.unlink()


@does("example.comment")
async def a_note_is_written_on_it(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    await opened.press(key)
    await opened.type("two wishes in one")
    await opened.press("enter")
    await opened.until(lambda: screen.detail.annotation.notes)
    await opened.press("end")
    await opened.shows("note     two wishes in one")
    said = read_annotations(opened.bench.loop).of(screen.detail.example)
    assert [each.note for each in said.notes] == ["two wishes in one"]
    assert said.verdict == ""
    opened.bench.loop.labels.unlink()


@does("example.ask")
async def the_models_are_asked_its_prompt(opened: Opened, key: str) -> None:
    screen = await _reading_an_example(opened)
    await opened.press(key)
    await opened.until(lambda: isinstance(opened.app.screen, AskingScreen))
    await opened.shows("wanted     pin blocked")
    asker = opened.backend.askers[-1]
    assert asker.asked == [screen.detail.example.id]
    asker.answers_all("pin blocked", "refund", "Hello!")
    await opened.shows("refund   3 tokens, 0.2 s", "Hello!")
    await opened.press("escape")
    await opened.until(lambda: asker.is_closed)
    assert opened.app.screen is screen


@does("example.edit")
async def its_line_of_the_data_is_edited(opened: Opened, key: str) -> None:
    loop = opened.bench.loop
    await _reading_an_example(opened)
    await opened.press(key)
    await opened.tells("✗ eval.jsonl is not on this machine  copy it here to edit it")
    data, told = loop.root / "eval.jsonl", loop.path.parent / "told.txt"
    data.write_text("{}\n" * 24)
    with pytest.MonkeyPatch.context() as patch:
        body = f"pathlib.Path({str(told)!r}).write_text(str(path))"
        patch.setenv("EDITOR", an_editor(loop.path.parent, body))
        await opened.press(key)
    await opened.until(told.exists)
    assert told.read_text() == str(data)


@does("example.copy")
async def the_example_is_copied(opened: Opened, key: str) -> None:
    await _reading_an_example(opened)
    await opened.press(key)
    await opened.shows("copied: prompt, reference, output")
    assert opened.app.clipboard.startswith("Message: my case number 23")


async def _at_what_fails(opened: Opened, term: str) -> BreakdownScreen:
    """The breakdown, with the cursor on a term."""
    await opened.press("4", "g d")
    await opened.until(lambda: isinstance(opened.app.screen, BreakdownScreen))
    screen = opened.app.screen
    assert isinstance(screen, BreakdownScreen)
    await opened.until(lambda: screen.list.has_focus and screen.list.cursor)
    screen.list.set_cursor([line.term for line in screen.list.lines].index(term))
    return screen


@does("breakdown.also")
async def a_term_is_added_and_taken_away(opened: Opened, key: str) -> None:
    pane = opened.get(FailuresPane)
    await _at_what_fails(opened, "label:refund")
    await opened.press(key)
    await opened.shows("■ refund", "is:failed label:refund")
    assert pane.choice.query == parse("is:failed label:refund")
    await opened.press(key)
    await opened.hides("■ refund")
    assert pane.choice.query == FAILED
    await opened.press("enter")
    await opened.until(lambda: opened.app.screen is opened.bench)
    assert pane.choice.query == parse("is:failed label:refund")
    assert [pane.list.at(row).source_line for row in range(pane.list.count)] == [22]
    await opened.press("escape")


@does("breakdown.name")
async def a_filter_is_named_and_chosen_by_its_name(opened: Opened, key: str) -> None:
    pane = opened.get(FailuresPane)
    await opened.press("4", "f")
    await opened.type("is:passed label:refund")
    await opened.press("enter")
    screen = await _at_what_fails(opened, "is:broken")
    await opened.press(key)
    await opened.type("good refunds")
    await opened.press("enter")
    await opened.shows("your filters", "good refunds")
    assert screen.list.lines[screen.list.cursor].saved == "good refunds"
    await opened.press("escape", "escape")
    assert pane.choice.query == FAILED
    await _at_what_fails(opened, "is:passed label:refund")
    await opened.press("enter")
    await opened.until(lambda: opened.app.screen is opened.bench)
    assert pane.choice.query == parse("is:passed label:refund")
    assert pane.list.count == 5
    await opened.press("escape")


@does("breakdown.forget")
async def a_named_filter_is_forgotten(opened: Opened, key: str) -> None:
    screen = await _at_what_fails(opened, "is:failed")
    await opened.press("A")
    await opened.type("odd")
    await opened.press("enter")
    await opened.until(lambda: any(line.saved == "odd" for line in screen.list.lines))
    screen.list.set_cursor([line.saved for line in screen.list.lines].index("odd"))
    await opened.press(key)
    assert not any(line.saved == "odd" for line in screen.list.lines)
    screen.list.set_cursor([line.term for line in screen.list.lines].index("is:failed"))
    await opened.press(key)
    await opened.tells("Only a named filter can be removed.")
    await opened.press("escape")


async def _asking(opened: Opened) -> AskingScreen:
    await opened.press("1", "g m")
    await opened.until(lambda: isinstance(opened.app.screen, AskingScreen))
    assert isinstance(opened.app.screen, AskingScreen)
    return opened.app.screen


@does("loop.training")
async def training_rows_that_may_be_wrong_are_shown(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows(
        "Training rows of support-intents/2", "no losses of training rows were recorded"
    )
    assert isinstance(opened.app.screen, TrainingScreen)


async def _reading_training_rows(opened: Opened) -> TrainingScreen:
    row = Row("t7", "my pin is blocked", "pin blocked", 7)
    answer = Answer("the nearest training row has similarity", False, [Neighbour(row, 0.91)])
    files = RowFiles({"": "train.jsonl"}, {"": opened.bench.loop.settings_file})
    opened.backend.near = NearestRows(answer, files)
    await _reading_an_example(opened)
    await opened.press("g t")
    await opened.shows("loop.toml:7")
    assert isinstance(opened.app.screen, TrainingScreen)
    return opened.app.screen


@does("training.edit")
async def the_row_is_edited_in_its_file(opened: Opened, key: str) -> None:
    await _reading_training_rows(opened)
    await opened.press(key)
    await opened.tells("loop.toml is not a text file")


@does("training.copy")
async def the_training_row_is_copied(opened: Opened, key: str) -> None:
    await _reading_training_rows(opened)
    await opened.press(key)
    assert opened.app.clipboard == "my pin is blocked\npin blocked"


@does("training.read")
async def the_training_row_is_read_in_full(opened: Opened, key: str) -> None:
    screen = await _reading_training_rows(opened)
    await opened.press(key)
    assert screen.focused is screen.sheet
    await opened.press(key)
    assert screen.focused is screen.list


async def _generating_again(opened: Opened) -> AgainScreen:
    await opened.press("4")
    await opened.shows("7 of 24 failed")
    await opened.press("g n", "enter")
    await opened.until(lambda: isinstance(opened.app.screen, AgainScreen))
    assert isinstance(opened.app.screen, AgainScreen)
    return opened.app.screen


@does("failures.again")
async def settings_are_asked_for_and_what_is_listed_is_generated(opened: Opened, key: str) -> None:
    await opened.press("4")
    await opened.shows("7 of 24 failed")
    await opened.press(key)
    assert opened.get(FailuresPane).field.value == "evaluation.max_new_tokens=128"
    await opened.press("enter")
    await opened.until(lambda: isinstance(opened.app.screen, AgainScreen))
    number, ids, settings = opened.backend.generated[-1]
    assert (number, len(ids), settings) == (2, 7, ["evaluation.max_new_tokens=128"])


@does("again.copy")
async def what_was_generated_is_copied(opened: Opened, key: str) -> None:
    await _generating_again(opened)
    await opened.press(key)
    assert opened.app.clipboard.startswith("Message: my case number 23")


@does("again.read")
async def what_was_generated_is_read_in_full(opened: Opened, key: str) -> None:
    screen = await _generating_again(opened)
    await opened.press(key)
    assert screen.focused is screen.sheet
    await opened.press(key)
    assert screen.focused is screen.list


async def _at_the_queue(opened: Opened) -> QueueScreen:
    clear(opened.bench.loop)
    add(opened.bench.loop, QueuedDraft(2, "first", {"lora.r": 4}), QueuedDraft(2, "second"))
    await opened.press("g q")
    await opened.shows("2 drafts queued", "first", "second")
    screen = opened.app.screen
    assert isinstance(screen, QueueScreen)
    return screen


async def _queue_is(opened: Opened, *whys: str) -> None:
    loop = opened.bench.loop
    await opened.until(lambda: [each.why for each in read_queue(loop)] == list(whys), str(whys))


@does("loop.queue")
async def the_queue_opens(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Queue of support-intents", "No draft is queued.")
    assert isinstance(opened.app.screen, QueueScreen)


@does("loop.auto")
async def auto_asks_for_its_budget(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Auto from support-intents/2", "first from iteration 2: learning_rate")
    assert isinstance(opened.app.screen, AutoDialog)
    await opened.press("escape")


@does("loop.enqueue")
async def the_draft_is_added_to_the_queue(opened: Opened, key: str) -> None:
    draft = opened.bench.state.draft
    assert draft is not None
    await opened.bench.drafts.save(draft.with_value("lora.r", 4).with_why("smaller"))
    await opened.press(key)
    await _queue_is(opened, "smaller")
    clear(opened.bench.loop)


@does("queue.later")
async def it_is_run_later(opened: Opened, key: str) -> None:
    await _at_the_queue(opened)
    await opened.press(key)
    await _queue_is(opened, "second", "first")


@does("queue.sooner")
async def it_is_run_sooner(opened: Opened, key: str) -> None:
    await _at_the_queue(opened)
    await opened.press("down", key)
    await _queue_is(opened, "second", "first")


@does("queue.remove")
async def it_is_taken_out(opened: Opened, key: str) -> None:
    await _at_the_queue(opened)
    await opened.press(key)
    await _queue_is(opened, "second")


@does("queue.undo")
async def it_is_put_back(opened: Opened, key: str) -> None:
    await _at_the_queue(opened)
    await opened.press("delete")
    await _queue_is(opened, "second")
    await opened.press(key)
    await _queue_is(opened, "first", "second")


@does("loop.close")
async def the_loop_is_closed_and_opened_again(opened: Opened, key: str) -> None:
    loop = opened.bench.loop
    await opened.press(key)
    await opened.shows("Close support-intents?", "The final iteration will be 2")
    await opened.press("enter")
    assert isinstance(opened.app.screen, InputDialog), "it is closed for a reason"
    await opened.type("good enough")
    await opened.press("enter")
    await opened.shows("closed with iteration 2")
    closed = loop.read_settings().closed
    assert closed is not None
    assert (closed.why, closed.iteration) == ("good enough", 2)
    await opened.press(key)
    await opened.shows("support-intents is closed", "because: good enough")
    await opened.press("o")
    await opened.until(lambda: loop.read_settings().closed is None)
    await opened.looks()


@does("loop.settings")
async def the_goal_is_edited(opened: Opened, key: str) -> None:
    loop = opened.bench.loop
    with pytest.MonkeyPatch.context() as patch:
        body = "path.write_text(path.read_text().replace('goal = ', 'goal = \"reach 90%\" # '))"
        patch.setenv("EDITOR", an_editor(loop.path.parent, body))
        await opened.press(key)
        await opened.until(lambda: loop.read_settings().goal == "reach 90%")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDITOR", an_editor(loop.path.parent, "path.write_text('= no')"))
        await opened.press(key)
        await opened.shows("loop.toml cannot be used", "restore the earlier version")
        await opened.press("r")
        await opened.until(lambda: "reach 90%" in loop.settings_file.read_text())
    await opened.until(lambda: opened.app.screen is opened.bench)


@does("loop.report")
async def a_report_is_written(opened: Opened, key: str) -> None:
    path = opened.bench.loop.path / "all.md"
    await opened.press(key)
    await opened.shows("Write a report of support-intents", "support-intents.html")
    await opened.type(str(path))
    await opened.press("enter")
    await opened.tells(f"wrote {path}")
    assert "support-intents" in path.read_text()
    path.write_text("mine")
    await opened.press(key)
    await opened.type(str(path))
    await opened.press("enter")
    await opened.tells("already exists and is not a report")
    assert path.read_text() == "mine"


@does("loop.fresh")
async def another_split_is_drafted(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.shows("Draft the next iteration from 2 on a fresh split?")
    await opened.press("enter")
    await opened.tells("24 rows drawn from training")
    assert opened.bench.state.selected == DRAFT
    assert opened.bench.state.draft is not None
    assert opened.bench.state.draft.changed == {"data.split_seed": (0, 1)}


@does("queue.run")
async def the_queue_is_run(opened: Opened, key: str) -> None:
    await _at_the_queue(opened)
    before = len(opened.backend.queues_run)
    await opened.press(key)
    await opened.shows("Run 2 drafts?")
    await opened.press("enter")
    await opened.until(lambda: len(opened.backend.queues_run) == before + 1)


@does("queue.read")
async def the_queued_draft_is_read_in_full(opened: Opened, key: str) -> None:
    screen = await _at_the_queue(opened)
    await opened.press(key)
    assert screen.focused is screen.sheet
    await opened.press(key)
    assert screen.focused is screen.list


@does("loop.ask")
async def the_models_may_be_asked_anything(opened: Opened, key: str) -> None:
    await opened.press(key)
    await opened.until(lambda: isinstance(opened.app.screen, AskingScreen))
    await opened.shows(
        "Ask support-intents/2", "sent to iteration 2 and iteration 1 and the base model."
    )
    assert opened.backend.askers[-1].asked == []


@does("asking.ask")
async def what_is_typed_is_asked(opened: Opened, key: str) -> None:
    screen = await _asking(opened)
    await opened.type("where is my card?")
    await opened.press(key)
    asker = opened.backend.askers[-1]
    assert asker.asked == ["where is my card?"]
    assert screen.line.value == ""
    asker.answers_all("card arrival", "refund", "")
    await opened.shows("asked      where is my card?", "card arrival   3 tokens", "(empty)")


@does("asking.drop")
async def a_question_is_given_up(opened: Opened, key: str) -> None:
    await _asking(opened)
    await opened.type("where is my card?")
    await opened.press("enter", key)
    assert opened.backend.askers[-1].drops == 1
    await opened.shows("it was given up")


async def _with_long_answers(opened: Opened) -> AskingScreen:
    screen = await _asking(opened)
    await opened.type("tell me")
    await opened.press("enter")
    opened.backend.askers[-1].answers_all(*["a line\n" * 40] * 3)
    await opened.until(lambda: screen.sheet.max_scroll_y > 60)
    await opened.until(lambda: screen.sheet.scroll_y == screen.sheet.max_scroll_y)
    return screen


@does("asking.up")
async def earlier_answers_are_read(opened: Opened, key: str) -> None:
    screen = await _with_long_answers(opened)
    before = screen.sheet.scroll_y
    await opened.press(key)
    await opened.until(lambda: screen.sheet.scroll_y < before)
    assert screen.line.has_focus


@does("asking.down")
async def later_answers_are_read(opened: Opened, key: str) -> None:
    screen = await _with_long_answers(opened)
    await opened.press("pageup", "pageup")
    await opened.until(lambda: screen.sheet.scroll_y < screen.sheet.max_scroll_y)
    before = screen.sheet.scroll_y
    await opened.press(key)
    await opened.until(lambda: screen.sheet.scroll_y > before)


def _first_key(name: str) -> str:
    return BY_ID[name].keys.split(",")[0]


@pytest.mark.slow
@pytest.mark.parametrize("group", GROUPS)
def test_the_first_key_of_an_action_does_what_the_table_says(group: str, open_app: OpenApp) -> None:
    size = WIDE if group == "workbench" else SMALL

    async def steps(opened: Opened) -> None:
        for place, name in enumerate(GROUPS[group]):
            if place:
                await opened.begins_again(2)
            await CHECKS[name](opened, _first_key(name))

    on_app(open_app(size=size, number=2), steps)


def test_no_action_is_left_out() -> None:
    assert set(CHECKS) == {each.id for each in ACTIONS if each.scope not in ELSEWHERE}


def test_letters_move_as_the_arrows_do(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        rows = opened.get(IterationTable)
        for key, cursor in (("k", 1), ("j", 2), ("G", 4), ("g g", 0)):
            await opened.press(key)
            assert rows.cursor == cursor
        await opened.press("enter")
        await opened.shows("notes  in the workbench, e edits them")
        assert isinstance(opened.app.screen, ReadingScreen)
        await opened.press("escape", "f1")
        assert isinstance(opened.app.screen, HelpScreen)
        await opened.press("G")
        await opened.until(lambda: opened.app.screen.sheet.scroll_y > 0)  # type: ignore[attr-defined]
        await opened.press("escape", "ctrl+p")
        await opened.until(lambda: CommandPalette.is_open(opened.app))

    on_app(open_app(size=SMALL, number=2), steps)


def test_an_l_opens_no_row(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("l", "h")
        assert opened.app.screen is opened.bench
        assert opened.bench.state.selected == 2

    on_app(open_app(size=SMALL, number=2), steps)


def test_g_twice_goes_to_the_top_of_what_has_the_focus(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("question_mark", "G")
        screen = opened.app.screen
        assert isinstance(screen, HelpScreen)
        await opened.until(lambda: screen.sheet.scroll_y > 0)
        await opened.press("g g")
        await opened.until(lambda: screen.sheet.scroll_y == 0)
        await opened.press("escape")
        queue = await _at_the_queue(opened)
        await opened.press("G")
        assert queue.list.cursor == 1
        await opened.press("g g")
        assert queue.list.cursor == 0
        await opened.press("tab")
        assert queue.focused is queue.sheet
        await opened.press("g g")
        assert queue.focused is queue.sheet
        assert opened.app.screen is queue

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_command_of_the_loop_behind_the_leader_closes_what_lies_over_the_workbench(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        await _reading_an_example(opened)
        await opened.press("g h")
        await opened.until(lambda: isinstance(opened.app.screen, ProgressScreen))
        await opened.press("g q")
        await opened.until(lambda: isinstance(opened.app.screen, QueueScreen))
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)

    on_app(open_app(size=SMALL, number=2), steps)


@pytest.mark.parametrize("pane", ["1", "2", "3", "4", "5"])
def test_the_menu_of_the_leader_shows_all_its_commands_on_a_small_screen(
    pane: str, open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press(pane, "g")
        menu = opened.app.screen
        assert isinstance(menu, LeaderMenu)
        for key, action in leader_actions("g", opened.bench.scopes):
            await opened.shows(f"  {key} {action.description[:20]}")

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_menu_of_the_leader_has_the_keys_that_the_user_has_given(open_app: OpenApp) -> None:
    keys = {
        "loop.progress": "g Z",
        "loop.queue": "ctrl+y",
        "loop.ready": "g comma",
        "app.back": "ctrl+b",
    }

    async def steps(opened: Opened) -> None:
        await opened.press("g")
        await opened.shows("  Z progress over the iteration")
        assert "queue of drafts" not in opened.text, "it is not behind the leader any more"
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench, "esc closes the menu")
        await opened.press("g", "Z")
        await opened.until(lambda: isinstance(opened.app.screen, ProgressScreen))
        await opened.press("g", "comma")
        await opened.until(lambda: isinstance(opened.app.screen, ReadyScreen))

    on_app(open_app(size=SMALL, number=2, settings=Settings(keys=keys)), steps)


def test_the_footer_names_the_keys_that_the_user_has_given(open_app: OpenApp) -> None:
    keys = {"app.leader": "comma", "app.help": "ctrl+h", "app.commands": "semicolon"}

    async def steps(opened: Opened) -> None:
        await opened.shows("comma more  ctrl+h help  semicolon commands")
        await opened.press("comma")
        await opened.until(lambda: isinstance(opened.app.screen, LeaderMenu))

    on_app(open_app(size=WIDE, number=2, settings=Settings(keys=keys)), steps)


def test_without_a_workbench_the_palette_runs_no_command_of_a_loop(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.app.switch_screen(PickerScreen(opened.app.loops, opened.app.backend))
        await opened.until(lambda: isinstance(opened.app.screen, PickerScreen))
        await opened.press("colon")
        await opened.type("queue of drafts")
        await opened.shows("queue of drafts  (g q)", "only in: Loop and run")

    on_app(open_app(size=WIDE, number=2), steps)


def test_without_a_workbench_the_menu_of_the_leader_has_no_command_of_a_loop(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("g l")
        await opened.until(lambda: isinstance(opened.app.screen, PickerScreen))
        await opened.press("g")
        await opened.shows("open a recorded demo loop", "Loop and run")
        await opened.press("escape")
        opened.app.switch_screen(PickerScreen(opened.app.loops, opened.app.backend))
        await opened.press("g")
        await opened.shows("open a recorded demo loop")

    on_app(open_app(size=SMALL, number=2), steps)


def _offered_scopes() -> list[tuple[str, ...]]:
    """The scopes of every screen, and of every pane of the workbench."""
    screens = (AgainScreen, AskingScreen, BreakdownScreen, CheckScreen, DiagnosisScreen)
    screens += (ExampleScreen, NewLoopScreen, PatternsScreen, PickerScreen, ProgressScreen)
    screens += (QueueScreen, ReadyScreen, TrainingScreen)
    fields = [("field",), ("columns",)]
    panes = [(pane, "workbench", *(() if pane == "chart" else ("list",)), "app") for pane in PANES]
    parts = [("compare", nearest, "app") for nearest in ("sheet", "chart", "list")]
    return [*panes, *parts, *fields, ("sheet", "app"), *(each.scopes for each in screens)]


REPLACED = {"example.nearest": "loop.training", "example.ask": "loop.ask"}
"""Commands of a screen in place of the loop's own: the same one, of what is on the screen."""


@pytest.mark.parametrize("scopes", _offered_scopes(), ids="-".join)
def test_no_leader_sequence_is_bound_twice(scopes: tuple[str, ...]) -> None:
    for focused in ("list", "sheet"):  # only one of them has the focus
        at_hand = {*scopes, "workbench"} - ({"list", "sheet"} - {focused})
        bound: dict[str, list[str]] = {}
        for action in ACTIONS:
            for keys in action.keys.split(","):
                if action.scope in at_hand and " " in keys:
                    bound.setdefault(keys, []).append(action.id)
        for keys, ids in bound.items():
            replaced = {REPLACED[each] for each in ids if each in REPLACED}
            assert len(set(ids) - replaced) == 1, f"{keys} is {ids} in {scopes}"


def test_scopes_of_every_screen_are_tested() -> None:
    tested = {scope for scopes in _offered_scopes() for scope in scopes}
    assert tested == set(SCOPES)


MAX_SIGNS = 40


def test_few_signs_are_keys() -> None:
    """Letters, digits, other signs and the space, over all scopes; leader sequences are one."""
    signs = {
        key
        for action in ACTIONS
        for name, key in zip(action.keys.split(","), keys_of(action, {}), strict=True)
        if " " not in name and ((len(key) == 1 and key.isascii()) or name == "space")
    }
    assert len(signs) <= MAX_SIGNS, f"{len(signs)}: {' '.join(sorted(signs))}"


def test_a_remapped_key_works_and_the_old_one_does_not(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        assert "ctrl+r run" in opened.lines[-1]
        await opened.press("r")
        assert opened.app.screen is opened.bench
        await opened.press("question_mark")
        await opened.shows("ctrl+r            run the draft (asks)")
        assert "f2 back" in opened.lines[-1]
        await opened.press("f2")
        assert opened.app.screen is opened.bench
        await opened.press("ctrl+r")
        assert isinstance(opened.app.screen, RunDialog)
        await opened.press("f2")
        assert opened.app.screen is opened.bench

    keys = {"run.start": "ctrl+r", "app.back": "f2"}
    on_app(open_app(settings=Settings(keys=keys)), steps)


@pytest.mark.parametrize(
    ("text", "named", "hint"),
    [
        ('"run.start" = "s"', "run.stop", "give one of the two actions a different key"),
        ('"run.start" = ","', "run.start", "ctrl+r"),
        ('"run.start" = 3', "keys", "correct that line"),
    ],
)
def test_keys_that_cannot_be_are_refused_by_their_id(
    tmp_path: Path, text: str, named: str, hint: str
) -> None:
    path = tmp_path / "keys.toml"
    path.write_text(f"[keys]\n{text}\n")
    with pytest.raises(BadInput) as caught:
        read_settings(path)
    assert str(path) in caught.value.message
    assert named in caught.value.message
    assert hint in caught.value.hint


def test_two_places_may_share_a_key(tmp_path: Path) -> None:
    path = tmp_path / "keys.toml"
    path.write_text('[keys]\n"log.follow" = "L"\n')
    assert read_settings(path).keys == {"log.follow": "L"}


def test_the_palette_performs_an_action(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4", "colon")
        await opened.type("zoom the")
        await opened.shows("zoom this pane, or show all panes  (z)")
        await opened.press("enter")
        await opened.until(lambda: not CommandPalette.is_open(opened.app))
        await opened.hides("3 Loss of 2")
        await opened.shows("4 Failures of iteration 2")

    on_app(open_app(number=2), steps)


def test_the_palette_performs_an_action_of_a_pane(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("3", "colon")
        await opened.type("chart.log")
        await opened.shows("log scale  (g y)")
        await opened.press("enter")
        await opened.shows("· log ─")

    on_app(open_app(number=2), steps)


@pytest.mark.parametrize(
    ("begin", "word", "seen"),
    [
        ("1", "compare", "Compare support-intents/2 against 1"),
        ("3", "log", "· log ─"),
        ("4", "sort", "by score"),
        ("4", "read", "Example 1 of 7"),
        ("1", "help", "Loop and run"),
    ],
)
def test_a_click_on_a_word_of_the_footer_performs_it(
    begin: str, word: str, seen: str, open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press(begin)
        bar = opened.bench.query_one("#keys", Bar)
        assert await opened.pilot.click(bar, offset=(opened.lines[-1].index(f" {word}") + 2, 0))
        await opened.shows(seen)

    on_app(open_app(number=2), steps)


@pytest.mark.parametrize(("word", "seen"), [("back", "1 Iterations"), ("down", "")])
def test_a_click_on_a_word_below_a_text_performs_it(
    word: str, seen: str, open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("question_mark")
        screen = opened.app.screen
        assert isinstance(screen, HelpScreen)
        bar = screen.query_one("#keys", Bar)
        assert await opened.pilot.click(bar, offset=(opened.lines[-1].index(f" {word}") + 2, 0))
        if seen:
            await opened.shows(seen)
        else:
            await opened.until(lambda: screen.sheet.scroll_y == 1)

    on_app(open_app(size=SMALL), steps)


def test_a_click_on_a_tab_goes_to_its_pane(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        assert await opened.pilot.click("#tabs", offset=(opened.lines[1].index("Log") + 1, 0))
        await opened.shows("5 Log of iteration 2", "run ended: finished")
        assert opened.bench.state.pane == "log"

    on_app(open_app(size=SMALL, number=2), steps)


def test_keys_of_one_packet_land_in_the_field_that_the_first_opened(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4")
        for key in "fpinrsq":
            opened.app.post_message(events.Key(key, key))
        opened.app.post_message(events.Key("backspace", None))
        pane = opened.get(FailuresPane)
        await opened.until(lambda: pane.choice.query.text == "pinrs")
        assert isinstance(opened.app.screen, Workbench)
        assert opened.app.return_code is None

    on_app(open_app(number=2), steps)


def test_a_key_that_comes_with_the_enter_of_a_field_is_for_what_had_the_focus_before(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4")
        for key in ("f", "enter", "enter"):
            opened.app.post_message(events.Key(key, "f" if key == "f" else None))
        await opened.until(lambda: isinstance(opened.app.screen, ExampleScreen))

    on_app(open_app(number=2), steps)


def test_keys_of_one_packet_answer_the_question_that_the_first_asked(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.may_preview.clear()
        for key in "rso":
            opened.app.post_message(events.Key(key, key))
        await opened.until(lambda: isinstance(opened.app.screen, RunDialog))
        dialog = opened.app.screen
        assert isinstance(dialog, RunDialog)
        await opened.until(lambda: dialog.field.value == "so")
        opened.backend.may_preview.set()

    on_app(open_app(number=2), steps)


def test_every_action_has_a_description_and_a_key_that_people_can_read() -> None:
    for each in ACTIONS:
        assert each.description
        assert all("_" not in key for key in keys_of(each, {})), each.id
