"""The line that filters of the failures are typed in: how it opens, and what it suggests."""

from __future__ import annotations

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.examples.query import parse
from tui_loop.tui.widgets.failures import FailuresPane
from tui_loop.tui.widgets.field import Field

SMALL = (80, 24)


async def filtering(opened: Opened) -> Field:
    await opened.press("4", "f")
    return opened.get(FailuresPane).field


def test_typing_replaces_the_filter_that_the_line_opens_with(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        field = await filtering(opened)
        assert field.value == field.selected_text == "is:failed"
        await opened.press("r", "e", "f", "enter")
        assert opened.get(FailuresPane).choice.query == parse("ref")

    on_app(open_app(size=SMALL, number=2), steps)


def test_the_right_arrow_and_end_keep_the_filter_that_the_line_opens_with(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        for key in ("right", "end"):
            field = await filtering(opened)
            await opened.press(key, "space", "2", "3")
            assert field.value == "is:failed 23"
            await opened.press("enter", "escape")

    on_app(open_app(size=SMALL, number=2), steps)


@pytest.mark.parametrize(("pane", "typed"), [("4", "refund"), ("1", "is:finished ")])
@pytest.mark.parametrize("key", ["enter", "escape"])
def test_a_filter_is_remembered_when_its_line_closes_and_not_with_each_key(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch, pane: str, typed: str, key: str
) -> None:
    async def steps(opened: Opened) -> None:
        memory = opened.app.memory
        await opened.press(pane, "f")
        puts: list[str] = []
        monkeypatch.setattr(memory, "put", lambda name, value: puts.append(str(value)))
        await opened.type(typed)
        await opened.shows(f"· {typed.strip()}")
        assert not puts
        await opened.press(key)
        await opened.until(lambda: puts, "the filter is remembered")
        assert typed.strip() in puts[0]

    on_app(open_app(number=2), steps)


def test_terms_causes_and_labels_are_completed_as_they_are_typed(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        field = await filtering(opened)
        await opened.type("cau")
        await opened.shows("cause:")
        await opened.press("tab")
        assert field.value == "cause:"
        await opened.shows("cause:wrong_label")
        await opened.press("tab", "space", *"label:", "t")
        await opened.shows('label:top up failed"')
        await opened.press("right")
        assert field.value == 'cause:wrong_label label:"top up failed"'
        await opened.press("enter")
        pane = opened.get(FailuresPane)
        assert pane.choice.query == parse('cause:wrong_label label:"top up failed"')
        assert [pane.list.at(row).reference for row in range(pane.list.count)] == [  # type: ignore[union-attr]
            "top up failed"
        ] * 2

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_value_that_is_only_begun_does_not_empty_the_list(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        field = await filtering(opened)
        await opened.type("is:failed label:ref")
        pane = opened.get(FailuresPane)
        assert field.suggestion is not None
        assert pane.list.count == 7
        await opened.press("tab")
        await opened.until(lambda: pane.list.count == 1)

    on_app(open_app(size=SMALL, number=2), steps)


def test_tab_leaves_the_line_where_there_is_nothing_to_complete(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        field = await filtering(opened)
        await opened.type("words ")
        assert field.suggestion is None
        await opened.press("tab")
        await opened.until(lambda: opened.bench.state.pane == "log")

    on_app(open_app(size=SMALL, number=2), steps)
