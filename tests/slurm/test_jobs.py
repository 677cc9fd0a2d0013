"""Runs as jobs of a real SLURM: submitted, followed, stopped, cancelled, preempted, continued."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.test_app_on_a_terminal import AppOnTerminal
from tests.slurm.cluster import Cluster, cluster
from tests.small_loop import small_loop, small_settings
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.record.events import MetricsLogged
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.slurm.record import read_job
from tui_loop.core.workflow.draft import read_draft
from tui_loop.core.workflow.plan import plan_next, replicates
from tui_loop.core.workflow.queue import add, queued_plan

__all__ = ["cluster"]

pytestmark = [pytest.mark.train, pytest.mark.slow]

NAME = "night"
SMALL = small_settings(max_steps=100_000, logging_steps=1)
ALL_CPUS = "--exclusive"

Program = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    """A loop of 20 rows without iterations; the test's folder is the current one."""
    monkeypatch.chdir(tmp_path)
    return small_loop(tmp_path, NAME, SMALL)


@pytest.fixture
def program(cluster: Cluster, loop: LoopFolder) -> Program:
    """Runs `tui-loop` to its end on the cluster's only node, where users log in, too."""

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tui_loop", *words],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            env={**cluster.environment, "PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1", **variables},
            timeout=2 * PATIENCE_SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def app(
    cluster: Cluster, loop: LoopFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppOnTerminal]:
    """The app on the loop, in a terminal of 80x24 on the cluster's node."""
    for name, value in cluster.environment.items():
        monkeypatch.setenv(name, value)
    opened = AppOnTerminal(tmp_path, tmp_path / "state", NAME)
    try:
        yield opened
    finally:
        opened.closes()


def submitted(program: Program, loop: LoopFolder, *words: str) -> tuple[IterationFolder, str]:
    """Submits the next iteration; returns it with its job."""
    done = program("run", NAME, "--job", *words)
    assert done.returncode == 0, done.stderr
    folder = loop.iteration(max(loop.numbers()))
    job = read_job(folder)
    assert job is not None
    return folder, job.id


def trains(folder: IterationFolder, steps: int = 3, attempt: int = 1) -> None:
    wait_until(
        lambda: (
            (run := read_run(folder)).attempt >= attempt
            and run.phase == "training"
            and run.done >= steps
        ),
        f"{steps} steps of attempt {attempt}",
        between=lambda: time.sleep(0.2),
        seen=lambda: f"{read_run(folder)!r:.2000}\n{_job_log(folder)}",
    )


def _job_log(folder: IterationFolder) -> str:
    log = folder.output
    return log.read_text(errors="replace")[-3000:] if log.exists() else "no log"


def reaches(cluster: Cluster, job: str, *states: str) -> str:
    wait_until(
        lambda: cluster.state_of(job) in states,
        f"job {job} {' or '.join(states)}",
        between=lambda: time.sleep(0.2),
        seen=lambda: cluster.state_of(job),
    )
    return cluster.state_of(job)


def record_of(program: Program, number: int) -> dict[str, Any]:
    done = program("status", NAME, "--json")
    records = json.loads(done.stdout)["runs"]
    return next(each for each in records if each["iteration"] == number)


def losses(folder: IterationFolder) -> dict[int, float]:
    """The training loss of each step, as its last attempt logged it."""
    events = Follower(folder.journal).read_all()
    return {
        each.step: each.values["loss"]
        for each in events
        if isinstance(each, MetricsLogged) and "loss" in each.values
    }


def test_a_job_is_submitted_followed_and_finishes(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    done = program(
        *("run", NAME, "--job", "--set", "training.max_steps=3"),
        *("--sbatch", "--time=5 --comment 'a note'", "--json"),
    )
    assert done.returncode == 0, done.stderr
    folder = loop.iteration(1)
    job = read_job(folder)
    assert job is not None
    assert json.loads(done.stdout)["jobs"] == [{"iteration": 1, "job": job.id}]
    assert "#SBATCH --time=5" in done.stderr, "the script is shown"
    record = record_of(program, 1)
    assert record["job"]["id"] == job.id
    assert record["job"]["state"] in ("PENDING", "CONFIGURING", "RUNNING", "COMPLETED")
    assert reaches(cluster, job.id, "COMPLETED", "FAILED") == "COMPLETED", _job_log(folder)
    run = read_run(folder)
    assert iteration_of(folder).state == "finished"
    assert run.started is not None
    assert (run.started.job, run.started.runner) == (job.id, "job")


def test_a_stop_ends_the_job_for_good(cluster: Cluster, program: Program, loop: LoopFolder) -> None:
    folder, job = submitted(program, loop)
    trains(folder)
    record = record_of(program, 1)
    assert (record["state"], record["job"]["state"]) == ("running", "RUNNING")
    assert record["job"]["words"] == f"job {job} running on {cluster.host}"
    assert program("stop", NAME, "--wait").returncode == 0
    assert reaches(cluster, job, "COMPLETED", "FAILED", "PENDING") == "FAILED"  # exit code 3
    assert iteration_of(folder).state == "stopped"


def test_scancel_saves_and_is_not_undone(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    folder, job = submitted(program, loop)
    trains(folder)
    cluster.run("scancel", job)
    assert reaches(cluster, job, "CANCELLED", "PENDING", "REQUEUED") == "CANCELLED"
    wait_until(lambda: iteration_of(folder).state == "stopped", "the end of the run")
    assert read_run(folder).valid_checkpoints
    time.sleep(2)
    assert cluster.state_of(job) == "CANCELLED"
    resumed = program("resume", f"{NAME}/1", "--job", "--sbatch", "--time=10")
    assert resumed.returncode == 0, resumed.stderr
    again = read_job(folder)
    assert again is not None
    assert again.id != job
    trains(folder, attempt=2)
    assert program("stop", NAME, "--wait").returncode == 0


def test_a_preempted_job_continues_with_the_losses_of_an_uninterrupted_run(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    steps = ("--set", "training.max_steps=400", "--set", "training.save_steps=0")
    folder, job = submitted(program, loop, *steps, "--sbatch", ALL_CPUS)
    trains(folder, 20)
    urgent = cluster.run(
        "sbatch", "--parsable", "-p", "high", ALL_CPUS, "--wrap", "sleep 2", "-o", "/dev/null"
    )
    reaches(cluster, urgent, "RUNNING", "COMPLETED")
    assert iteration_of(folder).state == "stopped"
    assert reaches(cluster, job, "PENDING", "FAILED", "COMPLETED") == "PENDING"
    record = record_of(program, 1)
    assert "was requeued and waits" in record["job"]["words"]
    reaches(cluster, urgent, "COMPLETED")
    cluster.run("scontrol", "update", f"JobId={job}", "StartTime=now")
    assert reaches(cluster, job, "COMPLETED", "FAILED") == "COMPLETED", _job_log(folder)
    run = read_run(folder)
    assert (run.attempt, iteration_of(folder).state) == (2, "finished")
    assert run.started is not None
    assert run.started.from_step >= 20
    plain = LoopsFolder(loop.path.parent).create("plain", SMALL)
    done = program("run", "plain", *steps)
    assert done.returncode == 0, done.stderr
    uninterrupted = losses(plain.iteration(1))
    assert len(uninterrupted) == 400
    assert losses(folder) == uninterrupted


def test_the_time_limit_saves_and_requeues(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    folder, job = submitted(program, loop, "--sbatch", "--time=1 --signal=TERM@40")
    trains(folder)
    assert reaches(cluster, job, "PENDING", "TIMEOUT", "FAILED") == "PENDING", _job_log(folder)
    assert iteration_of(folder).state == "stopped"
    assert read_run(folder).valid_checkpoints
    stopped = program("stop", NAME)
    assert stopped.returncode == 0, stopped.stderr
    assert cluster.state_of(job) == "CANCELLED"
    assert iteration_of(folder).state == "stopped", "it has run, so it is no draft"


def test_a_waiting_job_is_cancelled_and_its_iteration_is_the_draft_again(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    held = ("--sbatch", "--begin=now+1hour")
    folder, job = submitted(program, loop, "--why", "to see", *held)
    record = record_of(program, 1)
    assert (record["state"], record["job"]["state"]) == ("queued", "PENDING")
    assert record["job"]["reason"] == "BeginTime"
    assert record["job"]["start"]
    assert program("stop", NAME).returncode == 0
    assert cluster.state_of(job) == "CANCELLED"
    assert not folder.path.exists()
    draft = read_draft(loop)
    assert draft is not None
    assert draft.why == "to see"
    loop.draft.unlink()
    folder, job = submitted(program, loop, "--why", "again", *held)
    cluster.run("scancel", job)  # by hand, behind the program's back
    done = program("status", NAME)
    assert f"job {job} has ended (cancelled) before it began" in done.stderr
    assert not folder.path.exists()
    draft = read_draft(loop)
    assert draft is not None
    assert draft.why == "again"


def test_two_tasks_and_a_background_run_within_a_job_are_refused(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    words = [sys.executable, "-m", "tui_loop", "run", NAME, "--set", "training.max_steps=1"]
    environment = {**cluster.environment, "PYTHONSAFEPATH": "1", "HF_HUB_OFFLINE": "1"}
    for options, said in (
        (["-n", "2", "--overcommit"], "srun started this command as 2 tasks"),
        (["-n", "1"], "--detach is not possible inside SLURM job"),
    ):
        more = ["--detach"] if options[1] == "1" else []
        done = subprocess.run(
            ["srun", "--mpi=none", *options, *words, *more],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_SECONDS,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 2
        assert said in done.stderr
    assert loop.numbers() == []


def test_a_wrong_option_leaves_the_draft_as_it_was(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    done = program("run", NAME, "--job", "--why", "to see", "--sbatch", "--partition=nowhere")
    assert done.returncode == 2
    assert "invalid partition specified: nowhere" in done.stderr
    assert loop.numbers() == []
    draft = read_draft(loop)
    assert draft is not None
    assert draft.why == "to see"


def test_a_controller_that_is_away_is_unknown_and_the_run_goes_on(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    folder, job = submitted(program, loop)
    trains(folder)
    cluster.kill_controller()
    try:
        record = record_of(program, 1)
        assert (record["state"], record["job"]["state"]) == ("running", None)
        assert record["job"]["words"] == f"job {job}: SLURM does not answer"
        trains(folder, read_run(folder).done + 3)
    finally:
        cluster.start_controller()
    reaches(cluster, job, "RUNNING")
    assert program("stop", NAME, "--wait").returncode == 0
    reaches(cluster, job, "FAILED")


def test_the_queue_submits_all_drafts_and_the_first_measures_the_base(
    cluster: Cluster, program: Program, loop: LoopFolder
) -> None:
    settings = small_settings(base=True, max_steps=100_000)
    loop = LoopsFolder(loop.path.parent).create("measured", settings)
    plan = plan_next(loop, parent=None, settings=["training.max_steps=2"], why="a night")
    add(loop, *(queued_plan(each) for each in replicates(loop, plan, 2)))
    done = program("queue", loop.name, "--run", "--jobs", "--json")
    assert done.returncode == 0, done.stderr
    jobs = [each["job"] for each in json.loads(done.stdout)["jobs"]]
    assert len(jobs) == 2
    dependency = cluster.run("squeue", "-h", "-t", "all", "-j", jobs[1], "-o", "%E")
    assert jobs[0] in dependency or cluster.state_of(jobs[0]) == "COMPLETED"
    for job in jobs:
        assert reaches(cluster, job, "COMPLETED", "FAILED") == "COMPLETED"
    assert [iteration_of(loop.iteration(number)).state for number in (0, 1, 2)] == ["finished"] * 3
    assert read_run(loop.iteration(0)).attempt == 1


def test_a_job_is_submitted_and_stopped_from_the_app_by_keys(
    cluster: Cluster, loop: LoopFolder, app: AppOnTerminal
) -> None:
    app.shows("idle").types("r")
    app.shows("training rows").types("\t\x15job\t--time=10\r")
    app.shows("Submit this script?").shows("#SBATCH --time=10").types("s")
    folder = loop.iteration(1)
    wait_until(lambda: read_job(folder) is not None, "the job", between=app._read)
    job = read_job(folder)
    assert job is not None
    app.shows(f"Iteration 1 is job {job.id}")
    wait_until(
        lambda: read_run(folder).done >= 3 and read_run(folder).phase == "training",
        "training",
        between=app._read,
    )
    app.types("1")
    app.shows(f"job {job.id} running on {cluster.host}").types("s")
    app.shows("Stop 1?").types("s")
    wait_until(lambda: iteration_of(folder).state == "stopped", "the end", between=app._read)
    reaches(cluster, job.id, "FAILED")
    app.types("R")
    app.shows("Resume 1?").shows("it is submitted as a SLURM job again").types("r")
    wait_until(
        lambda: (again := read_job(folder)) is not None and again.id != job.id,
        "the second job",
        between=app._read,
    )
    again = read_job(folder)
    assert again is not None
    assert again.sbatch == "--time=10"
    cluster.run("scancel", again.id)


def test_a_waiting_job_is_cancelled_from_the_app_by_a_key(
    cluster: Cluster, loop: LoopFolder, app: AppOnTerminal
) -> None:
    app.shows("idle").types("r")
    app.shows("training rows").types("\t\x15job\t--begin=now+1hour\r")
    app.shows("Submit this script?").types("s")
    app.shows("1 job waiting").types("s")
    app.shows("Cancel job").types("x")
    app.shows(" was cancelled. night/1 did not start and is a draft again")
    wait_until(lambda: loop.numbers() == [], "the draft", between=app._read)
    assert read_draft(loop) is not None
