"""The list of iterations: its columns, its orders, its filter, and what it says of each."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from tests.tui.conftest import OpenApp, Opened, on_app, scripted_iteration
from tui_loop.core.compare.iteration_order import IterationOrder
from tui_loop.core.compare.iteration_query import parse_query
from tui_loop.core.record.folders import LoopFolder
from tui_loop.tui.cells import fit
from tui_loop.tui.widgets.iteration_columns import (
    COLUMNS,
    ColumnsScreen,
    IterationChoice,
    choice_of,
    fitting,
    whole_number,
)
from tui_loop.tui.widgets.iterations import DRAFT, IterationsPane, IterationTable

SMALL, MIDDLE, WIDE = (80, 24), (100, 30), (160, 48)


def listed(opened: Opened) -> list[Any]:
    table = opened.get(IterationTable)
    return [table.key_of(index) for index in range(table.count)]


def shown(opened: Opened, number: int) -> str:
    """The row of an iteration on the screen."""
    rows = (line.strip("│ ▸") for line in opened.lines)
    return next(row for row in rows if re.match(rf"{number}[ m]", row))


def choose(opened: Opened, **more: Any) -> None:
    pane = opened.get(IterationsPane)
    pane.choose(msgspec.structs.replace(pane.choice, **more))


def test_a_choice_survives_as_plain_json_and_broken_parts_are_left_out() -> None:
    choice = IterationChoice(("lr", "why"), IterationOrder.TIME, True, parse_query("is:best"))
    assert choice_of(choice.plain) == choice
    broken = {"columns": ["why", 3, "gone", "lr"], "order": "size", "filter": "scroe>7"}
    assert choice_of(broken) == IterationChoice(("lr", "why"))
    for nothing in (None, [], "x", {"columns": "lr", "order": 3, "is_reversed": "yes"}):
        assert choice_of(nothing) == IterationChoice()


def test_columns_have_a_fixed_order_and_that_of_the_order_is_always_there() -> None:
    choice = IterationChoice().with_column("why", True).with_column("lr", True)
    assert choice.columns == ("lr", "why")
    by_time = msgspec.structs.replace(choice, order=IterationOrder.TIME)
    assert [each.name for each in by_time.shown] == ["lr", "time", "why"]
    assert choice.with_column("why", False).columns == ("lr",)


def test_a_column_that_does_not_fit_goes_as_a_whole_the_sorted_one_last() -> None:
    names = [each.name for each in COLUMNS]
    for room in range(120):
        found = fitting(COLUMNS, room, IterationOrder.NUMBER)
        assert [each.name for each in found] == names[: len(found)]
        assert sum(each.width for each in found) <= room
    assert [each.name for each in fitting(COLUMNS, 8, IterationOrder.TIME)] == ["time"]
    assert [each.name for each in fitting(COLUMNS, 18, IterationOrder.TIME)] == [
        "train loss",
        "time",
    ]


@pytest.mark.parametrize(
    ("text", "width", "seen"),
    [
        ("learning_rate 1e-4 → 1e-3", 22, "learning_rate 1e-4 → …"),
        ("learning_rate 1e-4 → 1e-3", 30, "learning_rate 1e-4 → 1e-3     "),
        ("learning_rate 1e-4", 10, "learning_…"),
        ("r 8 → 16", 8, "r 8 → 16"),
    ],
)
def test_a_long_title_is_cut_between_words(text: str, width: int, seen: str) -> None:
    assert fit(text, width) == seen


def test_a_number_that_is_too_wide_has_fewer_digits_and_is_never_cut() -> None:
    assert whole_number("1.204", 1.204, 8) == "1.204"
    assert whole_number("12345678.901", 12345678.901, 8) == "1.23e7"


@pytest.mark.parametrize("size", [SMALL, MIDDLE, WIDE])
def test_columns_are_chosen_and_no_number_is_cut(size: tuple[int, int], open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("1", "z", "g C")
        screen = opened.app.screen
        assert isinstance(screen, ColumnsScreen)
        for column in COLUMNS:
            await opened.press("space", "down")
            assert column.name in opened.get(IterationsPane).choice.columns
        await opened.press("escape")
        assert opened.app.screen is opened.bench
        head = next(line for line in opened.lines if "change" in line)
        heads = [each.head for each in COLUMNS if f" {each.head} " in f"{head.rstrip('│')} "]
        assert heads == [each.head for each in COLUMNS][: len(heads)]
        assert len(heads) >= {80: 1, 100: 2, 160: 7}[size[0]]
        row = shown(opened, 2)
        assert "…" not in row.partition("num_train_epochs")[2].partition("better")[0][14:]
        if size == WIDE:
            assert "5e-3" in row
            assert "12,000" in row

    on_app(open_app(size=size, number=2), steps)


def test_sorting_keeps_the_cursor_on_its_iteration_and_the_draft_last(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        assert listed(opened) == [0, 1, 2, 3, DRAFT]
        await opened.press("o")
        await opened.shows("by score", "score↓")
        assert listed(opened) == [2, 1, 0, 3, DRAFT]
        assert opened.bench.state.selected == 2
        await opened.press("g v")
        await opened.shows("by score, reversed", "score↑")
        assert listed(opened) == [0, 1, 2, 3, DRAFT]
        await opened.press("o")
        await opened.shows("by eval loss, reversed")
        assert listed(opened)[0] == 0
        assert opened.bench.state.selected == 2
        await opened.press("o")
        await opened.shows("by lr, reversed", "lr↓")
        assert "└" not in opened.text_in("#iteration-table")

    on_app(open_app(size=SMALL, number=2), steps)


def test_a_filter_lists_some_and_its_faults_are_told(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("f")
        await opened.type("state:fialed")
        await opened.press("enter")
        await opened.shows("no such state, did you mean failed?")
        assert opened.get(IterationsPane).field.is_open
        await opened.type("state:failed")
        await opened.press("enter")
        await opened.shows("1 of 4 · state:failed")
        assert listed(opened) == [3, DRAFT]
        assert opened.bench.state.selected == 3, "what is selected is what is listed"
        await opened.press("f")
        await opened.type("score>40 is:finished")
        await opened.press("enter")
        assert listed(opened) == [1, 2, DRAFT]
        opened.bench.select(3)
        await opened.looks(2)
        assert listed(opened) == [1, 2, 3, DRAFT], "what is selected elsewhere is listed, too"
        await opened.press("escape")
        assert listed(opened) == [0, 1, 2, 3, DRAFT]

    on_app(open_app(size=SMALL, number=2), steps)


def test_where_nothing_passes_the_draft_is_left_and_the_cursor_comes_back(
    open_app: OpenApp,
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("f")
        await opened.type("score>99")
        await opened.until(lambda: listed(opened) == [DRAFT])
        await opened.type("score>40")
        await opened.press("enter")
        assert listed(opened) == [1, 2, DRAFT]
        await opened.until(lambda: opened.bench.state.selected == 2)

    on_app(open_app(size=SMALL, number=2), steps)


def test_words_of_changes_and_reasons_are_searched(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("home", "slash")
        await opened.type("CONVERGED")
        await opened.shows("match 1 of 1")
        assert opened.bench.state.selected == 2
        await opened.press("enter", "slash")
        await opened.type("e")
        await opened.press("enter")
        assert len(opened.get(IterationsPane).search.rows) > 2
        before = opened.bench.state.selected
        await opened.press("n")
        assert opened.bench.state.selected != before
        await opened.press("N")
        assert opened.bench.state.selected == before
        await opened.press("escape")
        await opened.hides("match")

    on_app(open_app(size=SMALL, number=2), steps)


def test_what_is_chosen_is_there_again_when_the_loop_is_opened_again(open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        choose(opened, columns=("lr",), order=IterationOrder.SCORE, query=parse_query("score>40"))
        await opened.shows("by score")
        await opened.opens_again(2)
        await opened.shows("by score", "lr", "2 of 4 · score>40")
        assert listed(opened) == [2, 1, DRAFT]

    on_app(open_app(size=SMALL, number=2), steps)


@pytest.mark.parametrize("size", [SMALL, WIDE])
def test_the_best_is_marked_and_explained(size: tuple[int, int], open_app: OpenApp) -> None:
    async def steps(opened: Opened) -> None:
        await opened.until(lambda: shown(opened, 2).startswith("2 ★"))
        assert "★" not in shown(opened, 1)
        await opened.shows(
            "★ best: score 71%, one run of this config; next best: 42% (iteration 1)"
        )
        await opened.press("m")
        await opened.until(lambda: shown(opened, 2).startswith("2m★"))
        await opened.press("enter")
        await opened.shows(
            "★ best: score 71%, one run of this config; next best: 42% (iteration 1)"
        )

    on_app(open_app(size=size, number=2), steps)


@pytest.mark.parametrize(("state", "sign"), [("stopped", "■"), ("failed", "✗"), ("dies", "✗")])
def test_an_unfinished_run_shows_its_share_and_what_it_measured(
    state: Any, sign: str, open_app: OpenApp, loop: LoopFolder
) -> None:
    run = scripted_iteration(loop).starts().steps(*[2.0] * 10).evaluates(8, 1.875).says("end")
    error = {"kind": "oom", "message": "out of memory", "hint": "smaller batches", "step": 10}
    if state == "dies":
        run.dies()
    else:
        run.ends(state, error=error if state == "failed" else None)
    word = {"dies": "interrupted"}.get(state, state)

    async def steps(opened: Opened) -> None:
        told = "oom" if state == "failed" else word
        await opened.shows(f"{sign} {told} 33%", "1.875")
        await opened.shows(f"{word} at 10 of 30 steps (33%), eval loss 1.875 at step 8")
        await opened.press("enter")
        await opened.shows(f"{word} at 10 of 30 steps (33%), eval loss 1.875 at step 8")

    on_app(open_app(size=SMALL, number=4), steps)


def test_a_rerun_is_called_identical_and_another_seed_a_replicate(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    scripted_iteration(loop).starts().ends()
    scripted_iteration(loop, "seed=7").starts().ends()

    async def steps(opened: Opened) -> None:
        await opened.shows("identical to 2", "replicate of 2, seed 7")

    on_app(open_app(size=SMALL, number=4), steps)
