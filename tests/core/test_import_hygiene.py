"""Core imports neither a screen nor the training stack."""

from __future__ import annotations

import json
import subprocess
import sys

IMPORT_ALL = """
import importlib, json, pkgutil, sys
import tui_loop.core
names = [m.name for m in pkgutil.walk_packages(tui_loop.core.__path__, "tui_loop.core.")]
for name in names:
    importlib.import_module(name)
print(json.dumps({"names": names, "loaded": sorted({name.partition(".")[0] for name in sys.modules}
                                                  | {n for n in sys.modules if "tui_loop" in n})}))
"""
FORBIDDEN = {
    *("textual", "plotext", "rich", "numpy", "torch", "transformers", "trl", "peft", "datasets"),
    *("accelerate", "safetensors", "huggingface_hub", "pyarrow", "rouge_score", "sacrebleu"),
    "pynvml",
    *("tui_loop.engine", "tui_loop.cli", "tui_loop.tui"),
}


def test_importing_all_of_core_loads_no_screen_and_no_training_stack() -> None:
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout)
    assert len(told["names"]) >= 25
    assert {"tui_loop.core.record.journal", "tui_loop.core.data.mapping"} <= set(told["loaded"])
    assert not FORBIDDEN & set(told["loaded"])
