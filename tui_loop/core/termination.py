"""The signals that ask a process to save and end: SIGTERM, SIGUSR1 and SIGUSR2."""

from __future__ import annotations

import signal
import threading
from typing import Any


def treat_user_signals_as_termination() -> None:
    """Makes SIGUSR1 and SIGUSR2 do what SIGTERM does in this process, now and later.

    Job scripts have the batch system send them ahead of a time limit or a preemption
    (`sbatch --signal=USR1@120`); by default they kill at once. Only a main thread can do this.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            signal.signal(number, _terminate)


def _terminate(*_: Any) -> None:
    signal.raise_signal(signal.SIGTERM)
