"""Runs the families: the sound run of a task, the faulty run, and the run after a repair.

Everything lies in one folder: `loops/` has a loop for each family, for each sound run and for each
healthy variant; `repairs/` has a copy of a family's loop for each repair that was tried.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from scripts.planted.commands import call
from scripts.planted.families.family import Family, Settings
from scripts.planted.families.tasks import CHAT_TEMPLATE, Base, Rows, Task
from tui_loop.core.record.folders import LoopFolder

HEALTHY: dict[str, Settings] = {
    "other-seed": {"training.seed": 7},
    "batch-16": {"training.per_device_train_batch_size": 16, "training.learning_rate": 4e-3},
    "cosine": {"training.lr_scheduler_type": "cosine", "training.warmup_steps": 0.1},
    "longer": {"training.num_train_epochs": 4.5},
    "rank-8": {"lora.r": 8, "lora.lora_alpha": 16},
}
"""Harmless variations of a task's sound settings."""

NOT_HEALTHY = ("json",)
"""Tasks whose sound settings leave something wrong: a label of `json` always fails."""


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """The scores of a family's runs; None where a run gave no score."""

    base: float | None
    sound: float | None
    faulty: float | None
    repaired: float | None = None

    @property
    def lost(self) -> float:
        """How far the faulty score is from the sound one; a run without a score counts as 0."""
        return (self.sound or 0.0) - (self.faulty or 0.0)

    @property
    def recovered(self) -> float | None:
        """The share of the lost score that the repair gave back; None without a loss or repair."""
        if self.repaired is None or not self.lost:
            return None
        return (self.repaired - (self.faulty or 0.0)) / self.lost


def make(family: Family, folder: Path) -> Scores:
    """Makes the sound run and the family's runs where they are missing; returns their scores."""
    sound = make_sound(family.base_task(), family.seed, folder)
    loop = folder / "loops" / family.name
    last = len(family.later) + 1
    if not LoopFolder(loop).iteration(last).summary.exists():
        shutil.rmtree(loop, ignore_errors=True)
        _make_loop(family, folder)
    return Scores(base=score(loop, 0), sound=sound, faulty=score(loop, last))


def make_sound(task: Task, seed: int, folder: Path) -> float | None:
    """Makes the sound run of a task and a seed where it is missing; returns its score."""
    return _make_plain(f"sound-{task.name}-{seed}", task, seed, {}, folder)


def make_healthy(task: Task, base: Base, folder: Path) -> dict[str, float | None]:
    """Makes the healthy variants of a task on a base where they are missing.

    Returns their scores by name.
    """
    names = {variant: f"healthy-{task.name}-{variant}" for variant in HEALTHY}
    return {
        name: _make_plain(name, task.on(base), 0, base.scaled(HEALTHY[variant]), folder)
        for variant, name in names.items()
    }


def repaired(
    family: Family, folder: Path, changes: Settings | None = None, edit: str | None = None
) -> Scores:
    """Runs one more iteration after the faulty one, with changed settings or an edited data set.

    Returns the scores of all runs. The same repair runs only once.
    """
    made = make(family, folder)
    key = hashlib.sha256(json.dumps([changes, edit], sort_keys=True).encode()).hexdigest()[:8]
    workshop = folder / "repairs" / f"{family.name}-{key}"
    loop = workshop / "loops" / family.name
    number = len(family.later) + 2
    if not LoopFolder(loop).iteration(number).summary.exists():
        shutil.rmtree(workshop, ignore_errors=True)
        shutil.copytree(folder / "loops" / family.name, loop)
        shutil.copytree(folder / "data", workshop / "data")
        settings = dict(changes or {})
        if edit is not None:
            train, held_out = family.edited(edit)
            settings |= _data_settings(f"{family.name}-{edit}", train, held_out, workshop)
        _run(workshop, family.name, number - 1, settings)
    return msgspec.structs.replace(made, repaired=score(loop, number))


def score(loop: Path, number: int) -> float | None:
    """Returns the score of an iteration, None where it has none."""
    summary = LoopFolder(loop).iteration(number).read_summary()
    value = summary.metrics.get("score") if summary else None
    return float(value) if value is not None else None


def _make_plain(name: str, task: Task, seed: int, settings: Settings, folder: Path) -> float | None:
    loop = folder / "loops" / name
    if not LoopFolder(loop).iteration(1).summary.exists():
        shutil.rmtree(loop, ignore_errors=True)
        train, held_out = task.rows(seed)
        data = _data_settings(f"sound-{task.name}-{seed}", train, held_out, folder)
        _new(folder, name, task, {"training.seed": seed, **settings, **data})
        _run(folder, name, 0, {})
    return score(loop, 1)


def _make_loop(family: Family, folder: Path) -> None:
    """Makes all iterations of a family."""
    task = family.base_task()
    trained, held_out = family.rows()
    data = _data_settings(f"{family.name}-1", trained[0], held_out, folder)
    _new(folder, family.name, task, {"training.seed": family.seed, **family.settings, **data})
    _run(folder, family.name, 0, {})
    for number, later in enumerate(family.later, start=2):
        settings = dict(later.settings)
        if later.train is not None:
            rows = trained[number - 1]
            path = _write_rows(rows, f"{family.name}-{number}-train", folder)
            settings["data.train"] = path
        _run(folder, family.name, number - 1, settings)


def _new(folder: Path, name: str, task: Task, settings: Settings) -> None:
    """Creates a loop with the task's sound settings and `settings`."""
    (folder / "data").mkdir(parents=True, exist_ok=True)
    shutil.copyfile(CHAT_TEMPLATE, folder / "data" / CHAT_TEMPLATE.name)
    merged = {**task.settings, **settings}
    data = ["--data", merged.pop("data.train"), "--eval", merged.pop("data.eval")]
    metric = merged.pop("evaluation.metric", task.metric)
    words = ["new", name, *data, "--model", merged.pop("model.id", "tiny"), "--metric", metric]
    call(folder, *words, *set_words(merged))


def _run(folder: Path, name: str, parent: int, settings: Settings) -> None:
    words = ["run", name, *(["--from", str(parent)] if parent else [])]
    call(folder, *words, *set_words(settings), "--why", "one more change" if parent else "a run")


def set_words(settings: Settings) -> list[str]:
    """Returns the `--set` arguments of settings, in the syntax of TOML."""
    return [word for name, value in settings.items() for word in ("--set", f"{name}={text(value)}")]


def text(value: Any) -> str:
    """Returns a value as `--set` reads it."""
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(k)} = {json.dumps(v)}" for k, v in value.items()) + "}"
    return json.dumps(value)


def _data_settings(name: str, train: Rows, held_out: Rows, folder: Path) -> dict[str, str]:
    return {
        "data.train": _write_rows(train, f"{name}-train", folder),
        "data.eval": _write_rows(held_out, f"{name}-eval", folder),
    }


def _write_rows(rows: Sequence[dict[str, Any]], name: str, folder: Path) -> str:
    """Writes rows to `data/`; returns the path relative to `folder`."""
    path = folder / "data" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")
    return f"data/{path.name}"
