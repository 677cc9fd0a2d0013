"""A list whose rows have several lines."""

from __future__ import annotations

import asyncio

import pytest
from textual.app import App, ComposeResult

from tests.tui.conftest import screen_text
from tui_loop.tui.themes import THEMES, VARIABLES
from tui_loop.tui.widgets.row_list import Cell, WrappedList, side_by_side

TEXTS = ["short", "one two three four five six seven eight", "", "last of all, and long enough"]


class Rows(WrappedList):
    @property
    def count(self) -> int:
        return len(TEXTS)

    def cells(self, index: int, width: int) -> list[Cell]:
        return [([self.pointer(index)], 2), ([(TEXTS[index], "")], width - 2)]


class RowsApp(App[None]):
    def compose(self) -> ComposeResult:
        yield Rows("rows")

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return VARIABLES

    def on_mount(self) -> None:
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = "dark"


def shown(app: App[None]) -> list[str]:
    return [line.rstrip(" ▁▂▃▄▅▆▇█") for line in screen_text(app)]


def test_cells_wrap_side_by_side_in_their_own_columns() -> None:
    lines = side_by_side([([("a b c", "")], 3), ([("x", "good")], 2), ([("long words", "")], 5)])
    assert ["".join(text for text, _ in line) for line in lines] == ["a bx long ", "c    words"]


@pytest.mark.parametrize("height", [12, 4, 2])
def test_the_cursor_goes_by_rows_and_all_lines_of_its_row_are_in_view(height: int) -> None:
    async def main() -> None:
        app = RowsApp()
        async with app.run_test(size=(20, height)) as pilot:
            rows = app.query_one(Rows)
            await pilot.pause()
            assert shown(app)[0] == "▸ short"
            await pilot.press("down")
            seen = shown(app)
            assert rows.cursor == 1
            at = next(at for at, line in enumerate(seen) if line.startswith("▸ one two three"))
            if height > 2:
                words = " ".join(" ".join(seen[at : at + 3]).split())
                assert words.startswith("▸ one two three four five six seven eight")
            await pilot.press("end")
            assert rows.cursor == 3
            assert "▸ last of all, and" in shown(app)
            assert "  long enough" in shown(app)
            await pilot.press("home")
            assert shown(app)[0] == "▸ short"

    asyncio.run(main())


def test_a_click_on_any_line_of_a_row_selects_it() -> None:
    async def main() -> None:
        app = RowsApp()
        async with app.run_test(size=(20, 12)) as pilot:
            await pilot.pause()
            await pilot.click("#rows", offset=(4, 3))
            assert app.query_one(Rows).cursor == 1
            assert list(app.query_one(Rows).visible_rows()) == [0, 1, 2, 3]

    asyncio.run(main())
