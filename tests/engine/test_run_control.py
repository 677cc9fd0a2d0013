"""Requests as the worker sees them: applied where it can, acknowledged then."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.record.requests import Request, RequestName
from tui_loop.engine.run_control import RunControl, StopRequested, polled


class ControlHarness:
    """A control, and the names of what it acknowledged."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.changed = threading.Condition()
        self.control = RunControl(self._acknowledge)

    def submit(self, name: RequestName, *, save: bool = True, evaluate: bool = False) -> None:
        self.control.submit(Request(f"{name}-{len(self.names)}", 1, name, save, evaluate))

    def expects(self, *names: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.names == list(names), PATIENCE_SECONDS), (
                self.names
            )

    def _acknowledge(self, request: Request) -> None:
        with self.changed:
            self.names.append(request.name)
            self.changed.notify_all()


def test_a_stop_is_acknowledged_at_once_and_ends_the_current_work() -> None:
    harness = ControlHarness()
    harness.control.poll()
    harness.submit("stop", save=False, evaluate=True)
    assert harness.names == ["stop"]
    assert (harness.control.save, harness.control.evaluate) == (False, True)
    with pytest.raises(StopRequested):
        harness.control.poll()


def test_a_closing_evaluation_is_ended_by_a_second_stop_only() -> None:
    harness = ControlHarness()
    harness.submit("stop", evaluate=True)
    harness.control.begin_final_evaluation()
    harness.control.poll()
    harness.submit("stop")
    with pytest.raises(StopRequested):
        harness.control.poll()


def test_a_dequeued_request_is_acknowledged_and_returned_once() -> None:
    harness = ControlHarness()
    harness.submit("evaluate")
    harness.submit("checkpoint")
    assert harness.names == []
    assert harness.control.dequeue("checkpoint")
    assert harness.names == ["checkpoint"]
    assert not harness.control.dequeue("checkpoint")
    assert harness.control.dequeue("evaluate")


def test_a_continue_with_nothing_paused_is_acknowledged_at_once() -> None:
    harness = ControlHarness()
    harness.submit("continue")
    assert harness.names == ["continue"]
    harness.control.wait_while_paused()


def test_a_pause_lasts_until_continue_and_other_requests_are_applied_meanwhile() -> None:
    harness, applied = ControlHarness(), threading.Event()

    def apply_requests() -> None:
        if harness.control.dequeue("checkpoint"):
            applied.set()

    harness.submit("pause")
    worker = threading.Thread(target=lambda: harness.control.wait_while_paused(apply_requests))
    worker.start()
    harness.expects("pause")
    harness.submit("checkpoint")
    assert applied.wait(PATIENCE_SECONDS)
    assert worker.is_alive()
    harness.submit("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    assert harness.names == ["pause", "checkpoint", "continue"]


def test_a_pause_and_a_continue_that_arrive_together_are_both_acknowledged() -> None:
    harness = ControlHarness()
    harness.submit("pause")
    harness.submit("continue")
    harness.control.wait_while_paused()
    assert harness.names == ["pause", "continue"]


def test_a_pause_requested_during_a_pause_is_acknowledged_at_once_and_ends_with_it() -> None:
    harness = ControlHarness()
    harness.submit("pause")
    worker = threading.Thread(target=harness.control.wait_while_paused)
    worker.start()
    harness.expects("pause")
    harness.submit("pause")
    assert harness.names == ["pause", "pause"]
    harness.submit("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    harness.control.wait_while_paused()
    assert harness.names == ["pause", "pause", "continue"]


@given(st.lists(st.sampled_from(["pause", "continue"]), min_size=1, max_size=8))
def test_of_requests_that_arrive_together_the_last_one_counts(names: list[RequestName]) -> None:
    harness = ControlHarness()
    for name in names:
        harness.submit(name)
    worker = threading.Thread(target=harness.control.wait_while_paused)
    worker.start()
    if names[-1] == "continue":
        worker.join(PATIENCE_SECONDS)
        assert not worker.is_alive()
    with harness.changed:
        assert harness.changed.wait_for(lambda: len(harness.names) == len(names), PATIENCE_SECONDS)
    assert harness.names[-1] == names[-1]
    assert worker.is_alive() == (names[-1] == "pause")
    harness.control.request_stop(save=True, evaluate=False)
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()


def test_work_during_a_pause_that_polls_itself_does_not_end_the_pause() -> None:
    harness, applied = ControlHarness(), threading.Event()

    def apply_requests() -> None:
        if harness.control.dequeue("evaluate"):
            harness.control.poll()  # as between two batches
            applied.set()

    harness.submit("pause")
    worker = threading.Thread(target=lambda: harness.control.wait_while_paused(apply_requests))
    worker.start()
    harness.expects("pause")
    harness.submit("evaluate")
    assert applied.wait(PATIENCE_SECONDS)
    harness.submit("pause")
    harness.expects("pause", "evaluate", "pause")
    harness.submit("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()


def test_a_stop_ends_a_pause() -> None:
    harness, ended = ControlHarness(), threading.Event()

    def work() -> None:
        with pytest.raises(StopRequested):
            harness.control.poll()
        ended.set()

    harness.submit("pause")
    threading.Thread(target=work).start()
    harness.expects("pause")
    harness.submit("stop")
    assert ended.wait(PATIENCE_SECONDS)


def test_a_request_that_cannot_be_applied_in_a_pause_does_not_keep_the_worker_busy() -> None:
    harness, calls = ControlHarness(), []
    harness.submit("pause")
    harness.submit("evaluate")
    worker = threading.Thread(
        target=lambda: harness.control.wait_while_paused(lambda: calls.append(1))
    )
    worker.start()
    harness.expects("pause")
    harness.submit("checkpoint")
    harness.submit("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    assert len(calls) <= 3
    assert harness.control.dequeue("evaluate")


def test_a_stop_is_overdue_until_the_work_that_it_ends_has_ended() -> None:
    harness = ControlHarness()
    assert not harness.control.is_stop_overdue(-1)
    harness.submit("stop")
    assert harness.control.is_stop_overdue(-1)
    assert not harness.control.is_stop_overdue(60)
    with pytest.raises(StopRequested):
        harness.control.poll()
    assert not harness.control.is_stop_overdue(-1)
    harness.submit("stop")  # while whatever the first one wanted is being done
    assert harness.control.is_stop_overdue(-1)


def test_a_first_stop_waits_for_what_is_being_saved_unless_the_weights_are_not_wanted() -> None:
    harness, without_saving = ControlHarness(), ControlHarness()
    harness.submit("stop")
    without_saving.submit("stop", save=False)
    with harness.control.saving(), without_saving.control.saving():
        assert not harness.control.is_stop_overdue(-1)
        assert without_saving.control.is_stop_overdue(-1)
        harness.submit("stop")
        assert harness.control.is_stop_overdue(-1)
    assert harness.control.is_stop_overdue(-1)


@pytest.mark.parametrize(("evaluate", "expected"), [(True, True), (False, False)])
def test_a_stop_that_comes_before_the_closing_evaluation_decides_whether_there_is_one(
    evaluate: bool, expected: bool
) -> None:
    harness = ControlHarness()
    harness.submit("stop", evaluate=evaluate)
    assert harness.control.begin_final_evaluation() is expected
    assert not harness.control.is_stop_overdue(-1)
    assert ControlHarness().control.begin_final_evaluation() is True


def test_a_worker_that_was_given_up_ends_wherever_it_polls_next_and_saves_nothing() -> None:
    harness = ControlHarness()
    harness.submit("stop", save=True, evaluate=True)
    harness.control.give_up()
    harness.control.begin_final_evaluation()
    assert (harness.control.save, harness.control.evaluate) == (False, False)
    with pytest.raises(StopRequested):
        harness.control.poll()
    with pytest.raises(StopRequested):
        list(polled([1], harness.control.poll))


def test_items_come_as_they_are_and_each_is_polled_for() -> None:
    polls = list[int]()
    assert list(polled("abc", lambda: polls.append(1))) == ["a", "b", "c"]
    assert len(polls) == 3
