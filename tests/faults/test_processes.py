"""Processes that are killed, die with their host, come back as others, or meet."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.core.record.test_lock import holding_process, write
from tests.faults.conftest import begin, step
from tests.faults.kit import Outcome
from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import GONE_AFTER_SECONDS
from tui_loop.core.record.reader import IterationReader

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
    "the clock goes backwards during a run",
    group="process",
    state="finished",
    readable="events in their order; no duration is negative",
)
def test_a_clock_that_goes_backwards_changes_no_order_and_no_state(
    queued: IterationFolder, outcome: Outcome, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tui_loop.core.record import journal as journal_module
    from tui_loop.core.record.events import Progressed, RunEnded

    now = [2_000_000.0]

    def earlier_each_time() -> float:
        now[0] -= 3600.0
        return now[0]

    monkeypatch.setattr(journal_module.time, "time", earlier_each_time)
    journal = begin(Journal(queued.journal))
    reader = IterationReader(queued)
    for number in range(1, 6):
        journal.append(step(number))
    journal.append(Progressed(phase="training", done=5, total=9))
    run = reader.view().run
    assert [point.step for point in run.metrics] == [1, 2, 3, 4, 5]
    left = run.seconds_left(now[0])
    assert left is not None
    assert left >= 0
    journal.append(RunEnded(state="finished"))
    journal.close()
    outcome(queued)
    duration = reader.poll().duration_s
    assert duration is not None
    assert duration >= 0
