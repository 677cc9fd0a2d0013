"""Lists the GPUs of this machine as NVML reports them, with their free memory and processes.

`pynvml` is imported when they are listed. On a GPU in MIG mode, each of its slices counts as a GPU.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

NAME_CELLS = 40


class GpusUnreadable(BadInput):
    """NVML is missing or does not answer; the message says which."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the GPUs of this machine cannot be listed: {reason}",
            "without run.gpus, a run uses the device that PyTorch finds",
        )


class GpuProcess(msgspec.Struct, frozen=True):
    """A process that uses a GPU; `used_bytes` is None where the driver does not report it."""

    pid: int
    used_bytes: int | None


class Gpu(msgspec.Struct, frozen=True):
    """A GPU at one moment. `index`: NVML's number, which nvidia-smi shows, too.

    `processes`: without this process, whose memory counts as free. `is_exclusive`: its compute mode
    allows a single process.
    """

    index: int
    uuid: str
    name: str
    total_bytes: int
    free_bytes: int
    processes: tuple[GpuProcess, ...] = ()
    is_exclusive: bool = False


def list_gpus() -> list[Gpu]:
    """Returns all GPUs in NVML's order; raises GpusUnreadable."""
    try:
        import pynvml
    except ImportError as error:
        raise GpusUnreadable("nvidia-ml-py is not installed") from error
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        no_driver = pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED
        reason = "no NVIDIA driver is loaded" if error.value in no_driver else f"NVML: {error}"
        raise GpusUnreadable(reason) from error
    try:
        read = [_value(pynvml, _read, pynvml, *each) for each in _devices(pynvml)]
        return [gpu for gpu in read if gpu is not None]  # a GPU that is lost hides no other
    except pynvml.NVMLError as error:
        raise GpusUnreadable(f"NVML: {error}") from error
    finally:
        with suppress(pynvml.NVMLError):
            pynvml.nvmlShutdown()


def _devices(nvml: Any) -> Iterator[tuple[int, Any]]:
    """Yields (index, handle) of every GPU, and of every slice where a GPU is in MIG mode."""
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = _value(nvml, nvml.nvmlDeviceGetHandleByIndex, index)
        if handle is None:
            continue
        mode = _value(nvml, nvml.nvmlDeviceGetMigMode, handle)
        if not mode or mode[0] != nvml.NVML_DEVICE_MIG_ENABLE:
            yield index, handle
            continue
        for place in range(_value(nvml, nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            # a place without a slice is an error of its own
            part = _value(nvml, nvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, place)
            if part is not None:
                yield index, part


def _read(nvml: Any, index: int, handle: Any) -> Gpu:
    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    running = _value(nvml, nvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
    own = [each for each in running if each.pid == os.getpid()]
    mode = _value(nvml, nvml.nvmlDeviceGetComputeMode, handle)
    return Gpu(
        index=index,
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=one_line(_text(_value(nvml, nvml.nvmlDeviceGetName, handle) or "GPU"), NAME_CELLS),
        total_bytes=memory.total,
        free_bytes=memory.free + sum(each.usedGpuMemory or 0 for each in own),
        processes=tuple(
            GpuProcess(each.pid, each.usedGpuMemory) for each in running if each.pid != os.getpid()
        ),
        is_exclusive=mode is not None and mode != nvml.NVML_COMPUTEMODE_DEFAULT,
    )


def _value(nvml: Any, function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls a function of NVML; returns None where this GPU or driver has no answer."""
    try:
        return function(*arguments)
    except (nvml.NVMLError, nvml.NVMLLibraryMismatchError):
        return None


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


def named(gpus: Sequence[Gpu], entry: str) -> Gpu | None:
    """Returns the GPU that `entry` names: an index, or the start of a UUID that no other has."""
    if entry.isdecimal():
        found = [gpu for gpu in gpus if gpu.index == int(entry)]
    else:
        found = [gpu for gpu in gpus if entry and gpu.uuid.lower().startswith(entry.lower())]
    return found[0] if len(found) == 1 else None
