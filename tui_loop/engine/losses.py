"""Measures the loss of every supervised token of every row, with one forward pass per batch.

It does not depend on the training settings: rows are right-padded and never packed, shuffled or
dropped. Padding after a row cannot change a causal model's logits for the row. Only supervised
positions go through the language-model head, so that full logits never exist.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from tui_loop.engine.architectures import without_router_losses
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.rendering import Tokens

LOGIT_BYTES = 256 * 1024 * 1024
"""The limit of a batch's float32 logits: a batch has fewer rows where they would exceed it."""


def token_losses(
    model: Any,
    rows: Sequence[Tokens],
    *,
    pad_id: int,
    batch: EvalBatch,
    poll: Callable[[], None] = lambda: None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[list[float]]:
    """Returns the negative log-likelihood in nats of each supervised token, by row.

    `rows[i].supervised` are the places of those tokens. `poll` is called before each
    batch and may raise; `on_progress` gets the number of rows done. The model's mode is restored.
    Where memory runs out, `batch` shrinks and the same rows are tried again.
    """
    losses: list[list[float]] = [[] for _ in rows]
    # longest first, so that a lack of memory shows at once
    order = sorted(range(len(rows)), key=lambda index: -len(rows[index].ids))
    was_training = model.training
    model.eval()
    try:
        done = 0
        while done < len(order):
            poll()
            chosen = _next_batch(model, rows, order[done:], batch.size)
            with without_router_losses(model):
                fits, values = batch.attempt(
                    partial(_batch_losses, model, rows, chosen, pad_id), len(chosen)
                )
            if not fits:
                continue
            for index, row_losses in zip(chosen, values, strict=True):
                losses[index] = row_losses
            done += len(chosen)
            on_progress(done)
    finally:
        model.train(was_training)
    return losses


def _next_batch(
    model: Any, rows: Sequence[Tokens], order: Sequence[int], batch_size: int
) -> list[int]:
    """Takes the first rows of `order`, at most `batch_size` and at most LOGIT_BYTES of logits."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    batch: list[int] = []
    positions: set[int] = set()
    for index in order[:batch_size]:
        row = rows[index]
        positions |= {place - 1 for place in row.supervised}
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
    spans = [[place - 1 for place in rows[index].supervised] for index in batch]
    positions = sorted({position for span in spans for position in span})
    if not positions:
        return [[] for _ in batch]
    inputs = {"input_ids": ids.to(device), "attention_mask": mask.to(device), "use_cache": False}
    if _keeps_logits(model):
        chosen = torch.tensor(positions, device=device)
        logits = model(**inputs, logits_to_keep=chosen).logits
    else:
        logits = model(**inputs).logits[:, positions]
    column_of = {position: column for column, position in enumerate(positions)}
    targets = ids[:, [position + 1 for position in positions]].to(logits.device)
    values = (
        torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), reduction="none"
        )
        .view(targets.shape)
        .cpu()
    )
    return [
        [float(values[line, column_of[position]]) for position in span]
        for line, span in enumerate(spans)
    ]


def _keeps_logits(model: Any) -> bool:
    """Whether the model can restrict its logits to some positions."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "logits_to_keep" in inspect.signature(type(inner).forward).parameters
