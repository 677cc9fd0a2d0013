"""Running iterations in a process of their own: watched here, or left to themselves."""

from __future__ import annotations

import subprocess
import time

from tui_loop.cli.follow import RunWatcher
from tui_loop.cli.output import Output
from tui_loop.core.commands import open_command
from tui_loop.core.errors import RunFailed, RunStopped
from tui_loop.core.process import dangers_to_background
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text.secrets import redact_file
from tui_loop.core.workflow.draft import return_unstarted

EXIT_CODES = {"finished": 0, "failed": 1, "stopped": 3}
BEGIN_SECONDS = 60.0
"""A detached run's process is waited for this long until it has begun."""


def run_watched(loop: LoopFolder, folders: list[IterationFolder], out: Output) -> list[Iteration]:
    """Runs iterations one after the other and shows them; those that ended, in order.

    Raises RunStopped where the run was killed at once.
    """
    return run_until_stopped(loop, folders, out)[0]


def run_until_stopped(
    loop: LoopFolder, folders: list[IterationFolder], out: Output
) -> tuple[list[Iteration], bool]:
    """The same, and whether somebody asked to stop, be it too late for a run to notice."""
    attempts, process = _start(loop, folders)
    done: list[Iteration] = []
    with RunWatcher(process, out) as watcher:
        for folder in folders:
            done.append(watcher.watch(folder, attempts[folder.number]))
            if done[-1].state != "finished":
                break
        process.wait()
    done = [iteration_of(loop.iteration(each.number)) for each in done]  # with their verdicts
    for folder in folders:
        redact_file(folder.output)
    for text in return_unstarted(folders):
        out.note(out.spelled_out(text))
    if watcher.killed:
        raise RunStopped(
            f"{folders[len(done) - 1]} was killed", f"tui-loop resume {folders[len(done) - 1]}"
        )
    if done[-1].state not in EXIT_CODES:
        out.note(
            f"the run's process ended with code {process.returncode} and no word; its output "
            f"is in {folders[len(done) - 1].output}"
        )
    return done, watcher.stop_asked


def run_detached(loop: LoopFolder, folders: list[IterationFolder], out: Output) -> int:
    """Starts them in the background and returns when the first has begun; gives the exit code.

    Raises RunFailed where the process ended before that.
    """
    attempts, process = _start(loop, folders)
    first = folders[0]
    deadline = time.monotonic() + BEGIN_SECONDS
    while read_run(first).attempt < attempts[first.number] and time.monotonic() < deadline:
        if process.poll() is not None:
            return_unstarted(folders)
            raise RunFailed(
                f"{first}: the run's process ended before it began, with code {process.returncode}",
                f"its output is in {first.output}",
            )
        time.sleep(0.05)
    if out.as_json:
        numbers = [folder.number for folder in folders]
        out.record({"loop": loop.name, "iterations": numbers, "pid": process.pid})
        return 0
    out.line(f"{first} runs in the background, process {process.pid}")
    for folder in folders[1:]:
        out.line(f"{folder} follows")
    for danger in dangers_to_background():
        out.note(danger)
    out.advice(f"look at it: {open_command(loop.name)}")
    out.advice(f"stop it:    tui-loop stop {loop.name}")
    return 0


def exit_code_of(done: list[Iteration], loop: LoopFolder, out: Output) -> int:
    """Tells the error of the last one, if it has one; the exit code for how it ended."""
    if done[-1].error and not out.as_json:
        out.error(
            f"{loop.name}/{done[-1].number}: {done[-1].error['message']}", done[-1].error["hint"]
        )
    return EXIT_CODES.get(iteration_of(loop.iteration(done[-1].number)).state, 1)


def _start(
    loop: LoopFolder, folders: list[IterationFolder]
) -> tuple[dict[int, int], subprocess.Popen[bytes]]:
    from tui_loop.engine.launch import start_host

    attempts = {folder.number: read_run(folder).attempt + 1 for folder in folders}
    numbers = [folder.number for folder in folders]
    return attempts, start_host(loop, numbers)
