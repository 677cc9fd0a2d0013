"""What was asked of a run, as its worker thread sees it. Thread-safe.

The host hands requests in; the worker looks for them where it can obey, and says that it did:
a request is acknowledged when it has its effect, a stop as soon as it is known.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from tui_loop.core.requests import Request, RequestName

Acknowledge = Callable[[Request], None]


class StopAsked(Exception):
    """Raised within the run where it can end at once because a stop was asked for."""


class Control:
    """A first stop ends training (saving and evaluating as asked); a second ends everything."""

    def __init__(self, acknowledge: Acknowledge = lambda request: None) -> None:
        self.acknowledge = acknowledge
        self._changed = threading.Condition()
        self._heard = 0
        self._stops = 0
        self._stops_before_closing = 0
        self._pending: list[Request] = []
        self._wishes: list[Request] = []  # to pause and to continue: the last word counts
        self._is_paused = False
        self.save = True
        self.evaluate = False

    def ask(self, request: Request) -> None:
        """Called by the host for each request."""
        if request.name == "stop":
            self.acknowledge(request)
            self.ask_stop(save=request.save, evaluate=request.evaluate)
            return
        with self._changed:
            is_so = not self._wishes and request.name == (
                "pause" if self._is_paused else "continue"
            )
            if not is_so:
                is_wish = request.name in ("pause", "continue")
                (self._wishes if is_wish else self._pending).append(request)
                self._tell()
        if is_so:
            self.acknowledge(request)

    def ask_stop(self, *, save: bool, evaluate: bool) -> None:
        """Called by the host for each stop request or signal."""
        with self._changed:
            self._stops += 1
            self.save, self.evaluate = save, evaluate
            self._tell()

    @property
    def stop_asked(self) -> bool:
        return self._stops > 0

    def begin_closing_evaluation(self) -> None:
        """From here an earlier stop that wanted an evaluation no longer ends it; a new one does."""
        self._stops_before_closing = self._stops

    def poll(self) -> None:
        """Waits while the run is paused; raises StopAsked if the work under way is to end."""
        self.rest()
        if self._stops > self._stops_before_closing:
            raise StopAsked

    def take(self, name: RequestName) -> bool:
        """Whether something was asked for; it is acknowledged, and not given again."""
        with self._changed:
            asked = [each for each in self._pending if each.name == name]
            self._pending = [each for each in self._pending if each.name != name]
        for request in asked:
            self.acknowledge(request)
        return bool(asked)

    def rest(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        """Returns at once, or when the run is continued or stopped if a pause was asked for.

        `meanwhile` is called whenever something else is asked for during the pause.
        """
        while not self.stop_asked and self._turn("pause"):
            try:
                self._wait_for_continue(meanwhile)
            finally:
                self._is_paused = False

    def _turn(self, name: RequestName) -> bool:
        """Whether to pause, or to continue, was asked for next; if so, that is acknowledged."""
        with self._changed:
            count = 0
            while count < len(self._wishes) and self._wishes[count].name == name:
                count += 1
            asked, self._wishes = self._wishes[:count], self._wishes[count:]
            if asked:
                self._is_paused = name == "pause"
        for request in asked:
            self.acknowledge(request)
        return bool(asked)

    def _tell(self) -> None:
        self._heard += 1
        self._changed.notify_all()

    def _wait_for_continue(self, meanwhile: Callable[[], None]) -> None:
        while True:
            heard = self._heard
            if self.stop_asked or self._turn("continue"):
                return
            meanwhile()
            with self._changed:
                self._changed.wait_for(lambda: self._heard != heard)  # noqa: B023
