"""How hard training rows and held-out rows are for the trained weights, measured alike."""

from __future__ import annotations

import math
from typing import NamedTuple

from tui_loop.core.diagnosis.case import Case
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.record.codec import number

FEWEST = 20
"""With fewer rows on either side no share of wrong references could be told."""

NOT_SAID = math.log(2)
"""A label whose loss is lower is more likely than all others: not hard, whatever other rows are."""


class Hardness(NamedTuple):
    """(loss, source line) of the measured training rows and (loss, row) of the held-out ones, the
    hardest first; in nats, of a label the whole of it, of a text a token of it.

    `labels`: how many different ones are wanted; 0 where references are texts.
    """

    trained: list[tuple[float, int]]
    held: list[tuple[float, int]]
    labels: int

    def trained_above(self, loss: float) -> int:
        return sum(value > loss for value, _ in self.trained)

    def held_above(self, loss: float) -> int:
        return sum(value > loss for value, _ in self.held)

    def lines(self, above: float) -> list[int]:
        """Where the training rows above a loss stand in their file."""
        return [line for value, line in self.trained if value > above]


def hardness_of(case: Case) -> Hardness | None:
    """None where too few rows of either kind were measured."""
    view = case.view
    if view is None or min(len(view), len(case.training_rows)) < FEWEST:
        return None
    labels = len(set(labels_in(view.table.references).values()))
    held = [
        (_hardness(loss, tokens, labels), row)
        for row, (loss, tokens) in enumerate(
            zip(view.table.losses, view.table.supervised_tokens, strict=True)
        )
    ]
    trained = [
        (_hardness(number(row.loss), row.supervised_tokens, labels), row.source_line)
        for row in case.training_rows
    ]
    return Hardness(_hardest_first(trained), _hardest_first(held), labels)


def _hardness(loss: float | None, tokens: int, labels: int) -> float:
    if loss is None:
        return math.nan
    return loss * tokens if labels else loss


def _hardest_first(rows: list[tuple[float, int]]) -> list[tuple[float, int]]:
    finite = [row for row in rows if math.isfinite(row[0])]
    return sorted(finite, key=lambda row: (-row[0], row[1]))
