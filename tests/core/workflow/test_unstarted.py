"""What was created and never began."""

from __future__ import annotations

import pytest

from tui_loop.core.config.settings import with_settings
from tui_loop.core.record.events import RunEnded, RunStarted
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.workflow.draft import new_draft, read_draft, return_unstarted, write_draft
from tui_loop.core.workflow.plan import create_base, create_iteration, plan_next, replicates


@pytest.fixture
def folders(loop: LoopFolder) -> list[IterationFolder]:
    """The base and three replicates of a first iteration, as they are created to run in order."""
    base = create_base(loop, loop.default_config(), {})
    plan = plan_next(loop, parent=None, settings=["learning_rate=3e-4"], why="a reason")
    return [base, *(create_iteration(loop, each, {}) for each in replicates(loop, plan, 3))]


def begins(folder: IterationFolder) -> None:
    journal = Journal(folder.journal)
    journal.append(RunStarted(loop="l", iteration=folder.number, attempt=1, pid=1, host="h"))
    journal.append(RunEnded(state="stopped"))
    journal.close()


def test_what_was_planned_is_the_draft_again(
    loop: LoopFolder, folders: list[IterationFolder]
) -> None:
    begins(folders[0])
    planned = folders[1].read_config()
    told = return_unstarted(folders)
    draft = read_draft(loop)
    assert draft is not None
    assert (draft.parent, draft.why) == (0, "a reason")
    assert draft.config == with_settings(planned, [])
    assert draft.changed == {"training.learning_rate": (1e-4, 3e-4)}
    assert loop.numbers() == [0]
    name = loop.name
    run = f"`tui-loop run {name} --draft`"
    assert told[0] == f"{name}/1 did not start and is a draft again: {run}"
    assert told[1:] == [f"{name}/{n} did not start and has been removed" for n in (2, 3)]
    assert return_unstarted(folders) == told  # whoever did it, the others can say so


def test_a_draft_that_was_begun_meanwhile_stays_and_the_iteration_waits(
    loop: LoopFolder, folders: list[IterationFolder]
) -> None:
    begins(folders[0])
    write_draft(loop, new_draft(loop, None).with_why("another"))
    told = return_unstarted(folders)
    assert loop.numbers() == [0, 1]
    draft = read_draft(loop)
    assert draft is not None
    assert draft.why == "another"
    resume = f"`tui-loop resume {loop.name}/1`"
    assert told[0] == f"{loop.name}/1 did not start and is still queued: {resume}"


def test_replicates_of_one_that_began_are_removed(
    loop: LoopFolder, folders: list[IterationFolder]
) -> None:
    begins(folders[0])
    begins(folders[1])
    assert return_unstarted(folders) == [
        f"{loop.name}/{n} did not start and has been removed" for n in (2, 3)
    ]
    assert loop.numbers() == [0, 1]
    assert not loop.draft.exists()


def test_where_all_began_nothing_is_said(folders: list[IterationFolder]) -> None:
    for folder in folders:
        begins(folder)
    assert return_unstarted(folders) == []
    assert all(folder.path.exists() for folder in folders)
