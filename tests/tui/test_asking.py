"""Asking models: what is started and not shown any more is ended."""

from __future__ import annotations

from tests.tui.conftest import FakeBackend, OpenApp, Opened, on_app
from tui_loop.tui.screens.asking import AskingScreen


def test_of_models_that_are_asked_for_twice_one_server_runs(
    open_app: OpenApp, backend: FakeBackend
) -> None:
    async def steps(opened: Opened) -> None:
        backend.may_start_process.clear()
        await opened.press("g m")
        await opened.press("g m")
        backend.may_start_process.set()
        await opened.until(lambda: isinstance(opened.app.screen, AskingScreen))
        await opened.until(lambda: len(backend.askers) == 2)
        await opened.until(lambda: sum(each.is_closed for each in backend.askers) == 1)
        await opened.press("escape")
        await opened.until(lambda: all(each.is_closed for each in backend.askers))

    on_app(open_app(number=2), steps)
