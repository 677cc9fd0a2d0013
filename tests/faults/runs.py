"""Real runs on the tiny base, in a thread of this process or in one that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import torch

from tests.engine.conftest import TinyLoop
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import RequestName, append_request
from tui_loop.core.record.state import RunState
from tui_loop.engine.run_host import RunHost

MakeLoop = Callable[..., TinyLoop]


class Hosted:
    """A run in a thread of this process."""

    def __init__(self, folder: IterationFolder) -> None:
        self.folder = folder
        self.host = RunHost(folder, runner="thread")
        self.thread = threading.Thread(target=self.host.run)
        self.thread.start()

    @property
    def run(self) -> RunState:
        return read_run(self.folder)

    def trains(self, steps: int = 1) -> Hosted:
        wait_until(lambda: self.run.step >= steps, f"step {steps}")
        return self

    def ask(self, name: RequestName, *, save: bool = True, evaluate: bool = False) -> str:
        return append_request(
            self.folder.requests, self.run.attempt, name, save=save, evaluate=evaluate
        ).id

    def hears(self, request: str) -> None:
        wait_until(lambda: any(seen.id == request for seen in self.run.requests), "an answer")

    def ends(self) -> None:
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive()


def steps_of(folder: IterationFolder) -> list[int]:
    return [point.step for point in read_run(folder).metrics]


def told(folder: IterationFolder) -> str:
    return " | ".join(line.text for line in read_run(folder).lines)


def weights_are_finite(folder: IterationFolder) -> list[bool]:
    from safetensors.torch import load_file

    saved = load_file(folder.adapter / "adapter_model.safetensors")
    assert saved
    return [bool(torch.isfinite(each).all()) for each in saved.values()]


def kill_in(loop: TinyLoop, ready: Callable[[RunState], object]) -> IterationFolder:
    """Begins the next iteration in a process of its own and kills that when `ready`."""
    folder = loop.loop.existing(loop.plan())
    command = [sys.executable, "-m", "tui_loop.engine.host", str(loop.loop.path), "1"]
    with folder.output.open("ab") as output:
        host = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: ready(read_run(folder)), "the moment to kill it")
    finally:
        os.kill(host.pid, signal.SIGKILL)
        host.wait()
    return folder
