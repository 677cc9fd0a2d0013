"""Processes that a benchmark measures whole: commands, and the bare script beside them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psutil

from benchmarks.scale import sized
from tui_loop.core.shipped import shipped

LONGEST_SECONDS = sized(3600, 600)


class BareRun(msgspec.Struct, frozen=True):
    """What the bare script logged: each step's loss, and its time in unix seconds."""

    losses: list[float]
    times: list[float]


def run(
    command: Sequence[str], *, folder: Path | None = None, environment: dict[str, str] | None = None
) -> None:
    """Runs a command to its end; raises RuntimeError with its output unless it exits with 0."""
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command} exited with {done.returncode}: {done.stdout}{done.stderr}")


def run_bare_script(steps: int, batch: int, out: Path) -> BareRun:
    """Trains the tiny base with the bare script, which writes to `out` and beside it."""
    data = shipped("sample_data", "support-intents", "train.jsonl")
    script = Path(__file__).with_name("bare_sft.py")
    words = (script, data, shipped("sample_data", "tiny-base"), steps, batch, out)
    run([sys.executable, *map(str, words)])
    return msgspec.json.decode(out.read_bytes(), type=BareRun)


class Use(msgspec.Struct, frozen=True):
    """The memory of some processes in bytes, and the CPU time that they have had in seconds."""

    memory: int
    cpu: float


def use_of(process: subprocess.Popen[bytes]) -> Use:
    """Returns what a process and all below it use: the app is started by one that waits for it."""
    top = psutil.Process(process.pid)
    family = (top, *top.children(recursive=True))
    times = [each.cpu_times() for each in family]
    return Use(
        sum(each.memory_info().rss for each in family),
        sum(each.user + each.system for each in times),
    )
