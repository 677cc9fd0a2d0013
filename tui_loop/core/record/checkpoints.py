"""Finds the checkpoint to resume from: the newest recorded one whose files are intact."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from tui_loop.core.record.events import CheckpointSaved
from tui_loop.core.record.files import sha256_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.state import RunState

MISSING = "it is missing"


class Resumption(msgspec.Struct, frozen=True):
    """Where a run resumes: after `step`, from the files at `path`; at step 0 and "" from the start.

    `passed_over`: for each newer checkpoint the reason why it is not used. `has_unsound`: there are
    others whose weights had already diverged.
    """

    step: int = 0
    path: str = ""
    passed_over: tuple[str, ...] = ()
    has_unsound: bool = False

    @property
    def description(self) -> str:
        """Returns `checkpoint 40 (not 60: optimizer.pt is truncated)`."""
        place = f"checkpoint {self.step}" if self.path else "the start: no checkpoint is intact"
        if not self.path and not self.passed_over:
            place = "the start: there is no checkpoint"
            place += " of sound weights" if self.has_unsound else ""
        return f"{place} (not {'; not '.join(self.passed_over)})" if self.passed_over else place


def resumption_of(folder: IterationFolder, run: RunState, below: int | None = None) -> Resumption:
    """Returns the newest checkpoint of which every file has its recorded size and hash.

    `below`: the last step whose checkpoint may be used.
    """
    passed: list[str] = []
    saves = run.valid_checkpoints
    has_unsound = below is not None and any(saved.step > below for saved in saves)
    for saved in sorted(saves, key=lambda each: each.step, reverse=True):
        if below is not None and saved.step > below:
            continue
        fault = _fault_of(folder, saved)
        if not fault:
            return Resumption(saved.step, saved.path, tuple(passed), has_unsound)
        passed.append(f"{saved.step}: {fault}")
    # save_total_limit removes old checkpoints, so a missing one is not worth a remark
    faulty = (each for each in passed if not each.endswith(MISSING))
    return Resumption(passed_over=tuple(faulty), has_unsound=has_unsound)


def next_resumption(folder: IterationFolder, run: RunState) -> Resumption:
    """Returns where the next attempt starts.

    The base and a first attempt start from the beginning, any other from the newest intact
    checkpoint, but never beyond the last sound weights of a diverged run.
    """
    if run.attempt == 0 or folder.number == 0:
        return Resumption()
    error = run.ended.error if run.ended else None
    if error is None or error.get("kind") != "diverged":
        return resumption_of(folder, run)
    sound = iteration_of(folder).metrics.get("sound_step")
    return resumption_of(folder, run, below=sound if isinstance(sound, int) else 0)


def _fault_of(folder: IterationFolder, saved: CheckpointSaved) -> str:
    """Returns why a checkpoint cannot be used, "" where it can."""
    place = PurePosixPath(saved.path)
    if place.is_absolute() or ".." in place.parts or place.parts[:1] != ("checkpoints",):
        return "the path is outside the iteration's folder"
    path = folder.path / place
    if not path.is_dir() or path.is_symlink():
        return MISSING
    if not saved.files:
        return "the files were not recorded"
    if unknown := sorted({each.name for each in path.iterdir()} - set(saved.files)):
        return f"{unknown[0]} is not one of the recorded files"
    faults = (_fault_in(path / name, recorded) for name, recorded in saved.files.items())
    if fault := next(filter(None, faults), ""):
        return fault
    changed = [
        name
        for name, recorded in saved.files.items()
        if sha256_of(path / name) != recorded.get("sha256")
    ]
    return f"{changed[0]} has changed" if changed else ""


def _fault_in(file: Path, recorded: dict[str, Any]) -> str:
    """Returns a fault that the file's size shows; hashing, which reads all of it, comes later."""
    if file.is_symlink() or not file.is_file():
        return f"{file.name} is missing"
    return "" if file.stat().st_size == recorded.get("size") else f"{file.name} is truncated"
