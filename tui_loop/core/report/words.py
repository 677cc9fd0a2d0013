"""Moments, numbers of iterations and changes, in few words."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from tui_loop.core.record.codec import number as number_of
from tui_loop.core.record.structs import Iteration
from tui_loop.core.report.facts import CELL
from tui_loop.core.text.figures import brief
from tui_loop.core.text.untrusted import one_line

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
            told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in pair.items())
            rows.append((field, "", told))
        else:
            was, now = (one_line(brief(value), CELL) for value in pair)
            rows.append((field, was, now))
    return rows
