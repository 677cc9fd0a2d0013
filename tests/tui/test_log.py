"""The log: what is chosen in it belongs to one run, and a search hides no line."""

from __future__ import annotations

from tests.tui.conftest import OpenApp, Opened, on_app, scripted_iteration
from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.widgets.log import LogPane

SMALL = (80, 24)


def test_level_and_search_stay_with_their_run(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        pane = opened.get(LogPane)
        await opened.press("5", "f", "f", "slash")
        await opened.type("longer")
        await opened.press("enter")
        await opened.shows("match 1 of 1", "warnings")
        assert pane.list.count == 1
        await opened.goes_to(1)
        await opened.shows("5 Log of iteration 1", "step 30  loss")
        await opened.hides("warnings")
        assert pane.list.level == "all"
        assert not pane.search
        await opened.goes_to(2)
        await opened.shows("match 1 of 1", "warnings")
        assert pane.list.count == 1

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_run_that_starts_shows_all_its_lines(open_app: OpenApp, loop: LoopFolder) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("5", "f", "f")
        await opened.shows("warnings")
        run = scripted_iteration(loop).starts().steps(2.5, 2.25)
        await opened.goes_to(4)
        await opened.shows("5 Log of iteration 4", "step 2  loss 2.25", "following")
        await opened.hides("warnings")
        run.dies()

    on_app(open_app(size=SMALL, number=2), steps)


def test_matches_are_marked_with_lines_around_them(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        pane = opened.get(LogPane)
        await opened.press("5", "slash")
        await opened.type("STEP 1")
        await opened.press("enter")
        matches = pane.search.rows
        assert len(matches) == 12, "1, 10 to 19, and the evaluation at step 15"
        assert pane.list.cursor == matches[-1], "the one nearest to the newest line"
        assert not pane.list.is_following
        await opened.shows("match 12 of 12", "end follows")
        await opened.press("n")
        await opened.shows("match 1 of 12")
        line = next(line for line in opened.lines if "▸" in line)
        at = opened.lines.index(line)
        assert "step 2  loss" in opened.lines[at + 1]
        assert "step 3  loss" in opened.lines[at + 2]
        parts = pane.list.row(pane.list.cursor, 80)
        assert ("step 1", "mark") in parts
        await opened.press("N")
        await opened.shows("match 12 of 12")
        await opened.press("end")
        await opened.shows("following")

    on_app(open_app(size=SMALL, number=2), steps)
