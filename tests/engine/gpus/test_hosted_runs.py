"""A run host claims its GPUs before it imports the training stack, and gives them back."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

import pytest

from tests.engine.conftest import TinyLoop
from tests.engine.test_hosted_runs import created, files_in
from tests.gpus.fake import Card, FakeGpus
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import send_request
from tui_loop.engine import launch
from tui_loop.engine.gpus.claim import GpuRequest, claim
from tui_loop.engine.gpus.locks import is_locked
from tui_loop.engine.gpus.share import VISIBLE
from tui_loop.engine.host import HostedRuns
from tui_loop.engine.preflight import gate

pytestmark = pytest.mark.train


@pytest.fixture(autouse=True)
def _own_variables(monkeypatch: pytest.MonkeyPatch, gpus: FakeGpus) -> None:
    """What a run hides from its process is visible again after the test."""
    monkeypatch.setenv(VISIBLE, "0,1,2")


def phase_of(folder: IterationFolder) -> str | None:
    return read_run(folder).phase if folder.journal.exists() else None


def test_a_run_without_a_free_gpu_is_refused_and_leaves_nothing_behind(
    tiny_loop: Callable[..., TinyLoop], gpus: FakeGpus
) -> None:
    gpus.show(Card("GPU-a", used=70))
    loop = tiny_loop().loop
    before = files_in(loop.path)
    runs = HostedRuns(created(loop, "run.gpu_wait=0"), runner="thread")
    assert runs.run() == "failed"
    assert [each.kind for each in runs.refusal] == ["gpus"]
    assert "no GPU is free" in runs.refusal[0].message
    assert files_in(loop.path) == before


def test_the_gate_runs_on_the_claimed_gpu_and_children_see_all(
    tiny_loop: Callable[..., TinyLoop], gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus.show(3)
    seen: list[tuple[str, str, bool]] = []

    def look(*args: object, **more: object) -> list[CheckResult]:
        theirs = launch.original_environment()[VISIBLE]
        seen.append((os.environ[VISIBLE], theirs, is_locked("GPU-2")))
        raise KeyError("enough")

    monkeypatch.setattr(gate, "check_run", look)
    HostedRuns(created(tiny_loop().loop, "run.gpus=[2]"), runner="thread").run()
    assert seen == [("GPU-2", "0,1,2", True)]
    assert not is_locked("GPU-2")


def test_a_stop_ends_the_wait_for_a_gpu(tiny_loop: Callable[..., TinyLoop], gpus: FakeGpus) -> None:
    gpus.show(1)
    other = claim(GpuRequest(), "other/1")
    folders = created(tiny_loop().loop)
    states: list[str] = []
    runs = HostedRuns(folders, runner="thread")
    thread = threading.Thread(target=lambda: states.append(runs.run()))
    thread.start()
    wait_until(lambda: phase_of(folders[-1]) == "waiting for a GPU", "the wait")
    lines = [line.text for line in read_run(folders[-1]).lines]
    assert lines[0] == "no GPU is free"
    assert lines[1].startswith("GPU 0: run other/1 of ")
    send_request(folders[-1], "stop")
    thread.join(PATIENCE_SECONDS)
    assert states == ["stopped"]
    other.release()
    assert not is_locked("GPU-0")


def test_a_termination_ends_the_wait_for_a_gpu(
    tiny_loop: Callable[..., TinyLoop], gpus: FakeGpus
) -> None:
    gpus.show(Card("GPU-a", used=70))
    folders = created(tiny_loop().loop)
    runs = HostedRuns(folders, runner="thread")
    states: list[str] = []
    thread = threading.Thread(target=lambda: states.append(runs.run()))
    thread.start()
    wait_until(lambda: phase_of(folders[-1]) == "waiting for a GPU", "the wait")
    runs.terminate()
    thread.join(PATIENCE_SECONDS)
    assert states == ["stopped"]
