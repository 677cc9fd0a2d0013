"""`queue.toml`: what stands in it, how it is edited, and what is said of what is wrong in it."""

from __future__ import annotations

import threading
import tomllib

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.draft import new_draft
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import (
    QueuedDraft,
    add,
    clear,
    draft_of,
    move,
    plan_of_queued,
    problem_of,
    queued_draft,
    queued_plan,
    read_queue,
    remove,
)

RATE = "training.learning_rate"


def whys(loop: LoopFolder) -> list[str]:
    return [each.why for each in read_queue(loop)]


def test_there_is_no_file_until_something_waits_and_none_when_nothing_does(
    loop: LoopFolder,
) -> None:
    assert read_queue(loop) == []
    add(loop, QueuedDraft(why="one"))
    assert loop.queue.exists()
    remove(loop, 1)
    assert not loop.queue.exists()


def test_a_plan_is_kept_as_what_it_changes_and_is_the_same_plan_again(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0], "learning_rate=3e-4")
    settings = ["learning_rate=5e-5", "training.max_length=unset", "target_modules=['q','v']"]
    plan = plan_next(loop, parent=1, settings=settings, why="less\nof it")
    add(loop, queued_plan(plan))
    (queued,) = read_queue(loop)
    assert queued.set == {
        RATE: 5e-5,
        "training.max_length": "unset",
        "lora.target_modules": ["q", "v"],
    }
    assert plan_of_queued(loop, queued) == plan
    assert tomllib.loads(loop.queue.read_text())["drafts"][0]["parent"] == 1


def test_repeats_of_one_config_are_entries_that_differ_in_the_seed(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    plan = plan_next(loop, parent=1, settings=[], why="noise")
    add(loop, *map(queued_plan, replicates(loop, plan, 3)))
    seeds = [plan_of_queued(loop, each).config.training.seed for each in read_queue(loop)]
    assert len({*seeds, 42}) == 4
    assert all(list(each.set) == ["training.seed"] for each in read_queue(loop))


def test_a_draft_goes_into_the_queue_and_comes_back_as_it_was(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    draft = new_draft(loop, 1).with_value(RATE, "abc").with_value("training.max_length", None)
    add(loop, queued_draft(draft.with_why("odd")))
    (queued,) = read_queue(loop)
    assert RATE in problem_of(loop, queued)
    assert draft_of(loop, queued) == draft.with_why("odd")


def test_what_was_taken_of_a_diagnosis_travels_with_it(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    predicted = {"metric": "score", "was": 0.5, "low": 0.6, "high": 0.9}
    add(loop, QueuedDraft(1, "why", {RATE: 1e-3}, "underfitting/more_epochs", predicted))
    plan = plan_of_queued(loop, read_queue(loop)[0])
    assert (plan.suggestion, plan.predicted) == ("underfitting/more_epochs", predicted)


def test_order_is_what_one_makes_of_it(loop: LoopFolder) -> None:
    add(loop, *(QueuedDraft(why=name) for name in "abcd"))
    move(loop, 4, 1)
    assert whys(loop) == ["d", "a", "b", "c"]
    gone = remove(loop, 2)
    assert (gone.why, whys(loop)) == ("a", ["d", "b", "c"])
    move(loop, 1, 3)
    assert whys(loop) == ["b", "c", "d"]
    assert clear(loop) == 3
    assert whys(loop) == []


@pytest.mark.parametrize(("position", "to"), [(0, 1), (3, 1), (1, 3), (-1, 1)])
def test_a_position_that_is_not_there_is_said_and_changes_nothing(
    loop: LoopFolder, position: int, to: int
) -> None:
    add(loop, QueuedDraft(why="a"), QueuedDraft(why="b"))
    with pytest.raises(BadInput, match=r"no draft .* it has 2"):
        move(loop, position, to)
    assert whys(loop) == ["a", "b"]


def test_fields_may_be_written_by_hand_in_any_of_three_ways(loop: LoopFolder) -> None:
    loop.queue.write_text(
        "[[drafts]]\nset = {learning_rate = 1e-3}\n[[drafts]]\nset.training.learning_rate = 1e-3\n"
        '[[drafts]]\n[drafts.set]\n"training.learning_rate" = 1e-3\n'
    )
    assert [each.set for each in read_queue(loop)] == [{RATE: 1e-3}] * 3


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[drafts]\n", "line 1"),
        ("[[draft]]\nparent = 1\n", "draft: only [[drafts]] are allowed here"),
        ("[[drafts]]\n[[drafts]]\nparent = 'x'\n", "draft 2: parent: Expected `int | null`"),
        ("[[drafts]]\nwy = 'x'\n", "draft 1: Object contains unknown field `wy`"),
        ("[[drafts]]\nset = {learning_rat = 1}\n", "draft 1: set: learning_rat: no such field"),
        ("[[drafts]]\nset = {'trai.x' = 1}\n", "draft 1: set: trai.x: no such group"),
    ],
)
def test_what_cannot_be_read_is_told_with_file_draft_and_field(
    loop: LoopFolder, text: str, told: str
) -> None:
    loop.queue.write_text(text)
    with pytest.raises(BadInput, match=r"queue\.toml") as caught:
        read_queue(loop)
    assert told in caught.value.message
    with pytest.raises(BadInput):
        add(loop, QueuedDraft())
    assert loop.queue.read_text() == text


def test_a_value_that_no_run_could_have_is_a_problem_of_that_draft_alone(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    add(loop, QueuedDraft(1, set={RATE: -1, "lora.r": 0}), QueuedDraft(7), QueuedDraft(1))
    problems = [problem_of(loop, each) for each in read_queue(loop)]
    assert RATE in problems[0]
    assert "lora.r" in problems[0]
    assert "no iteration 7" in problems[1]
    assert problems[2] == ""


def test_a_token_is_neither_kept_nor_run(loop: LoopFolder) -> None:
    queued = QueuedDraft(why="hf_" + "a1" * 12, set={"model.id": "hf_" + "b2" * 12})
    assert "token or a password" in problem_of(loop, queued)
    add(loop, queued)
    assert "a1a1" not in loop.queue.read_text()
    assert "b2b2" not in loop.queue.read_text()


def test_nobody_overwrites_what_another_adds_meanwhile(loop: LoopFolder) -> None:
    def work(name: str) -> None:
        for at in range(10):
            add(loop, QueuedDraft(why=f"{name}{at}"))

    threads = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(whys(loop)) == sorted(f"{name}{at}" for name in "abc" for at in range(10))


def test_a_queue_that_cannot_be_read_can_be_emptied(loop: LoopFolder) -> None:
    loop.queue.write_text("[[[")
    assert clear(loop) == 0
    assert read_queue(loop) == []


def test_a_queue_that_is_a_link_is_not_read(loop: LoopFolder) -> None:
    (loop.path / "elsewhere.toml").write_text("[[drafts]]\n")
    loop.queue.symlink_to(loop.path / "elsewhere.toml")
    with pytest.raises(BadInput, match=r"queue\.toml"):
        read_queue(loop)
