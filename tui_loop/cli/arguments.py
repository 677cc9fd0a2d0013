"""Arguments that several commands share."""

from __future__ import annotations

import argparse

from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import split_target
from tui_loop.core.text.untrusted import one_line


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print records")


def add_settings(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", dest="settings", help=text
    )


def add_next(parser: argparse.ArgumentParser, example: str) -> None:
    """What the next iteration is: LOOP, its parent or the draft, and settings on top."""
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument(
        "--from",
        type=int,
        metavar="N",
        dest="parent",
        help="derive from iteration N (default: the newest)",
    )
    parser.add_argument("--draft", action="store_true", help="take the draft edited in the app")
    add_settings(parser, f"change a config field, e.g. {example}")


def add_allow_code(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="let the Python code run that the model or the metric brings; remembered until the "
        "code changes",
    )


def add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detach", action="store_true", help="run in the background and return at once"
    )


def count(text: str) -> int:
    """An argument that counts something: a whole number from 0 on."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def opened_loops(loops: LoopsFolder, out: Output) -> tuple[LoopFolder, ...]:
    """All loops of a folder; what cannot be opened in it is named on stderr.

    Raises BadInput where the folder itself cannot be read.
    """
    found = loops.scan()
    for each in found.refused:
        out.note(one_line(f"left out: {each.problem} ({each.hint})"))
    return found.loops


def loop_of_args(args: argparse.Namespace) -> tuple[LoopFolder, int | None]:
    """The loop that `LOOP[/N]` names, and N if it was given."""
    name, number = split_target(args.target)
    return LoopsFolder(args.loops).loop(name), number


def iteration_of_args(args: argparse.Namespace) -> IterationFolder:
    """The iteration that `LOOP/N` names; raises BadInput where N is missing."""
    loop, number = loop_of_args(args)
    if number is None:
        example = f"{loop.name}/{max(loop.numbers(), default=1)}"
        raise BadInput(f"{loop.name}: which iteration?", f"tui-loop {args.command} {example}")
    return loop.existing(number)
