"""How suggestions of each kind did so far, over all loops of a folder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import get_args

import msgspec

from tui_loop.core.diagnosis.findings import Word
from tui_loop.core.errors import BadInput
from tui_loop.core.store import IterationFolder, LoopFolder, LoopsFolder

JOINED = " + "
"""Between the names of suggestions that were taken together: of these none is judged alone."""


class Tally(msgspec.Struct, frozen=True):
    """Verdicts on one kind of suggestion, by word."""

    counts: dict[str, int] = {}

    @property
    def kept(self) -> int:
        """Predictions that came true, as far as that is known."""
        return self.counts.get("confirmed", 0) + self.counts.get("consistent", 0)

    @property
    def broken(self) -> int:
        return self.counts.get("refuted", 0) + self.counts.get("against", 0)

    @property
    def unclear(self) -> int:
        return self.counts.get("too close to call", 0)

    @property
    def weight(self) -> float:
        """What the ranking is multiplied by: 1 without a record, towards 2 or 0 with a good or a
        bad one (Laplace's rule of succession, doubled); what is unclear counts as half of each."""
        judged = self.kept + self.broken + self.unclear
        return 2 * (self.kept + 0.5 * self.unclear + 1) / (judged + 2)

    @property
    def words(self) -> str:
        """`3 of 4 came true in these loops, 1 of them with replicates`; empty without a record."""
        judged = self.kept + self.broken + self.unclear
        if not judged:
            return ""
        told = f"{self.kept} of {judged} came true in these loops"
        extra = []
        if confirmed := self.counts.get("confirmed", 0):
            extra.append(f"{confirmed} confirmed by replicates")
        if self.unclear:
            extra.append(f"{self.unclear} too close to call")
        return ", ".join([told, *extra])


class Experience(msgspec.Struct, frozen=True):
    """The verdicts of past suggestions, by kind (`lower_learning_rate`)."""

    tallies: dict[str, Tally] = {}

    def of(self, kind: str) -> Tally:
        return self.tallies.get(kind, Tally())


def experience_of(folders: Iterable[IterationFolder]) -> Experience:
    """The verdicts that stand in these iterations; those that cannot be read are left out."""
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
    """That of all loops in the folder that `loop` lies in."""
    loops = LoopsFolder(loop.path.parent).loops()
    return experience_of(
        each.iteration(number) for each in loops for number in each.numbers() if number
    )
