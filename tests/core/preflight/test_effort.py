"""Steps, time and room of a run, from figures alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.preflight.effort import (
    Pace,
    checkpoints_of,
    disk_findings,
    pace_of,
    size,
    steps_findings,
    steps_of,
)
from tui_loop.core.record.folders import IterationFolder, LoopFolder


def config(*settings: str) -> Config:
    return with_settings(Config(), list(settings))


@pytest.mark.parametrize(
    ("settings", "steps"),
    [
        ([], 39),  # 13 batches of 8, three times
        (["gradient_accumulation_steps=4"], 12),
        (["num_train_epochs=0.5"], 7),
        (["max_steps=5"], 5),
        (["packing=true"], None),
        (["packing=true", "max_steps=5"], 5),
        (["dataloader_drop_last=true"], 36),  # 12 full batches of 8, three times
        (["dataloader_drop_last=true", "per_device_train_batch_size=100"], 3),
        (["dataloader_drop_last=true", "per_device_train_batch_size=101"], 0),
        (["dataloader_drop_last=true", "per_device_train_batch_size=101", "max_steps=5"], 0),
    ],
)
def test_steps_of_a_hundred_rows(settings: list[str], steps: int | None) -> None:
    assert steps_of(config(*settings), 100) == steps


def test_no_step_at_all_is_an_error() -> None:
    [found] = steps_findings(config("dataloader_drop_last=true", "max_steps=3"), 5, None)
    assert (found.severity, found.kind) == ("error", "no_steps")
    assert "5 training rows cannot fill a batch of 8" in found.message


def test_a_recorded_run_gives_the_pace(
    loop: LoopFolder, finished: Callable[..., IterationFolder]
) -> None:
    finished([1.0], base=True)
    finished([1.0], "per_device_train_batch_size=4", metrics={"train_runtime": 8.0, "steps": 20})
    pace = pace_of(loop, config("data.train=train.jsonl", "per_device_train_batch_size=2"))
    assert pace == Pace(0.1, 1, "")
    assert pace_of(loop, config("model.id=smollm2")) is None
    assert pace_of(loop, config("training.max_length=64")) is None
    (told, *_) = steps_findings(config(), 100, pace)
    assert told.count == 39
    assert "39 optimizer steps of 8 rows: 100 training rows, 3 times" in told.message
    assert "about 31s at the speed of iteration 1" in told.message


def test_odd_settings_are_warned_of() -> None:
    kinds = {each.kind: each for each in steps_findings(config("warmup_steps=50"), 5, None)}
    assert "8 rows, but there are only 5" in kinds["batch"].message
    assert "never reaches its peak" in kinds["warmup"].message
    assert {each.kind for each in steps_findings(config("warmup_steps=0.1"), 50, None)} == {"steps"}


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        (["save_steps=10", "save_total_limit=2"], 3),
        (["save_steps=10", "save_total_limit=unset"], 10),
        (["save_steps=60", "save_total_limit=5"], 2),
        (["save_steps=0"], 0),
        (["save_steps=unset", "training.eval_steps=0"], 0),
        (["save_steps=unset", "training.eval_steps=25"], 3),
        (["save_steps=unset", "training.eval_steps=60", "save_total_limit=5"], 2),
        (["save_steps=unset", "training.eval_steps=unset", "save_total_limit=unset"], 1),
    ],
)
def test_checkpoints_that_lie_on_the_disk_at_once(settings: list[str], count: int) -> None:
    assert checkpoints_of(config(*settings).training, 100, 1000) == count


@pytest.mark.parametrize(("needed", "severity"), [(100, "info"), (850, "warning"), (1001, "error")])
def test_a_full_disk_is_seen_beforehand(
    needed: int, severity: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1000))
    (finding,) = disk_findings(tmp_path, needed, "the weights")
    assert finding.severity == severity
    assert "1 KB are free" in finding.message


def test_sizes_read_as_people_write_them() -> None:
    assert [size(each) for each in (12, 3_800_000, 1.2e9, 150e6, 3e12)] == [
        "12 bytes",
        "3.8 MB",
        "1.2 GB",
        "150 MB",
        "3 TB",
    ]
