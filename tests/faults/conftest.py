"""Iterations to bring faults about in, without any training."""

from __future__ import annotations

import os
import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from tests.core.conftest import example, finished, loop, loops
from tests.engine.conftest import tiny_loop
from tui_loop.core.record.events import MetricsLogged, PhaseStarted, RunStarted
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.workflow.plan import create_iteration, plan_next

__all__ = ["example", "finished", "loop", "loops", "tiny_loop"]

FullDisk = Callable[..., AbstractContextManager[None]]


@pytest.fixture
def queued(loop: LoopFolder) -> IterationFolder:
    """Iteration 1 of `loop`, created and not begun."""
    return create_iteration(loop, plan_next(loop, parent=None, settings=[], why="try"), {})


@pytest.fixture
def full_disk() -> FullDisk:
    """A context in which no file can grow beyond `room` bytes, as on a full disk."""

    @contextmanager
    def limited(room: int = 0) -> Iterator[None]:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


def begin(journal: Journal, attempt: int = 1) -> Journal:
    """Writes a run's first events."""
    journal.append(
        RunStarted(loop="intents", iteration=1, attempt=attempt, pid=os.getpid(), host="h")
    )
    journal.append(PhaseStarted(name="training"))
    return journal


def step(number: int) -> MetricsLogged:
    """The log of a training step."""
    return MetricsLogged(step=number, epoch=number / 10, values={"loss": 1.0 / (number + 1)})
