"""Ends a run again and again, and kills it at each point between its evaluation and its end.

A program of its own, `python killed_ends.py LOOP NUMBER COPIES`: it forks, which must not happen
in a test's process with its threads. LOOP/NUMBER is a run that has finished. The K-th copy of the
loop is what is left if the process is killed at the K-th write; the last one ended undisturbed.
Prints how many there are.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from tui_loop.core.record.events import AnyEvent, Evaluated
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.journal import Journal
from tui_loop.core.record.lock import RunLock
from tui_loop.core.record.reader import read_run
from tui_loop.core.record.results import Results
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.run_end import write_end

WRITES = ("os.rename", "os.remove", "os.mkdir")


class Countdown:
    """Kills this process at the `left`-th call."""

    def __init__(self, left: int) -> None:
        self._left = left

    def __call__(self) -> None:
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def on_audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_WRONLY
        if is_write or event in WRITES:
            self()


class KilledJournal(Journal):
    """Counts the moments before and after each event."""

    countdown: Countdown

    def append(self, event: AnyEvent) -> None:
        self.countdown()
        super().append(event)
        self.countdown()


def evaluate_and_end(folder: IterationFolder, known: Iteration, countdown: Countdown) -> None:
    """Writes what a run writes from its final evaluation on; `known` is what that is to come to."""
    examples = folder.read_examples()
    tokens = list(folder.read_tokens().values())
    evaluation = read_run(folder).final_evaluation
    assert evaluation is not None
    lines = folder.journal.read_bytes().splitlines(keepends=True)
    begun = max(at for at, line in enumerate(lines) if b'"name":"evaluating"' in line)
    folder.journal.write_bytes(b"".join(lines[: begun + 1]))
    for path in (folder.examples, folder.tokens, folder.summary, folder.diagnosis):
        path.unlink(missing_ok=True)
    folder.loop.ledger.unlink(missing_ok=True)
    with RunLock(folder.lock) as lock:
        KilledJournal.countdown = countdown
        journal = KilledJournal(folder.journal)
        sys.addaudithook(countdown.on_audit)
        folder.write_examples(examples, tokens)
        journal.append(
            Evaluated(step=evaluation.step, epoch=evaluation.epoch, values=evaluation.values)
        )
        results = Results(known.metrics, known.fingerprint)
        write_end(folder, journal, lock, state="finished", error=None, results=results)


def main(origin: Path, number: int, copies: Path) -> int:
    """How many copies were left; the last one's process was not killed."""
    known = LoopFolder(origin).iteration(number).read_summary()
    assert known is not None
    at = 0
    while True:
        at += 1
        loop = copies / "loops" / f"{origin.name}-{at}"
        shutil.copytree(origin, loop)
        child = os.fork()
        if child == 0:
            evaluate_and_end(LoopFolder(loop).iteration(number), known, Countdown(at))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            assert os.WEXITSTATUS(status) == 0, f"point {at} failed"
            return at


if __name__ == "__main__":
    sys.stdout.write(str(main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]))))
