"""What all loops taught, on the screen and beside the field that is edited."""

from __future__ import annotations

import shutil

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.patterns.all_patterns import Patterns
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.tui.screens.patterns import PatternsScreen
from tui_loop.tui.widgets.config_form import ConfigPane

SMALL, WIDE = (80, 24), (160, 48)
RATE = "training.learning_rate"


async def patterns(opened: Opened) -> PatternsScreen:
    await opened.press("g p")
    await opened.until(lambda: isinstance(opened.app.screen, PatternsScreen))
    screen = opened.app.screen
    assert isinstance(screen, PatternsScreen)
    await opened.until(lambda: screen.found.trials, "what was read")
    return screen


async def rate_is_edited(opened: Opened) -> ConfigPane:
    """The draft from 2 with the editor open on its learning rate."""
    await opened.press("i")
    await opened.shows("2 Config of iteration 4, from 2")
    pane: ConfigPane = opened.get(ConfigPane)
    await opened.until(lambda: pane.hint_of(RATE, 20.0).text, "what was read")
    pane.list.rows_changed(RATE)
    await opened.press("enter")
    return pane


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_pattern_is_shown_with_its_counts_and_the_iterations_that_show_it(
    size: tuple[int, int], open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        screen = await patterns(opened)
        await opened.shows("Patterns", "3 iterations of 1 loop", RATE, "1 of 1")
        await opened.shows("at learning_rate 20 or more, the one run diverged on tiny; none")
        await opened.shows("so far once", "support-intents/3", "✗ diverged")
        await opened.shows("against support-intents/1")
        assert screen.list.pattern is not None
        assert screen.list.pattern.weight == "so far"

    on_app(open_app(size, number=2), steps)


def test_enter_selects_an_iteration_of_a_pattern(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await patterns(opened)
        await opened.press("enter")
        assert screen.evidence.has_focus
        await opened.press("escape")
        assert screen.list.has_focus
        await opened.press("tab", "enter")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert opened.bench.state.selected == 3
        assert opened.bench.state.pane == "iterations"

    on_app(open_app(WIDE, number=2), steps)


def test_of_an_iteration_of_another_loop_its_key_opens_the_loop(
    open_app: OpenApp, loops: LoopsFolder
) -> None:
    shutil.copytree(loops.path / "support-intents", loops.path / "another")

    async def steps(opened: Opened) -> None:
        screen = await patterns(opened)
        await opened.shows("6 iterations of 2 loops", "2 of 2 runs of one config diverged on tiny")
        await opened.press("enter", "enter")
        assert screen.evidence.place == "another/3"
        await opened.tells("another/3 belongs to another loop. g O opens that loop.")
        assert opened.app.screen is screen
        await opened.press("g O")
        await opened.until(lambda: opened.bench.loop.name == "another", "the other loop")
        await opened.until(lambda: opened.bench.state.selected == 3)

    on_app(open_app(WIDE, number=2), steps)


def test_while_loops_are_read_nothing_is_said_to_be_lacking(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await patterns(opened)
        screen.show(Patterns(loops=2, waiting=9), doing="comparing, 9 to go ...")
        await opened.until(lambda: opened.text.count("comparing, 9 to go ...") == 2)
        assert "No patterns yet" not in opened.text
        screen.show(Patterns(loops=2))
        await opened.shows("No patterns yet")

    on_app(open_app(SMALL, number=2), steps)


def test_a_loop_that_has_taught_nothing_says_what_patterns_need(
    open_app: OpenApp, loops: LoopsFolder
) -> None:
    for number in ("002", "003"):
        shutil.rmtree(loops.path / "support-intents" / number)

    async def steps(opened: Opened) -> None:
        await patterns(opened)
        await opened.shows("No patterns yet. Patterns come from iterations")
        await opened.press("enter", "escape", "escape")
        await opened.until(lambda: opened.app.screen is opened.bench)

    on_app(open_app(SMALL, number=1), steps)


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_a_typed_value_is_compared_with_what_it_did_before(
    size: tuple[int, int], open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        pane = await rate_is_edited(opened)
        told = "◐ at 20 or more: diverged once on this base"
        assert told not in opened.text
        await opened.type("30")
        await opened.shows(told, "above 0 · default 1e-4 · parent has 5e-3")
        await opened.type("3")
        await opened.hides(told)
        await opened.shows("5e-3 → 20: tried once on this base, made the result worse")
        await opened.type("-1")
        await opened.shows("! must be a number above 0")
        assert told not in opened.text
        await opened.type("30")
        await opened.press("enter")
        assert pane.list.shown is not None
        assert pane.list.shown.draft.value(RATE) == 30
        await opened.shows("◐ diverged once")

    on_app(open_app(size, number=2), steps)


def test_on_another_base_and_of_what_has_run_nothing_is_said(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        pane = await rate_is_edited(opened)
        await opened.press("escape")
        assert pane.list.shown is not None
        other = pane.list.shown.draft.with_value("model.id", "smollm2")
        await opened.bench.drafts.save(other)
        assert not pane.hint_of(RATE, 20.0).text
        opened.bench.select(3)
        await opened.shows("2 Config of iteration 3")
        assert not pane.hint_of(RATE, 20.0).text

    on_app(open_app(SMALL, number=2), steps)


def test_an_error_while_reading_is_shown_and_the_screen_stays(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def steps(opened: Opened) -> None:
        def fails(_: object) -> None:
            raise ValueError("no such thing")

        monkeypatch.setattr(opened.bench.patterns.reader, "poll", fails)
        await opened.press("g p")
        await opened.shows("✗ ValueError: no such thing")
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)

    on_app(open_app(WIDE, number=2), steps)
