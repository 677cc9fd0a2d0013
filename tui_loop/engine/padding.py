"""How much of a training batch is padding, for the record: what packing would save."""

from __future__ import annotations

import random
from typing import Any

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
