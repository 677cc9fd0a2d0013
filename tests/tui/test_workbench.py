"""The workbench on a recorded loop and on scripted runs: what one sees and what one can do."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from textual.drivers.headless_driver import HeadlessDriver
from textual.widget import Widget

from tests.tui.conftest import (
    DIVERGED,
    OpenApp,
    Opened,
    ScriptedRun,
    an_editor,
    examples_of,
    finds,
    on_app,
    scripted_iteration,
)
from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.report import files
from tui_loop.core.snapshot import LoopSnapshot, SnapshotRequest
from tui_loop.core.workflow.draft import Draft, read_draft, write_draft
from tui_loop.tui.controllers import drafts
from tui_loop.tui.screens.dialogs import AskScreen
from tui_loop.tui.screens.run_dialogs import UNCHANGED, RunDialog
from tui_loop.tui.settings import Memory
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.iterations import DRAFT
from tui_loop.tui.widgets.log import LogPane
from tui_loop.tui.workbench.workbench import Workbench

SMALL = (80, 24)
TITLES = (
    "1 Iterations",
    "2 Config of iteration 2",
    "3 Loss of 2",
    "4 Failures of iteration 2",
    "5 Log of iteration 2",
)
RATE = "training.learning_rate"


@pytest.fixture(autouse=True)
def _quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tui_loop.tui.workbench.workbench.LIVE_SECONDS", 0.05)
    monkeypatch.setattr("tui_loop.tui.chart.widget.REDRAW_SECONDS", 0.1)


def saved(loop: LoopFolder) -> dict[str, Any]:
    """The draft as it lies on disk."""
    return tomllib.loads(loop.draft.read_text())


async def edit(opened: Opened, name: str, value: str) -> None:
    """Sets a field of the draft as a user does: find it, open it, type, enter."""
    await finds(opened, name)
    await opened.press("enter")
    await opened.type(value)
    await opened.press("enter")


def test_a_large_screen_shows_all_panes_at_once(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        for title in TITLES:
            assert title in opened.text
        figures = r"2 ★ num_train_epochs 2\.5 → 5 +0\.915 +71% +\+29 ±23 better\?"
        assert re.search(figures, opened.text)
        assert "because: it had not converged" in opened.text
        assert "train 0.174 · eval 0.424" in opened.text
        assert "7 of 24 failed" in opened.text
        assert "run ended: finished" in opened.text
        assert "96 train · 24 eval" in opened.lines[0]
        assert "idle" in opened.lines[0]

    on_app(open_app(number=2), steps)


def test_a_small_screen_shows_one_pane_and_every_pane_can_be_reached(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        for key, title in enumerate(TITLES, 1):
            await opened.press(str(key))
            seen = opened.lines[2:]
            assert [each for each in TITLES if any(each in line for line in seen)] == [title]
        for _ in TITLES:
            await opened.press("tab")
        assert opened.bench.state.pane == "log"

    on_app(open_app(size=SMALL, number=2), steps)


@pytest.mark.parametrize("size", [(60, 20), (20, 6)])
def test_a_screen_that_is_too_small_stays_usable(size: tuple[int, int], open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        keys = ["1", "2", "3", "4", "5", "z", "question_mark", "escape", "4", "enter", "escape"]
        for key in [*keys, "1", "enter", "escape", "c", "escape", "r", "escape", "2", "slash"]:
            await opened.press(key)
            assert len(opened.lines) == size[1]
            assert {cell_len(line) for line in opened.lines} == {size[0]}

    on_app(open_app(size=size, number=2), steps)


def test_the_panes_follow_the_size_of_the_terminal(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await opened.pilot.resize_terminal(80, 24)
        await opened.hides("3 Loss of 2")
        await opened.shows("4 Failures of iteration 2")
        await opened.pilot.resize_terminal(160, 48)
        await opened.shows(*TITLES)

    on_app(open_app(number=2), steps)


def test_the_other_panes_show_what_the_cursor_is_on(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("up")
        await opened.shows(
            "2 Config of iteration 1",
            "3 Loss of 1",
            "4 Failures of iteration 1",
            "5 Log of iteration 1",
        )
        await opened.shows("14 of 24 failed", "the defaults, to begin with")
        await opened.press("up")
        await opened.shows("The base model is not trained", "24 of 24 failed", "untouched base")
        await opened.press("down", "down", "down")
        await opened.shows("✗ the loss is not finite from step 4 on", "The run ended before eval")
        await opened.press("down")
        await opened.shows("2 Config of iteration 4, from 2", "no reason yet")

    on_app(open_app(number=2), steps)


def test_an_edit_is_on_disk_at_once(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await edit(opened, RATE, "1e-3")
        await opened.shows("was 5e-3", "1 changed")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 1e-3)
        await edit(opened, "lora.r", "8")
        await opened.until(lambda: saved(loop)["lora"]["r"] == 8)
        await opened.shows("2 changed")
        assert saved(loop)["parent"] == 2
        await opened.press("space")
        await opened.type("16")
        await opened.press("enter")
        await opened.until(lambda: saved(loop)["lora"]["r"] == 16)
        await opened.shows("1 changed")

    on_app(open_app(number=2), steps)


def test_a_draft_is_there_again_when_the_app_is_opened_again(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def first(opened: Opened) -> None:
        await opened.press("i")
        await edit(opened, RATE, "1e-3")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 1e-3)

    async def second(opened: Opened) -> None:
        assert "draft, from 2: learning_rate 5e-3 → 1e-3" in opened.text
        await opened.goes_to(DRAFT)
        await opened.press("2", "v")
        await opened.shows("2 Config of iteration 4, from 2", "was 5e-3")

    on_app(open_app(number=2), first)
    on_app(open_app(number=2), second)


def test_a_value_that_cannot_be_is_refused_and_nothing_changes(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await edit(opened, RATE, "fast")
        await opened.shows("! must be a number, not 'fast'")
        assert opened.get(ConfigPane).is_editing
        await opened.type("-1")
        await opened.press("enter")
        await opened.shows("! must be a number above 0")
        assert opened.get(ConfigPane).is_editing
        await opened.press("escape")
        assert not opened.get(ConfigPane).is_editing
        await opened.hides("must be a number")
        assert opened.bench.state.draft is not None
        assert not opened.bench.state.draft.changed
        assert not loop.draft.exists()

    on_app(open_app(number=2), steps)


def test_fields_that_contradict_each_other_are_named_and_do_not_run(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await edit(opened, "training.early_stopping_patience", "2")
        await edit(opened, "training.eval_steps", "0")
        await opened.shows("2 changed · ! 1", "! 1 problem")
        rows = opened.get(ConfigPane).list
        await opened.press("home", "g n")
        await opened.shows("! needs evaluations, but eval_steps is 0")
        assert rows.key_of(rows.cursor) == "training.early_stopping_patience"
        await opened.press("home", "1", "r")
        await opened.tells("The draft has 1 problem.")
        assert opened.app.screen is opened.bench
        assert opened.bench.state.pane == "config"
        assert rows.key_of(rows.cursor) == "training.early_stopping_patience"
        assert opened.backend.runs == []

    on_app(open_app(number=2), steps)


def test_fields_go_back_to_the_parents_one_or_all(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await edit(opened, "lora.r", "8")
        await edit(opened, RATE, "1e-3")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 1e-3)
        await opened.press("v")
        assert opened.get(ConfigPane).list.keys == ["why", "lora", "lora.r", "training", RATE]
        await opened.press("u")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 5e-3)
        assert saved(loop)["lora"]["r"] == 8
        await opened.press("g u", "k")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert saved(loop)["lora"]["r"] == 8
        await opened.press("g u", "u")
        await opened.until(lambda: saved(loop)["lora"]["r"] == 16)
        await opened.shows("nothing changed yet")
        await opened.press("g u")
        await opened.tells("Nothing is changed in the draft.")

    on_app(open_app(number=2), steps)


@pytest.mark.parametrize("key", ["enter", "space", "u", "g u"])
def test_what_has_run_is_read_only(key: str, open_app: OpenApp, loop: LoopFolder) -> None:
    before = loop.iteration(2).config.read_bytes()

    async def steps(opened: Opened) -> None:
        await opened.press("2", "down", key)
        await opened.tells(
            "This config has run and is read-only. i drafts the next iteration from it."
        )
        assert not opened.get(ConfigPane).is_editing
        assert not loop.draft.exists()
        assert loop.iteration(2).config.read_bytes() == before

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_draft_with_changes_is_replaced_only_when_one_says_so(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await edit(opened, RATE, "1e-3")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 1e-3)
        await opened.goes_to(1)
        for answer in ("escape", "e"):
            await opened.press("i")
            await opened.shows("There is a draft already", "It changes learning_rate 5e-3 → 1e-3")
            await opened.press(answer)
            await opened.until(lambda: opened.app.screen is opened.bench)
            assert saved(loop)["parent"] == 2
        await opened.press("i", "r")
        await opened.until(lambda: saved(loop)["parent"] == 1)
        assert saved(loop)["training"]["learning_rate"] == 5e-3
        await opened.shows("2 Config of iteration 4, from 1")

    on_app(open_app(number=2), steps)


def test_a_draft_without_changes_is_replaced_without_a_question(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await opened.until(lambda: opened.bench.state.selected == DRAFT and loop.draft.exists())
        await opened.goes_to(1)
        await opened.press("i")
        await opened.until(lambda: saved(loop)["parent"] == 1)
        assert opened.app.screen is opened.bench

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_editor_edits_the_draft(
    open_app: OpenApp, loop: LoopFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change = (
        "path.write_text(path.read_text().replace('learning_rate = 0.005', 'learning_rate = 2e-3'))"
    )
    monkeypatch.setenv("EDITOR", an_editor(tmp_path, change))

    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await opened.press("e")
        await opened.shows("draft, from 2: learning_rate 5e-3 → 2e-3")
        assert opened.bench.state.draft is not None
        assert opened.bench.state.draft.value(RATE) == 2e-3
        assert saved(loop)["training"]["learning_rate"] == 2e-3

    on_app(open_app(), steps)


def test_a_draft_that_the_editor_broke_is_restored_as_it_was(
    open_app: OpenApp, loop: LoopFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", an_editor(tmp_path, "path.write_text('[training\\n')"))

    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await edit(opened, RATE, "1e-3")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 1e-3)
        before = loop.draft.read_text()
        await opened.press("e")
        await opened.shows("The draft cannot be read", "at line 1", "restore the earlier version")
        assert loop.draft.read_text() == "[training\n"
        await opened.press("r")
        await opened.until(lambda: loop.draft.read_text() == before)
        await opened.shows("draft, from 2: learning_rate 5e-3 → 1e-3")

    on_app(open_app(), steps)


def test_a_draft_that_the_editor_broke_can_be_edited_again(
    open_app: OpenApp, loop: LoopFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = """
text = path.read_text()
path.write_text(text[:-9] if "schema" in text else "parent = 1\\n[training]\\nlearning_rate = 7e-3")
if "schema" in text: path.write_text("parent = 'one'")
"""
    monkeypatch.setenv("EDITOR", an_editor(tmp_path, body))

    async def steps(opened: Opened) -> None:
        await opened.goes_to(DRAFT)
        await opened.press("e")
        await opened.shows("The draft cannot be read", "parent must be the number of an iteration")
        await opened.press("e")
        await opened.until(lambda: opened.app.screen is opened.bench)
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 7e-3)
        await opened.shows("2 Config of iteration 4, from 1")

    on_app(open_app(), steps)


def test_an_editor_that_is_not_there_is_named(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDITOR", "no-such-editor")

    async def steps(opened: Opened) -> None:
        await opened.press("e")
        await opened.tells("no-such-editor", "set $EDITOR to an installed editor")

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_run_dialog_says_what_would_run(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await edit(opened, RATE, "1e-3")
        opened.backend.notices = ["3 rows are longer than max_length"]
        opened.backend.base_first = True
        opened.backend.may_preview.clear()
        await opened.press("r")
        await opened.shows("Run 4, from 2", f"{RATE} 5e-3 → 1e-3", "reading the data ...")
        await opened.press("enter")
        assert isinstance(opened.app.screen, RunDialog)
        opened.backend.may_preview.set()
        await opened.shows("tiny: 96 training rows, 24 evaluation rows, 30 steps")
        await opened.shows("it is evaluated first", "3 rows are longer than max_length")
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert opened.backend.runs == []
        assert saved(loop)["training"]["learning_rate"] == 1e-3

    on_app(open_app(number=2), steps)


def test_the_run_dialog_says_what_keeps_it_from_running(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.refusal = BadInput("train.jsonl: no such file", "put it back")
        await opened.press("r")
        await opened.shows("✗ train.jsonl: no such file", "hint: put it back")
        await opened.press("enter")
        assert isinstance(opened.app.screen, RunDialog)
        assert opened.backend.runs == []

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_run_dialog_has_room_for_all_its_lines(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await opened.until(lambda: opened.bench.state.draft and opened.bench.state.draft.saved)
        draft = opened.bench.state.draft
        assert draft is not None
        for name in ("r", "lora_alpha"):
            draft = draft.with_value(f"lora.{name}", 7)
        for name in (
            "seed",
            "max_steps",
            "logging_steps",
            "eval_steps",
            "save_steps",
            "max_length",
        ):
            draft = draft.with_value(f"training.{name}", 7)
        await opened.bench.drafts.save(draft)
        opened.backend.notices = [f"notice {number}" for number in range(4)]
        opened.backend.base_first = True
        await opened.press("r")
        await opened.shows("and 2 more changes", "96 training rows", "! notice 3")
        await opened.press("escape")
        opened.backend.refusal = BadInput("train.jsonl: " + "a long story " * 20, "put it back")
        await opened.press("r")
        await opened.shows("hint: put it back", "why this change?")

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_slow_save_does_not_bring_back_an_older_draft(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_begun, first_may_end = threading.Event(), threading.Event()

    def slow_write(loop: LoopFolder, draft: Draft) -> Draft:
        if not first_begun.is_set():
            first_begun.set()
            assert first_may_end.wait(PATIENCE_SECONDS)
        return write_draft(loop, draft)

    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await opened.until(lambda: opened.bench.state.draft and opened.bench.state.draft.saved)
        older = opened.bench.state.draft
        assert older is not None
        newer = older.with_value("training.seed", 8)
        monkeypatch.setattr(drafts, "write_draft", slow_write)
        slow = asyncio.create_task(opened.bench.drafts.save(older.with_why("a try")))
        await opened.until(first_begun.is_set)
        fast = asyncio.create_task(opened.bench.drafts.save(newer))
        await opened.until(lambda: opened.bench.state.draft is newer)
        first_may_end.set()
        await asyncio.gather(slow, fast)
        assert opened.bench.state.draft is not None
        assert opened.bench.state.draft.value("training.seed") == 8
        await opened.looks(2)
        assert opened.bench.state.draft.value("training.seed") == 8
        on_disk = read_draft(opened.bench.loop)
        assert on_disk is not None
        assert on_disk.value("training.seed") == 8

    on_app(open_app(number=2), steps)


async def start(opened: Opened, why: str = "a try") -> ScriptedRun:
    """Runs the draft, as a user does: one without a change takes enter twice."""
    draft = opened.bench.state.draft
    assert draft is not None
    await opened.press("r")
    await opened.shows("training rows, 24 evaluation rows")
    await opened.type(why)
    await opened.press("enter")
    if not draft.changed:
        await opened.shows(UNCHANGED)
        await opened.press("enter")
    await opened.until(lambda: opened.backend.runs, "a started run")
    return opened.backend.run


def test_one_enter_does_not_run_a_draft_without_a_change(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        for _ in range(2):  # esc forgets the first enter
            await opened.press("r")
            await opened.shows("Run 4, from 2", "No change from the parent", "evaluation rows")
            assert UNCHANGED not in opened.text
            await opened.press("enter")
            await opened.shows(UNCHANGED)
            assert isinstance(opened.app.screen, RunDialog)
            await opened.press("escape")
            await opened.until(lambda: opened.app.screen is opened.bench)
        assert opened.backend.runs == []
        assert loop.numbers() == [0, 1, 2, 3]

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_second_enter_runs_a_draft_without_a_change(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        await start(opened, "how noisy is it?")
        decision = loop.iteration(4).read_decision()
        assert (decision.parent, decision.why, decision.changes) == (2, "how noisy is it?", ())

    on_app(open_app(size=SMALL, number=2), steps)


def test_one_enter_runs_a_draft_with_a_change(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        draft = opened.bench.state.draft
        assert draft is not None
        await opened.bench.drafts.save(draft.with_value("lora.r", 4))
        await opened.press("r")
        await opened.shows("lora.r 16 → 4", "evaluation rows")
        await opened.press("enter")
        await opened.until(lambda: opened.backend.runs, "a started run")
        assert loop.iteration(4).read_config().lora.r == 4

    on_app(open_app(size=SMALL, number=2), steps)


def test_one_enter_runs_the_defaults_of_a_loop_that_has_no_iteration(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    for number in loop.numbers():
        shutil.rmtree(loop.iteration(number).path)

    async def steps(opened: Opened) -> None:
        await opened.press("r")
        await opened.shows("The loop's defaults, unchanged.", "evaluation rows")
        await opened.press("enter")
        await opened.until(lambda: opened.backend.runs, "a started run")

    on_app(open_app(size=SMALL), steps)


def test_the_reason_of_a_run_can_be_written_beside_its_config(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    before = loop.iteration(2).config.read_bytes()

    async def steps(opened: Opened) -> None:
        await opened.press("2", "down", "a")
        await opened.shows("Why was iteration 2 run?")
        await opened.type("twice the epochs")
        await opened.press("enter")
        await opened.tells("Saved the reason for iteration 2.")
        assert loop.iteration(2).read_decision().why == "twice the epochs"
        assert loop.iteration(2).config.read_bytes() == before
        assert not loop.draft.exists()

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_run_is_watched_from_its_start_to_its_examples(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await edit(opened, RATE, "1e-3")
        run = await start(opened, "the curve was steep")
        await opened.shows("support-intents/4 starting", "No loss yet", "3 Loss of 4")
        assert loop.iteration(4).read_decision().why == "the curve was steep"
        assert loop.iteration(4).read_config().training.learning_rate == 1e-3
        assert not loop.draft.exists()
        assert opened.bench.state.pane == "chart"
        run.starts("loading", 0)
        await opened.shows("▶ 4 loading")
        run.goes_on_to("training", 30).steps(3.0, 2.5, 2.0)
        await opened.shows("training 3/30", "train 2.000", "step 3  loss 2  grad")
        await opened.shows("▶ 3/30", "until 4 is evaluated")
        assert "s stop" in opened.lines[-1]
        assert "r run" not in opened.lines[-1]
        run.steps(1.5, first=4).evaluates(4, 1.75)
        await opened.shows("eval 1.750", "evaluated at step 4  eval loss 1.75")
        run.goes_on_to("evaluating", 24)
        await opened.shows("▶ 4 evaluating 0/24")
        examples, tokens = examples_of(set(range(20)))
        run.ends(examples=examples, tokens=tokens)
        await opened.shows("idle", "4 of 24 failed", "run ended: finished")
        await opened.tells("4 finished, score 83%")
        await opened.press("1")
        row = r"4 ★ └ learning_rate 5e-3 → 1e-3 .* 83% +\+12 ±17 no diff"
        await opened.until(lambda: re.search(row, opened.text), row)
        assert "draft, from 4: nothing changed yet" in opened.text

    on_app(open_app(number=2), steps)


def test_a_run_of_another_process_is_watched_just_the_same(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        run = scripted_iteration(loop, "learning_rate=1e-3").starts().steps(3.0, 2.5, 2.0)
        try:
            await opened.looks()
            await opened.shows("▶ 4 training 3/30", "▶ 3/30")
            assert opened.bench.state.selected == 2
            await opened.goes_to(4)
            await opened.shows("train 2.000", "step 3  loss 2  grad")
            run.steps(1.5, first=4)
            await opened.shows("train 1.500", "step 4  loss 1.5")
            examples, tokens = examples_of(set(range(20)))
            run.ends(examples=examples, tokens=tokens)
            await opened.shows("idle", "4 of 24 failed", "run ended: finished")
        finally:
            run.closes()

    on_app(open_app(number=2), steps)


def test_the_app_opens_on_the_live_run(open_app: OpenApp, loop: LoopFolder) -> None:
    run = scripted_iteration(loop).starts().steps(3.0, 2.0)

    async def steps(opened: Opened) -> None:
        await opened.shows("▶ 4 training", "3 Loss of 4", "train 2.000")
        run.dies()
        await opened.shows("✗ interrupted", "idle")

    on_app(open_app(), steps)


@pytest.mark.parametrize(
    ("key", "save", "evaluate"), [("e", True, True), ("s", True, False), ("x", False, False)]
)
def test_stop_asks_how_and_the_run_is_stopping_until_it_has_ended(
    key: str, save: bool, evaluate: bool, open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts().steps(3.0, 2.0)

    async def steps(opened: Opened) -> None:
        await opened.shows("▶ 4 training")
        await opened.press("s")
        await opened.shows("Stop 4?")
        await opened.press(key)
        await opened.until(loop.iteration(4).requests.exists)
        line = json.loads(loop.iteration(4).requests.read_text())
        assert (line["name"], line["attempt"]) == ("stop", 1)
        assert (line["save"], line["evaluate"]) == (save, evaluate)
        await opened.tells("Run 4 will stop.")
        assert len(run.takes_requests()) == 1
        await opened.shows("▶ 4 stopping")
        await opened.press("s")
        await opened.tells("Run 4 is stopping. It ends after this step or batch.")
        run.steps(1.9, first=3)
        await opened.looks(2)
        assert "▶ 4 stopping" in opened.lines[0]
        run.ends("stopped")
        await opened.shows("idle")
        await opened.press("1")
        await opened.shows("■ stopped")

    on_app(open_app(size=SMALL), steps)


def test_a_stop_that_is_confirmed_after_the_run_has_ended_is_not_requested(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts().steps(3.0, 2.0)

    async def steps(opened: Opened) -> None:
        await opened.shows("▶ 4 training")
        await opened.press("s")
        await opened.shows("Stop 4?")
        run.ends()
        next_run = scripted_iteration(loop, "lora.r=4").starts()
        await opened.until(
            lambda: (
                opened.bench.snapshot.live is not None  # type: ignore[union-attr]
                and opened.bench.snapshot.live.number == 5
            )  # type: ignore[union-attr]
        )
        await opened.press("e")
        await opened.tells("Run 4 has ended. s stops the run that is live now.")
        assert not loop.iteration(4).requests.exists()
        assert not loop.iteration(5).requests.exists()
        next_run.dies()

    on_app(open_app(size=SMALL), steps)


def test_a_folded_config_shows_all_its_changes(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        fields = opened.get(ConfigPane).list
        assert fields.is_folded
        assert fields.count > 2, "a reason, a heading, a change"
        await opened.until(lambda: len(fields.visible_rows()) == fields.count, "all in view")

    on_app(open_app((160, 48), number=2), steps)


def test_marks_of_iterations_that_no_longer_exist_are_dropped(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    memory = Memory()
    known = {"pane": "iterations", "selected": 2, "marked": [1, 99]}
    memory.put(f"workbench {loop.path.resolve()}", known)

    async def steps(opened: Opened) -> None:
        assert opened.bench.state.marked == (1,)
        await opened.press("c")
        await opened.shows("support-intents/2 against 1")

    on_app(open_app(memory=Memory()), steps)


def test_a_report_that_is_being_written_is_not_forgotten_for_another_question(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()

    def slow(*_: object) -> None:
        assert may_write.wait(PATIENCE_SECONDS)

    monkeypatch.setattr(files, "write_report", slow)

    async def steps(opened: Opened) -> None:
        await opened.press("g w")
        await opened.shows("Write a report of support-intents")
        await opened.press("enter")
        await opened.tells("writing the report ...")
        await opened.press("g f")
        await opened.shows("Close support-intents?")
        await opened.press("escape")
        may_write.set()
        await opened.tells("wrote ")

    on_app(open_app(number=2), steps)


def test_a_run_continues_where_the_stop_is_not_confirmed(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts()

    async def steps(opened: Opened) -> None:
        await opened.shows("▶ 4 training")
        for answer in ("escape", "c"):
            await opened.press("s")
            await opened.shows("Stop 4?")
            await opened.press(answer)
            await opened.until(lambda: opened.app.screen is opened.bench)
        assert not loop.iteration(4).requests.exists()
        run.dies()

    on_app(open_app(size=SMALL), steps)


def test_nothing_is_stopped_in_an_idle_loop(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("s")
        await opened.tells("Nothing is running.")

    on_app(open_app(size=SMALL), steps)


def test_a_second_start_is_refused_during_a_run_and_the_draft_stays(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        run = (await start(opened)).starts().steps(3.0)
        await opened.shows("▶ 4 training")
        await opened.goes_to(DRAFT)
        await edit(opened, RATE, "1e-3")
        await opened.until(lambda: saved(loop)["training"]["learning_rate"] == 1e-3)
        await opened.press("r")
        await opened.tells("Run 4 is live. s stops it; A queues the draft.")
        assert opened.app.screen is opened.bench
        assert saved(loop)["training"]["learning_rate"] == 1e-3
        run.ends()
        await opened.shows("idle")
        assert len(opened.backend.runs) == 1

    on_app(open_app(number=2), steps)


def test_a_start_that_is_refused_keeps_the_draft_and_the_reason(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("i")
        await edit(opened, RATE, "1e-3")
        await opened.press("r")
        await opened.shows("training rows, 24 evaluation rows")
        opened.backend.refusal = BadInput("somebody else just began one", "wait for it")
        await opened.type("my reason")
        await opened.press("enter")
        await opened.tells("somebody else just began one", "wait for it")
        await opened.until(lambda: saved(loop)["why"] == "my reason")
        assert saved(loop)["training"]["learning_rate"] == 1e-3
        assert loop.numbers() == [0, 1, 2, 3]

    on_app(open_app(number=2), steps)


def test_a_run_that_failed_shows_its_hint(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        run = (await start(opened)).starts().steps(3.0, float("nan"))
        await opened.shows("▶ 4 training")
        run.ends("failed", error=DIVERGED)
        await opened.tells("4 failed: the loss is not finite", "lower the learning rate")
        await opened.press("1")
        await opened.until(lambda: re.search(r"▸ +4 .*✗ diverged", opened.text))
        await opened.shows("hint: lower the learning rate (it was 20; try 2)")
        await opened.shows("1 non-finite")

    on_app(open_app(number=2), steps)


def test_a_run_that_fails_before_a_poll_saw_it_is_reported(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        run = await start(opened)
        await opened.shows("No loss yet")
        error = {"kind": "data", "message": "train.jsonl: is gone", "hint": "put it back"}
        run.starts("loading", 0).ends("failed", error=error)
        await opened.tells("4 failed: train.jsonl: is gone", "put it back")

    on_app(open_app(size=SMALL), steps)


def test_a_start_that_did_not_become_a_run_is_reported(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.fault = BadInput("the run could not be hosted: no memory", "close something")
        await opened.looks()
        await opened.tells("the run could not be hosted: no memory", "close something")
        assert opened.backend.take_fault() is None

    on_app(open_app(size=SMALL), steps)


@pytest.mark.parametrize("key", ["q", "ctrl+q", "ctrl+c"])
def test_quitting_with_a_run_in_this_process_asks(key: str, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        run = (await start(opened)).starts().steps(3.0)
        await opened.press(key)
        await opened.shows("support-intents/4 is running here", "can continue in the background")
        assert isinstance(opened.app.screen, AskScreen)
        await opened.press("c")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert opened.app.return_code is None
        assert opened.backend.stops == 0
        opened.backend.found_dangers.append("this is SLURM job 7")
        await opened.press(key)
        await opened.shows("! this is SLURM job 7", "keep it running in the background")
        await opened.press("s")
        await opened.tells(
            "support-intents/4 is stopping. The app closes when the weights are saved."
        )
        assert opened.backend.stops == 1
        assert opened.app.return_code is None
        run.ends("stopped")
        await opened.until(lambda: opened.app.return_code == 0)

    on_app(open_app(size=SMALL), steps)


def test_quitting_does_not_ask_for_a_run_of_another_process(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts()

    async def steps(opened: Opened) -> None:
        await opened.shows("▶ 4 training")
        await opened.press("q")
        assert opened.app.return_code == 0

    on_app(open_app(size=SMALL), steps)
    run.closes()


def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Takes down, from now on, which widgets are drawn anew and what goes to the terminal."""
    styled: list[str] = []
    refresh = Widget.refresh

    def counting(self: Widget, *arguments: Any, **named: Any) -> Widget:
        styled.append(repr(self))
        return refresh(self, *arguments, **named)

    monkeypatch.setattr(Widget, "refresh", counting)
    monkeypatch.setattr(HeadlessDriver, "write", lambda _, data: styled.append(repr(data)))
    return styled


def test_leaving_a_loop_in_the_middle_of_a_poll_is_no_fault(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The panes go before the screen's workers end: a look that comes back then has nobody to
    show it to.
    """
    begun, going, looked = threading.Event(), threading.Event(), threading.Event()

    async def on_unmount(_: Workbench) -> None:
        going.set()
        while not looked.is_set():
            await asyncio.sleep(0.001)
        for _ in range(20):  # rounds in which the look's end arrives
            await asyncio.sleep(0)

    async def steps(opened: Opened) -> None:
        look = opened.bench.context.poller.poll

        def waiting(wanted: SnapshotRequest) -> LoopSnapshot:
            try:
                begun.set()
                assert going.wait(PATIENCE_SECONDS)
                return look(wanted)
            finally:
                looked.set()

        monkeypatch.setattr(opened.bench.context.poller, "poll", waiting)
        monkeypatch.setattr(Workbench, "on_unmount", on_unmount, raising=False)
        opened.bench.poll_now()
        await opened.until(begun.is_set)
        left = opened.bench
        opened.app.open_loop(left.loop, 1)
        await opened.until(lambda: not left.is_attached)
        await opened.shows("because: the defaults, to begin with")

    on_app(open_app(size=SMALL), steps)
    assert looked.is_set()


def test_nothing_is_drawn_when_nothing_changed(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.looks(2)
        styled = counted(monkeypatch)
        await opened.looks(4)
        assert styled == []
        await opened.press("up")
        assert styled != []

    on_app(open_app(number=2), steps)


def test_only_the_clock_is_drawn_while_a_run_says_nothing(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scripted_iteration(loop).starts("loading", 0)

    async def steps(opened: Opened) -> None:
        await opened.shows("▶ 4 loading")
        await opened.looks(2)
        styled = counted(monkeypatch)
        await opened.looks(4)
        assert set(styled) <= {"Bar(id='status')"}, "the time of the phase, once a second"
        run.says("a word")
        await opened.shows("a word")
        assert "LogList" in " ".join(styled)
        run.dies()

    on_app(open_app(), steps)


def test_one_more_step_draws_only_what_it_moves(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = scripted_iteration(loop).starts().steps(3.0, 2.9)

    async def steps(opened: Opened) -> None:
        await opened.shows("train 2.900")
        await opened.looks(2)
        styled = counted(monkeypatch)
        run.steps(2.8, first=3)
        await opened.shows("train 2.800")
        text = " ".join(styled)
        assert "LogList" in text
        assert "KeyedChart" in text
        assert "FieldList" not in text
        assert "ExampleList" not in text
        run.dies()

    on_app(open_app(), steps)


def test_the_log_follows_until_one_scrolls_up_and_counts_what_comes(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts().steps(*[2.0] * 30)

    async def steps(opened: Opened) -> None:
        await opened.press("5")
        await opened.shows("▸", "step 30  loss 2 ", "following")
        run.says("the newest line")
        await opened.shows("the newest line")
        await opened.press("up", "up")
        await opened.shows("end follows")
        seen = [line[:78] for line in opened.lines[3:-4]]  # without the scroll bar
        run.steps(*[1.0] * 40, first=31)
        await opened.shows("+40 lines, end follows")
        assert [line[:78] for line in opened.lines[3:-4]] == seen
        await opened.press("end")
        await opened.shows("step 70  loss 1 ", "following")
        await opened.press("up")
        await opened.shows("end follows")
        await opened.press("down")
        await opened.shows("following")
        run.dies()

    on_app(open_app(size=SMALL), steps)


def test_the_log_passes_what_comes_later_through_search_and_level(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts().steps(2.0, 1.9)

    async def steps(opened: Opened) -> None:
        await opened.press("5", "f", "f")
        pane = opened.get(LogPane)
        await opened.until(lambda: pane.list.count == 0)
        await opened.shows("warnings", "No line has this level. f shows more.")
        run.steps(1.8, first=3).says("beware", level="warning", source="data")
        await opened.shows("! data: beware", "warn 1")
        assert pane.list.count == 1
        await opened.press("slash")
        await opened.type("later")
        await opened.shows("no match for later")
        run.says("it came Later", level="error", source="data")
        await opened.shows("! data: beware", "✗ data: it came Later", "match 1 of 1")
        assert pane.list.count == 2
        await opened.press("enter", "escape")
        await opened.hides("match 1 of 1")
        run.dies()

    on_app(open_app(size=SMALL), steps)


def test_the_log_keeps_a_bounded_number_of_lines(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_loop.core.record.reader.LOG_LINES", 50)
    monkeypatch.setattr("tui_loop.tui.widgets.log.LOG_LINES", 50)
    run = scripted_iteration(loop).starts().steps(*[2.0] * 80)

    async def steps(opened: Opened) -> None:
        await opened.press("5")
        await opened.shows("step 80  loss 2")
        pane = opened.get(LogPane)
        assert pane.list.count == 50
        run.steps(*[1.0] * 30, first=81)
        await opened.shows("step 110  loss 1")
        assert pane.list.count == 50
        for _ in range(5):
            await opened.press("up")
        standing = pane.list.lines[pane.list.cursor].text
        run.steps(*[0.5] * 20, first=111)
        await opened.shows("+20 lines, end follows")
        assert pane.list.count == 50
        assert pane.list.lines[pane.list.cursor].text == standing
        run.steps(*[0.4] * 200, first=131)
        await opened.until(lambda: pane.list.lines[-1].text.startswith("step 330"))
        assert pane.list.count == 50
        assert not pane.list.is_following
        await opened.press("end")
        await opened.shows("step 330  loss 0.4")
        run.dies()

    on_app(open_app(size=SMALL), steps)


def test_details_and_comparison_of_what_cannot_be_compared_say_so(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("home", "c")
        await opened.tells("There is no iteration to compare with. m marks one.")
        await opened.press("end", "c")
        await opened.tells("Select an iteration that has run. m marks the one to compare with.")
        await opened.press("up", "c")
        await opened.shows("iteration 3 has no evaluated examples: its run failed (diverged)")
        await opened.press("escape", "end", "m")
        await opened.tells("A draft has no results yet and cannot be marked.")

    on_app(open_app(size=SMALL), steps)


def test_the_selected_iteration_is_compared_with_the_marked_one(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("home", "m", "down", "down")
        await opened.shows("3 Loss of 2", "against 0")
        await opened.press("c")
        await opened.shows("Compare support-intents/2 against 0", "17 fixed, 0 broken")
        await opened.press("escape", "home", "m", "down", "down")
        await opened.shows("against 1")

    on_app(open_app(number=2), steps)


@pytest.mark.parametrize("key", ["r", "g c"])
def test_a_fault_behind_the_screen_is_shown_and_reported_and_the_app_lives(
    key: str, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(*_: Any) -> Any:
        raise KeyError("planted")

    async def steps(opened: Opened) -> None:
        monkeypatch.setattr(opened.backend, "preview", faulty)
        monkeypatch.setattr(opened.backend, "preflight", faulty)
        await opened.press(key)
        await opened.shows("KeyError: 'planted'", "this is a bug in tui-loop")
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert opened.app.crash_report is not None
        assert "planted" in opened.app.crash_report.read_text()
        assert opened.app.return_code is None

    on_app(open_app(size=SMALL), steps)


def test_a_live_run_shows_the_failures_of_its_parent_until_it_is_evaluated(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop, parent=2).starts().steps(2.0)

    async def steps(opened: Opened) -> None:
        opened.bench.select(4)
        await opened.press("4")
        await opened.shows("4 Failures of 2, until 4 is evaluated", "7 of 24 failed")
        await opened.press("enter")
        await opened.shows("iteration 2")
        await opened.press("a m")
        await opened.until(loop.labels.exists)
        assert '"iteration":2' in loop.labels.read_text()
        run.dies()

    on_app(open_app(size=SMALL), steps)


def test_selection_marks_and_pane_return_when_a_loop_is_opened_again(open_app: OpenApp) -> None:
    async def first(opened: Opened) -> None:
        opened.bench.select(1)
        await opened.press("m")
        opened.bench.select(2)
        await opened.press("4")
        await opened.until(lambda: opened.bench.state.pane == "failures")

    async def later(opened: Opened) -> None:
        state = opened.bench.state
        assert (state.selected, state.marked, state.pane) == (2, (1,), "failures")
        await opened.shows("4 Failures of iteration 2")
        assert opened.app.focused is opened.get(FailuresPane).list

    on_app(open_app(), first)
    on_app(open_app(), later)
