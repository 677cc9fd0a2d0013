"""The pane of charts: list of metrics, grid of small charts, and settings that are remembered."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable

import msgspec
import pytest
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from tests.tui.chart.test_widget import HOSTILE, SHOWN
from tests.tui.conftest import screen_text
from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.record.points import Point
from tui_loop.tui.chart.curves import ChartRun
from tui_loop.tui.chart.pane import ChartPane
from tui_loop.tui.chart.view import ChartView, view_from
from tui_loop.tui.themes import VARIABLES

Steps = Callable[["Host", Pilot[None]], Awaitable[None]]

WIDE, NARROW = (140, 40), (80, 24)


class Host(App[None]):
    def __init__(self, *, ascii_only: bool) -> None:
        super().__init__()
        self.pane = ChartPane(ascii_only=ascii_only)
        self.remembered: list[ChartView] = []

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def compose(self) -> ComposeResult:
        yield self.pane

    def on_chart_pane_view_changed(self, event: ChartPane.ViewChanged) -> None:
        self.remembered.append(event.view)

    @property
    def text(self) -> str:
        return "\n".join(screen_text(self))

    async def settle(self, pilot: Pilot[None]) -> None:
        """Waits until everything in sight is drawn."""
        ends = time.monotonic() + PATIENCE_SECONDS
        await pilot.pause()
        while self.pane.list._turn or (self.pane.is_grid and not self.pane.grid.is_complete):
            assert time.monotonic() < ends, self.text
            await pilot.pause()
        await pilot.pause()


def on_pane(steps: Steps, *, size: tuple[int, int] = WIDE, ascii_only: bool = False) -> None:
    async def main() -> None:
        host = Host(ascii_only=ascii_only)
        async with host.run_test(size=size) as pilot:
            host.pane.main.focus()
            await pilot.pause()
            await steps(host, pilot)

    asyncio.run(main())


def a_run(count: int = 60, number: int = 3, **more: object) -> ChartRun:
    metrics = [
        Point(n, None, {"loss": 3.0 / n, "grad_norm": 0.82, "learning_rate": 1e-4 * n}, 10.0 * n)
        for n in range(1, count + 1)
    ]
    given: dict[str, object] = {
        "label": str(number),
        "metrics": metrics,
        "evaluations": [Point(count // 2, None, {"eval_loss": 1.204, "score": 0.71}, 900.0)],
        "system": [Point(n, None, {"cpu_percent": 40.0 + n}, 10.0 * n) for n in range(1, 30)],
        **more,
    }
    return ChartRun(key=f"loop/{number}", **given)  # type: ignore[arg-type]


def test_the_list_has_every_metric_with_its_latest_value_and_its_course() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        await host.settle(pilot)
        rows = [line[-40:].strip("│ ").split() for line in host.text.split("\n")[1:8]]
        assert [row[:-1] for row in rows] == [
            ["▸", "loss", "0.050"],
            ["eval", "loss", "1.204"],
            ["score", "71%"],
            ["grad", "norm", "0.820"],
            ["learning", "rate", "6e-3"],
            [],
            ["CPU", "use", "69%"],
        ]
        assert rows[5] == ["system"]
        assert rows[0][-1] == "█▇▅▃▂▁"
        assert rows[4][-1] == "▁▂▄▅▇█"

    on_pane(steps)


def test_moving_in_the_list_draws_the_metric_and_the_list_follows_the_chart() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        await host.settle(pilot)
        await pilot.press("down")
        await host.settle(pilot)
        assert "Eval loss of 3" in host.text
        await pilot.press("v")
        await host.settle(pilot)
        assert "Score of 3" in host.text
        assert host.pane.list.metric == "score"
        for _ in range(3):
            await pilot.press("j")
        await host.settle(pilot)
        assert "CPU use of 3" in host.text  # past the heading of its group
        host.pane.list.focus()
        await pilot.press("up", "enter")
        await host.settle(pilot)
        assert "Learning rate of 3" in host.text
        assert host.focused is host.pane.chart

    on_pane(steps)


def test_a_narrow_pane_has_the_list_only_when_it_is_asked_for() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        await host.settle(pilot)
        assert "Metrics" not in host.text
        host.pane.action_toggle_list()
        await host.settle(pilot)
        assert "Metrics" in host.text
        assert host.pane.chart.size.width == host.pane.list.outer_size.width - 2
        await pilot.resize_terminal(*WIDE)
        await host.settle(pilot)
        assert host.pane.chart.size.width < 100
        host.pane.action_toggle_list()
        await host.settle(pilot)
        assert "Metrics" not in host.text

    on_pane(steps, size=NARROW)


def test_the_grid_has_a_small_chart_of_every_metric() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run(), (a_run(40, 1),))
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        assert "3 Metrics of 3 over 1 · x step · smooth 0.6" in host.text
        assert "── 3 ●  ╌╌ 1 ○" in host.text
        headings = [line for line in host.text.split("\n") if " ─" in line and "╭" not in line]
        assert [heading.split() for heading in headings[0].strip("│").split("─") if heading.strip()]
        for each in (
            "loss ─",
            "eval loss ─",
            "score ─",
            "grad norm ─",
            "learning rate ─",
            "CPU use ─",
        ):
            assert each in host.text
        for value in (" 0.050", " 1.204", " 71%", " 69%"):
            assert f"─{value}" in host.text
        assert "│0.05┤" in host.text.replace(" ", "")  # the smallest value, beside its chart
        assert host.pane.grid.columns == 4

    on_pane(steps)


@pytest.mark.parametrize(
    ("size", "columns"), [((160, 48), 5), ((100, 30), 3), (NARROW, 2), ((40, 12), 1)]
)
def test_charts_of_thirty_by_seven_cells_fit_and_the_rest_is_scrolled_to(
    size: tuple[int, int], columns: int
) -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        grid = host.pane.grid
        assert grid.columns == columns
        assert grid._width >= 30
        assert grid._height >= 7
        for _ in range(9):
            await pilot.press("down")
        assert grid._index() // columns == 5 // columns  # the last row
        await pilot.press("end")
        await host.settle(pilot)
        assert "▸ CPU use ─" in host.text
        assert "6 of 6" in host.text

    on_pane(steps, size=size)


def test_the_cursor_of_the_grid_picks_a_chart_and_enter_opens_it_large() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        assert host.focused is host.pane.grid
        picked = []
        for key in ("right", "l", "left", "down", "up", "shift+left"):
            await pilot.press(key)
            picked.append(host.pane.chart.metric)
        expected = ["eval_loss", "score", "eval_loss", "cpu_percent", "eval_loss", "loss"]
        assert picked == expected
        await pilot.press("right", "enter")
        await host.settle(pilot)
        assert "Eval loss of 3" in host.text
        assert host.focused is host.pane.chart
        assert host.pane.leave_view()  # back to where it was opened from
        assert host.pane.is_grid
        assert not host.pane.leave_view()

    on_pane(steps)


def test_a_click_picks_a_metric_and_a_second_one_in_the_grid_opens_it() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        await host.settle(pilot)
        assert await pilot.click(host.pane.list, offset=(5, 3))
        await host.settle(pilot)
        assert host.pane.chart.metric == "score"
        await pilot.click(host.pane.list, offset=(5, 6))  # the heading of a group
        assert host.pane.chart.metric == "score"
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        grid = host.pane.grid
        for index, name in ((1, "eval_loss"), (5, "cpu_percent"), (3, "grad_norm")):
            row, column = divmod(index, grid.columns)
            spot = (1 + column * (grid._width + 1), 2 + row * grid._height)
            assert await pilot.click(grid, offset=spot)
            assert host.pane.chart.metric == name
            await host.settle(pilot)
        assert host.pane.is_grid
        await pilot.click(grid, offset=spot, times=2)
        await host.settle(pilot)
        assert "Grad norm of 3" in host.text

    on_pane(steps)


def test_only_charts_whose_data_size_or_view_changed_are_drawn_again() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        run = a_run(system=[])
        host.pane.show(run)
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        grid = host.pane.grid
        assert grid.drawings == 5
        host.pane.show(run)
        await pilot.press("right", "right")
        await host.settle(pilot)
        assert grid.drawings == 5
        assert isinstance(run.evaluations, list)
        run.evaluations.append(Point(40, None, {"score": 0.8}, 950.0))
        host.pane.show(run)
        await host.settle(pilot)
        assert grid.drawings == 6
        host.pane.action_toggle_log()
        await host.settle(pilot)
        assert grid.drawings == 11
        await pilot.resize_terminal(100, 30)
        await host.settle(pilot)
        assert grid.drawings == 16

    on_pane(steps)


def test_a_hidden_pane_draws_no_small_chart_until_it_is_shown() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        run = a_run()
        host.pane.show(run)
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        drawn = host.pane.grid.drawings
        host.pane.display = False
        host.pane.show(a_run(30, 4))
        for _ in range(5):
            await pilot.pause()
        assert host.pane.grid.drawings == drawn
        host.pane.display = True
        await host.settle(pilot)
        assert host.pane.grid.drawings == drawn + 6

    on_pane(steps)


def test_settings_of_a_loop_are_posted_once_and_restored_without_a_message() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        pane = host.pane
        pane.show(a_run())
        await host.settle(pilot)
        assert host.remembered == []
        pane.chart.action_cursor_left()
        pane.chart.action_zoom_in()
        await host.settle(pilot)
        assert host.remembered == []  # they belong to the run
        pane.action_toggle_log()
        await host.settle(pilot)
        pane.action_toggle_grid()
        await host.settle(pilot)
        assert [view.log for view in host.remembered] == [True, True]
        assert [view.layout for view in host.remembered] == ["auto", "grid"]
        stored = host.remembered[-1].to_json()
        host.remembered.clear()
        pane.restore(ChartView())
        await host.settle(pilot)
        assert not pane.view.log
        assert not pane.is_grid
        pane.restore(view_from({**stored, "metric": "learning_rate", "x": "time"}))
        await host.settle(pilot)
        assert pane.is_grid
        assert pane.view.log
        assert pane.chart.metric == "learning_rate"
        assert "x time" in host.text
        assert pane.view.cursor is not None
        assert host.remembered == []

    on_pane(steps)


def test_a_step_that_a_diagnosis_names_is_shown_large() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.show(a_run())
        host.pane.action_toggle_grid()
        await host.settle(pilot)
        host.pane.show_step("loop/3", 17)
        await host.settle(pilot)
        assert not host.pane.is_grid
        assert "step 17 " in host.text

    on_pane(steps)


def test_a_long_run_is_taken_over_in_pieces_and_drawn_whole_in_the_end() -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        host.pane.restore(ChartView(layout="grid"))
        host.pane.show(a_run(50_000))
        assert host.pane.chart.runs.is_behind
        assert not host.pane.grid.is_complete
        ends = time.monotonic() + PATIENCE_SECONDS
        while host.pane.chart.runs.is_behind or not host.pane.grid.is_complete:
            assert time.monotonic() < ends
            await pilot.pause()
        await pilot.pause()
        assert len(host.pane.chart.runs.run.train) == 50_000
        assert "5.000 " in host.text  # the learning rate at the last step

    on_pane(steps)


RUNS = {
    "nothing": None,
    "empty": a_run(metrics=[], evaluations=[], system=[]),
    "one point": a_run(1, system=[]),
    "hostile": a_run(
        label=HOSTILE,
        metrics=[Point(1, None, {HOSTILE: 1.0, "": math.nan, "loss": -math.inf}, math.nan)] * 2,
        evaluations=[Point(1, None, {f"eval_{HOSTILE}": 1e308}, math.inf)],
        system=[Point(0, math.nan, {"gpu0.util_percent": -1e308, "gpu9999.x_c": 5e-324}, 0.0)],
    ),
}


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("name", RUNS)
def test_any_run_can_be_shown_in_every_layout_and_size(name: str, ascii_only: bool) -> None:
    async def steps(host: Host, pilot: Pilot[None]) -> None:
        pane, run = host.pane, RUNS[name]
        pane.show(run, [msgspec.structs.replace(run, key="x/1")] if run else [])
        for size in (WIDE, (60, 14), (9, 5), (2, 2), NARROW):
            await pilot.resize_terminal(*size)
            for action in (
                pane.action_toggle_list,
                pane.action_toggle_grid,
                pane.action_toggle_grid,
            ):
                action()
                await host.settle(pilot)
                for key in ("down", "right", "enter", "up", "pagedown", "end"):
                    await pilot.press(key)
                if pane.is_grid is False and pane.size.width > 50:
                    pane.chart.choose(HOSTILE)
                text = host.text
                assert not {"\x1b", "\u202e", "\x07"} & set(text)
                ours = text.translate(str.maketrans("", "", "╭╮╰╯│─▸…"))
                assert not ascii_only or name == "hostile" or ours.isascii(), text
        pane.restore(ChartView(layout="grid"))
        await pilot.resize_terminal(*WIDE)
        await host.settle(pilot)
        if name == "hostile" and not ascii_only:
            assert SHOWN in host.text

    on_pane(steps, ascii_only=ascii_only)
