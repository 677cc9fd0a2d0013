"""Draws the training rows of an epoch from several sources with weights."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from tui_loop.core.config.schema import Data
from tui_loop.core.data.row_store import pick
from tui_loop.core.data.rows import Row
from tui_loop.core.data.source_shares import shares_of
from tui_loop.core.errors import BadInput


def mixed_rows(rows: Sequence[Row], data: Data) -> Sequence[Row]:
    """Returns the rows in the order of `datasets.interleave_datasets`, seeded with the split seed.

    Returns all rows as they are where sources have no weights. Under `all_exhausted`, rows occur
    as often as they are drawn. Raises BadInput for a source without rows.
    """
    shares = shares_of(data.train)
    if not shares:
        return rows
    from datasets import Dataset, interleave_datasets

    places: dict[str, list[int]] = {name: [] for name in shares}
    for place, row in enumerate(rows):
        places[row.source].append(place)
    empty = [name for name, found in places.items() if not found]
    if empty:
        raise BadInput(
            f"data.train.{empty[0]}: no row of this source is left for training",
            "add rows, raise data.max_train_rows, or leave the source out",
        )
    mixed = interleave_datasets(
        [Dataset.from_dict({"place": found}) for found in places.values()],
        probabilities=list(shares.values()),
        seed=data.split_seed,
        stopping_strategy=data.stopping_strategy,
    )
    return pick(rows, list(mixed["place"]))


def mix_record(rows: Sequence[Row], data: Data) -> dict[str, Any]:
    """Returns what a record says about a mix: strategy, seed, and rows drawn by source.

    {} for a single source.
    """
    if isinstance(data.train, str):
        return {}
    drawn = Counter(row.source for row in rows)
    record: dict[str, Any] = {"rows": {name: drawn[name] for name in data.train}}
    if shares := shares_of(data.train):
        record |= {
            "shares": shares,
            "stopping_strategy": data.stopping_strategy,
            "seed": data.split_seed,
        }
    return {"mix": record}
