"""`tui-loop queue LOOP`: drafts that wait, their order, and running them one after the other."""

from __future__ import annotations

import argparse
from typing import Any

from tui_loop.cli.arguments import add_allow_code, add_detach, add_json, add_settings
from tui_loop.cli.output import Output
from tui_loop.core.commands import open_command
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.draft import drop_draft, read_draft
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

HELP = "drafts that wait: show, add, reorder, and run them one after the other"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--add", action="store_true", help="add a draft: --from, --set, --why")
    what.add_argument("--add-draft", action="store_true", help="add the draft edited in the app")
    what.add_argument("--remove", type=int, metavar="K", help="take the K-th draft out")
    what.add_argument(
        "--move", type=int, nargs=2, metavar=("K", "J"), help="make the K-th draft the J-th"
    )
    what.add_argument("--clear", action="store_true", help="take all drafts out")
    what.add_argument(
        "--run", action="store_true", help="run them in order; one that fails stops no other"
    )
    parser.add_argument(
        "--from",
        type=int,
        dest="parent",
        metavar="N",
        help="with --add: derive from iteration N (default: the newest)",
    )
    add_settings(parser, "with --add: change a config field, e.g. learning_rate=5e-5")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason for the change")
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="K",
        help="with --add: K drafts that differ in the seed alone",
    )
    add_detach(parser)
    add_allow_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    _refuse_strays(args)
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.run:
        return _run(loop, args, out)
    said = _change(loop, args)
    if args.json:
        out.record(queue_record(loop))
        return 0
    if said:
        out.line(said)
    print_queue(loop, out)
    return 0


def queue_record(loop: LoopFolder) -> dict[str, Any]:
    """The queue as `queue LOOP --json` has it."""
    return {
        "loop": loop.name,
        "running": doing(loop) == "queue",
        "drafts": [
            {**_whole(queued), "problem": problem_of(loop, queued)} for queued in read_queue(loop)
        ],
    }


def print_queue(loop: LoopFolder, out: Output) -> None:
    """The drafts that wait, in order, with what is wrong with them."""
    queue = read_queue(loop)
    if not queue:
        out.line("nothing waits in the queue")
        out.advice(f"add to it: tui-loop queue {loop.name} --add --set learning_rate=5e-5")
        return
    rows = [
        [
            str(at),
            str(queued.parent or "defaults"),
            ", ".join(f"{name} {brief(value)}" for name, value in queued.set.items()) or "as it is",
            queued.why,
            problem_of(loop, queued),
        ]
        for at, queued in enumerate(queue, 1)
    ]
    out.table(["#", "from", "sets", "why", "problem"], rows, right=(0,), flexible=(3, 2, 4))
    by_itself = doing(loop)
    if by_itself == "queue":
        out.line("they are being run")
    elif by_itself == "auto":
        out.advice(f"they wait: auto is at work; tui-loop stop {loop.name} ends it")
    else:
        out.advice(f"run them: tui-loop queue {loop.name} --run --detach")


def _change(loop: LoopFolder, args: argparse.Namespace) -> str:
    """Does to the queue what was asked; says so, "" where nothing was."""
    if args.add:
        return _told_added(loop, _added(loop, args))
    if args.add_draft:
        draft = read_draft(loop)
        if draft is None:
            raise BadInput(
                f"{loop.draft}: there is no draft",
                f"edit one in the app: {open_command(loop.name)}",
            )
        queued = queued_draft(draft.with_why(args.why) if args.why else draft)
        _refuse_impossible(loop, queued)
        add_to(loop, queued)
        drop_draft(loop)
        return _told_added(loop, [queued])
    if args.remove is not None:
        return f"taken out: {_named(remove(loop, args.remove))}"
    if args.move is not None:
        return f"now at {args.move[1]}: {_named(move(loop, *args.move))}"
    if args.clear:
        return f"taken out: {_drafts(clear(loop))}"
    return ""


def _added(loop: LoopFolder, args: argparse.Namespace) -> list[QueuedDraft]:
    plan = plan_next(loop, parent=args.parent, settings=args.settings, why=args.why)
    plans = replicates(loop, plan, args.repeat) if args.repeat > 1 else [plan]
    queued = [queued_plan(each) for each in plans]
    _refuse_impossible(loop, queued[0])
    add_to(loop, *queued)
    return queued


def _refuse_impossible(loop: LoopFolder, queued: QueuedDraft) -> None:
    if problem := problem_of(loop, queued):
        raise BadInput(problem, "change it and try again")


def _told_added(loop: LoopFolder, queued: list[QueuedDraft]) -> str:
    count = len(read_queue(loop))
    return f"{loop.name}: {_drafts(len(queued))} added, {_drafts(count)} in the queue"


def _refuse_strays(args: argparse.Namespace) -> None:
    """Raises BadInput for arguments that mean nothing beside what is asked."""
    stray = {
        "--from": args.parent is not None and not args.add,
        "--set": bool(args.settings) and not args.add,
        "--repeat": args.repeat != 1 and not args.add,
        "--why": bool(args.why) and not (args.add or args.add_draft),
        "--detach": args.detach and not args.run,
        "--allow-code": args.allow_code and not args.run,
    }
    for name, is_stray in stray.items():
        if is_stray:
            goes_with = "--run" if name in ("--detach", "--allow-code") else "--add"
            raise BadInput(f"{name}: goes with {goes_with}", f"tui-loop queue LOOP {goes_with}")
    if args.repeat < 1:
        raise BadInput(f"--repeat {args.repeat}: must be at least 1", "--repeat 3")


def _run(loop: LoopFolder, args: argparse.Namespace, out: Output) -> int:
    from tui_loop.cli.queue_runner import QueueRunner, require_queue_consent
    from tui_loop.cli.unattended_runs import start_in_background
    from tui_loop.engine.extras import require_train

    require_train("running the queue")
    if not read_queue(loop):
        raise BadInput(
            f"{loop.name}: nothing waits in the queue",
            f"tui-loop queue {loop.name} --add --set learning_rate=5e-5",
        )
    require_queue_consent(loop, allow=args.allow_code)
    if args.detach:
        words = ["queue", loop.name, "--run", *(["--allow-code"] if args.allow_code else [])]
        return start_in_background(loop, words, out)
    runner = QueueRunner(loop, out, allow_code=args.allow_code)
    code = runner.run()
    if args.json:
        out.record(runner.record)
    else:
        runner.tell()
    return code


def _whole(queued: QueuedDraft) -> dict[str, Any]:
    return {name: getattr(queued, name) for name in QueuedDraft.__struct_fields__}


def _named(queued: QueuedDraft) -> str:
    return queued.why or queued.title


def _drafts(count: int) -> str:
    return f"{count} draft{'' if count == 1 else 's'}"
