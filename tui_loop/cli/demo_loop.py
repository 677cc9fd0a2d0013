"""Creates the demo's loops: in a separate folder, or among the app's loops.

A recorded loop needs its data in the folder above `loops/`. So it is copied among the app's loops
only where that folder holds nothing else, and never where git would track it as the user's work.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from pathlib import Path

from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import GITIGNORE, LoopsFolder
from tui_loop.core.record.new_folder import new_folder
from tui_loop.core.shipped import shipped

NAME = "support-demo"
RECORDED = {"tiny": "support-tiny", "smollm2": "support-intents"}
"""The shipped loops by model; runs of the tiny one can be continued without a download."""

MARK = "# a demo of tui-loop\n*\n"
DATA = "sample_data/support-intents"
TEMPLATE = "Message: {prompt}\nIntent:"

SEPARATE_FOLDER = Path("tui-loop-demo")
GIT_SECONDS = 5.0
_NOT_COPIED = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")


def demo_loop(loops: LoopsFolder) -> LoopFolder:
    """Returns a recorded loop, copied where it does not exist; raises TuiLoopError or OSError.

    With the training stack it is the tiny one, which can be trained further, else the larger one.
    """
    from tui_loop.engine.extras import has_train

    model = "tiny" if has_train() else "smollm2"
    target = loops.path / RECORDED[model]
    if not _holds_only_demo(loops) or _is_tracked(target):
        return create_recorded_loops(SEPARATE_FOLDER, model)
    root = Path(os.path.abspath(loops.path)).parent
    loops.path.mkdir(parents=True, exist_ok=True)
    if not (loops.path / ".gitignore").exists():
        write_atomically(loops.path / ".gitignore", GITIGNORE)
    _copy(shipped(*DATA.split("/")), root / DATA)
    _copy(shipped("loops", RECORDED[model]), target)
    return loops.loop(RECORDED[model])


def create_recorded_loops(folder: Path, model: str = "smollm2") -> LoopFolder:
    """Copies the recorded loops and their data to `folder`; returns the loop of `model`.

    Existing files are not replaced.
    """
    _claim(folder)
    _copy(shipped(*DATA.split("/")), folder / DATA)
    loops = LoopsFolder(folder / "loops")
    for name in RECORDED.values():
        _copy(shipped("loops", name), loops.path / name)
    return loops.loop(RECORDED[model])


def create_new_loop(folder: Path, model: str) -> LoopFolder:
    """Creates an empty demo loop and its data in `folder`; existing files are not replaced."""
    _claim(folder)
    _copy(shipped(*DATA.split("/")), folder / DATA)
    loops = LoopsFolder(folder / "loops")
    existing = set(loops.names())
    candidates = (NAME, *(f"{NAME}-{n}" for n in range(2, 1000)))
    name = next(candidate for candidate in candidates if candidate not in existing)
    return loops.create(
        name,
        LoopSettings(
            goal="tell from a short message what a customer wants",
            metric="label",
            defaults={
                "model": {"id": model},
                "data": {
                    "train": f"{DATA}/train.jsonl",
                    "eval": f"{DATA}/eval.jsonl",
                    "holdout": f"{DATA}/holdout.jsonl",
                    "shape": "prompt_completion",
                    "prompt_template": TEMPLATE,
                },
                "lora": {"r": 8, "lora_alpha": 16},
                "training": {
                    "per_device_train_batch_size": 8 if model == "tiny" else 4,
                    "max_length": 256,
                },
            },
        ),
    )


def _holds_only_demo(loops: LoopsFolder) -> bool:
    """Whether the folder above `loops/` is empty or holds only an earlier demo's data."""
    path = Path(os.path.abspath(loops.path))
    if not path.parent.is_dir():
        return True
    others = set(os.listdir(path.parent)) - {path.name}
    if not others:
        return not any((path / name).exists() for name in RECORDED.values())
    data = path.parent / DATA
    is_demo_data = data.is_dir() and os.listdir(data.parent) == [data.name]
    return others == {DATA.partition("/")[0]} and is_demo_data


def _copy(source: Path, target: Path) -> None:
    """Copies a folder completely or not at all; an existing target is not replaced."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError), new_folder(target) as folder:
        shutil.copytree(source, folder, ignore=_NOT_COPIED, dirs_exist_ok=True)


def _is_tracked(path: Path) -> bool:
    """Whether `path` is in a git work tree that does not ignore it."""
    absolute = Path(os.path.abspath(path))
    work_tree = next((each for each in absolute.parents if (each / ".git").exists()), None)
    if work_tree is None:
        return False
    # A repository's own fsmonitor setting names a program, which git would run.
    command = ["git", "-C", str(work_tree), "-c", "core.fsmonitor=false", "check-ignore", "-q"]
    try:
        process = subprocess.run(
            [*command, "--", str(absolute / "loop.toml")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return process.returncode != 0


def _claim(folder: Path) -> None:
    """Writes a `.gitignore` that marks the demo's folder; refuses one with other files."""
    ignored = folder / ".gitignore"
    names = os.listdir(folder) if folder.is_dir() else []
    if any(not name.startswith(".gitignore.") for name in names):  # a killed claim leaves one
        if not ignored.exists() or ignored.read_text() != MARK:
            raise BadInput(f"{folder} contains other files", "--dir DIR, where DIR is new or empty")
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(ignored, MARK)
