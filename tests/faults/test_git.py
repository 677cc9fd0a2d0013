"""Git at work in a loop's folder while a run writes there."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import begin, step
from tests.faults.kit import Outcome
from tui_loop.core.record.events import RunEnded
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import IterationReader, read_run

Git = Callable[..., int]


@pytest.fixture
def git(queued: IterationFolder, monkeypatch: pytest.MonkeyPatch) -> Git:
    """Runs git in the folder above `loops/`, which is a repository; gives its exit code."""
    home = queued.loop.path.parent.parent
    for name, value in {
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_AUTHOR_NAME": "a",
        "GIT_AUTHOR_EMAIL": "a@b",
        "GIT_COMMITTER_NAME": "a",
        "GIT_COMMITTER_EMAIL": "a@b",
    }.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str) -> int:
        return subprocess.run(
            ["git", *arguments], cwd=home, capture_output=True, check=False
        ).returncode

    assert run("init", "-q", "-b", "main") == 0
    assert run("commit", "-q", "--allow-empty", "-m", "empty") == 0
    return run


def steps(folder: IterationFolder) -> list[int]:
    """The steps in the journal, which has neither a bad line nor a gap."""
    view = IterationReader(folder).view()
    assert (view.bad_lines, view.run.missing) == (0, 0)
    return [point.step for point in view.run.metrics]


def write_on(journal: Journal, numbers: range) -> None:
    for number in numbers:
        journal.append(step(number))


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.fault(
    "git stash, checkout or reset puts an older journal under a live run",
    group="journal",
    state="finished",
    readable="every event, before and after",
)
@pytest.mark.parametrize(
    "command",
    [
        ("stash",),
        ("checkout", "--", "."),
        ("reset", "-q", "--hard"),
        ("checkout", "-q", "-f", "HEAD~1"),
        ("stash", "-a"),
    ],
    ids=" ".join,
)
def test_what_git_takes_away_from_a_committed_journal_comes_back(
    queued: IterationFolder, git: Git, command: tuple[str, ...], outcome: Outcome
) -> None:
    with RunLock(queued.lock):
        journal = begin(Journal(queued.journal))
        write_on(journal, range(1, 6))
        assert git("add", "-A") == 0
        assert git("commit", "-q", "-m", "the run so far") == 0
        write_on(journal, range(6, 11))
        with journal._maintenance_lock:  # the file is not put back before git has ended
            assert git(*command) == 0
        write_on(journal, range(11, 16))
        journal._maintain()  # what the writer does within a second
        assert steps(queued) == list(range(1, 16))
        write_on(journal, range(16, 18))
        journal.append(RunEnded(state="finished"))
        journal.close()
    assert steps(queued) == list(range(1, 18))
    assert leftovers(queued.path) == []
    git("checkout", "-q", "-f", "main", "--", "loops/intents/001/config.toml")
    git("checkout", "-q", "-f", "main", "--", "loops/intents/001/decision.toml")
    outcome(queued)


@pytest.mark.fault(
    "git stash -u takes a live run's whole folder, which was never committed",
    group="journal",
    state="finished",
    readable="every event; config and decision come back with git stash pop",
)
def test_a_folder_that_git_stash_takes_whole_keeps_its_run(
    queued: IterationFolder, git: Git, outcome: Outcome
) -> None:
    journal = begin(Journal(queued.journal))
    write_on(journal, range(1, 6))
    with journal._maintenance_lock:
        assert git("stash", "-u") == 0
        assert not queued.journal.exists()
    write_on(journal, range(6, 11))
    journal.append(RunEnded(state="finished"))
    journal.close()
    assert [point.step for point in read_run(queued).metrics] == list(range(1, 11))
    git("stash", "pop")  # it keeps the journal that is there, and says so
    assert steps(queued) == list(range(1, 11))
    outcome(queued)


@pytest.mark.fault(
    "git clean -fdx removes a live run's whole folder",
    group="journal",
    state="unreadable",
    error="data",
    readable="every event; config and decision are gone",
)
def test_a_folder_that_git_clean_removes_keeps_its_journal(
    queued: IterationFolder, git: Git, outcome: Outcome
) -> None:
    journal = begin(Journal(queued.journal))
    write_on(journal, range(1, 6))
    with journal._maintenance_lock:
        assert git("clean", "-fdxq") == 0
        assert not queued.path.exists()
    write_on(journal, range(6, 11))
    journal.append(RunEnded(state="finished"))
    journal.close()
    assert steps(queued) == list(range(1, 11))
    outcome(queued)
