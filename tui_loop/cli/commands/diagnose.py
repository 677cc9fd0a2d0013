"""`tui-loop diagnose LOOP/N`: shows an iteration's findings, suggestions and verdict."""

from __future__ import annotations

import argparse

import msgspec

from tui_loop.cli.arguments import add_json, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.core.compare.claims import brief_delta
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import (
    EXAMPLES_KEPT,
    GLYPHS,
    Diagnosis,
    Finding,
    Suggestion,
    cause_words,
    expected,
    kind_words,
    tried_already,
    verdict_words,
)
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import LoopReader, iteration_of
from tui_loop.core.record.structs import LIVE, RESUMABLE
from tui_loop.core.text import figures
from tui_loop.core.workflow.run_end import record_diagnosis

HELP = "diagnose an iteration: findings, suggestions, and the verdict on its prediction"

EXAMPLES_SHOWN = 5


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument(
        "--write",
        action="store_true",
        help="also rewrite diagnosis.json and the recorded verdict, as a run does at its end",
    )
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if args.write and iteration_of(folder).state in LIVE:
        raise BadInput(f"{folder} is still running", "a run writes its diagnosis when it ends")
    diagnosis = record_diagnosis(folder) if args.write else diagnose(folder.loop, folder.number)
    if args.json:
        out.record(msgspec.to_builtins(diagnosis))
    else:
        _print(folder, diagnosis, out)
    return 0


def _print(folder: IterationFolder, diagnosis: Diagnosis, out: Output) -> None:
    """Prints a diagnosis; `run --take` uses the same numbers for its suggestions."""
    iteration = iteration_of(folder)
    score, loss = iteration.metrics.get("score"), iteration.metrics.get("eval_loss")
    parts = [f"score {figures.percent(score)}"] * (score is not None)
    parts += [f"eval loss {figures.loss(loss)}"] * (loss is not None)
    comparer = Comparer(LoopReader(folder.loop))
    change = brief_delta(comparer.against_parent(iteration))
    parts += [f"{change} against {iteration.parent}"] * bool(change)
    out.paragraph(f"{folder}  {iteration.title}: {', '.join([iteration.state, *parts])}")
    if diagnosis.verdict is not None:
        sign, _, words = verdict_words(diagnosis.verdict.word)
        out.paragraph(f"{sign} {words}: {diagnosis.verdict.sentence}")
    for finding in diagnosis.findings:
        out.line()
        _print_finding(finding, out)
    if not diagnosis.findings:
        out.line()
        out.advice(_no_findings(folder, iteration.state))
    if diagnosis.suggestions:
        out.line()
        out.line("suggestions, best first:")
    for number, suggestion in enumerate(diagnosis.suggestions, 1):
        _print_suggestion(number, suggestion, out)
    first = next((n for n, each in enumerate(diagnosis.suggestions, 1) if each.changes), None)
    if first is not None:
        out.line()
        out.advice(
            f"apply suggestion {first}: tui-loop run {folder.loop.name} --from {folder.number} "
            f"--take {first}"
        )


def _print_finding(finding: Finding, out: Output) -> None:
    out.paragraph(f"{GLYPHS[finding.severity]} {kind_words(finding.kind)}: {finding.message}")
    if cause := cause_words(finding):
        out.paragraph(cause, "  ")
    elif finding.otherwise:
        out.paragraph(f"but: {finding.otherwise}", "  ")
    if finding.examples:
        ids, more = ", ".join(finding.examples[:EXAMPLES_SHOWN]), ""
        if len(finding.examples) == EXAMPLES_KEPT:  # there may be more than the finding kept
            more = " and more"
        elif len(finding.examples) > EXAMPLES_SHOWN:
            more = f" and {len(finding.examples) - EXAMPLES_SHOWN} more"
        out.paragraph(f"examples: {ids}{more}", "  ")


def _print_suggestion(number: int, suggestion: Suggestion, out: Output) -> None:
    out.paragraph(f"{number:2}. {suggestion.action} ({kind_words(suggestion.finding)})", " ")
    parts = [expected(suggestion.expects)] if suggestion.expects is not None else []
    parts.append(f"{suggestion.confidence} confidence: {suggestion.ground}")
    parts += filter(None, (suggestion.record, tried_already(suggestion)))
    for each in parts:
        out.paragraph(each, "     ")


def _no_findings(folder: IterationFolder, state: str) -> str:
    """Says why there is no finding, and what to do."""
    if folder.number == 0:
        return "this is the base model before training; the other iterations are compared with it"
    if state in RESUMABLE:
        return f"{folder} is {state}; resume the run: tui-loop resume {folder}"
    if state != "finished":
        return f"{folder} is {state}; findings appear when the run has ended"
    return f"no findings; see which examples fail: tui-loop failures {folder} --summary"
