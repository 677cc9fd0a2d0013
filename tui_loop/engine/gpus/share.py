"""Which GPUs this process may use: those of CUDA_VISIBLE_DEVICES, or of its SLURM job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tui_loop.engine.gpus.listing import Gpu, named

VISIBLE = "CUDA_VISIBLE_DEVICES"
MIG = "MIG-"
_OF_JOB = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS")
"""What SLURM gave to this step, and to the whole job, as NVML's numbers."""


def visible_entries(visible: str) -> list[str]:
    """Returns the GPUs in the value of CUDA_VISIBLE_DEVICES, as CUDA reads it.

    CUDA ignores an entry that is no GPU, and all after it.
    """
    entries = []
    for entry in map(str.strip, visible.split(",")):
        if not (entry.isdecimal() or entry.startswith(("GPU-", MIG))):
            break
        entries.append(entry)
    return entries


def visible_id(index: int, visible: str | None) -> str | None:
    """Returns the id of CUDA's GPU `index` according to CUDA_VISIBLE_DEVICES, None without one."""
    if visible is None:
        return str(index)
    entries = visible_entries(visible)
    return entries[index] if index < len(entries) else None


def share_of(gpus: Sequence[Gpu], environment: Mapping[str, str]) -> list[Gpu]:
    """Returns the GPUs that this process may use, in the order of the variable that names them.

    CUDA_VISIBLE_DEVICES decides, which SLURM sets for the steps of a job with GPUs; where it is
    not set, SLURM's own variables do. Without either these are all GPUs that NVML shows: a cluster
    that confines its jobs shows a job its own alone.
    """
    visible = environment.get(VISIBLE)
    if visible is not None:
        entries = visible_entries(visible)
    else:
        text = next((environment[name] for name in _OF_JOB if environment.get(name)), None)
        if text is None:
            return list(gpus)
        entries = [each.strip() for each in text.split(",")]
    found = (named(gpus, entry) for entry in entries)
    return list(dict.fromkeys(gpu for gpu in found if gpu is not None))
