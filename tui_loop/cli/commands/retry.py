"""`tui-loop retry LOOP/N --set evaluation.K=V`: failing examples under other settings."""

from __future__ import annotations

import argparse
from contextlib import closing
from typing import Any

from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, iteration_of_args
from tui_loop.cli.commands.ask import check_settings
from tui_loop.cli.inference_client import ModelAsker
from tui_loop.cli.output import Output
from tui_loop.cli.retried_examples import retried as retried_by
from tui_loop.cli.retried_examples import scorer_of
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.retry_settings import GENERATION, Retried, passing
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import Scorer

HELP = "generate the failing examples again under other generation settings; changes no record"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("--all", action="store_true", help="also those that pass")
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
        what = "no evaluated examples" if not recorded else "no failing examples"
        raise BadInput(f"{folder} has {what}", f"tui-loop failures {folder} --all")
    retried = _retried(folder, chosen, scorer, args.settings, out)
    failed = [each for each in retried if each.example.passed is False]
    passed = [each for each in retried if each.example.passed]
    if args.json:
        out.record(_record(folder, args.settings, failed, passed, retried))
        return 0
    under = f" with {', '.join(args.settings)}" if args.settings else ""
    out.line(f"{folder}: of {len(failed)} that failed {passing(failed)} pass{under}")
    if passed:
        out.line(f"of {len(passed)} that passed {passing(passed)} still do")
    out.table(
        ["was", "now", "wanted", "said before", "says now", "id"],
        [
            [
                "pass" if each.example.passed else "fail",
                "pass" if each.passed else "fail",
                each.example.reference,
                each.example.output or "",
                each.answer.output,
                each.example.id,
            ]
            for each in sorted(retried, key=lambda each: not each.passed)
        ],
        flexible=(4, 3, 2),
    )
    out.note("the record is as it was")
    return 0


def _retried(
    folder: IterationFolder,
    examples: list[Example],
    scorer: Scorer,
    settings: list[str],
    out: Output,
) -> list[Retried]:
    """The examples' results, in their order."""
    found: dict[str, Retried] = {}
    with closing(ModelAsker(folder.loop, [folder.number], settings)) as asker:
        for heard in retried_by(asker, examples, scorer):
            if isinstance(heard, Retried):
                found[heard.example.id] = heard
                if len(found) % 100 == 0:
                    out.note(f"{len(found)} of {len(examples)}")
    return [found[each.id] for each in examples]


def _record(
    folder: IterationFolder,
    settings: list[str],
    failed: list[Retried],
    passed: list[Retried],
    retried: list[Retried],
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
            for each in retried
        ],
    }
