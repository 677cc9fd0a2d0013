"""The verdict on a prediction: whether a change had the expected effect.

A prediction is a range for a metric. It is compared with the measured change from the parent and
its 95% interval, over the shared examples. A move in the right direction that does not exclude the
range supports the prediction. An interval short of the range, or a diverged run, contradicts it.
Anything else is too close to call. `confirmed` and `refuted` need replicates of both configs, since
one run of each depends as much on its seed as on its config.
"""

from __future__ import annotations

from contextlib import suppress

import msgspec

from tui_loop.core.compare.claims import examples_of, runs_text
from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.config.fields import as_setting
from tui_loop.core.config.schema import BOOKKEEPING
from tui_loop.core.diagnosis.findings import Prediction, Verdict, Word
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.record.codec import number
from tui_loop.core.record.structs import Decision, Iteration
from tui_loop.core.stats import Interval
from tui_loop.core.text import figures
from tui_loop.core.text.untrusted import one_line

NAMES_LENGTH = 1000
"""The most characters of a suggestion's name: a record may have any text there."""


def prediction_of(decision: Decision) -> Prediction | None:
    """Returns the prediction of a decision, None without a readable one."""
    if decision.predicted is None:
        return None
    try:
        return msgspec.convert(decision.predicted, Prediction)
    except msgspec.ValidationError:
        return None


def rests_on_these_changes(decision: Decision) -> bool:
    """Returns whether the prediction is about exactly these changes."""
    predicted = (decision.predicted or {}).get("changes")
    if not isinstance(predicted, dict):
        return True  # written by a version or a source that applies suggestions unchanged
    made = {
        each.field: as_setting(each.new)
        for each in decision.changes
        if each.field not in BOOKKEEPING
    }
    return made == {name: value for name, value in predicted.items() if name not in BOOKKEEPING}


def verdict_of(comparer: Comparer, iteration: Iteration, decision: Decision) -> Verdict | None:
    """Returns the verdict on an iteration's prediction, None without one or before the end."""
    predicted = prediction_of(decision)
    if (
        predicted is None
        or decision.parent is None
        or iteration.state not in ("finished", "failed")
        or not rests_on_these_changes(decision)
    ):
        return None
    suggestion = (decision.suggestion or "")[:NAMES_LENGTH]
    text = f"expected {_range(predicted)}"
    if iteration.error is not None and iteration.error.get("kind") == "diverged":
        step = one_line(str(iteration.error.get("step")), 20)
        return Verdict("against", f"{text}, but the run diverged at step {step}", suggestion)
    measured = number(iteration.metrics.get(predicted.metric))
    if measured is None or iteration.state != "finished":
        return None
    comparison = _compared(comparer, decision.parent, iteration.number)
    if comparison is None:
        return None
    change = _change(comparison, predicted)
    if change is None:
        return None
    sure = comparison.has_spread
    word = _word(change, predicted, is_sure=sure)
    sentence = f"{text}, measured {_value(predicted, measured)}: {_told(comparison, predicted)}"
    if not comparison.a and decision.parent:
        sentence += f", compared with the base because parent {decision.parent} was not evaluated"
    if not sure:
        sentence += f"; {runs_text(comparison)}"
    return Verdict(word, sentence, suggestion, measured)


def _compared(comparer: Comparer, parent: int, number: int) -> Comparison | None:
    """Returns the comparison with the parent, or with the base where the parent has no evaluation.

    After a parent that diverged, a prediction starts from the base.
    """
    for other in (parent, 0):
        with suppress(TuiLoopError, OSError):
            return comparer.compare(other, number)
    return None


def _word(change: Interval, predicted: Prediction, *, is_sure: bool) -> Word:
    """Returns the verdict. `change` is a gain: positive is better for either metric."""
    near = predicted.low - predicted.was if predicted.wants_more else predicted.was - predicted.high
    moved = change.low > 0 if near > 0 else change.low >= near
    if moved and change.high >= near:
        return "confirmed" if is_sure else "consistent"
    if change.high < near:
        return "refuted" if is_sure else "against"
    return "too close to call"


def _change(comparison: Comparison, predicted: Prediction) -> Interval | None:
    """Returns the gain in the predicted metric, where a lower loss is a gain."""
    if predicted.wants_more:
        return comparison.interval
    loss = comparison.loss
    return None if loss is None else Interval(-loss.delta, -loss.high, -loss.low)


def _told(comparison: Comparison, predicted: Prediction) -> str:
    if predicted.wants_more:
        over = examples_of(comparison)
        return f"{figures.points(comparison.interval)} points over {over}"
    over = examples_of(comparison, by_loss=True)
    return f"{figures.loss_change(comparison.loss)} nats per token over {over}"


def _range(predicted: Prediction) -> str:
    low, high = (_value(predicted, value) for value in (predicted.low, predicted.high))
    name = predicted.metric.replace("_", " ")
    return f"{name} {low} to {high} (was {_value(predicted, predicted.was)})"


def _value(predicted: Prediction, value: float) -> str:
    return figures.percent(value) if predicted.metric == "score" else figures.loss(value)
