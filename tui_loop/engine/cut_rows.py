"""How much of the training rows `training.max_length` leaves out, for the record."""

from __future__ import annotations

from typing import Any

from tui_loop.engine.run import Prepared


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
