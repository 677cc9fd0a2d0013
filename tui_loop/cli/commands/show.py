"""`tui-loop show LOOP[/N]`: a loop's iterations, or one of them in full."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, loop_of_args
from tui_loop.cli.output import Output
from tui_loop.cli.queue_output import told_waiting
from tui_loop.cli.tables import iterations_table
from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.wording import expected_of, verdict_words
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import (
    AnnotatedCounts,
    Annotations,
    annotated_of,
    read_annotations,
)
from tui_loop.core.examples.annotations import annotation_text as told_of
from tui_loop.core.record.codec import number
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import as_json
from tui_loop.core.record.reader import LoopReader, iteration_of, iterations_of
from tui_loop.core.record.structs import RESUMABLE, Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.closing import closed_words
from tui_loop.core.workflow.draft import read_draft

HELP = "show a loop's iterations, or one iteration in full"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP[/N]")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop, wanted = loop_of_args(args)
    if wanted is not None:
        iteration = iteration_of(loop.existing(wanted))
        if args.json:
            out.record(iteration_record(loop, iteration, read_annotations(loop)))
        else:
            _print_iteration(loop, iteration, out)
            _print_judged(loop, [iteration], out)
            if notes := loop.iteration(wanted).read_notes():
                out.line(f"\nnotes:\n{notes}")
        return 0
    iterations = iterations_of(loop)
    if args.json:
        out.record(loop_record(loop, iterations))
        return 0
    print_loop(loop, iterations, out)
    if waiting := told_waiting(loop):
        out.advice(waiting)
    return 0


def loop_record(loop: LoopFolder, iterations: list[Iteration]) -> dict[str, Any]:
    """The loop as `show LOOP --json` has it."""
    settings, said = loop.read_settings(), read_annotations(loop)
    return {
        "name": loop.name,
        "goal": settings.goal,
        "metric": settings.metric,
        "model": loop.default_config().model.id,
        "closed": msgspec.to_builtins(settings.closed),
        "iterations": [iteration_record(loop, iteration, said) for iteration in iterations],
    }


def iteration_record(loop: LoopFolder, iteration: Iteration, said: Annotations) -> dict[str, Any]:
    """An iteration as `show --json` has it; `judged` is null where nothing said has effect."""
    found = _judged(loop, iteration, said)
    return {**as_json(iteration), "judged": found and found.figures}


def _judged(loop: LoopFolder, iteration: Iteration, said: Annotations) -> AnnotatedCounts | None:
    """The evaluation as judged; None too where it cannot be read, which is told elsewhere."""
    try:
        return annotated_of(loop.iteration(iteration.number), said)
    except TuiLoopError:
        return None


def _print_judged(loop: LoopFolder, iterations: list[Iteration], out: Output) -> None:
    """What people said of examples does to the numbers, an iteration a line."""
    said = read_annotations(loop)
    if said.trouble:
        out.line(f"what was said of examples cannot be read: {said.trouble}")
    found = [(each.number, _judged(loop, each, said)) for each in iterations]
    lines = [f"{number} as judged: {told_of(each)}" for number, each in found if each is not None]
    if lines:
        out.line()
        for line in lines:
            out.paragraph(line)


def print_loop(loop: LoopFolder, iterations: list[Iteration], out: Output) -> None:
    """The loop's head line and its table."""
    settings, config = loop.read_settings(), loop.default_config()
    goal = f": {settings.goal}" if settings.goal else ""
    out.line(f"{loop.name}{goal}")
    out.line(f"model {config.model.id}, metric {settings.metric}")
    if settings.closed is not None:
        out.paragraph(closed_words(settings.closed))
    _print_iterations(loop, iterations, out)


def _print_iterations(loop: LoopFolder, iterations: list[Iteration], out: Output) -> None:
    if not iterations:
        out.line(f"no iterations yet; begin with tui-loop run {loop.name} --why '...'")
        return
    iterations_table(loop, iterations, out)
    _print_judged(loop, iterations, out)
    _print_draft(loop, out)
    broken = [each for each in iterations if each.state == "unreadable" and each.error]
    for iteration in broken:
        out.line(f"{iteration.number} cannot be read: {(iteration.error or {}).get('message')}")


def _print_draft(loop: LoopFolder, out: Output) -> None:
    """The draft that waits, in a line."""
    try:
        draft = read_draft(loop)
    except TuiLoopError as error:
        out.line(f"draft cannot be read: {error.message}")
        return
    if draft is not None:
        changes = (
            f"{name} {brief(old)} → {brief(new)}" for name, (old, new) in draft.changed.items()
        )
        text = ", ".join(changes) or "nothing changed yet"
        out.paragraph(f"draft, from {draft.parent or 'the defaults'}: {text}")


def _print_iteration(loop: LoopFolder, iteration: Iteration, out: Output) -> None:
    parent = "" if iteration.parent is None else f", from {iteration.parent}"
    out.line(f"{loop.name}/{iteration.number}  {iteration.title}  ({iteration.state}{parent})")
    if iteration.decision:
        out.line(f"why: {iteration.decision}")
    _print_prediction(loop, iteration, out)
    if iteration.error:
        out.line(f"error: {iteration.error.get('message')}")
        out.line(f"hint: {iteration.error.get('hint')}")
    elif iteration.state in RESUMABLE:
        place = f"{loop.name}/{iteration.number}"
        out.advice(f"it did not finish; go on with it: tui-loop resume {place}")
    changes = [[field, *(_shown(pair))] for field, pair in iteration.changes.items()]
    if changes:
        out.line()
        out.table(["changed", "was", "is"], changes)
    metrics = [
        [name, _figure(name, value)]
        for name, value in iteration.metrics.items()
        if value is not None
    ]
    if metrics:
        out.line()
        out.table(["metric", "value"], metrics, right=(1,))
    if iteration.duration_s is not None:
        out.line()
        out.line(
            f"took {figures.duration(iteration.duration_s)}, "
            f"{iteration.attempts} attempt{'s' if iteration.attempts != 1 else ''}"
        )


def _print_prediction(loop: LoopFolder, iteration: Iteration, out: Output) -> None:
    """What was taken of a diagnosis, what that predicted, and what became of it."""
    diagnoser = Diagnoser(LoopReader(loop))
    try:
        decision = loop.iteration(iteration.number).read_decision()
        verdict = diagnoser.verdict(diagnoser.case(iteration.number))
    except (TuiLoopError, OSError):  # what cannot be read is told elsewhere
        return
    if decision.suggestion:
        out.paragraph(f"suggested by: {suggested_by(decision.suggestion)}")
    if predicted := expected_of(decision.predicted):
        out.paragraph(f"prediction: {predicted.removeprefix('expects ')}")
    if verdict is not None:
        sign, _, _ = verdict_words(verdict.word)
        out.paragraph(f"verdict: {sign} {verdict.word}: {verdict.sentence}")
    elif iteration.verdict:
        sign, _, told = verdict_words(iteration.verdict)
        out.paragraph(f"verdict: {sign} {told}")


def _shown(pair: Any) -> list[str]:
    if isinstance(pair, dict):
        return ["", ", ".join(f"{key} {value}" for key, value in pair.items())]
    return [brief(value) for value in pair]


def _figure(name: str, value: Any) -> str:
    plain = number(value) if isinstance(value, (float, str)) else None
    if name in ("score", "macro_f1"):
        return figures.percent(value)
    return (
        str(value) if plain is None else f"{plain:.4g}" if name != "eval_loss" else f"{plain:.4f}"
    )
