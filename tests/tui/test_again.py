"""Generating again on the screen: the settings asked for, results as they come, the end."""

from __future__ import annotations

import pytest

from tests.tui.conftest import FakeBackend, OpenApp, Opened, on_app
from tui_loop.core.errors import NeedsExtra
from tui_loop.core.examples.retry_settings import Retried
from tui_loop.core.inference_messages import GenerateResponse, ServerStatus
from tui_loop.core.record.structs import Example
from tui_loop.tui.screens.again import AgainScreen, sum_of
from tui_loop.tui.widgets.failures import FailuresPane


def result(example: Example, output: str, *, passed: bool) -> Retried:
    answer = GenerateResponse(
        1, 2, output, 5, truncated=not passed, seconds=0.1, example=example.id
    )
    return Retried(example, answer, float(passed), passed)


async def begun(opened: Opened, text: str = "") -> AgainScreen:
    """Generates what is listed again, with what is asked for and `text`."""
    await opened.press("4")
    await opened.shows("7 of 24 failed")
    await opened.press("g n")
    assert opened.get(FailuresPane).field.is_open
    if text:
        await opened.type(text)
    await opened.press("enter")
    await opened.until(lambda: isinstance(opened.app.screen, AgainScreen))
    screen = opened.app.screen
    assert isinstance(screen, AgainScreen)
    return screen


@pytest.mark.parametrize("size", [(80, 24), (160, 48)])
def test_results_come_one_by_one_and_are_summed_up(
    size: tuple[int, int], open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        screen = await begun(opened)
        examples, work = screen.rows.examples, backend.generating
        assert [each.id for each in examples] == backend.generated[0][1]
        assert len(examples) == 7
        work.told = [ServerStatus("loading", iteration=2)]
        await opened.shows("loading 2 ...", "The results are not recorded.")
        work.told = [
            ServerStatus("ready"),
            result(examples[0], examples[0].reference, passed=True),
            result(examples[1], "\x1b[2J[bold]still\x07", passed=False),
        ]
        await opened.shows("2 of 7 ...", "now passing: 1 of 2 failed examples so far. The results")
        await opened.shows("is now ✓", "5 tokens, ended before the token limit")
        await opened.press("j")
        await opened.shows("is now ✗ ␛[2J[bold]still␇", "cut at the token limit")
        await opened.press("j")
        assert "is now" not in screen.sheet.text
        work.told = [result(each, "no", passed=False) for each in examples[2:]]
        work.told.append(ServerStatus("answered"))
        await opened.shows("now passing: 1 of 7 failed examples. The results are not recorded.")
        assert screen.rows.cursor == 2
        assert not work.is_closed
        await opened.press("escape")
        await opened.until(lambda: work.is_closed)
        assert opened.app.screen is opened.bench

    on_app(open_app(size, number=2), steps)


@pytest.mark.slow
def test_the_settings_go_along_and_wrong_ones_are_refused_where_they_are_typed(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4")
        await opened.shows("7 of 24 failed")
        await opened.press("g n")
        field = opened.get(FailuresPane).field
        for text, said in (
            ("lora.r=2", "has no effect here"),
            ("max_new_tokens=0", "max_new_tokens"),
            ("evaluation.top_p='0.5", "No closing quotation"),
        ):
            await opened.type(text)
            await opened.press("enter")
            await opened.tells(said)
            assert field.is_open
        await opened.type("max_new_tokens=64 evaluation.do_sample=true")
        await opened.press("enter")
        await opened.shows("with  max_new_tokens=64 evaluation.do_sample=true")
        assert backend.generated[0][2] == ["max_new_tokens=64", "evaluation.do_sample=true"]
        assert not field.is_open

    on_app(open_app(number=2), steps)


def test_a_refusal_to_generate_is_shown_on_the_screen(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        screen = await begun(opened)
        fault = ServerStatus("error", message="2 has no weights here", hint="copy the adapter")
        backend.generating.told = [fault]
        await opened.shows("✗ 2 has no weights here", "copy the adapter")
        assert screen.rows.is_done
        await opened.press("escape")
        backend.refusal = NeedsExtra("asking a model", "train")
        await begun(opened)
        await opened.shows("✗ asking a model needs the 'train' extra", "pip install")

    on_app(open_app(number=2), steps)


def test_what_generates_ends_with_a_screen_that_closes_before_it_has_started(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        backend.may_start_process.clear()
        await begun(opened)
        await opened.press("escape")
        await opened.until(lambda: opened.app.screen is opened.bench)
        backend.may_start_process.set()
        await opened.until(lambda: backend.generating.is_closed, "it is ended")

    on_app(open_app(number=2), steps)


def test_only_the_first_of_very_many_are_generated(
    open_app: OpenApp, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui_loop.tui.controllers.examples.MAX_REGENERATED", 3)

    async def steps(opened: Opened) -> None:
        await begun(opened)
        await opened.shows("Only the first 3 of 7 listed examples are generated again.")
        assert len(backend.generated[0][1]) == 3
        await opened.press("tab", "escape")
        assert isinstance(opened.app.screen, AgainScreen)
        await opened.press("y")
        assert opened.app.clipboard.startswith("Message: my case number 23")

    on_app(open_app(number=2), steps)


def test_without_listed_examples_there_is_nothing_to_generate(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("4", "g n")
        await opened.tells("No example is listed.")
        assert not opened.get(FailuresPane).field.is_open

    on_app(open_app(number=3), steps)


def test_the_sum_says_what_became_of_those_that_passed() -> None:
    def one(was: bool | None, now: bool) -> Retried:
        example = Example("a", "p", "r", "o", None, was, (), 0.1, 1, 1, False, 1)
        return result(example, "x", passed=now)

    some = [one(False, True), one(False, False), one(True, True), one(True, False), one(None, True)]
    assert sum_of(some[:2]) == "now passing: 1 of 2 failed examples"
    assert sum_of(some) == "now passing: 1 of 2 failed, 1 of 2 passed, 1 of 1 unscored examples"
