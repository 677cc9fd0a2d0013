"""Training rows that may be wrong: still hard after they were trained on, or contradicted."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import TrainingRow


class Suspect(msgspec.Struct, frozen=True):
    """A measured training row, and the other rows of its file that have the same input.

    `conflicts`: (line, reference) of those with another reference; `repeats`: lines of those
    with the same one.
    """

    row: TrainingRow
    conflicts: tuple[tuple[int, str], ...] = ()
    repeats: tuple[int, ...] = ()


def suspects(
    measured: Sequence[TrainingRow], trained: Sequence[Row] = (), limit: int | None = None
) -> list[Suspect]:
    """The rows of highest loss first, those that are not finite before all; at most `limit`.

    `trained`: all training rows, as far as they are known.
    """
    alike: dict[str, list[Row]] = defaultdict(list)
    for row in trained:
        if row.prompt:
            alike[row.prompt].append(row)
    ranked = sorted(measured, key=lambda each: (-_hardness(each), each.source_line))
    return [_suspect(row, alike.get(row.prompt, [])) for row in ranked[:limit]]


def median_loss(measured: Sequence[TrainingRow]) -> float | None:
    """The loss that half of the rows are below; None where none is finite."""
    losses = [_hardness(each) for each in measured]
    finite = [each for each in losses if math.isfinite(each)]
    return median(finite) if finite else None


def _suspect(row: TrainingRow, alike: Sequence[Row]) -> Suspect:
    others = [each for each in alike if each.line != row.source_line]
    said = row.reference.strip()
    return Suspect(
        row,
        tuple((each.line, each.reference) for each in others if each.reference.strip() != said),
        tuple(each.line for each in others if each.reference.strip() == said),
    )


def _hardness(row: TrainingRow) -> float:
    """The loss; no loss is the least, one that is not a number the most."""
    loss = number(row.loss)
    if loss is None:
        return -math.inf
    return math.inf if math.isnan(loss) else loss
