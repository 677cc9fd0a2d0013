"""Samples the machine while a run works, in a thread of its own, and writes the samples to the
journal.

No fault of a reading ends or slows a run. Each is noted once in its log, and its values are absent.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tui_loop.core.record.events import LineLogged, SystemSampled
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.text.secrets import redacted
from tui_loop.engine.gpus.readings import Gpus, gpu_ids

SAMPLE_SECONDS = 10.0
"""A run of a day has 8,640 samples, 4 MB of its journal, and a shortage of memory or of GPU use is
still seen within a minute."""

FIRST_SECONDS = 0.5
"""CPU use is a mean over an interval: the first sample comes this long after the start."""

CPU_SECONDS = 0.4
"""CPU times are counted in steps of 10 ms: over a shorter interval the use would be a guess."""

SLOW_SECONDS = 5.0
"""NVML answers within some milliseconds. A driver that needs this long is in trouble, and is left
alone from then on. Waiting for the interpreter's lock takes less."""

END_SECONDS = 1.0
"""The end of a run waits at most so long for the last sample."""


class SystemSampler:
    """Appends a sample of the machine to `journal` every SAMPLE_SECONDS within `with`.

    The last one comes at its end. Nothing is appended after it, even if a reading still hangs.
    """

    def __init__(
        self, journal: Journal, folder: IterationFolder, gpu_ids: Sequence[str] = ()
    ) -> None:
        """`gpu_ids`: the UUIDs of the run's GPUs, where they are known before it begins."""
        self._journal, self._folder = journal, folder
        self._ending = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False
        self._noted: set[str] = set()
        self._gpu_ids = list(gpu_ids)
        self._gpus: Gpus | None = None
        self._thread = threading.Thread(target=self._sample_loop, name="system", daemon=True)

    def __enter__(self) -> SystemSampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join(END_SECONDS)
        if self._thread.is_alive():
            self._note("system metrics ended early: a hardware query hung")
        with self._lock:
            self._is_over = True

    def note_device(self, device: Any) -> None:
        """Samples the GPU of a `torch.device` from now on; call it once CUDA is in use."""
        self._gpu_ids = self._gpu_ids or gpu_ids(device)

    def _sample_loop(self) -> None:
        try:
            machine = Machine(self._folder, self._note)
            wait = FIRST_SECONDS
            while True:
                is_last = self._ending.wait(wait)
                values = machine.read() | self._read_gpus()
                with self._lock:
                    if not self._is_over:
                        self._journal.append(SystemSampled(values=values))
                if is_last:
                    break
                wait = SAMPLE_SECONDS
            if self._gpus is not None:
                self._gpus.close()
        except Exception as error:  # an edge: samples are no condition of a run
            self._note(f"system metrics are no longer recorded: {type(error).__name__}: {error}")

    def _read_gpus(self) -> dict[str, float]:
        """Returns the values of the GPUs; after a fault of NVML they are left out for good."""
        if not self._gpu_ids:
            return {}
        try:
            if self._gpus is None:
                self._gpus = Gpus(self._gpu_ids, self._note)
            began = time.monotonic()
            values = self._gpus.read()
            seconds = time.monotonic() - began
        except Exception as error:  # pynvml raises what its library and its loader do
            reason = str(error) or type(error).__name__
        else:
            if seconds <= SLOW_SECONDS:
                return values
            reason = f"NVML took {seconds:.0f} s"
        self._gpu_ids = []
        self._note(f"GPU metrics are not recorded: {reason}")
        return {}

    def _note(self, text: str) -> None:
        """Logs a text once."""
        with self._lock:
            if text not in self._noted and not self._is_over:
                self._noted.add(text)
                line = LineLogged(level="info", source="system", text=redacted(text))
                self._journal.append(line)


class Machine:
    """Reads CPU, memory and disk; a value that cannot be read is left out and noted."""

    def __init__(self, folder: IterationFolder, note: Callable[[str], None]) -> None:
        import psutil

        self._psutil, self._folder, self._note = psutil, folder, note
        self._process = psutil.Process()
        self._cpu_at = time.monotonic()
        self._attempt(self._cpu)  # the start of the first interval

    def read(self) -> dict[str, float]:
        values: dict[str, float] = {}
        now = time.monotonic()
        if now - self._cpu_at >= CPU_SECONDS:
            self._cpu_at = now
            values |= self._attempt(self._cpu)
        for reading in (self._memory, self._swap, self._disk):
            values |= self._attempt(reading)
        return values

    def _attempt(self, reading: Callable[[], dict[str, float]]) -> dict[str, float]:
        try:
            return reading()
        except Exception as error:  # psutil parses files that each system writes differently
            name = reading.__name__.strip("_")
            self._note(f"metrics of {name} are not recorded: {type(error).__name__}: {error}")
            return {}

    def _cpu(self) -> dict[str, float]:
        return {
            "cpu_percent": self._psutil.cpu_percent(),
            "process_cpu_percent": round(self._process.cpu_percent(), 1),
        }

    def _memory(self) -> dict[str, float]:
        memory = self._psutil.virtual_memory()
        return {
            "rss_bytes": float(self._process.memory_info().rss),
            "memory_used_bytes": float(memory.total - memory.available),
            "memory_total_bytes": float(memory.total),
        }

    def _swap(self) -> dict[str, float]:
        return {"swap_used_bytes": float(self._psutil.swap_memory().used)}

    def _disk(self) -> dict[str, float]:
        return {"disk_free_bytes": float(shutil.disk_usage(self._folder.path).free)}
