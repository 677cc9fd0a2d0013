"""Tracks: the points of a run as series over any x axis, live or at once."""

from __future__ import annotations

import math
from typing import Any

import pytest

from tests.core.plot.test_series import logged
from tui_loop.core.plot.series import Series, smoothed
from tui_loop.core.plot.track import Track
from tui_loop.core.record.state import Point


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
    assert track.steps == []


def test_steps_out_of_order_are_put_in_order() -> None:
    track = Track()
    later, early = Point(9, None, {"loss": 9.0}, 0.0), Point(4, None, {"loss": 4.0}, 0.0)
    track.follow([later])
    assert track.series("loss").xs == [9]
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
