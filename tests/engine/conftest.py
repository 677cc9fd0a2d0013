"""Real runs on the shipped tiny base, in this process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tui_loop.core.data.loading import load_data
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Iteration
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.plan import base_config, create_base, create_iteration, plan_next
from tui_loop.engine.output_capture import set_environment
from tui_loop.engine.run_host import RunHost
from tui_loop.engine.sources import read_source

set_environment()

TEMPLATE = "Message: {prompt}\nIntent:"
SMALL = {
    "data": {"prompt_template": TEMPLATE, "max_train_rows": 32, "max_eval_rows": 12},
    "lora": {"r": 4, "lora_alpha": 8, "lora_dropout": 0.05},
    "training": {
        "max_steps": 4,
        "per_device_train_batch_size": 4,
        "max_length": 128,
        "learning_rate": 5e-3,
        "eval_steps": 2,
    },
}


class TinyLoop:
    """A loop on the sample data and the tiny base, small enough for a test."""

    def __init__(self, loop: LoopFolder) -> None:
        self.loop = loop

    def plan(self, *settings: str, parent: int | None = None) -> int:
        """Creates the next iteration and gives its number."""
        plan = plan_next(self.loop, parent=parent, settings=list(settings), why="a test")
        data = load_data(plan.config, self.loop.root, read_source)
        return create_iteration(self.loop, plan, data.splits).number

    def run(self, *settings: str, parent: int | None = None) -> Iteration:
        """Creates and runs the next iteration; its summary."""
        return self.run_number(self.plan(*settings, parent=parent))

    def run_base(self, *settings: str) -> Iteration:
        """Evaluates the base, with `settings` as a first iteration would have them."""
        plan = plan_next(self.loop, parent=None, settings=list(settings), why="")
        data = load_data(plan.config, self.loop.root, read_source)
        create_base(self.loop, base_config(self.loop, plan), data.splits)
        return self.run_number(0)

    def run_number(self, number: int) -> Iteration:
        folder = self.loop.existing(number)
        RunHost(folder, runner="thread").run()
        summary = folder.read_summary()
        assert summary is not None
        return summary


@pytest.fixture
def tiny_loop(tmp_path: Path) -> Callable[..., TinyLoop]:
    """Makes a TinyLoop; `defaults` are laid over SMALL, group by group."""

    def make(metric: str = "label", **defaults: dict[str, object]) -> TinyLoop:
        data = shipped("sample_data", "support-intents")
        tables: dict[str, dict[str, object]] = {
            "model": {"id": "tiny"},
            **{group: dict(table) for group, table in SMALL.items()},
        }
        tables["data"] |= {"train": str(data / "train.jsonl"), "eval": str(data / "eval.jsonl")}
        for group, table in defaults.items():
            tables.setdefault(group, {}).update(table)
        loops = LoopsFolder(tmp_path / "loops")
        name = f"tiny-{len(loops.names())}"
        return TinyLoop(loops.create(name, LoopSettings(metric=metric, defaults=tables)))

    return make
