"""What the queue and `auto` have in common: runs one after the other with nobody there."""

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
from tui_loop.cli.preflight_report import warn_before
from tui_loop.cli.run_process import run_until_stopped
from tui_loop.cli.start import check_start, create
from tui_loop.core.commands import open_command
from tui_loop.core.errors import RunFailed, RunStopped
from tui_loop.core.process import dangers_to_background
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.record.safe_open import check_regular
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.plan import Plan
from tui_loop.core.workflow.unattended import Doing, is_unattended, unattended

LOOK_SECONDS = 1.0
BEGIN_SECONDS = 30.0
"""A process in the background is waited for this long until it has begun."""


@contextmanager
def alone_with(loop: LoopFolder, doing: Doing = "queue") -> Iterator[None]:
    """Makes this process the one that goes through the loop by itself.

    A terminal that closes changes nothing: from then on output goes to the loop's `output.log`.
    An interrupt between two runs is told as a stop on request. Raises BadInput where the loop is
    closed, or another process goes through it.
    """
    refuse_closed(loop)
    before = signal.signal(signal.SIGHUP, lambda *_: _let_go(loop))
    try:
        with unattended(loop, doing):
            yield
    except KeyboardInterrupt:
        raise RunStopped(f"{loop.name}: stopped on request", "") from None
    finally:
        signal.signal(signal.SIGHUP, before)


def wait_for_others(loop: LoopFolder, out: Output) -> None:
    """Returns when no run of the loop is under way: two would share this machine."""
    told = ""
    while live := live_run_in(loop):
        if live != told:
            out.note(f"{live} is running: waiting for it")
            told = live
        time.sleep(LOOK_SECONDS)


def created(
    loop: LoopFolder, plan: Plan, out: Output, *, repeat: int | None = None, allow_code: bool
) -> list[IterationFolder]:
    """The folders of what is to run, in order; raises TuiLoopError before anything is created."""
    start = check_start(loop, plan, repeat=repeat, allow_code=allow_code)
    if start.code_notice:
        out.note(start.code_notice)
    warn_before(loop, start, out)
    return create(loop, start)


def ran(loop: LoopFolder, folders: list[IterationFolder], out: Output) -> list[Iteration]:
    """Runs what was created; the iterations that ended, the base among them if it was to run.

    Raises RunStopped where one was stopped or killed.
    """
    done, stop_asked = run_until_stopped(loop, folders, out)
    if stop_asked or done[-1].state == "stopped":
        text = "was stopped" if done[-1].state == "stopped" else f"{done[-1].state} and it stopped"
        raise RunStopped(f"{loop.name}/{done[-1].number} {text} on request", "")
    return done


def start_in_background(loop: LoopFolder, words: Sequence[str], out: Output) -> int:
    """Starts `tui-loop WORDS` in a session of its own, and says how to look at it."""
    process = begin_in_background(loop, words)
    if out.as_json:
        out.record({"loop": loop.name, "pid": process.pid})
        return 0
    out.line(f"{loop.name} runs in the background, process {process.pid}")
    for danger in dangers_to_background():
        out.note(danger)
    out.advice(f"look at it: {open_command(loop.name)}")
    out.advice(f"stop it:    tui-loop stop {loop.name}")
    return 0


def begin_in_background(loop: LoopFolder, words: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts `tui-loop WORDS` in a session of its own; returns when it has begun.

    What it prints goes to the loop's `output.log`. Raises BadInput where the loop is closed or that
    is no file, RunFailed where it ended at once.
    """
    refuse_closed(loop)
    from tui_loop.engine.launch import original_environment

    check_regular(loop.output)  # else a stranger's link says which file is written to
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
    deadline = time.monotonic() + BEGIN_SECONDS
    while not is_unattended(loop) and time.monotonic() < deadline:
        if process.poll() is not None:
            if process.returncode == 0:
                break
            raise RunFailed(
                f"{loop.name}: it ended at once, with code {process.returncode}",
                f"what it said is in {loop.output}",
            )
        time.sleep(0.05)
    return process


def _let_go(loop: LoopFolder) -> Any:
    """Points what is printed at the log: the terminal has gone."""
    log = os.open(loop.output, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.close(log)
