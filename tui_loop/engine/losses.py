"""Loss of every supervised token of every row, from one forward pass a batch.

Independent of training's settings: right-padded, never packed, shuffled or dropped. Only the
supervised positions go through the language-model head, so full logits never exist.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.rendering import Tokens

LOGIT_BYTES = 256 * 1024 * 1024
"""A batch shrinks until its float32 logits fit here; no figure moves with it."""


def token_losses(
    model: Any,
    rows: Sequence[Tokens],
    *,
    pad_id: int,
    batch: EvalBatch,
    poll: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda done: None,
) -> list[list[float]]:
    """Negative log-likelihood in nats of each supervised token, by row.

    `rows[i].ids[start:]` are supervised, position 0 never is. `poll` is called before each
    batch and may raise; `progress` gets the count of rows done. The model's mode is restored.
    Where memory runs out, `batch` shrinks and the same rows are tried again.
    """
    losses: list[list[float]] = [[] for _ in rows]
    # longest first, so that running out of memory shows at once
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index].ids))
    was_training = model.training
    model.eval()
    try:
        done = 0
        while done < len(order):
            poll()
            chosen = _next_batch(model, rows, order[done:], batch.size)
            fits, values = batch.attempt(
                partial(_batch_losses, model, rows, chosen, pad_id), len(chosen)
            )
            if not fits:
                continue
            for index, found in zip(chosen, values, strict=True):
                losses[index] = found
            done += len(chosen)
            progress(done)
    finally:
        model.train(was_training)
    return losses


def _next_batch(
    model: Any, rows: Sequence[Tokens], order: Sequence[int], batch_size: int
) -> list[int]:
    """The first rows of `order` that make a batch: not too many, nor too many logits."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    batch: list[int] = []
    positions: set[int] = set()
    for index in order[:batch_size]:
        row = rows[index]
        positions |= set(range(row.start - 1, len(row.ids) - 1))
        if batch and (len(batch) + 1) * len(positions) * vocabulary * 4 > LOGIT_BYTES:
            break
        batch.append(index)
    return batch


@torch.no_grad()
def _batch_losses(
    model: Any, rows: Sequence[Tokens], batch: list[int], pad_id: int
) -> list[list[float]]:
    device = model.device
    width = max(len(rows[index].ids) for index in batch)
    ids = torch.full((len(batch), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(batch), width), dtype=torch.long)
    for line, index in enumerate(batch):
        length = len(rows[index].ids)
        ids[line, :length] = torch.tensor(rows[index].ids)
        mask[line, :length] = 1
    spans = [range(rows[index].start - 1, len(rows[index].ids) - 1) for index in batch]
    kept = sorted({position for span in spans for position in span})
    if not kept:
        return [[] for _ in batch]
    inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device), "use_cache": False}
    if _keeps_logits(model):
        chosen = torch.tensor(kept, device=device)
        logits = model(**inputs, logits_to_keep=chosen).logits
    else:
        logits = model(**inputs).logits[:, kept]
    place = {position: column for column, position in enumerate(kept)}
    targets = ids[:, [position + 1 for position in kept]].to(logits.device)
    values = (
        torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), reduction="none"
        )
        .view(targets.shape)
        .cpu()
    )
    return [
        [float(values[line, place[position]]) for position in span]
        for line, span in enumerate(spans)
    ]


def _keeps_logits(model: Any) -> bool:
    """Whether the model can compute logits at chosen positions only."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(type(inner).forward).parameters
