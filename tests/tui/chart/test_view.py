"""How a run is looked at: zoom, cursor and axes, and what is remembered of it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.plot.clip import Shown
from tui_loop.tui.chart import view as views
from tui_loop.tui.chart.view import ChartView, Places, view_from

CHOICES = ChartView(
    metric="eval_loss", x="tokens", weight=0.9, log=True, clip=False, overlay=False, layout="grid"
)


def test_what_holds_for_a_loop_is_remembered_and_what_belongs_to_a_run_is_not() -> None:
    view = msgspec.structs.replace(CHOICES, zoom=(3, 9), y=(0.1, 2.0), cursor=5)
    assert view_from(json.loads(json.dumps(view.to_json()))) == CHOICES


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (None, ChartView()),
        ("log", ChartView()),
        ([1, 2], ChartView()),
        ({"later": 1, "log": True}, ChartView(log=True)),
        ({"metric": 7, "x": "furlongs", "weight": "much", "log": "yes"}, ChartView()),
        ({"weight": 0.42, "layout": "list"}, ChartView(layout="list")),
        ({"zoom": [1, 2], "y": [0, 1], "cursor": 3, "clip": False}, ChartView(clip=False)),
    ],
)
def test_stored_values_that_are_no_settings_are_ignored(
    stored: object, expected: ChartView
) -> None:
    assert view_from(stored) == expected


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@given(
    json_values | st.fixed_dictionaries({}, optional=dict.fromkeys(CHOICES.to_json(), json_values))
)
def test_no_stored_value_breaks_a_view(stored: object) -> None:
    view = view_from(stored)
    assert view_from(view.to_json()) == view


def test_esc_takes_away_the_cursor_and_then_the_zoom() -> None:
    view = ChartView(zoom=(1, 9), y=(0.0, 1.0), cursor=4, log=True)
    without_cursor = views.without_innermost(view)
    assert without_cursor == ChartView(zoom=(1, 9), y=(0.0, 1.0), log=True)
    assert views.without_innermost(without_cursor) == ChartView(log=True)
    assert views.without_innermost(ChartView(log=True)) == ChartView(log=True)


def test_another_x_axis_shows_the_same_points() -> None:
    steps, tokens = [1, 2, 3, 4, 5], [10, 30, 60, 100, 150]
    view = ChartView(zoom=(2, 4), cursor=3)
    other = views.with_axis(view, "tokens", steps, tokens)
    assert (other.x, other.zoom, other.cursor) == ("tokens", (30, 100), 3)
    assert views.with_axis(other, "step", tokens, steps) == view
    assert views.with_axis(view, "time", steps, [0, 0, 0, 0, 0]).zoom is None
    assert views.next_axis("time", ["step", "epoch", "time"]) == "step"
    assert views.next_axis("step", ["step", "epoch", "time"]) == "epoch"
    assert views.axis_of(ChartView(x="tokens"), ["step", "time"]) == "step"


@pytest.mark.parametrize("log", [False, True])
def test_the_value_at_the_cursor_stays_where_it_is_when_values_are_zoomed(log: bool) -> None:
    shown = Shown(1.0, 16.0)
    near = views.zoomed_y(ChartView(log=log), shown, closer=True, around=4.0)
    nearer = views.zoomed_y(near, shown, closer=True, around=4.0)
    assert near.y is not None
    assert nearer.y is not None
    assert 1.0 < near.y[0] < nearer.y[0] < 4.0 < nearer.y[1] < near.y[1] < 16.0
    assert views.zoomed_y(near, shown, closer=False, around=4.0).y is None


def test_values_are_zoomed_no_closer_than_floats_can_tell_them_apart() -> None:
    view = ChartView()
    for _ in range(200):
        view = views.zoomed_y(view, Shown(1.0, 2.0), closer=True, around=1.5)
    assert view.y is not None
    assert view.y[0] < 1.5 < view.y[1]
    assert views.zoomed_y(ChartView(), Shown(2.0, 2.0), closer=True, around=2.0) == ChartView()


def test_the_cursor_moves_on_points_that_share_a_place() -> None:
    places = Places((0, 0), [1, 2, 3], [0, 0, 0], 10)
    view = views.with_cursor_moved(ChartView(), places, -1)
    assert view.cursor == 3
    assert views.with_cursor_moved(view, places, -1).cursor == 2
    places = Places((0, 90), [1, 2, 3], [0, 0, 90], 10)
    assert views.with_cursor_moved(ChartView(cursor=1), places, 1).cursor == 3
    assert views.with_cursor_moved(ChartView(cursor=3), places, -1).cursor == 2


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10**6)), min_size=1, max_size=20),
    st.lists(st.sampled_from([-10, -1, 1, 10]), max_size=12),
    st.integers(1, 40),
)
def test_the_cursor_is_always_on_a_logged_step_and_in_sight(
    points: list[tuple[int, int]], moves: list[int], columns: int
) -> None:
    steps, xs = sorted(step for step, _ in points), sorted(x for _, x in points)
    whole = (xs[0], xs[-1])
    places, view = Places(whole, steps, xs, columns), ChartView()
    for by in moves:
        view = views.with_cursor_moved(view, places, by)
        assert view.cursor in steps
        view = views.zoomed(view, whole, closer=by > 0, around=xs[steps.index(view.cursor)])
        assert view.zoom is None or view.zoom[0] < view.zoom[1]
