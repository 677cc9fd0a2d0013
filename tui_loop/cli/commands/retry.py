"""`tui-loop retry LOOP/N --set evaluation.K=V`: failing examples under other settings."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import msgspec

from tui_loop.cli.answers import ModelAsker
from tui_loop.cli.arguments import add_allow_code, add_json, add_settings, told_iteration
from tui_loop.cli.commands.ask import check_settings
from tui_loop.cli.output import Output
from tui_loop.core.config import with_settings
from tui_loop.core.errors import BadInput
from tui_loop.core.questions import Answer
from tui_loop.core.records import Example
from tui_loop.core.scoring import Scorer
from tui_loop.core.store import IterationFolder

HELP = "generate the failing examples again under other generation settings; changes no record"

GENERATION = tuple(
    f"evaluation.{name}"
    for name in ("max_new_tokens", "do_sample", "temperature", "top_p", "batch_size")
)


class Retried(msgspec.Struct, frozen=True):
    """An example as recorded, and what came of it now."""

    example: Example
    answer: Answer
    score: float
    passed: bool


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("--all", action="store_true", help="also those that pass")
    add_settings(parser, "change a generation setting, e.g. evaluation.max_new_tokens=64")
    add_allow_code(parser)
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    folder = told_iteration(told)
    check_settings(folder, told.settings, (*GENERATION, "run.device"))
    recorded = folder.read_examples()
    scorer = _scorer(folder, allow_code=told.allow_code)
    chosen = [each for each in recorded if told.all or each.passed is False]
    if not chosen:
        what = "no evaluated examples" if not recorded else "no failing examples"
        raise BadInput(f"{folder} has {what}", f"tui-loop failures {folder} --all")
    retried = list(_retried(folder, chosen, scorer, told.settings, out))
    failed = [each for each in retried if each.example.passed is False]
    passed = [each for each in retried if each.example.passed]
    if told.json:
        out.record(_record(folder, told.settings, failed, passed, retried))
        return 0
    under = f" with {', '.join(told.settings)}" if told.settings else ""
    out.line(f"{folder}: of {len(failed)} that failed {_passing(failed)} pass{under}")
    if passed:
        out.line(f"of {len(passed)} that passed {_passing(passed)} still do")
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


def _scorer(folder: IterationFolder, *, allow_code: bool) -> Scorer:
    from tui_loop.engine.scorers import scorer_for

    labels = folder.read_effective().get("evaluation", {}).get("labels", [])
    settings = with_settings(folder.read_config(), []).evaluation
    scorer = scorer_for(settings, labels, folder.loop.root, allow_code=allow_code)
    if scorer is None:
        raise BadInput(f"{folder} has metric none: nothing passes or fails", "tui-loop ask --help")
    return scorer


def _retried(
    folder: IterationFolder,
    examples: list[Example],
    scorer: Scorer,
    settings: list[str],
    out: Output,
) -> Iterator[Retried]:
    by_id = {each.id: each for each in examples}
    answers: dict[str, Answer] = {}
    with closing(ModelAsker(folder.loop, [folder.number], settings)) as asker:
        question = asker.ask_examples(list(by_id))
        for heard in asker.answers_to(question):
            if isinstance(heard, Answer):
                answers[heard.example] = heard
                if len(answers) % 100 == 0:
                    out.note(f"{len(answers)} of {len(by_id)}")
            elif heard.state in ("left_out", "error"):
                raise BadInput(heard.message, heard.hint)
    for name, example in by_id.items():
        answer = answers[name]
        score = scorer.score(answer.output, example.reference)
        yield Retried(example, answer, score, score >= scorer.pass_score)


def _passing(retried: list[Retried]) -> int:
    return sum(each.passed for each in retried)


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
        "failed_before_pass_now": _passing(failed),
        "passed_before": len(passed),
        "passed_before_pass_now": _passing(passed),
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
