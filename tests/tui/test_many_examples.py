"""Lists that are answered off the screen's thread, as those of many examples are."""

from __future__ import annotations

import threading

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tests.waiting import PATIENCE_SECONDS
from tui_loop.tui.widgets import failures
from tui_loop.tui.widgets.failures import FailuresPane, ListRequest, ListResponse, list_rows


def test_rows_stay_those_of_their_iteration_until_the_next_ones_are_found(
    open_app: OpenApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_answer = threading.Event()
    may_answer.set()

    def slowly(request: ListRequest) -> ListResponse:
        may_answer.wait(PATIENCE_SECONDS)
        return list_rows(request)

    monkeypatch.setattr(failures, "AT_ONCE", 0)
    monkeypatch.setattr(failures, "list_rows", slowly)

    async def steps(opened: Opened) -> None:
        pane = opened.app.screen.query_one(FailuresPane)
        await opened.press("4")
        await opened.shows("4 Failures of iteration 2 · 7 of 24 failed")
        may_answer.clear()
        await opened.press("left_square_bracket", "down", "end")
        shown = pane.list.examples
        assert shown is not None
        assert (shown.number, len(pane.list.listed)) == (2, 7)
        assert opened.app.screen.query_one(FailuresPane).list.cursor == 6
        may_answer.set()
        await opened.shows("4 Failures of iteration 1 · 14 of 24 failed")
        assert pane.list.examples is not shown
        assert pane.list.cursor == 0

    on_app(open_app(number=2), steps)
