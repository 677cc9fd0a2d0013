"""A document as Markdown that a git host and a pager show well; no text in it becomes markup."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from tui_loop.core.compare.best import BEST_SIGN
from tui_loop.core.report.document import (
    Block,
    Document,
    Fields,
    Heading,
    Items,
    Link,
    Paragraph,
    Quote,
    Raw,
    RunChart,
    Table,
    Text,
    TrailChart,
)
from tui_loop.core.report.facts import Line
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line, visible

MARK = "<!-- tui-loop report -->\n"
"""How such a file begins."""

BARS = "▁▂▃▄▅▆▇█"
NOTHING = "(nothing)"
LOG_FROM = 5.0
SPARK, BAR, BARS_SHOWN = 60, 40, 60

_MARKUP = re.compile(r"[\\`*\[\]<>~$|]|&(?=[#\w])|(?<![^\W_])_|_(?![^\W_])")
_LINK = re.compile(r"://|www\.|@", re.IGNORECASE)
_AT_START = re.compile(r"([#+=:-]|\d+(?=[.)]))")
_CLOSING = re.compile(r"#(?=#*$)")
_TICKS = re.compile("`+")


def markdown(document: Document) -> str:
    """The document as Markdown, CommonMark with tables."""
    blocks, result = document.blocks, [MARK]
    for block, after in zip(blocks, (*blocks[1:], None), strict=True):
        result.append(f"{_block(block)}\n")
        is_about = isinstance(block, Fields) and isinstance(after, Quote) and after.is_short
        if not is_about:  # else both are one list
            result.append("\n")
    return "".join(result[:-1])


def prose(text: str, *, at_start: bool = False) -> str:
    """A text as Markdown that reads as that text; what would become a link is set as code.

    `at_start`: the text is at the start of a line.
    """
    words = [
        code(word) if _LINK.search(word) else _MARKUP.sub(_escaped, word)
        for word in one_line(text).split(" ")
    ]
    message = " ".join(words)
    if at_start and (start := _AT_START.match(message)):
        mark = start[1]
        rest = message[len(mark) :]
        message = f"{mark}\\{rest}" if mark.isdigit() else f"\\{message}"
    return message


def code(text: str) -> str:
    """Data within a line; "" where there is none."""
    result = one_line(text)
    if not result:
        return ""
    parts = result.split("|")  # within a table a bar ends its cell, in code too
    return "&#124;".join(_code(part) for part in parts)


def _code(text: str) -> str:
    if not text:
        return ""
    if text.isspace():
        return text
    ticks = "`" * (max(map(len, _TICKS.findall(text)), default=0) + 1)
    pad = " " if text[0] in "` " or text[-1] in "` " else ""
    return f"{ticks}{pad}{text}{pad}{ticks}"


def _escaped(match: re.Match[str]) -> str:
    sign = match[0]
    return "&#124;" if sign == "|" else "&amp;" if sign == "&" else f"\\{sign}"


def _block(block: Block) -> str:
    match block:
        case Heading():
            result = f"{'#' * block.level} {_CLOSING.sub(_escaped, prose(block.text))}"
        case Paragraph():
            result = prose(block.text, at_start=True)
        case Fields():
            result = _fields(block.rows)
        case Items():
            result = "\n".join(f"- {prose(text, at_start=True)}" for text in block.texts)
        case Table():
            result = _table(block)
        case Quote() if block.is_short:
            result = _fields([(label, Raw(text)) for label, text in block.texts])
        case Quote():
            result = "\n\n".join(
                f"*{prose(label)}*\n\n{fenced(text) if text else NOTHING}"
                for label, text in block.texts
            )
        case RunChart():
            result = f"{prose(block.title)}:\n\n{fenced(_run(block))}"
        case TrailChart():
            result = f"{prose(block.title)}:\n\n{fenced(_trail(block))}"
    return result


def _fields(rows: Sequence[tuple[str, Text]]) -> str:
    return "\n".join(f"- **{prose(label)}:** {_text(text) or NOTHING}" for label, text in rows)


def fenced(text: str) -> str:
    """Data in full, as a block that no text in it can end."""
    result = visible(text).rstrip("\n")
    ticks = "`" * max(3, max(map(len, _TICKS.findall(result)), default=0) + 1)
    return f"{ticks}text\n{result}\n{ticks}"


def _text(text: Text | Link) -> str:
    match text:
        case Raw():
            return code(text.text)
        case Link():
            return prose(text.text)
        case _:
            return prose(text)


def _table(table: Table) -> str:
    rule = ["---:" if at in table.right else "---" for at in range(len(table.head))]
    rows = [[prose(name) for name in table.head], rule, *(map(_text, row) for row in table.rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _run(chart: RunChart) -> str:
    curves = chart.curves
    train = curves.smooth if curves.smooth.values else curves.train
    lines = [
        f"{name:<5} {_course(line)}"
        for name, line in (("train", train), ("eval", curves.eval))
        if line.values
    ]
    nonfinite = curves.train.nonfinite + curves.eval.nonfinite
    if nonfinite:
        lines.append(f"{counted(nonfinite, 'loss value')} not finite (NaN or infinite)")
    if curves.diverged_at is not None:
        lines.append(f"diverged at step {curves.diverged_at}")
    return "\n".join(lines)


def _course(line: Line) -> str:
    first, last = (f"{figures.loss(line.values[at])}" for at in (0, -1))
    if len(line.values) == 1:
        return f"{first:>8} at step {line.steps[0]}"
    return f"{first:>8} {spark(line)} {last}  (steps {line.steps[0]} to {line.steps[-1]})"


def spark(line: Line) -> str:
    """A line of bars, at most SPARK of them; of what falls far, the logs."""
    values = line.values
    count = min(SPARK, len(values))
    means = [
        _mean(values[at * len(values) // count : (at + 1) * len(values) // count])
        for at in range(count)
    ]
    if min(means) > 0 and max(means) > LOG_FROM * min(means):
        means = [math.log(each) for each in means]
    low, high = min(means), max(means)
    if high <= low:
        return BARS[0] * count
    return "".join(BARS[round((each - low) / (high - low) * (len(BARS) - 1))] for each in means)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _trail(chart: TrailChart) -> str:
    shown = chart.points[-BARS_SHOWN:]
    top = 1.0 if chart.is_share else max((abs(point.value) for point in shown), default=1.0) or 1.0
    figure = figures.percent if chart.is_share else figures.loss
    lines = [
        f"{point.number:>4} {figure(point.value):>8} "
        f"{'█' * round(max(point.value, 0.0) / top * BAR) or '▏'}"
        f"{f'  {BEST_SIGN} best' if point.number == chart.best else ''}"
        for point in shown
    ]
    if len(shown) < len(chart.points):
        lines.insert(0, f"({len(chart.points) - len(shown)} older iterations left out)")
    return "\n".join(lines)
