"""Arguments of the trainer that do not come from the config."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.engine.conftest import TinyLoop
from tui_loop.core.config.settings import with_settings
from tui_loop.engine.models import LoadedModel
from tui_loop.engine.trainer_arguments import sft_config

pytestmark = pytest.mark.train


def test_a_run_uses_one_gpu_however_many_there_are(
    tiny_loop: Callable[..., TinyLoop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # what TrainingArguments counts; without it `n_gpu` is 2, Trainer would wrap the model in
    # nn.DataParallel and double the batch, and SFTTrainer refuses that
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    loop = tiny_loop()
    settings = ["training.per_device_train_batch_size=4", "training.precision=fp32"]
    config = with_settings(loop.loop.default_config(), settings)
    nothing: Any = None
    loaded = LoadedModel(nothing, nothing, torch.device("cuda"), torch.float32)
    arguments = sft_config(config, tmp_path, loaded)
    assert arguments.n_gpu == 1
    assert (arguments.train_batch_size, arguments.eval_batch_size) == (4, 8)
