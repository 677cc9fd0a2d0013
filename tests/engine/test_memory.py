"""Out of memory is distinguished from other faults, and makes batches smaller."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.config.schema import Config, Training
from tui_loop.core.config.settings import with_settings
from tui_loop.engine.memory import (
    EvalBatch,
    OutOfMemory,
    is_device_fault,
    is_out_of_memory,
    largest_proper_divisor,
    smaller_batch,
)

pytestmark = pytest.mark.train


@pytest.mark.parametrize(
    ("error", "memory", "device"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True, False),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), True, False),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True, False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublas"), True, False),
        (MemoryError(), True, False),
        (torch.AcceleratorError("CUDA error: device-side assert triggered"), False, True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False, True),
        (RuntimeError("shape mismatch"), False, False),
        (ValueError("out of memory"), False, False),
    ],
)
def test_faults_are_distinguished(error: BaseException, memory: bool, device: bool) -> None:
    assert (is_out_of_memory(error), is_device_fault(error)) == (memory, device)


@given(st.integers(2, 5000))
def test_the_largest_proper_divisor(count: int) -> None:
    part = largest_proper_divisor(count)
    assert 1 <= part < count
    assert count % part == 0
    assert all(count % more for more in range(part + 1, count))


@given(st.integers(1, 512), st.integers(1, 64))
def test_the_effective_batch_stays_down_to_a_single_row(size: int, steps: int) -> None:
    config = with_settings(
        Config(),
        [f"per_device_train_batch_size={size}", f"gradient_accumulation_steps={steps}"],
    )
    tries = 0
    while (settings := smaller_batch(config.training)) is not None:
        config = with_settings(config, settings)
        assert _effective(config.training) == size * steps
        tries += 1
    assert config.training.per_device_train_batch_size == 1
    assert tries <= math.log2(size) + 1


def _effective(training: Training) -> int:
    return training.per_device_train_batch_size * training.gradient_accumulation_steps


@pytest.mark.slow
def test_an_evaluation_batch_shrinks_for_good_and_says_so() -> None:
    shrunk: list[tuple[int, int, str]] = []
    batch = EvalBatch(16, lambda *sizes: shrunk.append(sizes))

    def fits(rows: int) -> Any:
        if rows > 5:
            raise torch.OutOfMemoryError("CUDA out of memory.\nmore")
        return rows

    while True:
        rows = batch.size
        done, found = batch.attempt(lambda rows=rows: fits(rows), rows)  # type: ignore[misc]
        if done:
            break
    assert found == batch.size == 4
    assert shrunk == [(16, 8, "CUDA out of memory."), (8, 4, "CUDA out of memory.")]


def test_a_row_that_does_not_fit_alone_is_an_error() -> None:
    def work() -> None:
        raise MemoryError

    with pytest.raises(OutOfMemory, match="MemoryError"):
        EvalBatch(1).attempt(work, 1)


def test_other_faults_pass() -> None:
    def work() -> None:
        raise RuntimeError("planted")

    with pytest.raises(RuntimeError, match="planted"):
        EvalBatch(8).attempt(work, 8)
