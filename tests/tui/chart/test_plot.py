"""Charts as text: true extremes, plain signs where asked for, and no data that breaks them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.work import calls_of
from tui_loop.core.plot.series import Series, column_of, smoothed
from tui_loop.tui.chart.plot import ChartSpec, Plot, left_out, plot

MANY = 100_000
SIZES = [(80, 22), (90, 16), (40, 10), (10, 4), (4, 2), (2, 9), (9, 1), (1, 1)]

numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 1.0, 1e30])
steps = st.integers(-3, 20) | st.integers(10**6, 10**6 + 9)
series = st.lists(st.tuples(steps, numbers), max_size=12).map(
    lambda points: Series([x for x, _ in sorted(points)], [y for _, y in sorted(points)])
)


def drawn(*values: float, first: int = 1, **more: object) -> ChartSpec:
    line = Series(list(range(first, first + len(values))), list(values))
    given: dict[str, object] = {"low": first, "high": first + max(len(values) - 1, 0)}
    return ChartSpec(**{**given, "train": line, **more})  # type: ignore[arg-type]


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


@st.composite
def specs(draw: st.DrawFn) -> ChartSpec:
    low, train = draw(st.integers(-3, 20)), draw(series)
    return ChartSpec(
        low=low,
        high=low + draw(st.integers(0, 30) | st.just(10**6)),
        train=train,
        smooth=draw(series),
        evaluated=draw(series),
        overlay=train,
        overlay_label="of 2",
        bad_steps=draw(st.sampled_from([(), (low,)])),
        log=draw(st.booleans()),
        cursor=draw(st.none() | st.integers(-3, 20)),
        ascii=draw(st.booleans()),
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
        chart = plot(drawn(*[1.0, 2.0, 3.0] * 10, bad_steps=[1, 30], ascii=plain), 60, 12)
        marks = signs(chart, "bad")
        assert marks == [(0, chart.left, sign), (0, 59, sign)]
        assert not [1 for y, _, _ in signs(chart, "train") if y == 0]  # a mark hides no value


def test_a_chart_in_ascii_is_pure_ascii_and_tells_its_lines_apart_by_their_signs() -> None:
    values = [3.0 / step for step in range(1, 50)]
    line = Series(list(range(1, 50)), values)
    spec = drawn(
        *values,
        smooth=line,
        evaluated=Series([20, 40], [2.0, 1.5]),
        overlay=Series(line.steps, [value + 1 for value in values]),
        overlay_evaluated=Series([20], [2.7]),
        overlay_label="of ä[/foo]",
        bad_steps=[3],
        cursor=30,
        ascii=True,
    )
    chart = plot(spec, 80, 22)
    assert "".join(text(chart)).isascii()
    shown = {
        role: {sign for _, _, sign in signs(chart, role)} - {" "}
        for role in ("eval", "cursor", "bad")
    }
    assert shown["eval"] >= {"o"}
    assert shown["cursor"] == {"|", "^"}
    assert shown["bad"] == {"x"}
    assert "of ?[/foo] ++ O" in text(chart)[3]


def test_evaluations_and_the_overlay_are_told_apart_without_colour() -> None:
    line = Series(list(range(1, 100)), [5.0 / step for step in range(1, 100)])
    over = Series(line.steps, [value + 2 for value in line.values])
    spec = ChartSpec(
        low=1,
        high=99,
        smooth=line,
        evaluated=Series([50], [3.0]),
        overlay=over,
        overlay_evaluated=Series([90], [4.0]),
        overlay_label="of 2",
    )
    chart = plot(spec, 80, 16)
    assert [sign for _, _, sign in signs(chart, "eval")].count("●") == 2  # one is in the legend
    dashes = {x for _, x, sign in signs(chart, "overlay") if "⠀" < sign <= "⣿"}
    assert len(dashes) < 60 < len({x for _, x, _ in signs(chart, "train")})
    assert any("of 2  ╌╌ ○" in row for row in text(chart))


def test_the_legend_covers_no_data() -> None:
    values = [1.0, 9.0] * 60
    chart = plot(drawn(*values), 60, 14)
    assert not any("train" in row for row in text(chart))
    assert any("train" in row for row in text(plot(drawn(*range(120, 0, -1)), 60, 14)))


def test_values_at_or_below_zero_are_left_out_of_a_log_chart_and_counted() -> None:
    spec = drawn(1.0, 0.0, -2.0, 10.0, 100.0, log=True, evaluated=Series([2], [-1.0]))
    assert left_out(spec) == 3
    assert signs(plot(spec, 40, 10), "train")
    assert left_out(drawn(-1.0)) == 0
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
        spec = ChartSpec(low=0, high=count - 1, train=line, smooth=line, overlay=line)
        return calls_of(lambda: plot(spec, 120, 40))

    work(1)  # imports plotext
    assert work(MANY) < 1.5 * work(MANY // 100)
