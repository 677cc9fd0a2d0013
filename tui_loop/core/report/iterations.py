"""The iterations one by one: what changed and why, what was predicted, what happened."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.diagnosis.wording import expected_of, verdict_words
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.record.structs import Iteration
from tui_loop.core.report.document import (
    Block,
    Fields,
    Heading,
    Items,
    Paragraph,
    Quote,
    Raw,
    RunChart,
    Table,
    Text,
)
from tui_loop.core.report.facts import CELL, Against, Changed, Curves, Report, Story, Told
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.text.untrusted import one_line

DECISION = 2000
LOG_FROM = 20.0


def stories(report: Report) -> list[Block]:
    """Every iteration that is told in full, in their order."""
    parts = [each for each in report.iterations if each.story is not None]
    if not parts:
        return []
    blocks: list[Block] = [Heading(2, "The iterations, one by one", "stories")]
    is_log = any(_is_wide(each.story.curves) for each in parts if each.story is not None)
    for each in parts:
        blocks += _story(each, is_log=is_log)
    return blocks


def _is_wide(curves: Curves) -> bool:
    """Whether the loss falls so far that its end could not be seen beside its beginning."""
    values = curves.smooth.values or curves.train.values
    return len(values) > 1 and max(values) > LOG_FROM * min(values) > 0


def _story(told: Told, *, is_log: bool) -> list[Block]:
    iteration, story = told.iteration, told.story or Story()
    heading = f"Iteration {iteration.number}: {one_line(iteration.title, CELL)}"
    blocks: list[Block] = [Heading(3, heading, f"iteration-{iteration.number}")]
    blocks.append(Fields(tuple(row for row in _fields(told, story) if row[1])))
    if len(iteration.changes) > 1:
        rows = tuple((field, Raw(was), Raw(now)) for field, was, now in change_words(iteration))
        blocks.append(Table(("changed", "was", "is"), rows))
    if story.recoveries:
        blocks.append(Paragraph("The run went on after:"))
        blocks.append(
            Items(tuple(one_line(f"{each.kind}: {each.message}", 500) for each in story.recoveries))
        )
    if story.curves.train.steps or len(story.curves.eval.steps) > 1:
        blocks.append(
            RunChart(f"Loss of iteration {iteration.number} by step", story.curves, is_log)
        )
    if told.against is not None:
        blocks += _changed(told.against)
    if story.notes:
        blocks.append(Quote((("notes", story.notes),)))
    return blocks


def _fields(told: Told, story: Story) -> list[tuple[str, Text]]:
    iteration = told.iteration
    rows: list[tuple[str, Text]] = [
        ("Why", one_line(iteration.decision, DECISION)),
        ("Suggested by", one_line(suggested_by(told.suggestion), CELL)),
        ("Predicted", one_line(expected_of(told.predicted), CELL).removeprefix("expects ")),
        ("Measured", _measured(iteration)),
        *_against(told.against),
        ("Verdict", one_line(" ".join(verdict_words(iteration.verdict)[::2]), CELL).strip()),
        ("State", _state(iteration, story)),
    ]
    if iteration.error is not None:
        rows.append(("Error", one_line(str(iteration.error.get("message") or ""), 1000)))
        rows.append(("Hint", one_line(str(iteration.error.get("hint") or ""), 500)))
    return rows


def _measured(iteration: Iteration) -> str:
    metrics = iteration.metrics
    parts = []
    if (score := figures.percent(metrics.get("score"))) != "":
        counts = f" ({metrics.get('passed')} of {metrics.get('total')} passed)"
        parts.append(f"score {score}{counts if metrics.get('total') else ''}")
    for name in ("eval_loss", "train_loss"):
        if (loss := figures.loss(metrics.get(name))) != "":
            parts.append(f"{name.replace('_', ' ')} {loss}")
    if (steps := whole(iteration, "steps")) is not None:
        parts.append(counted(steps, "step"))
    return one_line(", ".join(parts), CELL)


def _against(found: Against | None) -> list[tuple[str, Text]]:
    if found is None:
        return []
    message = "; ".join(f"{label} {text}".strip() for label, text in found.lines)
    if found.notices:
        message = f"{message} ({'; '.join(found.notices)})"
    return [(f"Against {found.parent}", one_line(message, 1000))]


def _state(iteration: Iteration, story: Story) -> str:
    parts = [state_words(iteration)]
    if iteration.duration_s is not None:
        parts.append(f"took {figures.duration(iteration.duration_s)}")
    if iteration.attempts > 1:
        parts.append(counted(iteration.attempts, "attempt"))
    if story.warnings:
        parts.append(f"{counted(story.warnings, 'warning')} in its log")
    return ", ".join(parts)


def _changed(found: Against) -> list[Block]:
    blocks: list[Block] = []
    for word, count, examples in (
        ("fixed", found.fixed, found.fixed_examples),
        ("broken", found.broken, found.broken_examples),
    ):
        if examples:
            more = f"; those whose loss moved most, of {count}" if count > len(examples) else ""
            blocks.append(Paragraph(f"Examples {word} against {found.parent}{more}:"))
            blocks.append(_examples(found.parent, examples))
    return blocks


def _examples(parent: int, examples: Sequence[Changed]) -> Table:
    rows = tuple(
        tuple(
            Raw(one_line(text, CELL))
            for text in (each.prompt, each.reference, each.before, each.after)
        )
        for each in examples
    )
    return Table(("prompt", "wanted", f"{parent} said", "now"), rows)


MOST = 10**12
"""Nothing that a run counts is more; a damaged record may say so."""


def when(t: float | None) -> str:
    """A moment in UTC, to the minute; "" where there is none."""
    if t is None:
        return ""
    try:
        return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):  # a damaged record may say any number
        return ""


def spans(numbers: Sequence[int]) -> str:
    """`0-3, 5`: numbers that ascend, in few characters."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def whole(iteration: Iteration, name: str) -> int | None:
    """A metric that counts something; None where the record has no such number."""
    value = number_of(iteration.metrics.get(name))
    return int(value) if value is not None and 0 <= value < MOST else None


def state_words(iteration: Iteration) -> str:
    """The state, and of a failed one what failed it."""
    if iteration.error is not None and iteration.state == "failed":
        return f"failed: {one_line(str(iteration.error.get('kind')), 40)}"
    return iteration.state


def change_words(iteration: Iteration) -> list[tuple[str, str, str]]:
    """(field, was, is) of what was changed against the parent."""
    rows = []
    for field, pair in iteration.changes.items():
        if isinstance(pair, dict):
            text = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pair.items())
            rows.append((field, "", text))
        else:
            was, now = (one_line(brief(value), CELL) for value in pair)
            rows.append((field, was, now))
    return rows
