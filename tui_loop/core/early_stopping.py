"""Early stopping and the best evaluation of a run, from its eval losses."""

from __future__ import annotations

import math

from tui_loop.core.config.schema import Training


class EvalLosses:
    """The eval losses of a run in order, over all of its attempts.

    `stale` counts the scheduled evaluations in a row without a lower eval loss. A requested
    evaluation does not count, nor does a second one at the same step.
    """

    def __init__(self, settings: Training) -> None:
        self._every, self._patience = settings.eval_steps, settings.early_stopping_patience
        self._keeps_best = settings.keep == "best"
        self._counted: set[int] = set()
        self._lowest = self._lowest_counted = math.inf
        self.stale = 0

    @property
    def is_out_of_patience(self) -> bool:
        """Whether early stopping is due."""
        return self._patience is not None and self.stale >= self._patience

    def is_counted(self, step: int) -> bool:
        """Whether the scheduled evaluation of `step` has already been made."""
        return step in self._counted

    def is_due(self, step: int, epoch: float | None, last_step: int) -> bool:
        """Whether an evaluation is scheduled after `step`, which ends at `epoch`.

        After the last step there is none, since the final evaluation measures those weights,
        except where the best weights are kept: then it decides which ones the final one measures.
        """
        if step >= last_step:
            ends_here = self._every is None or self._is_scheduled(step, epoch)
            return ends_here and self._keeps_best
        return self._is_scheduled(step, epoch)

    def note(self, step: int, epoch: float | None, eval_loss: float) -> bool:
        """Counts an eval loss (nats per token); returns whether it is the lowest so far."""
        if self._is_scheduled(step, epoch) and step not in self._counted:
            self._counted.add(step)
            is_lower = eval_loss < self._lowest_counted
            self.stale = 0 if is_lower else self.stale + 1
            self._lowest_counted = eval_loss if is_lower else self._lowest_counted
        if not eval_loss < self._lowest:
            return False
        self._lowest = eval_loss
        return True

    def forget_lowest(self) -> None:
        """Makes the next evaluation the lowest, where the best weights are lost; keeps `stale`."""
        self._lowest = math.inf

    def _is_scheduled(self, step: int, epoch: float | None) -> bool:
        if self._every is None:
            return epoch is not None and epoch > 0 and float(epoch).is_integer()
        return self._every > 0 and step > 0 and step % self._every == 0
