"""Which checkpoint of a run can be trusted: the newest that was recorded and is still whole."""

from __future__ import annotations

from pathlib import PurePosixPath

import msgspec

from tui_loop.core.events import CheckpointSaved
from tui_loop.core.files import sha256_of
from tui_loop.core.state import RunState
from tui_loop.core.store import IterationFolder


class Resumption(msgspec.Struct, frozen=True):
    """Where a run goes on: after `step`, from the files at `path`; step 0 and "": from the start.

    `passed_over` says of each newer checkpoint why it is not used.
    """

    step: int = 0
    path: str = ""
    passed_over: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """`checkpoint 40 (not 60: optimizer.pt is cut short)`."""
        place = f"checkpoint {self.step}" if self.path else "the start: no checkpoint is whole"
        if not self.path and not self.passed_over:
            place = "the start: there is no checkpoint"
        return f"{place} (not {'; not '.join(self.passed_over)})" if self.passed_over else place


def resumption_of(folder: IterationFolder, run: RunState, below: int | None = None) -> Resumption:
    """The newest checkpoint of which every recorded file is there with its size and hash.

    `below`: only checkpoints of steps up to that one.
    """
    passed: list[str] = []
    for saved in sorted(run.checkpoints, key=lambda each: each.step, reverse=True):
        if below is not None and saved.step > below:
            continue
        fault = _fault_of(folder, saved)
        if not fault:
            return Resumption(saved.step, saved.path, tuple(passed))
        passed.append(f"{saved.step}: {fault}")
    return Resumption(passed_over=tuple(passed))


def _fault_of(folder: IterationFolder, saved: CheckpointSaved) -> str:
    """Why a checkpoint cannot be used, "" where it can. Sizes first: hashing reads all of it."""
    place = PurePosixPath(saved.path)
    if place.is_absolute() or ".." in place.parts or place.parts[:1] != ("checkpoints",):
        return "it lies outside the iteration's folder"
    path = folder.path / place
    if not path.is_dir() or path.is_symlink():
        return "it is gone"
    if not saved.files:
        return "its files were not recorded"
    for name, told in saved.files.items():
        file = path / name
        if PurePosixPath(name).name != name or file.is_symlink() or not file.is_file():
            return f"{name} is missing"
        if file.stat().st_size != told.get("size"):
            return f"{name} is cut short"
    if unknown := sorted({each.name for each in path.iterdir()} - set(saved.files)):
        return f"{unknown[0]} was not written with it"
    for name, told in saved.files.items():
        if sha256_of(path / name) != told.get("sha256"):
            return f"{name} is not as it was written"
    return ""
