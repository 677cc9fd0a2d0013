"""Reads the GPUs of a run from NVML, through `pynvml`, which is imported when the first is read.

A GPU that cannot be read is left out from then on, and the reason is noted once. Values that a GPU
does not have, such as the power of a virtual one, are left out silently.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tui_loop.core.record.system_metrics import gpu_metric
from tui_loop.engine.gpus.share import MIG, VISIBLE, visible_id

Note = Callable[[str], None]


def gpu_ids(device: Any) -> list[str]:
    """Returns how NVML knows the GPUs of a `torch.device`; [] where it is none of NVIDIA's.

    An id is a UUID (`GPU-...`), or the number in CUDA_VISIBLE_DEVICES. The UUID comes first: by
    default CUDA numbers GPUs by their speed, and NVML by their place on the bus.
    """
    if device.type != "cuda":
        return []
    import torch

    if torch.version.cuda is None:  # ROCm calls its devices cuda, too
        return []
    index = device.index or 0
    entry = visible_id(index, os.environ.get(VISIBLE))
    if entry is None or entry.startswith(MIG):
        return [] if entry is None else [entry]
    with suppress(Exception):  # the run needs its GPU, and not its name
        uuid = str(torch.cuda.get_device_properties(index).uuid)
        return [uuid if uuid.startswith("GPU-") else f"GPU-{uuid}"]
    return [entry]


class Gpus:
    """The GPUs with these ids; `note` receives the reason for each that is left out.

    Raises ImportError without pynvml, and its NVMLError where there is no driver.
    """

    def __init__(self, ids: Sequence[str], note: Note) -> None:
        import pynvml

        self._nvml, self._note = pynvml, note
        self._handles: dict[int, Any] = {}
        self._absent_values = (
            pynvml.NVML_ERROR_NOT_SUPPORTED,
            pynvml.NVML_ERROR_NO_PERMISSION,
            pynvml.NVML_ERROR_FUNCTION_NOT_FOUND,
        )
        pynvml.nvmlInit()
        for index, name in enumerate(ids):
            if name.startswith(MIG):  # NVML gives a slice neither a use nor a power
                note(f"GPU {index} is a MIG slice, whose utilization cannot be read")
                continue
            try:
                self._handles[index] = (
                    pynvml.nvmlDeviceGetHandleByIndex(int(name))
                    if name.isdecimal()
                    else pynvml.nvmlDeviceGetHandleByUUID(name)
                )
            except pynvml.NVMLError as error:
                note(f"metrics of GPU {index} are not recorded: {error}")

    def read(self) -> dict[str, float]:
        """Returns the values of all GPUs by flat name; drops a GPU that fails."""
        values: dict[str, float] = {}
        for index, handle in list(self._handles.items()):
            try:
                own = self._read_one(handle)
            except self._nvml.NVMLError as error:
                del self._handles[index]
                self._note(f"metrics of GPU {index} are no longer recorded: {error}")
                continue
            values |= {gpu_metric(index, name): value for name, value in own.items()}
        return values

    def close(self) -> None:
        """Releases NVML; a fault of it no longer matters."""
        with suppress(self._nvml.NVMLError):
            self._nvml.nvmlShutdown()

    def _read_one(self, handle: Any) -> dict[str, float]:
        nvml, values = self._nvml, dict[str, float]()
        if (use := self._value(nvml.nvmlDeviceGetUtilizationRates, handle)) is not None:
            values["util_percent"] = float(use.gpu)
        if (memory := self._value(nvml.nvmlDeviceGetMemoryInfo, handle)) is not None:
            values["memory_used_bytes"] = float(memory.used)
            values["memory_total_bytes"] = float(memory.total)
        heat = self._value(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        if heat is not None:
            values["temperature_c"] = float(heat)
        if (milliwatts := self._value(nvml.nvmlDeviceGetPowerUsage, handle)) is not None:
            values["power_w"] = round(milliwatts / 1000, 1)
        reasons = self._value(nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
        if reasons is None:  # drivers before 535 have it under its old name
            reasons = self._value(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        if reasons is not None:
            values |= self._slowdowns(reasons)
        return values

    def _value(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Calls a function of NVML; returns None where the GPU does not have this value."""
        try:
            return function(*arguments)
        except self._nvml.NVMLError as error:
            if error.value in self._absent_values:
                return None
            raise

    def _slowdowns(self, reasons: int) -> dict[str, float]:
        nvml = self._nvml
        heat = nvml.nvmlClocksEventReasonSwThermalSlowdown
        heat |= nvml.nvmlClocksEventReasonHwThermalSlowdown
        brake = nvml.nvmlClocksEventReasonHwPowerBrakeSlowdown
        is_hot = bool(reasons & heat)
        # The general bit is set with heat as well, and alone where the board draws too much.
        is_braked = bool(reasons & brake)
        is_braked |= bool(reasons & nvml.nvmlClocksEventReasonHwSlowdown) and not is_hot
        return {
            "thermal_slowdown": float(is_hot),
            "power_slowdown": float(is_braked),
            "power_capped": float(bool(reasons & nvml.nvmlClocksEventReasonSwPowerCap)),
        }
