"""Runs the benchmarks named on the command line, or all of them, and prints a table.

Each has a process of its own. Exits with 1 if one of them failed to run, after the others; a
missed limit is printed and fails nothing.
"""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from benchmarks import scale
from benchmarks.measure import Result

NAMES = (
    *("journal", "full_disk", "preflight", "data_audit", "large_inputs", "generation"),
    *("evaluation", "run_overhead", "first_frame", "keys", "long_lines", "browser"),
    *("stalled_terminal", "app_training", "attached", "bytes", "many_iterations", "big_files"),
    *("large_data", "system_sampler", "charts", "day_of_events"),
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[[], *NAMES],
        metavar="NAME",
        help=f"one of {', '.join(NAMES)} (default: all)",
    )
    parser.add_argument(
        "--scale",
        choices=scale.SCALES,
        default="full",
        help="tiny runs every line in seconds, two benchmarks at once: its figures mean nothing",
    )
    arguments = parser.parse_args()
    scale.choose(arguments.scale)
    names = arguments.names or NAMES
    if len(names) == 1:
        _run_here(names[0])
        return 0
    with ThreadPoolExecutor(scale.sized(1, 2)) as jobs:
        ran = list(jobs.map(_run, names))
    failed = [name for name, is_well in zip(names, ran, strict=True) if not is_well]
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


def _run(name: str) -> bool:
    """Runs a benchmark in a process and prints what it printed; whether it got to its end."""
    started = time.perf_counter()
    command = [sys.executable, "-m", "benchmarks", "--scale", scale.chosen(), name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    took = f"{name}, {time.perf_counter() - started:.1f} s"
    failure = f"{done.stderr}FAILED  {took}, exit code {done.returncode}"
    print(f"{done.stdout}{failure if done.returncode else f'done    {took}'}", flush=True)
    return done.returncode == 0


def _run_here(name: str) -> None:
    results: list[Result] = importlib.import_module(f"benchmarks.{name}").results()
    for result in results:
        print(result.line(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
