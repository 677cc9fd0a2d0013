"""`tui-loop diagnose LOOP/N`: what is wrong with an iteration, and what to change next."""

from __future__ import annotations

import argparse

import msgspec

from tui_loop.cli.arguments import add_json, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.core.compare.comparison import Comparer, brief_delta
from tui_loop.core.diagnosis.diagnose import diagnose
from tui_loop.core.diagnosis.findings import EXAMPLES_KEPT, Diagnosis, Finding, Suggestion
from tui_loop.core.diagnosis.wording import (
    GLYPHS,
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

HELP = "findings with their evidence, suggestions with what they should do, and the verdict"

EXAMPLES_SHOWN = 5


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument(
        "--write",
        action="store_true",
        help="also write diagnosis.json and the verdict anew, as a run does at its end",
    )
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    if args.write and iteration_of(folder).state in LIVE:
        raise BadInput(f"{folder} is still running", "a run writes its diagnosis when it ends")
    found = record_diagnosis(folder) if args.write else diagnose(folder.loop, folder.number)
    if args.json:
        out.record(msgspec.to_builtins(found))
    else:
        show(folder, found, out)
    return 0


def show(folder: IterationFolder, found: Diagnosis, out: Output) -> None:
    """A diagnosis for people; suggestions have the numbers that `run --take` knows them by."""
    iteration = iteration_of(folder)
    score, loss = iteration.metrics.get("score"), iteration.metrics.get("eval_loss")
    parts = [f"score {figures.percent(score)}"] * (score is not None)
    parts += [f"eval loss {figures.loss(loss)}"] * (loss is not None)
    change = brief_delta(Comparer(LoopReader(folder.loop)).against_parent(iteration))
    parts += [f"{change} against {iteration.parent}"] * bool(change)
    out.paragraph(f"{folder}  {iteration.title}: {', '.join([iteration.state, *parts])}")
    if found.verdict is not None:
        sign, _, words = verdict_words(found.verdict.word)
        out.paragraph(f"{sign} {words}: {found.verdict.sentence}")
    for finding in found.findings:
        out.line()
        _show_finding(finding, out)
    if not found.findings:
        out.line()
        out.advice(_nothing(folder, iteration.state))
    if found.suggestions:
        out.line()
        out.line("what to change, the best first:")
    for number, each in enumerate(found.suggestions, 1):
        _show_suggestion(number, each, out)
    takable = next((n for n, each in enumerate(found.suggestions, 1) if each.changes), None)
    if takable is not None:
        out.line()
        out.advice(
            f"take one: tui-loop run {folder.loop.name} --from {folder.number} --take {takable}"
        )


def _show_finding(finding: Finding, out: Output) -> None:
    out.paragraph(f"{GLYPHS[finding.severity]} {kind_words(finding.kind)}: {finding.message}")
    if finding.otherwise:
        out.paragraph(f"but: {finding.otherwise}", "  ")
    if finding.examples:
        ids, more = ", ".join(finding.examples[:EXAMPLES_SHOWN]), ""
        if len(finding.examples) == EXAMPLES_KEPT:  # there may be any number beyond these
            more = " and more"
        elif len(finding.examples) > EXAMPLES_SHOWN:
            more = f" and {len(finding.examples) - EXAMPLES_SHOWN} more"
        out.paragraph(f"examples: {ids}{more}", "  ")


def _show_suggestion(number: int, suggestion: Suggestion, out: Output) -> None:
    out.paragraph(f"{number:2}. {suggestion.action} ({kind_words(suggestion.finding)})", " ")
    parts = [expected(suggestion.expects)] if suggestion.expects is not None else []
    parts.append(f"{suggestion.confidence} confidence: {suggestion.ground}")
    parts += filter(None, (suggestion.record, tried_already(suggestion)))
    for each in parts:
        out.paragraph(each, "     ")


def _nothing(folder: IterationFolder, state: str) -> str:
    if folder.number == 0:
        return "this is the untouched base: it is what the others are held against"
    if state in RESUMABLE:
        return f"it is {state}; to go on: tui-loop resume {folder}"
    if state != "finished":
        return f"it is {state}: there is nothing to see yet"
    return f"nothing that stands out; what fails is next: tui-loop failures {folder} --summary"
