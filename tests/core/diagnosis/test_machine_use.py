"""The finding `slow` from samples of the machine: idle and slowed GPUs, swapping."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.core.diagnosis.written import Written, asked
from tui_loop.core.diagnosis.advice.lengths import faster
from tui_loop.core.diagnosis.facts import IterationFacts
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import SuggestionKind
from tui_loop.core.diagnosis.rules.settings import slow

ROWS = asked(60)
STEPS = 20
GIB = float(2**30)
HEALTHY = {
    "cpu_percent": 20.0,
    "process_cpu_percent": 105.0,
    "rss_bytes": 3 * GIB,
    "memory_used_bytes": 30 * GIB,
    "memory_total_bytes": 64 * GIB,
    "swap_used_bytes": 0.0,
    "disk_free_bytes": 100 * GIB,
    "gpu0.util_percent": 96.0,
    "gpu0.memory_used_bytes": 8 * GIB,
    "gpu0.memory_total_bytes": 80 * GIB,
    "gpu0.temperature_c": 70.0,
    "gpu0.power_w": 300.0,
    "gpu0.thermal_slowdown": 0.0,
    "gpu0.power_slowdown": 0.0,
    "gpu0.power_capped": 1.0,
}
BATCH = "per_device_train_batch_size=8"

Make = Callable[..., IterationFacts]


@pytest.fixture
def trained(tmp_path: Path) -> Make:
    """Makes a run of 20 steps of 10 s with these samples; those of some steps may differ."""
    written = Written(tmp_path)
    written.base(ROWS, loss=5.0)

    def make(
        samples: Mapping[str, float],
        *settings: str,
        at: Mapping[int, Mapping[str, float]] | None = None,
        seconds: float = 10.0,
        **more: Any,
    ) -> IterationFacts:
        return written.trained(
            ROWS,
            [0.3] * STEPS,
            *settings,
            seconds=dict.fromkeys(range(1, STEPS + 1), seconds),
            machine=lambda step: {**samples, **(at or {}).get(step, {})},
            **more,
        )

    return make


def one(facts: IterationFacts) -> Finding:
    (found,) = slow(facts)
    return found


def test_a_gpu_in_use_at_its_power_limit_is_healthy(trained: Make) -> None:
    assert not list(slow(trained(HEALTHY)))


def test_a_run_on_the_cpu_is_healthy(trained: Make) -> None:
    samples = {name: value for name, value in HEALTHY.items() if not name.startswith("gpu")}
    assert not list(slow(trained({**samples, "cpu_percent": 100.0, "process_cpu_percent": 800.0})))


def test_an_idle_gpu_beside_a_busy_cpu_is_reported_with_both_numbers(trained: Make) -> None:
    found = one(trained({**HEALTHY, "gpu0.util_percent": 12.0, "process_cpu_percent": 380.0}))
    assert found.message == (
        "training time is wasted: the GPU was only 12% busy during training, and the run used "
        "380% of one CPU core: preparing and launching batches on the CPU limits the speed"
    )
    assert found.figures["gpu_percent"] == pytest.approx(12.0)
    assert found.severity == "note"


def test_an_idle_gpu_is_measured_over_the_time_of_training(trained: Make) -> None:
    idle = {"gpu0.util_percent": 0.0}
    assert not list(slow(trained(HEALTHY, at=dict.fromkeys(range(1, 9), idle))))
    assert list(slow(trained(HEALTHY, at=dict.fromkeys(range(1, 15), idle))))


def test_the_busiest_of_several_gpus_counts(trained: Make) -> None:
    assert not list(slow(trained({**HEALTHY, "gpu1.util_percent": 0.0})))


@pytest.mark.parametrize(
    ("cpu", "words"),
    [
        (97.0, "while all cores were 97% busy, mostly with other processes"),
        (20.0, ": the run waited for something else, such as the disk"),
    ],
)
def test_an_idle_gpu_beside_an_idle_process_has_another_reason(
    trained: Make, cpu: float, words: str
) -> None:
    idle = {"gpu0.util_percent": 12.0, "process_cpu_percent": 30.0, "cpu_percent": cpu}
    facts = trained({**HEALTHY, **idle})
    found = one(facts)
    assert words in found.message
    assert list(faster(facts, found)) == []


def test_evaluations_that_took_the_time_explain_an_idle_gpu(trained: Make) -> None:
    facts = trained(
        {**HEALTHY, "gpu0.util_percent": 12.0}, metrics={"eval_within_runtime": 0.7 * 200}
    )
    assert "evaluations during the run took 70%" in one(facts).message
    assert "GPU" not in one(facts).message


def test_a_short_training_shows_nothing(trained: Make) -> None:
    assert not list(slow(trained({**HEALTHY, "gpu0.util_percent": 12.0}, seconds=2.0)))


@pytest.mark.parametrize(
    ("flag", "words"),
    [("thermal_slowdown", "heat"), ("power_slowdown", "the power supply")],
)
def test_a_slowed_gpu_is_reported_with_the_time(trained: Make, flag: str, words: str) -> None:
    slowed = {f"gpu0.{flag}": 1.0}
    found = one(trained(HEALTHY, at=dict.fromkeys(range(3, 9), slowed)))
    assert found.message == (
        f"training time is wasted: {words} slowed the GPU for 1m 00s of the 3m 20s of training"
    )
    assert found.figures == {f"{flag}_share": pytest.approx(0.3)}
    assert not list(slow(trained(HEALTHY, at={3: slowed})))


def test_swapping_is_reported_where_the_memory_is_full(trained: Make) -> None:
    swapped = {"swap_used_bytes": 3.5 * GIB}
    full = {"memory_used_bytes": 62 * GIB}
    found = one(trained(HEALTHY, at={9: {**swapped, **full}}))
    assert found.message == (
        "training time is wasted: the machine's memory was full, and swap use grew by 3.5 "
        "GiB during training"
    )
    assert not list(slow(trained(HEALTHY, at={9: swapped})))
    assert not list(slow(trained({**HEALTHY, **swapped, **full})))


def suggested(facts: IterationFacts) -> list[tuple[str, dict[str, Any]]]:
    return [(each.kind, dict(each.changes)) for each in faster(facts, one(facts))]


@pytest.mark.parametrize(
    ("used", "passes", "size", "left"),
    [
        (8.0, 16, 64, 2),  # 10% of the memory in use: 8 times the micro-batch
        (30.0, 16, 16, 8),
        (8.0, 6, 48, 1),
        (8.0, 9, 24, 3),
    ],
)
def test_the_micro_batch_grows_as_the_memory_of_the_gpu_allows(
    trained: Make, used: float, passes: int, size: int, left: int
) -> None:
    idle = {**HEALTHY, "gpu0.util_percent": 12.0, "gpu0.memory_used_bytes": used * GIB}
    facts = trained(idle, BATCH, f"gradient_accumulation_steps={passes}")
    assert suggested(facts) == [
        (
            SuggestionKind.LARGER_MICRO_BATCH,
            {
                "training.per_device_train_batch_size": (8, size),
                "training.gradient_accumulation_steps": (passes, left),
            },
        )
    ]


@pytest.mark.parametrize(("passes", "used"), [(1, 8.0), (16, 70.0)])
def test_packing_is_suggested_where_no_larger_micro_batch_fits(
    trained: Make, passes: int, used: float
) -> None:
    idle = {**HEALTHY, "gpu0.util_percent": 12.0, "gpu0.memory_used_bytes": used * GIB}
    settings = (BATCH, f"gradient_accumulation_steps={passes}")
    assert suggested(trained(idle, *settings)) == [(SuggestionKind.PACK, {})]
    assert suggested(trained(idle, *settings, "packing=true")) == []


def test_single_short_rows_get_one_suggestion(trained: Make) -> None:
    idle = {**HEALTHY, "gpu0.util_percent": 12.0}
    facts = trained(idle, "per_device_train_batch_size=1", "gradient_accumulation_steps=16")
    assert [kind for kind, _ in suggested(facts)] == [SuggestionKind.LARGER_MICRO_BATCH]
