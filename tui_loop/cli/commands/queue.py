"""`tui-loop queue LOOP`: shows, edits and runs the queue of drafts."""

from __future__ import annotations

import argparse
from typing import Any

from tui_loop.cli.arguments import (
    ONE,
    add_allow_code,
    add_detach,
    add_json,
    add_parallel,
    add_sbatch,
    add_settings,
    existing_draft,
)
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.requests import live_numbers
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.draft import drop_draft
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import (
    QueuedDraft,
    clear,
    move,
    problem_of,
    queued_draft,
    queued_plan,
    read_queue,
    remove,
)
from tui_loop.core.workflow.queue import add as add_to
from tui_loop.core.workflow.unattended import doing

HELP = "show, edit or run the queue of drafts"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument(
        "--add", action="store_true", help="add a draft built from --from, --set and --why"
    )
    actions.add_argument("--add-draft", action="store_true", help="add the draft edited in the app")
    actions.add_argument("--remove", type=int, metavar="K", help="remove the K-th draft")
    actions.add_argument(
        "--move", type=int, nargs=2, metavar=("K", "J"), help="move the K-th draft to position J"
    )
    actions.add_argument("--clear", action="store_true", help="remove all drafts")
    actions.add_argument(
        "--run",
        action="store_true",
        help="run the drafts in order; a failed run does not stop the queue",
    )
    parser.add_argument(
        "--from",
        type=int,
        dest="parent",
        metavar="N",
        help="with --add: start from the config of iteration N (default: the newest)",
    )
    add_settings(parser, "with --add: change a config field, e.g. learning_rate=5e-5")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason for the change")
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="K",
        help="with --add: add K drafts that differ only in the seed (default: 1)",
    )
    add_parallel(parser)
    parser.add_argument(
        "--jobs", action="store_true", help="with --run: submit all drafts as SLURM jobs"
    )
    add_sbatch(parser, "--jobs")
    add_detach(parser)
    add_allow_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    _refuse_strays(args)
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.run:
        return _run(loop, args, out)
    message = _edit(loop, args)
    if args.json:
        out.record(queue_record(loop))
        return 0
    if message:
        out.line(message)
    print_queue(loop, out)
    return 0


def queue_record(loop: LoopFolder) -> dict[str, Any]:
    """Returns the queue as `queue LOOP --json` prints it."""
    fields = QueuedDraft.__struct_fields__
    return {
        "loop": loop.name,
        "running": doing(loop) == "queue",
        "live": live_numbers(loop),
        "drafts": [
            {name: getattr(queued, name) for name in fields} | {"problem": problem_of(loop, queued)}
            for queued in read_queue(loop)
        ],
    }


def print_queue(loop: LoopFolder, out: Output) -> None:
    """Prints the queued drafts in order, each with its problem if it has one."""
    queue = read_queue(loop)
    if not queue:
        out.line("the queue is empty")
        out.advice(f"add a draft: tui-loop queue {loop.name} --add --set learning_rate=5e-5")
        return
    rows = [
        [
            str(position),
            str(queued.parent or "defaults"),
            ", ".join(f"{name} {brief(value)}" for name, value in queued.set.items())
            or "no changes",
            queued.why,
            problem_of(loop, queued),
        ]
        for position, queued in enumerate(queue, 1)
    ]
    out.table(["#", "from", "sets", "why", "problem"], rows, right=(0,), flexible=(3, 2, 4))
    unattended = doing(loop)
    if unattended == "queue":
        live = ", ".join(map(str, live_numbers(loop)))
        out.line(f"the queue is running{f': {live}' if live else ''}")
    elif unattended == "auto":
        out.advice(f"the queue waits because auto is running; stop auto: tui-loop stop {loop.name}")
    else:
        out.advice(f"run the queue: tui-loop queue {loop.name} --run --detach")


def _edit(loop: LoopFolder, args: argparse.Namespace) -> str:
    """Edits the queue as the arguments say; returns a message, "" where they change nothing."""
    if args.add:
        plan = plan_next(loop, parent=args.parent, settings=args.settings, why=args.why)
        plans = replicates(loop, plan, args.repeat) if args.repeat > 1 else [plan]
        return _enqueue(loop, [queued_plan(each) for each in plans])
    if args.add_draft:
        draft = existing_draft(loop)
        message = _enqueue(loop, [queued_draft(draft.with_why(args.why) if args.why else draft)])
        drop_draft(loop)  # only now: a draft that was refused is not lost
        return message
    if args.remove is not None:
        return f"removed: {_title(remove(loop, args.remove))}"
    if args.move is not None:
        return f"moved to {args.move[1]}: {_title(move(loop, *args.move))}"
    if args.clear:
        return f"removed: {counted(clear(loop), 'draft')}"
    return ""


def _enqueue(loop: LoopFolder, drafts: list[QueuedDraft]) -> str:
    """Adds drafts, which differ in their seeds at most; raises BadInput where they cannot run."""
    if problem := problem_of(loop, drafts[0]):
        raise BadInput(problem, "change the draft and try again")
    add_to(loop, *drafts)
    total = len(read_queue(loop))
    return f"{loop.name}: {counted(len(drafts), 'draft')} added, {total} in the queue"


def _refuse_strays(args: argparse.Namespace) -> None:
    """Raises BadInput for options that have no effect without another option."""
    stray = {
        "--from": args.parent is not None and not args.add,
        "--set": bool(args.settings) and not args.add,
        "--repeat": args.repeat != 1 and not args.add,
        "--why": bool(args.why) and not (args.add or args.add_draft),
        "--detach": args.detach and not args.run,
        "--allow-code": args.allow_code and not args.run,
        "--parallel": args.parallel != ONE and not args.run,
        "--jobs": args.jobs and not args.run,
        "--sbatch": bool(args.sbatch) and not args.run,
    }
    for name, is_stray in stray.items():
        if is_stray:
            of_run = name in ("--detach", "--allow-code", "--parallel", "--jobs", "--sbatch")
            goes_with = "--run" if of_run else "--add"
            raise BadInput(f"{name} needs {goes_with}", f"tui-loop queue LOOP {goes_with}")
    if args.repeat < 1:
        raise BadInput(f"--repeat {args.repeat}: must be at least 1", "--repeat 3")


def _run(loop: LoopFolder, args: argparse.Namespace, out: Output) -> int:
    from tui_loop.cli.jobs import job_settings, print_jobs
    from tui_loop.cli.parallel_runs import slots_of
    from tui_loop.cli.queue_runner import QueueRunner, queue_words, require_queue_consent
    from tui_loop.cli.unattended_runs import start_in_background
    from tui_loop.core.slurm.inside import refuse_in_job
    from tui_loop.engine.extras import require_train

    if not read_queue(loop):
        raise BadInput(
            f"{loop.name}: the queue is empty",
            f"tui-loop queue {loop.name} --add --set learning_rate=5e-5",
        )
    require_train("running the queue")
    refuse_in_job(detach=args.detach)
    if args.sbatch and not args.jobs:
        raise BadInput("--sbatch needs --jobs", f"tui-loop queue {loop.name} --run --jobs")
    if args.jobs:
        if args.detach or args.parallel != ONE:
            raise BadInput(
                "--jobs submits all drafts at once, so --detach and --parallel have no effect",
                "leave them out",
            )
        settings = job_settings(loop, args.sbatch)
        require_queue_consent(loop, allow=args.allow_code)
        runner = QueueRunner(loop, out, allow_code=args.allow_code)
        print_jobs(loop, runner.submit(settings), out)
        runner.print_results()
        return 1 if runner.refused else 0
    slots = slots_of(args.parallel)
    require_queue_consent(loop, allow=args.allow_code)
    if args.detach:
        words = queue_words(loop, allow_code=args.allow_code, parallel=args.parallel)
        return start_in_background(loop, words, out)
    runner = QueueRunner(loop, out, allow_code=args.allow_code, slots=slots)
    code = runner.run()
    if args.json:
        out.record(runner.record)
    else:
        runner.print_results()
    return code


def _title(queued: QueuedDraft) -> str:
    return queued.why or queued.title
