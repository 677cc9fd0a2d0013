"""Drafts leave the queue when their iteration is there: none is lost, none is run twice."""

from __future__ import annotations

import msgspec
import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.lock import RunLock
from tui_loop.core.workflow.plan import create_iteration
from tui_loop.core.workflow.queue import (
    QueuedDraft,
    add,
    leave,
    mark,
    next_waiting,
    plan_of_queued,
    read_queue,
    recover,
    set_problem,
)
from tui_loop.core.workflow.unattended import is_unattended, unattended

RATE = "training.learning_rate"
ONE = QueuedDraft(1, "one", {RATE: 1e-3})
TWO = QueuedDraft(1, "two", {RATE: 2e-3, "training.max_length": "unset"})


def create(loop: LoopFolder, queued: QueuedDraft) -> IterationFolder:
    return create_iteration(loop, plan_of_queued(loop, queued), {})


@pytest.fixture
def queue(loop: LoopFolder, finished: MakeFinished) -> LoopFolder:
    """A loop with one iteration and two drafts that wait."""
    finished([1, 0])
    add(loop, ONE, TWO)
    return loop


def test_a_draft_goes_when_its_iteration_is_there(queue: LoopFolder) -> None:
    marked = mark(queue, ONE)
    assert marked is not None
    assert read_queue(queue)[0].starting == 2
    create(queue, marked)
    leave(queue, marked)
    assert read_queue(queue) == [TWO]


def test_a_crash_before_the_iteration_is_there_keeps_the_draft(queue: LoopFolder) -> None:
    mark(queue, ONE)
    assert recover(queue) == []
    assert read_queue(queue) == [ONE, TWO]


@pytest.mark.parametrize("queued", [ONE, TWO])
def test_a_crash_after_the_iteration_is_there_runs_it_and_no_second_one(
    queue: LoopFolder, queued: QueuedDraft
) -> None:
    marked = mark(queue, queued)
    assert marked is not None
    create(queue, marked)
    assert [each.number for each in recover(queue)] == [2]
    assert queued not in read_queue(queue)
    assert len(read_queue(queue)) == 1


def test_a_crash_while_the_iteration_runs_leaves_it_to_its_host(queue: LoopFolder) -> None:
    marked = mark(queue, ONE)
    assert marked is not None
    with RunLock(create(queue, marked).lock):
        assert recover(queue) == []
    assert read_queue(queue) == [TWO]


def test_a_number_that_somebody_else_took_meanwhile_keeps_the_draft(queue: LoopFolder) -> None:
    mark(queue, ONE)
    create(queue, QueuedDraft(1, "somebody else's", {RATE: 1e-3}))
    assert recover(queue) == []
    assert read_queue(queue) == [ONE, TWO]
    mark(queue, ONE)
    create(queue, QueuedDraft(1, "one", {RATE: 7e-3}))
    assert recover(queue) == []
    assert read_queue(queue) == [ONE, TWO]


def test_what_cannot_be_started_is_kept_aside_with_the_reason_until_the_next_time(
    queue: LoopFolder,
) -> None:
    marked = mark(queue, ONE)
    assert marked is not None
    set_problem(queue, marked, "the data file is missing; key hf_" + "a1" * 12)
    assert next_waiting(queue) == TWO
    (aside, _) = read_queue(queue)
    assert aside.problem == "the data file is missing; key ***"
    assert aside.starting is None
    recover(queue)
    assert next_waiting(queue) == ONE


def test_a_draft_that_was_taken_out_meanwhile_is_not_begun(queue: LoopFolder) -> None:
    assert mark(queue, msgspec.structs.replace(ONE, why="edited")) is None
    leave(queue, QueuedDraft(why="gone"))
    assert read_queue(queue) == [ONE, TWO]


def test_one_process_at_a_time_goes_through_a_loop_by_itself(loop: LoopFolder) -> None:
    assert not is_unattended(loop)
    with unattended(loop):
        assert is_unattended(loop)
        with pytest.raises(BadInput, match="already runs the queue or auto"), unattended(loop):
            raise AssertionError
    assert not is_unattended(loop)
