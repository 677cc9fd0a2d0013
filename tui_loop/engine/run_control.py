"""What was asked of a run, as its worker thread sees it. Thread-safe.

The host hands requests in; the worker looks for them where it can obey, and says that it did:
a request is acknowledged when it has its effect, a stop as soon as it is known.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from tui_loop.core.record.requests import Request, RequestName

T = TypeVar("T")

Acknowledge = Callable[[Request], None]


def polled(items: Iterable[T], poll: Callable[[], None]) -> Iterator[T]:
    """The items, with a call of `poll`, which may raise, before each."""
    for item in items:
        poll()
        yield item


class StopAsked(Exception):
    """Raised within the run where it can end at once because a stop was asked for."""


class Control:
    """A first stop ends training (saving and evaluating as asked); a second ends everything.

    A stop has taken effect when the work that was under way has ended. Until then it is pending,
    and `is_stop_overdue` says so to the host.
    """

    def __init__(self, acknowledge: Acknowledge = lambda request: None) -> None:
        self.acknowledge = acknowledge
        self._changed = threading.Condition()
        self._heard = 0
        self._stops = 0
        self._stops_before_closing = 0
        self._pending_since: float | None = None
        self._is_saving = False
        self.is_given_up = False
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
            if self._pending_since is None:
                self._pending_since = time.monotonic()
            self._tell()

    def is_stop_overdue(self, seconds: float) -> bool:
        """Whether a stop has been pending for longer than `seconds`.

        A first stop that asked for the weights waits for whatever is being saved.
        """
        with self._changed:
            waits = self._is_saving and self.save and self._stops == 1
            since = self._pending_since
            return since is not None and not waits and time.monotonic() - since > seconds

    def stop_took_effect(self) -> None:
        """Called by the worker when the work that a stop is to end has ended."""
        with self._changed:
            self._pending_since = None

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Weights or a checkpoint are being written meanwhile."""
        self._is_saving = True
        try:
            yield
        finally:
            with self._changed:
                self._is_saving = False
                if self._pending_since is not None:
                    self._pending_since = time.monotonic()

    def give_up(self) -> None:
        """Called by the host when it leaves the worker behind: should that one wake up, it is to
        write nothing more."""
        with self._changed:
            self.is_given_up = True
            self._stops += 1
            self.save = self.evaluate = False
            self._tell()

    @property
    def stop_asked(self) -> bool:
        return self._stops > 0

    def begin_closing_evaluation(self) -> bool:
        """Whether the weights are to be evaluated: there was no stop, or one that asked for it.

        From here on only a new stop ends the evaluation.
        """
        with self._changed:
            self._stops_before_closing = self._stops
            self._pending_since = None
            return self._stops == 0 or self.evaluate

    def poll(self) -> None:
        """Waits while the run is paused; raises StopAsked if the work under way is to end."""
        self.rest()
        if self.is_given_up or self._stops > self._stops_before_closing:
            self.stop_took_effect()
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
