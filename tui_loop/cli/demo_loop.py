"""Lays out the loops of a demo: in a folder of its own, or among the app's loops.

The app's recorded loop goes among the others only in a folder that has nothing else, since the loop
wants its data beside it, and never where git would take it for the user's own work.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import GITIGNORE, LoopsFolder
from tui_loop.core.shipped import shipped

NAME = "support-demo"
RECORDED = {"tiny": "support-tiny", "smollm2": "support-intents"}
"""The shipped loops by their model; the tiny one can be gone on with at once."""

MARK = "# a demo of tui-loop\n*\n"
DATA = "sample_data/support-intents"
TEMPLATE = "Message: {prompt}\nIntent:"

APART = Path("tui-loop-demo")
GIT_SECONDS = 5.0
_KEPT_HOME = shutil.ignore_patterns("adapter", "checkpoints", "output.log", "*.lock")


def demo_loop(loops: LoopsFolder) -> LoopFolder:
    """A recorded loop, laid out or there from last time; raises TuiLoopError or OSError.

    The one that can be gone on with where the training stack is installed, else the larger.
    """
    from tui_loop.engine.extras import has_train

    model = "tiny" if has_train() else "smollm2"
    target = loops.path / RECORDED[model]
    if not _has_room(loops) or _is_tracked(target):
        return lay_out_recorded(APART, model)
    root = Path(os.path.abspath(loops.path)).parent
    loops.path.mkdir(parents=True, exist_ok=True)
    if not (loops.path / ".gitignore").exists():
        write_atomically(loops.path / ".gitignore", GITIGNORE)
    _copy(shipped(*DATA.split("/")), root / DATA)
    _copy(shipped("loops", RECORDED[model]), target)
    return loops.loop(RECORDED[model])


def lay_out_recorded(folder: Path, model: str = "smollm2") -> LoopFolder:
    """Copies of the recorded loops and their data under `folder`; gives the one of `model`.

    What is there already stays as it is.
    """
    _ignore_all(folder)
    _lay_out_data(folder)
    loops = LoopsFolder(folder / "loops")
    for name in RECORDED.values():
        target = loops.path / name
        if not target.exists():
            shutil.copytree(shipped("loops", name), target, ignore=_KEPT_HOME)
    return loops.loop(RECORDED[model])


def lay_out(folder: Path, model: str) -> LoopFolder:
    """A demo loop and its data under `folder`; what is there already stays as it is."""
    _ignore_all(folder)
    _lay_out_data(folder)
    loops = LoopsFolder(folder / "loops")
    taken = set(loops.names())
    name = next(
        each for each in (NAME, *(f"{NAME}-{n}" for n in range(2, 1000))) if each not in taken
    )
    return loops.create(
        name,
        LoopSettings(
            goal="tell what a customer wants from a short message",
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


def _has_room(loops: LoopsFolder) -> bool:
    """Whether nothing lies beside the loops but what an earlier demo has put there."""
    path = Path(os.path.abspath(loops.path))
    if not path.parent.is_dir():
        return True
    others = set(os.listdir(path.parent)) - {path.name}
    taken = any((path / name).exists() for name in RECORDED.values())
    return (not others and not taken) or (others == {DATA.partition("/")[0]} and _is_ours(path))


def _is_ours(loops: Path) -> bool:
    """Whether the data beside the loops is the demo's own."""
    data = loops.parent / DATA
    return data.is_dir() and [data.name] == os.listdir(data.parent)


def _copy(source: Path, target: Path) -> None:
    """A copy that is there whole or not at all; one that is there stays as it is."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".demo-") as folder:
        made = Path(folder, target.name)
        shutil.copytree(source, made, ignore=_KEPT_HOME)
        os.rename(made, target)


def _is_tracked(path: Path) -> bool:
    """Whether `path` lies in a git work tree that does not ignore it."""
    absolute = Path(os.path.abspath(path))
    home = next((each for each in absolute.parents if (each / ".git").exists()), None)
    if home is None:
        return False
    command = ["git", "-C", str(home), "-c", "core.fsmonitor=false", "check-ignore", "--quiet"]
    try:
        done = subprocess.run(
            [*command, "--", str(absolute / "loop.toml")],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return True
    return done.returncode != 0


def _lay_out_data(folder: Path) -> None:
    data = folder / DATA
    if not data.exists():
        data.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(shipped(*DATA.split("/")), data)


def _ignore_all(folder: Path) -> None:
    """Marks a demo's folder, which is never tracked; refuses one that holds something else."""
    ignored = folder / ".gitignore"
    if folder.is_dir() and any(folder.iterdir()):
        if not ignored.exists() or ignored.read_text() != MARK:
            raise BadInput(f"{folder}: holds other files", "--dir with a new or an empty folder")
        return
    folder.mkdir(parents=True, exist_ok=True)
    ignored.write_text(MARK)
