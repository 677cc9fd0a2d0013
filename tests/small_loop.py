"""A loop of 20 rows without iterations, for tests that run the program in processes of its own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder


def small_settings(*, base: bool = False, **training: Any) -> LoopSettings:
    """Short runs of model tiny; `base`: they are compared with the base."""
    return LoopSettings(
        metric="label",
        defaults={
            "model": {"id": "tiny"},
            "data": {"train": "rows.jsonl"},
            "training": {"per_device_train_batch_size": 4, "max_length": 64, **training},
            "evaluation": {"base": base, "max_length": 64, "max_new_tokens": 4},
        },
    )


def small_loop(folder: Path, name: str, settings: LoopSettings) -> LoopFolder:
    """Creates the loop, and its rows, in `folder`."""
    rows = [{"prompt": f"say {n}", "completion": f"word {n % 5}"} for n in range(20)]
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return LoopsFolder(folder / "loops").create(name, settings)
