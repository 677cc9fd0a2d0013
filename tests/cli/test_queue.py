"""The queue from a shell: added, ordered, run in one night; what fails stops nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from tests.conftest import Cli
from tests.waiting import wait_until
from tui_loop.cli import unattended_runs
from tui_loop.cli.loop_output import print_loop, queue_text
from tui_loop.cli.main import main
from tui_loop.cli.output import Output
from tui_loop.core.errors import RunStopped
from tui_loop.core.preflight.check_result import CheckKind, ChecksFailed, error
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.draft import new_draft, read_draft, write_draft
from tui_loop.core.workflow.plan import create_iteration
from tui_loop.core.workflow.queue import mark, plan_of_queued, read_queue
from tui_loop.core.workflow.unattended import is_unattended, unattended

NAME = "night"
SMALL = {
    "model": {"id": "tiny"},
    "data": {"train": "rows.jsonl"},
    "training": {"max_steps": 2, "per_device_train_batch_size": 4, "max_length": 64},
    "evaluation": {"base": False, "max_length": 64, "max_new_tokens": 4},
}

Ran = list[tuple[list[int], bool]]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    """A loop of 20 rows without iterations; the test's folder is the current one."""
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"say {n}", "completion": f"word {n % 5}"} for n in range(20)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    settings = LoopSettings(metric="label", defaults=SMALL)
    return LoopsFolder(tmp_path / "loops").create(NAME, settings)


@pytest.fixture
def runs(loop: LoopFolder, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of what is run; nothing trains: a run ends at once as its reason says."""
    numbers: list[int] = []

    def run(
        _: LoopFolder, folders: list[IterationFolder], *args: Any, **more: Any
    ) -> tuple[list[Iteration], bool]:
        for folder in folders:
            numbers.append(folder.number)
            finish(folder)
        done = [iteration_of(folder) for folder in folders]
        return done, "asks to stop" in done[-1].decision

    monkeypatch.setattr(unattended_runs, "run_to_end", run)
    return numbers


def finish(folder: IterationFolder) -> None:
    """Writes the end that an iteration's reason names: it fails, it stops, else it finishes."""
    decision = folder.read_decision()
    state = next((each for each in ("failed", "stopped") if each in decision.why), "finished")
    crash = {"kind": "crashed", "message": "it broke", "hint": "", "step": 1}
    folder.write_summary(
        msgspec.structs.replace(
            iteration_of(folder),
            state=state,
            metrics={"score": 0.5, "eval_loss": 1.0},
            error=crash if state == "failed" else None,
        )
    )


def queue(*words: str) -> int:
    return main(["queue", NAME, *words])


def whys(loop: LoopFolder) -> list[str]:
    return [each.why for each in read_queue(loop)]


def test_drafts_are_added_listed_moved_and_taken_out(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue() == 0
    assert "the queue is empty" in capsys.readouterr().out
    for why, rate in (("first", "1e-3"), ("second", "2e-3"), ("third", "-1")):
        code = queue("--add", "--set", f"learning_rate={rate}", "--why", why)
        assert code == (2 if rate == "-1" else 0)
    assert "training.learning_rate" in capsys.readouterr().err
    assert queue("--move", "2", "1") == 0
    out = capsys.readouterr().out
    assert "moved to 1: second" in out
    assert out.index("2e-3") < out.index("1e-3")
    assert queue("--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert [each["set"] for each in told["drafts"]] == [
        {"training.learning_rate": 2e-3},
        {"training.learning_rate": 1e-3},
    ]
    assert (told["loop"], told["running"]) == (NAME, False)
    assert queue("--remove", "1") == 0
    assert whys(loop) == ["first"]
    assert queue("--remove", "2") == 2
    assert queue("--clear") == 0
    assert whys(loop) == []


def test_the_draft_of_the_app_is_queued_and_makes_room_for_another(loop: LoopFolder) -> None:
    assert queue("--add-draft") == 2
    write_draft(loop, new_draft(loop, None).with_value("lora.r", 4).with_why("wider"))
    assert queue("--add-draft") == 0
    assert read_draft(loop) is None
    (queued,) = read_queue(loop)
    assert (queued.why, queued.set) == ("wider", {"lora.r": 4})


@pytest.mark.train
def test_what_the_gate_refuses_returns_to_the_top_of_the_queue(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refusals = [
        error(CheckKind.CONFIG, "training.optim: no such package"),
        error(CheckKind.MODEL, "the model is an encoder"),
    ]

    def run(
        _: LoopFolder, folders: list[IterationFolder], *args: Any, **more: Any
    ) -> tuple[list[Iteration], bool]:
        if "refused" in folders[-1].read_decision().why:
            shutil.rmtree(folders[-1].path)
            raise ChecksFailed(refusals)
        finish(folders[-1])
        return [iteration_of(folders[-1])], False

    monkeypatch.setattr(unattended_runs, "run_to_end", run)
    for why in ("refused", "fine"):
        queue("--add", "--set", "learning_rate=1e-3", "--why", why)
    capsys.readouterr()
    assert queue("--run", "--json") == 1
    record = json.loads(capsys.readouterr().out)
    assert [each["why"] for each in record["refused"]] == ["refused"]
    assert [each["number"] for each in record["iterations"]] == [1]
    (left,) = read_queue(loop)
    assert left.why == "refused"
    assert left.problem == "training.optim: no such package; the model is an encoder"


def test_repeats_are_drafts_of_their_own(loop: LoopFolder) -> None:
    assert queue("--add", "--repeat", "3", "--why", "noise") == 0
    assert len({str(each.set.get("training.seed")) for each in read_queue(loop)}) == 3
    assert queue("--add", "--repeat", "0") == 2


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "lora.r=4"),
        ("--detach",),
        ("--run", "--why", "x"),
        ("--remove", "1", "--from", "1"),
        pytest.param(("--run",), marks=pytest.mark.train),
        ("--add", "--clear"),
    ],
)
def test_what_makes_no_sense_is_refused(loop: LoopFolder, words: tuple[str, ...]) -> None:
    assert queue(*words) == 2


@pytest.mark.train
def test_all_are_run_in_order_whatever_becomes_of_each(
    loop: LoopFolder, runs: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    queue("--add", "--why", "one")
    queue("--add", "--why", "two failed")
    queue("--add", "--set", "data.train=nowhere.jsonl", "--why", "three has no data")
    queue("--add", "--why", "four")
    capsys.readouterr()
    assert queue("--run", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert runs == [1, 2, 3]
    assert [each["decision"] for each in told["iterations"]] == ["one", "two failed", "four"]
    assert [each["state"] for each in told["iterations"]] == ["finished", "failed", "finished"]
    (refused,) = told["refused"]
    assert "nowhere.jsonl" in refused["problem"]
    assert (told["waiting"], told["stopped"]) == (1, False)
    assert whys(loop) == ["three has no data"]
    assert "nowhere.jsonl" in read_queue(loop)[0].problem
    assert queue() == 0
    assert "nowhere.jsonl" in capsys.readouterr().out
    (loop.root / "nowhere.jsonl").write_text((loop.root / "rows.jsonl").read_text())
    assert queue("--run") == 0  # what was in the way is gone: it is tried again
    assert runs == [1, 2, 3, 4]
    assert whys(loop) == []


@pytest.mark.train
@pytest.mark.parametrize("why", ["one is stopped", "one asks to stop too late"])
def test_a_stop_keeps_the_rest(
    loop: LoopFolder, runs: list[int], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    queue("--add", "--why", why)
    queue("--add", "--why", "two")
    assert queue("--run") == RunStopped.exit_code
    assert runs == [1]
    assert whys(loop) == ["two"]
    assert "1 draft still queued" in capsys.readouterr().out


@pytest.mark.train
def test_what_is_added_meanwhile_is_run_too(
    loop: LoopFolder, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("--add", "--why", "one")
    before = unattended_runs.run_to_end

    def run(*args: Any, **more: Any) -> Any:
        if len(runs) == 0:
            assert queue("--add", "--why", "two") == 0
            assert is_unattended(loop)
            assert queue("--run") == 2
        return before(*args, **more)

    monkeypatch.setattr(unattended_runs, "run_to_end", run)
    assert queue("--run") == 0
    assert runs == [1, 2]


@pytest.mark.train
def test_an_iteration_that_was_created_before_a_crash_is_run_first(
    loop: LoopFolder, runs: list[int]
) -> None:
    queue("--add", "--why", "one")
    queue("--add", "--why", "two")
    marked = mark(loop, read_queue(loop)[0])
    assert marked is not None
    create_iteration(loop, plan_of_queued(loop, marked), {})
    assert queue("--run") == 0
    assert runs == [1, 2]
    assert [iteration_of(loop.iteration(n)).decision for n in (1, 2)] == ["one", "two"]


@pytest.mark.train
def test_a_run_that_is_under_way_is_waited_for(
    loop: LoopFolder, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("--add", "--why", "one")
    living = ["night/7", "night/7", ""]
    monkeypatch.setattr(unattended_runs, "live_run_in", lambda _: living.pop(0))
    monkeypatch.setattr(unattended_runs, "POLL_SECONDS", 0.0)
    assert queue("--run") == 0
    assert runs == [1]
    assert living == []


@pytest.mark.train
def test_an_interrupt_between_two_runs_is_a_stop(
    loop: LoopFolder, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue("--add", "--why", "one")

    def interrupt(_: LoopFolder) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(unattended_runs, "live_run_in", interrupt)
    assert queue("--run") == RunStopped.exit_code
    assert whys(loop) == ["one"]


def test_a_terminal_that_closes_stops_nothing(loop: LoopFolder) -> None:
    queue("--add", "--why", "one")
    script = (
        "import os, signal, sys\n"
        "from tui_loop.cli.unattended_runs import unattended_session\n"
        "from tui_loop.core.record.folders import LoopFolder\n"
        "from pathlib import Path\n"
        "with unattended_session(LoopFolder(Path(sys.argv[1]))):\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "    print('still here', flush=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(loop.path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    assert loop.output.read_text() == "still here\n"


def test_show_and_status_say_what_waits(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queues"] == []
    queue("--add", "--why", "one")
    capsys.readouterr()
    for command in ("show", "status"):
        assert main([command, NAME]) == 0
        assert f"1 draft queued: tui-loop queue {NAME}" in capsys.readouterr().out
    with unattended(loop):
        assert main(["status", "--json"]) == 0
    queues = json.loads(capsys.readouterr().out)["queues"]
    assert queues == [{"loop": NAME, "waiting": 1, "running": True, "problem": None}]
    loop.queue.write_text("[[[")
    for command in ("show", "status"):
        assert main([command, NAME]) == 0
        assert "queue.toml" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.train
def test_a_night_in_the_background(loop: LoopFolder, cli: Cli) -> None:
    for words in (
        ("--set", "data.train=nowhere.jsonl", "--why", "no data"),
        ("--set", "learning_rate=1e-3", "--why", "a run"),
        ("--set", "max_steps=100000", "--set", "eval_steps=0", "--why", "a long run"),
        ("--why", "not today"),
    ):
        assert queue("--add", *words) == 0
    begun = cli("queue", NAME, "--run", "--detach", "--json")
    assert begun.returncode == 0, begun.stderr
    pid = json.loads(begun.stdout)["pid"]
    wait_until(lambda: read_run(loop.iteration(2)).phase == "training", "run 2")
    assert cli("stop", NAME, "--wait").returncode == 0
    wait_until(lambda: not is_unattended(loop), "the end of the queue")
    assert [iteration_of(loop.iteration(n)).state for n in (1, 2)] == ["finished", "stopped"]
    assert whys(loop) == ["no data", "not today"]
    assert "nowhere.jsonl" in read_queue(loop)[0].problem
    wait_until(
        lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", "its end"
    )


def test_who_goes_on_by_itself_is_told_and_no_run_ends_with_it(
    loop: LoopFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert queue_text(loop) == ""
    with unattended(loop, "auto"):
        assert queue_text(loop) == "auto is running"
        assert main(["show", loop.name]) == 0
        assert capsys.readouterr().out.endswith("auto is running\n")
        print_loop(loop, [], Output(as_json=False))
        assert "is running" not in capsys.readouterr().out
    with unattended(loop, "queue"):
        assert queue_text(loop) == "the queue is running its last draft"
