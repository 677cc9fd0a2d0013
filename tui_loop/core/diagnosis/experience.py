"""The results of suggestions and changes so far, over all loops of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, get_args

import msgspec

from tui_loop.core.diagnosis.findings import Word
from tui_loop.core.errors import BadInput
from tui_loop.core.patterns.directions import Tried, tried_outcomes
from tui_loop.core.patterns.pattern import as_number
from tui_loop.core.patterns.trials import RATE, Trial
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.text.figures import counted

JOINED = " + "
"""Separates the names of suggestions that were applied together. Their verdict counts for none of
them."""


class Tally(msgspec.Struct, frozen=True):
    """Verdicts on one kind of suggestion, by word."""

    counts: dict[str, int] = {}

    @property
    def kept(self) -> int:
        """Returns the number of confirmed predictions."""
        return self.counts.get("confirmed", 0) + self.counts.get("consistent", 0)

    @property
    def broken(self) -> int:
        return self.counts.get("refuted", 0) + self.counts.get("against", 0)

    @property
    def unclear(self) -> int:
        return self.counts.get("too close to call", 0)

    @property
    def weight(self) -> float:
        """Returns the factor for the ranking: 1 without verdicts, towards 2 or 0 with good or bad.

        It is Laplace's rule of succession, doubled. An unclear verdict counts as half of each.
        """
        judged = self.kept + self.broken + self.unclear
        return 2 * (self.kept + 0.5 * self.unclear + 1) / (judged + 2)

    @property
    def words(self) -> str:
        """Returns `3 of 4 predictions for this kind of change came true in your loops`, or ""."""
        judged = self.kept + self.broken + self.unclear
        if not judged:
            return ""
        what = f"{counted(judged, 'prediction')} for this kind of change"
        text = f"{self.kept} of {what} came true in your loops"
        extra = []
        if confirmed := self.counts.get("confirmed", 0):
            extra.append(f"{confirmed} confirmed by replicates")
        if self.unclear:
            extra.append(f"{self.unclear} too close to call")
        return ", ".join([text, *extra])


class Experience(msgspec.Struct, frozen=True):
    """The verdicts on past suggestions, by kind (`lower_learning_rate`)."""

    tallies: dict[str, Tally] = {}

    def of(self, kind: str) -> Tally:
        return self.tallies.get(kind, Tally())


def experience_of(folders: Iterable[IterationFolder]) -> Experience:
    """Collects the verdicts of iterations; skips unreadable ones."""
    counts: dict[str, Counter[str]] = {}
    for folder in folders:
        try:
            decision = folder.read_decision()
            if not decision.suggestion or JOINED in decision.suggestion:
                continue
            summary = folder.read_summary()
        except (BadInput, OSError):
            continue
        if summary is not None and summary.verdict in get_args(Word):
            kind = decision.suggestion.partition("/")[2] or decision.suggestion
            counts.setdefault(kind, Counter())[str(summary.verdict)] += 1
    return Experience({kind: Tally(dict(each)) for kind, each in counts.items()})


def experience_beside(loop: LoopFolder) -> Experience:
    """Returns the experience of all loops in the folder of `loop`."""
    loops = LoopsFolder(loop.path.parent).loops()
    return experience_of(
        each.iteration(number) for each in loops for number in each.numbers() if number
    )


WORTH = 0.1
"""The least gain in score over the base at which a run's learning rate may help another loop."""


class Lessons(msgspec.Struct, frozen=True):
    """Trials of other loops on one base, with an adapter or without.

    `best`: the trial with the largest gain in score over its base, None where none gained WORTH.
    `diverged`: the trials that diverged, at any rate. `alike`: all trials on this base, including
    those of the loop itself.
    """

    best: Trial | None = None
    diverged: tuple[Trial, ...] = ()
    alike: tuple[Trial, ...] = ()

    def went(self, field: str, old: Any, new: Any) -> Tried:
        """Returns the results of changes of a field in the direction from `old` to `new`.

        Empty where either value is not a number.
        """
        before, after = as_number(old), as_number(new)
        if before is None or after is None or before == after:
            return Tried()
        return tried_outcomes(self.alike, field, "up" if after > before else "down")

    def lowest_bad(self, above: float) -> Trial | None:
        """Returns the diverged trial with the lowest rate above this one."""
        found = [each for each in self.diverged if (rate_in(each) or 0.0) > above]
        return min(found, key=lambda each: rate_in(each) or 0.0, default=None)


def lessons_of(trials: Sequence[Trial], loop: str, base: str, *, is_lora: bool) -> Lessons:
    """Returns what trials of other loops than `loop` show about runs on `base`."""
    alike = tuple(each for each in trials if (each.base, each.is_lora) == (base, is_lora))
    others = [each for each in alike if each.loop != loop and rate_in(each) is not None]
    gained = [each for each in others if each.ended == "finished" and (each.gain or 0.0) >= WORTH]
    return Lessons(
        best=max(gained, key=lambda each: each.gain or 0.0, default=None),
        diverged=tuple(each for each in others if each.ended == "diverged"),
        alike=alike,
    )


def rate_in(trial: Trial) -> float | None:
    """Returns the requested learning rate of a trial."""
    value = trial.value(RATE)
    return float(value) if isinstance(value, (int, float)) and value > 0 else None
