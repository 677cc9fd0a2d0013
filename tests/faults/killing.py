"""Kills writers of journals at random moments and holds what is left against what they said.

A program of its own, `python killing.py FOLDER JOURNALS ATTEMPTS`: it forks its writers, which
must not happen in a test's process with its threads. Writes what it saw as one JSON object.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tui_loop.core.record.events import MetricsLogged, PhaseStarted
from tui_loop.core.record.follower import Follower
from tui_loop.core.record.journal import Journal

MOST_EVENTS = 60
MOST_SECONDS = 0.002


def write(path: Path, acknowledged: int) -> None:
    """A writer: appends without an end, and acknowledges each event when append has returned."""
    journal = Journal(path)
    step = 0
    while True:
        step += 1
        event = PhaseStarted(name="saving") if step % 20 == 0 else _metrics(step)
        journal.append(event)
        os.write(acknowledged, b"+")


def kill_one(path: Path, dice: random.Random) -> int:
    """Starts a writer and kills it at a random moment; how many events it acknowledged."""
    read, acknowledged = os.pipe()
    writer = os.fork()
    if writer == 0:
        os.close(read)
        write(path, acknowledged)
    os.close(acknowledged)
    wanted, count = dice.randrange(MOST_EVENTS), 0
    while count < wanted:
        count += len(os.read(read, wanted - count))
    until = time.perf_counter() + dice.random() * MOST_SECONDS
    while time.perf_counter() < until:
        pass
    os.kill(writer, signal.SIGKILL)
    os.waitpid(writer, 0)
    while rest := os.read(read, 65536):
        count += len(rest)
    os.close(read)
    return count


def main(folder: Path, journals: int, attempts: int) -> dict[str, int]:
    """The sums over all rounds: lost, bad_lines and gaps have to be 0.

    A line is torn now and then, where it crosses a page; it was not acknowledged.
    """
    dice = random.Random(1)
    seen = {"rounds": 0, "acknowledged": 0, "lost": 0, "bad_lines": 0, "gaps": 0, "torn": 0}
    for number in range(journals):
        path, before = folder / f"{number}.jsonl", 0
        for _ in range(attempts):
            acknowledged = kill_one(path, dice)
            reader = Follower(path)
            seqs = [event.seq for event in reader.read_all()]
            seen["rounds"] += 1
            seen["acknowledged"] += acknowledged
            seen["lost"] += max(0, before + acknowledged - len(seqs))
            seen["bad_lines"] += reader.bad_lines
            seen["gaps"] += seqs != list(range(len(seqs)))
            seen["torn"] += path.exists() and not (b"\n" + path.read_bytes()).endswith(b"\n")
            before = len(seqs)
    return seen


def _metrics(step: int) -> MetricsLogged:
    return MetricsLogged(step=step, epoch=step / 7, values={"loss": 1.0 / step, "lr": 1e-4})


if __name__ == "__main__":
    told = main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    sys.stdout.write(json.dumps(told))
