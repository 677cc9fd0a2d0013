"""`tui-loop ask LOOP/N PROMPT`: shows the outputs of a model, its parent and the base."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, iteration_of_args
from tui_loop.cli.inference_client import InferenceClient, require_models_consent
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

HELP = "show what the tuned model, its parent and the base answer to a prompt; records nothing"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    prompt = parser.add_argument(
        "prompt", metavar="PROMPT", default=None, help="the prompt; - reads stdin; omit with --id"
    )

    class ExampleId(argparse.Action):
        """Stores the id and makes PROMPT optional.

        PROMPT cannot be optional from the start: argparse (Python 3.11) then treats it as missing
        where an option comes before it.
        """

        def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
            setattr(namespace, self.dest, values)
            prompt.nargs, prompt.required = "?", False

    parser.add_argument(
        "--id", action=ExampleId, metavar="ID", help="use the prompt of this held-out example"
    )
    parser.add_argument(
        "--against",
        action="append",
        type=int,
        default=[],
        metavar="N",
        help="also ask iteration N (default: the parent); may be repeated",
    )
    add_allow_code(parser)
    add_settings(parser, "change evaluation.* or run.device, e.g. evaluation.max_new_tokens=64")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if (args.prompt is None) == (args.id is None):
        raise BadInput("give a PROMPT, or a held-out example with --id", "tui-loop ask --help")
    check_settings(folder, args.settings, ("evaluation.", "run."))
    example = example_of(folder, args.id) if args.id else None
    prompt = sys.stdin.read() if args.prompt == "-" else args.prompt or ""
    if example is None and not prompt.strip():
        raise BadInput("the prompt is empty", "write a prompt")
    numbers = iterations_to_compare(folder.loop, folder.number, tuple(args.against))
    require_models_consent(folder.loop, numbers, allow=args.allow_code)
    responses: list[GenerateResponse] = []
    left_out: list[ServerStatus] = []
    with closing(InferenceClient(folder.loop, numbers, args.settings)) as client:
        request_number = client.ask(prompt, example=args.id or "")
        for message in client.answers_to(request_number):
            if isinstance(message, GenerateResponse):
                responses.append(message)
            elif message.state in ("left_out", "error"):
                left_out.append(message)
                hint = f" ({message.hint})" if message.hint else ""
                out.note(f"{_name(message.iteration)} is left out: {message.message}{hint}")
    if not responses:
        raise BadInput(left_out[0].message, left_out[0].hint)
    if args.json:
        out.record(_record(prompt, example, responses, left_out))
        return 0
    if example is not None:
        out.line(f"prompt     {example.prompt}")
        out.line(f"reference  {example.reference}")
    for response in responses:
        cut = f", {response.prompt_cut} tokens of the prompt cut" if response.prompt_cut else ""
        limit = ", stopped at the token limit" if response.truncated else ""
        tokens = counted(response.tokens, "token")
        out.line(f"{_name(response.iteration)}  ({tokens}{limit}{cut}, {response.seconds:.1f} s)")
        out.line("  " + response.output.replace("\n", "\n  "))
    return 0


def check_settings(folder: IterationFolder, settings: list[str], allowed: tuple[str, ...]) -> None:
    """Raises BadInput for a setting that `folder`'s config does not have or `allowed` excludes."""
    with_settings(folder.read_config(), settings)
    check_generation(settings, allowed)


def example_of(folder: IterationFolder, example_id: str) -> Example:
    """Returns the held-out example with this id; raises BadInput where there is none."""
    for example in folder.read_examples():
        if example.id == example_id:
            return example
    raise BadInput(f"{folder} has no example {example_id!r}", f"tui-loop failures {folder} --all")


def _name(iteration: int | None) -> str:
    return "base" if iteration == BASE else f"iteration {iteration}"


def _record(
    prompt: str,
    example: Example | None,
    responses: list[GenerateResponse],
    left_out: list[ServerStatus],
) -> dict[str, Any]:
    omitted = ("id", "example", "kind")
    return {
        "prompt": prompt if example is None else example.prompt,
        "example": None if example is None else example.id,
        "reference": None if example is None else example.reference,
        "answers": [
            {
                name: value
                for name, value in msgspec.to_builtins(response).items()
                if name not in omitted
            }
            for response in responses
        ],
        "left_out": [
            {"iteration": each.iteration, "message": each.message, "hint": each.hint}
            for each in left_out
        ],
    }
