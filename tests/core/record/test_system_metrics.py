"""System metrics: names, units, texts, and one sample as a struct."""

from __future__ import annotations

import math

import pytest

from tui_loop.core.record.system_metrics import (
    GpuSample,
    SystemSample,
    drawn_metrics,
    gpu_metric,
    merged_values,
    metric_label,
    metric_text,
    metric_unit,
    sample_of,
    shown_value,
)

GIB = float(2**30)


def test_a_sample_has_the_machine_and_its_gpus_in_order() -> None:
    values = {
        "cpu_percent": 41.0,
        "rss_bytes": 3 * GIB,
        "gpu1.util_percent": 5.0,
        "gpu0.util_percent": 93.0,
        "gpu0.memory_used_bytes": 40 * GIB,
        "gpu0.memory_total_bytes": 80 * GIB,
        "gpu0.thermal_slowdown": 1.0,
        "gpu0.power_capped": 0.0,
    }
    assert sample_of(values) == SystemSample(
        cpu_percent=41.0,
        rss_bytes=3 * GIB,
        gpus=(
            GpuSample(
                0,
                util_percent=93.0,
                memory_used_bytes=40 * GIB,
                memory_total_bytes=80 * GIB,
                thermal_slowdown=True,
                power_capped=False,
            ),
            GpuSample(1, util_percent=5.0),
        ),
    )


def test_a_gpu_at_its_power_limit_alone_is_not_throttled() -> None:
    assert not sample_of({"gpu0.power_capped": 1.0}).gpus[0].is_throttled
    assert sample_of({"gpu0.power_slowdown": 1.0}).gpus[0].is_throttled
    assert sample_of({"gpu0.thermal_slowdown": 0.5}).gpus[0].is_throttled


@pytest.mark.parametrize(
    "name",
    ["x", "gpu.util_percent", "gpu0.", "gpu0.x", "gpu1234.power_w", "gpu0.power_w\x1b[2J", ""],
)
def test_unknown_names_are_left_out_and_keep_their_name(name: str) -> None:
    assert sample_of({name: 1.0, "cpu_percent": math.nan}) == SystemSample()
    assert (metric_label(name), metric_unit(name)) == (name, "")
    assert drawn_metrics([name]) == []


@pytest.mark.parametrize(
    ("name", "label", "value", "text"),
    [
        ("cpu_percent", "CPU use", 41.4, "41%"),
        ("process_cpu_percent", "CPU use of the run", 380.0, "380%"),
        ("rss_bytes", "memory of the run", 1.5 * GIB, "1.5 GiB"),
        ("disk_free_bytes", "free disk space", 120 * GIB, "120.0 GiB"),
        ("gpu0.util_percent", "GPU 0 use", 93.0, "93%"),
        ("gpu10.temperature_c", "GPU 10 temperature", 71.0, "71 °C"),
        ("gpu1.power_w", "GPU 1 power", 311.6, "312 W"),
        ("gpu1.thermal_slowdown", "GPU 1 slowed down by heat", 1.0, "yes"),
        ("gpu1.power_capped", "GPU 1 at its power limit", 0.0, "no"),
        ("gpu0.memory_used_bytes", "GPU 0 memory in use", math.inf, "inf"),
        ("later", "later", 12.25, "12.25"),
    ],
)
def test_a_metric_has_a_label_and_a_text(name: str, label: str, value: float, text: str) -> None:
    assert metric_label(name) == label
    assert metric_text(name, value) == text


def test_sizes_are_shown_in_gib_and_the_rest_as_recorded() -> None:
    assert shown_value("gpu0.memory_used_bytes", 3 * GIB) == 3.0
    assert shown_value("gpu0.power_w", 300.0) == 300.0


def test_charts_draw_gpus_first_and_no_size_that_never_changes() -> None:
    names = [
        "disk_free_bytes",
        "memory_total_bytes",
        "cpu_percent",
        gpu_metric(10, "power_w"),
        gpu_metric(2, "memory_used_bytes"),
        gpu_metric(2, "memory_total_bytes"),
        gpu_metric(2, "util_percent"),
        "later",
    ]
    assert drawn_metrics(names) == [
        "gpu2.util_percent",
        "gpu2.memory_used_bytes",
        "gpu10.power_w",
        "cpu_percent",
        "disk_free_bytes",
    ]


def test_two_samples_become_one_that_keeps_the_extremes() -> None:
    before = {"cpu_percent": 10.0, "rss_bytes": 5.0, "disk_free_bytes": 7.0, "only": 1.0}
    after = {
        "cpu_percent": 30.0,
        "rss_bytes": 3.0,
        "disk_free_bytes": 9.0,
        "gpu0.power_capped": 1.0,
    }
    assert merged_values(before, after) == {
        "cpu_percent": 20.0,
        "rss_bytes": 5.0,
        "disk_free_bytes": 7.0,
        "only": 1.0,
        "gpu0.power_capped": 1.0,
    }
