"""SLURM jobs in the app: submitting one, its state beside the iteration, cancelling it."""

from __future__ import annotations

import pytest

from tests.tui.conftest import OpenApp, Opened, on_app
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.slurm import commands
from tui_loop.core.slurm.commands import JobState
from tui_loop.core.slurm.record import read_job
from tui_loop.core.workflow.draft import new_draft, read_draft, write_draft
from tui_loop.tui.controllers import jobs as jobs_controller
from tui_loop.tui.screens.dialogs import ScriptScreen
from tui_loop.tui.screens.run_dialogs import RunDialog


class Slurm:
    """A SLURM whose jobs are in the state that a test gives; `cancelled` has what was cancelled."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.state: JobState | None = JobState("4713", "PENDING", "Priority", "14:05")
        self.cancelled: list[str] = []
        patch.setattr("tui_loop.core.slurm.jobs.states", self._states)
        patch.setattr("tui_loop.core.slurm.jobs.cancel", self.cancelled.append)
        patch.setattr(jobs_controller, "POLL_SECONDS", 0.05)
        patch.setattr(commands, "has_slurm", lambda: True)

    def _states(self, _: object) -> dict[str, JobState] | None:
        return {self.state.id: self.state} if self.state is not None else None


@pytest.fixture
def slurm(monkeypatch: pytest.MonkeyPatch) -> Slurm:
    return Slurm(monkeypatch)


@pytest.fixture(autouse=True)
def _changed_draft(loop: LoopFolder) -> None:
    write_draft(loop, new_draft(loop, 2).with_value("training.learning_rate", 1e-4))


async def submit(opened: Opened) -> None:
    """Submits the draft as a job, through the run dialog."""
    await opened.press("r")
    await opened.until(lambda: isinstance(opened.app.screen, RunDialog))
    await opened.shows("training rows", "runs in")
    await opened.press("tab", "ctrl+u", *"job", "tab", *"--time=10", "enter")
    await opened.shows("Submit this script?", "#SBATCH --time=10")
    await opened.press("s")
    await opened.tells("is job 4713")


def test_a_draft_is_submitted_and_its_job_waits_and_is_cancelled(
    open_app: OpenApp, loop: LoopFolder, slurm: Slurm
) -> None:
    async def steps(opened: Opened) -> None:
        before = max(loop.numbers())
        await submit(opened)
        assert loop.numbers()[-1] == before + 1
        job = read_job(loop.iteration(before + 1))
        assert job is not None
        assert job.sbatch == "--time=10"
        await opened.shows("job 4713 waits (Priority), expected start 14:05", "1 job waiting")
        assert opened.bench.state.selected == before + 1
        await opened.press("s")
        await opened.shows("Cancel job 4713?")
        await opened.press("c")
        assert slurm.cancelled == []
        await opened.press("s", "x")
        await opened.tells("Job 4713 was cancelled.")
        assert slurm.cancelled == ["4713"]
        await opened.until(lambda: loop.numbers()[-1] == before)
        assert read_draft(loop) is not None

    on_app(open_app(), steps)


def test_a_job_that_is_cancelled_elsewhere_becomes_the_draft_again(
    open_app: OpenApp, loop: LoopFolder, slurm: Slurm
) -> None:
    async def steps(opened: Opened) -> None:
        before = max(loop.numbers())
        await submit(opened)
        await opened.shows("job 4713 waits (Priority)")
        slurm.state = None
        await opened.shows("job 4713: SLURM does not answer")
        assert loop.numbers()[-1] == before + 1
        slurm.state = JobState("4713", "CANCELLED")
        await opened.tells("job 4713 has ended (cancelled) before it began")
        await opened.until(lambda: loop.numbers()[-1] == before)
        assert read_draft(loop) is not None

    on_app(open_app(), steps)


def test_the_script_is_shown_before_and_a_no_keeps_the_draft_and_its_reason(
    open_app: OpenApp, loop: LoopFolder, slurm: Slurm
) -> None:
    async def steps(opened: Opened) -> None:
        numbers = loop.numbers()
        await opened.press("r")
        await opened.shows("training rows")
        await opened.press("ctrl+u", *"later", "tab", "ctrl+u", *"job", "enter")
        await opened.shows("Submit this script?")
        assert isinstance(opened.app.screen, ScriptScreen)
        await opened.press("c")
        await opened.until(lambda: opened.app.screen is opened.bench)
        assert loop.numbers() == numbers
        await opened.until(lambda: (read_draft(loop) or opened.bench.state.draft).why == "later")

    on_app(open_app(), steps)


def test_a_run_may_have_a_process_of_its_own_and_a_wrong_word_starts_nothing(
    open_app: OpenApp, loop: LoopFolder
) -> None:
    async def steps(opened: Opened) -> None:
        await opened.press("r")
        await opened.shows("training rows")
        await opened.press("tab", "ctrl+u", *"cloud", "enter")
        await opened.shows("runs in: enter app, process (its own), or job (SLURM)")
        assert opened.backend.runners == []
        await opened.press("ctrl+u", *"process", "enter")
        await opened.until(lambda: opened.backend.runners == ["process"])

    on_app(open_app(), steps)
