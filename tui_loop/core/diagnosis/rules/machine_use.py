"""What the samples of the machine show about slow training, for the finding `slow`.

Only samples from training count. A record without them shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.record.points import SystemPoint
from tui_loop.core.record.system_metrics import GIB, gpu_metric, sample_of
from tui_loop.core.record.system_summary import gpu_count, mean_of, seconds_of, swap_growth
from tui_loop.core.text.figures import duration

FEWEST_SECONDS = 60.0
"""Of a shorter training the first steps are a large part: they compile kernels and fill caches."""

IDLE_GPU = 40.0
"""Percent: GPUs that limit a run are in use nearly all the time. NVML counts any moment in which a
kernel runs, however small it is, so that small models come above this as well."""

BUSY_PROCESS = 80.0
"""Percent of one CPU: one thread prepares batches and starts kernels, and here does little else."""

BUSY_MACHINE = 90.0
"""Percent of all CPUs: the run waits for a free one, where other processes take them."""

SLOWED = 0.1
"""Share of the training time. For less, lower clocks cost at most a few percent of it."""

FULL_MEMORY = 0.9
"""Share of the machine's memory from which a system swaps for lack of it. Below, it moves pages
that nobody uses, which slows nothing."""

SWAPPED_BYTES = GIB
"""Less may belong to other processes that a run has pushed out once."""


class MachineFault(msgspec.Struct, frozen=True):
    """Something that slowed training, in words, and the figures that show it."""

    text: str
    figures: dict[str, float | int | str]


def machine_faults(facts: IterationFacts, *, waited_otherwise: bool) -> Iterator[MachineFault]:
    """Yields what the machine shows; `waited_otherwise`: evaluations or saves explain idle time."""
    points = [point for point in facts.run.system if point.is_training]
    seconds = sum(point.seconds for point in points)
    if seconds < FEWEST_SECONDS:
        return
    if not waited_otherwise:
        yield from _idle_gpu(points)
    yield from _slowed_gpus(points, seconds)
    yield from _swapping(points)


def _idle_gpu(points: Sequence[SystemPoint]) -> Iterator[MachineFault]:
    gpus = range(gpu_count([sample_of(point.values) for point in points]))
    uses = [mean_of(points, gpu_metric(index, "util_percent")) for index in gpus]
    use = max((each for each in uses if each is not None), default=None)
    process, machine = mean_of(points, "process_cpu_percent"), mean_of(points, "cpu_percent")
    if use is None or use >= IDLE_GPU or process is None:
        return
    text = f"the GPU was only {use:.0f}% busy during training, and the run used {process:.0f}% of "
    text += "one CPU core"
    figures: dict[str, float | int | str] = {"gpu_percent": use, "process_cpu_percent": process}
    if process >= BUSY_PROCESS:
        figures["is_cpu_bound"] = 1
        text += ": preparing and launching batches on the CPU limits the speed"
    elif machine is not None and machine >= BUSY_MACHINE:
        figures["cpu_percent"] = machine
        text += f", while all cores were {machine:.0f}% busy, mostly with other processes"
    else:
        text += ": the run waited for something else, such as the disk"
    memory = _memory_share(points)
    yield MachineFault(text, figures if memory is None else {**figures, "gpu_memory_share": memory})


def _memory_share(points: Sequence[SystemPoint]) -> float | None:
    """Returns the largest share of its memory that a GPU had in use."""
    shares = [
        gpu.memory_used_bytes / gpu.memory_total_bytes
        for point in points
        for gpu in sample_of(point.values).gpus
        if gpu.memory_used_bytes is not None and gpu.memory_total_bytes
    ]
    return max(shares, default=None)


def _slowed_gpus(points: Sequence[SystemPoint], seconds: float) -> Iterator[MachineFault]:
    """Yields GPUs that heat or the power supply slowed down; at its power limit one is usual."""
    gpus = range(gpu_count([sample_of(point.values) for point in points]))
    for flag, what in (("thermal_slowdown", "heat"), ("power_slowdown", "the power supply")):
        lengths = [seconds_of(points, gpu_metric(index, flag)) for index in gpus]
        longest = max((each for each in lengths if each is not None), default=0.0)
        if longest >= SLOWED * seconds:
            yield MachineFault(
                f"{what} slowed the GPU for {duration(longest)} of the {duration(seconds)} of "
                "training",
                {f"{flag}_share": longest / seconds},
            )


def _swapping(points: Sequence[SystemPoint]) -> Iterator[MachineFault]:
    grown = swap_growth(points)
    if grown is None or grown < SWAPPED_BYTES:
        return
    samples = [sample_of(point.values) for point in points]
    shares = [
        each.memory_used_bytes / each.memory_total_bytes
        for each in samples
        if each.memory_used_bytes is not None and each.memory_total_bytes
    ]
    if max(shares, default=0.0) >= FULL_MEMORY:
        yield MachineFault(
            f"the machine's memory was full, and swap use grew by {grown / GIB:.1f} GiB during "
            "training",
            {"swap_grown_bytes": grown},
        )
