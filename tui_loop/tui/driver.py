"""The app's Textual driver: draws on its own stream, and stops only where a shell continues it."""

from __future__ import annotations

import io
import os
import signal
from collections.abc import Callable
from typing import Any

from textual.drivers.linux_driver import LinuxDriver


def driver_on(
    stream: io.TextIOWrapper, *, can_stop: Callable[[], bool], is_ending: Callable[[], bool]
) -> type[LinuxDriver]:
    """A driver that draws on `stream`.

    `can_stop`: whether a shell waits that would continue the app. `is_ending`: whether the app is
    about to leave the screen for a signal.
    """

    class TerminalDriver(LinuxDriver):
        def __init__(self, *arguments: Any, **named: Any) -> None:
            super().__init__(*arguments, **named)
            self._file = stream

        @property
        def _is_suspended(self) -> bool:
            """Whether the terminal has been given back to the shell."""
            return self._must_signal_resume

        def _sigtstp_application(self, *arguments: Any) -> None:
            """Ignores SIGTSTP where no shell waits, as the system does by default."""
            if can_stop():
                super()._sigtstp_application(*arguments)

        def _sigcont_application(self, *arguments: Any) -> None:
            """Sets the screen up again, unless the app is ending.

            The shell's `bg` stops the app again, since it may not draw then. SIGSTOP left the
            screen set up: without an end of its threads there would be two to read the keys.
            """
            if is_ending() or not self._auto_restart:  # or an editor has the screen
                return
            if _is_in_background(self.fileno):
                os.kill(os.getpid(), signal.SIGSTOP)
                return  # whatever continued it has called this again
            if not self._is_suspended:
                self.suspend_application_mode()
                self._must_signal_resume = True
            super()._sigcont_application(*arguments)

        def disable_input(self) -> None:
            if not self._is_suspended:
                super().disable_input()

        def stop_application_mode(self) -> None:
            """Puts the terminal in order; an app that ends while suspended leaves it alone."""
            if not self._is_suspended:
                super().stop_application_mode()

        def _get_terminal_size(self) -> tuple[int, int]:
            try:
                size = os.get_terminal_size(stream.fileno())
            except OSError:
                return 80, 24
            return (size.columns, size.lines) if size.columns else (80, 24)

    return TerminalDriver


def _is_in_background(terminal: int) -> bool:
    """Whether the terminal belongs to another job."""
    try:
        return os.tcgetpgrp(terminal) != os.getpgrp()
    except OSError:  # it has gone
        return False
