"""Sums up the samples of the machine over a run: a few numbers, and one line of words."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tui_loop.core.record.points import SystemPoint
from tui_loop.core.record.structs import SystemSummary
from tui_loop.core.record.system_metrics import GIB, SystemSample, gpu_metric, sample_of
from tui_loop.core.text.figures import duration

SWAP_BYTES = GIB // 4
"""Less growth of the swap in use is not worth words: an idle machine moves that much."""


def summary_of(points: Sequence[SystemPoint]) -> SystemSummary | None:
    """Returns the summary of a run's samples, None without any."""
    if not points:
        return None
    training = [point for point in points if point.is_training]
    samples = [sample_of(point.values) for point in points]
    used, total = _fullest(samples)
    count = gpu_count(samples)
    uses = [mean_of(training, gpu_metric(n, "util_percent")) for n in range(count)]
    known = [each for each in uses if each is not None]

    def longest(flag: str) -> float | None:
        seconds = [seconds_of(points, gpu_metric(n, flag)) for n in range(count)]
        return max((each for each in seconds if each is not None), default=None)

    return SystemSummary(
        mean_gpu_percent=_rounded(sum(known) / len(known) if known else None),
        peak_gpu_memory_bytes=used,
        gpu_memory_bytes=total,
        thermal_slowdown_s=_rounded(longest("thermal_slowdown")),
        power_slowdown_s=_rounded(longest("power_slowdown")),
        power_capped_s=_rounded(longest("power_capped")),
        mean_cpu_percent=_rounded(mean_of(training, "cpu_percent")),
        mean_process_cpu_percent=_rounded(mean_of(training, "process_cpu_percent")),
        peak_rss_bytes=_peak(samples, lambda each: each.rss_bytes),
        swap_grown_bytes=swap_growth(points),
    )


def gpu_count(samples: Sequence[SystemSample]) -> int:
    """Returns one more than the highest number of a sampled GPU."""
    return max((gpu.index + 1 for each in samples for gpu in each.gpus), default=0)


def mean_of(points: Sequence[SystemPoint], name: str) -> float | None:
    """Returns the mean of a metric over time, None where no sample has it."""
    weighted = [(point.values[name], point.seconds) for point in points if name in point.values]
    seconds = sum(weight for _, weight in weighted)
    return sum(value * weight for value, weight in weighted) / seconds if seconds else None


def seconds_of(points: Sequence[SystemPoint], flag: str) -> float | None:
    """Returns for how long a flag was set, None where no sample has it."""
    own = [point for point in points if flag in point.values]
    return sum(point.values[flag] * point.seconds for point in own) if own else None


def swap_growth(points: Sequence[SystemPoint]) -> float | None:
    """Returns by how many bytes the swap in use grew after the first sample, at its peak."""
    swap = [p.values["swap_used_bytes"] for p in points if "swap_used_bytes" in p.values]
    return max(swap) - swap[0] if swap else None


def system_words(summary: SystemSummary | None) -> str:
    """Returns the summary in one line, "" where there is none."""
    if summary is None:
        return ""
    parts = []
    if summary.mean_gpu_percent is not None:
        parts.append(f"GPU use {summary.mean_gpu_percent:.0f}% on average while training")
    if summary.peak_gpu_memory_bytes is not None:
        limit = summary.gpu_memory_bytes
        of = "" if limit is None else f" of {limit / GIB:.1f}"
        parts.append(f"peak GPU memory {summary.peak_gpu_memory_bytes / GIB:.1f}{of} GiB")
    slowdowns = (
        ("slowed down by heat", summary.thermal_slowdown_s),
        ("slowed down by its power supply", summary.power_slowdown_s),
        ("at its power limit", summary.power_capped_s),
    )
    parts += [f"GPU {what} for {duration(seconds)}" for what, seconds in slowdowns if seconds]
    if summary.mean_process_cpu_percent is not None:
        when = "" if summary.mean_gpu_percent is not None else " on average while training"
        parts.append(f"CPU use of the run {summary.mean_process_cpu_percent:.0f}%{when}")
    if summary.peak_rss_bytes is not None:
        parts.append(f"peak memory of the run {summary.peak_rss_bytes / GIB:.1f} GiB")
    if (summary.swap_grown_bytes or 0) >= SWAP_BYTES:
        parts.append(f"swap in use grew by {(summary.swap_grown_bytes or 0) / GIB:.1f} GiB")
    return ", ".join(parts)


def _fullest(samples: Sequence[SystemSample]) -> tuple[float | None, float | None]:
    """Returns the most memory that a GPU had in use, and the memory of that GPU."""
    seen = [
        (gpu.memory_used_bytes, gpu.memory_total_bytes)
        for each in samples
        for gpu in each.gpus
        if gpu.memory_used_bytes is not None
    ]
    return max(seen, key=lambda pair: pair[0], default=(None, None))


def _peak(
    samples: Sequence[SystemSample], read: Callable[[SystemSample], float | None]
) -> float | None:
    return max((value for each in samples if (value := read(each)) is not None), default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
