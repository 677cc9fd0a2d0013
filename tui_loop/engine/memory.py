"""Out of memory: told from other faults, tried for before a run, answered with smaller batches.

What runs out of memory does so in the first seconds rather than after hours. Nothing that the
run computes moves: random states and the trainer's counters are put back.
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

_WORDS = (
    "out of memory",
    "can't allocate memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_NOT_SUPPORTED",
)
"""What the backends say, in the text of a plain RuntimeError, where memory ran out."""


class OutOfMemory(Exception):
    """Memory ran out and nothing is left to shrink; `doing`: training or evaluating."""

    def __init__(self, doing: str, told: str) -> None:
        super().__init__(told)
        self.doing, self.told = doing, told


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device or the host has no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)


def is_device_fault(error: BaseException) -> bool:
    """Whether this process can no longer use its GPU: CUDA reports the fault ever after."""
    if is_out_of_memory(error):
        return False
    if isinstance(error, torch.AcceleratorError):
        return True
    return isinstance(error, RuntimeError) and "CUDA error" in str(error)


def free_memory() -> None:
    """Gives back what no tensor holds any more; of use only after the exception is let go of."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def largest_proper_divisor(count: int) -> int:
    """4 of 8, 3 of 9, 1 of 7; 1 of 1."""
    return next((part for part in range(count // 2, 0, -1) if count % part == 0), 1)


class EvalBatch:
    """How many rows an evaluation takes at once; it shrinks for good where memory ran out.

    `on_shrunk` gets (size before, size now, what was said).
    """

    def __init__(
        self, size: int, on_shrunk: Callable[[int, int, str], None] = lambda *_: None
    ) -> None:
        self.size, self._on_shrunk = size, on_shrunk

    def attempt(self, work: Callable[[], Any], rows: int) -> tuple[bool, Any]:
        """(True, what `work` gives), or (False, None) after memory ran out over `rows` rows.

        Then `size` is smaller, and the memory is free: the exception has been let go of. Raises
        OutOfMemory where a single row does not fit.
        """
        try:
            return True, work()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            told = first_line(error)
        free_memory()
        if rows <= 1:
            raise OutOfMemory("evaluating", told)
        before, self.size = self.size, largest_proper_divisor(rows)
        self._on_shrunk(before, self.size, told)
        return False, None


def smaller_batch(training: Training) -> list[str] | None:
    """Settings for the next smaller micro-batch with the same effective batch; None at 1."""
    size = training.per_device_train_batch_size
    if size == 1:
        return None
    smaller = largest_proper_divisor(size)
    accumulated = training.gradient_accumulation_steps * (size // smaller)
    return [
        f"training.per_device_train_batch_size={smaller}",
        f"training.gradient_accumulation_steps={accumulated}",
    ]


def first_line(error: BaseException) -> str:
    """The first line of an exception's text."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


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
