"""Where the panes are, for every size, focus and state of a run."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from textual.geometry import Region, Size

from tui_loop.tui.workbench.layout import PANES, Mode, PaneState, mode_of, pane_regions

TERMINALS: dict[tuple[int, int], Mode] = {
    (60, 20): "one",
    (80, 24): "one",
    (99, 29): "one",
    (99, 60): "one",
    (250, 29): "one",
    (100, 30): "two",
    (120, 32): "two",
    (139, 39): "two",
    (139, 70): "two",
    (250, 39): "two",
    (140, 40): "all",
    (160, 48): "all",
    (250, 70): "all",
}
"""How many panes a terminal shows."""

BARS = {"one": 3, "two": 3, "all": 2}
"""Rows that are no pane's: the header, the tabs unless all panes are shown, the footer."""

CHANGES = (0, 1, 5, 60)
"""Rows of a config that is folded to its changes."""

STATES = [
    PaneState(focus=focus, other=other, is_live=is_live, is_zoomed=is_zoomed, config_rows=rows)
    for focus, other, is_live, is_zoomed, rows in product(
        PANES, PANES[1:], (False, True), (False, True), CHANGES
    )
]


def area_of(terminal: tuple[int, int], mode: Mode) -> Size:
    """The part of a terminal between header and footer."""
    width, height = terminal
    return Size(width, height - BARS[mode])


def shown(terminal: tuple[int, int], state: PaneState) -> tuple[Mode, Size, dict[str, Region]]:
    """The mode, the area for panes, and the panes in it."""
    mode = mode_of(Size(*terminal), is_zoomed=state.is_zoomed)
    area = area_of(terminal, mode)
    return mode, area, pane_regions(area, mode, state)


@pytest.mark.parametrize(("terminal", "mode"), TERMINALS.items())
def test_the_size_of_a_terminal_decides_how_many_panes_there_are(
    terminal: tuple[int, int], mode: Mode
) -> None:
    assert mode_of(Size(*terminal)) == mode


@pytest.mark.parametrize("terminal", TERMINALS)
def test_a_zoomed_pane_is_alone_and_has_the_whole_area(terminal: tuple[int, int]) -> None:
    for state in STATES:
        if state.is_zoomed:
            mode, area, regions = shown(terminal, state)
            assert mode == "one"
            assert regions == {state.focus: Region(0, 0, area.width, area.height)}


@pytest.mark.parametrize("terminal", TERMINALS)
def test_each_mode_shows_its_number_of_panes_and_the_focused_one_is_among_them(
    terminal: tuple[int, int],
) -> None:
    for state in STATES:
        mode, _, regions = shown(terminal, state)
        assert len(regions) == {"one": 1, "two": 2, "all": len(PANES)}[mode], state
        assert set(regions) <= set(PANES)
        assert state.focus in regions, state
        assert mode == "one" or "iterations" in regions, state


@pytest.mark.parametrize("terminal", TERMINALS)
def test_panes_cover_the_area_exactly_and_never_overlap(terminal: tuple[int, int]) -> None:
    for state in STATES:
        _, area, regions = shown(terminal, state)
        whole = Region(0, 0, area.width, area.height)
        for name, region in regions.items():
            assert region.area > 0, (name, state)
            assert whole.contains_region(region), (name, state)
        for (one, first), (other, second) in combinations(regions.items(), 2):
            assert not first.overlaps(second), (one, other, state)
        assert sum(region.area for region in regions.values()) == whole.area, state


@pytest.mark.parametrize("terminal", [each for each, mode in TERMINALS.items() if mode == "all"])
def test_where_all_panes_are_shown_each_has_room(terminal: tuple[int, int]) -> None:
    for state in STATES:
        if not state.is_zoomed:
            for name, region in shown(terminal, state)[2].items():
                assert region.height >= 5, (name, region, state)
                assert region.width >= 30, (name, region, state)


@pytest.mark.parametrize("terminal", [each for each, mode in TERMINALS.items() if mode == "two"])
def test_of_two_panes_each_has_at_least_36_columns(terminal: tuple[int, int]) -> None:
    for state in STATES:
        if not state.is_zoomed:
            for name, region in shown(terminal, state)[2].items():
                assert region.width >= 36, (name, region, state)


@pytest.mark.parametrize("terminal", [each for each, mode in TERMINALS.items() if mode == "all"])
def test_the_chart_of_a_live_run_has_a_third_of_the_area_and_more(
    terminal: tuple[int, int],
) -> None:
    for state in STATES:
        if state.is_live and not state.is_zoomed:
            _, area, regions = shown(terminal, state)
            share = regions["chart"].area / (area.width * area.height)
            assert share >= 0.35, f"{share:.0%} of {terminal} in {state}"


def test_the_iterations_keep_the_pane_beside_them_when_they_get_the_keys() -> None:
    area = Size(120, 29)
    assert set(pane_regions(area, "two", PaneState("iterations", other="failures"))) == {
        "iterations",
        "failures",
    }
    assert set(pane_regions(area, "two", PaneState("log", other="failures"))) == {
        "iterations",
        "log",
    }


@pytest.mark.parametrize("is_live", [False, True])
@pytest.mark.parametrize("focus", PANES)
def test_a_pane_is_never_smaller_with_the_keys_than_without(focus: str, is_live: bool) -> None:
    for terminal in ((140, 40), (160, 48), (250, 70)):
        area = area_of(terminal, "all")
        focused = pane_regions(area, "all", PaneState(focus, is_live=is_live, config_rows=3))
        for other in PANES:
            state = PaneState(other, is_live=is_live, config_rows=3)
            assert focused[focus].area >= pane_regions(area, "all", state)[focus].area, other


@pytest.mark.parametrize("height", [38, 46, 68])
def test_an_idle_config_is_as_high_as_its_changes_need(height: int) -> None:
    def rows(changes: int) -> int:
        state = PaneState("iterations", config_rows=changes)
        return pane_regions(Size(160, height), "all", state)["config"].height

    assert rows(0) == 6
    assert rows(6) == 8
    log = pane_regions(Size(160, height), "all", PaneState())["log"].height
    assert rows(60) == (height - log) // 2
