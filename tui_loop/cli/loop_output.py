"""Prints a loop: its iterations, draft and queue, for every command that shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.cli.output import Output
from tui_loop.core.commands import command
from tui_loop.core.compare.best import BEST_SIGN, best_config, best_mark
from tui_loop.core.compare.claims import brief_delta
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.diagnosis.findings import verdict_words
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.examples.annotations import (
    AnnotatedCounts,
    Annotations,
    annotated_evaluation,
    annotation_text,
    read_annotations,
)
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.iteration import as_json, share_words, state_words
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.workflow.closing import closed_words
from tui_loop.core.workflow.draft import read_draft
from tui_loop.core.workflow.queue import read_queue
from tui_loop.core.workflow.unattended import doing, is_unattended

WIDE = 120
"""A terminal of at least so many columns has room for a column of reasons."""


def loop_record(loop: LoopFolder, iterations: Sequence[Iteration]) -> dict[str, Any]:
    """Returns the loop as `show LOOP --json` prints it."""
    settings, annotations = loop.read_settings(), read_annotations(loop)
    return {
        "name": loop.name,
        "goal": settings.goal,
        "metric": settings.metric,
        "model": loop.default_config().model.id,
        "closed": msgspec.to_builtins(settings.closed),
        "iterations": [iteration_record(loop, iteration, annotations) for iteration in iterations],
    }


def iteration_record(
    loop: LoopFolder, iteration: Iteration, annotations: Annotations
) -> dict[str, Any]:
    """Returns an iteration as `show --json` prints it.

    `judged` is null where no annotation changes the counts.
    """
    counts = _annotated_counts(loop, iteration, annotations)
    return {**as_json(iteration), "judged": counts and counts.figures}


def _annotated_counts(
    loop: LoopFolder, iteration: Iteration, annotations: Annotations
) -> AnnotatedCounts | None:
    """Returns the counts with annotations; None also where the evaluation cannot be read."""
    try:
        return annotated_evaluation(loop.iteration(iteration.number), annotations)
    except TuiLoopError:  # an unreadable iteration is reported with its state
        return None


def print_annotated_counts(loop: LoopFolder, iterations: Sequence[Iteration], out: Output) -> None:
    """Prints how annotations change the counts, one line per iteration."""
    annotations = read_annotations(loop)
    if annotations.trouble:
        out.line(f"the annotations cannot be read: {annotations.trouble}")
    counts = {each.number: _annotated_counts(loop, each, annotations) for each in iterations}
    lines = [
        f"iteration {number} with annotations: {annotation_text(found)}"
        for number, found in counts.items()
        if found is not None
    ]
    if lines:
        out.line()
        for line in lines:
            out.paragraph(line)


def print_loop(
    loop: LoopFolder,
    iterations: Sequence[Iteration],
    out: Output,
    reader: LoopReader | None = None,
) -> None:
    """Prints a loop for people: its goal, model and metric, its iterations and its draft."""
    settings, config = loop.read_settings(), loop.default_config()
    goal = f": {settings.goal}" if settings.goal else ""
    out.line(f"{loop.name}{goal}")
    out.line(f"model {config.model.id}, metric {settings.metric}")
    if settings.closed is not None:
        out.paragraph(closed_words(settings.closed))
    if not iterations:
        out.line(f"no iterations yet; begin with tui-loop run {loop.name} --why '...'")
        return
    reader = reader or LoopReader(loop)
    with reader.steady():
        _print_iterations_table(reader, iterations, out)
    print_annotated_counts(loop, iterations, out)
    _print_draft(loop, out)
    for iteration in iterations:
        if iteration.state == "unreadable" and iteration.error:
            out.line(
                f"iteration {iteration.number} cannot be read: {iteration.error.get('message')}"
            )


def _print_draft(loop: LoopFolder, out: Output) -> None:
    """Prints the loop's draft in one line, if it has one."""
    try:
        draft = read_draft(loop)
    except TuiLoopError as error:
        out.line(f"the draft cannot be read: {error.message}")
        return
    if draft is not None:
        changes = (
            f"{name} {brief(old)} → {brief(new)}" for name, (old, new) in draft.changed.items()
        )
        text = ", ".join(changes) or "nothing changed yet"
        out.paragraph(f"draft, from {draft.parent or 'the defaults'}: {text}")


def _print_iterations_table(
    reader: LoopReader, iterations: Sequence[Iteration], out: Output
) -> None:
    """Prints one line per iteration; on a narrow terminal the reasons follow below the table."""
    rows = []
    comparer = Comparer(reader)
    best = best_config(comparer, iterations)
    by_number = {iteration.number: iteration for iteration in iterations}
    for iteration in iterations:
        metrics, parent = iteration.metrics, by_number.get(iteration.parent or 0)
        rate = _learning_rate(iteration)
        rows.append(
            [
                str(iteration.number),
                best_mark(iteration.number, best.number if best is not None else None),
                "" if iteration.parent is None else str(iteration.parent),
                iteration.title,
                figures.rate(rate) if parent is None or rate != _learning_rate(parent) else "",
                figures.loss(metrics.get("train_loss")),
                figures.loss(metrics.get("eval_loss")),
                figures.percent(metrics.get("score")),
                brief_delta(comparer.against_parent(iteration)),
                _verdict(iteration),
                _state(iteration),
                iteration.decision,
            ]
        )
    head = ["#", "", "from", "change", "lr", "train loss", "eval loss", "score", "vs parent"]
    head += ["verdict", "state"]
    right = (0, 2, 4, 5, 6, 7, 8)
    if out.width >= WIDE:
        out.table([*head, "decision"], rows, right=right, flexible=(11, 3))
    else:
        _print_narrow(head, rows, right, out)
    if best is not None:
        out.paragraph(f"{BEST_SIGN} {best.words}")


def _print_narrow(
    head: Sequence[str], rows: Sequence[list[str]], right: Sequence[int], out: Output
) -> None:
    """Prints the table without the reasons, which follow below it."""
    short = {"train loss": "train", "eval loss": "eval"}
    narrow = [short.get(name, name) for name in head]
    out.table(narrow, [row[:-1] for row in rows], right=right, flexible=(3,))
    for row in rows:
        if row[-1]:
            out.paragraph(f"{row[0]} because: {row[-1]}")


def _learning_rate(iteration: Iteration) -> float | None:
    """Returns the learning rate of a trained iteration, None for the base."""
    if iteration.number == 0:
        return None
    value = (iteration.config or {}).get("training", {}).get("learning_rate")
    return float(value) if isinstance(value, (int, float)) else None


def _verdict(iteration: Iteration) -> str:
    """Returns whether its prediction came true, such as `✓ expected`."""
    sign, word, _ = verdict_words(iteration.verdict)
    return f"{sign} {word}".strip()


def _state(iteration: Iteration) -> str:
    if iteration.error is not None and iteration.state == "failed":
        share = share_words(iteration)
        kind = iteration.error.get("kind")
        return f"failed: {kind} at {share}" if share else f"failed: {kind}"
    share = share_words(iteration)
    words = state_words(iteration.state, iteration.silence)
    return f"{words} at {share}" if share else words


def queue_status(loop: LoopFolder) -> dict[str, Any] | None:
    """Returns the number of queued drafts and whether a process runs them, as JSON types.

    Returns None where the queue is empty and nothing runs unattended.
    """
    try:
        count, problem = len(read_queue(loop)), None
    except (TuiLoopError, OSError) as error:
        count, problem = 0, str(error)
    is_running = is_unattended(loop)
    if not count and not is_running and problem is None:
        return None
    return {"loop": loop.name, "waiting": count, "running": is_running, "problem": problem}


def queue_text(loop: LoopFolder) -> str:
    """Returns the queue's status in one line, "" where there is nothing to say."""
    status = queue_status(loop)
    if status is None:
        return ""
    if status["problem"] is not None:
        return f"the queue cannot be read: {status['problem']}"
    count, unattended = status["waiting"], doing(loop)
    drafts = f"{counted(count, 'draft')} queued"
    if unattended == "auto":
        return f"auto is running, {drafts}" if count else "auto is running"
    if unattended == "queue":
        return f"the queue is running, {drafts}" if count else "the queue is running its last draft"
    return f"{drafts}: {command('queue', loop.name)}" if count else ""
