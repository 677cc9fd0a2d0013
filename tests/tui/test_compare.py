"""Comparing on the screen: figures, both curves, and lists of what was fixed and broken."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from tests.tui.conftest import OpenApp, Opened, example_of, on_app
from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.actions import ACTIONS
from tui_loop.tui.screens.compare import PARTS, CompareScreen
from tui_loop.tui.screens.example import ExampleScreen
from tui_loop.tui.screens.reading import HelpScreen

SMALL, WIDE = (80, 24), (160, 48)


async def compared(opened: Opened) -> CompareScreen:
    """Compares the selected iteration with its parent."""
    await opened.press("c")
    await opened.until(lambda: isinstance(opened.app.screen, CompareScreen))
    await opened.shows("Compare support-intents/")
    screen = opened.app.screen
    assert isinstance(screen, CompareScreen)
    return screen


def given(loop: LoopFolder, number: int, passed: Sequence[bool | None], **more: object) -> None:
    """Gives an iteration these examples."""
    pairs = [example_of(n, passed=each, **more) for n, each in enumerate(passed)]  # type: ignore[arg-type]
    loop.iteration(number).write_examples([pair[0] for pair in pairs], [pair[1] for pair in pairs])


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_figures_say_what_differs_what_can_be_claimed_and_the_mix_of_causes(
    size: tuple[int, int], open_app: OpenApp
) -> None:
    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.shows("+29 ±23 points over 24 examples", "8 fixed, 1 broken")
        await opened.shows("consistent with better (one run of each config)")
        await opened.shows("training.num_train_epochs  2.5  5", "eval_loss   1.615  0.915")
        await opened.press("end")
        await opened.shows("why they fail", "wrong label        14  7     -7")

    on_app(open_app(size=size, number=2), steps)


def test_on_a_small_screen_every_part_is_complete_and_tab_goes_round(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await compared(opened)
        for part, shown in zip(
            [*PARTS[1:], PARTS[0]],
            (
                "2 Loss of 2 over 1",
                "wrong label → ✓",
                "✓ → wrong label",
                "5 Still failing",
                "1 Compare",
            ),
            strict=True,
        ):
            await opened.press("tab")
            assert screen.part == part
            await opened.shows(shown)
        await opened.press("shift+tab")
        assert screen.part == "failing"
        for key, part in enumerate(PARTS, 1):
            await opened.press(str(key))
            assert screen.part == part

    on_app(open_app(size=SMALL, number=2), steps)


def test_on_a_wide_screen_figures_curves_and_a_list_are_there_at_once(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.shows("1 Compare", "2 Loss of 2 over 1", "3 Fixed 8", "wrong label → ✓")
        await opened.press("4")
        await opened.shows("4 Broken 1 ─", "✓ → wrong label")
        await opened.press("2", "g V")
        await opened.hides("2 Loss of 2 over 1")
        assert await opened.pilot.click("#changed-list", offset=(5, 1))
        await opened.until(lambda: opened.app.screen.part == "broken")  # type: ignore[attr-defined]

    on_app(open_app(size=WIDE, number=2), steps)


def test_an_example_opens_in_full_and_the_brackets_go_through_the_list(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await compared(opened)
        await opened.press("3", "down")
        await opened.shows("1 said   top up failed", "2 said   refund", "loss 2.630 → 0.230")
        await opened.press("enter")
        await opened.shows("Example 2 of 8, iteration 2", "fixed vs iteration 1", "case number 13")
        await opened.press("right_square_bracket")
        await opened.shows("Example 3 of 8", "case number 14")
        await opened.press("a a")
        await opened.tells("accepted as correct")
        await opened.press("y")
        assert opened.app.clipboard.startswith("Message: my case number 14")
        await opened.press("escape")
        assert opened.app.screen is screen
        assert screen.list.cursor == 2
        await opened.press("escape")
        assert opened.app.screen is opened.bench

    on_app(open_app(size=SMALL, number=2), steps)


def test_what_is_selected_is_copied(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.press("y")
        assert "consistent with better" in opened.app.clipboard
        await opened.press("4", "y")
        assert opened.app.clipboard.splitlines()[-3:] == ["card arrival", "card arrival", "refund"]
        await opened.press("2", "y")
        assert "train" in opened.app.clipboard

    on_app(open_app(size=SMALL, number=2), steps)


def test_nothing_fixed_and_nothing_broken_is_an_answer(open_app: OpenApp, loop: LoopFolder) -> None:
    for number in (1, 2):
        given(loop, number, [True, False])

    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.press("3")
        await opened.shows("None of the 2 compared examples failed in iteration 1 and passed in 2.")
        await opened.press("4", "enter", "y")
        await opened.shows("None of the 2 compared examples passed in iteration 1 and failed in 2.")
        await opened.tells("There is nothing to copy here.")
        assert isinstance(opened.app.screen, CompareScreen)
        await opened.press("5")
        await opened.shows("5 Still failing 1", "2 said   top up failed")

    on_app(open_app(size=SMALL, number=2), steps)


def test_without_a_metric_the_losses_are_compared(open_app: OpenApp, loop: LoopFolder) -> None:
    for number in (1, 2):
        given(loop, number, [None] * 3)

    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.shows("no scores to compare", "nats per token over 3 examples")
        await opened.press("3")
        await opened.shows("nothing to list: without a metric no example passes or fails")

    on_app(open_app(size=SMALL, number=2), steps)


def test_of_a_run_that_failed_before_its_evaluation_config_and_curves_are_compared(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.shows("iteration 3 has no evaluated examples: its run failed (diverged)", "20")
        await opened.press("2")
        await opened.shows("2 Loss of 3 over 2")
        await opened.press("3")
        await opened.shows("nothing to list: iteration 3 has no evaluated examples")

    on_app(open_app(size=SMALL, number=3), steps)


def test_other_rows_are_left_out_and_that_is_said(open_app: OpenApp, loop: LoopFolder) -> None:
    given(loop, 1, [False, False, True])
    given(loop, 2, [True, True])
    summary = loop.iteration(2).read_summary()
    assert summary is not None
    assert summary.fingerprint is not None
    other = msgspec.structs.replace(summary.fingerprint, rows="other")
    loop.iteration(2).write_summary(msgspec.structs.replace(summary, fingerprint=other))

    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.shows_in("#figures", "measured differently (rows): only the 2 examples in")
        await opened.shows("2 fixed, 0 broken")

    on_app(open_app(size=SMALL, number=2), steps)


def test_outputs_that_are_empty_or_missing_have_a_word(open_app: OpenApp, loop: LoopFolder) -> None:
    given(loop, 1, [False], said=" ")
    row, tokens = example_of(0, passed=True)
    loop.iteration(2).write_examples([msgspec.structs.replace(row, output=None)], [tokens])

    async def steps(opened: Opened) -> None:
        await compared(opened)
        await opened.press("3")
        await opened.shows("1 said   (empty)", "2 said   (none)", "empty → ✓")

    on_app(open_app(size=SMALL, number=2), steps)


def test_help_and_palette_know_where_one_is(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        screen = await compared(opened)
        await opened.press("2", "question_mark")
        assert isinstance(opened.app.screen, HelpScreen)
        await opened.shows("Two iterations", "both loss curves")
        await opened.press("escape", "colon")
        await opened.type("chart.log")
        await opened.shows("log scale  (g y)")
        await opened.press("enter")
        await opened.shows("· log ─")
        assert screen.chart.view.log

    on_app(open_app(size=SMALL, number=2), steps)


def test_every_key_of_the_screen_is_tried_here() -> None:
    tried = {"tab", "shift+tab", "1", "2", "3", "4", "5", "y"}
    assert {each.keys for each in ACTIONS if each.scope == "compare"} == tried


def test_an_open_example_stays_when_the_file_behind_the_list_has_gone(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await compared(opened)
        loop.iteration(1).examples.unlink()
        loop.iteration(2).examples.unlink()
        await opened.press("3", "enter")
        await opened.until(lambda: isinstance(opened.app.screen, ExampleScreen))
        await opened.shows("Example 1 of 8")

    on_app(open_app(size=SMALL, number=2), steps)
