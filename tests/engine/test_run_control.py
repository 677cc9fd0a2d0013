"""Requests as the worker sees them: obeyed where it can, acknowledged then."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.record.requests import Request, RequestName
from tui_loop.engine.run_control import RunControl, StopRequested, polled


class Asked:
    """A control, and the names of what it acknowledged."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self.changed = threading.Condition()
        self.control = RunControl(self._acknowledge)

    def ask(self, name: RequestName, *, save: bool = True, evaluate: bool = False) -> None:
        self.control.submit(Request(f"{name}-{len(self.heard)}", 1, name, save, evaluate))

    def hears(self, *names: str) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.heard == list(names), PATIENCE_SECONDS), (
                self.heard
            )

    def _acknowledge(self, request: Request) -> None:
        with self.changed:
            self.heard.append(request.name)
            self.changed.notify_all()


def test_a_stop_is_heard_at_once_and_ends_the_work_under_way() -> None:
    asked = Asked()
    asked.control.poll()
    asked.ask("stop", save=False, evaluate=True)
    assert asked.heard == ["stop"]
    assert (asked.control.save, asked.control.evaluate) == (False, True)
    with pytest.raises(StopRequested):
        asked.control.poll()


def test_a_closing_evaluation_is_ended_by_a_second_stop_only() -> None:
    asked = Asked()
    asked.ask("stop", evaluate=True)
    asked.control.begin_closing_evaluation()
    asked.control.poll()
    asked.ask("stop")
    with pytest.raises(StopRequested):
        asked.control.poll()


def test_what_is_taken_is_acknowledged_then_and_given_once() -> None:
    asked = Asked()
    asked.ask("evaluate")
    asked.ask("checkpoint")
    assert asked.heard == []
    assert asked.control.dequeue("checkpoint")
    assert asked.heard == ["checkpoint"]
    assert not asked.control.dequeue("checkpoint")
    assert asked.control.dequeue("evaluate")


def test_a_continue_with_nothing_paused_is_answered_at_once() -> None:
    asked = Asked()
    asked.ask("continue")
    assert asked.heard == ["continue"]
    asked.control.wait_while_paused()


def test_a_pause_lasts_until_it_is_told_to_go_on_and_other_wishes_are_met_meanwhile() -> None:
    asked, met = Asked(), threading.Event()

    def meanwhile() -> None:
        if asked.control.dequeue("checkpoint"):
            met.set()

    asked.ask("pause")
    worker = threading.Thread(target=lambda: asked.control.wait_while_paused(meanwhile))
    worker.start()
    asked.hears("pause")
    asked.ask("checkpoint")
    assert met.wait(PATIENCE_SECONDS)
    assert worker.is_alive()
    asked.ask("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    assert asked.heard == ["pause", "checkpoint", "continue"]


def test_a_pause_and_its_end_that_come_together_are_both_answered() -> None:
    asked = Asked()
    asked.ask("pause")
    asked.ask("continue")
    asked.control.wait_while_paused()
    assert asked.heard == ["pause", "continue"]


def test_a_pause_that_is_asked_for_in_a_pause_is_answered_at_once_and_ends_with_it() -> None:
    asked = Asked()
    asked.ask("pause")
    worker = threading.Thread(target=asked.control.wait_while_paused)
    worker.start()
    asked.hears("pause")
    asked.ask("pause")
    assert asked.heard == ["pause", "pause"]
    asked.ask("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    asked.control.wait_while_paused()
    assert asked.heard == ["pause", "pause", "continue"]


@given(st.lists(st.sampled_from(["pause", "continue"]), min_size=1, max_size=8))
def test_of_what_comes_together_the_last_word_counts(names: list[RequestName]) -> None:
    asked = Asked()
    for name in names:
        asked.ask(name)
    worker = threading.Thread(target=asked.control.wait_while_paused)
    worker.start()
    if names[-1] == "continue":
        worker.join(PATIENCE_SECONDS)
        assert not worker.is_alive()
    with asked.changed:
        assert asked.changed.wait_for(lambda: len(asked.heard) == len(names), PATIENCE_SECONDS)
    assert asked.heard[-1] == names[-1]
    assert worker.is_alive() == (names[-1] == "pause")
    asked.control.request_stop(save=True, evaluate=False)
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()


def test_what_is_done_in_a_pause_does_not_end_it_where_it_looks_for_pauses_itself() -> None:
    asked, met = Asked(), threading.Event()

    def meanwhile() -> None:
        if asked.control.dequeue("evaluate"):
            asked.control.poll()  # as between two batches
            met.set()

    asked.ask("pause")
    worker = threading.Thread(target=lambda: asked.control.wait_while_paused(meanwhile))
    worker.start()
    asked.hears("pause")
    asked.ask("evaluate")
    assert met.wait(PATIENCE_SECONDS)
    asked.ask("pause")
    asked.hears("pause", "evaluate", "pause")
    asked.ask("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()


def test_a_stop_ends_a_pause() -> None:
    asked, ended = Asked(), threading.Event()

    def work() -> None:
        with pytest.raises(StopRequested):
            asked.control.poll()
        ended.set()

    asked.ask("pause")
    threading.Thread(target=work).start()
    asked.hears("pause")
    asked.ask("stop")
    assert ended.wait(PATIENCE_SECONDS)


def test_a_wish_that_cannot_be_met_in_a_pause_does_not_keep_the_worker_busy() -> None:
    asked, looks = Asked(), []
    asked.ask("pause")
    asked.ask("evaluate")
    worker = threading.Thread(
        target=lambda: asked.control.wait_while_paused(lambda: looks.append(1))
    )
    worker.start()
    asked.hears("pause")
    asked.ask("checkpoint")
    asked.ask("continue")
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive()
    assert len(looks) <= 3
    assert asked.control.dequeue("evaluate")


def test_a_stop_is_overdue_until_the_work_that_it_ends_has_ended() -> None:
    asked = Asked()
    assert not asked.control.is_stop_overdue(-1)
    asked.ask("stop")
    assert asked.control.is_stop_overdue(-1)
    assert not asked.control.is_stop_overdue(60)
    with pytest.raises(StopRequested):
        asked.control.poll()
    assert not asked.control.is_stop_overdue(-1)
    asked.ask("stop")  # while whatever the first one wanted is being done
    assert asked.control.is_stop_overdue(-1)


def test_a_first_stop_waits_for_what_is_being_saved_unless_the_weights_are_not_wanted() -> None:
    asked, unwanted = Asked(), Asked()
    asked.ask("stop")
    unwanted.ask("stop", save=False)
    with asked.control.saving(), unwanted.control.saving():
        assert not asked.control.is_stop_overdue(-1)
        assert unwanted.control.is_stop_overdue(-1)
        asked.ask("stop")
        assert asked.control.is_stop_overdue(-1)
    assert asked.control.is_stop_overdue(-1)


@pytest.mark.parametrize(("evaluate", "expected"), [(True, True), (False, False)])
def test_a_stop_that_comes_before_the_closing_evaluation_decides_whether_there_is_one(
    evaluate: bool, expected: bool
) -> None:
    asked = Asked()
    asked.ask("stop", evaluate=evaluate)
    assert asked.control.begin_closing_evaluation() is expected
    assert not asked.control.is_stop_overdue(-1)
    assert Asked().control.begin_closing_evaluation() is True


def test_a_worker_that_was_given_up_ends_wherever_it_polls_next_and_saves_nothing() -> None:
    asked = Asked()
    asked.ask("stop", save=True, evaluate=True)
    asked.control.give_up()
    asked.control.begin_closing_evaluation()
    assert (asked.control.save, asked.control.evaluate) == (False, False)
    with pytest.raises(StopRequested):
        asked.control.poll()
    with pytest.raises(StopRequested):
        list(polled([1], asked.control.poll))


def test_items_come_as_they_are_and_each_is_polled_for() -> None:
    polls = list[int]()
    assert list(polled("abc", lambda: polls.append(1))) == ["a", "b", "c"]
    assert len(polls) == 3
