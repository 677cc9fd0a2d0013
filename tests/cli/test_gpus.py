"""Runs on a box with GPUs that are shared, with real processes and a stand-in for NVML."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.gpus.fake import Card, FakeGpus, gpus
from tests.small_loop import small_loop, small_settings
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import live_numbers, send_request
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import add, queued_plan, read_queue
from tui_loop.engine.gpus.locks import owner_of

__all__ = ["gpus"]

pytestmark = pytest.mark.train

NAME = "night"
SMALL = small_settings(max_steps=2)
ENDLESS = "training.max_steps=1000000"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    """A loop of 20 rows without iterations; the test's folder is the current one."""
    monkeypatch.chdir(tmp_path)
    return small_loop(tmp_path, NAME, SMALL)


@pytest.fixture
def start(loop: LoopFolder, gpus: FakeGpus) -> Any:
    """Starts `tui-loop`; what still runs at the end is killed."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "tui_loop", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**gpus.environment, "PYTHONSAFEPATH": "1", **variables},
        )
        started.append(process)
        return process

    yield begin
    for folder in map(loop.iteration, loop.numbers()):
        run = read_run(folder)
        if run.started is not None and run.ended is None:
            _kill(run.started.pid)
    for process in started:
        _kill(process.pid)
        process.communicate()


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def used(folder: IterationFolder) -> list[str]:
    """The UUIDs of the GPUs that a run has claimed, [] before it has started."""
    if not folder.path.is_dir():
        return []
    run = read_run(folder)
    return [gpu.uuid for gpu in run.started.gpus] if run.started is not None else []


def test_a_run_records_its_gpu_and_samples_it_and_status_shows_it(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(Card("GPU-a", used=70, processes=((1, 69),)), Card("GPU-b", used=2))
    run = start("run", NAME, "--set", ENDLESS)
    folder = loop.iteration(1)
    wait_until(lambda: used(folder) and read_run(folder).system, "a sample of its GPU")
    assert used(folder) == ["GPU-b"]
    values = read_run(folder).system[-1].values
    assert values["gpu0.memory_total_bytes"] == 80 * 2**30
    assert values["gpu0.memory_used_bytes"] == 2 * 2**30
    out, _ = start("status", NAME, "--json").communicate()
    [record] = json.loads(out)["runs"]
    assert record["gpus"] == [{"index": 1, "uuid": "GPU-b", "name": "Fake GPU"}]
    out, _ = start("status", NAME).communicate()
    assert "GPU 1" in out
    out, _ = start("doctor", "--json").communicate()
    busy, mine = json.loads(out)["gpus"]
    assert "70.0 GiB of 80.0 GiB in use by " in busy["use"]
    assert mine["use"].startswith(f"run {NAME}/1 of ")
    send_request(folder, "stop", evaluate=False)
    assert run.wait(PATIENCE_SECONDS) == 3
    assert owner_of("GPU-b") is None


def test_a_run_that_may_not_wait_is_refused_and_nothing_is_left_of_it(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(Card("GPU-a", used=70, processes=((1, 69),)))
    run = start("run", NAME, "--set", "run.gpu_wait=0")
    _, error = run.communicate()
    assert run.returncode == 2
    assert "run.gpus: no GPU is free: GPU 0: 70.0 GiB of 80.0 GiB in use by " in error
    assert "--set run.gpu_wait=unset" in error
    assert loop.numbers() == []


@pytest.mark.slow
def test_a_run_waits_names_whose_the_gpu_is_and_begins_when_it_is_free(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(1)
    first = start("run", NAME, "--set", ENDLESS)
    wait_until(lambda: used(loop.iteration(1)), "the first run")
    second = start("run", NAME, "--set", "training.max_steps=2")
    folder = loop.iteration(2)
    wait_until(
        lambda: folder.journal.exists() and read_run(folder).phase == "waiting for a GPU",
        "the wait of the second run",
    )
    [record] = [each for each in _status(start) if each["iteration"] == 2]
    assert record["phase"] == "waiting for a GPU"
    assert record["waits_for"].startswith(f"GPU 0: run {NAME}/1 of ")
    assert used(folder) == []
    send_request(loop.iteration(1), "stop", evaluate=False)
    assert first.wait(PATIENCE_SECONDS) == 3
    assert second.wait(PATIENCE_SECONDS) == 0
    assert used(folder) == ["GPU-0"]
    assert iteration_of(folder).state == "finished"


@pytest.mark.slow
def test_a_stop_ends_the_wait_and_the_iteration_is_a_draft_again(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(Card("GPU-a", used=70))
    run = start("run", NAME)
    folder = loop.iteration(1)
    wait_until(
        lambda: folder.journal.exists() and read_run(folder).phase == "waiting for a GPU",
        "the wait",
    )
    stop = start("stop", NAME)
    assert stop.wait(PATIENCE_SECONDS) == 0
    assert run.wait(PATIENCE_SECONDS) == 3
    assert iteration_of(folder).state != "running" if folder.path.exists() else loop.draft.exists()


@pytest.mark.slow
def test_kill_9_of_a_run_gives_its_gpu_to_the_one_that_waits(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(1)
    start("run", NAME, "--set", ENDLESS)
    wait_until(lambda: used(loop.iteration(1)), "the first run")
    second = start("run", NAME, "--set", "training.max_steps=2")
    folder = loop.iteration(2)
    wait_until(
        lambda: folder.journal.exists() and read_run(folder).phase == "waiting for a GPU",
        "the wait of the second run",
    )
    first = read_run(loop.iteration(1)).started
    assert first is not None
    os.kill(first.pid, signal.SIGKILL)
    assert second.wait(PATIENCE_SECONDS) == 0
    assert used(folder) == ["GPU-0"]


@pytest.mark.slow
def test_named_gpus_and_their_share_are_checked_before_anything_starts(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(2)
    for setting, said in (
        ("run.gpus=[5]", "this machine has no GPU 5"),
        ("run.gpus=[0]", "GPU 0 is not available here: CUDA_VISIBLE_DEVICES allows only 1"),
        ("run.gpus=2", "2 GPUs are wanted, but CUDA_VISIBLE_DEVICES allows only 1"),
    ):
        run = start("run", NAME, "--set", setting, CUDA_VISIBLE_DEVICES="1")
        _, error = run.communicate()
        assert (run.returncode, said in error) == (2, True), error
    assert loop.numbers() == []
    run = start("run", NAME, "--set", "run.gpus=[1]", CUDA_VISIBLE_DEVICES="1")
    assert run.wait(PATIENCE_SECONDS) == 0
    assert used(loop.iteration(1)) == ["GPU-1"]


def _status(start: Start) -> list[dict[str, Any]]:
    out, _ = start("status", NAME, "--json").communicate()
    runs: list[dict[str, Any]] = json.loads(out)["runs"]
    return runs


def queue_up(loop: LoopFolder, count: int, *settings: str) -> None:
    """Queues drafts that differ in their seeds."""
    plan = plan_next(loop, parent=None, settings=list(settings), why="a night")
    add(loop, *(queued_plan(each) for each in replicates(loop, plan, count)))


def overlaps(loop: LoopFolder) -> list[tuple[int, int]]:
    """The pairs of iterations that had one GPU at the same time."""
    spans = []
    for number in loop.numbers():
        run = read_run(loop.iteration(number))
        if run.started is not None and run.ended is not None:
            uuids = {gpu.uuid for gpu in run.started.gpus}
            spans.append((number, run.started.t, run.ended.t, uuids))
    return [
        (a, b)
        for place, (a, a_from, a_to, a_gpus) in enumerate(spans)
        for b, b_from, b_to, b_gpus in spans[:place]
        if a_gpus & b_gpus and a_from < b_to and b_from < a_to
    ]


@pytest.mark.slow
def test_six_drafts_run_on_three_gpus_and_a_failure_stops_no_other(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(Card("GPU-x", used=70), 3)
    queue_up(loop, 2, "training.max_steps=60")
    queue_up(loop, 1, "training.learning_rate=1e30", "training.optim=sgd", "training.max_steps=30")
    queue_up(loop, 3, "training.max_steps=62")
    run = start("queue", NAME, "--run", "--parallel", "gpus", "--json")
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, sum(len(used(folder)) for folder in live(loop)))
        return run.poll() is not None

    wait_until(is_over, "the end of the queue")
    out, error = run.communicate()
    record = json.loads(out)
    assert [each["number"] for each in record["iterations"] if each["state"] == "failed"] == [3]
    assert sorted(each["number"] for each in record["iterations"]) == [1, 2, 3, 4, 5, 6]
    assert (run.returncode, record["waiting"], record["refused"]) == (1, 0, []), error
    assert overlaps(loop) == []
    assert {used(loop.iteration(n))[0] for n in loop.numbers()} == {"GPU-0", "GPU-1", "GPU-2"}
    assert most >= 2
    ledger = loop.ledger.read_text().splitlines()
    assert [line.split(",")[2] for line in ledger[1:]] == [
        iteration_of(loop.iteration(number)).state for number in loop.numbers()
    ]


@pytest.mark.slow
def test_a_stop_of_the_loop_ends_all_its_runs_and_the_queue(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(2)
    queue_up(loop, 4, ENDLESS)
    run = start("queue", NAME, "--run", "--parallel", "2")
    wait_until(lambda: len(live(loop)) == 2 and all(map(used, live(loop))), "two runs")
    out, _ = start("queue", NAME, "--json").communicate()
    assert json.loads(out)["live"] == [1, 2]
    assert start("stop", NAME, "--no-save").wait(PATIENCE_SECONDS) == 0
    assert run.wait(PATIENCE_SECONDS) == 3
    assert loop.numbers() == [1, 2]
    assert len(read_queue(loop)) == 2
    assert [iteration_of(loop.iteration(number)).state for number in (1, 2)] == ["stopped"] * 2


@pytest.mark.slow
def test_a_stop_of_one_run_ends_neither_the_other_nor_the_queue(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(2)
    queue_up(loop, 2, ENDLESS)
    queue_up(loop, 1)
    run = start("queue", NAME, "--run", "--parallel", "2")
    wait_until(lambda: len(live(loop)) == 2 and all(map(used, live(loop))), "two runs")
    assert start("stop", f"{NAME}/1", "--no-save").wait(PATIENCE_SECONDS) == 0
    third = loop.iteration(3)
    wait_until(
        lambda: third.path.exists() and iteration_of(third).state == "finished", "the third run"
    )
    assert iteration_of(loop.iteration(2)).state == "running"
    run.send_signal(signal.SIGINT)
    assert run.wait(PATIENCE_SECONDS) == 3
    assert iteration_of(loop.iteration(2)).state == "stopped"
    assert (loop.iteration(2).path / "adapter").is_dir()  # saved, as an interrupt asks


@pytest.mark.slow
def test_without_gpus_the_slots_are_cpu_slots(
    gpus: FakeGpus, loop: LoopFolder, start: Start
) -> None:
    gpus.show(0)
    queue_up(loop, 3, "training.max_steps=40")
    run = start("queue", NAME, "--run", "--parallel", "2", "--json")
    most = 0

    def is_over() -> bool:
        nonlocal most
        most = max(most, len(live(loop)))
        return run.poll() is not None

    wait_until(is_over, "the end of the queue")
    assert (run.returncode, most) == (0, 2)
    assert [used(loop.iteration(number)) for number in loop.numbers()] == [[], [], []]


def live(loop: LoopFolder) -> list[IterationFolder]:
    return [loop.iteration(number) for number in live_numbers(loop)]
