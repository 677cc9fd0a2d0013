"""`tui-loop run LOOP`: creates the next iteration and runs it without the app."""

from __future__ import annotations

import argparse

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_detach, add_next
from tui_loop.cli.commands.show import print_loop
from tui_loop.cli.output import Output
from tui_loop.cli.preflight_report import warn_before
from tui_loop.cli.run_process import exit_code_of, run_detached, run_watched
from tui_loop.cli.start import check_start, create
from tui_loop.core.commands import open_command
from tui_loop.core.config.settings import with_settings
from tui_loop.core.diagnosis.apply_suggestions import clash, with_suggestions
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import Suggestion
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.iteration import as_json
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, iterations_of
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.record.structs import LIVE
from tui_loop.core.workflow.draft import drop_draft, new_draft, plan_of, read_draft
from tui_loop.core.workflow.plan import Plan, plan_next, plan_with

HELP = "create the next iteration and run it"


def add(parser: argparse.ArgumentParser) -> None:
    add_next(parser, "learning_rate=5e-5")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason for the change")
    parser.add_argument(
        "--take",
        type=int,
        action="append",
        default=[],
        metavar="K",
        help="take the K-th suggestion of the parent's diagnosis; several times for several",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        metavar="K",
        help="K runs of this config under seeds that it has not been run with",
    )
    add_detach(parser)
    add_allow_code(parser)
    parser.add_argument("--json", action="store_true", help="print the iterations as records")


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train

    require_train("run")
    if args.repeat is not None and args.repeat < 1:
        raise BadInput(f"--repeat {args.repeat}: must be at least 1", "--repeat 3")
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.take and args.draft:
        raise BadInput("--take and --draft: a draft has its changes", "give one of the two")
    plan = _draft_plan(loop, args) if args.draft else None
    if args.take:
        plan = plan_with_suggestions(loop, args.parent, args.take, args.settings, args.why)
    folders = create_next(
        loop,
        args.parent,
        args.settings,
        args.why,
        out,
        repeat=args.repeat,
        allow_code=args.allow_code,
        plan=plan,
        from_draft=args.draft,
    )
    if args.detach:
        return run_detached(loop, folders, out)
    done = run_watched(loop, folders, out)
    if args.json:
        out.record({"iterations": [as_json(each) for each in done]})
    else:
        out.line()
        print_loop(loop, iterations_of(loop), out)
    return exit_code_of(done, loop, out)


def create_next(
    loop: LoopFolder,
    parent: int | None,
    settings: list[str],
    why: str,
    out: Output,
    *,
    repeat: int | None = None,
    allow_code: bool = False,
    plan: Plan | None = None,
    from_draft: bool = False,
) -> list[IterationFolder]:
    """Creates the next iteration (and the base where it is needed); what is to run, in order.

    Everything that can be refused is refused before anything is created. A `plan` that is given
    stands for parent, settings and why. The draft that it is from is gone once its iteration is
    there.
    """
    if plan is None:
        plan = plan_next(loop, parent=parent, settings=settings, why=why)
    start = check_start(loop, plan, repeat=repeat, allow_code=allow_code)
    if not start.plans[0].changes and plan.parent:
        _refuse_copy(loop, plan.parent)
    if live := live_run_in(loop):
        out.note(f"{live} is running too: both share this machine")
    if start.code_notice:
        out.note(start.code_notice)
    warn_before(loop, start, out)
    folders = create(loop, start)
    if from_draft:
        drop_draft(loop)
    return folders


def _refuse_copy(loop: LoopFolder, parent: int) -> None:
    """Raises BadInput where a run would only do again what `parent` did, or is doing.

    What failed or was stopped may be tried again as it was.
    """
    state = iteration_of(loop.iteration(parent)).state
    if state in ("finished", "queued", *LIVE):
        is_now = "" if state == "finished" else f", which is {state}"
        raise BadInput(
            f"nothing changes against {loop.name}/{parent}{is_now}: the same config, rows and seed "
            "would be a copy of it, not another measurement",
            "--repeat 1 runs it under another seed; --set K=V changes something",
        )


def _draft_plan(loop: LoopFolder, args: argparse.Namespace) -> Plan:
    """The plan of `draft.toml`, with `--why` and `--set` on top."""
    draft = read_draft(loop)
    if draft is None:
        raise BadInput(
            f"{loop.draft}: there is no draft", f"edit one in the app: {open_command(loop.name)}"
        )
    if args.parent is not None:
        raise BadInput("--draft and --from: a draft has its parent already", "give one of the two")
    config = with_settings(draft.config, args.settings)
    plan = plan_with(loop, draft.parent, config, args.why or draft.why)
    return msgspec.structs.replace(plan, suggestion=draft.suggestion, predicted=draft.predicted)


def plan_with_suggestions(
    loop: LoopFolder, parent: int | None, numbers: list[int], settings: list[str], why: str
) -> Plan:
    """The next iteration from `parent` (default: the newest) with what was taken of its diagnosis.

    `settings` come on top; `why` stands before the reasons of what was taken. Raises BadInput.
    """
    if parent is None:
        parent = max(loop.numbers(), default=0)
    taken = _taken(loop, parent, numbers)
    plan = plan_of(loop, with_suggestions(new_draft(loop, parent), taken))
    text = "; ".join(filter(None, (why, plan.why)))
    return msgspec.structs.replace(
        plan_with(loop, parent, with_settings(plan.config, settings), text),
        suggestion=plan.suggestion,
        predicted=plan.predicted,
    )


def _taken(loop: LoopFolder, parent: int, numbers: list[int]) -> list[Suggestion]:
    found = diagnose(loop, loop.existing(parent).number).suggestions
    hint = f"tui-loop diagnose {loop.name}/{parent} numbers them"
    taken: list[Suggestion] = []
    for number in numbers:
        if not 1 <= number <= len(found):
            count = len(found) or "no"
            raise BadInput(f"--take {number}: {loop.name}/{parent} has {count} suggestions", hint)
        wanted = found[number - 1]
        if not wanted.changes:
            raise BadInput(f"--take {number}: no config can take this: {wanted.action}", hint)
        if problem := clash(taken, wanted):
            raise BadInput(f"--take {number}: {problem}", hint)
        taken.append(wanted)
    return taken
