"""Charts: what is drawn lies within the picture, whatever a run logged."""

from __future__ import annotations

import math
import re
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.record.points import Point
from tui_loop.core.record.state import RunState
from tui_loop.core.report.document import RunChart, TrailChart, TrailPoint
from tui_loop.core.report.facts import POINTS, Curves, Line
from tui_loop.core.report.svg import HEIGHT, WIDTH, curves_of, run_svg, trail_svg

LOSSES = st.floats(-1e9, 1e9, allow_nan=False).map(lambda value: round(value, 4))


def run_of(losses: list[float], evaluated: dict[int, float] | None = None) -> RunState:
    return RunState(
        metrics=[Point(step, None, {"loss": loss}, 0.0) for step, loss in enumerate(losses, 1)],
        evaluations=[
            Point(step, None, {"eval_loss": loss}, 0.0) for step, loss in (evaluated or {}).items()
        ],
    )


def spots(svg: str) -> list[tuple[float, float]]:
    """Where lines and circles are."""
    root, found = ElementTree.fromstring(svg), []
    for each in root:
        if each.tag.endswith("circle"):
            found.append((float(each.get("cx", "nan")), float(each.get("cy", "nan"))))
        if each.tag.endswith("path") and each.get("class") not in ("grid", "bar", "rule"):
            numbers = list(map(float, re.findall(r"-?[\d.]+", each.get("d", ""))))
            found += zip(numbers[::2], numbers[1::2], strict=True)
    return found


def all_within(svg: str) -> bool:
    return all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in spots(svg))


@given(st.lists(LOSSES, min_size=1, max_size=40), st.lists(LOSSES, max_size=4), st.booleans())
def test_any_run_is_drawn_within_the_picture(
    losses: list[float], evaluated: list[float], is_log: bool
) -> None:
    curves = curves_of(run_of(losses, dict(enumerate(evaluated, 2))), diverged_at=3)
    assert all_within(run_svg(RunChart("loss", curves, is_log)))


@given(st.lists(LOSSES, min_size=1, max_size=30))
def test_any_trail_is_drawn_within_the_picture(losses: list[float]) -> None:
    points = tuple(TrailPoint(number, loss) for number, loss in enumerate(losses))
    assert all_within(trail_svg(TrailChart("eval loss", points, (99,), 0)))


def test_what_is_not_finite_is_counted_and_not_drawn() -> None:
    curves = curves_of(run_of([3.0, math.nan, 2.0, math.inf], {4: math.nan}), diverged_at=4)
    svg = run_svg(RunChart("loss", curves))
    assert "3 not finite" in svg
    assert "NaN" not in svg
    assert "inf," not in svg
    assert len(spots(svg)) == 2


def test_the_end_of_each_curve_is_told_in_words() -> None:
    svg = run_svg(RunChart("loss", curves_of(run_of([3.0, 2.0], {2: 2.5}), diverged_at=2)))
    assert "train 2.000" in svg
    assert "eval ● 2.500" in svg
    assert "diverged at step 2" in svg


def test_a_long_run_keeps_its_extremes_in_few_points() -> None:
    losses = [1.0 + 0.5 * math.sin(step) for step in range(50_000)]
    losses[31_234], losses[40_001] = 9.0, -2.0
    curves = curves_of(run_of(losses))
    assert len(curves.train.steps) <= 2 * POINTS
    assert len(curves.smooth.steps) <= 2 * POINTS
    assert (max(curves.train.values), min(curves.train.values)) == (9.0, -2.0)
    assert (curves.train.logged, curves.smooth.steps[-1]) == (50_000, 50_000)
    assert len(run_svg(RunChart("loss", curves))) < 10_000


def test_the_later_of_two_evaluations_at_one_step_stands() -> None:
    run = run_of([1.0])
    run.evaluations = [Point(5, None, {"eval_loss": value}, 0.0) for value in (3.0, 2.0)]
    assert curves_of(run).eval == Line((5,), (2.0,), 1, 0)


def test_a_score_has_its_interval_and_one_that_is_missing_its_sign() -> None:
    points = (TrailPoint(0, 0.25, 0.1, 0.5), TrailPoint(2, 0.5))
    svg = trail_svg(TrailChart("score", points, (1,), best=2, is_share=True))
    assert svg.count('class="bar"') == 1
    assert svg.count('class="none"') == 1
    assert svg.count('class="best"') == 1
    assert "× has none" in svg
    assert "100%" in svg


def test_curves_without_a_mean_are_drawn_as_they_are() -> None:
    svg = run_svg(RunChart("loss", Curves(train=Line((1, 2), (2.0, 1.0), 2))))
    assert svg.count('class="train"') == 1
    assert 'class="train raw"' not in svg
