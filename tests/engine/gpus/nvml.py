"""A stand-in for the module `pynvml`, with GPUs and faults that this machine does not have."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tests.waiting import PATIENCE_SECONDS

GIB = 2**30


class Gpu(msgspec.Struct):
    """A GPU as NVML describes it; `power` in mW, `reasons` as bits."""

    uuid: str
    use: int = 90
    used: int = 40 * GIB
    total: int = 80 * GIB
    heat: int = 60
    power: int = 300_500
    reasons: int = 0


class _Struct:
    def __init__(self, **values: int) -> None:
        self.__dict__ |= values


class FakeNvml:
    """The functions of `pynvml` that the program calls, over a list of GPUs.

    `faults`: an error code by function name, and by GPU where the name is followed by its number:
    {"nvmlDeviceGetPowerUsage": 3, "nvmlDeviceGetUtilizationRates 1": 15}.
    `hanging`: a function that waits until `release` is set.
    """

    NVML_ERROR_NOT_SUPPORTED = 3
    NVML_ERROR_NO_PERMISSION = 4
    NVML_ERROR_NOT_FOUND = 6
    NVML_ERROR_LIBRARY_NOT_FOUND = 12
    NVML_ERROR_FUNCTION_NOT_FOUND = 13
    NVML_ERROR_GPU_IS_LOST = 15
    NVML_TEMPERATURE_GPU = 0
    nvmlClocksEventReasonSwPowerCap = 0x4  # noqa: N815
    nvmlClocksEventReasonHwSlowdown = 0x8  # noqa: N815
    nvmlClocksEventReasonSwThermalSlowdown = 0x20  # noqa: N815
    nvmlClocksEventReasonHwThermalSlowdown = 0x40  # noqa: N815
    nvmlClocksEventReasonHwPowerBrakeSlowdown = 0x80  # noqa: N815

    class NVMLError(Exception):
        def __init__(self, value: int) -> None:
            super().__init__(f"NVML error {value}")
            self.value = value

    def __init__(self, *gpus: Gpu) -> None:
        self.gpus = list(gpus)
        self.faults: dict[str, int] = {}
        self.hanging = ""
        self.reached, self.release = threading.Event(), threading.Event()
        self.calls: list[str] = []
        for name, read in _READINGS.items():
            setattr(self, name, self._reading(name, read))

    def nvmlInit(self) -> None:  # noqa: N802
        self._enter("nvmlInit")

    def nvmlShutdown(self) -> None:  # noqa: N802
        self._enter("nvmlShutdown")

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:  # noqa: N802
        self._enter("nvmlDeviceGetHandleByIndex")
        if index >= len(self.gpus):
            raise self.NVMLError(self.NVML_ERROR_NOT_FOUND)
        return index

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> int:  # noqa: N802
        self._enter("nvmlDeviceGetHandleByUUID")
        for index, gpu in enumerate(self.gpus):
            if gpu.uuid == uuid:
                return index
        raise self.NVMLError(self.NVML_ERROR_NOT_FOUND)

    def _reading(self, name: str, read: Callable[[Gpu], Any]) -> Callable[..., Any]:
        def call(handle: int, *_: Any) -> Any:
            self._enter(name, handle)
            return read(self.gpus[handle])

        return call

    def _enter(self, name: str, handle: int | None = None) -> None:
        self.calls.append(name)
        if name == self.hanging:
            self.reached.set()
            self.release.wait(PATIENCE_SECONDS)
        for key in (name, f"{name} {handle}"):
            if key in self.faults:
                raise self.NVMLError(self.faults[key])


_READINGS: dict[str, Callable[[Gpu], Any]] = {
    "nvmlDeviceGetUtilizationRates": lambda gpu: _Struct(gpu=gpu.use, memory=1),
    "nvmlDeviceGetMemoryInfo": lambda gpu: _Struct(used=gpu.used, total=gpu.total, free=0),
    "nvmlDeviceGetTemperature": lambda gpu: gpu.heat,
    "nvmlDeviceGetPowerUsage": lambda gpu: gpu.power,
    "nvmlDeviceGetCurrentClocksEventReasons": lambda gpu: gpu.reasons,
    "nvmlDeviceGetCurrentClocksThrottleReasons": lambda gpu: gpu.reasons,
}


def installed(monkeypatch: pytest.MonkeyPatch, *gpus: Gpu) -> FakeNvml:
    """Makes `import pynvml` give a fake with these GPUs."""
    fake = FakeNvml(*gpus)
    monkeypatch.setitem(__import__("sys").modules, "pynvml", fake)
    return fake
