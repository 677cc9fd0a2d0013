"""Charts as text: true extremes, plain signs where asked for, and no data that breaks them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import calls_of
from tui_loop.core.plot.axis import AXES
from tui_loop.core.plot.clip import Shown
from tui_loop.core.plot.series import Series, column_of
from tui_loop.core.plot.smoothing import smoothed
from tui_loop.tui.chart.canvas import Entry
from tui_loop.tui.chart.plot import ChartSpec, Curve, Plot, dashed, not_on_log, plot

MANY = 100_000
SIZES = [(80, 22), (90, 16), (40, 10), (10, 4), (4, 2), (2, 9), (9, 1), (1, 1)]

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, 1e30])
steps = st.integers(-3, 20) | st.integers(10**6, 10**6 + 9)
series = st.lists(st.tuples(steps, numbers), max_size=12).map(
    lambda points: Series([x for x, _ in sorted(points)], [y for _, y in sorted(points)])
)


def drawn(*values: float, first: int = 1, **more: object) -> ChartSpec:
    """A chart of one line; `smooth` is laid over it, `points` are its evaluations."""
    line = Series(list(range(first, first + len(values))), list(values))
    points, smooth = more.pop("points", Series()), more.pop("smooth", None)
    curve = Curve(line, points=points) if smooth is None else Curve(smooth, line, points)  # type: ignore[arg-type]
    given: dict[str, object] = {"low": first, "high": first + max(len(values) - 1, 0)}
    return ChartSpec(**{**given, "curves": [curve], **more})  # type: ignore[arg-type]


def text(chart: Plot) -> list[str]:
    return ["".join(sign for sign, _ in row) for row in chart.rows]


def signs(chart: Plot, role: str) -> list[tuple[int, int, str]]:
    """Row, column and sign of every cell that has a role."""
    return [
        (y, x, sign)
        for y, row in enumerate(chart.rows)
        for x, (sign, its) in enumerate(row)
        if its == role
    ]


curves = st.builds(Curve, series, series, series, st.integers(0, 4))


@st.composite
def specs(draw: st.DrawFn) -> ChartSpec:
    low = draw(st.integers(-3, 20))
    ends = draw(st.tuples(numbers, numbers).map(sorted))
    return ChartSpec(
        low=low,
        high=low + draw(st.integers(0, 30) | st.just(10**6)),
        curves=draw(st.lists(curves, max_size=3)),
        shown=None if draw(st.booleans()) or ends[0] <= 0 else Shown(ends[0], ends[1]),
        axis=draw(st.sampled_from(AXES)),
        legend=[Entry([("++ of 2", "overlay-1")], 9)] * draw(st.integers(0, 20)),
        bad=draw(st.sampled_from([(), (low,)])),
        log=draw(st.booleans()),
        cursor=draw(st.none() | st.integers(-3, 20)),
        ascii=draw(st.booleans()),
        is_small=draw(st.booleans()),
    )


@given(specs(), st.sampled_from(SIZES))
def test_no_data_and_no_size_breaks_a_chart(spec: ChartSpec, size: tuple[int, int]) -> None:
    rows = text(plot(spec, *size))
    assert [len(row) for row in rows] == [size[0]] * size[1]
    assert not spec.ascii or "".join(rows).isascii()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    "values",
    [(), (1.0,), (2.0, 2.0, 2.0), (1e30, -1e30), (1.7e308, -1.7e308), (1e16, 1e16 + 2), (5e-324,)],
)
def test_empty_single_equal_and_huge_values_are_drawn(
    values: tuple[float, ...], size: tuple[int, int]
) -> None:
    for log in (False, True):
        assert len(plot(drawn(*values, log=log), *size).rows) == size[1]


def test_a_size_of_nothing_is_an_empty_chart() -> None:
    assert plot(drawn(1.0, 2.0), 0, 5).rows == []


@pytest.mark.parametrize("plain", [False, True])
def test_a_spike_of_one_step_among_a_hundred_thousand_shows_in_its_column(plain: bool) -> None:
    values = [1.0 + 0.1 * math.sin(step) for step in range(MANY)]
    values[61_803] = 50.0
    flat = [value if value < 2 else 1.0 for value in values]
    more = {"smooth": Series(list(range(MANY)), smoothed(flat, 0.9)), "ascii": plain}
    chart = plot(drawn(*values, first=0, **more), 120, 40)
    column = chart.left + column_of(61_803, 0, MANY - 1, chart.columns)
    at_the_top = [(x, sign) for y, x, sign in signs(chart, "train-raw") if y == 0]
    assert [x for x, _ in at_the_top] == [column]
    down = [y for y, x, _ in signs(chart, "train-raw") if x == column]
    assert down == list(range(min(down), max(down) + 1))


def test_a_column_shows_the_smallest_and_the_largest_of_its_values() -> None:
    values = [5.0, 0.0, 10.0, 5.0] * 500
    chart = plot(drawn(*values, first=0), 40, 12)
    top = {x for y, x, _ in signs(chart, "train") if y == 0}
    bottom = {x for y, x, _ in signs(chart, "train") if y == 9}
    assert top == bottom == set(range(chart.left, 40))


def test_steps_with_a_non_finite_value_are_marked_at_the_top_edge() -> None:
    for plain, sign in ((False, "✗"), (True, "x")):
        chart = plot(drawn(*[1.0, 2.0, 3.0] * 10, bad=[1, 30], ascii=plain), 60, 12)
        marks = signs(chart, "bad")
        assert marks == [(0, chart.left, sign), (0, 59, sign)]
        assert not [1 for y, _, _ in signs(chart, "train") if y == 0]  # a mark hides no value


def of_two_runs(**more: object) -> ChartSpec:
    steps = list(range(1, 100))
    values = [5.0 / step for step in steps]
    main = Curve(Series(steps, values), points=Series([50], [3.0]))
    over = Curve(
        Series(steps, [value + 2 for value in values]), points=Series([90], [4.0]), style=1
    )
    return ChartSpec(low=1, high=99, curves=[main, over], **more)  # type: ignore[arg-type]


def test_a_chart_in_ascii_is_pure_ascii_and_tells_its_lines_apart_by_their_signs() -> None:
    chart = plot(of_two_runs(bad=[3], cursor=30, ascii=True), 80, 22)
    assert "".join(text(chart)).isascii()
    shown = {
        role: {sign for _, _, sign in signs(chart, role)}
        for role in ("train", "eval", "overlay-1", "cursor", "bad")
    }
    assert shown == {
        "train": {"*"},
        "eval": {"o"},
        "overlay-1": {"+", "O"},
        "cursor": {"|", "^"},
        "bad": {"x"},
    }


def test_runs_are_told_apart_without_colour() -> None:
    chart = plot(of_two_runs(), 80, 16)
    assert [sign for _, _, sign in signs(chart, "eval")] == ["●"]
    over = signs(chart, "overlay-1")
    assert [sign for _, _, sign in over].count("○") == 1
    dashes = {x for _, x, sign in over if "⠀" < sign <= "⣿"}
    assert len(dashes) < 60 < len({x for _, x, _ in signs(chart, "train")})


def test_a_gap_of_a_dashed_line_loses_no_extreme() -> None:
    lines = ["     x     ", "xxxxx xxxxx"]
    assert dashed(lines, "10") == ["     x     ", "x x x x x x"]
    values = [1.0] * 400
    values[200] = 9.0
    spike = Curve(Series(list(range(400)), values), style=2)
    for at in range(30, 36):  # whatever the pattern has there
        spec = ChartSpec(low=0, high=399 + at, curves=[spike])
        assert [y for y, _, _ in signs(plot(spec, 90, 12), "overlay-2")].count(0) == 1


@pytest.mark.parametrize("style", [1, 2, 3, 4])
def test_each_column_of_an_overlay_shows_its_true_extremes(style: int) -> None:
    values = [5.0, 0.0, 10.0, 5.0] * 500
    smooth = Series(list(range(2000)), [5.0] * 2000)
    curve = Curve(smooth, Series(smooth.xs, values), style=style)
    chart = plot(ChartSpec(low=0, high=1999, curves=[curve]), 40, 12)
    top = {x for y, x, _ in signs(chart, f"overlay-{style}-raw") if y == 0}
    bottom = {x for y, x, _ in signs(chart, f"overlay-{style}-raw") if y == 9}
    assert top == bottom == set(range(chart.left, 40))


def test_evaluations_of_one_column_show_their_extremes() -> None:
    points = Series([50, 50, 50], [1.0, 9.0, 5.0])
    chart = plot(ChartSpec(low=0, high=100, curves=[Curve(points=points)]), 60, 12)
    rows = [y for y, _, _ in signs(chart, "eval")]
    assert (min(rows), max(rows)) == (0, 9)


def test_the_legend_is_a_line_of_its_own_above_the_curves() -> None:
    legend = [
        Entry([("train ", "muted"), ("── 3", "train")], 18),
        Entry([("╌╌ 1", "overlay-1")], 12),
    ]
    bare, chart = plot(of_two_runs(), 80, 16), plot(of_two_runs(legend=legend), 80, 17)
    assert text(chart)[0].rstrip() == " train ── 3  ╌╌ 1"
    assert text(chart)[1:] == text(bare)


def test_a_legend_without_room_counts_the_entries_that_it_leaves_out() -> None:
    legend = [Entry([(f"── {number:03}", "train")], 6) for number in range(12)]
    chart = plot(of_two_runs(legend=legend), 40, 11)
    assert text(chart)[0].rstrip() == " ── 000  ── 001  ── 002  ── 003  +8"


def test_values_outside_the_range_are_counted_and_marked_at_its_edge() -> None:
    legend = [Entry([("train ── 3", "train")], 18)]
    spec = drawn(9.0, 8.0, *[1.0, 2.0] * 30, 0.1, shown=Shown(1.0, 2.0, True), legend=legend)
    chart = plot(spec, 80, 14)
    assert (chart.above, chart.below) == (2, 1)
    assert text(chart)[0].rstrip() == " train ── 3  2 above, 1 below"
    assert [sign for y, _, sign in signs(chart, "train") if y == 1].count("▲") == 2
    assert [sign for _, _, sign in signs(chart, "train")].count("▼") == 1
    plain = plot(drawn(9.0, *[1.0] * 9, shown=Shown(1.0, 2.0, True), ascii=True), 40, 10)
    assert signs(plain, "train")[0] == (0, plain.left, "^")


def test_a_small_chart_has_its_extremes_beside_it_and_no_x_axis() -> None:
    rows = text(plot(drawn(*[3.0 - step / 40 for step in range(81)], is_small=True), 38, 6))
    beside = [row.split("┤")[0].strip() for row in rows if "┤" in row]
    assert beside == ["3", "1"]
    assert not any("┬" in row or "└" in row for row in rows)


def test_values_at_or_below_zero_are_left_out_of_a_log_chart_and_counted() -> None:
    spec = drawn(1.0, 0.0, -2.0, 10.0, 100.0, log=True, points=Series([2], [-1.0]))
    assert not_on_log(spec) == 3
    assert signs(plot(spec, 40, 10), "train")
    assert not_on_log(drawn(-1.0)) == 0
    assert not signs(plot(drawn(-1.0, -2.0, log=True), 40, 10), "train")


def test_ticks_are_round_steps_under_the_axis_and_values_beside_it() -> None:
    rows = text(plot(drawn(*[3.0 - step / 40 for step in range(81)], first=0), 80, 14))
    assert rows[-1].split() == ["0", "20", "40", "60", "80"]
    assert rows[-2].strip().startswith("└")
    beside = [row.split("┤")[0].strip() for row in rows if "┤" in row]
    assert beside == ["3.0", "2.5", "2.0", "1.5", "1.0"]


def test_a_redraw_of_a_hundred_thousand_points_is_hardly_more_work_than_of_a_thousand() -> None:
    def work(count: int) -> int:
        line = Series(list(range(count)), [2 + math.sin(step) for step in range(count)])
        runs = [Curve(line, line), Curve(line, line, style=1)]
        spec = ChartSpec(low=0, high=count - 1, curves=runs)
        return calls_of(lambda: plot(spec, 120, 40))

    work(1)  # imports plotext
    assert work(MANY) < 1.5 * work(MANY // 100)
