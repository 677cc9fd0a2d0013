"""The reducer: what a run's events add up to."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from tui_loop.core.record import state
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
    SystemSampled,
)
from tui_loop.core.record.state import RunState, error_of, fold


def numbered(*events: AnyEvent, start: int = 0) -> list[Any]:
    return [
        msgspec.structs.replace(event, seq=seq, t=event.t or 100.0 + seq)
        for seq, event in enumerate(events, start)
    ]


def folded(*events: AnyEvent) -> RunState:
    return fold(RunState(), numbered(*events))


def started(attempt: int = 1, from_step: int = 0) -> RunStarted:
    return RunStarted(loop="a", iteration=1, attempt=attempt, pid=1, host="h", from_step=from_step)


def metrics(step: int, loss: float | str | None = 1.0) -> MetricsLogged:
    return MetricsLogged(step=step, epoch=step / 10, values={"loss": loss})


def test_nothing_is_known_of_a_run_without_events() -> None:
    run = RunState()
    assert (run.started, run.ended, run.step, run.attempt, run.missing) == (None, None, 0, 0, 0)
    assert run.latest("loss") is None
    assert error_of(run) is None


def test_metrics_are_kept_in_order_with_their_time() -> None:
    run = folded(started(), metrics(1, 2.0), metrics(2, 1.5))
    assert [(point.step, point.values, point.t) for point in run.metrics] == [
        (1, {"loss": 2.0}, 101.0),
        (2, {"loss": 1.5}, 102.0),
    ]
    assert run.step == 2
    assert run.latest("loss") == 1.5
    assert run.latest("entropy") is None


def test_the_latest_value_is_the_newest_log_that_has_it() -> None:
    first = MetricsLogged(step=1, epoch=0.1, values={"loss": 2.0, "entropy": 0.5})
    assert folded(first, metrics(2, 1.5)).latest("entropy") == 0.5


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity", math.nan])
def test_a_log_that_is_not_finite_marks_its_step(word: float | str) -> None:
    run = folded(metrics(1), metrics(2, word), metrics(3))
    assert run.nonfinite_steps == [2]
    assert not math.isfinite(run.metrics[1].values["loss"])


@pytest.mark.parametrize("odd", [None, "what", "12"])
def test_a_value_that_is_no_number_is_left_out(odd: str | None) -> None:
    run = folded(metrics(1, odd))
    assert run.metrics[0].values == {}
    assert run.nonfinite_steps == []


def test_a_phase_begins_without_the_progress_of_the_one_before() -> None:
    run = folded(
        PhaseStarted(name="loading"),
        Progressed(phase="loading", done=3, total=4),
        PhaseStarted(name="training"),
    )
    assert (run.phase, run.done, run.total) == ("training", 0, None)
    assert run.phase_started_at == 102.0


def test_the_time_left_follows_from_the_pace_of_the_phase() -> None:
    run = folded(PhaseStarted(name="training"), Progressed(phase="training", done=10, total=40))
    assert run.seconds_left(now=105.0) == pytest.approx(15.0)  # 10 in 5 s, 30 to go
    assert folded(PhaseStarted(name="training")).seconds_left(now=105.0) is None
    ended = folded(
        PhaseStarted(name="training"),
        Progressed(phase="training", done=10, total=40),
        RunEnded(state="stopped"),
    )
    assert ended.seconds_left(now=105.0) is None


def test_lines_warnings_checkpoints_and_recoveries_are_counted_and_kept() -> None:
    run = folded(
        LineLogged(level="info", source="s", text="a"),
        LineLogged(level="warning", source="s", text="b"),
        LineLogged(level="error", source="s", text="c"),
        CheckpointSaved(step=5, path="checkpoints/5"),
        Recovered(kind="disk", message="m"),
    )
    assert [line.text for line in run.lines] == ["a", "b", "c"]
    assert (run.line_count, run.warnings) == (3, 2)
    assert [saved.step for saved in run.checkpoints] == [5]
    assert [each.kind for each in run.recoveries] == ["disk"]


def test_only_the_newest_lines_are_kept_but_all_are_counted() -> None:
    count = state.MAX_LINES + 10
    run = folded(*(LineLogged(level="info", source="s", text=str(n)) for n in range(count)))
    assert run.line_count == count
    assert len(run.lines) == state.MAX_LINES
    assert run.lines[-1].text == str(count - 1)


def test_a_stop_that_was_seen_makes_the_run_stopping_in_its_attempt_alone() -> None:
    run = folded(started(), RequestSeen(id="a", name="evaluate"))
    assert not run.stop_requested
    fold(run, numbered(RequestSeen(id="b", name="stop"), start=2))
    assert run.stop_requested
    fold(run, numbered(started(2), start=3))
    assert not run.stop_requested


def test_an_end_has_its_state_and_error() -> None:
    error = {"kind": "oom", "message": "m", "hint": "h", "step": 3}
    run = folded(started(), PhaseStarted(name="training"), RunEnded(state="failed", error=error))
    assert run.ended is not None
    assert (run.ended.state, run.phase, error_of(run)) == ("failed", None, error)


def test_an_attempt_from_a_checkpoint_drops_what_was_logged_beyond_it() -> None:
    run = folded(
        started(),
        metrics(1),
        metrics(2),
        Evaluated(step=2, epoch=0.2, values={"eval_loss": 1.0}),
        CheckpointSaved(step=2, path="checkpoints/2"),
        metrics(3, "NaN"),
        Evaluated(step=3, epoch=0.3, values={"eval_loss": 2.0}),
        CheckpointSaved(step=3, path="checkpoints/3"),
        RunEnded(state="failed"),
        started(attempt=2, from_step=2),
        metrics(3, 0.5),
    )
    assert [(point.step, point.values["loss"]) for point in run.metrics] == [
        (1, 1.0),
        (2, 1.0),
        (3, 0.5),
    ]
    assert [point.step for point in run.evaluations] == [2]
    assert [saved.step for saved in run.checkpoints] == [2]
    assert run.nonfinite_steps == []
    assert (run.attempt, run.ended, run.missing) == (2, None, 0)


def test_an_attempt_from_the_start_drops_all_rows() -> None:
    run = folded(started(), metrics(1), RunEnded(state="stopped"), started(attempt=2))
    assert run.metrics == []
    assert run.attempt == 2


FIRST: tuple[AnyEvent, ...] = (
    started(),
    PhaseStarted(name="training"),
    metrics(1),
    metrics(2, "NaN"),
    Evaluated(step=2, epoch=0.2, values={"eval_loss": 1.0}),
    CheckpointSaved(step=2, path="checkpoints/2"),
)


def rows_of(run: RunState) -> tuple[list[int], ...]:
    return (
        [point.step for point in run.metrics],
        [point.step for point in run.evaluations],
        [saved.step for saved in run.checkpoints],
        run.nonfinite_steps,
    )


@pytest.mark.parametrize("told", [(RunEnded(state="failed"),), (RunEnded(state="stopped"),), ()])
def test_an_attempt_that_ends_before_its_work_replaces_nothing(told: tuple[AnyEvent, ...]) -> None:
    run = folded(*FIRST, *told, started(2), PhaseStarted(name="loading"))
    assert rows_of(run) == ([], [], [], [])
    assert [saved.step for saved in run.valid_checkpoints] == [2]
    fold(run, numbered(RunEnded(state="stopped"), start=run.next_seq))
    assert rows_of(run) == ([1, 2], [2], [2], [2])
    fold(run, numbered(started(3, from_step=1), metrics(2), start=run.next_seq))
    assert rows_of(run) == ([1, 2], [], [], [])
    assert run.valid_checkpoints == []


def test_an_attempt_that_is_gone_before_its_work_replaces_nothing_either() -> None:
    run = folded(*FIRST, started(2), PhaseStarted(name="checking"), started(3, from_step=2))
    assert rows_of(run) == ([1, 2], [2], [2], [2])


@pytest.mark.parametrize("work", ["training", "evaluating"])
def test_what_an_attempt_has_begun_to_replace_stays_dropped(work: str) -> None:
    run = folded(*FIRST, started(2), PhaseStarted(name=work), RunEnded(state="stopped"))
    assert rows_of(run) == ([], [], [], [])
    assert run.valid_checkpoints == []


@pytest.mark.parametrize(
    "told",
    [
        RunEnded(state="failed", error={"kind": "diverged"}),
        Recovered(kind="nonfinite", message="back"),
    ],
)
def test_what_diverged_never_comes_back(told: AnyEvent) -> None:
    run = folded(*FIRST, told, started(2, from_step=1), RunEnded(state="stopped"))
    assert rows_of(run) == ([1], [], [], [])
    assert run.valid_checkpoints == []


def test_time_counts_over_all_attempts_pauses_included_and_not_between_them() -> None:
    assert RunState().duration_s is None
    first: list[AnyEvent] = [
        started(),  # at 100
        PhaseStarted(name="training"),  # 101
        RequestSeen(id="a", name="pause"),
        RequestSeen(id="b", name="continue"),
        PhaseStarted(name="saving"),  # 104
        RunEnded(state="stopped"),  # 105
    ]
    run = folded(*first)
    assert (run.duration_s, run.training_s) == (5.0, 3.0)
    second: list[AnyEvent] = [
        started(2),
        PhaseStarted(name="training"),
        metrics(1),
    ]  # 200 to 202, then killed
    fold(run, [msgspec.structs.replace(each, t=each.t + 94) for each in numbered(*second, start=6)])
    assert (run.duration_s, run.training_s) == (7.0, 4.0)
    third: list[AnyEvent] = [
        started(3),
        PhaseStarted(name="loading"),
        RunEnded(state="stopped"),
    ]  # 300 to 302
    fold(run, [msgspec.structs.replace(each, t=each.t + 191) for each in numbered(*third, start=9)])
    assert (run.duration_s, run.training_s) == (9.0, 4.0)


def test_numbers_missing_from_the_sequence_are_counted() -> None:
    run = RunState()
    fold(run, numbered(started(), metrics(1)))
    fold(run, numbered(metrics(5), start=5))
    assert run.missing == 3
    fold(run, numbered(metrics(6), start=6))
    assert run.missing == 3


def test_a_lost_beginning_is_counted() -> None:
    assert fold(RunState(), numbered(metrics(9), start=4)).missing == 4


def test_two_states_share_nothing() -> None:
    folded(metrics(1), LineLogged(level="info", source="s", text="a"))
    assert RunState().metrics == []
    assert not RunState().lines


def sampled(t: float = 0.0, **values: float | str) -> SystemSampled:
    return SystemSampled(values=values, t=t)


def test_a_sample_of_the_machine_has_the_step_that_the_run_had_reached() -> None:
    run = folded(
        started(),
        sampled(cpu_percent=20.0),
        PhaseStarted(name="training"),
        metrics(1),
        Progressed(phase="training", done=3, total=10),
        sampled(cpu_percent=40.0),
        RequestSeen(id="a", name="pause"),
        sampled(cpu_percent=5.0),
        RequestSeen(id="b", name="continue"),
        PhaseStarted(name="evaluating"),
        Progressed(phase="evaluating", done=90, total=100),
        sampled(cpu_percent=60.0),
    )
    assert [(each.step, each.values["cpu_percent"], each.is_training) for each in run.system] == [
        (0, 20.0, False),
        (3, 40.0, True),
        (3, 5.0, False),
        (3, 60.0, False),
    ]
    assert [(each.t, each.seconds) for each in run.system] == [
        (101.0, 1.0),
        (105.0, 4.0),
        (107.0, 2.0),
        (111.0, 4.0),
    ]
    assert run.system[-1].epoch == 0.1
    assert run.unknown == 0


def test_a_sample_has_only_finite_numbers_and_covers_a_minute_at_most() -> None:
    run = folded(started(), sampled(5000.0, a="NaN", b="Infinity", c="what", d=1.0))
    assert run.system[0].values == {"d": 1.0}
    assert run.system[0].seconds == state.SAMPLE_SECONDS_LIMIT


def test_a_clock_that_goes_back_gives_no_negative_time() -> None:
    run = folded(started(), sampled(200.0, a=1.0), sampled(150.0, a=1.0))
    assert run.system[1].seconds == 0.0


def test_many_samples_become_fewer_and_cover_the_same_time() -> None:
    count = state.MAX_SAMPLES + 1
    samples = [sampled(100.0 + 10 * n, rss_bytes=float(n), cpu_percent=n % 2) for n in range(count)]
    run = folded(started(), *samples)
    assert len(run.system) == (count + 1) // 2
    assert sum(each.seconds for each in run.system) == 10.0 * (count - 1)
    assert run.system[0].values == {"rss_bytes": 1.0, "cpu_percent": 0.5}
    assert run.system[-1].values == {"rss_bytes": count - 1, "cpu_percent": (count - 1) % 2}
    steps = [each.t for each in run.system]
    assert steps == sorted(steps)


def samples_of(run: RunState) -> list[float]:
    return [each.values["n"] for each in run.system]


SAMPLED: tuple[AnyEvent, ...] = (
    started(),
    sampled(n=1.0),
    PhaseStarted(name="training"),
    metrics(1),
    sampled(n=2.0),
    metrics(2),
    sampled(n=3.0),
    RunEnded(state="stopped"),
)


def test_samples_beyond_the_step_that_an_attempt_starts_from_go_with_the_metrics() -> None:
    run = folded(*SAMPLED, started(2, from_step=1), PhaseStarted(name="training"), sampled(n=4.0))
    assert samples_of(run) == [1.0, 2.0, 4.0]
    again = folded(*SAMPLED, started(2), sampled(n=5.0), PhaseStarted(name="training"))
    assert samples_of(again) == [5.0]
    assert again.system[0].step == 0


def test_samples_return_with_the_metrics_where_an_attempt_replaces_nothing() -> None:
    run = folded(*SAMPLED, started(2), sampled(n=4.0), RunEnded(state="stopped"))
    assert samples_of(run) == [1.0, 2.0, 3.0]
    diverged = RunEnded(state="failed", error={"kind": "diverged"})
    run = folded(*SAMPLED[:-1], diverged, started(2, from_step=1), RunEnded(state="stopped"))
    assert samples_of(run) == [1.0, 2.0]


def test_the_time_between_two_attempts_counts_for_no_sample() -> None:
    run = folded(*SAMPLED, msgspec.structs.replace(started(2, from_step=2), t=900.0))
    fold(run, numbered(sampled(905.0, n=4.0), start=run.next_seq))
    assert run.system[-1].seconds == 5.0
