"""What other loops of the folder learned of learning rates on the same base."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from tui_loop.core.errors import TuiLoopError
from tui_loop.core.patterns.trials import RATE, Trial, trials_from
from tui_loop.core.reader import iterations_of
from tui_loop.core.store import LoopFolder, LoopsFolder

WORTH = 0.1
"""Of score that a run must have gained over its base for its rate to be of any use elsewhere."""


class Lessons(msgspec.Struct, frozen=True):
    """Trials of other loops on one base, with an adapter or without.

    `best`: the one that gained the most score over its base, None where none gained much.
    `diverged`: those that blew up, whatever their rate was.
    """

    best: Trial | None = None
    diverged: tuple[Trial, ...] = ()

    def lowest_bad(self, above: float) -> Trial | None:
        """The trial at the lowest rate above this one that diverged."""
        found = [each for each in self.diverged if (rate_in(each) or 0.0) > above]
        return min(found, key=lambda each: rate_in(each) or 0.0, default=None)


def lessons_beside(loop: LoopFolder, base: str, *, is_lora: bool) -> Lessons:
    """What the other loops in the folder of `loop` tell of runs on `base`."""
    trials = [
        each
        for each in _trials_beside(loop)
        if (each.base, each.is_lora) == (base, is_lora) and rate_in(each) is not None
    ]
    gained = [each for each in trials if each.ended == "finished" and (each.gain or 0.0) >= WORTH]
    return Lessons(
        best=max(gained, key=lambda each: each.gain or 0.0, default=None),
        diverged=tuple(each for each in trials if each.ended == "diverged"),
    )


def rate_in(trial: Trial) -> float | None:
    """The learning rate that a trial was to have."""
    value = trial.value(RATE)
    return float(value) if isinstance(value, (int, float)) and value > 0 else None


def _trials_beside(loop: LoopFolder) -> Iterator[Trial]:
    loops = LoopsFolder(loop.path.parent)
    for name in loops.names():
        if name == loop.name:
            continue
        try:
            other = loops.loop(name)
        except TuiLoopError:
            continue
        yield from trials_from(name, iterations_of(other), other)[0]
