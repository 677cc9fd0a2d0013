"""What comparisons claim of many pairs of iterations, with as little reading as each one needs.

A comparison resamples examples, some 20 ms a pair. Of two configs with one run each the answer is
often plain: from the scores alone, or from the paired examples' mean and deviation. Only what is
near the edge, or has replicates, is compared in full.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from tui_loop.core.compare.comparison import Comparer, scored_alike
from tui_loop.core.compare.pairing import scored_rows, shared_rows, taken
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration

SURE_WIDTHS = 2.5
"""Scores that lie this many of the widest possible standard errors apart need no examples: the
paired interval, of 1.96 of at most such errors, cannot reach zero."""

CLEAR, UNSEEN = 2.5, 1.5
"""Paired differences of so many standard errors are on one side of 1.96 however they are drawn."""

LEAST_PAIRS = 40
"""Fewer pairs are always compared in full."""

NOTHING = "nothing to compare"


class Claim(msgspec.Struct, frozen=True):
    """A claim as `core.compare.comparison` words it, and the runs of the config with fewer of them."""

    words: str
    replicates: int = 1


class Claims:
    """The claims on pairs of iterations of one loop, each kept while the loop stays as it is."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._comparer = Comparer(reader)
        self._of: Sequence[Iteration] = ()
        self._known: dict[tuple[int, int], Claim] = {}

    @property
    def path(self) -> Path:
        return self._reader.loop.path

    def begin(self, iterations: Sequence[Iteration]) -> bool:
        """Forgets what was claimed where the iterations are not those of the last time."""
        same = len(iterations) == len(self._of) and all(map(_is, iterations, self._of))
        if not same:
            self._of, self._known = iterations, {}
        return same

    def claim(
        self, old: Iteration, new: Iteration, *, has_replicates: bool, until: float
    ) -> Claim | None:
        """What can be claimed of `new` against `old`; None where there is no time for it."""
        pair = old.number, new.number
        if pair not in self._known:
            words = None if has_replicates else sure_claim(old, new)
            if words is not None:
                self._known[pair] = Claim(words)
            elif time.monotonic() < until:
                self._known[pair] = self._compared(old, new, has_replicates=has_replicates)
        return self._known.get(pair)

    def _compared(self, old: Iteration, new: Iteration, *, has_replicates: bool) -> Claim:
        try:
            words = None if has_replicates else self._clear_claim(old, new)
            if words is not None:
                return Claim(words)
            result = self._comparer.compare(old.number, new.number)
        except (TuiLoopError, OSError):  # what cannot be read claims nothing
            return Claim(NOTHING)
        return Claim(result.claim, min(result.replicates))

    def _clear_claim(self, old: Iteration, new: Iteration) -> str | None:
        """The claim on two single runs, where resampling their examples can give no other."""
        if not scored_alike(old, new):
            return NOTHING
        before, after = (self._reader.outcomes(each.number) for each in (old, new))
        rows = scored_rows(before, after, shared_rows(before, after))
        count = len(rows)
        if count < LEAST_PAIRS:
            return None
        pairs = zip(taken(after.scores, rows.new), taken(before.scores, rows.old), strict=True)
        differences = [one - other for one, other in pairs]
        mean = math.fsum(differences) / count
        squares = math.fsum((each - mean) * (each - mean) for each in differences)
        errors = abs(mean) / math.sqrt(squares / (count - 1) / count) if squares else math.inf
        if errors > CLEAR and mean:
            return _words(mean)
        return "consistent with no difference" if errors < UNSEEN or not mean else None


def sure_claim(old: Iteration, new: Iteration) -> str | None:
    """What a comparison of two single runs must say, where their scores are so far apart that no
    pairing of their examples can say otherwise; None where examples have to be looked at.

    A score in [0, 1] with mean m varies by m(1 - m) at most, and a paired difference by the square
    of the sum of both deviations.
    """
    before, after = old.metrics.get("score"), new.metrics.get("score")
    total = new.metrics.get("total")
    if not isinstance(before, float | int) or not isinstance(after, float | int):
        return None
    alike = old.fingerprint is not None and old.fingerprint == new.fingerprint
    if not alike or not isinstance(total, int) or total < LEAST_PAIRS:
        return None
    if not (0 <= before <= 1 and 0 <= after <= 1) or old.metrics.get("total") != total:
        return None
    spread = sum(math.sqrt(each * (1 - each)) for each in (before, after)) / math.sqrt(total - 1)
    return _words(after - before) if abs(after - before) > SURE_WIDTHS * spread else None


def _words(difference: float) -> str:
    return f"consistent with {'better' if difference > 0 else 'worse'}"


def _is(one: object, other: object) -> bool:
    return one is other
