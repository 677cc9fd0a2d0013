"""How hard training and evaluation rows are for the trained weights, by their losses."""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

from tui_loop.core.clusters import Clusters, HitCounts, clusters_at
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.record.codec import number

T = TypeVar("T")

FEWEST_ROWS = 20
"""With fewer rows on either side, a share of wrong references cannot be estimated."""

NOT_SAID = math.log(2)
"""Nats: a label with a lower loss is more likely than all others together. Its row is not hard,
whatever other rows are."""


class Hardness(NamedTuple):
    """The losses of the measured training rows and of the evaluation rows, the hardest first.

    `trained` has (loss, place), `held` has (loss, row). Losses are in nats: of a label for
    the whole label, of a text per token. `labels`: the number of different labels among the
    references, 0 where references are texts. `clusters`: the conversation of each evaluation row,
    None where no conversation has several rows.
    """

    trained: list[tuple[float, str]]
    held: list[tuple[float, int]]
    labels: int
    clusters: Clusters | None = None

    def trained_above(self, loss: float) -> int:
        return sum(value > loss for value, _ in self.trained)

    def held_above(self, loss: float) -> int:
        return sum(value > loss for value, _ in self.held)

    def held_counts(self, loss: float, *, rounds_up: bool = True) -> tuple[int, int]:
        """Returns (evaluation rows above a loss, evaluation rows) for a test.

        Each conversation with several answers counts once, with the share of them above the loss.
        """
        clusters = clusters_at(self.clusters, [row for _, row in self.held])
        counts = HitCounts([value > loss for value, _ in self.held], clusters)
        return counts.split(())[2:] if rounds_up else counts.split(range(len(self.held)))[:2]

    def places(self, above: float) -> list[str]:
        """Returns the lines of the training rows above a loss, as `5` or `orders:5`."""
        return [place for value, place in self.trained if value > above]


def hardness_of(facts: IterationFacts) -> Hardness | None:
    """Returns the losses of the measured rows, None where too few of either kind were measured."""
    view = facts.view
    if view is None or min(len(view), len(facts.training_rows)) < FEWEST_ROWS:
        return None
    # A training row of a conversation has the loss of several answers: only a mean over tokens
    # can be compared with the loss of one answer.
    is_one_answer = view.table.clusters is None
    labels = len(set(labels_in(view.table.references).values())) if is_one_answer else 0
    held = [
        (_hardness(loss, tokens, labels), row)
        for row, (loss, tokens) in enumerate(
            zip(view.table.losses, view.table.supervised_tokens, strict=True)
        )
    ]
    trained = [
        (_hardness(number(row.loss), row.supervised_tokens, labels), row.short_place)
        for row in sorted(facts.training_rows, key=lambda row: (row.source, row.source_line))
    ]
    clusters = view.table.clusters
    return Hardness(_hardest_first(trained), _hardest_first(held), labels, clusters)


def _hardness(loss: float | None, tokens: int, labels: int) -> float:
    if loss is None:
        return math.nan
    return loss * tokens if labels else loss


def _hardest_first(rows: list[tuple[float, T]]) -> list[tuple[float, T]]:
    finite = [row for row in rows if math.isfinite(row[0])]
    return sorted(finite, key=lambda row: -row[0])
