"""A screen that is refreshed while it is open: read in a thread, the newest request alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from textual.screen import Screen

from tui_loop.core.errors import TuiLoopError
from tui_loop.tui.controllers.context import Context
from tui_loop.tui.latest_only_worker import LatestOnlyWorker

Request = TypeVar("Request")
Result = TypeVar("Result")


class LiveScreen(Generic[Request, Result]):
    """Opens a screen and brings it what `read` returns.

    `show` and `show_fault` get the request with its result, unless a newer one was made or the
    workbench is leaving.
    """

    def __init__(
        self,
        context: Context,
        group: str,
        read: Callable[[Request], Result],
        show: Callable[[Request, Result], None],
        show_fault: Callable[[Request, TuiLoopError], None],
    ) -> None:
        self._context, self._group = context, group
        self._read, self._show, self._show_fault = read, show, show_fault
        self._worker: LatestOnlyWorker[Request, Result | Exception] = LatestOnlyWorker(
            self._caught, self._deliver
        )
        self._is_running = False
        self.screen: Screen[Any] | None = None

    @property
    def is_open(self) -> bool:
        """Returns whether the screen is open, on top or below others."""
        return self._context.is_open(self.screen)

    def open(self, screen: Screen[Any]) -> None:
        """Shows the screen; requests bring it its content."""
        self.screen = screen
        self._context.push_screen(screen)

    def close(self) -> None:
        """Closes the screen if it is on top."""
        if self.screen is not None and self._context.top_screen is self.screen:
            self.screen.dismiss()

    def request(self, request: Request, *, again: bool = False) -> None:
        """Asks for the content; the same request as before counts only with `again`."""
        if not self._is_running:
            self._is_running = True
            self._context.run(self._worker.run(), self._group)
        self._worker.request(request, again=again)

    def _caught(self, request: Request) -> Result | Exception:
        try:
            return self._read(request)
        except Exception as error:  # shown on the screen; the worker must survive
            return error

    def _deliver(self, request: Request, result: Result | Exception) -> None:
        if self._context.is_leaving():
            return
        if isinstance(result, Exception):
            self._show_fault(request, self._context.fault_of(result))
        else:
            self._show(request, result)
