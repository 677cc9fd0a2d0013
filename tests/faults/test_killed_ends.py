"""A run that is killed between its final evaluation and its end keeps what it measured."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, Cli
from tests.core.record.test_results import same
from tests.engine.conftest import TinyLoop
from tests.faults.kit import Outcome
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.run_end import restore_ends

MEASURED = ("eval_loss", "score", "passed", "total")

HOST = """
import os, signal, sys
from tui_loop.engine.host import main
def kill(event, arguments):
    if event == "os.rename" and str(arguments[1]).endswith("001/summary.json"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(kill)
sys.exit(main(sys.argv[1:]))
"""


def ledger_rows(loop: LoopFolder) -> dict[str, dict[str, str]]:
    """The ledger by iteration."""
    return {row["number"]: row for row in csv.DictReader(loop.ledger.read_text().splitlines())}


def killed_copies(origin: Path, number: int, copies: Path) -> tuple[Iteration, list[LoopFolder]]:
    """What the run measured, and the loop as each kill left it; the last was not killed."""
    known = LoopFolder(origin).iteration(number).read_summary()
    assert known is not None
    program = Path(__file__).with_name("killed_ends.py")
    command = [sys.executable, str(program), str(origin), str(number), str(copies)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    names = [f"{origin.name}-{at}" for at in range(1, int(done.stdout) + 1)]
    return known, [LoopFolder(copies / "loops" / name) for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 3], ids=["base", "iteration"])
@pytest.mark.fault(
    "a run's process is killed at any write between its final evaluation and its end",
    group="process",
    state="-",
    readable="all that it measured; the next command that may write restores summary and ledger",
)
def test_a_kill_at_any_point_of_the_end_loses_no_result(
    number: int, tmp_path: Path, outcome: Outcome
) -> None:
    origin = tmp_path / "origin" / "intents"
    recorded = CHECKOUT / "loops" / "support-tiny"
    for name in ("000", "002", "003"):
        shutil.copytree(recorded / name, origin / name)
    shutil.copy(recorded / "loop.toml", origin)
    known, loops = killed_copies(origin, number, tmp_path / "copies")
    states = []
    for loop in loops:
        folder = loop.iteration(number)
        iteration = iteration_of(folder)
        states.append(iteration.state)
        if folder.examples.exists():
            for name in MEASURED:
                assert same(iteration.metrics[name], known.metrics[name]), (loop.name, name)
        restore_ends(loop)
        again = iteration_of(folder)
        assert again.metrics == iteration.metrics
        if iteration.state == "finished":
            assert folder.summary.exists()
            assert again.metrics == known.metrics
            assert again.fingerprint == known.fingerprint
            assert ledger_rows(loop)[str(number)]["score"] == str(known.metrics["score"])
            assert again.verdict == known.verdict
    assert set(states) == {"interrupted", "finished"}
    assert states == sorted(states, reverse=True), "once ended, a run is finished for good"
    outcome.checked()


@pytest.mark.slow
@pytest.mark.train
def test_a_real_run_killed_before_its_summary_has_its_score_everywhere(
    tiny_loop: Callable[..., TinyLoop], cli: Cli
) -> None:
    """The host is killed in the moment in which it would put the summary in its place."""
    made = tiny_loop(evaluation={"base": False})
    folder = made.loop.existing(made.plan())
    command = [sys.executable, "-c", HOST, str(made.loop.path), "1"]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not folder.summary.exists()
    recorded = read_run(folder).results
    assert recorded is not None

    shown = json.loads(cli("show", str(folder), "--json").stdout)
    assert (shown["state"], shown["metrics"]) == ("finished", recorded)
    assert shown["fingerprint"]["weights"]
    assert not folder.summary.exists(), "a reading command writes nothing"
    resumed = cli("resume", str(folder))
    assert (resumed.returncode, "is finished" in resumed.stderr) == (2, True)
    again = folder.read_summary()
    assert again is not None
    assert again.metrics == recorded
    assert ledger_rows(made.loop)["1"]["eval_loss"] == str(recorded["eval_loss"])
