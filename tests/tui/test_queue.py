"""The queue in the app: the draft goes into it, its order is edited, it is run, and left."""

from __future__ import annotations

import msgspec
import pytest

from tests.tui.conftest import OpenApp, Opened, on_app, scripted_iteration
from tui_loop.core.errors import NeedsExtra
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.queue import QueuedDraft, add, read_queue
from tui_loop.core.workflow.unattended import unattended
from tui_loop.tui.screens.queue import QueueScreen
from tui_loop.tui.workbench.workbench import Workbench

RATE = "training.learning_rate"
THREE = [
    QueuedDraft(2, f"the {name} try", {RATE: rate})
    for name, rate in (("first", 1e-3), ("second", 2e-3), ("third", 3e-3))
]


def whys(loop: LoopFolder) -> list[str]:
    return [each.why.split()[1] for each in read_queue(loop)]


async def waits(opened: Opened, *names: str) -> None:
    loop = opened.bench.loop
    await opened.until(lambda: whys(loop) == list(names), f"{names} in {whys(loop)}")


def test_the_draft_goes_into_the_queue_and_the_next_begins_where_it_began(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        loop = opened.bench.loop
        await opened.press("A")
        await opened.tells("The draft changes nothing; it would repeat iteration 2.")
        await opened.goes_to(2)
        await opened.press("i")
        await opened.until(lambda: opened.bench.state.draft is not None)
        for rate in (1e-3, 2e-3):
            draft = opened.bench.state.draft
            assert draft is not None
            await opened.bench.drafts.save(draft.with_value(RATE, rate).with_why("a try"))
            await opened.press("A")
            await opened.until(lambda: not opened.bench.state.draft.changed)
        assert [(each.parent, each.set) for each in read_queue(loop)] == [
            (2, {RATE: 1e-3}),
            (2, {RATE: 2e-3}),
        ]
        await opened.tells("the queue now has 2 drafts")
        assert opened.bench.state.draft is not None
        assert opened.bench.state.draft.parent == 2
        await opened.bench.drafts.save(opened.bench.state.draft.with_value(RATE, -1.0))
        await opened.press("A")
        await opened.tells("The draft cannot run: training.learning_rate")
        assert len(read_queue(loop)) == 2

    on_app(open_app(), steps)


@pytest.mark.slow
def test_shift_and_an_arrow_move_a_draft_and_undo_brings_removed_ones_back(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        loop = opened.bench.loop
        await opened.press("g q")
        await opened.shows("No draft is queued.", "In the workbench, A adds the draft.")
        add(loop, *THREE)
        await opened.shows("the first try", "learning_rate 3e-3", "3 drafts queued")
        await opened.press("shift+down", "shift+down")  # it goes along with the cursor
        await waits(opened, "second", "third", "first")
        await opened.press("shift+down", "shift+up")
        await waits(opened, "second", "first", "third")
        await opened.press("delete")
        await waits(opened, "second", "third")
        await opened.press("delete")
        await waits(opened, "second")
        await opened.press("u", "u")
        await waits(opened, "second", "first", "third")
        await opened.press("u")
        await opened.tells("Nothing was removed here.")
        await opened.press("escape")
        assert isinstance(opened.app.screen, Workbench)

    on_app(open_app(), steps)


def test_enter_swaps_a_waiting_draft_with_the_one_that_is_edited(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        loop = opened.bench.loop
        add(loop, *THREE)
        await opened.press("g q")
        await opened.shows("the first try")
        await opened.press("down", "enter")
        await opened.until(lambda: opened.bench.state.draft is not None)
        assert isinstance(opened.app.screen, Workbench)
        draft = opened.bench.state.draft
        assert draft is not None
        assert (draft.why, draft.value(RATE)) == ("the second try", 2e-3)
        await waits(opened, "first", "third")
        await opened.press("g q")
        await opened.shows("the first try")
        await opened.press("enter")
        await waits(opened, "second", "third")
        await opened.tells("Your previous draft took the place of this one in the queue")
        await opened.until(lambda: opened.bench.state.draft.why == "the first try")

    on_app(open_app(), steps)


@pytest.mark.slow
def test_the_queue_is_run_in_the_background_and_not_twice(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        loop, backend = opened.bench.loop, opened.backend
        await opened.press("g q", "r")
        await opened.tells("No draft is queued.")
        add(loop, *THREE)
        await opened.shows("the first try")
        backend.refusal = NeedsExtra("running the queue", "train")
        assert all(line.count("…") == 0 for line in opened.lines), "no column without room"
        await opened.press("r")
        await opened.shows("Run 3 drafts?")
        await opened.press("escape")
        await opened.until(lambda: isinstance(opened.app.screen, QueueScreen))
        await opened.press("r")
        await opened.shows("Run 3 drafts?", "runs at once")
        await opened.press("enter")
        await opened.tells("needs the 'train' extra")
        backend.refusal, backend.gpus = None, "8 GPUs, 5 free"
        await opened.press("r")
        await opened.shows("This machine has 8 GPUs, 5 free.")
        await opened.press("ctrl+u", "0", "enter")
        await opened.shows("runs at once: enter a number, or gpus for one run per GPU")
        await opened.press("ctrl+u", *"gpus", "enter")
        await opened.tells("process 4711")
        assert backend.queues_run == [(loop.name, "gpus")]
        run = scripted_iteration(loop, "learning_rate=1e-4").starts()
        await opened.looks(2)
        assert opened.bench.state.selected == run.folder.number, (
            "the selection follows the queue's runs"
        )
        opened.bench.select(1)
        await opened.looks(2)
        assert opened.bench.state.selected == 1, "until something else is selected"
        run.dies()
        with unattended(loop):
            await opened.shows("running, 3 drafts left")
            await opened.press("r")
            await opened.tells("The queue is running. s in the workbench stops it.")
        assert backend.queues_run == [(loop.name, "gpus")]

    on_app(open_app(), steps)


def test_what_is_wrong_is_shown_beside_the_draft_or_above_all(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        loop = opened.bench.loop
        odd = msgspec.structs.replace(THREE[0], set={RATE: -1.0, "lora.r": 4}, why="\x1b[31mx")
        add(loop, odd, msgspec.structs.replace(THREE[1], problem="no such file: [red]rows"))
        await opened.press("g q")
        await opened.shows("✗ training.learning_rate", "✗ no such file: [red]rows")
        assert "␛[31mx" in opened.text
        loop.queue.write_text("[[drafts]]\nparent = 'x'\n")
        await opened.shows("draft 1: parent: Expected", "correct that line")
        screen = opened.app.screen
        assert isinstance(screen, QueueScreen)
        assert screen.rows.count == 0

    on_app(open_app(), steps)
