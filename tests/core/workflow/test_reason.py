"""The reason for an iteration is edited after its run; the record keeps the first one."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.workflow.reason import edit_reason


@pytest.fixture
def folder(loop: LoopFolder, finished: MakeFinished) -> IterationFolder:
    """Iteration 1 of a loop, with a reason, after the base."""
    finished([0, 0], base=True)
    folder = finished([1, 0], "learning_rate=1e-3", why="is it too slow?")
    write_ledger(loop)
    return folder


def reasons_in_ledger(loop: LoopFolder) -> list[str]:
    with loop.ledger.open(newline="") as file:
        return [row["why"] for row in csv.DictReader(file)]


def contents(loop: LoopFolder) -> dict[Path, tuple[bytes, int]]:
    """The bytes of every file of a loop, and when each was written."""
    files = (path for path in loop.path.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_summary_and_ledger_repeat_the_edited_reason(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    before, summary = folder.read_decision(), folder.read_summary()
    base = loop.iteration(0).read_decision()
    assert summary is not None
    edited = edit_reason(loop, 1, "  a higher rate learns faster\n")
    assert edited.why == "a higher rate learns faster"
    assert folder.read_decision() == edited
    assert (edited.changes, edited.parent) == (before.changes, before.parent)
    after = folder.read_summary()
    assert after is not None
    assert after.decision == "a higher rate learns faster"
    assert after.metrics == summary.metrics
    assert reasons_in_ledger(loop) == [base.why, "a higher rate learns faster"]


def test_the_first_reason_is_kept_through_every_edit(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    assert folder.read_decision().first_why == ""
    for why in ("the second", "the third"):
        assert edit_reason(loop, 1, why).first_why == "is it too slow?"
    assert folder.read_decision().first_why == "is it too slow?"
    assert folder.decision.read_text().count("is it too slow?") == 1


def test_the_first_reason_is_written_once_where_it_comes_back(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    edit_reason(loop, 1, "the second")
    back = edit_reason(loop, 1, "is it too slow?")
    assert (back.why, back.first_why) == ("is it too slow?", "")
    assert folder.decision.read_text().count("is it too slow?") == 1
    assert edit_reason(loop, 1, "the third").first_why == "is it too slow?"


def test_a_run_without_a_reason_gets_one(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([0, 0], base=True)
    finished([1, 0], "learning_rate=1e-3")
    edited = edit_reason(loop, 1, "to see what a higher rate does")
    assert (edited.why, edited.first_why) == ("to see what a higher rate does", "")


def test_an_iteration_without_a_summary_has_its_reason_edited_too(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    folder.summary.unlink()
    edit_reason(loop, 1, "the second")
    assert folder.read_decision().why == "the second"
    assert folder.read_summary() is None
    assert reasons_in_ledger(loop)[1] == "the second"


def test_an_equal_reason_writes_nothing(loop: LoopFolder, folder: IterationFolder) -> None:
    edit_reason(loop, 1, "the second")
    before = contents(loop)
    assert edit_reason(loop, 1, " the second ") == folder.read_decision()
    assert contents(loop) == before


@pytest.mark.parametrize(
    ("number", "why", "said"),
    [
        (0, "a reason", "intents/0 is the base: it has no reason"),
        (1, "", "the reason is empty"),
        (1, " \n\t", "the reason is empty"),
    ],
)
def test_a_refused_reason_writes_nothing(
    number: int, why: str, said: str, loop: LoopFolder, folder: IterationFolder
) -> None:
    before = contents(loop)
    with pytest.raises(BadInput, match=said):
        edit_reason(loop, number, why)
    assert contents(loop) == before
    assert folder.read_decision().why == "is it too slow?"


def test_an_iteration_that_is_not_there_has_no_reason(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    before = contents(loop)
    with pytest.raises(NotFound):
        edit_reason(loop, 7, "a reason")
    assert contents(loop) == before


def test_a_decision_that_cannot_be_read_is_not_replaced(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    folder.decision.write_text("why = [")
    before = contents(loop)
    with pytest.raises(BadInput, match=r"decision\.toml"):
        edit_reason(loop, 1, "the second")
    assert contents(loop) == before


def test_a_token_in_the_reason_is_masked_everywhere(
    loop: LoopFolder, folder: IterationFolder
) -> None:
    token = "hf_" + "abcdefghijklmnopqrstuvwxyzABCDEFGH"
    edit_reason(loop, 1, f"pushed with {token}")
    assert not [path for path, (text, _) in contents(loop).items() if token.encode() in text]
    assert folder.read_decision().why.startswith("pushed with ")
