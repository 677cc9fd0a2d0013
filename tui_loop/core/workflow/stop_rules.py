"""When a loop that goes by itself ends, and the reason in words."""

from __future__ import annotations

from typing import Literal

import msgspec

from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.text.figures import duration

StopKind = Literal["ready", "plateau", "budget", "nothing", "stopped", "failed"]

PATIENCE = 3
"""Tries in a row that brought nothing better: one or two are bad luck."""


class Stop(msgspec.Struct, frozen=True):
    """Why it stopped; `reason` is a clause: "no try was better ..."."""

    kind: StopKind
    reason: str

    @property
    def words(self) -> str:
        """`stopped (budget): 3 iterations were allowed, and made`."""
        kind = "" if self.kind == "stopped" else f" ({self.kind})"
        return f"stopped{kind}: {self.reason}"


class Limits(msgspec.Struct, frozen=True):
    """The budget: configs to try, and hours of wall time, None for no limit."""

    iterations: int
    hours: float | None = None


def by_budget(limits: Limits, done: int, elapsed: float, last: float | None) -> Stop | None:
    """A stop where the budget is spent; `elapsed` and `last`, what the last try took, in seconds.

    One more try is not begun where it would, going by the last, end beyond the hours.
    """
    if done >= limits.iterations:
        tries = "1 iteration was" if done == 1 else f"{done} iterations were"
        return Stop("budget", f"{tries} allowed, and made")
    if limits.hours is None:
        return None
    left = limits.hours * 3600 - elapsed
    if left <= 0:
        return Stop("budget", f"the time is up: {duration(elapsed)} of {limits.hours:g} h")
    if last is not None and last > left:
        return Stop(
            "budget",
            f"{duration(left)} are left of {limits.hours:g} h, and the last try took "
            f"{duration(last)}",
        )
    return None


def by_plateau(bests: list[int | None], found: Diagnosis | None) -> Stop | None:
    """A stop where tries bring nothing any more.

    `bests`: the best iteration before the first try and after each. `found`: the newest one's
    diagnosis.
    """
    if len(bests) > PATIENCE and len(set(bests[-PATIENCE - 1 :])) == 1:
        best = bests[-1]
        if best is None:
            return Stop("failed", f"the last {PATIENCE} tries all failed")
        return Stop("plateau", f"the last {PATIENCE} tries were no better than {best}")
    if found is None or len(bests) < 2:
        return None
    across = (
        each for each in found.findings if each.kind == FindingKind.PLATEAU and each.iterations
    )
    finding = next(across, None)
    return Stop("plateau", finding.message) if finding is not None else None
