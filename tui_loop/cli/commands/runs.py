"""`tui-loop run` and `resume`: starts the next iteration, or continues one, without the app."""

from __future__ import annotations

import argparse

import msgspec

from tui_loop.cli.arguments import (
    Command,
    add_allow_code,
    add_detach,
    add_job,
    add_json,
    add_next,
    draft_of_args,
    iteration_of_args,
)
from tui_loop.cli.jobs import job_settings, submit_runs
from tui_loop.cli.output import Output
from tui_loop.cli.run_process import create_runs, run_and_report
from tui_loop.cli.start import check_resume
from tui_loop.core.config.settings import with_settings
from tui_loop.core.diagnosis.apply_suggestions import clash, with_suggestions
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import Suggestion
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.slurm.inside import refuse_in_job
from tui_loop.core.slurm.record import read_job
from tui_loop.core.workflow.draft import drop_draft, new_draft, plan_of
from tui_loop.core.workflow.plan import Plan, plan_next, plan_with


def _add_run(parser: argparse.ArgumentParser) -> None:
    add_next(parser, "learning_rate=5e-5")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason for the change")
    parser.add_argument(
        "--take",
        type=int,
        action="append",
        default=[],
        metavar="K",
        help="apply the K-th suggestion of the parent's diagnosis; may be repeated",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        metavar="K",
        help="run this config K times, each with a new seed",
    )
    add_detach(parser)
    add_job(parser)
    add_allow_code(parser)
    add_json(parser, "print the iterations as JSON")


def _run_run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train

    if args.repeat is not None and args.repeat < 1:
        raise BadInput(f"--repeat {args.repeat}: must be at least 1", "--repeat 3")
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.take and args.draft:
        raise BadInput(
            "--take and --draft exclude each other: a draft already has its changes",
            "give only one of them",
        )
    if args.draft:
        plan = _draft_plan(loop, args)
    elif args.take:
        plan = plan_with_suggestions(loop, args.parent, args.take, args.settings, args.why)
    else:
        plan = plan_next(loop, parent=args.parent, settings=args.settings, why=args.why)
    refuse_in_job(detach=args.detach)
    is_job = args.job or plan.config.run.runner == "job"
    settings = job_settings(loop, args.sbatch) if is_job else None
    _refuse_stray_options(args, is_job=is_job)
    require_train("run")  # after the errors that an installation would not fix
    folders = create_runs(
        loop,
        plan,
        out,
        repeat=args.repeat,
        allow_code=args.allow_code,
        is_attended=True,
        is_here=settings is None,
    )
    if args.draft:
        drop_draft(loop)
    if settings is not None:
        return submit_runs(loop, folders, settings, out)
    return run_and_report(loop, folders, out, detach=args.detach, from_draft=args.draft)


def _refuse_stray_options(args: argparse.Namespace, *, is_job: bool) -> None:
    if args.sbatch and not is_job:
        raise BadInput("--sbatch needs --job", "tui-loop run LOOP --job --sbatch '--time=4:00:00'")
    if args.detach and is_job:
        raise BadInput("--detach has no effect on a job", "leave out --detach")


def _draft_plan(loop: LoopFolder, args: argparse.Namespace) -> Plan:
    """Returns the plan of `draft.toml`, with `--why` and `--set` applied."""
    draft = draft_of_args(loop, args)
    config = with_settings(draft.config, args.settings)
    plan = plan_with(loop, draft.parent, config, args.why or draft.why)
    return msgspec.structs.replace(plan, suggestion=draft.suggestion, predicted=draft.predicted)


def plan_with_suggestions(
    loop: LoopFolder, parent: int | None, numbers: list[int], settings: list[str], why: str
) -> Plan:
    """Plans the next iteration from `parent` (default: the newest) with suggestions applied.

    `numbers` count the suggestions of the parent's diagnosis from 1. `settings` override them, and
    `why` precedes their reasons. Raises BadInput.
    """
    if parent is None:
        parent = max(loop.numbers(), default=0)
    suggestions = _numbered_suggestions(loop, parent, numbers)
    plan = plan_of(loop, with_suggestions(new_draft(loop, parent), suggestions))
    text = "; ".join(filter(None, (why, plan.why)))
    return msgspec.structs.replace(
        plan_with(loop, parent, with_settings(plan.config, settings), text),
        suggestion=plan.suggestion,
        predicted=plan.predicted,
    )


def _numbered_suggestions(loop: LoopFolder, parent: int, numbers: list[int]) -> list[Suggestion]:
    """Returns the suggestions with these numbers; raises BadInput where two of them clash."""
    suggestions = diagnose(loop, loop.existing(parent).number).suggestions
    hint = f"list the numbered suggestions: tui-loop diagnose {loop.name}/{parent}"
    chosen: list[Suggestion] = []
    for number in numbers:
        if not 1 <= number <= len(suggestions):
            count = len(suggestions) or "no"
            raise BadInput(f"--take {number}: {loop.name}/{parent} has {count} suggestions", hint)
        suggestion = suggestions[number - 1]
        if not suggestion.changes:
            raise BadInput(
                f"--take {number}: this suggestion changes no config field: {suggestion.action}",
                hint,
            )
        if problem := clash(chosen, suggestion):
            raise BadInput(f"--take {number}: {problem}", hint)
        chosen.append(suggestion)
    return chosen


def _add_resume(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    add_detach(parser)
    add_job(parser)
    add_allow_code(parser)
    add_json(parser, "print the iteration as JSON")


def _run_resume(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    refuse_in_job(detach=args.detach)
    is_job = args.job or folder.read_config().run.runner == "job"
    job = read_job(folder)
    options = args.sbatch or (job.sbatch if job is not None else "")
    settings = job_settings(folder.loop, options) if is_job else None
    _refuse_stray_options(args, is_job=is_job)
    resume = check_resume(folder, allow_code=args.allow_code, is_here=settings is None)
    out.note(f"{folder} continues from {resume.description}")
    for text in resume.notices:
        out.note(text)
    if settings is not None:
        return submit_runs(folder.loop, resume.folders, settings, out)
    return run_and_report(folder.loop, resume.folders, out, detach=args.detach, from_draft=True)


SUBCOMMANDS = {
    "run": Command(
        "create the next iteration and run it",
        _add_run,
        _run_run,
    ),
    "resume": Command(
        "resume a stopped, failed or interrupted run from its newest complete checkpoint",
        _add_resume,
        _run_resume,
    ),
}
