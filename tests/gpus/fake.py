"""GPUs that this machine does not have: a compiled stand-in for NVIDIA's library reports them."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import msgspec
import pytest

from tui_loop.engine import launch
from tui_loop.engine.gpus import claim, process
from tui_loop.engine.gpus.locks import FOLDER_VARIABLE
from tui_loop.engine.gpus.share import VISIBLE

HERE = Path(__file__).parent
LIBRARY = "libnvidia-ml.so.1"
OF_A_JOB = ("SLURM_JOB_ID", "SLURM_JOB_GPUS", "SLURM_STEP_GPUS", VISIBLE)


class Card(msgspec.Struct, frozen=True):
    """A GPU: its UUID, memory in GiB, compute mode, and the (pid, GiB) of its processes."""

    uuid: str
    total: float = 80
    used: float = 1
    is_exclusive: bool = False
    processes: tuple[tuple[int, float], ...] = ()

    def line(self) -> str:
        used = " ".join(f"{pid}:{gib}" for pid, gib in self.processes)
        return f"{self.uuid} {self.total} {self.used} {int(self.is_exclusive)} {used}\n"


class FakeGpus:
    """The GPUs of a machine in a file, which programs read again at every call."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "gpus"
        self.locks = folder / "locks"
        self.show(0)

    def show(self, *cards: Card | int) -> None:
        """Shows these GPUs; a number means that many free ones, `GPU-0` and up."""
        every = [
            card
            for each in cards
            for card in (
                [Card(f"GPU-{n}") for n in range(each)] if isinstance(each, int) else [each]
            )
        ]
        new = self._file.with_suffix(".new")
        new.write_text("".join(card.line() for card in every))
        new.replace(self._file)

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which a program sees them; without those of this process's own job."""
        kept = {name: value for name, value in os.environ.items() if name not in OF_A_JOB}
        return {
            **kept,
            "FAKE_NVML": str(self._file),
            "LD_LIBRARY_PATH": str(library().parent),
            "PYTHONPATH": str(HERE / "shim"),
            FOLDER_VARIABLE: str(self.locks),
        }


@cache
def library() -> Path:
    """Compiles the stand-in; skips the test where there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    folder = Path(tempfile.mkdtemp(prefix="fake-nvml-"))
    made = folder / LIBRARY
    options: Sequence[str] = ("-shared", "-fPIC", "-Wall", "-Werror", f"-Wl,-soname,{LIBRARY}")
    subprocess.run([compiler, *options, "-o", str(made), str(HERE / "fake_nvml.c")], check=True)
    return made


@pytest.fixture
def gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeGpus:
    """GPUs for this process and for the programs that it starts with their `environment`."""
    pytest.importorskip("pynvml")
    ctypes.CDLL(str(library()))  # later loads by its name find it
    folder = tmp_path / "machine"
    folder.mkdir()
    folder.chmod(0o755)
    fake = FakeGpus(folder)
    for name in OF_A_JOB:
        monkeypatch.delenv(name, raising=False)
    for name in ("FAKE_NVML", FOLDER_VARIABLE):
        monkeypatch.setenv(name, fake.environment[name])
    for module in (claim, process):
        monkeypatch.setattr(module, "uses_cuda", lambda: True)
    monkeypatch.setattr(process, "_chosen", [])
    monkeypatch.setattr(launch, "_replaced", {})
    return fake
