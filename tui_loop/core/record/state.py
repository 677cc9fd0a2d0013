"""What a journal says, folded: the one reducer behind every view of a run, live or past."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Any

import msgspec

from tui_loop.core.record.codec import number
from tui_loop.core.record.events import (
    AnyEvent,
    CheckpointSaved,
    Evaluated,
    LineLogged,
    MetricsLogged,
    PhaseStarted,
    Progressed,
    Recovered,
    RequestSeen,
    RunEnded,
    RunStarted,
    Skipped,
)

LINES_KEPT = 5_000


class Point(msgspec.Struct, frozen=True):
    """The values of one log: of a training step, or of an evaluation after it."""

    step: int
    epoch: float | None
    values: dict[str, float]
    t: float


class Rows(msgspec.Struct, frozen=True):
    """What a run logged by steps."""

    metrics: list[Point]
    evaluations: list[Point]
    checkpoints: list[CheckpointSaved]
    nonfinite_steps: list[int]


class RunState(msgspec.Struct):
    """Everything known of a run. Owned by whoever folds; `fold` changes it in place.

    `set_aside`: what the attempt under way is to replace, for as long as it has not begun to.
    `final_evaluation`, `results`, `results_fingerprint`: the evaluation of the weights that are
    kept, and what the last end recorded; until an attempt begins to replace them.
    `earlier_s`: how long the attempts before it lived; `trained_s`: how long all trained, up to
    `training_since`, where it does.
    """

    started: RunStarted | None = None
    ended: RunEnded | None = None
    attempt: int = 0
    phase: str | None = None
    phase_started_at: float = 0.0
    done: int = 0
    total: int | None = None
    phase_from: int = 0
    paused_at: float | None = None
    metrics: list[Point] = []
    evaluations: list[Point] = []
    lines: deque[LineLogged] = msgspec.field(default_factory=lambda: deque(maxlen=LINES_KEPT))
    line_count: int = 0
    warnings: int = 0
    checkpoints: list[CheckpointSaved] = []
    recoveries: list[Recovered] = []
    requests: list[RequestSeen] = []
    nonfinite_steps: list[int] = []
    set_aside: Rows | None = None
    final_evaluation: Point | None = None
    results: dict[str, Any] | None = None
    results_fingerprint: dict[str, Any] | None = None
    earlier_s: float = 0.0
    trained_s: float = 0.0
    training_since: float | None = None
    next_seq: int = 0
    missing: int = 0
    unknown: int = 0
    last_t: float = 0.0

    @property
    def step(self) -> int:
        """The last optimizer step that was logged."""
        return self.metrics[-1].step if self.metrics else 0

    @property
    def stop_requested(self) -> bool:
        return any(request.name == "stop" for request in self.requests)

    @property
    def duration_s(self) -> float | None:
        """How long all attempts lived, pauses included; None before the first."""
        if self.started is None:
            return None
        return self.earlier_s + max(0.0, self.last_t - self.started.t)

    @property
    def training_s(self) -> float:
        """How long all attempts trained, pauses included."""
        open_s = 0.0 if self.training_since is None else self.last_t - self.training_since
        return self.trained_s + max(0.0, open_s)

    @property
    def valid_checkpoints(self) -> list[CheckpointSaved]:
        """The checkpoints that no attempt has begun to replace."""
        return self.set_aside.checkpoints if self.set_aside else self.checkpoints

    @property
    def is_paused(self) -> bool:
        """Whether the run waits to be continued."""
        return self.paused_at is not None

    @property
    def recovered_changes(self) -> dict[str, list[Any]]:
        """{"group.field": [old, new]} of what recoveries changed in the config, in all."""
        changes: dict[str, list[Any]] = {}
        for recovery in self.recoveries:
            for name, pair in recovery.changes.items():
                if isinstance(pair, list) and len(pair) == 2:
                    changes[name] = [changes.get(name, pair)[0], pair[1]]
        return changes

    def latest(self, name: str) -> float | None:
        """The newest value of a training metric."""
        for point in reversed(self.metrics):
            if name in point.values:
                return point.values[name]
        return None

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds to the end of the phase, from its own pace; None while unknown."""
        done_here = self.done - self.phase_from
        if not self.total or done_here <= 0 or self.ended is not None:
            return None
        spent = (self.paused_at or now) - self.phase_started_at
        return max(0.0, spent / done_here * (self.total - self.done))


def fold(state: RunState, events: Iterable[AnyEvent]) -> RunState:
    """`state` after `events`; a pure function of the events folded so far."""
    for event in events:
        if event.seq > state.next_seq:
            state.missing += event.seq - state.next_seq
        state.next_seq = max(state.next_seq, event.seq + 1)
        state.unknown += isinstance(event, Skipped)
        _fold_one(state, event)
        state.last_t = event.t
    return state


def _fold_one(state: RunState, event: AnyEvent) -> None:
    if (state.set_aside or state.results or state.final_evaluation) and _is_work(event):
        state.set_aside = None
        _forget_results(state)
    match event:
        case MetricsLogged():
            point = _point(event)
            state.metrics.append(point)
            if not _all_finite(point.values):
                state.nonfinite_steps.append(point.step)
        case Evaluated():
            _add_evaluation(state, _point(event))
        case Progressed():
            state.done, state.total = event.done, event.total
        case PhaseStarted():
            _end_training(state, event.t)
            state.training_since = event.t if event.name == "training" else None
            state.phase, state.phase_started_at = event.name, event.t
            state.done, state.total = 0, None
            resumed = event.name == "training" and state.started is not None
            state.phase_from = state.started.from_step if resumed and state.started else 0
        case LineLogged():
            state.lines.append(event)
            state.line_count += 1
            state.warnings += event.level in ("warning", "error")
        case CheckpointSaved():
            state.checkpoints.append(event)
        case Recovered():
            state.recoveries.append(event)
        case RequestSeen():
            state.requests.append(event)
            _pause_or_go_on(state, event)
        case RunStarted():
            _start_attempt(state, event)
        case RunEnded():
            _end_training(state, event.t)
            state.ended, state.phase, state.paused_at = event, None, None
            state.results, state.results_fingerprint = event.metrics, event.fingerprint
            _put_back(state)


def _add_evaluation(state: RunState, point: Point) -> None:
    """The phase tells the final evaluation from those within training."""
    state.evaluations.append(point)
    if state.phase == "evaluating":
        state.final_evaluation = point


def _pause_or_go_on(state: RunState, event: RequestSeen) -> None:
    """Time in a pause does not count as the phase's."""
    if event.name == "pause" and state.paused_at is None:
        state.paused_at = event.t
    elif state.paused_at is not None and event.name in ("continue", "stop"):
        state.phase_started_at += max(0.0, event.t - state.paused_at)
        state.paused_at = None


def _start_attempt(state: RunState, event: RunStarted) -> None:
    """A new attempt counts from `from_step`: what earlier ones logged beyond it is dropped.

    It comes back if the attempt ends before it trained or measured anything; not what diverged.
    """
    _put_back(state)
    _end_training(state, state.last_t)  # of one that is gone, where its record ends
    state.earlier_s = state.duration_s or 0.0
    error = state.ended.error if state.ended else None
    diverged = error is not None and error.get("kind") == "diverged"
    diverged = diverged or any(each.kind == "nonfinite" for each in state.recoveries)
    state.started, state.ended, state.attempt = event, None, event.attempt
    state.requests = []
    state.paused_at = None
    state.phase, state.done, state.total = None, 0, None
    if event.iteration == 0:  # measured again from nothing, by other settings
        _forget_results(state)
    rows = Rows(state.metrics, state.evaluations, state.checkpoints, state.nonfinite_steps)
    state.set_aside = None if diverged else rows
    kept = event.from_step
    state.metrics = [point for point in state.metrics if point.step <= kept]
    state.evaluations = [point for point in state.evaluations if point.step <= kept]
    state.checkpoints = [saved for saved in state.checkpoints if saved.step <= kept]
    state.nonfinite_steps = [step for step in state.nonfinite_steps if step <= kept]


def _is_work(event: AnyEvent) -> bool:
    """Whether an event says that an attempt trains or measures; till then it may leave no trace."""
    if isinstance(event, PhaseStarted):
        return event.name in ("training", "evaluating")
    return isinstance(event, (MetricsLogged, Evaluated, CheckpointSaved))


def _forget_results(state: RunState) -> None:
    state.final_evaluation = state.results = state.results_fingerprint = None


def _end_training(state: RunState, at: float) -> None:
    if state.training_since is not None:
        state.trained_s += max(0.0, at - state.training_since)
        state.training_since = None


def _put_back(state: RunState) -> None:
    """Undoes the beginning of an attempt that has replaced nothing."""
    if state.set_aside is not None:
        rows, state.set_aside = state.set_aside, None
        state.metrics, state.evaluations = rows.metrics, rows.evaluations
        state.checkpoints, state.nonfinite_steps = rows.checkpoints, rows.nonfinite_steps


def _point(event: MetricsLogged | Evaluated) -> Point:
    values = {name: value for name, value in event.values.items() if type(value) is float}
    if len(values) < len(event.values):  # words and whole numbers, which are rare
        fields = {name: number(raw) for name, raw in event.values.items()}
        values = {name: value for name, value in fields.items() if value is not None}
    return Point(event.step, number(event.epoch), values, event.t)


def _all_finite(values: dict[str, float]) -> bool:
    """Whether no value is NaN or infinite; a finite sum says so at once."""
    return math.isfinite(sum(values.values())) or all(map(math.isfinite, values.values()))


def error_of(state: RunState) -> dict[str, Any] | None:
    """The error that ended the run, as the journal has it."""
    return state.ended.error if state.ended else None
