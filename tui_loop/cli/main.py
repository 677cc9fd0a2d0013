"""`tui-loop`: parses the command line, runs a command, prints errors and returns exit codes."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from tui_loop import __version__
from tui_loop.cli.arguments import real_number, whole_number
from tui_loop.cli.output import DEFAULT_LOOPS, Output
from tui_loop.core.commands import COMMANDS
from tui_loop.core.errors import BadInput, TuiLoopError, file_error
from tui_loop.core.preflight.check_result import ChecksFailed
from tui_loop.core.process import treat_user_signals_as_termination
from tui_loop.core.text import plain_ascii
from tui_loop.core.text.untrusted import one_line

SHARED_MODULES = {
    "open": "app",
    "keys": "app",
    "label": "annotate",
    "note": "annotate",
    "reason": "annotate",
    "fetch": "installation",
    "doctor": "installation",
    "run": "runs",
    "resume": "runs",
    "ask": "inference",
    "retry": "inference",
    "nearest": "training_data",
    "suspects": "training_data",
    "list": "overview",
    "status": "overview",
    "stop": "control",
    "pause": "control",
    "continue": "control",
    "evaluate": "control",
    "checkpoint": "control",
}
"""Modules with several commands; every other command has a module with its own name."""


class _Parser(argparse.ArgumentParser):
    """Raises BadInput for wrong usage, like any other bad input; allows no abbreviations."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)
        self.register("type", int, whole_number)
        self.register("type", float, real_number)

    def error(self, message: str) -> NoReturn:
        raise BadInput(message, f"{self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns its exit code: 0, or one of `core.errors`.

    It ends quietly where the reader of the output has gone, as in `| head`.
    """
    _open_closed_streams()
    try:
        return _main(arguments)
    except BrokenPipeError:
        return 0
    finally:  # also where argparse exits, after --help and --version
        _flush_streams()


def _flush_streams() -> None:
    """Flushes the output; drops what is left where its reader has gone.

    The interpreter would report it at its end.
    """
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def _open_closed_streams() -> None:
    """Opens the standard streams that the caller has closed (`>&-`).

    Otherwise the next file that is opened would become the standard output.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:  # the lowest free number is taken, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    sys.stdin = sys.stdin or open(0, closefd=False)
    sys.stdout = sys.stdout or open(1, "w", closefd=False)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)


def _with_joined_options(words: list[str]) -> list[str]:
    """Joins `--sbatch` and its value: argparse takes one that begins with a dash for an option."""
    joined: list[str] = []
    for word in words:
        if joined and joined[-1] == "--sbatch":
            joined[-1] += f"={word}"
        else:
            joined.append(word)
    return joined


def _main(arguments: Sequence[str] | None) -> int:
    treat_user_signals_as_termination()
    words = _with_joined_options(list(sys.argv[1:] if arguments is None else arguments))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=plain_ascii.HANDLER)
    out = Output(as_json="--json" in words)
    try:
        words = _with_open(words)
        args = _parser(_needed_commands(words)).parse_args(words, _defaults())
        out.loops = args.loops
        command = _command(args.command)
        code: int = command.run(args, out)
        return code
    except TuiLoopError as error:
        if "--debug" in words:
            raise
        for each in error.errors if isinstance(error, ChecksFailed) else (error,):
            out.error(each.message, each.hint)
        return error.exit_code
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        return 130
    except OSError as error:
        if "--debug" in words:
            raise
        bad_input = file_error(error)
        out.error(bad_input.message, bad_input.hint)
        return bad_input.exit_code
    except Exception as error:
        if "--debug" in words:
            raise
        out.error(
            f"{type(error).__name__}: {one_line(str(error), 300)}",
            "this is a bug in tui-loop; --debug prints the traceback",
        )
        return 1


def _defaults() -> argparse.Namespace:
    return argparse.Namespace(loops=DEFAULT_LOOPS, debug=False)


def _with_open(words: list[str]) -> list[str]:
    """Returns the words with `open` where they name no command, as in `tui-loop support/3`."""
    place = _first_word(words)
    if place is None:
        asks_about_program = {"-h", "--help", "--version"} & set(words)
        return words if asks_about_program else [*words, "open"]
    return words if words[place] in COMMANDS else [*words[:place], "open", *words[place:]]


def _first_word(words: list[str]) -> int | None:
    """Returns the index of the first word that is no option and not the value of `--loops`."""
    is_value = False
    for place, word in enumerate(words):
        if is_value or word.startswith("-"):
            is_value = word == "--loops" and not is_value
        else:
            return place
    return None


def _command(name: str) -> Any:
    """Imports a command and returns what has its `HELP`, `add` and `run`: a module, or a Command.

    Only the named command is imported, because some of them need packages that others do not.
    """
    module = importlib.import_module(f"tui_loop.cli.commands.{SHARED_MODULES.get(name, name)}")
    return module.SUBCOMMANDS[name] if name in SHARED_MODULES else module


def _needed_commands(words: list[str]) -> tuple[str, ...]:
    """Returns the command in the words, or all commands where there is none."""
    place = _first_word(words)
    return COMMANDS if place is None else (words[place],)


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    shared = _Parser(add_help=False)
    shared.add_argument(
        "--loops",
        type=Path,
        default=argparse.SUPPRESS,
        metavar="DIR",
        help="the folder that contains the loops (default: ./loops)",
    )
    shared.add_argument(
        "--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks"
    )
    parser = _Parser(
        prog="tui-loop",
        parents=[shared],
        description="Run the LLM fine-tuning loop in a terminal: train, evaluate, diagnose, "
        "adjust, repeat.",
    )
    parser.add_argument("--version", action="version", version=f"tui-loop {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name in names:
        command = _command(name)
        subparser = commands.add_parser(
            name,
            parents=[shared],
            help=command.HELP,
            description=command.HELP,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.add(subparser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
