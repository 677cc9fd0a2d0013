"""The summary of a run's samples: means of training, peaks, durations, and their words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tui_loop.core.record import codec, follower
from tui_loop.core.record.events import (
    AnyEvent,
    MetricsLogged,
    PhaseStarted,
    RunEnded,
    RunStarted,
    Skipped,
    SystemSampled,
)
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.points import SystemPoint
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import Iteration, SystemSummary
from tui_loop.core.record.system_summary import mean_of, seconds_of, summary_of, system_words
from tui_loop.core.workflow.plan import create_iteration, plan_next

GIB = float(2**30)


def point(seconds: float = 10.0, *, is_training: bool = True, **values: float) -> SystemPoint:
    named = {
        name.replace("gpu0_", "gpu0.").replace("gpu1_", "gpu1."): v for name, v in values.items()
    }
    return SystemPoint(1, None, named, 0.0, seconds, is_training)


def test_a_run_without_samples_has_no_summary_and_no_words() -> None:
    assert summary_of([]) is None
    assert system_words(None) == ""


def test_means_are_over_the_time_of_training_and_peaks_over_the_whole_run() -> None:
    points = [
        point(is_training=False, gpu0_util_percent=0.0, cpu_percent=99.0, rss_bytes=9 * GIB),
        point(30.0, gpu0_util_percent=90.0, process_cpu_percent=120.0, rss_bytes=3 * GIB),
        point(10.0, gpu0_util_percent=50.0, cpu_percent=40.0, rss_bytes=2 * GIB),
    ]
    assert summary_of(points) == SystemSummary(
        mean_gpu_percent=80.0,
        mean_cpu_percent=40.0,
        mean_process_cpu_percent=120.0,
        peak_rss_bytes=9 * GIB,
    )


def test_the_memory_is_that_of_the_fullest_gpu_and_durations_those_of_the_longest() -> None:
    gpus = {"gpu0_memory_total_bytes": 80 * GIB, "gpu1_memory_total_bytes": 40 * GIB}
    points = [
        point(5.0, gpu0_memory_used_bytes=10 * GIB, gpu1_memory_used_bytes=20 * GIB, **gpus),
        point(7.0, gpu0_thermal_slowdown=1.0, gpu1_thermal_slowdown=0.0, gpu0_power_capped=0.0),
        point(8.0, gpu0_thermal_slowdown=0.5, gpu1_thermal_slowdown=1.0, gpu1_power_capped=1.0),
    ]
    assert summary_of(points) == SystemSummary(
        peak_gpu_memory_bytes=20 * GIB,
        gpu_memory_bytes=40 * GIB,
        thermal_slowdown_s=11.0,
        power_capped_s=8.0,
    )


def test_the_growth_of_the_swap_is_that_from_the_first_sample_to_the_peak() -> None:
    swap = [point(swap_used_bytes=each * GIB) for each in (2.0, 5.0, 3.0)]
    summary = summary_of(swap)
    assert summary is not None
    assert summary.swap_grown_bytes == 3 * GIB


def test_a_mean_without_time_or_values_is_unknown() -> None:
    assert mean_of([point(0.0, a=1.0)], "a") is None
    assert mean_of([point(a=1.0)], "b") is None
    assert seconds_of([point(a=1.0)], "b") is None


@pytest.mark.parametrize(
    ("summary", "words"),
    [
        (
            SystemSummary(
                mean_gpu_percent=87.4,
                peak_gpu_memory_bytes=41.2 * GIB,
                gpu_memory_bytes=79.6 * GIB,
                thermal_slowdown_s=185.0,
                power_slowdown_s=0.0,
                power_capped_s=42.0,
                mean_cpu_percent=20.0,
                mean_process_cpu_percent=104.0,
                peak_rss_bytes=2.1 * GIB,
                swap_grown_bytes=0.1 * GIB,
            ),
            "GPU use 87% on average while training, peak GPU memory 41.2 of 79.6 GiB, GPU slowed "
            "down by heat for 3m 05s, GPU at its power limit for 42s, CPU use of the run 104%, "
            "peak memory of the run 2.1 GiB",
        ),
        (
            SystemSummary(
                mean_process_cpu_percent=190.0, peak_rss_bytes=1.2 * GIB, swap_grown_bytes=2 * GIB
            ),
            "CPU use of the run 190% on average while training, peak memory of the run 1.2 GiB, "
            "swap in use grew by 2.0 GiB",
        ),
        (SystemSummary(peak_gpu_memory_bytes=GIB), "peak GPU memory 1.0 GiB"),
        (SystemSummary(), ""),
    ],
)
def test_a_summary_is_one_line_of_words(summary: SystemSummary, words: str) -> None:
    assert system_words(summary) == words


def sampled_run(loop: LoopFolder) -> IterationFolder:
    """Makes an iteration whose journal has two samples and an end, without a summary."""
    folder = create_iteration(loop, plan_next(loop, parent=None, settings=[], why="w"), {})
    events: list[AnyEvent] = [
        RunStarted(loop="a", iteration=1, attempt=1, pid=1, host="h"),
        SystemSampled(values={"rss_bytes": GIB}),
        PhaseStarted(name="training"),
        MetricsLogged(step=1, epoch=0.1, values={"loss": 1.0}),
        SystemSampled(values={"rss_bytes": 2 * GIB, "process_cpu_percent": 95.0}),
        RunEnded(state="finished"),
    ]
    numbered = [msgspec.structs.replace(e, seq=n, t=100.0 + n) for n, e in enumerate(events)]
    folder.journal.write_bytes(codec.to_json_lines(numbered))
    return folder


def test_an_iteration_has_the_summary_once_its_run_has_ended(loop: LoopFolder) -> None:
    folder = sampled_run(loop)
    expected = SystemSummary(mean_process_cpu_percent=95.0, peak_rss_bytes=2 * GIB)
    iteration = iteration_of(folder)
    assert iteration.system == expected
    folder.write_summary(iteration)
    assert folder.read_summary() == iteration
    assert read_run(folder).system[-1].step == 1


def test_a_summary_of_an_earlier_version_has_no_samples(
    loop: LoopFolder, finished: Callable[..., IterationFolder]
) -> None:
    folder = finished([1.0])
    plain = msgspec.json.decode(folder.summary.read_bytes())
    del plain["system"]
    folder.summary.write_bytes(msgspec.json.encode(plain))
    iteration = iteration_of(folder)
    assert (iteration.state, iteration.system) == ("finished", None)


def test_an_earlier_version_skips_the_samples_and_reads_the_rest(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sampled_run(loop)
    whole = read_run(folder)
    earlier: Any = RunStarted | PhaseStarted | MetricsLogged | RunEnded | Skipped
    monkeypatch.setattr(follower, "_decoder", msgspec.json.Decoder(earlier))
    monkeypatch.setattr(follower, "_KNOWN", frozenset(("run_started", "phase", "metrics")))
    events = Follower(folder.journal).read_all()
    assert [type(each) for each in events].count(Skipped) == 2
    seen = read_run(folder)
    assert (seen.unknown, seen.missing, seen.metrics, seen.ended) == (
        2,
        0,
        whole.metrics,
        whole.ended,
    )


def test_the_keys_of_a_summary_are_stable() -> None:
    plain = msgspec.to_builtins(Iteration(number=1, state="finished", system=SystemSummary()))
    assert list(plain["system"]) == [
        *("mean_gpu_percent", "peak_gpu_memory_bytes", "gpu_memory_bytes", "thermal_slowdown_s"),
        *("power_slowdown_s", "power_capped_s", "mean_cpu_percent", "mean_process_cpu_percent"),
        *("peak_rss_bytes", "swap_grown_bytes"),
    ]
