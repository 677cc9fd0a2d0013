"""Processes that are killed, die with their host, come back as others, or meet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.core.record.test_lock import holding_process, write
from tests.faults.conftest import begin, step
from tests.faults.kit import Outcome
from tests.waiting import PATIENCE_SECONDS
from tui_loop.cli.main import main
from tui_loop.core.record.events import Progressed, RunEnded
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import GONE_AFTER_SECONDS
from tui_loop.core.record.reader import IterationReader
from tui_loop.core.record.state import PACE_SECONDS
from tui_loop.core.snapshot import LoopPoller, SnapshotRequest
from tui_loop.tui.workbench.header import status_line

RUN = """
import sys
from pathlib import Path
from tests.faults.conftest import begin, step
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
folder = Path(sys.argv[1])
with RunLock(folder / "run.lock"):
    journal = begin(Journal(folder / "journal.jsonl"))
    number = 0
    while True:
        number += 1
        journal.append(step(number))
        print(number, flush=True)
"""

START = """
import sys
from pathlib import Path
from tui_loop.core.errors import BadInput
from tui_loop.core.record.lock import RunLock
sys.stdin.readline()
try:
    with RunLock(Path(sys.argv[1])):
        print("began", flush=True)
        sys.stdin.read()
except BadInput as error:
    print(f"error: {error.message}", flush=True)
    sys.exit(error.exit_code)
"""


@pytest.mark.slow
@pytest.mark.fault(
    "a writer is killed with SIGKILL, 200 times at random moments",
    group="process",
    state="-",
    readable="every event that append returned for; the next attempt goes on without a gap",
)
def test_no_acknowledged_event_is_lost_by_two_hundred_kills(
    tmp_path: Path, outcome: Outcome
) -> None:
    program = Path(__file__).with_name("killing.py")
    done = subprocess.run(
        [sys.executable, str(program), str(tmp_path), "40", "5"],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert seen["rounds"] == 200
    assert seen["acknowledged"] > 2000
    assert (seen["lost"], seen["bad_lines"], seen["gaps"]) == (0, 0, 0), seen
    outcome.checked()


@pytest.mark.fault(
    "a run's process is killed with SIGKILL",
    group="process",
    state="interrupted",
    readable="every step that it logged",
)
def test_a_killed_run_is_interrupted_with_all_its_steps(
    queued: IterationFolder, outcome: Outcome
) -> None:
    watcher = IterationReader(queued)  # as a screen that is open all the while
    with subprocess.Popen(
        [sys.executable, "-c", RUN, str(queued.path)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(5)]
        assert watcher.poll().state == "running"
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout if line.endswith("\n")]
    outcome(queued)
    view = watcher.view()
    assert view.state == "interrupted"
    assert [point.step for point in view.run.metrics][: len(told)] == told
    assert (view.bad_lines, view.run.missing) == (0, 0)


@pytest.mark.fault(
    "the host of a run loses its power, and is looked at from another one",
    group="process",
    state="interrupted",
    readable="what was synced",
)
def test_a_run_on_a_host_that_died_is_interrupted(
    queued: IterationFolder, outcome: Outcome
) -> None:
    begin(Journal(queued.journal)).close()
    write(queued.lock, host="another", boot="its boot")
    long_ago = queued.lock.stat().st_mtime - GONE_AFTER_SECONDS - 1
    os.utime(queued.lock, (long_ago, long_ago))
    outcome(queued)


@pytest.mark.fault(
    "the host of a run is started anew",
    group="process",
    state="interrupted",
    readable="what was synced",
)
def test_a_run_before_the_last_boot_is_interrupted(
    queued: IterationFolder, outcome: Outcome
) -> None:
    begin(Journal(queued.journal)).close()
    write(queued.lock, boot="the boot before")
    long_ago = queued.lock.stat().st_mtime - GONE_AFTER_SECONDS - 1
    os.utime(queued.lock, (long_ago, long_ago))
    outcome(queued)


@pytest.mark.fault(
    "a dead run's process number belongs to another process now",
    group="process",
    state="interrupted",
    readable="the whole record",
)
def test_a_process_with_the_number_of_a_dead_run_is_not_taken_for_it(
    queued: IterationFolder, outcome: Outcome
) -> None:
    begin(Journal(queued.journal)).close()
    write(queued.lock, started=psutil.Process().create_time() - 100)
    outcome(queued)


@pytest.mark.fault(
    "the lock file holds garbage",
    group="process",
    state="interrupted",
    readable="the whole record",
)
@pytest.mark.parametrize(
    "content",
    [b"", b"\x00" * 512, b"\xff\xfe", b"junk", b"[" * 4000, b'{"host": 3, "pid": {}}', b"{" * 9999],
    ids=lambda content: repr(content[:8]),
)
def test_a_garbled_lock_file_is_of_no_live_run(
    queued: IterationFolder, content: bytes, outcome: Outcome
) -> None:
    begin(Journal(queued.journal)).close()
    queued.lock.write_bytes(content)
    outcome(queued)


@pytest.mark.fault(
    "a live run's lock file is overwritten with garbage",
    group="process",
    state="running",
    readable="the whole record",
)
def test_a_live_run_with_a_garbled_lock_file_still_holds_it(
    queued: IterationFolder, outcome: Outcome
) -> None:
    begin(Journal(queued.journal)).close()
    with holding_process(queued.lock):
        with queued.lock.open("r+b") as file:
            file.write(b"\xff garbage")
        outcome(queued)


@pytest.mark.fault(
    "several processes start one iteration at once",
    group="process",
    state="-",
    readable="one runs; the others end with one clear error and exit code 2",
)
def test_of_several_starters_at_once_one_runs(queued: IterationFolder, outcome: Outcome) -> None:
    starters = [
        subprocess.Popen(
            [sys.executable, "-c", START, str(queued.lock)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    for starter in starters:
        assert starter.stdin is not None
        starter.stdin.write("now\n")
        starter.stdin.flush()
    said = [starter.stdout.readline() for starter in starters if starter.stdout is not None]
    for starter in starters:
        starter.communicate(timeout=PATIENCE_SECONDS)
    codes = sorted(starter.returncode for starter in starters)
    assert codes == [0, 2, 2, 2]
    assert sorted(said)[0] == "began\n"
    assert all("another process is running this iteration" in line for line in sorted(said)[1:])
    outcome.checked()


@pytest.mark.fault(
    "the clock is set during a run",
    group="process",
    state="finished",
    readable="events in their order; every duration and the time left",
)
@pytest.mark.parametrize("jump", [-86_400.0, 86_400.0])
def test_a_clock_that_is_set_changes_no_order_no_state_and_no_duration(
    jump: float, queued: IterationFolder, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, jumped = time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real() + jumped[0])
    started = time.monotonic()
    journal = begin(Journal(queued.journal))
    reader = IterationReader(queued)
    for number in range(1, 6):
        jumped[0] += jump
        journal.append(step(number))
    journal.append(Progressed(phase="training", done=5, total=10))
    run = reader.view().run
    assert [point.step for point in run.metrics] == [1, 2, 3, 4, 5]
    left = run.seconds_left(time.time())
    assert left is not None
    assert 0 <= left <= time.monotonic() - started + PACE_SECONDS
    journal.append(RunEnded(state="finished"))
    journal.close()
    outcome(queued)
    duration = reader.poll().duration_s
    assert duration is not None
    assert 0 <= duration <= time.monotonic() - started + 0.1


@pytest.mark.fault(
    "the process of a run is stopped with SIGSTOP, or its disk hangs",
    group="process",
    state="running",
    readable="everything; every view says for how long the process has been silent",
)
def test_a_run_whose_process_is_stopped_is_shown_as_silent(
    queued: IterationFolder, outcome: Outcome, capsys: pytest.CaptureFixture[str]
) -> None:
    begin(Journal(queued.journal)).close()
    loops, name = str(queued.loop.path.parent), queued.loop.name
    poller = LoopPoller(queued.loop)

    def printed(*words: str) -> str:
        assert main(["--loops", loops, *words]) == 0
        return capsys.readouterr().out

    def header() -> str:
        snapshot = poller.poll(SnapshotRequest())
        return " ".join(piece.text for piece in status_line(snapshot, time.time())[1])

    with holding_process(queued.lock) as process:
        assert "silent" not in printed("status") + header()
        assert json.loads(printed("status", "--json"))["runs"][0]["silent_s"] is None
        process.send_signal(signal.SIGSTOP)
        beat = queued.lock.stat().st_mtime
        os.utime(queued.lock, (beat, beat - 75))
        outcome(queued)
        for words in (["status"], ["show", name], ["show", f"{name}/1"]):
            assert "running, silent for 7" in printed(*words), words
        assert "training, silent for 7" in printed("list")
        for words in (["show", f"{name}/1", "--json"], ["list", "--json"], ["status", "--json"]):
            [seconds] = _values(json.loads(printed(*words)), "silent_s")
            assert 75 <= seconds < 75 + PATIENCE_SECONDS, words
        fresh = LoopPoller(queued.loop).poll(SnapshotRequest())
        [header_of_it, *_] = status_line(fresh, time.time())[1]
        assert "1 training, silent for 7" in header_of_it.text
        assert header_of_it.style == "warn"
        process.send_signal(signal.SIGCONT)
        os.utime(queued.lock)
        assert "silent" not in printed("status") + header()


def _values(record: Any, name: str) -> list[Any]:
    """Returns all values under a key, at any depth."""
    if isinstance(record, list):
        return [value for each in record for value in _values(each, name)]
    if not isinstance(record, dict):
        return []
    own = [record[name]] if name in record else []
    return own + _values(list(record.values()), name)
