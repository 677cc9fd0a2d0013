"""The dialog that starts a run: enter once for a change, twice for a run that repeats another."""

from __future__ import annotations

import shutil

from tests.tui.conftest import FakeBackend, OpenApp, Opened, on_app
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.screens.run_dialogs import UNCHANGED, RunDialog
from tui_loop.tui.widgets.iterations import DRAFT

SMALL = (80, 24)
RATE = "training.learning_rate"


async def opened_dialog(opened: Opened) -> RunDialog:
    """The dialog, once it shows what the run would do."""
    await opened.press("r")
    await opened.until(lambda: isinstance(opened.app.screen, RunDialog), "the dialog")
    await opened.shows("96 training rows")
    screen = opened.app.screen
    assert isinstance(screen, RunDialog)
    return screen


def test_one_enter_does_not_run_an_unchanged_draft(open_app: OpenApp, backend: FakeBackend) -> None:
    async def steps(opened: Opened) -> None:
        dialog = await opened_dialog(opened)
        await opened.shows("No change from the parent.")
        assert UNCHANGED not in opened.text
        await opened.press("enter")
        await opened.shows(UNCHANGED)
        await opened.looks(2)
        assert opened.app.screen is dialog
        assert not backend.runs
        await opened.press("escape")
        assert opened.app.screen is opened.bench
        assert not backend.runs
        assert opened.bench.loop.numbers() == [0, 1, 2, 3]
        await opened_dialog(opened)
        await opened.press("enter")
        await opened.shows(UNCHANGED)
        assert not backend.runs, "a dialog that was left counts for nothing"

    on_app(open_app(SMALL, number=2), steps)


def test_a_second_enter_runs_it_with_the_reason_that_was_typed_between(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        await opened_dialog(opened)
        await opened.press("enter")
        await opened.shows(UNCHANGED)
        await opened.type("how noisy is it?")
        assert not backend.runs
        await opened.press("enter")
        await opened.until(lambda: backend.runs)
        assert backend.run.folder.number == 4
        assert backend.run.folder.read_decision().why == "how noisy is it?"

    on_app(open_app(SMALL, number=2), steps)


def test_an_unchanged_draft_begins_at_the_last_sound_parent(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        await opened_dialog(opened)
        await opened.shows("Run 4, from 2")
        await opened.press("enter", "enter")
        await opened.until(lambda: backend.runs)
        assert backend.run.folder.read_decision().parent == 2, "3 diverged"

    on_app(open_app(SMALL, number=3), steps)


def test_a_changed_draft_runs_with_one_enter(open_app: OpenApp, backend: FakeBackend) -> None:
    async def steps(opened: Opened) -> None:
        draft = opened.bench.state.draft
        assert draft is not None
        await opened.bench.drafts.save(draft.with_value(RATE, 1e-3))
        await opened.goes_to(DRAFT)
        await opened_dialog(opened)
        await opened.shows("training.learning_rate 5e-3 → 1e-3")
        await opened.press("enter")
        await opened.until(lambda: backend.runs)
        (change,) = backend.run.folder.read_decision().changes
        assert (change.field, change.old, change.new) == (RATE, 5e-3, 1e-3)

    on_app(open_app(SMALL, number=2), steps)


def test_the_first_run_of_a_loop_has_no_parent_to_repeat_and_takes_one_enter(
    open_app: OpenApp, backend: FakeBackend, loop: LoopFolder
) -> None:
    for number in (1, 2, 3):
        shutil.rmtree(loop.iteration(number).path)

    async def steps(opened: Opened) -> None:
        await opened_dialog(opened)
        await opened.shows("The loop's defaults, unchanged.")
        await opened.press("enter")
        await opened.until(lambda: backend.runs)

    on_app(open_app(SMALL), steps)


def test_a_draft_that_cannot_run_is_refused_with_every_enter(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    backend.refusal = BadInput("train.jsonl: no such file", "check the path")

    async def steps(opened: Opened) -> None:
        await opened.press("r")
        await opened.shows("✗ train.jsonl: no such file", "hint: check the path")
        await opened.press("enter", "enter")
        assert isinstance(opened.app.screen, RunDialog)
        assert not backend.runs

    on_app(open_app(SMALL, number=2), steps)
