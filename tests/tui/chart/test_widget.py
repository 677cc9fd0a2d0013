"""The chart widget: it draws when something changed, and what was set for a run stays."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from itertools import pairwise

import msgspec
import pytest
from textual import events
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.record.points import Point
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.chart.plot import Plot
from tui_loop.tui.chart.widget import ChartActions, LossChart

Steps = Callable[["Host", Pilot[None]], Awaitable[None]]

HOSTILE = "a\x1b[31m[/foo]\u202eb\x07"
SHOWN = "a␛[31m[/foo]<U+202E>b␇"


class Counting(LossChart):
    refreshes = 0

    def refresh(self, *args: object, **kwargs: object) -> Counting:
        self.refreshes += 1
        super().refresh(*args, **kwargs)  # type: ignore[arg-type]
        return self


class Host(App[None]):
    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.chart = Counting(ascii_only=ascii_only)

    def compose(self) -> ComposeResult:
        yield self.chart

    def text(self) -> list[str]:
        """The screen as lines."""
        strips = self.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip) for strip in strips]

    def plot(self) -> Plot:
        return self.chart._drawn()


def on_screen(steps: Steps, *, ascii_only: bool = False, size: tuple[int, int] = (82, 24)) -> None:
    async def main() -> None:
        host = Host(ascii_only=ascii_only)
        async with host.run_test(size=size) as pilot:
            await steps(host, pilot)

    asyncio.run(main())


def points(values: Sequence[float], first: int = 1, name: str = "loss") -> list[Point]:
    return [
        Point(step, None, {name: value, "learning_rate": 1e-4, "grad_norm": 0.82}, 0.0)
        for step, value in enumerate(values, first)
    ]


def a_run(count: int = 100, key: str = "support-intents/3", **more: object) -> ChartRun:
    given: dict[str, object] = {
        "label": key.rpartition("/")[2],
        "metrics": points([3.0 / step for step in range(1, count + 1)]),
        "evaluations": [Point(count // 2, None, {"eval_loss": 1.204, "score": 0.7}, 0.0)],
    }
    return ChartRun(key=key, **{**given, **more})  # type: ignore[arg-type]


def test_nothing_is_drawn_again_when_nothing_changed() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics, over = points([3.0, 2.0, 1.0]), a_run(key="support-intents/2")
        run = a_run(metrics=metrics)
        host.chart.show(run, (over,))
        await pilot.pause()
        drawn, before = host.plot(), host.chart.refreshes
        host.chart.show(run, (over,))
        host.chart.show(msgspec.structs.replace(run, metrics=tuple(metrics)), (over,))
        await pilot.pause()
        assert host.chart.refreshes == before
        assert host.plot() is drawn
        metrics.extend(points([0.5], first=4))
        host.chart.show(run, (over,))
        assert host.chart.refreshes > before
        assert host.plot() is not drawn

    on_screen(steps)


def test_an_action_that_changes_nothing_draws_nothing() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run())
        await pilot.pause()
        before = host.chart.refreshes
        host.chart.action_reset_view()
        host.chart.action_zoom_out()
        assert host.chart.refreshes == before

    on_screen(steps)


def test_the_border_says_what_is_shown_and_the_latest_figures() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics = points([2.0, math.nan, 1.13])
        host.chart.show(a_run(metrics=metrics))
        host.chart.action_toggle_log()
        await pilot.pause()
        assert "3 Loss of 3 · x step · smooth 0.6 · log" in host.text()[0]
        assert "train 1.130 · eval 1.204 · 1 non-finite" in host.text()[-1]
        assert any("✗" in line for line in host.text())

    on_screen(steps)


def test_the_cursor_moves_by_a_column_and_snaps_to_logged_steps() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics = [Point(10 * step, None, {"loss": 1.0 / step}, 0.0) for step in range(1, 1001)]
        host.chart.show(a_run(metrics=metrics, evaluations=()))
        await pilot.pause()
        chart, columns = host.chart, host.plot().columns
        chart.action_cursor_left()
        assert chart.view.cursor == 10_000
        seen = [10_000]
        for _ in range(5):
            chart.action_cursor_left()
            assert chart.view.cursor is not None
            seen.append(chart.view.cursor)
        assert all(step % 10 == 0 for step in seen)
        apart = (10_000 - 10) / columns
        assert all(5 < before - after < 2.5 * apart for before, after in pairwise(seen))
        chart.action_cursor_far_left()
        assert chart.view.cursor is not None
        assert seen[-1] - chart.view.cursor > 9 * apart
        for _ in range(20):
            chart.action_cursor_far_left()
        assert chart.view.cursor == 10
        for _ in range(20):
            chart.action_cursor_far_right()
        assert chart.view.cursor == 10_000

    on_screen(steps)


def test_the_figures_at_the_cursor_are_those_of_its_step() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics = points([2.0, 1.5, math.nan])
        metrics[2].values["entropy"] = math.inf
        host.chart.show(a_run(metrics=metrics, evaluations=[Point(2, None, {"eval_loss": 1.2}, 0)]))
        await pilot.pause()
        host.chart.action_cursor_left()
        await pilot.pause()
        line = host.text()[-1]
        assert "step 3  loss nan  lr 1e-4  grad 0.82  entropy inf  eval 1.200 at 2" in line
        host.chart.action_cursor_left()
        await pilot.pause()
        assert "step 2  loss 1.500  lr 1e-4  grad 0.82  eval 1.200 ─" in host.text()[-1]

    on_screen(steps)


def test_a_zoomed_view_does_not_move_when_points_arrive_and_the_whole_history_grows() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics = points([1.0] * 100)
        run = a_run(metrics=metrics, evaluations=())
        host.chart.show(run)
        await pilot.pause()
        host.chart.action_zoom_in()
        zoom = host.chart.view.zoom
        assert zoom == (51, 100)
        metrics.extend(points([5.0] * 100, first=101))
        host.chart.show(run)
        await pilot.pause()
        assert host.chart.view.zoom == zoom
        assert "steps 51 to 100" in host.text()[0]
        assert host.text()[-2].endswith("100│")
        host.chart.action_reset_view()
        await pilot.pause()
        assert "steps" not in host.text()[0]
        assert host.text()[-2].endswith("200│")

    on_screen(steps)


def test_zooming_keeps_the_cursor_where_it_is_and_a_move_out_of_sight_is_followed() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run(1000))
        await pilot.pause()
        chart = host.chart
        chart.action_cursor_left()
        for _ in range(4):
            chart.action_cursor_far_left()
        cursor = chart.view.cursor
        assert cursor is not None
        chart.action_zoom_in()
        chart.action_zoom_in()
        assert chart.view.cursor == cursor
        assert chart.view.zoom is not None
        low, high = chart.view.zoom
        assert low < cursor < high
        for _ in range(12):
            chart.action_cursor_far_left()
        assert chart.view.cursor is not None
        assert chart.view.zoom is not None
        assert chart.view.zoom[0] == chart.view.cursor < low
        for _ in range(3):
            chart.action_zoom_out()
        assert chart.view.zoom is None

    on_screen(steps)


def test_zoom_and_cursor_are_kept_for_each_run_and_the_rest_holds_for_all() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        chart, one, other = host.chart, a_run(), a_run(key="support-intents/4")
        chart.show(one)
        await pilot.pause()
        chart.action_cursor_left()
        chart.action_zoom_in()
        chart.action_zoom_in_y()
        chart.action_toggle_log()
        chart.action_zoom_in_y()
        chart.action_smooth_more()
        kept = chart.view
        assert kept.y is not None
        chart.show(other)
        assert (chart.view.zoom, chart.view.y, chart.view.cursor) == (None, None, None)
        assert (chart.view.log, chart.view.weight) == (True, 0.8)
        chart.show(one)
        assert chart.view == kept
        chart.show(other)
        chart.action_toggle_log()
        chart.show(one)
        assert chart.view == msgspec.structs.replace(kept, log=False, y=None)

    on_screen(steps)


def test_smoothing_goes_from_none_to_much_and_no_further() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run())
        for _ in range(20):
            host.chart.action_smooth_less()
        await pilot.pause()
        assert host.chart.view.weight == 0
        assert "not smoothed" in host.text()[0]
        for _ in range(20):
            host.chart.action_smooth_more()
        assert host.chart.view.weight == 0.99

    on_screen(steps)


def test_the_metrics_go_round_and_a_score_has_points_of_evaluations_alone() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run())
        titles = []
        for _ in range(6):
            await pilot.pause()
            titles.append(host.text()[0].split("·")[0].strip("╭─ "))
            host.chart.action_next_metric()
        assert titles == [
            "3 Loss of 3",
            "3 Eval loss of 3",
            "3 Score of 3",
            "3 Grad norm of 3",
            "3 Learning rate of 3",
            "3 Loss of 3",
        ]
        await pilot.pause()
        assert any("●" in line for line in host.text())

    on_screen(steps)


def test_the_overlay_can_be_taken_away_and_brought_back() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run(), (a_run(150, key="support-intents/2"),))
        await pilot.pause()
        assert "Loss of 3 over 2" in host.text()[0]
        assert "train ── 3  ╌╌ 2  eval ● 3  ○ 2" in host.text()[1]
        host.chart.action_toggle_overlay()
        await pilot.pause()
        assert not any("╌╌" in line for line in host.text())
        assert "over" not in host.text()[0]

    on_screen(steps)


@pytest.mark.parametrize("ascii_only", [False, True])
def test_hostile_names_are_shown_as_text(ascii_only: bool) -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics = points([3.0, 2.0, 1.0], name=HOSTILE)
        run = a_run(label=HOSTILE, metrics=metrics, evaluations=())
        host.chart.show(run, (msgspec.structs.replace(run, key="x/2"),))
        host.chart.action_cursor_left()
        host.chart.action_next_metric()
        host.chart.action_next_metric()
        await pilot.pause()
        whole = "\n".join(host.text())
        wanted = SHOWN.encode("ascii", "replace").decode() if ascii_only else SHOWN
        assert f"of {wanted} over {wanted}" in host.text()[0]
        assert wanted in host.text()[1]  # the legend
        assert wanted in host.text()[-1]
        assert not {"\x1b", "\u202e", "\x07"} & set(whole)
        assert not ascii_only or whole.isascii()

    on_screen(steps, ascii_only=ascii_only, size=(140, 24))


def test_a_click_sets_the_cursor_and_the_wheel_zooms_around_the_mouse() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run(evaluations=()))
        await pilot.pause()
        chart, left = host.chart, host.plot().left
        await pilot.click(chart, offset=(1 + left, 5))
        assert chart.view.cursor in (1, 2)
        await pilot.click(chart, offset=(80, 5))
        assert chart.view.cursor in (99, 100)
        await pilot._post_mouse_events([events_of("up")], chart, offset=(1 + left, 5))
        assert chart.view.zoom == (1, 50)
        await pilot._post_mouse_events([events_of("down")], chart, offset=(1 + left, 5))
        assert chart.view.zoom is None

    on_screen(steps)


def events_of(direction: str) -> type:
    return events.MouseScrollUp if direction == "up" else events.MouseScrollDown


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (None, "No iteration is selected"),
        (a_run(metrics=(), evaluations=(), is_live=True), "No loss yet"),
        (a_run(metrics=(), evaluations=()), "this run logged no step"),
        (a_run(key="support-intents/0"), "The base model is not trained"),
    ],
)
def test_an_empty_chart_says_what_will_be_here(run: ChartRun | None, told: str) -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(run)
        for action in ("cursor_left", "zoom_in", "zoom_out", "next_metric", "toggle_log"):
            getattr(host.chart, f"action_{action}")()
        await pilot.pause()
        assert told in "\n".join(host.text())

    on_screen(steps)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "ansi-light"])
def test_every_theme_and_every_size_can_draw_it(theme: str) -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.theme = theme
        host.chart.show(a_run(), (a_run(key="support-intents/2"),))
        for size in ((160, 48), (40, 10), (12, 4), (3, 3), (1, 1), (80, 24)):
            await pilot.resize_terminal(*size)
            ends = time.monotonic() + PATIENCE_SECONDS
            while len(host.text()) != size[1]:
                assert time.monotonic() < ends, size
                await pilot.pause()
        assert any("eval ● 3" in line for line in host.text())

    on_screen(steps)


def test_points_at_or_below_zero_are_counted_beside_a_log_chart() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run(metrics=points([1.0, 0.0, -1.0, 0.1]), evaluations=()))
        host.chart.action_toggle_log()
        await pilot.pause()
        assert "log scale hides 2 values at or below 0" in host.text()[-1]

    on_screen(steps)


def overlays(*numbers: int) -> list[ChartRun]:
    return [
        a_run(100 + number, key=f"support-intents/{number}", metrics=points([float(number)] * 100))
        for number in numbers
    ]


def test_the_legend_has_every_run_and_with_a_cursor_its_value_there() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run(), overlays(1, 2))
        await pilot.pause()
        legend = "train ── 3  ╌╌ 1  ┈┈ 2  eval ● 3  ○ 1  ◇ 2"
        assert host.text()[1].strip("│ ") == legend
        host.chart.action_cursor_left()
        for _ in range(3):
            host.chart.action_cursor_far_left()
        await pilot.pause()
        cursor = host.chart.view.cursor
        assert cursor is not None
        assert cursor < 70
        shown = " ".join(" ".join(host.text()[1:3]).replace("│", " ").split())
        assert f"train ── 3: {3.0 / cursor:.3f} ╌╌ 1: 1.000 ┈┈ 2: 2.000" in shown
        assert "eval ● 3: 1.204 at 50 ○ 1: 1.204 at 50 ◇ 2: 1.204 at 51" in shown

    on_screen(steps)


def test_the_curves_do_not_move_when_the_cursor_brings_values_into_the_legend() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run(), overlays(1, 2, 4, 5, 6))
        await pilot.pause()
        before = host.plot()
        host.chart.action_cursor_left()
        await pilot.pause()
        drawn = {"train", "axis", *(f"overlay-{style}" for style in range(1, 5))}
        moved = [
            (old, new)
            for row, other in list(zip(before.rows, host.plot().rows, strict=True))[4:]
            for old, new in zip(row, other, strict=True)
            if old != new and old[1] in drawn and new[1] != "cursor"
        ]
        assert host.plot() is not before
        assert moved == []

    on_screen(steps)


def test_each_run_shows_the_value_of_its_own_nearest_point() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        sparse = [Point(step, None, {"loss": step / 10}, 0.0) for step in (1, 40, 80)]
        host.chart.show(a_run(), (a_run(key="x/1", metrics=sparse, evaluations=()),))
        host.chart.show_step("support-intents/3", 55)
        await pilot.pause()
        assert "╌╌ 1: 4.000 at 40" in host.text()[1]

    on_screen(steps)


def timed(count: int = 100, **more: object) -> ChartRun:
    metrics = [
        Point(n, n / 50, {"loss": 3.0 / n, "num_tokens": 1000.0 * n}, 500.0 + 30 * (n - 1))
        for n in range(1, count + 1)
    ]
    return a_run(metrics=metrics, evaluations=(), **more)


def test_the_x_axis_is_each_that_the_run_has_in_turn() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(timed())
        host.chart.action_cursor_left()
        seen = []
        for _ in range(5):
            await pilot.pause()
            seen.append((host.text()[0].split("·")[1].strip(), host.text()[-2].split()[-2]))
            assert host.chart.view.cursor == 100
            host.chart.action_next_x_axis()
        assert [name for name, _ in seen] == ["x step", "x epoch", "x tokens", "x time", "x step"]
        assert [last for _, last in seen] == ["80", "1.5", "80k", "40:00", "80"]

    on_screen(steps)


def test_a_run_without_times_has_no_time_axis_and_falls_back_to_steps() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(timed())
        for _ in range(3):
            host.chart.action_next_x_axis()
        assert host.chart.axis == "time"
        host.chart.show(a_run(key="support-intents/4"))
        await pilot.pause()
        assert "x step" in host.text()[0]
        host.chart.show(timed())
        assert host.chart.axis == "time"

    on_screen(steps)


def test_zoom_and_cursor_are_on_the_same_points_on_another_axis() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(timed())
        await pilot.pause()
        host.chart.action_zoom_in()
        host.chart.action_cursor_left()
        assert host.chart.view.zoom == (51, 100)
        for _ in range(3):
            host.chart.action_next_x_axis()
        assert host.chart.view.zoom == (1_500_000, 2_970_000)
        await pilot.pause()
        assert "time 25:00 to 49:30" in host.text()[0]
        assert "step 100  time 49:30  loss 0.030" in host.text()[-1]

    on_screen(steps)


def test_the_first_steps_do_not_flatten_the_rest_unless_all_values_are_asked_for() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        values = [50.0, 40.0, 30.0] + [1.0 + step % 5 / 10 for step in range(97)]
        host.chart.show(a_run(metrics=points(values), evaluations=()))
        await pilot.pause()
        assert "3 above" in host.text()[1]
        assert any("▲" in line for line in host.text())
        host.chart.action_toggle_clip()
        await pilot.pause()
        assert "above" not in host.text()[1]
        assert any(line.startswith("│50┤") for line in host.text())

    on_screen(steps)


def test_values_are_zoomed_around_the_cursor_and_esc_leaves_step_by_step() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        chart = host.chart
        chart.show(a_run())
        await pilot.pause()
        chart.action_zoom_in()
        chart.action_zoom_in_y()
        chart.action_cursor_left()
        await pilot.pause()
        assert chart.view.y is not None
        assert chart.view.y[0] <= 0.03 <= chart.view.y[1]
        assert chart.leave_view()
        assert (chart.view.cursor, chart.view.zoom) == (None, (51, 100))
        assert chart.leave_view()
        assert (chart.view.zoom, chart.view.y) == (None, None)
        assert not chart.leave_view()

    on_screen(steps)


def test_new_points_of_any_kind_move_no_zoomed_view() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics, evaluations, over = points([2.0, 1.0] * 50), list[Point](), points([1.5] * 60)
        run = a_run(metrics=metrics, evaluations=evaluations)
        other = a_run(key="x/1", metrics=over, evaluations=())
        host.chart.show(run, (other,))
        await pilot.pause()
        host.chart.action_zoom_in()
        host.chart.action_cursor_left()
        await pilot.pause()
        axes = [line[:6] for line in host.text()[2:-1]] + host.text()[-2:-1]
        cursor = host.chart.view.cursor
        metrics.extend(points([9.0] * 50, first=101))
        evaluations.append(Point(80, None, {"eval_loss": 30.0}, 0.0))
        over.extend(points([-7.0] * 40, first=61))
        host.chart.show(run, (other,))
        await pilot.pause()
        assert [line[:6] for line in host.text()[2:-1]] + host.text()[-2:-1] == axes
        assert host.chart.view.cursor == cursor
        assert "1 above, 40 below" in " ".join(host.text()[1:3])

    on_screen(steps)


def test_only_noisy_metrics_say_how_they_are_smoothed() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(a_run())
        for metric, is_smoothed in (("loss", True), ("grad_norm", True), ("learning_rate", False)):
            host.chart.choose(metric)
            await pilot.pause()
            assert ("smooth 0.6" in host.text()[0]) is is_smoothed
        host.chart.show(a_run(system=[Point(1, None, {"cpu_percent": 1.0}, 0.0)]))
        host.chart.choose("cpu_percent")
        await pilot.pause()
        assert "3 CPU use of 3 · x step ─" in host.text()[0]

    on_screen(steps)


def test_a_live_run_is_drawn_at_most_once_a_second_and_its_last_points_in_time() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        metrics = points([1.0])
        run = a_run(metrics=metrics, evaluations=(), is_live=True)
        host.chart.show(run)
        await pilot.pause()
        before = host.chart.refreshes
        for step in range(2, 50):
            metrics.extend(points([1.0 / step], first=step))
            host.chart.show(run)
        assert host.chart.refreshes == before
        assert host.chart._later is not None
        host.chart._later.stop()
        host.chart._redraw_later()
        assert host.chart.refreshes > before
        await pilot.pause()
        assert "train 0.020" in host.text()[-1]
        host.chart.show(a_run(key="x/9", is_live=True))
        await pilot.pause()
        assert "Loss of 9" in host.text()[0]  # another run does not wait

    on_screen(steps)


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize(
    "run",
    [
        a_run(metrics=(), evaluations=()),
        a_run(metrics=points([1.0]), evaluations=()),
        a_run(metrics=points([math.nan, math.inf, -math.inf])),
        a_run(metrics=(), evaluations=(), system=[Point(0, None, {"cpu_percent": 5.0}, 1.0)]),
        a_run(metrics=[*points([1.0, 2.0, 3.0]), *points([9.0, 8.0], first=2)]),
    ],
    ids=["empty", "one point", "not finite", "system alone", "two attempts"],
)
def test_every_action_works_on_any_run(run: ChartRun, ascii_only: bool) -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(run, (msgspec.structs.replace(run, key="x/1", label=HOSTILE),))
        names = [name for name in dir(host.chart) if name.startswith("action_")]
        ours = [name for name in names if name in dir(ChartActions)]
        assert len(ours) == 16
        for name in [*ours, *reversed(ours)]:
            getattr(host.chart, name)()
            await pilot.pause()
            assert not ascii_only or "".join(host.text()).isascii()
        host.chart.leave_view()

    on_screen(steps, ascii_only=ascii_only, size=(60, 16))


def test_a_run_over_it_that_lacks_the_x_axis_is_named_without_a_curve() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.chart.show(timed(), (a_run(key="x/1", evaluations=()),))
        host.chart.set_axis("tokens")
        await pilot.pause()
        assert "train ── 3  ╌╌ 1 has no tokens" in host.text()[1]
        assert not [1 for row in host.plot().rows[2:] for _, role in row if role == "overlay-1"]

    on_screen(steps)
