"""What was asked of a run, as its worker thread sees it. Thread-safe, never blocks."""

from __future__ import annotations

import threading


class StopAsked(Exception):
    """Raised within the run where it can end at once because a stop was asked for."""


class Control:
    """A first stop ends training (saving and evaluating as asked); a second ends everything."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops = 0
        self._closing = False
        self.save = True
        self.evaluate = False

    def ask_stop(self, *, save: bool, evaluate: bool) -> None:
        """Called by the host for each stop request or signal."""
        with self._lock:
            self._stops += 1
            self.save, self.evaluate = save, evaluate

    @property
    def stop_asked(self) -> bool:
        return self._stops > 0

    def begin_closing_evaluation(self) -> None:
        """From here an earlier stop that wanted an evaluation no longer ends it; a new one does."""
        with self._lock:
            self._closing = True
            self._stops_before_closing = self._stops

    def poll(self) -> None:
        """Raises StopAsked if the work under way is to end."""
        allowed = self._stops_before_closing if self._closing else 0
        if self._stops > allowed:
            raise StopAsked
