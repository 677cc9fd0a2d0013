"""Requests that fail during a pause."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.config.schema import Training
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.requests import Request, RequestName
from tui_loop.core.record.state import RunState, fold
from tui_loop.engine.journal_callback import JournalCallback
from tui_loop.engine.memory import OutOfMemory
from tui_loop.engine.run_control import RunControl

pytestmark = pytest.mark.train


class Trainer:
    """Raises what is planted when it is to evaluate, and counts its checkpoints."""

    def __init__(self, planted: Exception) -> None:
        self.planted, self.saved, self.evaluated = planted, threading.Event(), 0

    def evaluate(self) -> None:
        self.evaluated += 1
        raise self.planted

    def save_now(self) -> None:
        self.saved.set()

    def begin_step(self) -> None:
        """Nothing accumulates here."""


class Paused:
    """A callback in a pause, in a thread; `raised` is what left it."""

    def __init__(self, path: Path, planted: Exception) -> None:
        self.path, self.raised = path, list[Exception]()
        self.journal, self.control = Journal(path), RunControl()
        self.trainer = Trainer(planted)
        callback = JournalCallback(
            self.journal, self.control, Training(), vocabulary=9, stops_on_divergence=True
        )
        callback.trainer = self.trainer
        self.ask("pause")
        self.thread = threading.Thread(target=self._rest, args=(callback.on_step_begin,))
        self.thread.start()

    def ask(self, name: RequestName) -> None:
        self.control.submit(Request(name, 1, name))

    def lines(self) -> list[str]:
        self.journal.close()
        return [line.text for line in fold(RunState(), Follower(self.path).read_all()).lines]

    def _rest(self, step_begins: Callable[..., Any]) -> None:
        try:
            step_begins(None, None, None)
        except Exception as error:
            self.raised.append(error)


def test_each_request_that_fails_in_a_pause_is_logged_and_the_pause_lasts(
    tmp_path: Path,
) -> None:
    paused = Paused(tmp_path / "journal.jsonl", ValueError("planted"))
    for _ in range(2):
        paused.trainer.saved.clear()
        paused.ask("evaluate")
        paused.ask("checkpoint")
        assert paused.trainer.saved.wait(PATIENCE_SECONDS)  # after the fault
    assert paused.thread.is_alive()
    paused.ask("continue")
    paused.thread.join(PATIENCE_SECONDS)
    assert paused.raised == []
    line = "request evaluate failed during the pause: ValueError: planted"
    assert paused.lines() == [line] * paused.trainer.evaluated
    assert paused.trainer.evaluated == 2


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        OutOfMemory("CUDA out of memory"),
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered"),
    ],
)
def test_a_fault_of_the_device_in_a_pause_ends_the_attempt(
    tmp_path: Path, error: Exception
) -> None:
    paused = Paused(tmp_path / "journal.jsonl", error)
    paused.ask("evaluate")
    paused.thread.join(PATIENCE_SECONDS)
    assert paused.raised == [error]
    assert paused.lines() == []
