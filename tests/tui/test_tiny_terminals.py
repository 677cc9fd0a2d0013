"""Every screen and dialog in a terminal that shrinks to a few cells, and grows again."""

from __future__ import annotations

import pytest
from textual.command import CommandPalette
from textual.screen import Screen

from tests.tui.conftest import OpenApp, Opened, on_app, scripted_iteration
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
from tui_loop.tui.screens.run_dialogs import AutoDialog, QueueDialog, RunDialog
from tui_loop.tui.screens.training import TrainingScreen
from tui_loop.tui.workbench.workbench import Workbench

USUAL = (80, 24)
SIZES = ((2, 2), (80, 3), (4, 24), (10, 10))
MOVES = ("pageup", "pagedown", "up", "down", "left", "right", "home", "end", "tab", "shift+tab")

SCREENS: dict[str, tuple[type[Screen[object]], tuple[str, ...]]] = {
    "iterations": (Workbench, ("1",)),
    "config": (Workbench, ("i", "2", "down", "down")),
    "a field of the config": (Workbench, ("i", "2", "down", "down", "enter")),
    "a search": (SearchLine, ("2", "slash", "r")),
    "messages": (ReadingScreen, ("s", "g i")),
    "the reason of a run": (InputDialog, ("a",)),
    "chart": (Workbench, ("3",)),
    "failures": (Workbench, ("4",)),
    "the failures' filter": (Workbench, ("4", "f")),
    "log": (Workbench, ("5",)),
    "palette": (CommandPalette, ("colon",)),
    "a search in the palette": (CommandPalette, ("colon", "r", "u", "n")),
    "help": (HelpScreen, ("question_mark",)),
    "run": (RunDialog, ("r",)),
    "check": (CheckScreen, ("g c",)),
    "diagnosis": (DiagnosisScreen, ("d",)),
    "compare": (CompareScreen, ("m", "down", "c")),
    "both curves": (CompareScreen, ("m", "down", "c", "2")),
    "what was fixed": (CompareScreen, ("c", "3")),
    "patterns": (PatternsScreen, ("g p",)),
    "progress": (ProgressScreen, ("g h",)),
    "ready": (ReadyScreen, ("g r",)),
    "queue": (QueueScreen, ("i", "2", "end", "space", "A", "g q")),
    "auto": (AutoDialog, ("g a",)),
    "the queue is run": (QueueDialog, ("i", "2", "end", "space", "A", "g q", "r")),
    "close": (InputDialog, ("g f",)),
    "report": (InputDialog, ("g w",)),
    "models": (AskingScreen, ("g m",)),
    "training rows": (TrainingScreen, ("g t",)),
    "again": (AgainScreen, ("4", "g n", "enter")),
    "breakdown": (BreakdownScreen, ("4", "g d")),
    "example": (ExampleScreen, ("4", "enter")),
    "loops": (PickerScreen, ("g l",)),
    "a new loop": (NewLoopScreen, ("g l", "A")),
}
"""What opens each one from the workbench on iteration 2."""


async def _survives(opened: Opened, kind: type[Screen[object]]) -> None:
    """Shrinks the terminal, presses every key of movement, and grows it again."""
    app, screen = opened.app, opened.app.screen
    assert isinstance(screen, kind)
    for size in SIZES:
        await opened.pilot.resize_terminal(*size)
        for key in MOVES:
            await opened.press(key)
            assert app.is_running, (size, key)
        await opened.pilot.resize_terminal(*USUAL)
        assert app.is_running, size
    assert app.screen is screen
    await opened.until(lambda: len(opened.lines) == USUAL[1], "the whole screen again")


@pytest.mark.slow
@pytest.mark.parametrize("name", SCREENS)
def test_a_screen_outlives_a_terminal_of_a_few_cells(name: str, open_app: OpenApp) -> None:
    kind, keys = SCREENS[name]

    async def steps(opened: Opened) -> None:
        await opened.press(*keys)
        await opened.until(lambda: isinstance(opened.app.screen, kind), name)
        await _survives(opened, kind)

    on_app(open_app(size=USUAL, number=2), steps)


def test_a_question_outlives_a_terminal_of_a_few_cells(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        run = scripted_iteration(opened.bench.loop).starts().steps(2.0, 1.5)
        try:
            opened.bench.poll_now()
            await opened.shows("▶ 4 training")
            await opened.press("s")
            await opened.until(lambda: isinstance(opened.app.screen, AskScreen), "the question")
            await _survives(opened, AskScreen)
        finally:
            run.closes()

    on_app(open_app(size=USUAL, number=2), steps)


def test_the_menu_of_the_leader_outlives_a_terminal_of_a_few_cells(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("g")
        menu = opened.app.screen
        assert isinstance(menu, LeaderMenu)
        for size in SIZES:
            await opened.pilot.resize_terminal(*size)
            assert opened.app.screen is menu, size
            await opened.pilot.resize_terminal(*USUAL)
        await opened.shows("g ...", "p patterns over all loops")
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)

    on_app(open_app(size=USUAL, number=2), steps)


@pytest.mark.parametrize("size", SIZES)
def test_the_palette_opens_in_a_terminal_of_a_few_cells(
    size: tuple[int, int], open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("colon", *MOVES)
        assert CommandPalette.is_open(opened.app)

    on_app(open_app(size=size, number=2), steps)
