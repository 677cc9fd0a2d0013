"""`tui-loop ready LOOP/N`: shows the checklist; evaluates the holdout when only that is open."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, iteration_of_args
from tui_loop.cli.holdout_process import HoldoutProcess, holdout_cost
from tui_loop.cli.output import Output, shell_hints
from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput, RunFailed, TuiLoopError
from tui_loop.core.examples.retry_settings import check_settings
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.text.figures import changes, loss, percent
from tui_loop.core.workflow.holdout import (
    HoldoutDone,
    HoldoutEvaluation,
    HoldoutFault,
    HoldoutProgress,
    counting_words,
)
from tui_loop.core.workflow.readiness import HOLDOUT, Checklist, checklist

HELP = "show whether an iteration is ready; offer the holdout evaluation if only that is missing"

SIGNS = {"met": "✓ met", "not met": "✗ not met", "open": "? open"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    holdout = parser.add_mutually_exclusive_group()
    holdout.add_argument(
        "--look",
        action="store_true",
        help="evaluate the holdout now, even if other criteria are not met",
    )
    holdout.add_argument("--no-look", action="store_true", help="show only the checklist")
    parser.add_argument("--yes", action="store_true", help="evaluate the holdout without asking")
    add_settings(parser, "set run.device if this machine lacks the recorded device")
    add_allow_code(parser)
    add_json(parser)
    parser.epilog = (
        "The [ready] table of loop.toml sets the criteria: target (a score, or an eval\n"
        'loss with metric none), min_iterations = 3, no_regression = ["parent", "base"],\n'
        "holdout = true.\n\n"
        "A holdout evaluation scores the iteration and the base on the holdout.\n"
        "holdout.jsonl stores the scores and the paired counts, never rows. Every use of\n"
        "a holdout is counted.\n\n"
        "The exit code is 0 whether or not the iteration is ready; see `ready` in --json."
    )


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    check_settings(args.settings, ("run.device",))
    items = checklist(folder.loop, folder.number)
    if _needs_holdout(args, items) and _may_evaluate(folder, args, out):
        is_shown = not (args.json or args.yes)
        if is_shown:
            _print_checklist(items, out)
        if not _confirmed(folder, args, out):
            out.line("the holdout was not evaluated")
            return 0
        _evaluate_holdout(folder, args, out)
        items = checklist(folder.loop, folder.number)
        if is_shown:  # the rest of the checklist is on the screen already
            _print_checklist(items, out, only=HOLDOUT)
            return 0
    if args.json:
        out.record(shell_hints(_checklist_record(items), "todo", "notices"))
    else:
        _print_checklist(items, out)
    return 0


def _may_evaluate(folder: IterationFolder, args: argparse.Namespace, out: Output) -> bool:
    """Whether to evaluate: it was requested, or may be asked for; else a note says what is left.

    Without a request, a machine that cannot evaluate only shows the checklist.
    """
    if args.look or args.yes:
        return True
    if not _can_ask():
        out.note(f"only the holdout evaluation is missing: tui-loop ready {folder} --look --yes")
        return False
    try:
        holdout_cost(folder)
    except TuiLoopError as error:
        out.note(
            "only the holdout evaluation is missing, and this machine cannot run it: "
            f"{error.message}"
        )
        out.note(f"hint: {error.hint}")
        return False
    return True


def _needs_holdout(args: argparse.Namespace, found: Checklist) -> bool:
    """Whether to evaluate the holdout: it was requested, or is the only open criterion."""
    if args.look or args.no_look:
        return bool(args.look)
    unmet = [each.kind for each in found.unmet]
    return unmet == [HOLDOUT] and found.evaluation is None


def _checklist_record(found: Checklist) -> dict[str, Any]:
    """Returns the checklist as `--json` prints it."""
    return {
        "loop": found.loop,
        "iteration": found.number,
        "ready": found.is_ready,
        "items": [msgspec.to_builtins(each) for each in found.items],
        "look": msgspec.to_builtins(found.evaluation) if found.evaluation is not None else None,
        "looks": [
            {"loop": each.loop, "iteration": each.evaluation.iteration, "t": each.evaluation.t}
            for each in found.uses
        ],
        "notices": list(found.notices),
    }


def _print_checklist(found: Checklist, out: Output, only: str = "") -> None:
    """Prints the verdict and the checklist; with `only`, that criterion alone."""
    out.paragraph(found.verdict)
    out.line()
    out.table(
        ["", "criterion", "result"],
        [
            [SIGNS[each.status], each.title, each.figure]
            for each in found.items
            if only in ("", each.kind)
        ],
        flexible=(2,),
    )
    if found.evaluation is not None:
        out.line()
        for line in _evaluation_lines(found.evaluation):
            out.paragraph(line)
    if found.holdout_use_summary:
        out.advice(found.holdout_use_summary)
    if any(each.todo for each in found.unmet):
        out.line()
    for each in found.unmet:
        if each.todo:
            out.advice(f"{each.title}: {each.todo}")
    for notice in found.notices:
        out.advice(notice)


def _evaluation_lines(evaluation: HoldoutEvaluation) -> list[str]:
    """Returns the newest holdout evaluation in full."""
    base, paired = evaluation.base, evaluation.paired
    lines = [
        f"holdout: {percent(evaluation.score) or 'no score'}, loss {loss(evaluation.loss)}, "
        f"{evaluation.rows} rows",
        f"base on the holdout: {percent(base.score) or 'no score'}, loss {loss(base.loss)}",
    ]
    if paired is not None:
        lines.append(
            "compared with the base: "
            f"{changes(paired.fixed, paired.broken, paired.changed_groups, paired.unit)}, "
            f"{paired.both} passed by both, {paired.neither} by neither"
        )
    return lines


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _confirmed(folder: IterationFolder, args: argparse.Namespace, out: Output) -> bool:
    """Prints what a holdout evaluation costs and asks, unless --yes is given.

    Raises BadInput where there is no terminal to ask on.
    """
    for sentence in holdout_cost(folder).sentences:
        out.note(sentence)
    if args.yes:
        return True
    if not _can_ask():
        raise BadInput(
            f"{folder}: a holdout evaluation needs confirmation, but there is no terminal to ask",
            "add --yes to confirm, or --no-look to show only the checklist",
        )
    print("evaluate the holdout? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _evaluate_holdout(folder: IterationFolder, args: argparse.Namespace, out: Output) -> None:
    """Evaluates the holdout and shows the progress; raises RunFailed or BadInput on a fault."""
    shows_progress = sys.stderr.isatty()
    with closing(HoldoutProcess(folder, args.settings, allow_code=args.allow_code)) as process:
        try:
            for message in process.messages():
                if isinstance(message, HoldoutProgress) and shows_progress:
                    print(f"\r{message.words:<60}", end="", file=sys.stderr, flush=True)
                if isinstance(message, HoldoutDone):
                    if shows_progress:
                        print(file=sys.stderr)
                    return
                if isinstance(message, HoldoutFault):
                    raise _failed(folder, message, is_recorded=process.is_recorded)
        except KeyboardInterrupt:
            process.close()
            out.note(f"interrupted: {counting_words(is_recorded=process.is_recorded)}")
            raise
    ended = HoldoutFault("the holdout evaluation ended without a result")
    raise _failed(folder, ended, is_recorded=process.is_recorded)


def _failed(folder: IterationFolder, fault: HoldoutFault, *, is_recorded: bool) -> TuiLoopError:
    """Returns the error of an evaluation without a result, and says whether it counts."""
    error = BadInput if fault.is_input else RunFailed
    shows_it = command("ready", folder)
    hint = f"show the scores: {shows_it}" if is_recorded else fault.hint or shows_it
    return error(f"{fault.message}; {counting_words(is_recorded=is_recorded)}", hint)
