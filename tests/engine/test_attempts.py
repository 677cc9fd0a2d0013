"""What an iteration has after attempts that end in every other way than well."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from tests.faults.runs import Hosted, MakeLoop, steps_of, told
from tests.faults.test_memory import out_of_memory
from tests.waiting import wait_until
from tui_loop.core.record.checkpoints import next_resumption
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.requests import send_request
from tui_loop.core.record.structs import Iteration
from tui_loop.engine import models, trainer
from tui_loop.engine import run_host as hosting
from tui_loop.engine.run_host import RunHost

pytestmark = pytest.mark.train

LONG: dict[str, Any] = {"max_steps": 3000, "eval_steps": 0}


def stopped(hosted: Hosted, at: int, *, save: bool = True, evaluate: bool = False) -> Iteration:
    """The summary of a run that is stopped after some steps."""
    wait_until(lambda: hosted.run.attempt > 0 and hosted.run.ended is None, "the attempt")
    hosted.trains(at).ask("stop", save=save, evaluate=evaluate)
    hosted.ends()
    return summary_of(hosted.folder)


def summary_of(folder: IterationFolder) -> Iteration:
    summary = folder.read_summary()
    assert summary is not None
    return summary


@pytest.mark.slow
def test_an_attempt_that_ends_before_its_work_keeps_what_the_iteration_had(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(training=LONG)
    folder = loop.loop.existing(loop.plan())
    first = stopped(Hosted(folder), 3, evaluate=True)
    assert first.metrics["score"] is not None
    examples, steps = folder.examples.read_bytes(), steps_of(folder)

    def down(*_: Any) -> None:
        raise OSError("planted")

    monkeypatch.setattr(models, "load_model", down)
    failed = loop.run_number(1)
    assert (failed.state, failed.attempts) == ("failed", 2)
    assert (failed.metrics, failed.fingerprint) == (first.metrics, first.fingerprint)

    host = RunHost(folder, runner="thread")
    host.terminate()
    worker = threading.Thread(target=host.run)
    worker.start()
    worker.join()
    second = summary_of(folder)
    assert (second.state, second.metrics) == ("stopped", first.metrics)
    assert folder.examples.read_bytes() == examples
    assert steps_of(folder) == steps
    assert [saved.step for saved in read_run(folder).checkpoints] == [first.metrics["steps"]]


@pytest.mark.slow
def test_a_stop_requested_while_a_resume_reads_its_checkpoint_is_applied(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(training=LONG)
    folder = loop.loop.existing(loop.plan())
    stopped(Hosted(folder), 2)
    without_end(folder)
    old = send_request(folder, "stop")  # asked of a run that was gone: void

    def slow(*arguments: Any) -> Any:
        stops.append(send_request(folder, "stop", evaluate=False))
        return next_resumption(*arguments)

    stops: list[Any] = []
    monkeypatch.setattr(hosting, "next_resumption", slow)
    hosted = Hosted(folder)
    hosted.ends()
    assert [request.attempt for request in (old, *stops)] == [1, 1]
    assert [seen.id for seen in hosted.run.requests] == [stops[0].id]
    assert summary_of(folder).state == "stopped"


@pytest.mark.slow
def test_out_of_memory_with_a_stop_pending_ends_as_stopped_and_keeps_the_checkpoints(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(training={**LONG, "save_steps": 2})
    hosted = Hosted(loop.loop.existing(loop.plan("per_device_train_batch_size=4")))
    hosts = hosted.host.control

    def stop_requested(seen: Any) -> bool:
        if seen[0].state.global_step >= 4 and not hosts.stop_requested:
            hosts.request_stop(save=True, evaluate=True)  # within the very step that fails
        return hosts.stop_requested

    monkeypatch.setattr(trainer.LoopTrainer, "compute_loss", out_of_memory(stop_requested))
    hosted.ends()
    summary, run = summary_of(hosted.folder), hosted.run
    assert (summary.state, summary.error, summary.attempts) == ("stopped", None, 1)
    assert "training ran out of memory" in told(hosted.folder)
    assert next_resumption(hosted.folder, run).step == run.checkpoints[-1].step == run.step
    assert run.recoveries == []


@pytest.mark.slow
def test_weights_that_a_later_attempt_throws_away_leave_the_step_of_those_that_are_there(
    tiny_loop: MakeLoop,
) -> None:
    loop = tiny_loop(training=LONG)
    folder = loop.loop.existing(loop.plan())
    none = stopped(Hosted(folder), 1, save=False)
    assert (none.metrics["weights_step"], folder.adapter.exists()) == (None, False)
    kept = stopped(Hosted(folder), 2)
    assert kept.metrics["weights_step"] == kept.metrics["steps"]
    weights = (folder.adapter / "adapter_model.safetensors").read_bytes()
    thrown = stopped(Hosted(folder), kept.metrics["steps"] + 2, save=False)
    assert thrown.metrics["steps"] > kept.metrics["steps"]
    assert thrown.metrics["weights_step"] == kept.metrics["steps"]
    assert (folder.adapter / "adapter_model.safetensors").read_bytes() == weights


def without_end(folder: IterationFolder) -> None:
    """Leaves a run as one whose process was killed."""
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    folder.journal.write_bytes(b"".join(lines[:-1]))
    folder.summary.unlink()
