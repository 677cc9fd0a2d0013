"""Which GPUs CUDA shows this process.

CUDA reads CUDA_VISIBLE_DEVICES once, when it is first used. From then on this process can use no
other GPU: a run that needs one gets a process of its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from tui_loop.core.config.schema import Run
from tui_loop.engine.gpus.claim import request_of, usable_gpus, use_of, uses_cuda
from tui_loop.engine.gpus.listing import Gpu, GpusUnreadable, list_gpus, named
from tui_loop.engine.gpus.locks import owner_of
from tui_loop.engine.gpus.share import VISIBLE, visible_entries
from tui_loop.engine.launch import replace_variable

_chosen: list[Gpu] = []


def use_only(gpus: Sequence[Gpu]) -> None:
    """Makes CUDA show this process these GPUs alone. CUDA must not be in use yet."""
    _chosen[:] = gpus
    replace_variable(VISIBLE, ",".join(gpu.uuid for gpu in gpus))


def use_one() -> None:
    """Makes CUDA show this process a single GPU, unless its GPUs have been chosen before.

    It is for work that is no run, and so claims none: the GPU with the most free memory, those that
    no run has claimed first.
    """
    # Whether there is a GPU is asked of NVML then: CUDA would fix the process to what it sees.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    if _chosen or is_in_use():
        return
    gpus: list[Gpu] = []
    with suppress(GpusUnreadable):
        gpus = usable_gpus() if uses_cuda() else []
    if gpus:
        use_only([min(gpus, key=lambda gpu: (owner_of(gpu.uuid) is not None, -gpu.free_bytes))])
    else:  # CUDA would show all GPUs, and Trainer would train on all
        entries = visible_entries(os.environ.get(VISIBLE, "0"))
        replace_variable(VISIBLE, entries[0] if entries else "")


def is_in_use() -> bool:
    """Whether CUDA has been used in this process, so that its GPUs are fixed."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    return cuda is not None and bool(cuda.is_initialized())


def needs_own_process(run: Run) -> bool:
    """Whether a run cannot use its GPUs here: this process is fixed to others, or these are taken.

    Then the run gets a process of its own.
    """
    fixed = fixed_gpus()
    request = request_of(run)
    if not fixed or request is None:
        return False
    wanted = [named(fixed, entry) for entry in request.entries]
    if None in wanted or request.count != len(fixed):
        return True
    try:
        now = {gpu.uuid: gpu for gpu in list_gpus()}
    except GpusUnreadable:
        return False
    return any(gpu.uuid in now and use_of(now[gpu.uuid]) for gpu in fixed)


def fixed_gpus() -> list[Gpu]:
    """Returns the GPUs that this process is fixed to, [] while it may still use any."""
    return list(_chosen) if is_in_use() else []
