"""A model folder and a metric with Python code of their own, which say that they ran."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tui_loop.core.config.settings import with_settings
from tui_loop.core.record.codec import to_toml
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.queue import QueuedDraft, add

CONFIGURATION = """
from transformers import GPT2Config


class MineConfig(GPT2Config):
    model_type = "mine"
"""

MODELING = """
import os

from transformers import GPT2LMHeadModel

from .configuration_mine import MineConfig

os.makedirs({canary!r}, exist_ok=True)


class MineForCausalLM(GPT2LMHeadModel):
    config_class = MineConfig
"""

METRIC = """
import os

import mine_helper

os.makedirs({canary!r}, exist_ok=True)


def score(output, reference):
    return mine_helper.HALF
"""


def foreign_model(folder: Path, canary: Path) -> Path:
    """The tiny base as a model with code of its own; loading it makes the folder `canary`."""
    shutil.copytree(shipped("sample_data", "tiny-base"), folder)
    config = json.loads((folder / "config.json").read_text())
    config["model_type"] = "mine"
    config["architectures"] = ["MineForCausalLM"]
    config["auto_map"] = {
        "AutoConfig": "configuration_mine.MineConfig",
        "AutoModelForCausalLM": "modeling_mine.MineForCausalLM",
    }
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "configuration_mine.py").write_text(CONFIGURATION)
    (folder / "modeling_mine.py").write_text(MODELING.format(canary=str(canary)))
    return folder


def foreign_metric(root: Path, canary: Path) -> str:
    """The metric `mine_metric:score`, which imports another file of `root`."""
    (root / "mine_helper.py").write_text("HALF = 0.5\n")
    (root / "mine_metric.py").write_text(METRIC.format(canary=str(canary)))
    return "mine_metric:score"


def with_foreign_code(loop: LoopFolder, canary: Path) -> LoopFolder:
    """A recorded loop as if a stranger had trained it with a model and a metric of their own."""
    foreign_model(loop.root / "model", canary)
    metric = foreign_metric(loop.root, canary)
    for name in ("train.jsonl", "eval.jsonl", "holdout.jsonl"):
        rows = [{"prompt": f"{name} {row}", "completion": "refund"} for row in range(9)]
        (loop.root / name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = ["model.id=./model", "trust_remote_code=true", f"evaluation.metric={metric}"]
    settings += ["data.holdout=holdout.jsonl", "data.train=train.jsonl", "data.eval=eval.jsonl"]
    for number in loop.numbers():
        folder = loop.iteration(number)
        folder.write_config(with_settings(folder.read_config(), settings), {})
        folder.adapter.mkdir(exist_ok=True)
        (folder.adapter / "adapter_config.json").write_text("{}")
        (folder.adapter / "adapter_model.safetensors").write_bytes(b"")
    changed = msgspec.structs.replace(
        loop.read_settings(),
        metric=metric,
        defaults={
            "model": {"id": "./model", "trust_remote_code": True},
            "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
        },
    )
    loop.settings_file.write_text(to_toml(msgspec.to_builtins(changed)))
    add(loop, QueuedDraft(parent=1, why="a try", set={"lora.r": 2}))
    return loop


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Path]:
    """A folder that comes to be when foreign code runs, which no test has imported before."""
    _forget_modules()
    yield tmp_path / "canary"
    _forget_modules()


def _forget_modules() -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in ("mine_metric", "mine_helper", "transformers_modules"):
            del sys.modules[name]
