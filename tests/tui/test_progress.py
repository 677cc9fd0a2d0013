"""Score and loss over the iterations on the screen: read beside it, and led on from there."""

from __future__ import annotations

import shutil

import msgspec
import pytest

from tests.tui.conftest import OpenApp, Opened, on_app, scripted_iteration
from tui_loop.core.compare.progress import Pair
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.queue import read_queue
from tui_loop.tui.screens.compare import CompareScreen
from tui_loop.tui.screens.progress import ProgressScreen

SMALL, WIDE = (80, 24), (160, 48)


async def progress(opened: Opened) -> ProgressScreen:
    await opened.press("g h")
    await opened.until(lambda: isinstance(opened.app.screen, ProgressScreen))
    screen = opened.app.screen
    assert isinstance(screen, ProgressScreen)
    await opened.until(lambda: screen.rows.rows, "what was read")
    return screen


def test_each_iteration_is_a_line_with_bars_on_one_scale(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await progress(opened)
        await opened.shows(
            "the best so far is iteration 2", "4 iterations", "score 0% ──", "loss 0."
        )
        await opened.shows("1 ☆ baseline", "2 ★ num", "42%", "71%", "├")
        assert isinstance(screen.rows.chosen, msgspec.Struct)
        assert screen.rows.key_of(screen.rows.cursor) == 2
        await opened.shows_in("#shown", "score 71% (51 to 85) over 24 examples")
        await opened.press("down")
        await opened.shows_in("#shown", "failed")  # it diverged, so nothing was measured
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)

    on_app(open_app(SMALL, number=2), steps)


def test_enter_goes_to_the_iteration_or_to_what_is_compared(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await progress(opened)
        await opened.press("G")
        assert isinstance(screen.rows.chosen, Pair)
        await opened.shows(
            "the best iteration so far, compared with", "1, its parent and the runner-up"
        )
        await opened.press("enter")
        await opened.until(lambda: isinstance(opened.app.screen, CompareScreen))
        await opened.press("escape", "home", "down", "enter")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert (opened.bench.state.selected, opened.bench.state.pane) == (1, "iterations")

    on_app(open_app(WIDE, number=2), steps)


def test_the_replicates_that_would_decide_are_queued_once(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        loop = opened.bench.loop
        await progress(opened)
        await opened.shows("2 more runs would show whether the difference is training noise")
        await opened.press("A")
        await opened.tells("Queued 2 replicates; the queue now has 2 drafts. g q shows the queue.")
        queued = read_queue(loop)
        assert [(each.parent, list(each.set)) for each in queued] == [
            (1, ["training.seed"]),
            (2, ["training.seed"]),
        ]
        assert queued[0].why == "is 2 better than 1 by more than training noise?"
        await opened.press("A")
        await opened.tells("These runs are queued already; the queue now has 2 drafts.")
        assert read_queue(loop) == queued

    on_app(open_app(WIDE, number=2), steps)


def test_it_is_read_again_when_an_iteration_ends(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        screen = await progress(opened)
        run = scripted_iteration(loop, "lora.r=4").starts()
        opened.bench.poll_now()
        await opened.until(lambda: len(screen.found.points) == 5, "the run")
        await opened.shows("running")
        run.ends()
        opened.bench.poll_now()
        await opened.until(lambda: screen.found.points[-1].state == "finished")

    on_app(open_app(WIDE, number=2), steps)


def test_a_loop_without_iterations_and_an_error_are_explained(
    open_app: OpenApp, loops: LoopsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in ("000", "001", "002", "003"):
        shutil.rmtree(loops.path / "support-intents" / number)

    async def steps(opened: Opened) -> None:
        await opened.press("g h")
        await opened.shows("Nothing has been measured yet.")
        await opened.press("enter", "A")
        await opened.tells("No further run would decide between these configs.")
        await opened.press("escape")

        def fails() -> None:
            raise ValueError("no such thing")

        monkeypatch.setattr(opened.bench.progress.reader, "poll", fails)
        await opened.press("g h")
        await opened.shows("✗ ValueError: no such thing")

    on_app(open_app(SMALL), steps)
