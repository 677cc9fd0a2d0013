"""Unattended runs, for the queue and `auto`: the lock, one run after the other, the background."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tui_loop.cli.output import Output
from tui_loop.cli.run_process import print_background_hints, run_to_end
from tui_loop.core.errors import RunFailed, RunStopped
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.record.safe_open import check_regular
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.unattended import Doing, is_unattended, unattended

POLL_SECONDS = 1.0
START_SECONDS = 30.0
"""Seconds to wait at most for a background process to take the unattended lock."""


@contextmanager
def unattended_session(loop: LoopFolder, doing: Doing = "queue") -> Iterator[None]:
    """Holds the loop's unattended lock, so that no other process runs its queue or `auto`.

    Closing the terminal does not end the session: output then goes to the loop's `output.log`.
    Raises RunStopped for an interrupt between two runs, BadInput where the loop is closed or
    another process holds the lock.
    """
    refuse_closed(loop)
    previous_handler = signal.signal(signal.SIGHUP, lambda *_: _redirect_output(loop))
    try:
        with unattended(loop, doing):
            yield
    except KeyboardInterrupt:
        raise RunStopped(f"{loop.name}: stopped on request", "") from None
    finally:
        signal.signal(signal.SIGHUP, previous_handler)


def wait_for_live_run(loop: LoopFolder, out: Output) -> None:
    """Returns when no run of the loop is live: two runs would share this machine."""
    announced = ""
    while live := live_run_in(loop):
        if live != announced:
            out.note(f"waiting for {live}, which is running")
            announced = live
        time.sleep(POLL_SECONDS)


def run_unattended(
    loop: LoopFolder, folders: list[IterationFolder], out: Output
) -> list[Iteration]:
    """Runs iterations and returns those that ended; raises RunStopped where a stop was requested.

    The base is among them where it ran first.
    """
    ended, stop_requested = run_to_end(loop, folders, out)
    last = ended[-1]
    if stop_requested or last.state == "stopped":
        text = "was stopped" if last.state == "stopped" else f"{last.state}, then stopped"
        raise RunStopped(f"{loop.name}/{last.number} {text} on request", "")
    return ended


def start_in_background(loop: LoopFolder, words: Sequence[str], out: Output) -> int:
    """Starts `tui-loop WORDS` in the background and prints how to watch and stop it."""
    process = launch_in_background(loop, words)
    if out.as_json:
        out.record({"loop": loop.name, "pid": process.pid})
        return 0
    out.line(f"{loop.name} runs in the background (process {process.pid})")
    print_background_hints(loop, out)
    return 0


def launch_in_background(loop: LoopFolder, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts `tui-loop WORDS` in a new session; returns the process once it holds the lock.

    Its output goes to the loop's `output.log`. Raises BadInput where the loop is closed or the log
    is no regular file, RunFailed where the process exits before it holds the lock.
    """
    refuse_closed(loop)
    from tui_loop.engine.launch import original_environment

    check_regular(loop.output)  # a link in someone else's loop could name any file
    command = [sys.executable, "-P", "-m", "tui_loop", "--loops", str(loop.path.parent.resolve())]
    with loop.output.open("ab") as output:
        process = subprocess.Popen(
            [*command, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=loop.root,
            env=original_environment(),
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not is_unattended(loop) and time.monotonic() < deadline:
        if process.poll() is not None:
            if process.returncode == 0:
                break  # it ended before this loop could see its lock
            raise RunFailed(
                f"{loop.name}: the background process exited at once with code "
                f"{process.returncode}",
                f"see the log of the process: {loop.output}",
            )
        time.sleep(0.05)
    return process


def _redirect_output(loop: LoopFolder) -> Any:
    """Points stdout and stderr at the loop's log, because the terminal has closed."""
    # O_NOFOLLOW: a link in someone else's loop could name any file.
    log = os.open(loop.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
