"""The command lines that make a scenario's loop."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.planted.scenarios import COMMON, TEMPLATE, Scenario
from scripts.reliability import CHECKOUT

SEED_STEP = 1000
"""Between the seeds of a scenario when the table is made with one seed and with the next."""

RUN_FAILED = 1


def commands(scenario: Scenario, seed: int) -> list[list[str]]:
    """The command lines that make a scenario's loop, the first creates it."""
    settings = [
        *COMMON,
        *([TEMPLATE] if scenario.is_templated else []),
        f"training.seed={scenario.seed + SEED_STEP * seed}",
        *([] if scenario.base else ["evaluation.base=false"]),
        *scenario.settings,
    ]
    new = ["new", scenario.name, "--data", f"data/{scenario.train}.jsonl"]
    new += ["--eval", f"data/{scenario.eval}.jsonl", "--model", scenario.model]
    new += ["--metric", scenario.metric, *_set(settings)]
    runs = [
        ["run", scenario.name, *_set(settings), "--why", why]
        for settings, why in zip(
            ((), *scenario.later), _reasons(len(scenario.later) + 1), strict=True
        )
    ]
    return [new, *runs]


def call(workshop: Path, *words: str) -> None:
    """Runs the program in `workshop`; a run that fails is a record too."""
    command = [sys.executable, "-m", "tui_loop", "--loops", "loops", *words]
    path = os.pathsep.join(filter(None, (str(CHECKOUT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        cwd=workshop,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, RUN_FAILED):
        done.check_returncode()


def _set(settings: Sequence[str]) -> list[str]:
    return [word for setting in settings for word in ("--set", setting)]


def _reasons(count: int) -> list[str]:
    return ["a first run", *["one more change"] * (count - 1)]
