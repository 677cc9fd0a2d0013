"""The picker: what it lists, what it opens, and what it says where there is nothing."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from tests.tui.choosing import HOSTILE, SHOWN, FakeBackend, Opened, on_loops
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.tui.screens import picker
from tui_loop.tui.screens.new_loop import NewLoopScreen
from tui_loop.tui.screens.picker import LoopTable

SIZES = [(60, 20), (80, 24), (160, 48)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project with a recorded loop and one that has just begun."""
    loops = LoopsFolder(tmp_path / "loops")
    loops.create("begun", LoopSettings(goal="إجابة رسائل العملاء [/foo]"))
    shutil.copytree(shipped("loops", "support-tiny"), loops.path / "support-tiny")
    return tmp_path


@pytest.mark.parametrize("size", SIZES)
def test_without_a_loop_it_says_what_this_is_and_offers_two_beginnings(
    tmp_path: Path, size: tuple[int, int]
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.shows("Fine-tuning is a loop", "▸ A", "add a loop from a data file", "  g d ")
        await opened.shows("enter open", "q quit", "? help")
        await opened.press("enter")
        assert isinstance(opened.app.screen, NewLoopScreen)
        await opened.press("escape", "down", "enter")
        await opened.until(lambda: opened.opened)

    on_loops(tmp_path, steps, size=size)


@pytest.mark.parametrize("size", SIZES)
def test_a_loop_has_its_state_its_best_and_its_goal_at_every_size(
    folder: Path, size: tuple[int, int]
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("home")
        await opened.shows("begun", "○ new", "no iterations", "إجابة رسائل العملاء [/foo]")
        await opened.press("G")
        await opened.shows("support-tiny", "· idle", "2  66%")
        await opened.shows("6 iterations", "updated 20")
        await opened.shows("goal: tell what a customer wants")

    on_loops(folder, steps, size=size)


def test_enter_opens_the_loop_under_the_cursor(folder: Path) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("home", "enter")
        await opened.until(lambda: opened.opened)
        assert opened.opened is not None
        assert opened.opened.name == "begun"

    on_loops(folder, steps)


def test_escape_goes_back_to_the_loop_that_is_open_and_not_before_there_is_one(
    folder: Path,
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("escape")
        assert opened.picker
        await opened.press("home", "enter")
        await opened.until(lambda: opened.opened)
        await opened.press("g l")
        await opened.shows("begun", "support-tiny", "esc back")
        await opened.press("escape")
        assert opened.opened is not None

    on_loops(folder, steps)


@pytest.mark.parametrize("word", ["open", "new loop", "demo", "back"])
def test_every_word_of_the_bottom_line_can_be_clicked(folder: Path, word: str) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("home", "enter")
        await opened.until(lambda: opened.opened)
        await opened.press("g l")
        await opened.shows("support-tiny")
        before = opened.app.screen
        at = opened.text.splitlines()[-1].index(word)
        await opened.pilot.click("#keys", offset=(at, 0))
        await opened.until(lambda: opened.app.screen is not before)

    on_loops(folder, steps)


def test_the_cursor_stays_on_its_loop_when_others_come(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picker, "SECONDS", 0.01)

    async def steps(opened: Opened) -> None:
        await opened.press("G")
        LoopsFolder(folder / "loops").create("another", LoopSettings())
        await opened.shows("another")
        current = opened.picker.table.current
        assert current is not None
        assert current.name == "support-tiny"
        assert "▸ support-tiny" in opened.text

    on_loops(folder, steps)


def test_a_first_loop_takes_the_place_of_the_welcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(picker, "SECONDS", 0.01)

    async def steps(opened: Opened) -> None:
        await opened.shows("There is no loop yet")
        LoopsFolder(tmp_path / "loops").create("first", LoopSettings(goal="a goal"))
        await opened.shows("▸ first", "goal: a goal")
        assert "There is no loop yet" not in opened.text

    on_loops(tmp_path, steps)


def test_nothing_is_drawn_when_nothing_changed(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[object] = []

    async def steps(opened: Opened) -> None:
        screen = opened.picker
        monkeypatch.setattr(LoopTable, "refresh", lambda *_, **__: drawn.append("table"))
        monkeypatch.setattr(type(screen.note), "refresh", lambda *_, **__: drawn.append("note"))
        screen.show(screen.reader.poll())
        screen.show(screen.reader.poll())
        monkeypatch.undo()
        assert drawn == []

    on_loops(folder, steps)


def test_a_loop_that_cannot_be_read_is_listed_with_what_is_wrong(folder: Path) -> None:
    broken = folder / "loops" / "broken"
    broken.mkdir()
    (broken / "loop.toml").write_text("goal = [[[")

    async def steps(opened: Opened) -> None:
        await opened.press("home", "down")
        await opened.shows("▸ broken", "✗ unreadable", "loop.toml", "support-tiny")
        await opened.press("enter")
        await opened.until(lambda: opened.opened)

    on_loops(folder, steps)


def test_a_folder_whose_name_no_loop_can_have_is_named_and_hides_no_other(folder: Path) -> None:
    loops = folder / "loops"
    (loops / "begun").rename(loops / "My Loop")
    shutil.copytree(loops / "support-tiny", loops / "queue")

    async def steps(opened: Opened) -> None:
        await opened.press("home")
        await opened.shows("▸ My Loop", "✗ unreadable", "cannot be a loop's name", "support-tiny")
        await opened.press("enter")
        await opened.until(lambda: "use lower-case letters" in opened.told)
        assert opened.picker
        await opened.press("down", "enter")
        await opened.until(lambda: opened.opened)
        assert opened.opened is not None
        assert opened.opened.name == "queue"

    on_loops(folder, steps)


def test_a_hostile_folder_and_goal_are_shown_harmless_and_never_opened(tmp_path: Path) -> None:
    loops = LoopsFolder(tmp_path / "loops")
    loops.create("tame", LoopSettings(goal=HOSTILE))
    evil = loops.path / HOSTILE.replace("/", "!")
    evil.mkdir()
    (evil / "loop.toml").write_text("schema = 1\n")

    async def steps(opened: Opened) -> None:
        await opened.press("G")
        await opened.shows(f"goal: {SHOWN}")
        await opened.press("home")
        await opened.shows(f"▸ {SHOWN.replace('/', '!')}", "cannot be a loop's name")
        await opened.press("enter")
        await opened.until(lambda: "use lower-case letters" in opened.told)
        assert opened.picker
        assert not any(sign in opened.text for sign in ("\x1b", "\x07", "\u202e"))

    on_loops(tmp_path, steps)


def test_a_demo_that_cannot_be_laid_out_says_why(tmp_path: Path) -> None:
    backend = FakeBackend()
    backend.demo_fault = BadInput("tui-loop-demo [/foo]: holds other files", "move it away")

    async def steps(opened: Opened) -> None:
        await opened.press("g d")
        await opened.until(lambda: "[/foo]: holds other files; move it away" in opened.told)
        assert opened.picker
        backend.demo_fault = None
        await opened.press("g d")
        await opened.until(lambda: opened.opened)

    on_loops(tmp_path, steps, backend=backend)


def test_a_folder_that_is_a_file_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "loops").write_text("no folder")

    async def steps(opened: Opened) -> None:
        await opened.shows("The loops cannot be read.", "--loops DIR")
        await opened.press("enter", "down", "escape")
        assert opened.picker

    on_loops(tmp_path, steps)


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_loop_whose_last_run_failed_is_idle(folder: Path, size: tuple[int, int]) -> None:
    last = LoopsFolder(folder / "loops").loop("support-tiny").iteration(6)
    summary = last.read_summary()
    assert summary is not None
    last.write_summary(msgspec.structs.replace(summary, state="failed"))

    async def steps(opened: Opened) -> None:
        await opened.press("G")
        await opened.shows("· idle", "2  6")
        await opened.until(lambda: "last run failed" in " ".join(opened.text.split()))
        assert "✗" not in opened.text

    on_loops(folder, steps, size=size)
