"""The facts on one iteration that rules use. Each is read from the record when it is first used.

Facts that are missing or unreadable are empty or None: a rule without its facts finds nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.clusters import Clusters, clusters_at
from tui_loop.core.compare.comparison import Comparer, Comparison
from tui_loop.core.config.schema import Config
from tui_loop.core.config.validation import read_config
from tui_loop.core.data.row_versions import read_index
from tui_loop.core.diagnosis.experience import Lessons, lessons_of
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.cause_kinds import Measured
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.history import Outcomes, rows_in
from tui_loop.core.examples.table import PASSED, UNSCORED
from tui_loop.core.examples.view import ExampleView
from tui_loop.core.paired_stats import paired_interval
from tui_loop.core.patterns.trials import Trial
from tui_loop.core.record.codec import number as number_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.points import Point
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.state import RunState
from tui_loop.core.record.structs import Iteration, Split, TrainingRow
from tui_loop.core.stats import Interval, effective_total

if TYPE_CHECKING:  # defining its many structs takes some ms, which a start of the app has not
    from tui_loop.core.audit.structs import Audit, DataAudit


class IterationFacts:
    """The facts on iteration `number`; `trials` returns the trials of all loops of the folder."""

    def __init__(
        self,
        reader: LoopReader,
        evaluations: Evaluations,
        comparer: Comparer,
        number: int,
        trials: Callable[[], Sequence[Trial]] = tuple,
    ) -> None:
        self.reader, self.evaluations, self.comparer = reader, evaluations, comparer
        self._trials = trials
        self.number = number
        self.folder: IterationFolder = reader.loop.iteration(number)
        self.iteration: Iteration = reader.iteration(number)
        self._changes: dict[tuple[int, int], Interval | None] = {}

    @cached_property
    def config(self) -> Config | None:
        """Returns the effective config, None where this version cannot read it."""
        return config_of(self.iteration)

    @cached_property
    def effective(self) -> dict[str, Any]:
        """Returns what the run derived: arguments, lengths, labels, device."""
        with suppress(BadInput, OSError):
            return self.folder.read_effective()
        return {}

    @cached_property
    def recorded(self) -> Audit | None:
        """Returns the facts that the run recorded in `audit.json`, None in earlier records."""
        with suppress(BadInput, OSError):
            return self.folder.read_audit()
        return None

    @property
    def audit(self) -> DataAudit | None:
        """Returns the facts about the data, None in earlier records."""
        return self.recorded.data if self.recorded is not None else None

    @cached_property
    def rendering(self) -> Rendering | None:
        """Returns how the run rendered its rows, None in records of earlier versions."""
        table = self.effective.get("rendering")
        with suppress(msgspec.ValidationError):
            return msgspec.convert(table, Rendering) if table is not None else None
        return None

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Returns the recorded data files, by split."""
        return self.reader.splits(self.number)

    @cached_property
    def iterations(self) -> tuple[Iteration, ...]:
        """Returns all iterations of the loop, including this one, in order."""
        return self.reader.iterations()

    @cached_property
    def parent(self) -> Iteration | None:
        """Returns the parent iteration."""
        return next(
            (each for each in self.iterations if each.number == self.iteration.parent), None
        )

    @cached_property
    def base(self) -> Iteration | None:
        """Returns iteration 0 if it was evaluated."""
        first = next((each for each in self.iterations if each.number == 0), None)
        return first if first is not None and first.state == "finished" else None

    @cached_property
    def run(self) -> RunState:
        """Returns the folded journal."""
        return self.reader.at(self.number).view().run

    @cached_property
    def train_curve(self) -> Curve:
        """Returns the training loss by step, in nats per token."""
        return curve_of(self.run.metrics, "loss")

    @cached_property
    def grad_curve(self) -> Curve:
        """Returns the gradient norm by step, before clipping."""
        return curve_of(self.run.metrics, "grad_norm")

    @cached_property
    def eval_curve(self) -> Curve:
        """Returns the eval loss at each evaluation of the run and at its end, in nats per token.

        Where a step was evaluated twice, the later value counts.
        """
        return curve_of(self.run.evaluations, "eval_loss")

    def step_change(self, before: int, after: int) -> Interval | None:
        """Returns the change of the examples' losses (nats per token) between two evaluations."""
        if (before, after) not in self._changes:
            old, new = self._losses_at(before), self._losses_at(after)
            shared = [name for name in new if name in old]
            self._changes[before, after] = paired_interval(
                [old[name] for name in shared],
                [new[name] for name in shared],
                self._clusters_of(shared),
            )
        return self._changes[before, after]

    @cached_property
    def view(self) -> ExampleView | None:
        """Returns the examples compared with those of the parent, with all causes."""
        with suppress(TuiLoopError, OSError):
            view, _ = self.evaluations.view(self.number, self.iteration.parent)
            return view if len(view) else None
        return None

    @cached_property
    def measured(self) -> Measured:
        """Returns how the examples were evaluated."""
        with suppress(TuiLoopError, OSError):
            return self.evaluations.measured(self.number)
        return Measured()

    def outcomes(self, number: int) -> Outcomes | None:
        """Returns outcomes, scores and losses of an iteration's examples, None without any."""
        with suppress(TuiLoopError, OSError):
            found = self.reader.outcomes(number)
            return found if found.ids else None
        return None

    @cached_property
    def training_rows(self) -> Sequence[TrainingRow]:
        """Returns the sample of training rows with a loss measured at the end."""
        with suppress(TuiLoopError, OSError):
            return self.folder.read_training_rows()
        return []

    def row_index(self, split: str) -> dict[str, str]:
        """Returns {row id: hash of the reference} for the rows of `train` or `eval`, in file order.

        {} where the rows are not indexed.
        """
        known = self.splits.get(split)
        if known is None or known.digest is None:
            return {}
        with suppress(TuiLoopError, OSError):
            return read_index(self.reader.loop.path, known.digest)
        return {}

    @cached_property
    def lessons(self) -> Lessons:
        """Returns the experience of all loops of the folder on this base."""
        if self.config is None:
            return Lessons()
        base, is_lora = self.config.model.id, self.config.lora.enabled
        return lessons_of(self._trials(), self.reader.loop.name, base, is_lora=is_lora)

    def row_digests(self, number: int) -> dict[str, str | None]:
        """Returns the versions of the rows that an iteration used, by split."""
        splits = self.reader.splits(number)
        return {
            name: splits[name].sha256 or splits[name].digest
            for name in ("train", "eval")
            if name in splits
        }

    def against(self, number: int | None) -> Comparison | None:
        """Compares this iteration with another one, None where they cannot be compared."""
        return None if number in (None, self.number) else self.compare(number or 0, self.number)

    def compare(self, a: int, b: int) -> Comparison | None:
        """Compares iteration `b` with `a`, None where they cannot be compared."""
        with suppress(TuiLoopError, OSError):
            return self.comparer.compare(a, b)
        return None

    @cached_property
    def effective_total(self) -> float:
        """Returns the number of scored examples, or how many independent ones say as much.

        The second where examples are not independent (`stats.effective_total`).
        """
        outcomes = self.outcomes(self.number)
        if outcomes is None or outcomes.clusters is None:
            return self.metric("total") or 0.0
        scored = [row for row, outcome in enumerate(outcomes.passed) if outcome != UNSCORED]
        marks = [float(outcomes.passed[row] == PASSED) for row in scored]
        return effective_total(marks, clusters_at(outcomes.clusters, scored))

    def _clusters_of(self, ids: Sequence[str]) -> Clusters | None:
        """Returns the groups of examples, None where each has its own or one is unknown."""
        outcomes = self.outcomes(self.number)
        if outcomes is None or outcomes.clusters is None:
            return None
        found = [row for row in rows_in(outcomes, ids) if row is not None]
        return clusters_at(outcomes.clusters, found) if len(found) == len(ids) else None

    def _losses_at(self, step: int) -> dict[str, float]:
        with suppress(TuiLoopError, OSError):
            losses = ((row.id, number_of(row.loss)) for row in self.folder.read_step_losses(step))
            return {
                name: value for name, value in losses if value is not None and math.isfinite(value)
            }
        return {}

    @cached_property
    def against_parent(self) -> Comparison | None:
        return self.against(self.iteration.parent)

    @cached_property
    def against_base(self) -> Comparison | None:
        return self.against(0 if self.base is not None else None)

    def metric(self, name: str) -> float | None:
        """Returns a metric of this iteration, None where it is missing or not finite."""
        return metric_of(self.iteration, name)


class Rendering(msgspec.Struct, frozen=True):
    """How a run rendered its rows, as it recorded it in `[effective.rendering]`.

    `template`: where the chat template came from (model, trl or file), None without one.
    `rows_with`: the number of training rows with each flaw.
    """

    stop_tokens: tuple[str, ...] = ()
    stop_strings: tuple[str, ...] = ()
    eos_token: str | None = None
    template: str | None = None
    rows_with: dict[str, int] = {}

    @property
    def stops(self) -> tuple[str, ...]:
        """Returns everything that ends an answer: tokens, then texts."""
        return self.stop_tokens + self.stop_strings


def finite_losses(outcomes: Outcomes) -> tuple[list[float], Clusters | None]:
    """Returns the finite losses of examples, and the groups of these examples."""
    rows = [row for row, loss in enumerate(outcomes.losses) if math.isfinite(loss)]
    return [outcomes.losses[row] for row in rows], clusters_at(outcomes.clusters, rows)


def metric_of(iteration: Iteration | None, name: str) -> float | None:
    """Returns a metric of an iteration, None where it is missing or not finite."""
    value = number_of(iteration.metrics.get(name)) if iteration is not None else None
    return value if value is not None and math.isfinite(value) else None


def config_of(iteration: Iteration) -> Config | None:
    """Returns the config of an iteration, None where this version cannot read it."""
    try:
        return read_config(iteration.config) if iteration.config is not None else None
    except BadInput:
        return None


class Curve(msgspec.Struct, frozen=True):
    """A curve with the value `values[i]` at `steps[i]`. Steps rise, and values are finite.

    `nonfinite`: the steps whose value is left out because it is not finite.
    """

    steps: tuple[int, ...] = ()
    values: tuple[float, ...] = ()
    nonfinite: tuple[int, ...] = ()

    def __len__(self) -> int:
        return len(self.steps)

    @property
    def lowest(self) -> int:
        """Returns the index of the first smallest value, -1 for an empty curve."""
        return min(range(len(self)), key=self.values.__getitem__, default=-1)

    def part(self, start: float, end: float) -> Curve:
        """Returns the points between two shares of the run: `part(0.5, 1)` is the second half."""
        low, high = math.floor(start * len(self)), math.ceil(end * len(self))
        return Curve(self.steps[low:high], self.values[low:high])


def curve_of(points: Iterable[Point], name: str) -> Curve:
    """Returns the curve of the metric `name`. Of two values at one step, the later one counts."""
    found: dict[int, float] = {}
    nonfinite: list[int] = []
    for point in points:
        value = point.values.get(name)
        if value is None:
            continue
        if math.isfinite(value):
            found[point.step] = value
        else:
            nonfinite.append(point.step)
    steps = tuple(sorted(found))
    return Curve(steps, tuple(found[step] for step in steps), tuple(nonfinite))


class Trend(msgspec.Struct, frozen=True):
    """A straight line through a part of a curve: its change over the part, with a standard error.

    `start` and `end` are the line's values at the ends of that part.
    """

    change: float
    error: float
    start: float
    end: float

    @property
    def is_falling(self) -> bool:
        """Returns whether the change exceeds two standard errors."""
        return self.change < -2 * self.error


def trend_of(curve: Curve) -> Trend | None:
    """Returns the least-squares line through a curve, None with fewer than four points.

    The standard error assumes independent residuals. Neighbouring logs of one run are nearly
    independent, since each is measured on other rows.
    """
    count = len(curve)
    if count < 4 or curve.steps[0] == curve.steps[-1]:
        return None
    mean_x, mean_y = fmean(curve.steps), fmean(curve.values)
    spread = math.fsum((x - mean_x) ** 2 for x in curve.steps)
    slope = (
        math.fsum(
            (x - mean_x) * (y - mean_y) for x, y in zip(curve.steps, curve.values, strict=True)
        )
        / spread
    )
    residuals = [
        y - mean_y - slope * (x - mean_x) for x, y in zip(curve.steps, curve.values, strict=True)
    ]
    # Two degrees of freedom go into the slope and the level.
    variance = math.fsum(each * each for each in residuals) / (count - 2)
    length = curve.steps[-1] - curve.steps[0]
    return Trend(
        change=slope * length,
        error=math.sqrt(variance / spread) * length,
        start=mean_y + slope * (curve.steps[0] - mean_x),
        end=mean_y + slope * (curve.steps[-1] - mean_x),
    )


def level(values: Sequence[float]) -> float:
    """Returns the median, which spikes do not move, or NaN without values."""
    return median(values) if values else math.nan
