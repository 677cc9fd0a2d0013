"""Autopilot, started and stopped in the app."""

from __future__ import annotations

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app, scripted_iteration
from tui_loop.core.errors import NeedsExtra
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.unattended import unattended
from tui_loop.tui.controllers import unattended as unattended_runs
from tui_loop.tui.screens.dialogs import AskScreen
from tui_loop.tui.screens.run_dialogs import AutoDialog
from tui_loop.tui.widgets.iterations import DRAFT

SMALL, WIDE = (80, 24), (160, 48)


def test_the_dialog_shows_what_comes_first_and_asks_for_the_budget(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("g a")
        await opened.shows(
            "Auto from support-intents/2", "first from iteration 2: learning_rate", "no limit"
        )
        await opened.press("tab")
        await opened.type("0")
        await opened.press("enter")
        await opened.shows("hours: enter a number above 0")
        await opened.type("1.5")
        await opened.press("shift+tab")
        await opened.type("many")
        await opened.press("enter")
        await opened.shows("iterations: enter a whole number of at least 1")
        await opened.type("6")
        await opened.press("enter")
        await opened.tells("auto is running in the background (process 4712)")
        assert opened.backend.autos == [(2, 6, 1.5, "1")]
        assert opened.bench.state.followed_run is None

    on_app(open_app(SMALL, number=2), steps)


def test_from_the_base_or_the_draft_it_builds_on_the_best(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        for selected in (0, DRAFT):
            await opened.goes_to(selected)
            await opened.press("g a")
            await opened.shows(
                "Auto from the best iteration of support-intents", "first from the best"
            )
            await opened.press("escape" if selected == 0 else "enter")
        await opened.until(lambda: opened.backend.autos == [(None, 4, None, "1")])

    on_app(open_app(WIDE, number=2), steps)


def test_a_refusal_is_shown_in_the_dialog(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.refusal = NeedsExtra("auto", "train")
        await opened.press("g a")
        await opened.shows("✗ auto needs the 'train' extra")
        await opened.press("enter")
        assert isinstance(opened.app.screen, AutoDialog)
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert opened.backend.autos == []

    on_app(open_app(WIDE, number=2), steps)


def test_the_header_and_the_queue_say_that_auto_is_running(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        with unattended(loop, "auto"):
            await opened.looks(1)
            await opened.shows("auto running")
            await opened.press("g a")
            await opened.tells("Auto is running. s stops it and its run.")
            await opened.press("g q")
            await opened.shows("auto is running, 0 drafts queued")
            await opened.press("r")
            await opened.tells("Auto is running. s in the workbench stops it.")
            await opened.press("escape")
            run = scripted_iteration(loop, "lora.r=4").starts()
            await opened.looks(1)
            await opened.shows("auto  ▶ 4 training")
            await opened.press("s")
            await opened.shows("Stop 4?", "auto stops, too.")
            await opened.press("c")
            run.closes()
        await opened.looks(1)
        await opened.hides("auto running")

    on_app(open_app(WIDE, number=2), steps)


def test_between_two_runs_s_stops_auto(
    open_app: OpenApp, loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []

    def end(which: LoopFolder) -> int:
        ended.append(which.name)
        return 4712

    monkeypatch.setattr(unattended_runs, "end", end)

    async def steps(opened: Opened) -> None:
        await opened.press("s")
        await opened.tells("Nothing is running.")
        with unattended(loop, "auto"):
            await opened.looks(1)
            await opened.press("s")
            await opened.until(lambda: isinstance(opened.app.screen, AskScreen))
            await opened.shows("Stop auto?")
            await opened.press("c")
            assert ended == []
            await opened.press("s")
            await opened.shows("Stop auto?")
            await opened.press("e")
            await opened.tells("Auto will stop.")
            assert ended == [loop.name]

    on_app(open_app(WIDE, number=2), steps)
