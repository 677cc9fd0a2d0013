"""What the loops of the folder learned on the same base: of rates, and of changes of a field."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.core.patterns.directions import Tried, tried_outcomes
from tui_loop.core.patterns.pattern import as_number
from tui_loop.core.patterns.trials import RATE, Trial

WORTH = 0.1
"""Of score that a run must have gained over its base for its rate to be of any use elsewhere."""


class Lessons(msgspec.Struct, frozen=True):
    """Trials of other loops on one base, with an adapter or without.

    `best`: the one that gained the most score over its base, None where none gained much.
    `diverged`: those that blew up, whatever their rate was. `alike`: all trials on this base, those
    of the loop itself too.
    """

    best: Trial | None = None
    diverged: tuple[Trial, ...] = ()
    alike: tuple[Trial, ...] = ()

    def went(self, field: str, old: Any, new: Any) -> Tried:
        """How changes of a field in that direction went on this base; none of what is no number."""
        before, after = as_number(old), as_number(new)
        if before is None or after is None or before == after:
            return Tried()
        return tried_outcomes(self.alike, field, "up" if after > before else "down")

    def lowest_bad(self, above: float) -> Trial | None:
        """The trial at the lowest rate above this one that diverged."""
        found = [each for each in self.diverged if (rate_in(each) or 0.0) > above]
        return min(found, key=lambda each: rate_in(each) or 0.0, default=None)


def lessons_of(trials: Sequence[Trial], loop: str, base: str, *, is_lora: bool) -> Lessons:
    """What these trials tell of runs on `base`; `loop` is the one that is to learn."""
    alike = tuple(each for each in trials if (each.base, each.is_lora) == (base, is_lora))
    others = [each for each in alike if each.loop != loop and rate_in(each) is not None]
    gained = [each for each in others if each.ended == "finished" and (each.gain or 0.0) >= WORTH]
    return Lessons(
        best=max(gained, key=lambda each: each.gain or 0.0, default=None),
        diverged=tuple(each for each in others if each.ended == "diverged"),
        alike=alike,
    )


def rate_in(trial: Trial) -> float | None:
    """The learning rate that a trial was to have."""
    value = trial.value(RATE)
    return float(value) if isinstance(value, (int, float)) and value > 0 else None
