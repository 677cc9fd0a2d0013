"""A try of the longest batch before a long run: does it fit, and how long does a step take?

What runs out of memory does so in the first seconds rather than after hours. Nothing that the
run computes moves: random states and the trainer's counters are put back.
"""

from __future__ import annotations

import copy
import time
from typing import Any

import msgspec
import torch


class Probe(msgspec.Struct, frozen=True):
    """One forward and backward pass: rows by tokens, seconds, and what memory it took at most."""

    rows: int
    tokens: int
    seconds: float
    peak_bytes: int | None


def probe_training(trainer: Any) -> Probe | None:
    """Forward and backward of the longest rows as one batch; None where there are no lengths.

    On CUDA the optimizer's states, which come with the first step, are allowed for. Raises
    whatever the model raises, out of memory above all.
    """
    dataset = trainer.train_dataset
    if "input_ids" not in (dataset.column_names or []):
        return None
    lengths = [len(ids) for ids in dataset["input_ids"]]
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    chosen = order[: trainer.args.per_device_train_batch_size]
    model, on_gpu = trainer.model, trainer.args.device.type == "cuda"
    counters = copy.deepcopy(trainer._metrics), trainer._total_train_tokens
    begun = time.monotonic()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
        try:
            _pass(trainer, model, [dataset[index] for index in chosen], on_gpu)
        finally:
            model.zero_grad(set_to_none=True)
            trainer._metrics, trainer._total_train_tokens = counters
    seconds = time.monotonic() - begun
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return Probe(len(chosen), lengths[order[0]], seconds, peak)


def _pass(trainer: Any, model: Any, rows: list[Any], on_gpu: bool) -> None:
    arguments = trainer.args
    model.train()
    if arguments.activation_checkpointing:
        model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs=dict(arguments.activation_checkpointing_kwargs or {})
        )
    reserved = _optimizer_states(model) if on_gpu else None
    inputs = trainer._prepare_inputs(trainer.data_collator(rows))
    low = torch.bfloat16 if arguments.bf16 else torch.float16
    with (
        trainer.maybe_activation_offload_context,
        torch.autocast(arguments.device.type, dtype=low, enabled=arguments.bf16 or arguments.fp16),
        trainer.compute_loss_context_manager(),
    ):
        loss = trainer.compute_loss(model, inputs)
    loss.backward()
    if on_gpu:
        torch.cuda.synchronize()
    del reserved


def _optimizer_states(model: Any) -> torch.Tensor:
    """Room for Adam's two states of each trainable weight, in float32."""
    count = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return torch.empty(2 * count, dtype=torch.float32, device=model.device)
