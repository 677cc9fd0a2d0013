"""Signals that batch systems send ahead of a time limit."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys
from tui_loop.core.process import treat_user_signals_as_termination
treat_user_signals_as_termination()
if sys.argv[1] == "handled":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
print("ready", flush=True)
signal.pause()
"""


@pytest.mark.parametrize("sent", [signal.SIGUSR1, signal.SIGUSR2])
@pytest.mark.parametrize(("mode", "code"), [("handled", 3), ("default", -signal.SIGTERM)])
def test_a_user_signal_does_what_a_termination_does(
    sent: signal.Signals, mode: str, code: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, mode], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        assert process.wait(30) == code
