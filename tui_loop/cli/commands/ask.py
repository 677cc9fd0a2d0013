"""`tui-loop ask LOOP/N PROMPT`: what the tuned model, its parent and the base say to a prompt."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, iteration_of_args
from tui_loop.cli.inference_client import ModelAsker, require_models_consent
from tui_loop.cli.output import Output
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.retry_settings import check_settings as check_generation
from tui_loop.core.inference_messages import (
    BASE,
    GenerateResponse,
    ServerStatus,
    iterations_to_compare,
)
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.text.figures import counted

HELP = "ask the tuned model, its parent and the base a prompt; records nothing"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    prompt = parser.add_argument(
        "prompt", metavar="PROMPT", default=None, help="the prompt; - reads stdin; none with --id"
    )

    class OfExample(argparse.Action):
        """Takes the id; from then on no PROMPT is needed.

        An optional positional would be taken as left out by argparse where an option comes before
        it (Python 3.11).
        """

        def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
            setattr(namespace, self.dest, values)
            prompt.nargs, prompt.required = "?", False

    parser.add_argument(
        "--id", action=OfExample, metavar="ID", help="ask the prompt of this held-out example"
    )
    parser.add_argument(
        "--against",
        action="append",
        type=int,
        default=[],
        metavar="N",
        help="beside this iteration (default: the parent); may be repeated",
    )
    add_allow_code(parser)
    add_settings(parser, "change evaluation.* or run.device, e.g. evaluation.max_new_tokens=64")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if (args.prompt is None) == (args.id is None):
        raise BadInput("give a PROMPT, or --id of a held-out example", "tui-loop ask --help")
    check_settings(folder, args.settings, ("evaluation.", "run."))
    example = example_of(folder, args.id) if args.id else None
    prompt = sys.stdin.read() if args.prompt == "-" else args.prompt or ""
    if example is None and not prompt.strip():
        raise BadInput("the prompt is empty", "write one")
    numbers = iterations_to_compare(folder.loop, folder.number, tuple(args.against))
    require_models_consent(folder.loop, numbers, allow=args.allow_code)
    answers: list[GenerateResponse] = []
    left_out: list[ServerStatus] = []
    with closing(ModelAsker(folder.loop, numbers, args.settings)) as asker:
        question = asker.ask(prompt, example=args.id or "")
        for heard in asker.answers_to(question):
            if isinstance(heard, GenerateResponse):
                answers.append(heard)
            elif heard.state in ("left_out", "error"):
                left_out.append(heard)
                hint = f" ({heard.hint})" if heard.hint else ""
                out.note(f"{_name(heard.iteration)} is left out: {heard.message}{hint}")
    if not answers:
        raise BadInput(left_out[0].message, left_out[0].hint)
    if args.json:
        out.record(_record(prompt, example, answers, left_out))
        return 0
    if example is not None:
        out.line(f"prompt  {example.prompt}")
        out.line(f"wanted  {example.reference}")
    for answer in answers:
        cut = f", {answer.prompt_cut} tokens of the prompt cut" if answer.prompt_cut else ""
        ended = ", ended by the limit" if answer.truncated else ""
        tokens = counted(answer.tokens, "token")
        out.line(f"{_name(answer.iteration)}  ({tokens}{ended}{cut}, {answer.seconds:.1f} s)")
        out.line("  " + answer.output.replace("\n", "\n  "))
    return 0


def check_settings(folder: IterationFolder, settings: list[str], allowed: tuple[str, ...]) -> None:
    """Raises BadInput for what is no setting of `folder`'s config, or not one of `allowed`."""
    with_settings(folder.read_config(), settings)
    check_generation(settings, allowed)


def example_of(folder: IterationFolder, wanted: str) -> Example:
    """The held-out example that is named; raises BadInput where there is none."""
    for example in folder.read_examples():
        if example.id == wanted:
            return example
    raise BadInput(f"{folder} has no example {wanted!r}", f"tui-loop failures {folder} --all")


def _name(iteration: int | None) -> str:
    return "base" if iteration == BASE else f"iteration {iteration}"


def _record(
    prompt: str,
    example: Example | None,
    answers: list[GenerateResponse],
    left_out: list[ServerStatus],
) -> dict[str, Any]:
    return {
        "prompt": prompt if example is None else example.prompt,
        "example": None if example is None else example.id,
        "reference": None if example is None else example.reference,
        "answers": [_plain(each, ("id", "example", "kind")) for each in answers],
        "left_out": [
            {"iteration": each.iteration, "message": each.message, "hint": each.hint}
            for each in left_out
        ],
    }


def _plain(answer: GenerateResponse, without: tuple[str, ...]) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(answer)
    return {name: value for name, value in values.items() if name not in without}
