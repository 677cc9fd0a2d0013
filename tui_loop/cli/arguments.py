"""Arguments that several commands share, and what they name."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from tui_loop.cli.output import Output
from tui_loop.core.commands import open_command
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import split_target
from tui_loop.core.record.structs import Example
from tui_loop.core.text.untrusted import one_line

if TYPE_CHECKING:
    from tui_loop.core.workflow.draft import Draft


class Command(NamedTuple):
    """One command of a module that has several; other modules have these names themselves."""

    HELP: str
    add: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Output], int]


def add_json(parser: argparse.ArgumentParser, text: str = "print JSON") -> None:
    parser.add_argument("--json", action="store_true", help=text)


def add_settings(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument(
        "--set", action="append", default=[], metavar="K=V", dest="settings", help=text
    )


def add_parent(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--from",
        type=int,
        metavar="N",
        dest="parent",
        help="start from the config of iteration N (default: the newest)",
    )


def add_next(parser: argparse.ArgumentParser, example: str) -> None:
    """Adds what describes the next iteration: LOOP, its parent or the draft, and settings."""
    parser.add_argument("loop", metavar="LOOP")
    add_parent(parser)
    parser.add_argument("--draft", action="store_true", help="use the draft edited in the app")
    add_settings(parser, f"change a config field, e.g. {example}")


def add_allow_code(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--allow-code",
        action="store_true",
        help="allow the custom Python code of the model or metric to run, until that code changes",
    )


def add_detach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--detach", action="store_true", help="run in the background and return at once"
    )


def add_job(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--job", action="store_true", help="submit the run as a SLURM job and return at once"
    )
    add_sbatch(parser, "--job")


def add_sbatch(parser: argparse.ArgumentParser, goes_with: str) -> None:
    parser.add_argument(
        "--sbatch",
        default="",
        metavar="OPTIONS",
        help=f"with {goes_with}: options of sbatch, e.g. '--gres=gpu:2 --time=4:00:00'",
    )


ONE = "1"
"""One run at a time, as a value of `--parallel`."""


def add_parallel(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--parallel",
        default=ONE,
        metavar="K",
        help="how many runs may train at once: a number, or gpus for one per GPU (default: 1)",
    )


def whole_number(text: str) -> int:
    """Parses a whole number in ASCII digits; Python's `int` also takes those of other scripts."""
    return int(_in_ascii(text))


def real_number(text: str) -> float:
    """Parses a number in ASCII digits."""
    return float(_in_ascii(text))


def _in_ascii(text: str) -> str:
    if not text.isascii():
        raise ValueError(text)
    return text


def count(text: str) -> int:
    """Parses an argument that counts something: a whole number, 0 or more."""
    value = whole_number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"{text} is negative")
    return value


def opened_loops(loops: LoopsFolder, out: Output) -> tuple[LoopFolder, ...]:
    """Returns all loops of a folder and prints on stderr what cannot be opened.

    Raises BadInput where the folder itself cannot be read.
    """
    scan = loops.scan()
    for refused in scan.refused:
        out.note(one_line(f"left out: {refused.problem} ({refused.hint})"))
    return scan.loops


def loop_of_args(args: argparse.Namespace) -> tuple[LoopFolder, int | None]:
    """Returns the loop that `LOOP[/N]` names, and N where it was given."""
    name, number = split_target(args.target)
    return LoopsFolder(args.loops).loop(name), number


def existing_draft(loop: LoopFolder) -> Draft:
    """Returns the loop's draft; raises BadInput where there is none."""
    from tui_loop.core.workflow.draft import read_draft

    draft = read_draft(loop)
    if draft is None:
        raise BadInput(
            f"{loop.draft}: there is no draft", f"create one in the app: {open_command(loop.name)}"
        )
    return draft


def draft_of_args(loop: LoopFolder, args: argparse.Namespace) -> Draft:
    """Returns the draft that `--draft` names; raises BadInput for `--from` beside it."""
    draft = existing_draft(loop)
    if args.parent is not None:
        raise BadInput(
            "--draft and --from exclude each other: a draft already has a parent",
            "give only one of them",
        )
    return draft


def iteration_of_args(args: argparse.Namespace) -> IterationFolder:
    """Returns the iteration that `LOOP/N` names; raises BadInput where N is missing."""
    loop, number = loop_of_args(args)
    if number is None:
        example = f"{loop.name}/{max(loop.numbers(), default=1)}"
        raise BadInput(f"{loop.name}: which iteration?", f"tui-loop {args.command} {example}")
    return loop.existing(number)


def evaluated_examples(folder: IterationFolder) -> list[Example]:
    """Returns the examples of an iteration; raises BadInput where it was not evaluated."""
    examples = folder.read_examples()
    if not examples:
        raise BadInput(f"{folder} has no evaluated examples", f"tui-loop show {folder}")
    return examples


def example_of(folder: IterationFolder, examples: list[Example], example_id: str) -> Example:
    """Returns the example with this id; raises BadInput where there is none."""
    for example in examples:
        if example.id == example_id:
            return example
    raise BadInput(f"{folder} has no example {example_id!r}", f"tui-loop failures {folder} --all")
