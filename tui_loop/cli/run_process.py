"""Creates runs, starts them in a separate process, follows or detaches them, and reports the end.

`run`, `resume`, `auto`, `queue` and `demo` all start their runs through this module.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tui_loop.cli.follow import RunFollower
from tui_loop.cli.loop_output import print_loop
from tui_loop.cli.output import Output, ReadingNotes, background_hints
from tui_loop.cli.preflight_report import warn_before
from tui_loop.cli.start import check_start, create, shared_machine_notice
from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput, RunFailed, RunStopped
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.process import dangers_to_background
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import as_json
from tui_loop.core.record.reader import iteration_of, iterations_of, read_run
from tui_loop.core.record.structs import LIVE, Iteration
from tui_loop.core.text.secrets import redact_file
from tui_loop.core.workflow.draft import return_unstarted
from tui_loop.core.workflow.plan import Plan

if TYPE_CHECKING:
    from tui_loop.engine.launch import HostProcess

EXIT_CODES = {"finished": 0, "failed": 1, "stopped": 3}
START_SECONDS = 300.0
"""A detached command waits at most this long for the run to start: the gate imports the training
stack and renders the rows."""


def create_runs(
    loop: LoopFolder,
    plan: Plan,
    out: Output,
    *,
    repeat: int | None = None,
    allow_code: bool = False,
    is_attended: bool = False,
    is_here: bool = True,
) -> list[IterationFolder]:
    """Prints warnings, then creates and returns the folders of the runs, in order.

    Raises TuiLoopError for everything that can be refused, before anything is created. With
    `is_attended` that includes a copy of the parent, and other live runs are only noted: the queue
    and `auto` wait for these instead. `is_here`: they will run on this machine, and not as jobs.
    """
    start = check_start(
        loop, plan, repeat=repeat, allow_code=allow_code, poll=ReadingNotes(out), is_here=is_here
    )
    if is_attended:
        if not start.plans[0].changes and plan.parent:
            _refuse_copy(loop, plan.parent)
        if is_here and (notice := shared_machine_notice(loop)):
            out.note(notice)
    if start.code_notice:
        out.note(start.code_notice)
    warn_before(loop, start, out)
    return create(loop, start)


def _refuse_copy(loop: LoopFolder, parent: int) -> None:
    """Raises BadInput where a run would only repeat what `parent` did or is doing.

    A parent that failed or was stopped may be run again unchanged.
    """
    state = iteration_of(loop.iteration(parent)).state
    if state in ("finished", "queued", *LIVE):
        suffix = "" if state == "finished" else f", which is {state}"
        raise BadInput(
            f"nothing differs from {loop.name}/{parent}{suffix}: the same config, rows and seed "
            "would only give the same result again",
            "use --repeat 1 for a new seed, or --set K=V to change a field",
        )


def run_and_report(
    loop: LoopFolder,
    folders: list[IterationFolder],
    out: Output,
    *,
    detach: bool,
    from_draft: bool,
) -> int:
    """Runs iterations, prints the loop or the records, and returns the exit code.

    With `detach` it returns as soon as the first run has started. `from_draft` is as in
    `start_host`.
    """
    if detach:
        return run_detached(loop, folders, out, from_draft=from_draft)
    ended, _ = run_to_end(loop, folders, out, from_draft=from_draft)
    if out.as_json:
        out.record({"iterations": [as_json(iteration) for iteration in ended]})
    else:
        out.line()
        print_loop(loop, iterations_of(loop), out)
    last = ended[-1]
    if last.error and not out.as_json:
        out.error(f"{loop.name}/{last.number}: {last.error['message']}", last.error["hint"])
    return EXIT_CODES.get(iteration_of(loop.iteration(last.number)).state, 1)


def run_to_end(
    loop: LoopFolder, folders: list[IterationFolder], out: Output, *, from_draft: bool = False
) -> tuple[list[Iteration], bool]:
    """Runs iterations in order and follows them, up to the first that does not finish.

    Returns those that ended, and whether a stop was requested, even too late for a run to notice.
    Raises ChecksFailed where the gate refuses them, RunStopped where the process was killed.
    """
    attempts, process = start_runs(loop, folders, from_draft=from_draft)
    ended: list[Iteration] = []
    with RunFollower(process, out) as follower:
        follower.follow_gate(folders, attempts)
        for folder in folders:
            ended.append(follower.follow(folder, attempts[folder.number]))
            if ended[-1].state != "finished":
                break
        process.wait()
    _raise_refusal(loop, process, out, from_draft=from_draft)
    # Read again: the host writes the verdicts after the journal's end.
    ended = [iteration_of(loop.iteration(iteration.number)) for iteration in ended]
    for folder in folders:
        redact_file(folder.output)  # the process does this itself, unless it was killed
    for text in return_unstarted(folders):
        out.note(out.spelled_out(text))
    if follower.killed:
        raise RunStopped(
            f"{folders[len(ended) - 1]} was killed", f"tui-loop resume {folders[len(ended) - 1]}"
        )
    was_stopped = process.returncode == EXIT_CODES["stopped"]
    if was_stopped and ended[-1].state not in EXIT_CODES:  # by a request during the checks
        raise RunStopped(f"{folders[len(ended) - 1]} was stopped before it started", "")
    if ended[-1].state not in EXIT_CODES:
        out.note(
            f"the run's process exited with code {process.returncode} before it recorded an end; "
            f"see its log {folders[len(ended) - 1].output}"
        )
    return ended, follower.stop_requested


def run_detached(
    loop: LoopFolder, folders: list[IterationFolder], out: Output, *, from_draft: bool = False
) -> int:
    """Starts the runs in the background, waits until the first has started, returns the exit code.

    Raises ChecksFailed where the gate refuses them, RunFailed where the process exited before that.
    """
    attempts, process = start_runs(loop, folders, from_draft=from_draft)
    first = folders[0]
    deadline = time.monotonic() + START_SECONDS
    while read_run(first).attempt < attempts[first.number] and time.monotonic() < deadline:
        if process.poll() is not None:
            _raise_refusal(loop, process, out, from_draft=from_draft)
            return_unstarted(folders)
            raise RunFailed(
                f"{first}: the process exited with code {process.returncode} before the run "
                "started",
                f"see the log of the process: {first.output}",
            )
        time.sleep(0.05)
    if out.as_json:
        numbers = [folder.number for folder in folders]
        out.record({"loop": loop.name, "iterations": numbers, "pid": process.pid})
        return 0
    out.line(f"{first} runs in the background (process {process.pid})")
    for folder in folders[1:]:
        out.line(f"{folder} will follow")
    print_background_hints(loop, out)
    return 0


def _raise_refusal(
    loop: LoopFolder, process: HostProcess, out: Output, *, from_draft: bool
) -> None:
    """Raises ChecksFailed where the gate of an exited process refused the runs."""
    if refusal := process.refusal():
        if from_draft and loop.draft.exists():
            out.note(out.spelled_out(f"draft kept: {command('run', loop.name, '--draft')}"))
        raise ChecksFailed(refusal)


def print_background_hints(loop: LoopFolder, out: Output) -> None:
    """Prints what may end a background process, and how to watch and stop it."""
    for danger in dangers_to_background():
        out.note(danger)
    for hint in background_hints(loop.name):
        out.advice(hint)


def start_runs(
    loop: LoopFolder, folders: list[IterationFolder], *, from_draft: bool = False
) -> tuple[dict[int, int], HostProcess]:
    """Starts the run host; returns the attempt that each iteration begins, and the process."""
    from tui_loop.engine.launch import start_host

    attempts = {folder.number: read_run(folder).attempt + 1 for folder in folders}
    numbers = [folder.number for folder in folders]
    try:
        return attempts, start_host(loop, numbers, from_draft=from_draft)
    except OSError:  # no process, so nobody else removes what was created for it
        return_unstarted(folders)
        raise
