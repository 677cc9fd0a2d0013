"""Runs over another: styles that they keep, and what is drawn of a metric."""

from __future__ import annotations

import math

import pytest

from tui_loop.core.plot.series import Series
from tui_loop.core.record.points import Point
from tui_loop.tui.chart.curves import ChartRun, Curves, Runs
from tui_loop.tui.chart.plot import OVERLAYS


def a_run(number: int, **more: object) -> ChartRun:
    points = [Point(step, None, {"loss": 1.0 / step}, 10.0 * step) for step in range(1, 9)]
    given: dict[str, object] = {"label": str(number), "metrics": points, **more}
    return ChartRun(key=f"loop/{number}", **given)  # type: ignore[arg-type]


def styles(runs: Runs) -> dict[str, int]:
    return {each.label: each.style for each in runs.over}


def test_an_overlay_keeps_its_style_whichever_others_come_or_go() -> None:
    runs, run = Runs(), a_run(9)
    runs.follow(run, [a_run(1), a_run(2)])
    assert styles(runs) == {"1": 1, "2": 2}
    runs.follow(run, [a_run(2)])
    assert styles(runs) == {"2": 2}
    runs.follow(run, [a_run(3), a_run(2), a_run(4)])
    assert styles(runs) == {"3": 1, "2": 2, "4": 3}
    assert [each.label for each in runs.over] == ["3", "2", "4"]


def test_beyond_the_styles_the_rarest_is_taken_again() -> None:
    runs = Runs()
    runs.follow(a_run(9), [a_run(number) for number in range(OVERLAYS + 2)])
    assert list(styles(runs).values()) == [1, 2, 3, 4, 1, 2]


def test_a_run_is_not_drawn_over_itself() -> None:
    runs = Runs()
    assert runs.follow(a_run(1), [a_run(1), a_run(2)])
    assert styles(runs) == {"2": 1}


def test_whether_anything_is_new_is_known_for_overlays_too() -> None:
    runs, run, over = Runs(), a_run(1), a_run(2)
    assert runs.follow(run, [over])
    assert not runs.follow(run, [over])
    assert isinstance(over.metrics, list)
    over.metrics.append(Point(9, None, {"loss": 0.1}, 0.0))
    assert runs.follow(run, [over])
    assert runs.follow(run, [])
    assert not runs.follow(run, [])


def test_noisy_metrics_are_smoothed_and_others_are_drawn_as_logged() -> None:
    values = [{"loss": float(n), "learning_rate": float(n)} for n in (1, 3, 2)]
    curves = Curves()
    curves.follow(a_run(1, metrics=[Point(n, None, each, 0.0) for n, each in enumerate(values)]))
    loss, rate = (curves.drawn(name, "step", 0.6) for name in ("loss", "learning_rate"))
    assert loss.raw == rate.line == Series([0, 1, 2], [1.0, 3.0, 2.0])
    assert loss.line.values != loss.raw.values
    assert not rate.raw.xs
    assert curves.drawn("loss", "step", 0.0).line == loss.raw


def test_samples_of_the_machine_are_metrics_of_their_own_on_every_axis() -> None:
    metrics = [Point(n, n / 10, {"loss": 1.0, "num_tokens": 9.0 * n}, 100.0 + n) for n in (1, 2)]
    system = [
        Point(0, None, {"cpu_percent": 3.0, "loss": 7.0}, 90.0),
        Point(2, None, {"rss_bytes": 1.0}, 104.0),
    ]
    curves = Curves()
    curves.follow(a_run(1, metrics=metrics, system=system))
    assert curves.names() == ["loss", "num_tokens", "cpu_percent", "rss_bytes"]
    assert [name for name in curves.names() if curves.is_system(name)] == [
        "cpu_percent",
        "rss_bytes",
    ]
    assert curves.drawn("loss", "step", 0.0).line.values == [1.0, 1.0]
    places = {axis: list(curves.drawn("rss_bytes", axis, 0.6).line.xs) for axis in curves.axes()}
    assert places == {"step": [2], "epoch": [200_000], "tokens": [18], "time": [3000]}
    assert list(curves.drawn("cpu_percent", "time", 0.6).line.xs) == [-11_000]
    assert sorted(curves.ends("cpu_percent", "time")) == [-11_000, 0, 1000, 3000]
    assert sorted(curves.ends("loss", "time")) == [0, 1000]


def test_a_run_without_an_axis_is_left_out_of_it() -> None:
    runs = Runs()
    bare = a_run(2, metrics=[Point(n, None, {"loss": 1.0}, 0.0) for n in range(9)])
    runs.follow(a_run(1), [bare])
    assert runs.run.axes() == ["step", "time"]
    assert [len(each.drawn("loss", "time", 0.0).line.xs) for each in (runs.run, *runs.over)] == [
        8,
        0,
    ]
    assert runs.whole("loss", "time", overlay=True) == (0, 70_000)
    assert runs.whole("loss", "step", overlay=True) == (0, 8)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_places_that_are_not_finite_are_marked_on_every_axis(value: float) -> None:
    metrics = [Point(n, None, {"loss": 1.0 if n < 3 else value}, 10.0 * n) for n in range(1, 5)]
    curves = Curves()
    curves.follow(a_run(1, metrics=metrics, diverged_at=2))
    assert curves.bad("step") == [2, 3, 4]
    assert curves.bad("time") == [10_000, 20_000, 30_000]
    assert curves.nonfinite == 2
