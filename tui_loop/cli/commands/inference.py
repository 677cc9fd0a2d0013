"""`tui-loop ask` and `retry`: outputs of a loop's models for prompts and examples; no record."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from typing import Any

import msgspec

from tui_loop.cli.arguments import (
    Command,
    add_allow_code,
    add_json,
    add_settings,
    example_of,
    iteration_of_args,
)
from tui_loop.cli.inference_client import InferenceClient, require_models_consent
from tui_loop.cli.output import Output
from tui_loop.cli.retried_examples import retried, scorer_of
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.retry_settings import GENERATION, Retried, passing
from tui_loop.core.examples.retry_settings import check_settings as check_generation
from tui_loop.core.inference_messages import (
    BASE,
    GenerateResponse,
    ServerStatus,
    iterations_to_compare,
)
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import Scorer
from tui_loop.core.text.figures import counted


def _add_ask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    prompt = parser.add_argument(
        "prompt",
        metavar="PROMPT",
        default=None,
        help="the prompt, or - to read it from stdin; omit it with --id",
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
    add_settings(
        parser, "change an evaluation.* field or run.device, e.g. evaluation.max_new_tokens=64"
    )
    add_json(parser)


def _run_ask(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if (args.prompt is None) == (args.id is None):
        raise BadInput(
            "give either a PROMPT or a held-out example with --id", "tui-loop ask --help"
        )
    check_settings(folder, args.settings, ("evaluation.", "run."))
    example = example_of(folder, folder.read_examples(), args.id) if args.id else None
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
    if not responses:
        raise BadInput(left_out[0].message, left_out[0].hint)
    for message in left_out:
        hint = f" ({message.hint})" if message.hint else ""
        out.note(f"no answer from {_name(message.iteration)}: {message.message}{hint}")
    if args.json:
        out.record(_ask_record(prompt, example, responses, left_out))
        return 0
    if example is not None:
        out.line(f"prompt     {example.prompt}")
        out.line(f"reference  {example.reference}")
    for response in responses:
        cut = f", {response.prompt_cut} prompt tokens cut off" if response.prompt_cut else ""
        limit = ", stopped at the token limit" if response.truncated else ""
        tokens = counted(response.tokens, "token")
        out.line(f"{_name(response.iteration)}  ({tokens}{limit}{cut}, {response.seconds:.1f} s)")
        out.line("  " + response.output.replace("\n", "\n  "))
    return 0


def check_settings(folder: IterationFolder, settings: list[str], allowed: tuple[str, ...]) -> None:
    """Raises BadInput for a setting that `folder`'s config does not have or `allowed` excludes."""
    with_settings(folder.read_config(), settings)
    check_generation(settings, allowed)


def _name(iteration: int | None) -> str:
    return "base" if iteration == BASE else f"iteration {iteration}"


def _ask_record(
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


def _add_retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("--all", action="store_true", help="include examples that passed")
    add_settings(parser, "change a generation setting, e.g. evaluation.max_new_tokens=64")
    add_allow_code(parser)
    add_json(parser)


def _run_retry(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    check_settings(folder, args.settings, (*GENERATION, "run.device"))
    recorded = folder.read_examples()
    scorer = scorer_of(folder, allow_code=args.allow_code)
    chosen = [each for each in recorded if args.all or each.passed is False]
    if not chosen:
        problem = "no evaluated examples" if not recorded else "no failed examples"
        raise BadInput(f"{folder} has {problem}", f"tui-loop failures {folder} --all")
    results = _results(folder, chosen, scorer, args.settings, out)
    failed = [each for each in results if each.example.passed is False]
    passed = [each for each in results if each.example.passed]
    if args.json:
        out.record(_retry_record(folder, args.settings, failed, passed, results))
        return 0
    settings = f" with {', '.join(args.settings)}" if args.settings else ""
    out.line(f"{folder}: {passing(failed)} of {len(failed)} failed examples now pass{settings}")
    if passed:
        out.line(f"{passing(passed)} of {len(passed)} passed examples still pass")
    out.table(
        ["before", "now", "reference", "output before", "output now", "id"],
        [
            [
                "pass" if each.example.passed else "fail",
                "pass" if each.passed else "fail",
                each.example.reference,
                answer_of(each.example.output),
                answer_of(each.response.output),
                each.example.id,
            ]
            for each in sorted(results, key=lambda each: not each.passed)
        ],
        flexible=(4, 3, 2),
    )
    out.note("the record is unchanged")
    return 0


def _results(
    folder: IterationFolder,
    examples: list[Example],
    scorer: Scorer,
    settings: list[str],
    out: Output,
) -> list[Retried]:
    """Returns the new results in the order of `examples`."""
    results: dict[str, Retried] = {}
    with closing(InferenceClient(folder.loop, [folder.number], settings)) as client:
        for message in retried(client, examples, scorer):
            if isinstance(message, Retried):
                results[message.example.id] = message
                if len(results) % 100 == 0:
                    out.note(f"{len(results)} of {len(examples)}")
    return [results[example.id] for example in examples]


def _retry_record(
    folder: IterationFolder,
    settings: list[str],
    failed: list[Retried],
    passed: list[Retried],
    results: list[Retried],
) -> dict[str, Any]:
    return {
        "iteration": folder.number,
        "settings": settings,
        "failed_before": len(failed),
        "failed_before_pass_now": passing(failed),
        "passed_before": len(passed),
        "passed_before_pass_now": passing(passed),
        "examples": [
            {
                "id": each.example.id,
                "prompt": each.example.prompt,
                "reference": each.example.reference,
                "output_before": each.example.output,
                "passed_before": each.example.passed,
                "output": each.response.output,
                "score": each.score,
                "passed": each.passed,
                "output_tokens": each.response.tokens,
                "truncated": each.response.truncated,
            }
            for each in results
        ],
    }


SUBCOMMANDS = {
    "ask": Command(
        "compare the answers of an iteration, its parent and the base to a prompt; nothing is "
        "recorded",
        _add_ask,
        _run_ask,
    ),
    "retry": Command(
        "generate outputs of failed examples again with different settings; records stay unchanged",
        _add_retry,
        _run_retry,
    ),
}
