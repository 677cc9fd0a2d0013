"""Estimates the steps, the time and the disk space of a run, without the training stack."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config, Training
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, info, warning
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.text.figures import counted, duration

TIGHT = 0.8
"""A run that needs more than this share of the free space gets a warning."""


class Pace(msgspec.Struct, frozen=True):
    """The speed of a recorded run: seconds per row, its iteration and its device."""

    seconds_a_row: float
    iteration: int
    device: str


DROP_LAST = "dataloader_drop_last"
"""The SFTConfig field that drops an epoch's last batch unless it is full."""


def steps_of(config: Config, rows: int) -> int | None:
    """Returns the optimizer steps of a run over `rows`, counted as Trainer does.

    None with packing.
    """
    training = config.training
    if training.packing:
        return training.max_steps
    batch = training.per_device_train_batch_size
    batches = rows // batch if config.other.get(DROP_LAST) else math.ceil(rows / batch)
    if batches == 0:
        return 0
    if training.max_steps is not None:
        return training.max_steps
    per_epoch = math.ceil(batches / training.gradient_accumulation_steps)
    return math.ceil(per_epoch * training.num_train_epochs)


def pace_of(loop: LoopFolder, config: Config) -> Pace | None:
    """Returns the speed of the newest finished run with the same model, device and length limit."""
    for number in sorted(loop.numbers(), reverse=True):
        folder = loop.iteration(number)
        try:
            theirs = folder.read_config()
            metrics = iteration_of(folder).metrics
            device = str(folder.read_effective().get("device", ""))
        except TuiLoopError:
            continue
        if (theirs.model, theirs.run.device) != (config.model, config.run.device):
            continue
        if theirs.training.max_length != config.training.max_length or theirs.training.packing:
            continue
        rows = _rows_a_step(theirs.training)
        seconds, steps = metrics.get("train_runtime"), metrics.get("steps")
        if isinstance(seconds, (int, float)) and isinstance(steps, int) and seconds > 0 < steps:
            return Pace(seconds / (steps * rows), number, device)
    return None


def steps_findings(config: Config, rows: int, pace: Pace | None) -> list[CheckResult]:
    """Returns findings on the number of steps and their time, and on unusual settings."""
    training = config.training
    steps, at_once = steps_of(config, rows), _rows_a_step(training)
    if steps is None:
        return [info(CheckKind.STEPS, "the number of steps depends on packing")]
    if steps == 0 and rows > 0:
        return [error(CheckKind.NO_STEPS, *no_batch(rows, training.per_device_train_batch_size))]
    words = f"{counted(steps, 'optimizer step')} of {counted(at_once, 'row')}"
    if training.max_steps is None:
        words += f": {counted(rows, 'training row')}, {training.num_train_epochs:g} times"
    if pace is not None:
        seconds = pace.seconds_a_row * at_once * steps
        where = f" on {pace.device}" if pace.device else ""
        words += f"; about {duration(seconds)} at the speed of iteration {pace.iteration}{where}"
    findings = [info(CheckKind.STEPS, words, count=steps)]
    if at_once > rows > 0:
        findings.append(
            warning(
                CheckKind.BATCH,
                f"a step takes {at_once} rows, but there are only {counted(rows, 'training row')}: "
                "every step uses all of them",
                "lower training.per_device_train_batch_size or gradient_accumulation_steps",
            )
        )
    warmup = training.warmup_steps
    if warmup >= 1 and warmup >= steps:
        findings.append(
            warning(
                CheckKind.WARMUP,
                f"training.warmup_steps is {warmup:g}, but the run has {counted(steps, 'step')}: "
                "the learning rate never reaches its peak",
                "--set training.warmup_steps=0.1",
            )
        )
    return findings


def no_batch(rows: int, batch: int) -> tuple[str, str]:
    """Returns the message and the hint for a run whose rows do not fill one batch."""
    return (
        f"training.{DROP_LAST}: {counted(rows, 'training row')} cannot fill a batch of {batch}, so "
        "there are no optimizer steps",
        f"--set training.{DROP_LAST}=false, or per_device_train_batch_size={rows} or less",
    )


def checkpoints_of(training: Training, steps: int | None, rows: int) -> int:
    """Checkpoints that lie on the disk at once, while the newest is written and none has gone."""
    if training.save_steps == 0 or (training.save_steps is None and training.eval_steps == 0):
        return 0
    at_once = _rows_a_step(training)
    every = training.save_steps or training.eval_steps or max(1, math.ceil(rows / at_once))
    written = math.ceil(steps / every) if steps is not None else None
    limit = None if training.save_total_limit is None else training.save_total_limit + 1
    bounds = [each for each in (written, limit) if each is not None]
    return min(bounds) if bounds else 1


def disk_findings(folder: Path, needed: int, words: str) -> list[CheckResult]:
    """Whether `needed` bytes have room where `folder` is; `words` say what they are for."""
    free = shutil.disk_usage(folder).free
    text = f"{words} need {size(needed)} of disk space; {size(free)} are free"
    if needed > free:
        return [
            error(CheckKind.DISK, text, "free some disk space, or lower training.save_total_limit")
        ]
    if needed > TIGHT * free:
        return [
            warning(
                CheckKind.DISK, text, "free some disk space, or lower training.save_total_limit"
            )
        ]
    return [info(CheckKind.DISK, text)]


def size(count: float) -> str:
    """Bytes as people read them: `3.8 MB`, `1.2 GB`."""
    for unit in ("bytes", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}" if count < 100 else f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _rows_a_step(training: Training) -> int:
    return training.per_device_train_batch_size * training.gradient_accumulation_steps
