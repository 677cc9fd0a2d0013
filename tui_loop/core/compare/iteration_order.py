"""The figures of an iteration that lists sort and filter by, and the orders of a list."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

from tui_loop.core.record.codec import number
from tui_loop.core.record.run_glance import RunGlance
from tui_loop.core.record.structs import Iteration

NO_GLANCE = RunGlance()


class IterationOrder(StrEnum):
    """The sort orders of iterations."""

    NUMBER = "number"
    SCORE = "score"
    EVAL_LOSS = "eval loss"
    LEARNING_RATE = "lr"
    TIME = "time"
    TOKENS = "tokens"
    TOKEN_RATE = "tok/s"


HIGHEST_FIRST = (
    IterationOrder.SCORE,
    IterationOrder.TIME,
    IterationOrder.TOKENS,
    IterationOrder.TOKEN_RATE,
)
"""Orders that begin with the highest value; the others begin with the lowest."""

Figure = Callable[[Iteration, RunGlance], float | None]


def metric(name: str) -> Figure:
    """Returns the function that gives a metric of an iteration."""
    return lambda iteration, _: number(iteration.metrics.get(name))


def eval_loss(iteration: Iteration, _: RunGlance = NO_GLANCE) -> float | None:
    """Returns the eval loss, of an unfinished run the last one that it measured."""
    loss = number(iteration.metrics.get("eval_loss"))
    reached = iteration.reach
    return number(reached.eval_loss) if loss is None and reached is not None else loss


def learning_rate(iteration: Iteration, _: RunGlance = NO_GLANCE) -> float | None:
    """Returns the learning rate that an iteration was trained with, None for the base."""
    if iteration.number == 0:
        return None
    return number((iteration.config or {}).get("training", {}).get("learning_rate"))


def duration(iteration: Iteration, _: RunGlance = NO_GLANCE) -> float | None:
    """Returns the seconds of all attempts."""
    return iteration.duration_s


def steps(iteration: Iteration, _: RunGlance = NO_GLANCE) -> float | None:
    """Returns the optimizer steps that were taken."""
    taken = number(iteration.metrics.get("steps"))
    return float(iteration.reach.steps) if taken is None and iteration.reach is not None else taken


def tokens(_: Iteration, glance: RunGlance) -> float | None:
    """Returns the tokens that training read, with padding left out."""
    return glance.tokens


def token_rate(iteration: Iteration, glance: RunGlance) -> float | None:
    """Returns the tokens that training read per second."""
    seconds = number(iteration.metrics.get("train_runtime"))
    return glance.tokens / seconds if glance.tokens and seconds else None


FIGURES: dict[IterationOrder, Figure] = {
    IterationOrder.NUMBER: lambda iteration, _: float(iteration.number),
    IterationOrder.SCORE: metric("score"),
    IterationOrder.EVAL_LOSS: eval_loss,
    IterationOrder.LEARNING_RATE: learning_rate,
    IterationOrder.TIME: duration,
    IterationOrder.TOKENS: tokens,
    IterationOrder.TOKEN_RATE: token_rate,
}


def in_order(
    iterations: Sequence[Iteration],
    order: IterationOrder,
    glances: Mapping[int, RunGlance],
    *,
    is_reversed: bool = False,
) -> list[Iteration]:
    """Returns the iterations sorted; those without a finite value are last either way."""
    figure = FIGURES[order]
    known: list[tuple[float, Iteration]] = []
    unknown: list[Iteration] = []
    for each in iterations:
        value = figure(each, glances.get(each.number, NO_GLANCE))
        if value is None or not math.isfinite(value):
            unknown.append(each)
        else:
            known.append((value, each))
    highest_first = (order in HIGHEST_FIRST) is not is_reversed
    known.sort(key=lambda pair: pair[0], reverse=highest_first)
    return [each for _, each in known] + unknown
