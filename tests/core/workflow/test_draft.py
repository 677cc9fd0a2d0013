"""The draft: what it changes, what is wrong with it, and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.workflow.draft import (
    draft_from,
    draft_text,
    drop_draft,
    new_draft,
    plan_of,
    read_draft,
    write_draft,
)
from tui_loop.core.workflow.plan import plan_next

RATE = "training.learning_rate"


def test_a_new_draft_changes_nothing_against_its_parent(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0], "learning_rate=3e-4")
    draft = new_draft(loop, 1)
    assert draft.changed == {}
    assert draft.problems == []
    assert draft.value(RATE) == 3e-4
    assert not loop.draft.exists()


def test_what_is_edited_is_told_against_the_parent_and_survives_the_disk(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1, 0])
    draft = new_draft(loop, 1).with_value(RATE, 5e-4).with_value("training.max_length", None)
    draft = draft.with_why("half of it\nand more")
    write_draft(loop, draft)
    again = read_draft(loop)
    assert again is not None
    assert again.saved
    assert again.changed == {RATE: (1e-4, 5e-4), "training.max_length": (1024, None)}
    assert (again.why, again.parent, again.config.training.max_length) == (draft.why, 1, None)


def test_a_wrong_value_is_kept_as_typed_and_told(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1, 0])
    draft = new_draft(loop, 1).with_value(RATE, "abc").with_value("lora.r", 0)
    write_draft(loop, draft)
    again = read_draft(loop)
    assert again is not None
    assert again.value(RATE) == "abc"
    assert [problem.partition(":")[0] for problem in again.problems] == ["lora.r", RATE]
    with pytest.raises(ConfigError, match=r"draft.toml"):
        plan_of(loop, again)


def test_fields_that_contradict_each_other_are_a_problem_of_the_draft(loop: LoopFolder) -> None:
    draft = new_draft(loop, None)
    draft = draft.with_value("training.keep", "best").with_value("training.eval_steps", 0)
    assert [problem.partition(":")[0] for problem in draft.problems] == ["training.keep"]
    assert draft.reset().problems == []


def test_a_draft_becomes_the_plan_that_the_command_line_would_make(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([0, 0], base=True)
    finished([1, 0])
    plan = plan_of(loop, new_draft(loop, 1).with_value(RATE, 5e-4).with_why("higher"))
    assert (plan.parent, plan.why, plan.changes) == (1, "higher", {RATE: (1e-4, 5e-4)})
    assert plan_of(loop, new_draft(loop, None)).parent == 0


def test_there_is_no_draft_until_one_is_written_and_none_after_it_was_dropped(
    loop: LoopFolder,
) -> None:
    assert read_draft(loop) is None
    write_draft(loop, new_draft(loop, None))
    assert read_draft(loop) is not None
    drop_draft(loop)
    drop_draft(loop)
    assert read_draft(loop) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("parent = 1\n[training\n", "line 2"),
        ('parent = "one"\n', "parent must be the number of an iteration"),
        ("parent = true\n", "parent must be the number of an iteration"),
        ("why = 3\n", "why must be a string"),
        ("learning_rate = 1e-4\n", "learning_rate: is not a table"),
    ],
)
def test_a_draft_that_cannot_be_read_says_what_and_where(
    loop: LoopFolder, finished: MakeFinished, text: str, told: str
) -> None:
    finished([1, 0])
    with pytest.raises(BadInput, match=r"draft\.toml") as caught:
        draft_from(loop, text)
    assert told in caught.value.message


def test_a_draft_whose_parent_has_gone_names_those_that_are_there(loop: LoopFolder) -> None:
    with pytest.raises(NotFound, match="no iteration 7"):
        draft_from(loop, "parent = 7\n")


def test_groups_and_fields_that_do_not_exist_are_problems_not_faults(loop: LoopFolder) -> None:
    draft = draft_from(loop, "[trainin]\nx = 1\n[lora]\nrank = 8\n")
    assert [problem.partition(":")[0] for problem in draft.problems] == ["lora.rank", "trainin"]
    assert "lora.rank" in draft.changed


def test_the_text_is_that_of_a_config_file_with_its_head(loop: LoopFolder) -> None:
    lines = draft_text(new_draft(loop, None).with_why("because")).splitlines()
    assert lines[:2] == ["schema = 1", 'why = "because"']
    assert "[training]" in lines


def as_of_an_earlier_version(path: Path) -> None:
    """Rewrites a file as one from before `data.train_on`, of a loop of conversations."""
    text = path.read_text()
    assert 'train_on = "assistant"\n' in text
    text = text.replace('train_on = "assistant"\n', "")
    path.write_text(text.replace("[training]\n", "[training]\nassistant_only_loss = false\n"))


def test_a_draft_from_an_earlier_version_shows_that_answers_alone_are_trained_on_now(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    folder = finished([1, 0], "data.shape=messages", "data.train_on=assistant")
    as_of_an_earlier_version(folder.config)
    assert folder.read_config().data.train_on == "all"
    draft = new_draft(loop, 1)
    assert draft.changed == {"data.train_on": ("all", "assistant")}
    assert draft.problems == []
    plan = plan_next(loop, parent=1, settings=["learning_rate=3e-4"], why="")
    assert plan.changes == {"data.train_on": ("all", "assistant"), RATE: (1e-4, 3e-4)}
    same = plan_next(loop, parent=1, settings=["data.train_on=all"], why="")
    assert same.changes == {}


def test_a_saved_draft_of_an_earlier_version_opens_without_the_fields_that_are_gone(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    folder = finished([1, 0], "data.shape=messages")
    as_of_an_earlier_version(folder.config)
    write_draft(loop, new_draft(loop, 1).with_value(RATE, 5e-4))
    as_of_an_earlier_version(loop.draft)
    draft = read_draft(loop)
    assert draft is not None
    assert draft.problems == []
    assert draft.changed == {"data.train_on": ("all", "assistant"), RATE: (1e-4, 5e-4)}
