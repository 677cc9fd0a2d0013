"""Runs the benchmarks named on the command line, or all of them, and prints a table."""

from __future__ import annotations

import argparse
import importlib

from benchmarks.measure import Result

NAMES = (
    *("journal", "preflight", "generation", "evaluation", "run_overhead"),
    *("first_frame", "keys", "browser", "stalled_terminal", "app_training", "attached", "bytes"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names",
        nargs="*",
        choices=[[], *NAMES],
        metavar="NAME",
        help=f"one of {', '.join(NAMES)} (default: all)",
    )
    names = parser.parse_args().names or NAMES
    for name in names:
        results: list[Result] = importlib.import_module(f"benchmarks.{name}").results()
        for result in results:
            print(result.line(), flush=True)


if __name__ == "__main__":
    main()
