"""Folds the events of a journal into a `RunState`: the reducer for live and past runs alike."""

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
    SystemSampled,
)
from tui_loop.core.record.points import Point, PointLog, SystemPoint
from tui_loop.core.record.system_metrics import merged_values

MAX_LINES = 5_000

PACE_SECONDS = 10.0
"""The pace of a phase is taken at most so long after its last event."""


MAX_SAMPLES = 4_096
"""System samples in memory: 11 hours at one every 10 s. When there are more, two become one."""

SAMPLE_SECONDS_LIMIT = 60.0
"""A sample covers at most so many seconds: the host may have been stopped before it."""


class Rows(msgspec.Struct, frozen=True):
    """The values that a run logged by step."""

    metrics: PointLog
    evaluations: list[Point]
    checkpoints: list[CheckpointSaved]
    nonfinite_steps: list[int]
    system: list[SystemPoint]


class RunState(msgspec.Struct):
    """Everything known about a run; `fold` changes it in place.

    `set_aside`: the rows that the current attempt will replace once it trains or evaluates.
    `final_evaluation`, `results`, `results_fingerprint`: the evaluation of the final weights and
    the results in the last `run_ended`, until an attempt starts to replace them. `earlier_s`: the
    duration of earlier attempts. `trained_s`: the training time of all attempts, up to
    `training_since` while training is in progress. `trained_steps`, `training_total`: the steps
    that training had done at its last report, and those that it is to do. `system`: the samples of
    the machine in order; a long run has fewer of its older ones. `sampled_at`: the time of the
    newest one in the attempt.
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
    metrics: PointLog = msgspec.field(default_factory=PointLog)
    evaluations: list[Point] = []
    lines: deque[LineLogged] = msgspec.field(default_factory=lambda: deque(maxlen=MAX_LINES))
    line_count: int = 0
    warnings: int = 0
    checkpoints: list[CheckpointSaved] = []
    recoveries: list[Recovered] = []
    requests: list[RequestSeen] = []
    nonfinite_steps: list[int] = []
    system: list[SystemPoint] = []
    sampled_at: float | None = None
    set_aside: Rows | None = None
    final_evaluation: Point | None = None
    results: dict[str, Any] | None = None
    results_fingerprint: dict[str, Any] | None = None
    earlier_s: float = 0.0
    trained_s: float = 0.0
    training_since: float | None = None
    trained_steps: int = 0
    training_total: int | None = None
    next_seq: int = 0
    missing: int = 0
    unknown: int = 0
    last_t: float = 0.0

    @property
    def step(self) -> int:
        """Returns the last logged optimizer step."""
        return self.metrics[-1].step if self.metrics else 0

    @property
    def asked_attempt(self) -> int:
        """Returns the attempt that a request is for: the live one, else the next.

        A run that is checked before it starts has no attempt yet.
        """
        is_idle = self.started is None or self.ended is not None
        return self.attempt + 1 if is_idle else self.attempt

    @property
    def stop_requested(self) -> bool:
        return any(request.name == "stop" for request in self.requests)

    @property
    def duration_s(self) -> float | None:
        """Returns the duration of all attempts, with pauses; None before the first."""
        if self.started is None:
            return None
        return self.earlier_s + max(0.0, self.last_t - self.started.t)

    @property
    def training_s(self) -> float:
        """Returns the training time of all attempts, with pauses."""
        open_s = 0.0 if self.training_since is None else self.last_t - self.training_since
        return self.trained_s + max(0.0, open_s)

    @property
    def valid_checkpoints(self) -> list[CheckpointSaved]:
        """Returns the checkpoints that no attempt has started to replace."""
        return self.set_aside.checkpoints if self.set_aside else self.checkpoints

    @property
    def is_paused(self) -> bool:
        """Returns whether the run is paused."""
        return self.paused_at is not None

    @property
    def recovered_changes(self) -> dict[str, list[Any]]:
        """Returns {"group.field": [old, new]} for all config changes by recoveries."""
        changes: dict[str, list[Any]] = {}
        for recovery in self.recoveries:
            for name, pair in recovery.changes.items():
                if isinstance(pair, list) and len(pair) == 2:
                    changes[name] = [changes.get(name, pair)[0], pair[1]]
        return changes

    def latest(self, name: str) -> float | None:
        """Returns the newest value of a training metric."""
        for point in reversed(self.metrics):
            if name in point.values:
                return point.values[name]
        return None

    def seconds_left(self, now: float) -> float | None:
        """Estimates the seconds to the end of the phase from its pace; None while unknown.

        A clock that was set, or a long step, makes `now` differ from the events' time: it counts
        for PACE_SECONDS at most.
        """
        done_here = self.done - self.phase_from
        if not self.total or done_here <= 0 or self.ended is not None:
            return None
        now = min(max(now, self.last_t), self.last_t + PACE_SECONDS)
        spent = (self.paused_at or now) - self.phase_started_at
        return max(0.0, spent / done_here * (self.total - self.done))


def fold(state: RunState, events: Iterable[AnyEvent]) -> RunState:
    """Applies `events` to `state` and returns it; the result depends on the events alone."""
    for event in events:
        if event.seq > state.next_seq:
            state.missing += event.seq - state.next_seq
        state.next_seq = max(state.next_seq, event.seq + 1)
        state.unknown += isinstance(event, Skipped)
        _fold_one(state, event)
        state.last_t = event.t
    return state


def _fold_one(state: RunState, event: AnyEvent) -> None:
    if (state.set_aside or state.results or state.final_evaluation) and _replaces_results(event):
        state.set_aside = None
        _forget_results(state)
    match event:
        case MetricsLogged():
            _add_metrics(state, _point(event))
        case Evaluated():
            _add_evaluation(state, _point(event))
        case SystemSampled():
            _add_sample(state, event)
        case Progressed():
            _progress(state, event)
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
            _apply_pause(state, event)
        case RunStarted():
            _start_attempt(state, event)
        case RunEnded():
            _end_training(state, event.t)
            state.ended, state.phase, state.paused_at = event, None, None
            state.results, state.results_fingerprint = event.metrics, event.fingerprint
            _restore_set_aside(state)


def _add_metrics(state: RunState, point: Point) -> None:
    state.metrics.append(point)
    if not _all_finite(point.values):
        state.nonfinite_steps.append(point.step)


def _progress(state: RunState, event: Progressed) -> None:
    state.done, state.total = event.done, event.total
    if event.phase == "training":
        state.trained_steps = event.done
        state.training_total = event.total or state.training_total


def _add_evaluation(state: RunState, point: Point) -> None:
    """Adds an evaluation; it is the final one if the phase is `evaluating`."""
    state.evaluations.append(point)
    if state.phase == "evaluating":
        state.final_evaluation = point


def _add_sample(state: RunState, event: SystemSampled) -> None:
    """Adds a sample of the machine; beyond MAX_SAMPLES, two neighbours become one.

    The list is replaced then, so that a reader of it notices.
    """
    began = state.started.t if state.started is not None else event.t
    since = event.t - (began if state.sampled_at is None else state.sampled_at)
    state.sampled_at = event.t
    is_training = state.phase == "training" and not state.is_paused
    reached = state.done if state.phase == "training" else 0
    values = {name: number(value) for name, value in event.values.items()}
    state.system.append(
        SystemPoint(
            step=max(state.step, reached, state.system[-1].step if state.system else 0),
            epoch=state.metrics[-1].epoch if state.metrics else None,
            values={n: v for n, v in values.items() if v is not None and math.isfinite(v)},
            t=event.t,
            seconds=min(max(0.0, since), SAMPLE_SECONDS_LIMIT),
            is_training=is_training,
        )
    )
    if len(state.system) > MAX_SAMPLES:
        whole = len(state.system) // 2 * 2
        pairs = zip(state.system[0:whole:2], state.system[1:whole:2], strict=True)
        state.system = [_merged(*pair) for pair in pairs] + state.system[whole:]


def _merged(before: SystemPoint, after: SystemPoint) -> SystemPoint:
    return msgspec.structs.replace(
        after,
        values=merged_values(before.values, after.values),
        seconds=before.seconds + after.seconds,
    )


def _apply_pause(state: RunState, event: RequestSeen) -> None:
    """Starts or ends a pause, whose time does not count for the phase."""
    if event.name == "pause" and state.paused_at is None:
        state.paused_at = event.t
    elif state.paused_at is not None and event.name in ("continue", "stop"):
        state.phase_started_at += max(0.0, event.t - state.paused_at)
        state.paused_at = None


def _start_attempt(state: RunState, event: RunStarted) -> None:
    """Starts an attempt at `from_step` and sets aside what earlier attempts logged beyond it.

    `_restore_set_aside` brings that back if the attempt ends before it trains or evaluates; values
    of a diverged attempt are dropped for good.
    """
    _restore_set_aside(state)
    _end_training(state, state.last_t)  # of an interrupted attempt, at its last event
    state.earlier_s = state.duration_s or 0.0
    error = state.ended.error if state.ended else None
    diverged = error is not None and error.get("kind") == "diverged"
    diverged = diverged or any(each.kind == "nonfinite" for each in state.recoveries)
    state.started, state.ended, state.attempt = event, None, event.attempt
    state.requests = []
    state.paused_at = None
    state.phase, state.done, state.total = None, 0, None
    if event.iteration == 0:  # the base is evaluated again, with other settings
        _forget_results(state)
    rows = Rows(
        state.metrics, state.evaluations, state.checkpoints, state.nonfinite_steps, state.system
    )
    state.set_aside = None if diverged else rows
    last_step = event.from_step
    state.metrics = PointLog(point for point in state.metrics if point.step <= last_step)
    state.evaluations = [point for point in state.evaluations if point.step <= last_step]
    state.checkpoints = [saved for saved in state.checkpoints if saved.step <= last_step]
    state.nonfinite_steps = [step for step in state.nonfinite_steps if step <= last_step]
    # As with the metrics, so that charts and means are of the steps that count. An attempt from the
    # start repeats the loading, too, whose samples have step 0.
    state.system = [each for each in state.system if each.step <= last_step] if last_step else []
    state.sampled_at = None


def _replaces_results(event: AnyEvent) -> bool:
    """Returns whether an event shows that an attempt trains or evaluates, not just prepares."""
    if isinstance(event, PhaseStarted):
        return event.name in ("training", "evaluating")
    return isinstance(event, (MetricsLogged, Evaluated, CheckpointSaved))


def _forget_results(state: RunState) -> None:
    state.final_evaluation = state.results = state.results_fingerprint = None


def _end_training(state: RunState, at: float) -> None:
    if state.training_since is not None:
        state.trained_s += max(0.0, at - state.training_since)
        state.training_since = None


def _restore_set_aside(state: RunState) -> None:
    """Undoes the start of an attempt that has replaced nothing."""
    if state.set_aside is not None:
        rows, state.set_aside = state.set_aside, None
        state.metrics, state.evaluations = rows.metrics, rows.evaluations
        state.checkpoints, state.nonfinite_steps = rows.checkpoints, rows.nonfinite_steps
        state.system = rows.system


def _point(event: MetricsLogged | Evaluated) -> Point:
    values = {name: value for name, value in event.values.items() if type(value) is float}
    if len(values) < len(event.values):  # strings and integers, which are rare
        fields = {name: number(raw) for name, raw in event.values.items()}
        values = {name: value for name, value in fields.items() if value is not None}
    return Point(event.step, number(event.epoch), values, event.t)


def _all_finite(values: dict[str, float]) -> bool:
    """Returns whether all values are finite; a finite sum is the quick proof."""
    return math.isfinite(sum(values.values())) or all(map(math.isfinite, values.values()))


def error_of(state: RunState) -> dict[str, Any] | None:
    """Returns the error in the journal's `run_ended`."""
    return state.ended.error if state.ended else None
