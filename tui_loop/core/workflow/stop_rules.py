"""When the autopilot stops, and the reason in words."""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.diagnosis.kinds import FindingKind
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
        runs = (
            "the one allowed iteration has" if done == 1 else f"all {done} allowed iterations have"
        )
        return Stop("budget", f"{runs} been run")
    if limits.hours is None:
        return None
    remaining = limits.hours * 3600 - elapsed
    if remaining <= 0:
        return Stop("budget", f"the time is up: {duration(elapsed)} of {limits.hours:g} h")
    if last is not None and last > remaining:
        return Stop(
            "budget",
            f"{duration(remaining)} of {limits.hours:g} h remain, and the last try took "
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
        return Stop("plateau", f"the last {PATIENCE} tries were no better than {best}")
    if diagnosis is None or len(bests) < 2:
        return None
    plateaus = (
        each for each in diagnosis.findings if each.kind == FindingKind.PLATEAU and each.iterations
    )
    finding = next(plateaus, None)
    return Stop("plateau", finding.message) if finding is not None else None
