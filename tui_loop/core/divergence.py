"""Detects a run that diverges or trains nothing, from its logged values alone.

Not every divergence is a NaN: a learning rate that is far too high can leave a finite but
meaningless loss, and once the weights are NaN the loss may read 0.0 from then on.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median
from typing import Literal

import msgspec

WATCHED_VALUES = ("loss", "grad_norm", "entropy")
"""Logged values that show a divergence; once weights are NaN, the loss itself may read 0.0."""

FIRST_LOGS = 10
RECENT_LOGS = 10
LEAST_LOGS = FIRST_LOGS + RECENT_LOGS
"""A finite loss is judged from this many logs on: the last logs' median by that of the first."""

RISE = 1.5
"""A run has diverged when its recent median loss exceeds its first one by this factor."""

HIGHEST_USEFUL_RATE = 1e-2
"""Tiny models still learn at this learning rate, larger ones do not."""

EMPTY_LOGS = 3
"""Logs in a row with a loss and gradient of exactly 0 that show that nothing is being trained."""

DivergenceKind = Literal["diverged", "nothing_trained"]


class DivergenceEvent(msgspec.Struct, frozen=True):
    """The first sign that a run diverged or trained nothing: its step, and the reason in words."""

    kind: DivergenceKind
    step: int
    reason: str


class DivergenceDetector:
    """Checks each training log and evaluation of a run; `event` is the first sign, or None.

    `vocabulary` is the number of the model's tokens: a uniform guess costs ln(vocabulary) nats per
    token.
    """

    def __init__(self, vocabulary: int) -> None:
        self._uniform_loss = math.log(max(2, vocabulary))
        self._first: list[float] = []
        self._recent: list[float] = []
        self._logs = 0
        self._empty = 0
        self.event: DivergenceEvent | None = None

    def check_log(self, step: int, values: Mapping[str, float | None]) -> bool:
        """Checks a training log; returns whether the weights that it was measured on are sound."""
        fields = {name: values.get(name) for name in WATCHED_VALUES}
        nonfinite = [
            name for name, value in fields.items() if value is not None and not math.isfinite(value)
        ]
        if nonfinite:
            self._record("diverged", step, f"{' and '.join(nonfinite)} not finite")
            return False
        loss = fields["loss"]
        if loss is None:
            return self.event is None
        self._count_empty(step, loss, fields["grad_norm"])
        self._logs += 1
        if len(self._first) < FIRST_LOGS:
            self._first.append(loss)
        self._recent = [*self._recent, loss][-RECENT_LOGS:]
        limit = self.limit
        if self._logs >= LEAST_LOGS and median(self._recent) > limit:
            level = f"{median(self._recent):.3g}"
            reason = f"the loss stays at about {level}, above the limit of {limit:.3g}"
            self._record("diverged", step, reason)
        return self.event is None and loss <= limit

    def check_evaluation(self, step: int, eval_loss: float) -> bool:
        """Checks an evaluation during training; returns whether the weights of `step` are sound."""
        if not math.isfinite(eval_loss):
            self._record("diverged", step, "eval loss not finite")
        return self.event is None and eval_loss <= self.limit

    def check_end(self, step: int, train_loss: float | None) -> None:
        """Checks the mean loss of the whole run, which includes the steps since the last log.

        A run that is too short for EMPTY_LOGS trained nothing if all of its logs are empty.
        """
        if train_loss is not None and not math.isfinite(train_loss):
            self._record("diverged", step, "train loss not finite")
        if train_loss == 0.0 and self._empty == self._logs:
            reason = "loss and gradient are exactly 0 at every logged step"
            self._record("nothing_trained", step, reason)

    @property
    def limit(self) -> float:
        """The training loss, in nats per token, above which a run that stays there has diverged.

        It is RISE times the median of the first logs, or times the first loss where that is lower
        (a run may explode at its second step), and never below the loss of a uniform guess.
        """
        if not self._first:
            return self._uniform_loss
        return max(RISE * min(self._first[0], median(self._first)), self._uniform_loss)

    def _count_empty(self, step: int, loss: float, grad_norm: float | None) -> None:
        is_empty = loss == 0.0 and not grad_norm
        self._empty = self._empty + 1 if is_empty else 0
        if self._empty == EMPTY_LOGS:
            reason = f"loss and gradient are exactly 0 at {EMPTY_LOGS} logged steps in a row"
            self._record("nothing_trained", step, reason)

    def _record(self, kind: DivergenceKind, step: int, reason: str) -> None:
        """Keeps the first event: what follows from it says nothing new."""
        if self.event is None:
            self.event = DivergenceEvent(kind, step, reason)


def is_far_above(eval_loss: float, base_loss: float) -> bool:
    """Whether a tuned model's eval loss is too high for overfitting alone.

    That is more than twice the base's and more than two nats per token above it.
    """
    return eval_loss > max(2 * base_loss, base_loss + 2)


def lower_rate(rate: float, *, with_adapter: bool) -> float:
    """Returns the learning rate to try after `rate` diverged: a tenth of it.

    Where a tenth is still above HIGHEST_USEFUL_RATE, it is the usual advice instead.
    """
    tenth = float(f"{rate / 10:.3g}")
    return tenth if tenth <= HIGHEST_USEFUL_RATE else usual_rate(with_adapter=with_adapter)


def usual_rate(*, with_adapter: bool) -> float:
    """Returns the learning rate that TRL's docs advise: 1e-4 for LoRA, 2e-5 for all weights."""
    return 1e-4 if with_adapter else 2e-5
