"""What a run derives from its config and data, for the record: `[effective]` and row lengths."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from tui_loop import __version__
from tui_loop.engine.base_identity import BASE, for_record
from tui_loop.engine.extras import installed_versions
from tui_loop.engine.run_context import Prepared, Run
from tui_loop.engine.training_rows import token_counts

if TYPE_CHECKING:
    from tui_loop.engine.training_rows import TrainingRows

BATCHES = 400
"""Random batches that `padding_share` samples; the share is then right to about a percent."""

_SEED = 0


def record_effective(run: Run, effective: dict[str, Any]) -> None:
    """Writes derived values to `[effective]` in the iteration's `config.toml`."""
    run.folder.write_config(run.config, run.folder.read_splits(), effective)


def effective_of(run: Run, prepared: Prepared, rows: TrainingRows | None = None) -> dict[str, Any]:
    """Returns the derived values: base, versions, device, dtype, rendering, lengths, labels.

    `rows`: the rendered training rows, once there are some.
    """
    import torch

    base = prepared.loaded.base
    return {
        **({BASE: for_record(base)} if base is not None else {}),
        "versions": {"tui-loop": __version__, **installed_versions()},
        "device": str(prepared.loaded.device),
        "dtype": str(prepared.loaded.dtype).removeprefix("torch."),
        "cpu_threads": torch.get_num_threads(),
        "shape": prepared.data.mapping.shape,
        "columns": prepared.data.mapping.columns,
        "chat_template": prepared.renderer.template_hash,
        "rendering": {
            **prepared.renderer.decisions,
            "turns": any(row.messages for row in prepared.data.eval),
            **({"rows_with": rows.flaws} if rows is not None and rows.flaws else {}),
        },
        "evaluation": {
            "max_length": prepared.eval_set.max_length,
            "max_new_tokens": prepared.eval_set.max_new_tokens,
            "labels": prepared.data.labels,
        },
    }


def cut_rows(trainer: Any, rows: TrainingRows) -> dict[str, int]:
    """Counts the training rows that `max_length` truncates.

    Returns `train_rows_cut`, `train_rows_dropped` and `train_row_longest` (in tokens), or {} where
    rows are packed or have no limit. A dropped row has no trained token within the limit; it
    counts as cut, too.
    """
    dataset, limit = trainer.train_dataset, trainer.args.max_length
    if limit is None or trainer.args.packing or "input_ids" not in (dataset.column_names or []):
        return {}
    return {
        "train_rows_cut": sum(length > limit for length in rows.lengths),
        "train_rows_dropped": len(rows.lengths) - len(dataset),
        "train_row_longest": max(rows.lengths),
    }


def padding_share(trainer: Any) -> dict[str, float]:
    """Estimates the share of padding tokens in a forward pass, as `padding_share`.

    Returns {} where batches have no padding: rows are packed, padding-free, or one a batch.
    """
    dataset, size = trainer.train_dataset, trainer.args.per_device_train_batch_size
    has_no_padding = size == 1 or trainer.args.packing or trainer.args.padding_free
    if has_no_padding or "input_ids" not in (dataset.column_names or []):
        return {}
    lengths = token_counts(dataset)
    random.Random(_SEED).shuffle(lengths)
    batches = [lengths[at : at + size] for at in range(0, min(len(lengths), BATCHES * size), size)]
    computed = sum(len(batch) * max(batch) for batch in batches)
    return {"padding_share": round(1 - sum(map(sum, batches)) / computed, 4)} if computed else {}
