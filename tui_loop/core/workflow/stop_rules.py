"""When the autopilot stops, and the reason in words."""

from __future__ import annotations

import os
from typing import Literal

import msgspec

from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.record import codec
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.safe_open import read_raw
from tui_loop.core.text.figures import duration

StopKind = Literal["ready", "plateau", "budget", "nothing", "stopped", "failed", "refused"]

PATIENCE = 3
"""Stops after this many consecutive tries without improvement: one or two may be bad luck."""


class Stop(msgspec.Struct, frozen=True):
    """Why the autopilot stopped; `reason` is a clause: "the last 3 tries ..."."""

    kind: StopKind
    reason: str

    @property
    def words(self) -> str:
        """Returns `stopped (budget): all 3 allowed iterations have been run`."""
        kind = "" if self.kind == "stopped" else f" ({self.kind})"
        return f"stopped{kind}: {self.reason}"


class AutoEnd(msgspec.Struct, frozen=True):
    """The end of the last `auto` of a loop, as in `auto.json`.

    `t` in unix seconds; `last`: the newest iteration at that time, `best`: the best iteration so
    far; None where there is none.
    """

    t: float
    stop: Stop
    last: int | None = None
    best: int | None = None

    @property
    def words(self) -> str:
        """Returns `Auto stopped: the last 3 tries all failed. The best iteration is 4.`"""
        best = f" The best iteration is {self.best}." if self.best is not None else ""
        return f"Auto stopped: {self.stop.reason}.{best}"


def write_auto_end(loop: LoopFolder, end: AutoEnd) -> None:
    """Records the end of `auto`, in place of the one before."""
    write_atomically(loop.auto, codec.to_pretty_json(end))


def read_auto_end(loop: LoopFolder) -> AutoEnd | None:
    """Returns the end of the last `auto`, None where there was none; raises BadInput."""
    if not os.path.lexists(loop.auto):
        return None
    return codec.from_json(read_raw(loop.auto), AutoEnd, str(loop.auto))


class Limits(msgspec.Struct, frozen=True):
    """The budget: configs to try, and hours of wall time (None: no limit)."""

    iterations: int
    hours: float | None = None


def by_budget(limits: Limits, done: int, elapsed: float, last: float | None) -> Stop | None:
    """Returns a stop where the budget is used up.

    `elapsed`: seconds so far. `last`: the duration of the last try in seconds; where another one of
    that length would exceed the hours, none is started.
    """
    if done >= limits.iterations:
        all_run = f"all {done} allowed iterations have been run"
        return Stop("budget", "the one allowed iteration has been run" if done == 1 else all_run)
    if limits.hours is None:
        return None
    remaining = limits.hours * 3600 - elapsed
    if remaining <= 0:
        return Stop("budget", f"the time is up: {duration(elapsed)} of {limits.hours:g} h used")
    if last is not None and last > remaining:
        return Stop(
            "budget",
            f"only {duration(remaining)} of {limits.hours:g} h remain, and the last try took "
            f"{duration(last)}",
        )
    return None


def by_plateau(bests: list[int | None], diagnosis: Diagnosis | None) -> Stop | None:
    """Returns a stop where further tries bring no improvement.

    `bests`: the best iteration before the first try and after each. `diagnosis`: that of the newest
    iteration.
    """
    if len(bests) > PATIENCE and len(set(bests[-PATIENCE - 1 :])) == 1:
        best = bests[-1]
        if best is None:
            return Stop("failed", f"the last {PATIENCE} tries all failed")
        return Stop("plateau", f"the last {PATIENCE} tries were no better than iteration {best}")
    if diagnosis is None or len(bests) < 2:
        return None
    plateaus = (
        each for each in diagnosis.findings if each.kind == FindingKind.PLATEAU and each.iterations
    )
    finding = next(plateaus, None)
    return Stop("plateau", finding.message) if finding is not None else None
