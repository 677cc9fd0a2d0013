"""`tui-loop show LOOP[/N]`: shows a loop's iterations, or one iteration in full."""

from __future__ import annotations

import argparse
from typing import Any

from tui_loop.cli.arguments import add_json, loop_of_args
from tui_loop.cli.loop_output import (
    iteration_record,
    loop_record,
    print_annotated_counts,
    print_loop,
    queue_text,
)
from tui_loop.cli.output import Output
from tui_loop.core.compare.best import BEST_SIGN, best_config
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.findings import expected_of, verdict_words
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import read_annotations
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import reached_words, state_words
from tui_loop.core.record.reader import LoopReader, iteration_of
from tui_loop.core.record.results import is_by_source, metrics_by_source
from tui_loop.core.record.structs import RESUMABLE, Iteration
from tui_loop.core.record.system_summary import system_words
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief

HELP = "show a loop's iterations, or one iteration in full"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop, number = loop_of_args(args)
    if number is not None:
        iteration = iteration_of(loop.existing(number))
        if args.json:
            out.record(iteration_record(loop, iteration, read_annotations(loop)))
        else:
            _print_iteration(loop, iteration, out)
            print_annotated_counts(loop, [iteration], out)
            if notes := loop.iteration(number).read_notes():
                out.line(f"\nnotes:\n{notes}")
        return 0
    reader = LoopReader(loop)
    with reader.steady():
        return _show_loop(reader, out, as_json=args.json)


def _show_loop(reader: LoopReader, out: Output, *, as_json: bool) -> int:
    loop, iterations = reader.loop, reader.iterations()
    if as_json:
        out.record(loop_record(loop, iterations))
        return 0
    print_loop(loop, iterations, out, reader)
    if text := queue_text(loop):
        out.advice(text)
    return 0


def _print_iteration(loop: LoopFolder, iteration: Iteration, out: Output) -> None:
    parent = "" if iteration.parent is None else f", from {iteration.parent}"
    state = state_words(iteration.state, iteration.silence)
    out.line(f"{loop.name}/{iteration.number}  {iteration.title}  ({state}{parent})")
    if iteration.decision:
        out.line(f"why: {iteration.decision}")
    if reached := reached_words(iteration):
        out.paragraph(reached)
    if best := _best_words(loop, iteration.number):
        out.paragraph(best)
    _print_prediction(loop, iteration, out)
    if iteration.error:
        out.line(f"error: {iteration.error.get('message')}")
        out.advice(f"hint: {iteration.error.get('hint')}")
    elif iteration.state in RESUMABLE:
        place = f"{loop.name}/{iteration.number}"
        out.advice(f"this run did not finish; resume it: tui-loop resume {place}")
    changes = [[field, *_old_and_new(pair)] for field, pair in iteration.changes.items()]
    if changes:
        out.line()
        out.table(["changed", "old", "new"], changes)
    metrics = [
        [name, _metric_text(name, value)]
        for name, value in iteration.metrics.items()
        if value is not None and not is_by_source(name)
    ]
    if metrics:
        out.line()
        out.table(["metric", "value"], metrics, right=(1,))
    if sources := metrics_by_source(iteration.metrics):
        out.line()
        columns = ("total", "passed", "score", "eval_loss")
        rows = [
            [source, *(_metric_text(name, own.get(name)) for name in columns)]
            for source, own in sources.items()
        ]
        out.table(["source", *columns], rows, right=(1, 2, 3, 4))
    if iteration.duration_s is not None:
        out.line()
        out.line(
            f"took {figures.duration(iteration.duration_s)}, "
            f"{iteration.attempts} attempt{'s' if iteration.attempts != 1 else ''}"
        )
    if words := system_words(iteration.system):
        out.paragraph(words)


def _best_words(loop: LoopFolder, number: int) -> str:
    """Returns why the iteration is a run of the best config, "" if it is none."""
    reader = LoopReader(loop)
    with reader.steady():
        best = best_config(Comparer(reader), reader.iterations())
    return f"{BEST_SIGN} {best.words}" if best is not None and number in best.runs else ""


def _print_prediction(loop: LoopFolder, iteration: Iteration, out: Output) -> None:
    """Prints the suggestion that was applied, its prediction, and the verdict on it."""
    diagnoser = Diagnoser(LoopReader(loop))
    try:
        decision = loop.iteration(iteration.number).read_decision()
        verdict = diagnoser.verdict(diagnoser.facts(iteration.number))
    except (TuiLoopError, OSError):  # an unreadable iteration is reported with its state
        return
    if decision.suggestion:
        out.paragraph(f"suggested by: {suggested_by(decision.suggestion)}")
    if predicted := expected_of(decision.predicted):
        out.paragraph(f"prediction: {predicted.removeprefix('expects ')}")
    if verdict is not None:
        sign, _, _ = verdict_words(verdict.word)
        out.paragraph(f"verdict: {sign} {verdict.word}: {verdict.sentence}")
    elif iteration.verdict:
        sign, _, sentence = verdict_words(iteration.verdict)
        out.paragraph(f"verdict: {sign} {sentence}")


def _old_and_new(pair: Any) -> list[str]:
    """Returns both values of a change; changes of data rows have no old value, only counts."""
    if isinstance(pair, dict):
        return ["", ", ".join(f"{key} {value}" for key, value in pair.items())]
    return [brief(value) for value in pair]


def _metric_text(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in ("score", "macro_f1"):
        return figures.percent(value)
    as_float = number(value) if isinstance(value, (float, str)) else None
    if as_float is None:
        return str(value)
    return f"{as_float:.4f}" if name == "eval_loss" else f"{as_float:.4g}"
