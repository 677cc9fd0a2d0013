"""The sections of single iterations: what changed and why, the prediction, the result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tui_loop.core.commands import shell_text
from tui_loop.core.diagnosis.apply_suggestions import suggested_by
from tui_loop.core.diagnosis.findings import expected_of, verdict_words
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.record.iteration import share_words
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
from tui_loop.core.report.facts import (
    CELL,
    Changed,
    Curves,
    IterationEntry,
    ParentComparison,
    Report,
    RunDetails,
)
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief, counted
from tui_loop.core.text.untrusted import one_line

DECISION = 2000
LOG_FROM = 20.0


def stories(report: Report) -> list[Block]:
    """Returns the sections of single iterations, in order."""
    parts = [each for each in report.iterations if each.story is not None]
    if not parts:
        return []
    blocks: list[Block] = [Heading(2, "Iterations in detail", "stories")]
    is_log = any(_is_wide(each.story.curves) for each in parts if each.story is not None)
    for each in parts:
        blocks += _story(each, is_log=is_log)
    return blocks


def _is_wide(curves: Curves) -> bool:
    """Returns whether the loss falls so far that a linear scale would hide its end."""
    values = curves.smooth.values or curves.train.values
    return len(values) > 1 and max(values) > LOG_FROM * min(values) > 0


def _story(entry: IterationEntry, *, is_log: bool) -> list[Block]:
    iteration, story = entry.iteration, entry.story or RunDetails()
    heading = f"Iteration {iteration.number}: {one_line(iteration.title, CELL)}"
    blocks: list[Block] = [Heading(3, heading, f"iteration-{iteration.number}")]
    blocks.append(Fields(tuple(row for row in _fields(entry, story) if row[1])))
    if len(iteration.changes) > 1:
        rows = tuple((field, Raw(was), Raw(now)) for field, was, now in change_words(iteration))
        blocks.append(Table(("changed", "was", "is"), rows))
    if story.recoveries:
        blocks.append(Paragraph("The run recovered from:"))
        blocks.append(
            Items(tuple(one_line(f"{each.kind}: {each.message}", 500) for each in story.recoveries))
        )
    if story.curves.train.steps or len(story.curves.eval.steps) > 1:
        blocks.append(
            RunChart(f"Loss of iteration {iteration.number} by step", story.curves, is_log)
        )
    if entry.against is not None:
        blocks += _changed(entry.against)
    if story.notes:
        blocks.append(Quote((("notes", story.notes),)))
    return blocks


def _fields(entry: IterationEntry, story: RunDetails) -> list[tuple[str, Text]]:
    iteration = entry.iteration
    rows: list[tuple[str, Text]] = [
        ("Why", one_line(iteration.decision, DECISION)),
        ("Suggested by", one_line(suggested_by(entry.suggestion), CELL)),
        ("Predicted", one_line(expected_of(entry.predicted), CELL).removeprefix("expects ")),
        ("Measured", _measured(iteration)),
        *_against(entry.against),
        ("Verdict", one_line(" ".join(verdict_words(iteration.verdict)[::2]), CELL).strip()),
        ("State", _state(iteration, story)),
    ]
    if iteration.error is not None:
        rows.append(("Error", one_line(str(iteration.error.get("message") or ""), 1000)))
        rows.append(("Hint", one_line(shell_text(str(iteration.error.get("hint") or "")), 500)))
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


def _against(comparison: ParentComparison | None) -> list[tuple[str, Text]]:
    if comparison is None:
        return []
    message = "; ".join(f"{label} {text}".strip() for label, text in comparison.lines)
    if comparison.notices:
        message = f"{message} ({'; '.join(comparison.notices)})"
    return [(f"Compared with {comparison.parent}", one_line(message, 1000))]


def _state(iteration: Iteration, story: RunDetails) -> str:
    parts = [state_words(iteration)]
    if iteration.duration_s is not None:
        parts.append(f"took {figures.duration(iteration.duration_s)}")
    if iteration.attempts > 1:
        parts.append(counted(iteration.attempts, "attempt"))
    if story.warnings:
        parts.append(f"{counted(story.warnings, 'warning')} in its log")
    return ", ".join(parts)


def _changed(comparison: ParentComparison) -> list[Block]:
    blocks: list[Block] = []
    for word, count, examples in (
        ("fixed", comparison.fixed, comparison.fixed_examples),
        ("broken", comparison.broken, comparison.broken_examples),
    ):
        if examples:
            more = (
                f" (the {len(examples)} of {count} with the largest change in loss)"
                if count > len(examples)
                else ""
            )
            blocks.append(Paragraph(f"Examples {word} since iteration {comparison.parent}{more}:"))
            blocks.append(_examples(comparison.parent, examples))
    return blocks


def _examples(parent: int, examples: Sequence[Changed]) -> Table:
    rows = tuple(
        tuple(
            Raw(one_line(text, CELL))
            for text in (each.prompt, each.reference, each.before, each.after)
        )
        for each in examples
    )
    return Table(("prompt", "reference", f"output of {parent}", "output"), rows)


MOST = 10**12
"""No count of a run is higher; a damaged record may have any number."""


def when(t: float | None) -> str:
    """Returns a time in UTC, to the minute; "" for None."""
    if t is None:
        return ""
    try:
        return datetime.fromtimestamp(t, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):  # a damaged record may have any number
        return ""


def spans(numbers: Sequence[int]) -> str:
    """Returns `0-3, 5` for ascending numbers."""
    parts: list[list[int]] = []
    for number in numbers:
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


def whole(iteration: Iteration, name: str) -> int | None:
    """Returns a metric that is a count, None where the record has no valid one."""
    value = number_of(iteration.metrics.get(name))
    return int(value) if value is not None and 0 <= value < MOST else None


def state_words(iteration: Iteration) -> str:
    """Returns the state with the kind of error, of an unfinished run with its share of steps."""
    words: str = iteration.state
    if iteration.error is not None and iteration.state == "failed":
        words = f"failed: {one_line(str(iteration.error.get('kind')), 40)}"
    share = share_words(iteration)
    return f"{words} at {share}" if share else words


def change_words(iteration: Iteration) -> list[tuple[str, str, str]]:
    """Returns (field, was, is) for every change against the parent."""
    rows = []
    for field, pair in iteration.changes.items():
        if isinstance(pair, dict):
            text = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pair.items())
            rows.append((field, "", text))
        else:
            was, now = (one_line(brief(value), CELL) for value in pair)
            rows.append((field, was, now))
    return rows
