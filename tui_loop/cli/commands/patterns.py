"""`tui-loop patterns`: what all loops taught, with counts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, opened_loops
from tui_loop.cli.output import DEFAULT_LOOPS, Output
from tui_loop.core.config.settings import full_name
from tui_loop.core.errors import BadInput
from tui_loop.core.patterns.all_patterns import Patterns, PatternsReader
from tui_loop.core.patterns.pattern import Pattern, by_field
from tui_loop.core.patterns.trials import base_name
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line

HELP = "what all loops taught: values that spoiled runs, changes that helped, what the best share"

SECONDS = 30.0
PLACES = 12
"""Iterations that are named with a pattern."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="ID", help="only those on this base model")
    parser.add_argument("--field", metavar="NAME", help="only those about this config field")
    parser.add_argument(
        "--with",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        dest="others",
        help="a further folder of loops; may be given again",
    )
    parser.add_argument(
        "--seconds",
        type=_seconds,
        default=SECONDS,
        metavar="S",
        help=f"compare iterations for at most S seconds ({SECONDS:.0f})",
    )
    add_json(parser)


def _seconds(text: str) -> float:
    value = float(text)
    if not value >= 0:
        raise argparse.ArgumentTypeError(f"{text} is not a number of seconds")
    return value


def run(args: argparse.Namespace, out: Output) -> int:
    field = full_name(args.field) if args.field else None
    named = [("--with", each) for each in args.others]
    if args.loops != DEFAULT_LOOPS:  # the default one may not be there yet
        named.append(("--loops", args.loops))
    for option, folder in named:
        if not folder.is_dir():
            raise BadInput(f"{option} {folder}: there is no such folder", "name a folder of loops")
    loops, *others = (LoopsFolder(folder) for folder in (args.loops, *args.others))
    for each in (loops, *others):
        opened_loops(each, out)  # names what cannot be opened
    found = PatternsReader(loops, others).look(args.seconds)
    chosen = [
        each
        for each in found.patterns
        if field in (None, each.field) and args.model in (None, each.base, base_name(each.base))
    ]
    if args.json:
        out.record(_record(found, chosen))
    else:
        _print(found, chosen, out, _why_none(found, field, args.model))
    if found.waiting:
        out.note(f"{found.waiting} comparisons were left out: --seconds gives them time")
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
    """Why there is no pattern, where there is none."""
    bases = sorted({base_name(each.base) for each in found.trials})
    if model is not None and not any(model in (e.base, base_name(e.base)) for e in found.trials):
        text = f"these loops have {', '.join(bases)}" if bases else "nothing was trained yet"
        return f"no trained iteration here is of the model {one_line(model, 80)}: {text}"
    if field is not None and found.patterns:
        return f"none about {field}: patterns need iterations that differ in it"
    return "none yet: patterns need iterations that differ in their settings"


def _print(found: Patterns, chosen: Sequence[Pattern], out: Output, why_none: str) -> None:
    read = f"{counted(len(found.trials), 'trained iteration')} in {counted(found.loops, 'loop')}"
    lost = f"; {found.unread} cannot be read" if found.unread else ""
    out.line(f"{counted(len(chosen), 'pattern')} in {read}{lost}")
    if not chosen:
        out.paragraph(why_none)
    for label, patterns in by_field(chosen).items():
        out.line()
        out.line(label)
        for each in patterns:
            but = f"; but {each.otherwise}" if each.otherwise else ""
            out.paragraph(f"- {each.sentence}{but}. {each.figures}: {_places(each.iterations)}")


def _places(places: Sequence[str]) -> str:
    more = len(places) - PLACES
    return ", ".join(places[:PLACES]) + (f" and {more} more" if more > 0 else "")
