"""`tui-loop retry LOOP/N --set evaluation.K=V`: generates failed examples with other settings."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, iteration_of_args
from tui_loop.cli.commands.ask import check_settings
from tui_loop.cli.inference_client import InferenceClient
from tui_loop.cli.output import Output
from tui_loop.cli.retried_examples import retried, scorer_of
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.retry_settings import GENERATION, Retried, passing
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import Scorer

HELP = "generate failed examples again with other generation settings; changes no record"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("--all", action="store_true", help="include examples that passed")
    add_settings(parser, "change a generation setting, e.g. evaluation.max_new_tokens=64")
    add_allow_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
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
        out.record(_record(folder, args.settings, failed, passed, results))
        return 0
    settings = f" with {', '.join(args.settings)}" if args.settings else ""
    out.line(f"{folder}: {passing(failed)} of {len(failed)} failed examples pass{settings}")
    if passed:
        out.line(f"{passing(passed)} of {len(passed)} passed examples still pass")
    out.table(
        ["before", "now", "reference", "output before", "output now", "id"],
        [
            [
                "pass" if each.example.passed else "fail",
                "pass" if each.passed else "fail",
                each.example.reference,
                each.example.output or "",
                each.answer.output,
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


def _record(
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
                "output": each.answer.output,
                "score": each.score,
                "passed": each.passed,
                "output_tokens": each.answer.tokens,
                "truncated": each.answer.truncated,
            }
            for each in results
        ],
    }
