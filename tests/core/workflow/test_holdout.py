"""Holdout evaluations: figures alone are stored, counted over all loops, and read if damaged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.holdout import (
    Figures,
    HoldoutEvaluation,
    HoldoutLog,
    PairedTable,
    cost_of,
    holdout_uses,
    ordinal,
    read_holdout_evaluations,
    record_holdout_evaluation,
)

MakeLook = Callable[..., HoldoutEvaluation]


def test_a_look_is_one_line_and_comes_back_as_it_was(loop: LoopFolder, look: MakeLook) -> None:
    first = record_holdout_evaluation(loop, look())
    second = record_holdout_evaluation(loop, look(iteration=2, loss="NaN", t=1_700_000_100.0))
    assert (first.use, second.use) == (1, 2)
    assert read_holdout_evaluations(loop) == HoldoutLog((first, second))
    assert read_holdout_evaluations(loop).last_by(1) == first
    assert read_holdout_evaluations(loop).last_by(3) is None
    lines = loop.holdout.read_bytes().splitlines()
    assert len(lines) == 2
    fields = set(msgspec.json.decode(lines[0]))
    assert fields == set(HoldoutEvaluation.__struct_encode_fields__)


def test_looks_are_counted_over_all_loops_by_the_file(
    loops: LoopsFolder, loop: LoopFolder, look: MakeLook
) -> None:
    other = loops.create("other", LoopSettings())
    record_holdout_evaluation(other, look(iteration=7, t=1_700_000_500.0))
    record_holdout_evaluation(loop, look(sha256="b" * 64))
    mine = record_holdout_evaluation(loop, look(iteration=4))
    assert mine.use == 2
    assert [each.name for each in holdout_uses(loops, look().sha256)] == ["intents/4", "other/7"]


def test_a_folder_that_no_longer_opens_has_used_the_holdout_all_the_same(
    loops: LoopsFolder, loop: LoopFolder, look: MakeLook
) -> None:
    other = loops.create("other", LoopSettings())
    record_holdout_evaluation(other, look(iteration=7, t=1_700_000_500.0))
    other.path.rename(loops.path / "My Loop")
    assert record_holdout_evaluation(loop, look(iteration=4)).use == 2
    assert [each.name for each in holdout_uses(loops, look().sha256)] == ["intents/4", "My Loop/7"]


def test_broken_lines_are_counted_and_hide_no_other(loop: LoopFolder, look: MakeLook) -> None:
    kept = record_holdout_evaluation(loop, look())
    with loop.holdout.open("ab") as file:
        file.write(b'{"t": 1}\nnot JSON\n\n{"half')
    again = record_holdout_evaluation(loop, look(iteration=3))
    found = read_holdout_evaluations(loop)
    assert found.evaluations == (kept, again)
    assert found.bad_lines == 3
    assert again.use == 2


@pytest.mark.parametrize(
    "odd",
    [
        {"passed": 101},
        {"passed": -1},
        {"score": 7.0},
        {"t": 1e300},
        {"t": -5.0},
        {"paired": PairedTable(0, 40_000_000, 40_000_000, 0), "rows": 80_000_000},
        {"paired": PairedTable(-1, 2, 0, 0)},
        {"eval": Figures(0.5, 10, 5)},
        {"base": Figures(-0.5, 1, 5)},
    ],
)
def test_a_line_that_no_look_can_have_written_is_a_bad_one(
    loop: LoopFolder, look: MakeLook, odd: dict[str, Any]
) -> None:
    record_holdout_evaluation(loop, look(**odd))
    assert read_holdout_evaluations(loop) == HoldoutLog((), bad_lines=1)


def test_a_link_is_not_followed(loop: LoopFolder, look: MakeLook) -> None:
    record_holdout_evaluation(loop, look())
    elsewhere = loop.path.parent.parent / "elsewhere.jsonl"
    loop.holdout.rename(elsewhere)
    loop.holdout.symlink_to(elsewhere)
    found = read_holdout_evaluations(loop)
    assert found.evaluations == ()
    assert "a link" in found.problem


def test_what_a_look_costs_is_said_and_warned_of_from_the_third_on() -> None:
    assert cost_of(1).startswith("This is the first use")
    assert "2nd use of this holdout" in cost_of(2)
    assert "data.holdout=PATH" not in cost_of(2)
    assert "data.holdout=PATH" in cost_of(3)
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 102)] == [
        *("1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "102nd")
    ]
