"""`tui-loop check LOOP`: runs the preflight checks of the next iteration without creating it."""

from __future__ import annotations

import argparse
import os
import sys
import warnings

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_json, add_next, count, draft_of_args
from tui_loop.cli.output import Output, ReadingNotes, shell_hints, uses_colour
from tui_loop.cli.preflight_report import Preflight, check_record, preflight_of
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import (
    ROWS_KEPT,
    CheckResult,
    RowEvidence,
    by_severity,
    errors_of,
    warnings_of,
)
from tui_loop.core.preflight.row_checks import TrainedRow, TurnTokens
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line, visible
from tui_loop.core.workflow.draft import Draft
from tui_loop.core.workflow.plan import plan_next

HELP = "check the config and data of the next iteration; create and run nothing"
ROWS_SHOWN = 3
SIGNS = {"error": "✗", "warning": "!", "info": "·"}
DIM, PLAIN = "\033[2m", "\033[0m"


def add(parser: argparse.ArgumentParser) -> None:
    add_next(parser, "max_length=512")
    parser.add_argument(
        "--row",
        type=count,
        metavar="K",
        help="show the tokens of the K-th training row, and which of them are trained on",
    )
    add_allow_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    draft = draft_of_args(loop, args) if args.draft else None
    _quiet_libraries()
    if args.row is not None:
        config = _config(loop, args, draft)
        show_row(Preflight(loop, config, allow_code=args.allow_code).row(args.row), out)
        return 0
    preflight = _preflight(loop, args, draft)
    findings = preflight.of_rows(ReadingNotes(out))
    out.note("rows checked; now checking tokens, memory and disk")
    findings = by_severity([*findings, *preflight.of_tokens()])
    if args.json:
        out.record(shell_hints(msgspec.to_builtins(check_record(loop, findings)), "hint"))
    else:
        _show(findings, out)
    return BadInput.exit_code if errors_of(findings) else 0


def show_row(row: TrainedRow, out: Output) -> None:
    """Prints a row's tokens; tokens without loss are dim, or in brackets without colour."""
    if out.as_json:
        out.record(msgspec.to_builtins(row))
        return
    out.line(
        f"training row {row.number} of {row.total}, line {row.line}, {one_line(row.id, 80)}: "
        f"{row.trained} of {counted(len(row.tokens), 'token')} are trained on"
        + (f", {row.cut} are beyond training.max_length" if row.cut else "")
    )
    coloured = uses_colour(sys.stdout)
    for turn in row.turns:
        print(_head(row, turn))
        for trained, text in _runs(row.tokens[turn.start : turn.end]):
            shown = visible(text)
            if not trained:
                shown = f"{DIM}{shown}{PLAIN}" if coloured else f"[{shown}]"
            print(shown, end="")
        print(flush=True)


def _head(row: TrainedRow, turn: TurnTokens) -> str:
    """Returns the line above a turn: its role, its trained tokens, its special ones."""
    special = sum(turn.start <= place < turn.end for place in row.special)
    return turn.words + (f", {counted(special, 'special token')}" if special else "")


def _runs(tokens: list[tuple[str, bool]]) -> list[tuple[bool, str]]:
    """Joins neighbouring tokens that are all trained on, or all not, into one text."""
    runs: list[tuple[bool, str]] = []
    for text, trained in tokens:
        if runs and runs[-1][0] == trained:
            runs[-1] = (trained, runs[-1][1] + text)
        else:
            runs.append((trained, text))
    return runs


def _config(loop: LoopFolder, args: argparse.Namespace, draft: Draft | None) -> Config:
    """Returns the next iteration's config; raises BadInput with every problem."""
    if draft is not None:
        return with_settings(draft.config, args.settings)
    return plan_next(loop, parent=args.parent, settings=args.settings, why="").config


def _preflight(loop: LoopFolder, args: argparse.Namespace, draft: Draft | None) -> Preflight:
    """Returns the checks of the next iteration, whose config may be invalid."""
    parent = args.parent if draft is None else draft.parent
    if parent is None and draft is None:
        parent = max(loop.numbers(), default=None)
    return preflight_of(
        loop, lambda: _config(loop, args, draft), parent, allow_code=args.allow_code
    )


def _quiet_libraries() -> None:
    """Suppresses the libraries' own warnings, which are not meant for this program's users."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    warnings.filterwarnings("ignore", module=r"(transformers|peft|trl|torch|datasets)\b")


def _show(findings: list[CheckResult], out: Output) -> None:
    for each in findings:
        out.paragraph(f"{SIGNS[each.severity]} {each.severity}: {each.message}")
        if each.hint and each.severity != "info":
            out.paragraph(f"hint: {each.hint}", "  ")
        if each.severity != "info":
            _show_rows(each.rows, out)
    error_count, warning_count = len(errors_of(findings)), len(warnings_of(findings))
    out.line(f"{counted(error_count, 'error')}, {counted(warning_count, 'warning')}")


def _show_rows(rows: tuple[RowEvidence, ...], out: Output) -> None:
    for row in rows[:ROWS_SHOWN]:
        out.line("  " + one_line(f"{row.place}  {row.text}", max(20, out.width - 3)))
    if len(rows) > ROWS_SHOWN:
        more = f"{len(rows) - ROWS_SHOWN} more; --json lists all"
        if len(rows) == ROWS_KEPT:  # there may be more rows than the check kept
            more = f"more; --json lists the first {ROWS_KEPT}"
        out.line(f"  and {more}")
