"""Requests to a run, as its worker thread sees them. Thread-safe.

The host submits requests; the worker dequeues them where it can apply them. A stop is acknowledged
as soon as it arrives, every other request when the worker applies it.
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
    """Yields the items; calls `poll`, which may raise, before each."""
    for item in items:
        poll()
        yield item


class StopRequested(Exception):
    """Raised in the worker where a requested stop can end the current work at once."""


class RunControl:
    """The requests to one run, shared by the host's thread and the worker's.

    A first stop ends training (saving and evaluating as requested); a second one ends everything.
    A stop is pending until the worker notices it: at a poll, at the end of a training step, or
    before the final evaluation. `is_stop_overdue` shows the host that this takes too long.
    """

    def __init__(self, acknowledge: Acknowledge = lambda request: None) -> None:
        self.acknowledge = acknowledge
        self._changed = threading.Condition()
        self._change_count = 0
        self._stops = 0
        self._stops_before_final_evaluation = 0
        self._pending_since: float | None = None
        self._is_saving = False
        self.is_given_up = False
        self._pending: list[Request] = []
        # Pauses and continues have a queue of their own: only their order matters, and the last
        # one decides whether the run stays paused.
        self._pause_queue: list[Request] = []
        self._is_paused = False
        self.save = True
        self.evaluate = False

    def submit(self, request: Request) -> None:
        """Adds a request. Called by the host."""
        if request.name == "stop":
            self.acknowledge(request)
            self.request_stop(save=request.save, evaluate=request.evaluate)
            return
        with self._changed:
            has_effect_already = not self._pause_queue and request.name == (
                "pause" if self._is_paused else "continue"
            )
            if not has_effect_already:
                is_pause = request.name in ("pause", "continue")
                (self._pause_queue if is_pause else self._pending).append(request)
                self._notify()
        if has_effect_already:
            self.acknowledge(request)

    def request_stop(self, *, save: bool, evaluate: bool) -> None:
        """Requests a stop. Called by the host for each stop request or signal."""
        with self._changed:
            self._stops += 1
            self.save, self.evaluate = save, evaluate
            if self._pending_since is None:
                self._pending_since = time.monotonic()
            self._notify()

    def is_stop_overdue(self, seconds: float) -> bool:
        """Whether a stop has been pending for longer than `seconds`.

        Never during a save, if this is the first stop and it requests saved weights.
        """
        with self._changed:
            waits = self._is_saving and self.save and self._stops == 1
            since = self._pending_since
            return since is not None and not waits and time.monotonic() - since > seconds

    def stop_was_noticed(self) -> None:
        """Marks the stop as no longer pending. Called by the worker."""
        with self._changed:
            self._pending_since = None

    @contextmanager
    def saving(self) -> Iterator[None]:
        """Marks the time in which the worker writes weights or a checkpoint."""
        self._is_saving = True
        try:
            yield
        finally:
            with self._changed:
                self._is_saving = False
                if self._pending_since is not None:
                    self._pending_since = time.monotonic()

    def give_up(self) -> None:
        """Abandons the worker. Called by the host.

        If the worker resumes later, its next poll ends it, and it writes nothing more.
        """
        with self._changed:
            self.is_given_up = True
            self._stops += 1
            self.save = self.evaluate = False
            self._notify()

    @property
    def stop_requested(self) -> bool:
        return self._stops > 0

    def begin_final_evaluation(self) -> bool:
        """Returns whether to evaluate the final weights: not if a stop requested otherwise.

        From here on, only a new stop ends the evaluation.
        """
        with self._changed:
            self._stops_before_final_evaluation = self._stops
            self._pending_since = None
            return self._stops == 0 or self.evaluate

    def poll(self) -> None:
        """Waits while the run is paused; raises StopRequested if the current work is to end."""
        self.wait_while_paused()
        if self.is_given_up or self._stops > self._stops_before_final_evaluation:
            self.stop_was_noticed()
            raise StopRequested

    def dequeue(self, name: RequestName) -> bool:
        """Removes and acknowledges the requests of that name; returns whether there were any."""
        with self._changed:
            requests = [each for each in self._pending if each.name == name]
            self._pending = [each for each in self._pending if each.name != name]
        for request in requests:
            self.acknowledge(request)
        return bool(requests)

    def wait_while_paused(self, apply_requests: Callable[[], None] = lambda: None) -> None:
        """Returns at once, or after a requested pause when the run is continued or stopped.

        Calls `apply_requests` whenever another request arrives during the pause.
        """
        while not self.stop_requested and self._dequeue_pause("pause"):
            try:
                self._wait_for_continue(apply_requests)
            finally:
                self._is_paused = False

    def _dequeue_pause(self, name: RequestName) -> bool:
        """Whether the next request is a pause, or a continue; if so, acknowledges it."""
        with self._changed:
            count = 0
            while count < len(self._pause_queue) and self._pause_queue[count].name == name:
                count += 1
            requests, self._pause_queue = self._pause_queue[:count], self._pause_queue[count:]
            if requests:
                self._is_paused = name == "pause"
        for request in requests:
            self.acknowledge(request)
        return bool(requests)

    def _notify(self) -> None:
        self._change_count += 1
        self._changed.notify_all()

    def _wait_for_continue(self, apply_requests: Callable[[], None]) -> None:
        while True:
            # Counted before the checks: a request that arrives during them must not be missed.
            count = self._change_count
            if self.stop_requested or self._dequeue_pause("continue"):
                return
            apply_requests()
            with self._changed:
                self._changed.wait_for(lambda: self._change_count != count)  # noqa: B023
