"""Out of memory: recognizing it, probing for it before training, and shrinking batches.

The probe runs the longest batch first, so that a run that does not fit fails within seconds rather
than after hours. It does not change what the run computes: random states and the trainer's
counters are restored.
"""

from __future__ import annotations

import copy
import gc
import time
from collections.abc import Callable
from typing import Any

import msgspec
import torch

from tui_loop.core.config.schema import Training
from tui_loop.core.text.unsafe_advice import without_unsafe_advice
from tui_loop.engine.training_rows import token_counts

_OUT_OF_MEMORY_TEXTS = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_SUPPORTED",
)
"""Texts of the plain RuntimeErrors that backends raise when memory runs out. accelerate counts
CUDNN_STATUS_NOT_SUPPORTED among them, too (accelerate.utils.memory)."""


class OutOfMemory(Exception):
    """A single evaluated row does not fit into memory; `reason` is the backend's message."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception reports that a device or the host has no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in _OUT_OF_MEMORY_TEXTS
    )


def is_device_fault(error: BaseException) -> bool:
    """Whether this process can no longer use its GPU: CUDA repeats the error for every call."""
    if is_out_of_memory(error):
        return False
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def free_memory() -> None:
    """Returns cached memory to the device.

    Call it outside the `except` block: the exception's traceback still holds tensors.
    """
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def largest_proper_divisor(count: int) -> int:
    """Returns 4 for 8, 3 for 9, 1 for 7, and 1 for 1."""
    return next((part for part in range(count // 2, 0, -1) if count % part == 0), 1)


class EvalBatch:
    """The batch size of an evaluation; it shrinks, and stays smaller, when memory runs out.

    `on_shrink` is called with (size before, size now, the backend's message).
    """

    def __init__(
        self, size: int, on_shrink: Callable[[int, int, str], None] = lambda *_: None
    ) -> None:
        self.size, self._on_shrink = size, on_shrink

    def attempt(self, work: Callable[[], Any], rows: int) -> tuple[bool, Any]:
        """Calls `work` on a batch of `rows` rows; returns (True, its result) if it fits.

        Where memory runs out it returns (False, None), `size` is smaller, and the memory is free
        again. Raises OutOfMemory where a single row does not fit.
        """
        try:
            return True, work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            reason = first_line(error)
        free_memory()  # past the exception, whose traceback held the tensors
        if rows <= 1:
            raise OutOfMemory(reason)
        before, self.size = self.size, largest_proper_divisor(rows)
        self._on_shrink(before, self.size, reason)
        return False, None


def smaller_batch(training: Training) -> list[str] | None:
    """Returns settings for a smaller micro-batch with the same effective batch; None at 1."""
    size = training.per_device_train_batch_size
    if size == 1:
        return None
    smaller = largest_proper_divisor(size)  # a divisor, so that the effective batch stays exact
    accumulated = training.gradient_accumulation_steps * (size // smaller)
    return [
        f"training.per_device_train_batch_size={smaller}",
        f"training.gradient_accumulation_steps={accumulated}",
    ]


def first_line(error: BaseException) -> str:
    """Returns the first line of an exception's text, without unsafe advice."""
    lines = without_unsafe_advice(str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__


class Probe(msgspec.Struct, frozen=True):
    """One forward and backward pass: its rows, tokens of the longest, seconds and peak memory."""

    rows: int
    tokens: int
    seconds: float
    peak_bytes: int | None


def probe_training(trainer: Any) -> Probe | None:
    """Runs the longest rows forward and backward as one batch; None where lengths are unknown.

    On CUDA it reserves memory for the optimizer states, which only the first step allocates.
    Raises whatever the model raises, above all when memory runs out.
    """
    dataset = trainer.train_dataset
    if "input_ids" not in (dataset.column_names or []):
        return None
    lengths = token_counts(dataset)
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    chosen = order[: trainer.args.per_device_train_batch_size]
    model, on_gpu = trainer.model, trainer.args.device.type == "cuda"
    counters = copy.deepcopy(trainer._metrics), trainer._total_train_tokens
    started = time.monotonic()
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    with torch.random.fork_rng(devices=range(torch.cuda.device_count()) if on_gpu else []):
        try:
            _forward_backward(trainer, model, [dataset[index] for index in chosen], on_gpu)
        finally:
            model.zero_grad(set_to_none=True)
            trainer._metrics, trainer._total_train_tokens = counters
    seconds = time.monotonic() - started
    peak = torch.cuda.max_memory_allocated() if on_gpu else None
    return Probe(len(chosen), lengths[order[0]], seconds, peak)


def _forward_backward(trainer: Any, model: Any, rows: list[Any], on_gpu: bool) -> None:
    arguments = trainer.args
    model.train()
    if arguments.activation_checkpointing:  # Trainer enables it in train(), after this probe
        model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs=dict(arguments.activation_checkpointing_kwargs or {})
        )
    reserved = _reserve_optimizer_states(model) if on_gpu else None
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


def _reserve_optimizer_states(model: Any) -> torch.Tensor:
    """Allocates as much as Adam's two float32 states of each trainable weight."""
    count = sum(each.numel() for each in model.parameters() if each.requires_grad)
    return torch.empty(2 * count, dtype=torch.float32, device=model.device)
