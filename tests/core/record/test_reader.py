"""Looking at a loop again and again: what is new comes, what is not stays the same object."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core import snapshot as observing
from tui_loop.core.examples.history import Shift
from tui_loop.core.record import reader as reading
from tui_loop.core.record.events import (
    LineLogged,
    MetricsLogged,
    PhaseStarted,
    RunEnded,
    RunStarted,
)
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import IterationReader, LoopReader
from tui_loop.core.record.structs import Iteration
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest, depths_of
from tui_loop.core.workflow.draft import new_draft, write_draft
from tui_loop.core.workflow.plan import create_iteration, plan_next


def step(number: int, loss: float = 1.0) -> MetricsLogged:
    return MetricsLogged(step=number, epoch=0.1, values={"loss": loss})


@pytest.fixture
def queued(loop: LoopFolder) -> IterationFolder:
    return create_iteration(loop, plan_next(loop, parent=None, settings=[], why="try"), {})


def begin(folder: IterationFolder) -> Journal:
    journal = Journal(folder.journal)
    journal.append(RunStarted(loop="intents", iteration=1, attempt=1, pid=os.getpid(), host="h"))
    return journal


def test_a_run_is_seen_from_queued_to_its_end(queued: IterationFolder) -> None:
    reader = IterationReader(queued)
    assert reader.poll().state == "queued"
    with RunLock(queued.lock):
        journal = begin(queued)
        journal.append(PhaseStarted(name="training"))
        journal.append(step(1))
        assert reader.poll().state == "running"
        assert [point.step for point in reader.view().run.metrics] == [1]
        journal.append(step(2))
        assert [point.step for point in reader.view().run.metrics] == [1, 2]
        journal.append(RunEnded(state="stopped"))
        journal.close()
        assert reader.poll().state == "stopped"


def test_a_run_whose_process_has_gone_is_interrupted(queued: IterationFolder) -> None:
    with RunLock(queued.lock):
        begin(queued).close()
    assert IterationReader(queued).poll().state == "interrupted"


def test_nothing_new_gives_the_same_objects(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1, 0])
    reader = LoopReader(loop)
    first = reader.iteration(1), reader.at(1).view(), reader.examples(1), reader.splits(1)
    again = reader.iteration(1), reader.at(1).view(), reader.examples(1), reader.splits(1)
    assert all(one is other for one, other in zip(first, again, strict=True))


def test_a_view_does_not_change_under_whoever_shows_it(queued: IterationFolder) -> None:
    reader = IterationReader(queued)
    journal = begin(queued)
    journal.append(step(1))
    view = reader.view()
    journal.append(step(2))
    later = reader.view()
    journal.close()
    assert (len(view.run.metrics), len(later.run.metrics)) == (1, 2)
    assert (view.logged, later.logged) == (2, 3)


def test_a_summary_that_was_replaced_is_read_anew(loop: LoopFolder, finished: MakeFinished) -> None:
    folder = finished([1, 0])
    reader = LoopReader(loop)
    assert reader.iteration(1).metrics["score"] == 0.5
    raw = folder.summary.read_text()
    folder.summary.write_text(raw.replace('"score": 0.5', '"score": 0.25') + "\n")
    assert reader.iteration(1).metrics["score"] == 0.25
    folder.summary.write_text("{")
    broken = reader.iteration(1)
    assert broken.state == "unreadable"
    assert "summary.json" in (broken.error or {})["message"]
    folder.summary.write_text(raw)
    assert reader.iteration(1).state == "finished"


def test_a_journal_that_was_replaced_is_folded_from_its_beginning(queued: IterationFolder) -> None:
    reader = IterationReader(queued)
    journal = begin(queued)
    for number in range(1, 6):
        journal.append(step(number))
    journal.close()
    assert len(reader.view().run.metrics) == 5
    queued.journal.unlink()
    journal = begin(queued)
    journal.append(step(1))
    journal.close()
    view = reader.view()
    assert (len(view.run.metrics), view.logged) == (1, 2)


def test_the_log_in_memory_is_bounded_and_counts_what_it_let_go(
    queued: IterationFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LOG_LINES", 10)
    reader = IterationReader(queued)
    journal = begin(queued)
    for number in range(25):
        journal.append(LineLogged(level="info", source="tui-loop", text=f"line {number}"))
    journal.close()
    view = reader.view()
    assert (len(view.log), view.logged) == (10, 26)
    assert view.log[-1].text == "line 24"


def test_journals_that_nobody_looks_at_are_let_go_and_can_be_read_again(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    folder = finished([1, 0])
    journal = begin(folder)
    journal.append(step(1))
    journal.close()
    reader = LoopReader(loop)
    known = reader.iteration(1)
    assert len(reader.at(1).view().run.metrics) == 1
    reader.keep_runs(set())
    assert not reader.at(1).has_run
    assert reader.iteration(1) is known
    assert len(reader.at(1).view().run.metrics) == 1


def test_an_observer_shows_healthy_iterations_beside_broken_ones(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    finished([1, 1]).config.write_text("= broken")
    (loop.path / "002" / "summary.json").unlink()
    (loop.path / "003").mkdir()
    snapshot = LoopPoller(loop).poll(SnapshotRequest(selected=2))
    assert [each.state for each in snapshot.iterations] == ["finished", "unreadable", "unreadable"]
    assert snapshot.draft is not None
    assert snapshot.draft.parent == 1


def test_an_observer_compares_rows_in_slices_and_says_when_all_are_done(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished([0, 0], base=True)
    finished([1, 0])
    finished([1, 1])
    monkeypatch.setattr(observing, "COMPARE_SECONDS", 0.0)
    observer = LoopPoller(loop)
    first = observer.poll(SnapshotRequest(rows=(0, 1, 2)))
    assert not first.is_complete
    for _ in range(3):
        last = observer.poll(SnapshotRequest(rows=(0, 1, 2)))
    assert last.is_complete
    assert last.comparisons[0] is None
    assert last.comparisons[2] is not None
    assert last.comparisons[2].fixed == ["id1"]


def test_a_steady_reader_reads_an_iteration_once_and_sees_its_change_afterwards(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished([0, 0], base=True)
    finished([1, 0])
    reader, polled = LoopReader(loop), list[int]()
    poll = IterationReader.poll
    monkeypatch.setattr(
        IterationReader, "poll", lambda self: polled.append(self.folder.number) or poll(self)
    )
    with reader.steady():
        before = reader.iterations()
        with reader.steady():
            assert reader.iteration(1) is before[1]
        loop.iteration(1).summary.write_text("{}")
        finished([1, 1])
        assert reader.iterations() is before
        assert reader.numbers() == [0, 1]
    assert polled == [0, 1]
    assert [each.state for each in reader.iterations()] == ["finished", "unreadable", "finished"]
    assert reader.iterations() is reader.iterations()


@pytest.mark.parametrize(
    "more",
    [
        "",
        '[effective]\nnote = "splits"\n',
        '[other]\ntext = """\n[splits.eval]\npath = "no"\n"""\n',
        '["splits".eval]\npath = "b"\n',
    ],
)
def test_splits_are_read_as_from_the_whole_config(
    loop: LoopFolder, finished: MakeFinished, more: str
) -> None:
    folder = finished([1, 0])
    with folder.config.open("a", encoding="utf-8") as file:
        file.write(more)
    splits = IterationReader(folder).splits()
    assert "train" in splits
    assert splits == folder.read_splits()


def test_outcomes_beyond_the_limit_are_read_again(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    for scores in ([0, 0], [1, 0], [1, 1]):
        finished(scores)
    monkeypatch.setattr(reading, "OUTCOME_ROWS", 4)
    reader = LoopReader(loop)
    passed = {number: bytes(reader.outcomes(number).passed) for number in (1, 2, 3)}
    assert [reader.has_outcomes(number) for number in (1, 2, 3)] == [False, True, True]
    assert {number: bytes(reader.outcomes(number).passed) for number in (1, 2, 3)} == passed


def test_an_observer_tells_of_a_broken_loop_file_and_of_a_broken_draft(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    write_draft(loop, new_draft(loop, 1))
    loop.draft.write_text("parent = [")
    observer = LoopPoller(loop)
    snapshot = observer.poll(SnapshotRequest())
    assert snapshot.draft is None
    assert "draft.toml" in snapshot.draft_problem
    loop.settings_file.write_text("= no")
    assert "loop.toml" in observer.poll(SnapshotRequest()).problem


def test_an_observer_holds_examples_against_the_marked_iteration_or_the_parent(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0, 0], base=True)
    finished([1, 0])
    finished([1, 1])
    observer = LoopPoller(loop)
    by_parent = observer.poll(SnapshotRequest(selected=2)).examples
    assert by_parent is not None
    assert by_parent.against == 1
    assert by_parent.view.shift(1) is Shift.FIXED
    marked = observer.poll(SnapshotRequest(selected=2, marked=(0,))).examples
    assert marked is not None
    assert marked.against == 0
    again = observer.poll(SnapshotRequest(selected=2, marked=(2,))).examples
    assert again is not None
    assert again.against == 1


def test_bad_examples_are_a_problem_of_that_iteration_alone(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0]).examples.write_text('{"id": 3}\n')
    snapshot = LoopPoller(loop).poll(SnapshotRequest(selected=1))
    assert snapshot.examples is not None
    assert len(snapshot.examples.view) == 0
    assert "examples.jsonl:1" in snapshot.examples.problem


def test_lineage_is_told_by_depth(example: Callable[..., object]) -> None:
    parents = {0: None, 1: 0, 2: 1, 3: 2, 4: 2, 5: 4, 6: 2, 7: 4}
    iterations = tuple(
        Iteration(number=number, parent=parent, state="finished")
        for number, parent in parents.items()
    )
    assert depths_of(iterations) == (0, 0, 0, 0, 1, 1, 1, 2)


def test_an_iteration_that_is_its_own_ancestor_does_not_hang(tmp_path: Path) -> None:
    odd = (Iteration(number=1, parent=1, state="finished"),)
    assert depths_of(odd) == (0,)
