"""When a run has diverged, or trains nothing: decided from its logged values alone.

Not every divergence is a NaN: a rate that is far too high can leave a finite loss that no longer
means anything, and a loss can read 0.0 for ever once the weights are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Literal

import msgspec

WITNESSES = ("loss", "grad_norm", "entropy")
"""Logged values that show a divergence; once weights are NaN, the loss itself may read 0.0."""

FIRST_LOGS = 10
RECENT_LOGS = 10
LEAST_LOGS = FIRST_LOGS + RECENT_LOGS
"""A finite loss is judged from this many logs on: the median of the last by that of the first."""

RISE = 1.5
HIGHEST_OF_USE = 1e-2
"""Of learning rates; tiny models learn with it, no larger one does."""

EMPTY_LOGS = 3
"""Logs in a row with loss and gradient exactly 0 after which nothing is being trained."""

Trouble = Literal["diverged", "nothing_trained"]


class Sighting(msgspec.Struct, frozen=True):
    """What was seen first, at which step, in a few words."""

    kind: Trouble
    step: int
    reason: str


class TrainingWatch:
    """Looks at each training log of a run; `seen` is the first trouble, None while all is well.

    `vocabulary` is the model's, in tokens: guessing blindly costs ln(vocabulary) nats a token.
    """

    def __init__(self, vocabulary: int) -> None:
        self._blind = math.log(max(2, vocabulary))
        self._first: list[float] = []
        self._recent: list[float] = []
        self._logs = 0
        self._empty = 0
        self.seen: Sighting | None = None

    def look(self, step: int, values: Mapping[str, float | None]) -> bool:
        """Takes in one log; whether the weights that it was measured on were still sound."""
        fields = {name: values.get(name) for name in WITNESSES}
        bad = [name for name, value in fields.items() if value is not None and not _finite(value)]
        if bad:
            self._see(Sighting("diverged", step, f"{' and '.join(bad)} not finite"))
            return False
        loss = fields["loss"]
        if loss is None:
            return self.seen is None
        self._count_empty(step, loss, fields["grad_norm"])
        self._logs += 1
        if len(self._first) < FIRST_LOGS:
            self._first.append(loss)
        self._recent = [*self._recent, loss][-RECENT_LOGS:]
        limit = self.limit
        if self._logs >= LEAST_LOGS and median(self._recent) > limit:
            reason = f"a loss about {median(self._recent):.3g}, above {limit:.3g}, for many logs"
            self._see(Sighting("diverged", step, reason))
        return self.seen is None and loss <= limit

    def look_at_evaluation(self, step: int, eval_loss: float) -> bool:
        """Takes in an evaluation within the run; whether the weights of `step` are sound."""
        if not _finite(eval_loss):
            self._see(Sighting("diverged", step, "eval loss not finite"))
        return self.seen is None and eval_loss <= self.limit

    def look_at_end(self, step: int, train_loss: float | None) -> None:
        """Takes in the mean loss of the whole run, which has the steps since the last log too.

        A run that is too short for EMPTY_LOGS trained nothing if none of its logs shows anything.
        """
        if train_loss is not None and not _finite(train_loss):
            self._see(Sighting("diverged", step, "train loss not finite"))
        if train_loss == 0.0 and self._empty == self._logs:
            reason = "loss and gradient are exactly 0 in every log"
            self._see(Sighting("nothing_trained", step, reason))

    @property
    def limit(self) -> float:
        """The training loss above which, in the long run, a run has diverged; in nats a token.

        What comes first is the median of the first logs, or the very first loss where that is
        lower: a run may explode at its second step.
        """
        if not self._first:
            return self._blind
        return max(RISE * min(self._first[0], median(self._first)), self._blind)

    def _count_empty(self, step: int, loss: float, grad_norm: float | None) -> None:
        is_empty = loss == 0.0 and not grad_norm
        self._empty = self._empty + 1 if is_empty else 0
        if self._empty == EMPTY_LOGS:
            reason = f"loss and gradient are exactly 0 in {EMPTY_LOGS} logs in a row"
            self._see(Sighting("nothing_trained", step, reason))

    def _see(self, sighting: Sighting) -> None:
        if self.seen is None:
            self.seen = sighting


def is_far_above(eval_loss: float, base_loss: float) -> bool:
    """Whether a tuned model's eval loss (nats a token) is no mere overfitting: twice the base's,
    and two nats more."""
    return eval_loss > max(2 * base_loss, base_loss + 2)


def lower_rate(rate: float, *, with_adapter: bool) -> float:
    """The learning rate to try after `rate` diverged: a tenth of it, or where even that is beyond
    all use what is commonly advised (1e-4 for LoRA, 2e-5 for all weights)."""
    tenth = float(f"{rate / 10:.3g}")
    advised = 1e-4 if with_adapter else 2e-5
    return tenth if tenth <= HIGHEST_OF_USE else advised


def _finite(value: float) -> bool:
    return math.isfinite(value)
