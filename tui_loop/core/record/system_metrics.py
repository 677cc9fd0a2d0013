"""Names, units and texts of the system metrics that a run samples, and one sample as a struct.

A sample is a flat mapping, such as {"cpu_percent": 41.0, "gpu0.util_percent": 93.0}. A value that
could not be measured is absent.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping

import msgspec

GIB = 2**30

_MACHINE: dict[str, tuple[str, str]] = {
    "cpu_percent": ("CPU use", "%"),
    "process_cpu_percent": ("CPU use of the run", "%"),
    "rss_bytes": ("memory of the run", "GiB"),
    "memory_used_bytes": ("memory in use", "GiB"),
    "memory_total_bytes": ("memory of the machine", "GiB"),
    "swap_used_bytes": ("swap in use", "GiB"),
    "disk_free_bytes": ("free disk space", "GiB"),
}
"""Label and unit of each metric of the machine, in the order in which screens list them."""

_GPU: dict[str, tuple[str, str]] = {
    "util_percent": ("use", "%"),
    "memory_used_bytes": ("memory in use", "GiB"),
    "memory_total_bytes": ("memory", "GiB"),
    "temperature_c": ("temperature", "°C"),
    "power_w": ("power", "W"),
    "thermal_slowdown": ("slowed down by heat", ""),
    "power_slowdown": ("slowed down by its power supply", ""),
    "power_capped": ("at its power limit", ""),
}
"""The same for the metrics of a GPU, whose names begin with `gpu0.`. Those without a unit are 0 or
1."""

_GPU_NAME = re.compile(r"gpu(\d{1,3})\.(\w{1,64})")
_TOTALS = ("memory_total_bytes",)
"""Metrics that never change, and that no chart draws."""


class GpuSample(msgspec.Struct, frozen=True):
    """One GPU at one moment; None where it was not measured.

    `index`: its number as the run sees it, as in `cuda:0`. `util_percent`: the share of the last
    moments in which it computed. `thermal_slowdown`, `power_slowdown`, `power_capped`: whether its
    clocks are lowered because of heat, by its power supply, or to keep its power limit, which is
    normal under full load.
    """

    index: int
    util_percent: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None
    thermal_slowdown: bool | None = None
    power_slowdown: bool | None = None
    power_capped: bool | None = None

    @property
    def is_throttled(self) -> bool:
        """Returns whether heat or the power supply slow it down."""
        return bool(self.thermal_slowdown or self.power_slowdown)


class SystemSample(msgspec.Struct, frozen=True):
    """The machine at one moment; None for a value that was not measured.

    `cpu_percent` is 100 where all CPUs are busy, `process_cpu_percent` (the run's process) where
    one is. Both are means since the previous sample.
    """

    cpu_percent: float | None = None
    process_cpu_percent: float | None = None
    rss_bytes: float | None = None
    memory_used_bytes: float | None = None
    memory_total_bytes: float | None = None
    swap_used_bytes: float | None = None
    disk_free_bytes: float | None = None
    gpus: tuple[GpuSample, ...] = ()


def sample_of(values: Mapping[str, float]) -> SystemSample:
    """Returns the sample with these flat values; unknown and non-finite ones are left out."""
    own: dict[str, float] = {}
    gpus: dict[int, dict[str, float | bool]] = {}
    for name, value in values.items():
        if not math.isfinite(value):
            continue
        if name in _MACHINE:
            own[name] = value
        elif (found := _GPU_NAME.fullmatch(name)) and found[2] in _GPU:
            is_flag = not _GPU[found[2]][1]
            gpus.setdefault(int(found[1]), {})[found[2]] = value > 0 if is_flag else value
    parts = tuple(msgspec.convert({"index": n, **gpus[n]}, GpuSample) for n in sorted(gpus))
    return msgspec.convert({**own, "gpus": parts}, SystemSample)


def gpu_metric(index: int, name: str) -> str:
    """Returns the flat name of a GPU's metric: `gpu0.util_percent`."""
    return f"gpu{index}.{name}"


def metric_label(name: str) -> str:
    """Returns a metric's name in words, `GPU 0 use`; an unknown name is returned unchanged.

    An unknown name comes from a record of a newer version, or from a stranger.
    """
    if name in _MACHINE:
        return _MACHINE[name][0]
    found = _GPU_NAME.fullmatch(name)
    if found is None or found[2] not in _GPU:
        return name
    return f"GPU {int(found[1])} {_GPU[found[2]][0]}"


def metric_unit(name: str) -> str:
    """Returns the unit in which a metric is shown: %, GiB, °C, W, or "" without one."""
    if name in _MACHINE:
        return _MACHINE[name][1]
    found = _GPU_NAME.fullmatch(name)
    return _GPU.get(found[2], ("", ""))[1] if found is not None else ""


def shown_value(name: str, value: float) -> float:
    """Returns a recorded value in the unit of `metric_unit`: bytes become GiB."""
    return value / GIB if metric_unit(name) == "GiB" else value


def metric_text(name: str, value: float) -> str:
    """Returns a recorded value with its unit: `93%`, `41.2 GiB`, `71 °C`, `312 W`, `yes`."""
    unit, shown = metric_unit(name), shown_value(name, value)
    if not math.isfinite(shown):
        return str(shown)
    if unit == "%":
        return f"{shown:.0f}%"
    if unit == "GiB":
        return f"{shown:.1f} GiB"
    if unit:
        return f"{shown:.0f} {unit}"
    return ("yes" if shown > 0 else "no") if metric_label(name) != name else f"{shown:.4g}"


def drawn_metrics(names: Iterable[str]) -> list[str]:
    """Returns those of `names` that a chart can draw: GPUs first, then the machine.

    Leaves out the sizes of memories, which do not change, and unknown names.
    """
    seen = set(names)
    gpus = sorted(
        {int(found[1]) for name in seen if (found := _GPU_NAME.fullmatch(name)) is not None}
    )
    ordered = [gpu_metric(index, each) for index in gpus for each in _GPU if each not in _TOTALS]
    ordered += [each for each in _MACHINE if each not in _TOTALS]
    return [name for name in ordered if name in seen]


def merged_values(before: Mapping[str, float], after: Mapping[str, float]) -> dict[str, float]:
    """Returns one sample for two that followed each other.

    Sizes keep their peak, and free space its lowest value, so that a long record keeps its
    extremes. Everything else is the mean, so that the mean of a flag is the share of the time.
    """
    merged = {**before, **after}
    for name in before.keys() & after.keys():
        pair = before[name], after[name]
        if name == "disk_free_bytes":
            merged[name] = min(pair)
        elif name.endswith("_bytes"):
            merged[name] = max(pair)
        else:
            merged[name] = pair[0] / 2 + pair[1] / 2  # a sum of two floats may overflow
    return merged
