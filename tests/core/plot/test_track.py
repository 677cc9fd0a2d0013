"""Tracks: the points of a run as series over any x axis, live or at once."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.core.plot.test_series import logged
from tui_loop.core.plot.axis import AXES
from tui_loop.core.plot.series import Series
from tui_loop.core.plot.smoothing import smoothed
from tui_loop.core.plot.track import Track
from tui_loop.core.record.points import Point, PointLog


def test_a_track_takes_what_is_new_and_says_whether_anything_is() -> None:
    points = logged(3.0, 2.0)
    track = Track()
    assert track.follow(points)
    assert not track.follow(points)
    assert not track.follow(tuple(points))
    assert track.smoothed("loss", 0.0).values == [3.0, 2.0]
    points += [Point(3, None, {"loss": 1.0, "grad_norm": math.nan}, 0.0)]
    assert track.follow(points)
    assert track.series("loss").values == [3.0, 2.0, 1.0]
    assert track.smoothed("loss", 0.6).values == smoothed([3.0, 2.0, 1.0], 0.6)
    assert track.nonfinite == [3]


def test_an_attempt_that_began_again_replaces_the_points_of_the_one_before() -> None:
    track = Track()
    track.follow(logged(3.0, 2.0, 1.0))
    track.smoothed("loss", 0.6)
    assert track.follow(logged(3.0, 2.5))
    assert track.series("loss").values == [3.0, 2.5]
    assert track.smoothed("loss", 0.0).values == [3.0, 2.5]
    assert track.follow([])
    assert list(track.steps) == []


def test_steps_out_of_order_are_put_in_order() -> None:
    track = Track()
    later, early = Point(9, None, {"loss": 9.0}, 0.0), Point(4, None, {"loss": 4.0}, 0.0)
    track.follow([later])
    assert list(track.series("loss").xs) == [9]
    track.follow([later, early])
    assert track.series("loss") == Series([4, 9], [4.0, 9.0])
    assert track.at(4) == {"loss": 4.0}
    assert not track.follow([later, early])


def test_finite_values_whose_sum_is_not_are_no_non_finite_step() -> None:
    track = Track()
    track.follow([Point(1, None, {"a": 1.7e308, "b": 1.7e308}, 0.0)])
    assert track.nonfinite == []


def test_the_latest_value_of_a_metric_may_be_a_non_finite_one() -> None:
    track = Track()
    track.follow(logged(1.0, 2.0, math.nan))
    found = track.latest("loss")
    assert found is not None
    assert found[0] == 3
    assert math.isnan(found[1])
    assert track.latest("loss", until=2) == (2, 2.0)
    assert track.latest("loss", until=0) is None
    assert track.latest("score") is None


@pytest.mark.parametrize("steps", [range(1, 101), [*range(1, 60), *range(40, 81)]])
def test_a_track_that_takes_a_run_in_pieces_becomes_the_same(steps: Any) -> None:
    points = [
        Point(step, None, {"loss": math.nan if step == 7 else 1 / step}, 0.0) for step in steps
    ]
    whole, pieces = Track(), Track()
    assert whole.follow(points)
    count = 0
    while pieces.follow(points, 9):
        count += 1
        assert len(pieces) == min(9 * count, len(points))
        pieces.smoothed("loss", 0.9)
    assert count == math.ceil(len(points) / 9)
    assert (pieces.steps, pieces.names, pieces.nonfinite) == (
        whole.steps,
        whole.names,
        whole.nonfinite,
    )
    assert pieces.series("loss") == whole.series("loss")
    means = (track.smoothed("loss", 0.9).values for track in (pieces, whole))
    assert next(means) == pytest.approx(next(means), rel=1e-12)


def placed(*points: tuple[int, float | None, float | None, float]) -> Track:
    """A track of points with step, epoch, tokens and time."""
    track = Track()
    track.follow(
        [
            Point(step, epoch, {"loss": 1.0} | ({"num_tokens": tokens} if tokens else {}), t)
            for step, epoch, tokens, t in points
        ]
    )
    return track


def test_points_have_places_on_every_axis() -> None:
    track = placed((1, 0.5, 100.0, 50.0), (2, 1.0, 200.0, 52.5))
    assert list(track.xs("step")) == [1, 2]
    assert list(track.xs("epoch")) == [500_000, 1_000_000]
    assert list(track.xs("tokens")) == [100, 200]
    assert list(track.xs("time")) == [0, 2500]
    assert track.series("loss", "tokens") == Series([100, 200], [1.0, 1.0])
    assert all(track.has(axis) for axis in AXES)


def test_a_run_has_only_the_axes_that_it_logged() -> None:
    track = placed((1, None, None, 7.0), (2, None, None, 7.0))
    assert [axis for axis in AXES if track.has(axis)] == ["step"]
    assert [axis for axis in AXES if Track().has(axis)] == ["step"]


def test_a_counter_of_tokens_that_starts_again_continues_and_a_clock_set_back_stops() -> None:
    points = [
        Point(step, None, {"num_tokens": float(tokens)}, t)
        for step, tokens, t in ((1, 100, 10.0), (2, 200, 20.0), (3, 100, 15.0), (4, 200, 30.0))
    ]
    whole, pieces = Track(), Track()
    whole.follow(points)
    assert list(whole.xs("tokens")) == [100, 200, 300, 400]
    assert list(whole.xs("time")) == [0, 10_000, 10_000, 20_000]
    for count in range(1, 5):
        pieces.follow(points[:count])
        pieces.xs("tokens")
    assert pieces.xs("tokens") == whole.xs("tokens")


def test_hostile_epochs_and_tokens_hold_the_last_place() -> None:
    track = placed((1, math.nan, math.inf, 0.0), (2, 1.0, 50.0, 1.0), (3, 1e300, -1e300, math.nan))
    assert list(track.xs("epoch")) == [0, 1_000_000, 1_000_000]
    assert list(track.xs("tokens")) == [0, 50, 50]
    assert list(track.xs("time")) == [0, 1000, 1000]


def test_other_points_are_placed_between_the_training_points_around_their_step() -> None:
    train = Track()
    metrics = [
        Point(step, step / 10, {"num_tokens": 10.0 * step}, float(step)) for step in (10, 20)
    ]
    train.follow(metrics[:1])
    other = Track(train)
    other.follow([Point(15, None, {"cpu_percent": 40.0}, 13.0), Point(30, 2.9, {"x": 1.0}, 31.0)])
    assert list(other.xs("tokens")) == [100, 100]
    train.follow(metrics)
    assert list(other.xs("tokens")) == [150, 200]
    assert list(other.xs("time")) == [3000, 21_000]
    assert other.series("cpu_percent", "tokens") == Series([150], [40.0])
    assert list(other.xs("epoch")) == [1_500_000, 2_900_000]


def test_the_nearest_point_of_a_metric_is_found_on_any_axis() -> None:
    track = Track()
    values = [{"loss": 1.0}, {"other": 0.0}, {"other": 0.0}, {"loss": math.nan}]
    track.follow([Point(step, None, each, 10.0 * step) for step, each in enumerate(values, 1)])
    assert track.nearest("loss", "step", 2) == (1, 1.0)
    found = track.nearest("loss", "time", 21_000)
    assert found is not None
    assert found[0] == 30_000
    assert math.isnan(found[1])
    assert track.nearest("score", "step", 2) is None


def test_bytes_are_drawn_in_gibibytes() -> None:
    track = Track()
    track.follow([Point(1, None, {"rss_bytes": 3 * 2.0**30}, 0.0)])
    assert track.series("rss_bytes").values == [3.0]
    assert track.latest("rss_bytes") == (1, 3.0)


@pytest.mark.parametrize("values", [{}, {3: math.nan}, {7: None}])
def test_a_track_of_a_growing_log_is_that_of_a_list(values: dict[int, float | None]) -> None:
    """`values`: what some steps logged as their loss, None for nothing."""
    points = [
        Point(step, step / 5, {"loss": 1.0 / step, "num_tokens": 9.0 * step}, 3.0 * step)
        for step in range(1, 12)
    ]
    for step, value in values.items():
        logged = {"num_tokens": 9.0 * step} | ({} if value is None else {"loss": value})
        points[step - 1] = Point(step, step / 5, logged, 3.0 * step)
    log, of_log, of_list = PointLog(), Track(), Track()
    for count, point in enumerate(points, 1):
        log.append(point)
        assert of_log.follow(log.until())
        of_list.follow(points[:count])
        for axis in AXES:
            assert of_log.series("loss", axis) == of_list.series("loss", axis)
            assert of_log.smoothed("loss", 0.5, axis) == of_list.smoothed("loss", 0.5, axis)
        assert of_log.latest("loss") == pytest.approx(of_list.latest("loss"), nan_ok=True)
        assert of_log.nearest("loss", "step", 4) == pytest.approx(
            of_list.nearest("loss", "step", 4), nan_ok=True
        )
    assert not of_log.follow(log.until())
    assert of_log.nonfinite == of_list.nonfinite
    assert of_log.follow(PointLog(points))  # of another attempt
    assert len(of_log) == len(points)


def test_a_log_whose_steps_are_out_of_order_is_put_in_order() -> None:
    log, track = PointLog(), Track()
    for step in (2, 5, 4, 9):
        log.append(Point(step, None, {"loss": 1.0 * step}, 0.0))
        track.follow(log.until())
    assert track.series("loss") == Series([2, 4, 5, 9], [2.0, 4.0, 5.0, 9.0])
    assert not track.follow(log)
