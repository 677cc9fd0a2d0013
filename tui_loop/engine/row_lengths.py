"""What row lengths cost, for the record: rows that are cut, padding that packing would save."""

from __future__ import annotations

import random
from typing import Any

from tui_loop.engine.run_context import Prepared


def cut_rows(trainer: Any, prepared: Prepared) -> dict[str, int]:
    """`train_rows_cut`, `train_rows_dropped`, both of all training rows, and `train_row_longest`
    in tokens; {} where rows are packed or nothing limits them.

    A dropped row has no trained token within the limit; it counts as cut, too. Rows are rendered
    once more only where one of them is at the limit.
    """
    dataset, limit = trainer.train_dataset, trainer.args.max_length
    if limit is None or trainer.args.packing or "input_ids" not in (dataset.column_names or []):
        return {}
    lengths = [len(ids) for ids in dataset["input_ids"]]
    dropped = len(prepared.data.train) - len(lengths)
    if dropped or max(lengths) >= limit:
        lengths = [len(prepared.renderer.tokens(row).ids) for row in prepared.data.train]
    return {
        "train_rows_cut": sum(length > limit for length in lengths),
        "train_rows_dropped": dropped,
        "train_row_longest": max(lengths),
    }


BATCHES = 400
"""Drawn at random, as the trainer draws its own; the share is then right to about a percent."""

_SEED = 0


def padding_share(trainer: Any) -> dict[str, float]:
    """`padding_share`: the expected share of padding in a forward pass; {} where there is none, as
    rows are packed or stand alone."""
    dataset, size = trainer.train_dataset, trainer.args.per_device_train_batch_size
    alone = size == 1 or trainer.args.packing or trainer.args.padding_free
    if alone or "input_ids" not in (dataset.column_names or []):
        return {}
    lengths = [len(ids) for ids in dataset["input_ids"]]
    random.Random(_SEED).shuffle(lengths)
    batches = [lengths[at : at + size] for at in range(0, min(len(lengths), BATCHES * size), size)]
    computed = sum(len(batch) * max(batch) for batch in batches)
    return {"padding_share": round(1 - sum(map(sum, batches)) / computed, 4)} if computed else {}
