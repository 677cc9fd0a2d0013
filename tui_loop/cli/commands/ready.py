"""`tui-loop ready LOOP/N`: the checklist, and a look at the locked holdout when all else is met."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, iteration_of_args
from tui_loop.cli.holdout_process import HoldoutLook, look_ahead
from tui_loop.cli.output import Output, shell_hints
from tui_loop.core.errors import BadInput, RunFailed
from tui_loop.core.examples.retry_settings import check_settings
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.workflow.holdout import (
    HoldoutDone,
    HoldoutEvaluation,
    HoldoutFault,
    HoldoutProgress,
)
from tui_loop.core.workflow.readiness import HOLDOUT, Checklist, checklist

HELP = "say whether an iteration is ready; looks at the holdout when all else is met (asks)"

SIGNS = {"met": "✓ met", "not met": "✗ not met", "open": "? open"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--look", action="store_true", help="look at the holdout now, whatever the checklist says"
    )
    which.add_argument("--no-look", action="store_true", help="only the checklist")
    parser.add_argument("--yes", action="store_true", help="look without asking")
    add_settings(parser, "run.device, where this machine lacks the recorded one")
    add_allow_code(parser)
    add_json(parser)
    parser.epilog = (
        "criteria: the [ready] table of loop.toml: target (a score, or an eval loss under metric\n"
        'none), min_iterations = 3, no_regression = ["parent", "base"], holdout = true\n'
        "a look measures the iteration and the base on the holdout; holdout.jsonl keeps figures\n"
        "and the paired table, never rows, and each look at a holdout is counted\n"
        "the exit code is 0 whether it is ready or not: `ready` of --json says it"
    )


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    check_settings(args.settings, ("run.device",))
    found = checklist(folder.loop, folder.number)
    if wants_look(args, found):
        if args.look or args.yes or _can_ask():
            is_shown = not (args.json or args.yes)
            if is_shown:
                print_checklist(found, out)
            if not _agrees(folder, args, out):
                out.line("not looked at")
                return 0
            _look(folder, args, out)
            found = checklist(folder.loop, folder.number)
            if is_shown:  # what the look has changed, no more
                print_checklist(found, out, only=HOLDOUT)
                return 0
        else:
            out.note(f"only the holdout is left: tui-loop ready {folder} --look --yes")
    if args.json:
        out.record(shell_hints(checklist_record(found), "todo", "notices"))
    else:
        print_checklist(found, out)
    return 0


def wants_look(args: argparse.Namespace, found: Checklist) -> bool:
    """Whether the holdout is to be looked at: told so, or because it alone is open."""
    if args.look or args.no_look:
        return bool(args.look)
    left = [each.kind for each in found.unmet]
    return left == [HOLDOUT] and found.evaluation is None


def checklist_record(found: Checklist) -> dict[str, Any]:
    """The checklist as `--json` has it."""
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


def print_checklist(found: Checklist, out: Output, only: str = "") -> None:
    """The checklist for people; with `only`, that criterion alone below the verdict."""
    out.paragraph(found.verdict)
    out.line()
    out.table(
        ["", "criterion", "figure"],
        [
            [SIGNS[each.status], each.title, each.figure]
            for each in found.items
            if only in ("", each.kind)
        ],
        flexible=(2,),
    )
    if found.evaluation is not None:
        out.line()
        for line in look_lines(found.evaluation):
            out.paragraph(line)
    if found.holdout_use_summary:
        out.line(found.holdout_use_summary)
    if any(each.todo for each in found.unmet):
        out.line()
    for each in found.unmet:
        if each.todo:
            out.advice(f"{each.title}: {each.todo}")
    for notice in found.notices:
        out.advice(notice)


def look_lines(look: HoldoutEvaluation) -> list[str]:
    """The newest look in full."""
    from tui_loop.core.text.figures import loss, percent

    lines = [
        f"holdout: {percent(look.score) or 'no score'}, loss {loss(look.loss)}, {look.rows} rows",
        f"the base there: {percent(look.base.score) or 'no score'}, loss {loss(look.base.loss)}",
    ]
    if look.paired is not None:
        table = look.paired
        lines.append(
            f"with the base: {table.both} pass in both, {table.fixed} fixed, "
            f"{table.broken} broken, {table.neither} in neither"
        )
    return lines


def _can_ask() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _agrees(folder: IterationFolder, args: argparse.Namespace, out: Output) -> bool:
    """Says what a look costs, and asks unless told not to; raises BadInput where nobody is."""
    ahead = look_ahead(folder)
    for sentence in ahead.sentences:
        out.note(sentence)
    if args.yes:
        return True
    if not _can_ask():
        raise BadInput(
            f"{folder}: a look is asked for, and nobody is at a terminal to say so",
            "add --yes, or --no-look for the checklist alone",
        )
    print("look? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _look(folder: IterationFolder, args: argparse.Namespace, out: Output) -> None:
    """Looks; raises RunFailed where it came to nothing."""
    shows = sys.stderr.isatty()
    with closing(HoldoutLook(folder, args.settings, allow_code=args.allow_code)) as look:
        for each in look.told():
            if isinstance(each, HoldoutProgress) and shows:
                print(f"\r{each.words:<60}", end="", file=sys.stderr, flush=True)
            if isinstance(each, HoldoutDone):
                if shows:
                    print(file=sys.stderr)
                return
            if isinstance(each, HoldoutFault):
                kind = BadInput if each.is_input else RunFailed
                raise kind(f"{each.message}; the look does not count", each.hint)
    raise RunFailed("the look was ended; it does not count", f"tui-loop ready {folder}")
