"""Which rows are trained on and which are held out: seeded, repeatable, in file order."""

from __future__ import annotations

import random
from collections.abc import Sequence

from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput


def sample(rows: Sequence[Row], limit: int | None, seed: int) -> list[Row]:
    """At most `limit` rows, drawn with `seed`, in file order."""
    if limit is None or len(rows) <= limit:
        return list(rows)
    chosen = sorted(random.Random(seed).sample(range(len(rows)), limit))
    return [rows[index] for index in chosen]


def hold_out(
    rows: Sequence[Row], fraction: float, seed: int, where: str
) -> tuple[list[Row], list[Row]]:
    """(train, eval): `fraction` of the distinct inputs held out; repeats stay on one side."""
    inputs = list(dict.fromkeys(row.input_text for row in rows))
    if len(inputs) < 2:
        raise BadInput(
            f"{where}: has {len(inputs)} distinct row, too few to hold one out",
            "add rows, or name held-out data with --eval PATH",
        )
    count = min(max(1, round(len(inputs) * fraction)), len(inputs) - 1)
    held = set(random.Random(seed).sample(inputs, count))
    return (
        [row for row in rows if row.input_text not in held],
        [row for row in rows if row.input_text in held],
    )
