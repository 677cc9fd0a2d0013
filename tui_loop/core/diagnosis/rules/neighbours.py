"""Findings on labels that similar rows do not share, which wrong labels explain most easily.

label_noise  the most similar rows of one side have other labels more often than on the other side.

Both sides hold rows of one task, so that the nearest rows of each should agree equally often.
Fisher's exact test decides. The sign needs no model: it also shows where a run learned nothing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules.common import chance, ids_of
from tui_loop.core.examples.slices import labels_in
from tui_loop.core.scoring import normalised
from tui_loop.core.stats import fisher_greater
from tui_loop.core.text.figures import of_all
from tui_loop.core.text.words import words_of

FEWEST_ROWS = 20
MOST_ROWS = 120
"""The most rows of a side that are read, at even distances: a tenth of a second."""

GOOD = 0.8
"""A score that leaves little to explain."""

LEVEL = 0.01
ALIKE = 0.3
"""Rows that share fewer of their rare words are of other subjects."""

WORTH = 0.15
"""The least difference of both sides' shares of rows with another label beside them."""


def neighbours_disagree(facts: IterationFacts) -> Iterator[Finding]:
    """Reports the side whose similar rows have different labels more often."""
    view = facts.view if facts.number else None
    score = facts.metric("score")
    if view is None or (score is not None and score >= GOOD):
        return
    if view.table.clusters is not None or not labels_in(view.table.references):
        return
    if min(len(facts.training_rows), len(view)) < FEWEST_ROWS:
        return
    measured = facts.training_rows[:: _step(len(facts.training_rows))]
    train = [Row(r.id, r.prompt, r.reference, r.source_line, source=r.source) for r in measured]
    held = [
        Row(view.table.ids[row], view.table[row].prompt, view.table.references[row], row)
        for row in range(0, len(view), _step(len(view)))
    ]
    own, theirs = _disagreeing(train), _disagreeing(held)
    for is_train, (odd, looked), (other, others) in (
        (True, own, theirs),
        (False, theirs, own),
    ):
        if not looked or not others:
            continue
        p = fisher_greater(len(odd), looked, len(other), others)
        if p >= LEVEL or len(odd) / looked - len(other) / others < WORTH:
            continue
        what, beside = ("training", "evaluation") if is_train else ("evaluation", "training")
        yield Finding(
            FindingKind.LABEL_NOISE,
            "warning",
            f"some labels of {what} rows may be wrong: "
            f"{of_all(len(odd), looked, f'{what} rows')} have a different label than their most "
            f"similar row, but only {of_all(len(other), others, f'{beside} rows')} do "
            f"({chance(p)})",
            {
                "side": "train" if is_train else "eval",
                "differ": len(odd),
                "rows": looked,
                "other_differ": len(other),
                "other_rows": others,
                "p": p,
                "lines": ", ".join(row.short_place for row in odd[:20]) if is_train else "",
            },
            examples=() if is_train else ids_of(facts, [row.line for row in odd]),
            otherwise=f"{what} prompts with different labels may simply resemble one another more "
            f"than {beside} prompts do",
        )


def _step(count: int) -> int:
    """Returns the distance between rows of which at most MOST_ROWS are read."""
    return max(1, -(-count // MOST_ROWS))


def _disagreeing(rows: Sequence[Row]) -> tuple[list[Row], int]:
    """Returns the rows with another label than the most similar row, and how many have one.

    Rows are as similar as the cosine of their words, each weighted by how few rows have it.
    """
    words = [frozenset(words_of(row.prompt)) for row in rows]
    uses = Counter(chain.from_iterable(words))
    weights = {word: math.log(len(rows) / count) ** 2 for word, count in uses.items()}
    sizes = [math.sqrt(sum(map(weights.__getitem__, each))) for each in words]
    labels = [normalised(row.reference) for row in rows]
    odd: list[Row] = []
    looked = 0
    for at, own in enumerate(words):
        best, nearest = 0.0, at
        for other, theirs in enumerate(words):
            shared = own & theirs
            if other == at or not shared or not sizes[at] * sizes[other]:
                continue
            likeness = sum(map(weights.__getitem__, shared)) / (sizes[at] * sizes[other])
            if likeness > best:
                best, nearest = likeness, other
        if best < ALIKE:
            continue
        looked += 1
        if labels[nearest] != labels[at]:
            odd.append(rows[at])
    return odd, looked
