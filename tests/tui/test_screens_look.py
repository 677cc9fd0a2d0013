"""How the screens look, as plain text in `looks/`: TUI_LOOP_UPDATE_LOOKS=1 writes it anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from rich.segment import Segment

from tests.tui.conftest import OpenApp, Opened, finds, on_app
from tests.tui.diagnoses import FULL, says
from tests.tui.test_check import FOUND
from tui_loop.tui.widgets.config_form import ConfigPane
from tui_loop.tui.widgets.iterations import DRAFT

Size = tuple[int, int]
LOOKS = Path(__file__).parent / "looks"
SMALL, MIDDLE, WIDE = (80, 24), (100, 30), (160, 48)
at_three_sizes = pytest.mark.parametrize(
    "size", [SMALL, MIDDLE, WIDE], ids=lambda size: f"{size[0]}x{size[1]}"
)
PANES = ("iterations", "config", "chart", "failures", "log")


async def looks(opened: Opened, name: str) -> None:
    """Compares the screen, once it stands still, with what is kept for `name` at its size."""
    columns, lines = opened.app.size
    path = LOOKS / f"{name}-{columns}x{lines}.txt"
    seen, before = _screen(opened), ""
    while seen != before:
        await opened.looks(2)
        seen, before = _screen(opened), seen
    if os.environ.get("TUI_LOOP_UPDATE_LOOKS"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(seen, encoding="utf-8")
    assert path.exists(), f"{path} is missing: run with TUI_LOOP_UPDATE_LOOKS=1, then look at it"
    assert seen == path.read_text(encoding="utf-8")


def _screen(opened: Opened) -> str:
    return "".join(f"{line.rstrip()}\n" for line in opened.lines)


async def changes_a_draft(opened: Opened) -> None:
    """A draft from iteration 2 with one change and one problem, the cursor on the change."""
    await opened.press("i")
    await opened.until(lambda: opened.bench.state.selected == DRAFT and opened.bench.state.draft)
    draft = opened.bench.state.draft
    assert draft is not None
    changed = draft.with_value("training.learning_rate", 1e-3).with_value(
        "training.num_train_epochs", 0
    )
    await opened.bench.drafts.save(changed)
    await finds(opened, "training.learning_rate")
    await opened.shows("was 5e-3", "! 1")


@at_three_sizes
def test_the_workbench(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.shows("★ best:", "train")
        await looks(opened, "workbench")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
@pytest.mark.parametrize(("key", "pane"), list(enumerate(PANES, 1)))
def test_a_pane_in_focus(key: int, pane: str, size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        if pane == "iterations":
            await opened.press("m", "down")
            await opened.shows("✗ the loss is not finite")
        elif pane == "config":
            await changes_a_draft(opened)
        else:
            await opened.press(str(key))
        if pane == "failures":
            await opened.shows("why  ")
        await looks(opened, f"pane-{pane}")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_a_chart_of_a_diverged_run_with_another_over_it(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("m", "down", "3", "L", "left", "left")
        await opened.shows("over 2", "step 4")
        await looks(opened, "chart-diverged")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_an_example(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4", "enter")
        await opened.shows("' pin'")
        await looks(opened, "example")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_what_fails(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4", "g d")
        await opened.shows("share that fails")
        await looks(opened, "breakdown")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_a_comparison(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("c")
        await opened.shows("Compare")
        await looks(opened, "compare")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_a_diagnosis(size: Size, open_app: OpenApp, monkeypatch: pytest.MonkeyPatch) -> None:
    says(monkeypatch, FULL)

    async def steps(opened: Opened) -> None:
        await opened.press("d")
        await opened.shows("weak slice")
        await opened.press("down", "space")
        await opened.shows("[x] num_train_epochs")
        await looks(opened, "diagnosis")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_the_help(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("question_mark")
        await opened.shows("Loop and run")
        await looks(opened, "help")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_the_run_dialog(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await changes_a_draft(opened)
        draft = opened.bench.state.draft
        assert draft is not None
        draft = draft.with_value("training.num_train_epochs", 4).with_value("lora.r", 8)
        await opened.bench.drafts.save(draft)
        opened.backend.notices = ["3 rows are longer than max_length and are cut"]
        await opened.press("r")
        await opened.shows("training rows")
        await looks(opened, "run-dialog")

    on_app(open_app(size=size, number=2), steps)


@at_three_sizes
def test_the_check(size: Size, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        opened.backend.checks.found = FOUND
        await opened.press("g c")
        await opened.shows("1 error, 1 warning")
        await opened.press("right_square_bracket")
        await opened.shows("Training row 1 of 3")
        await looks(opened, "check")

    on_app(open_app(size=size, number=2), steps)


def segments(opened: Opened) -> list[list[Segment]]:
    """The screen as a terminal gets it: runs of text with their styles."""
    return [list(strip) for strip in opened.app.screen._compositor.render_strips()]


def attributes(opened: Opened, pane: str) -> list[tuple[str, bool, bool]]:
    """The signs of a pane with what is left of their style without colour: bold and reverse."""
    box = opened.bench.query_one(f"#{pane}").region
    found = []
    for line in segments(opened)[box.y : box.bottom]:
        signs = [
            (sign, bool(part.style and part.style.bold), bool(part.style and part.style.reverse))
            for part in line
            for sign in part.text
        ]
        found += signs[box.x : box.right]
    return found


def test_without_colour_all_that_colour_says_is_said_by_signs(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(opened: Opened) -> None:
        assert opened.app.theme == "terminal"
        await changes_a_draft(opened)
        await opened.press("1", "home", "m", "end")
        await looks(opened, "workbench-monochrome")
        rows = opened.lines
        assert any("▸   4" in line for line in rows), "the cursor"
        assert any("0 m base" in line for line in rows), "the mark"
        assert any("✗ diverged" in line for line in rows), "what failed"
        assert any("! 1 problem" in line for line in rows), "a problem"
        assert any("• learning_rate" in line for line in rows), "a change"
        assert any("! num_train_epochs" in line for line in rows), "a field with a problem"
        for line in segments(opened):
            for part in line:
                for colour in (part.style and (part.style.color, part.style.bgcolor)) or ():
                    assert colour is None or colour.is_default, part

    on_app(open_app(size=WIDE, number=2), steps)


def test_without_colour_the_pane_with_the_focus_can_be_told(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def steps(opened: Opened) -> None:
        for key, pane in enumerate(PANES, 1):
            await opened.press(str(key % 5 + 1))
            away = attributes(opened, pane)
            await opened.press(str(key))
            assert attributes(opened, pane) != away, pane

    on_app(open_app(size=WIDE, number=2), steps)


@pytest.mark.parametrize("theme", ["dark", "light", "terminal"])
def test_every_theme_shows_the_same_signs(theme: str, open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.shows("better?")
        await looks(opened, "workbench")
        assert opened.get(ConfigPane).list.count > 0

    on_app(open_app(size=WIDE, number=2, theme=theme), steps)
