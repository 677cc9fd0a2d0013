"""The tables that several commands print."""

from __future__ import annotations

from tui_loop.cli.output import Output
from tui_loop.core.compare.comparison import Comparer, brief_delta
from tui_loop.core.diagnosis.wording import verdict_words
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration
from tui_loop.core.text import figures

WIDE = 120
"""From this many columns on, each iteration's reason has room beside it."""


def iterations_table(loop: LoopFolder, iterations: list[Iteration], out: Output) -> None:
    """The loop as a person wants to see it: one line an iteration.

    On a narrow terminal the reasons stand below the table.
    """
    rows = []
    comparer = Comparer(LoopReader(loop))
    by_number = {iteration.number: iteration for iteration in iterations}
    for iteration in iterations:
        metrics, parent = iteration.metrics, by_number.get(iteration.parent or 0)
        rate = _learning_rate(iteration)
        rows.append(
            [
                str(iteration.number),
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
    head = ["#", "from", "change", "lr", "train loss", "eval loss", "score", "vs parent"]
    head += ["verdict", "state"]
    right = (0, 1, 3, 4, 5, 6, 7)
    if out.width >= WIDE:
        out.table([*head, "decision"], rows, right=right, flexible=(10, 2))
        return
    short = {"train loss": "train", "eval loss": "eval"}
    narrow = [short.get(name, name) for name in head]
    out.table(narrow, [row[:-1] for row in rows], right=right, flexible=(2,))
    for row in rows:
        if row[-1]:
            out.paragraph(f"{row[0]} because: {row[-1]}")


def _learning_rate(iteration: Iteration) -> float | None:
    """The learning rate of an iteration that was trained; the base has none."""
    if iteration.number == 0:
        return None
    value = (iteration.config or {}).get("training", {}).get("learning_rate")
    return float(value) if isinstance(value, (int, float)) else None


def _verdict(iteration: Iteration) -> str:
    """What became of its prediction: `✓ expected`."""
    sign, word, _ = verdict_words(iteration.verdict)
    return f"{sign} {word}".strip()


def _state(iteration: Iteration) -> str:
    if iteration.error is not None and iteration.state == "failed":
        return f"failed: {iteration.error.get('kind')}"
    return iteration.state
