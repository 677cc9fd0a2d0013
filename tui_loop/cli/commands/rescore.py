"""`tui-loop rescore LOOP[/N] --metric M`: scores the recorded outputs with another metric."""

from __future__ import annotations

import argparse
from statistics import fmean
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_allow_code, add_json, loop_of_args
from tui_loop.cli.output import Output
from tui_loop.core.config.validation import read_config
from tui_loop.core.consent import require_consent
from tui_loop.core.errors import BadInput
from tui_loop.core.record.structs import Example
from tui_loop.core.scoring import Scorer
from tui_loop.core.text import figures

HELP = "score the recorded outputs with a different metric; records stay unchanged"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    parser.add_argument("--metric", required=True, metavar="NAME")
    parser.add_argument(
        "--pass-score", type=float, metavar="S", help="the lowest score that counts as a pass"
    )
    parser.add_argument("--pattern", metavar="RE", help="the regular expression for metric regex")
    add_allow_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.foreign_code import metric_code
    from tui_loop.engine.scorers import scorer_for

    loop, number = loop_of_args(args)
    folders = (
        [loop.existing(number)]
        if number is not None
        else [loop.iteration(each) for each in loop.numbers()]
    )
    fields = {"metric": args.metric, "pass_score": args.pass_score, "pattern": args.pattern}
    settings = read_config({"evaluation": fields}).evaluation
    require_consent(metric_code(settings.metric, loop.root), allow=args.allow_code)
    scorer_for(settings, [], loop.root)
    records = []
    for folder in folders:
        try:
            labels = folder.read_effective().get("evaluation", {}).get("labels", [])
            rows = [each for each in folder.read_examples() if each.output is not None]
        except BadInput as error:
            if number is not None:
                raise
            out.note(f"{folder} cannot be read: {error.message}")
            continue
        scorer = scorer_for(settings, labels, loop.root)
        if scorer is None:
            raise BadInput("evaluation.metric: none scores nothing", "--metric contains")
        if rows:
            records.append(_record(folder.number, rows, scorer))
    if not records:
        raise BadInput(f"{args.target}: no recorded outputs to score", f"tui-loop show {loop.name}")
    if args.json:
        out.record({"metric": args.metric, "iterations": records})
        return 0
    out.table(
        ["#", "recorded", args.metric, "passed"],
        [
            [
                str(each["number"]),
                figures.percent(each["recorded_score"]),
                figures.percent(each["score"]),
                f"{each['passed']}/{each['total']}",
            ]
            for each in records
        ],
        right=(0, 1, 2, 3),
    )
    return 0


def _record(number: int, rows: list[Example], scorer: Scorer) -> dict[str, Any]:
    scores = [
        scorer.score(each.output or "", each.reference, each.other_references) for each in rows
    ]
    recorded = [each.score for each in rows if each.score is not None]
    examples = [
        msgspec.structs.replace(each, score=score, passed=score >= scorer.pass_score)
        for each, score in zip(rows, scores, strict=True)
    ]
    return {
        "number": number,
        "recorded_score": fmean(recorded) if recorded else None,
        "score": fmean(scores),
        "passed": sum(bool(each.passed) for each in examples),
        "total": len(examples),
        "examples": [
            {"id": each.id, "score": each.score, "passed": each.passed} for each in examples
        ],
    }
