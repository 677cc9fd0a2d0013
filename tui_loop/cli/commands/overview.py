"""`tui-loop list` and `status`: every loop of a folder, and the live runs."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from tui_loop.cli.arguments import Command, add_json, opened_loops
from tui_loop.cli.loop_output import queue_status, queue_text
from tui_loop.cli.output import Output
from tui_loop.core.compare.loop_list import LoopEntry, LoopsReader
from tui_loop.core.errors import BadInput
from tui_loop.core.record.events import WAITING_FOR_GPU, gpu_names
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import state_words
from tui_loop.core.record.lock import trouble_of
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import LIVE, RESUMABLE, Iteration
from tui_loop.core.slurm.commands import ENDED
from tui_loop.core.slurm.jobs import Job, jobs_of, settle
from tui_loop.core.text import figures
from tui_loop.core.text.figures import loss, percent
from tui_loop.core.text.untrusted import one_line
from tui_loop.core.workflow.closing import closed_words


def _add_list(parser: argparse.ArgumentParser) -> None:
    add_json(parser)


def _run_list(args: argparse.Namespace, out: Output) -> int:
    loops = LoopsReader(LoopsFolder(args.loops)).poll()
    if args.json:
        out.record({"loops": [_loop_record(each) for each in loops]})
        return 0
    if not loops:
        out.line(
            f"no loops in {args.loops}; begin with tui-loop demo, or tui-loop new LOOP --data PATH"
        )
        return 0
    out.table(
        ["loop", "state", "last run", "iterations", "best", "updated", "goal"],
        [
            [
                each.name,
                state_words(each.state_words, each.silent_s),
                each.last_run,
                str(each.iterations),
                _best(each),
                f"{each.updated_at.astimezone():%Y-%m-%d %H:%M}" if each.updated else "",
                _goal(each),
            ]
            for each in loops
        ],
        right=(3,),
        flexible=(6,),
    )
    return 0


def _loop_record(loop: LoopEntry) -> dict[str, Any]:
    return {
        "name": loop.name,
        "goal": _goal(loop),
        "state": loop.state,
        **({} if loop.silent_s is None else {"silent_s": loop.silent_s}),
        "last_run": loop.last_run or None,
        "queued": loop.queued,
        "iterations": loop.iterations,
        "best": loop.best,
        "updated": loop.updated_at.isoformat(timespec="seconds"),
    }


def _goal(loop: LoopEntry) -> str:
    return f"cannot be read: {loop.problem}" if loop.problem else loop.goal


def _best(loop: LoopEntry) -> str:
    """Returns the best iteration with its score, such as `2: 66%`, else with its loss.

    The number is the mean over the runs of that config.
    """
    if loop.best is None:
        return ""
    value = percent(loop.metrics.get("score")) or loss(loop.metrics.get("eval_loss"))
    return f"{loop.best}: {value}" if value else str(loop.best)


def _add_status(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP", nargs="?")
    add_json(parser)


def _run_status(args: argparse.Namespace, out: Output) -> int:
    folder = LoopsFolder(args.loops)
    loops = (folder.loop(args.loop),) if args.loop else opened_loops(folder, out)
    jobs = jobs_of(loops)
    for loop in loops:
        for text in settle(loop, jobs):
            out.note(out.spelled_out(text))
    runs = {loop.name: _runs(loop, jobs, out) for loop in loops}
    if args.json:
        records = [record for each in runs.values() for record in each]
        out.record({"runs": records, "queues": [each for each in map(queue_status, loops) if each]})
        return 0
    if not loops:
        out.line("no loops yet; create one with tui-loop new LOOP --data PATH")
    for name, records in runs.items():
        for record in records:
            out.advice(_line(record))
        if not records:
            out.advice(f"{name} has no iterations yet; begin with tui-loop run {name} --why '...'")
    for loop in loops:
        if text := queue_text(loop):
            out.advice(f"{loop.name}: {text}")
    return 0


def _runs(loop: LoopFolder, jobs: Mapping[str, Job], out: Output) -> list[dict[str, Any]]:
    """Returns records of a loop's live runs and waiting jobs.

    Where there is none, of its newest iteration.
    """
    closed = _closed(loop, out)
    numbers = loop.numbers()
    iterations = [iteration_of(loop.iteration(number)) for number in numbers]
    of_job = {each.number: jobs.get(f"{loop.name}/{each.number}") for each in iterations}
    live = [
        each
        for each in iterations
        if each.state in LIVE or ((job := of_job[each.number]) is not None and not job.has_ended)
    ]
    shown = live or iterations[-1:]
    return [_run_record(loop, each, of_job[each.number], closed) for each in shown]


def _run_record(
    loop: LoopFolder, iteration: Iteration, job: Job | None, closed: str | None
) -> dict[str, Any]:
    number, silent_s = iteration.number, iteration.silence
    record: dict[str, Any] = {
        "loop": loop.name,
        "iteration": number,
        "state": iteration.state,
        "silent_s": silent_s,
        "phase": None,
        "step": None,
        "done": None,
        "total": None,
        "loss": None,
        "seconds_left": None,
        "trouble": trouble_of(loop.iteration(number).lock) or None,
        "closed": closed,
        "gpus": [],
        "waits_for": None,
        "job": _job_record(job) if job is not None else None,
    }
    if iteration.state not in LIVE:
        return record
    try:
        run = read_run(loop.iteration(number))
    except BadInput:
        return record
    return record | {
        "phase": run.phase,
        "step": run.step,
        "done": run.done,
        "total": run.total,
        "loss": run.latest("loss"),
        "seconds_left": run.seconds_left(time.time()) if silent_s is None else None,
        "gpus": [msgspec.to_builtins(gpu) for gpu in run.started.gpus] if run.started else [],
        "waits_for": run.lines[-1].text if run.phase == WAITING_FOR_GPU and run.lines else None,
    }


def _job_record(job: Job) -> dict[str, Any]:
    """Returns what SLURM shows of a job; `state` is None where it shows nothing."""
    fields = msgspec.to_builtins(job.state) if job.state is not None else {}
    state = fields.pop("name", None)
    return {"id": job.record.id, "state": state, "words": job.words} | {
        name: fields.get(name) or None for name in ("reason", "start", "left", "node")
    }


def _closed(loop: LoopFolder, out: Output) -> str | None:
    """Returns how the loop was closed, if it was; reports an unreadable loop.toml on stderr."""
    try:
        closed = loop.read_settings().closed
    except BadInput as error:
        out.note(f"{loop.name} cannot be read: {error.message}")
        return None
    return closed_words(closed) if closed is not None else None


def _has_job(record: dict[str, Any]) -> bool:
    job = record["job"]
    return job is not None and job["state"] is not None and job["state"] not in ENDED


def _line(record: dict[str, Any]) -> str:
    state = state_words(record["state"], record["silent_s"])
    parts = [f"{record['loop']}/{record['iteration']} {state}"]
    if record["phase"]:
        parts.append(record["phase"])
    if record["waits_for"]:
        parts.append(one_line(record["waits_for"]))
    if record["total"]:
        parts.append(f"{record['done']}/{record['total']}")
    if record["loss"] is not None:
        parts.append(f"loss {figures.loss(record['loss'])}")
    if record["seconds_left"] is not None:
        parts.append(f"eta {figures.duration(record['seconds_left'])}")
    if record["job"]:
        parts.append(record["job"]["words"])
    if record["gpus"]:
        parts.append(gpu_names([gpu["index"] for gpu in record["gpus"]]))
    if record["trouble"]:
        parts.append(record["trouble"])
    if record["closed"]:
        parts.append(f"({record['closed']})")
    elif record["state"] in (*RESUMABLE, "queued") and not _has_job(record):
        parts.append(f"resume with tui-loop resume {record['loop']}/{record['iteration']}")
    return "  ".join(parts)


SUBCOMMANDS = {
    "list": Command(
        "list the loops",
        _add_list,
        _run_list,
    ),
    "status": Command(
        "show live runs and their progress",
        _add_status,
        _run_status,
    ),
}
