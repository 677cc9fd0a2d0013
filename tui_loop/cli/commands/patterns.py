"""`tui-loop patterns`: shows patterns over all loops, with counts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, opened_loops, real_number
from tui_loop.cli.output import DEFAULT_LOOPS, Output
from tui_loop.core.config.settings import full_name
from tui_loop.core.errors import BadInput
from tui_loop.core.patterns.all_patterns import Patterns, PatternsReader
from tui_loop.core.patterns.pattern import Pattern, by_field
from tui_loop.core.patterns.trials import base_name
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

HELP = "show patterns across loops: harmful values, helpful changes, what the best configs share"

SECONDS = 30.0
MAX_ITERATIONS = 12
"""At most so many iterations are named with a pattern."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="ID", help="show only patterns found with this base model"
    )
    parser.add_argument("--field", metavar="NAME", help="show only patterns of this config field")
    parser.add_argument(
        "--with",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        dest="others",
        help="include another folder of loops; may be repeated",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        metavar="S",
        help=f"compare iterations for at most S seconds (default: {SECONDS:.0f})",
    )
    add_json(parser)


def _seconds(text: str) -> float:
    value = real_number(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def run(args: argparse.Namespace, out: Output) -> int:
    field = full_name(args.field) if args.field else None
    given = [("--with", folder) for folder in args.others]
    if args.loops != DEFAULT_LOOPS:  # the default folder need not exist
        given.append(("--loops", args.loops))
    for option, folder in given:
        if not folder.is_dir():
            raise BadInput(f"{option} {folder}: no such folder", "name a folder of loops")
    loops, *others = (LoopsFolder(folder) for folder in (args.loops, *args.others))
    for each in (loops, *others):
        opened_loops(each, out)  # reports the loops that cannot be opened
    found = PatternsReader(loops, others).poll(args.seconds)
    chosen = [
        pattern
        for pattern in found.patterns
        if field in (None, pattern.field)
        and args.model in (None, pattern.base, base_name(pattern.base))
    ]
    if args.json:
        out.record(_record(found, chosen))
    else:
        _print(found, chosen, out, _why_none(found, field, args.model))
    if found.waiting:
        out.note(
            f"{counted(found.waiting, 'comparison')} left out because time ran out; raise --seconds"
        )
    return 0


def _record(found: Patterns, chosen: Sequence[Pattern]) -> dict[str, Any]:
    return {
        "loops": found.loops,
        "iterations": len(found.trials),
        "unread": found.unread,
        "not_compared": found.waiting,
        "patterns": [msgspec.to_builtins(each) for each in chosen],
    }


def _why_none(found: Patterns, field: str | None, model: str | None) -> str:
    """Says why there is no pattern, for a case in which there is none."""
    names = {name for trial in found.trials for name in (trial.base, base_name(trial.base))}
    if model is not None and model not in names:
        bases = sorted({base_name(trial.base) for trial in found.trials})
        text = f"these loops use {', '.join(bases)}" if bases else "nothing was trained yet"
        return f"no trained iteration has the base model {one_line(model, 80)}: {text}"
    if field is not None and found.patterns:
        return f"no pattern for {field}: a pattern needs iterations that differ in this field"
    return "no pattern yet: a pattern needs iterations that differ in a config field"


def _print(found: Patterns, chosen: Sequence[Pattern], out: Output, why_none: str) -> None:
    read = f"{counted(len(found.trials), 'trained iteration')} in {counted(found.loops, 'loop')}"
    unread = f"; {found.unread} cannot be read" if found.unread else ""
    out.line(f"{counted(len(chosen), 'pattern')} in {read}{unread}")
    if not chosen:
        out.paragraph(why_none)
    for label, patterns in by_field(chosen).items():
        out.line()
        out.line(label)
        for each in patterns:
            but = f"; but {each.otherwise}" if each.otherwise else ""
            out.paragraph(f"- {each.sentence}{but}. {each.figures}: {_shortened(each.iterations)}")


def _shortened(iterations: Sequence[str]) -> str:
    more = len(iterations) - MAX_ITERATIONS
    return ", ".join(iterations[:MAX_ITERATIONS]) + (f" and {more} more" if more > 0 else "")
