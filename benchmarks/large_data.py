"""A training file of 1.5 GB: memory and time of `new` and `check`, a capped run, keys in the form.

A capped run is compared with a run on a file of just its rows. In the form of a new loop, keys are
pressed while the file is read; each counts until its text is drawn.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from itertools import product
from pathlib import Path

import msgspec
import psutil

from benchmarks.bench_app import environment
from benchmarks.measure import Result, at_share, spread
from benchmarks.scale import sized
from benchmarks.screen import Screen

BYTES = sized(1_500_000_000, 300_000)
CAP = sized(1_000, 40)
MEMORY_MB, NEW_SECONDS, CHECK_SECONDS = 1_000, 31, 108
"""`new` must take no more CPU than 1.2 times 26 s, `check` no more than 1.2 times 90 s."""

RATIO = 1.1
TURNS = sized(2, 1)
FILES = {"capped": "big.jsonl", "small": "small.jsonl"}
KEY_MS = 100
KEYS = sized(80, 3)
PAUSE_SECONDS = 0.1
SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "za", "pre", "con", "ter")
POLL_SECONDS = 0.05


class Used(msgspec.Struct, frozen=True):
    """What a command used: the peak of its anonymous memory, and its time."""

    memory_mb: float
    cpu_seconds: float
    wall_seconds: float


def results() -> list[Result]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = _write(folder)
        new = _used(folder, "new", "big", "--data", "big.jsonl", "--metric", "exact_match")
        check = _used(folder, "check", "big")
        capped, small = _runs(folder)
        keys = {size: _keys(folder, *size) for size in ((80, 24), (160, 48))}
    what = f"a file of {BYTES:,} bytes, {rows:,} rows"
    return [
        Result(f"new on {what}, anonymous memory", new.memory_mb, MEMORY_MB, " MB"),
        Result(f"new on {what}, CPU", new.cpu_seconds, NEW_SECONDS, " s"),
        Result(f"check on {what}, anonymous memory", check.memory_mb, MEMORY_MB, " MB"),
        Result(f"check on {what}, CPU", check.cpu_seconds, CHECK_SECONDS, " s"),
        Result(
            f"run capped at {CAP:,} rows of it over a run on these rows, time",
            capped.wall_seconds / small.wall_seconds,
            RATIO,
            note=f"{capped.wall_seconds:.1f} s and {small.wall_seconds:.1f} s",
        ),
        Result(
            f"run capped at {CAP:,} rows of it over a run on these rows, memory",
            capped.memory_mb / small.memory_mb,
            RATIO,
            note=f"{capped.memory_mb:.0f} MB and {small.memory_mb:.0f} MB",
        ),
        *(
            Result(
                f"key to frame in the form at {size[0]}x{size[1]} while it is read, p95",
                1000 * at_share(costs, 0.95),
                KEY_MS,
                " ms",
                note=spread(costs),
            )
            for size, costs in keys.items()
        ),
    ]


def _write(folder: Path) -> int:
    """Writes the large file, one with its first rows, and evaluation data; returns its rows."""
    draw = random.Random(5)
    words = ["".join(draw.choices(SYLLABLES, k=draw.randint(1, 4))) for _ in range(8_000)]
    count = written = 0
    with (folder / "big.jsonl").open("w") as big, (folder / "small.jsonl").open("w") as small:
        while written < BYTES:
            prompt = " ".join(draw.choices(words, k=draw.randint(60, 120)))
            answer = " ".join(draw.choices(words, k=draw.randint(80, 160)))
            row = {"id": count, "prompt": prompt, "completion": answer, "topic": count % 4}
            line = json.dumps(row) + "\n"
            big.write(line)
            if count < CAP:
                small.write(line)
            count, written = count + 1, written + len(line)
    rows = (folder / "small.jsonl").read_text().splitlines(keepends=True)
    held = [
        line.replace('"prompt": "', f'"prompt": "held {n} ') for n, line in enumerate(rows[:20])
    ]
    (folder / "eval.jsonl").write_text("".join(held))
    return count


def _runs(folder: Path) -> tuple[Used, Used]:
    """Runs the tiny base on the capped large file and on the small file."""
    used: dict[str, list[Used]] = {name: [] for name in FILES}
    for turn, (name, data) in product(range(TURNS), FILES.items()):
        settings = [f"data.max_train_rows={CAP}", "evaluation.base=false"]
        options = [option for setting in settings for option in ("--set", setting)]
        given = ["--data", data, "--eval", "eval.jsonl", "--metric", "none", *options]
        _used(folder, "new", f"{name}-{turn}", *given)
        used[name].append(_used(folder, "run", f"{name}-{turn}", "--why", "a benchmark"))
    return _least(used["capped"]), _least(used["small"])


def _least(used: list[Used]) -> Used:
    """Returns the least of each figure over several runs."""
    return Used(*(min(each) for each in zip(*map(msgspec.structs.astuple, used), strict=True)))


def _used(folder: Path, *words: str) -> Used:
    command = [sys.executable, "-m", "tui_loop", *words]
    started = time.perf_counter()
    before = os.times()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(POLL_SECONDS):
            peak = max(peak, _anonymous_kb(process.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    done.set()
    watcher.join()
    if code:
        raise RuntimeError(f"{' '.join(words)}: exit code {code}")
    after = os.times()
    cpu = after.children_user + after.children_system
    cpu -= before.children_user + before.children_system
    return Used(max(1, peak) / 1024, cpu, time.perf_counter() - started)


def _anonymous_kb(pid: int) -> int:
    """Returns the anonymous memory of a process and of those that it started."""
    try:
        process = psutil.Process(pid)
        return sum(map(_of_process, [process, *process.children(recursive=True)]))
    except psutil.NoSuchProcess:
        return 0


def _of_process(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("RssAnon")), 0)


def _keys(folder: Path, columns: int, lines: int) -> list[float]:
    """Seconds from each key to its frame, while the form reads the large file."""
    costs = []
    with Screen(
        [sys.executable, "-P", "-m", "tui_loop", "--loops", str(folder / "mine")],
        columns=columns,
        lines=lines,
        folder=folder,
        environment=environment(folder),
    ) as screen:
        time.sleep(2)
        screen.send("A")
        screen.wait_for("New loop")
        screen.send("big.jsonl")
        time.sleep(1)
        screen.send("\t\t\t\t\t")
        for number in range(KEYS):
            at = len(screen.reads)
            letter = chr(ord("a") + number % 26)
            sent = screen.send(letter)
            costs.append(screen.wait_for(letter, since=at) - sent)
            time.sleep(PAUSE_SECONDS)
    return costs
