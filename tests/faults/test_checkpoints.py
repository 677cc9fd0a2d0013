"""Going on from checkpoints: exactly, and never from one that is not whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.kit import Outcome
from tests.faults.runs import (
    MakeLoop,
    kill_in,
    steps_of,
)
from tui_loop.core.record.checkpoints import next_resumption
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.engine import journal_callback

pytestmark = [pytest.mark.train, pytest.mark.slow]


RESUMED: dict[str, Any] = {
    "training": {
        "max_steps": 60,
        "per_device_train_batch_size": 4,
        "gradient_accumulation_steps": 2,
        "eval_steps": 15,
        "save_steps": 8,
        "keep": "best",
    },
    "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.1},
}


@pytest.mark.slow
@pytest.mark.fault(
    "a run's process is killed with SIGKILL, then resumed",
    group="checkpoints",
    state="finished",
    readable="each step once, with the losses of a run that was not killed",
)
def test_a_resumed_run_equals_one_that_was_never_interrupted(
    tiny_loop: MakeLoop, outcome: Outcome
) -> None:
    whole = tiny_loop(**RESUMED)
    expected = whole.run()
    loop = tiny_loop(**RESUMED)
    folder = kill_in(loop, lambda run: run.step >= 20)
    assert iteration_of(folder).state == "interrupted"
    summary = loop.run_number(1)
    run, uninterrupted = read_run(folder), read_run(whole.loop.iteration(1))
    assert run.attempt == 2
    assert run.started is not None
    assert run.started.from_step in (16, 24, 32, 40)
    assert steps_of(folder) == list(range(1, 61))
    for name in ("loss", "grad_norm", "learning_rate", "num_tokens"):
        assert [point.values[name] for point in run.metrics] == pytest.approx(
            [point.values[name] for point in uninterrupted.metrics], abs=1e-5
        )
    assert [each.step for each in run.evaluations] == [
        each.step for each in uninterrupted.evaluations
    ]
    assert [each.values["eval_loss"] for each in run.evaluations] == pytest.approx(
        [each.values["eval_loss"] for each in uninterrupted.evaluations], abs=1e-5
    )
    for name in ("train_loss", "eval_loss", "score", "weights_step"):
        assert summary.metrics[name] == pytest.approx(expected.metrics[name], abs=1e-5)
    assert sorted(folder.evals.iterdir())[0].name == "15.jsonl"
    outcome(folder)


def _torn(files: dict[str, Path]) -> list[tuple[str, Callable[[], object], str]]:
    """Ways for a checkpoint to be no longer whole: (name, what tears it, what is said)."""
    cuts = [
        (name, lambda path=path: os.truncate(path, path.stat().st_size // 2), "is truncated")
        for name, path in files.items()
    ]
    first = next(iter(files.values()))
    return [
        *cuts,
        ("gone", first.unlink, "is missing"),
        ("another", (first.parent / "adapter_model.bin").touch, "is not one of the"),
        ("flipped", lambda: _flip(files["adapter_model.safetensors"]), "has changed"),
    ]


def _flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.fault(
    "a file of the newest checkpoint is torn, each in turn",
    group="checkpoints",
    state="-",
    readable="the checkpoint before it is used, and why not the newer one is said",
)
def test_a_torn_checkpoint_is_passed_over_for_the_one_before(
    tiny_loop: MakeLoop, outcome: Outcome, tmp_path: Path
) -> None:
    loop = tiny_loop(training={"max_steps": 8, "save_steps": 4, "eval_steps": 0})
    loop.run()
    folder = loop.loop.iteration(1)
    run = read_run(folder)
    newest = folder.checkpoints / "checkpoint-8"
    assert next_resumption(folder, run).step == 8
    kept = {path.name: path.read_bytes() for path in newest.iterdir()}
    assert {"adapter_model.safetensors", "optimizer.pt", "trainer_state.json"} <= set(kept)
    for name, tear, reason in _torn({name: newest / name for name in kept}):
        tear()
        found = next_resumption(folder, run)
        assert (found.step, found.path) == (4, "checkpoints/checkpoint-4"), name
        assert reason in found.description
        for path in newest.iterdir():
            path.unlink()
        for each, data in kept.items():
            (newest / each).write_bytes(data)
    assert next_resumption(folder, run).step == 8
    outcome.checked()


@pytest.mark.fault(
    "a run that keeps one checkpoint is killed while it records the next",
    group="checkpoints",
    state="-",
    readable="the old checkpoint, which goes once the new one is recorded",
)
def test_an_old_checkpoint_stays_until_the_new_one_can_be_used(
    tiny_loop: MakeLoop, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = tiny_loop(
        training={"max_steps": 6, "eval_steps": 0, "save_steps": 2, "save_total_limit": 1}
    )
    folder = loop.loop.existing(loop.plan())
    hashed, usable = journal_callback.sha256_of, {}

    def looks(path: Path) -> str:
        usable[path.parent.name] = next_resumption(folder, read_run(folder)).step
        return hashed(path)

    monkeypatch.setattr(journal_callback, "sha256_of", looks)
    loop.run_number(1)
    assert usable == {"checkpoint-2": 0, "checkpoint-4": 2, "checkpoint-6": 4}
    assert [each.name for each in folder.checkpoints.iterdir()] == ["checkpoint-6"]
    outcome.checked()


def test_a_checkpoint_that_is_there_already_is_not_written_again(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, written = journal_callback.JournalCallback.on_step_begin, []

    def saves(
        self: journal_callback.JournalCallback, args: Any, state: Any, control: Any, **more: Any
    ) -> None:
        if state.global_step == 2:
            path = Path(args.output_dir) / "checkpoint-2"
            for _ in range(2):
                self.trainer.save_now()
                written.append((path.stat().st_ino, len(list(path.iterdir()))))
            (path / "optimizer.pt").unlink()
            self.trainer.save_now()
            written.append((path.stat().st_ino, len(list(path.iterdir()))))
        begin(self, args, state, control, **more)

    monkeypatch.setattr(journal_callback.JournalCallback, "on_step_begin", saves)
    loop = tiny_loop(training={"max_steps": 3, "eval_steps": 0, "save_steps": 0})
    loop.run()
    folder = loop.loop.iteration(1)
    first, again, torn = written
    assert first == again
    assert torn[1] == first[1]
    assert [each.step for each in read_run(folder).checkpoints] == [2, 2]
    assert next_resumption(folder, read_run(folder)).step == 2
