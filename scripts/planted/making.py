"""Makes the records of planted problems by real runs, and keeps of them what is record."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scripts.planted.commands import call, commands
from scripts.planted.data import write_data
from scripts.planted.models import write_model
from scripts.planted.scenarios import Scenario
from tui_loop.core.record.folders import LoopFolder

AT_ONCE = 2
NOT_RECORD = (
    "adapter",
    "checkpoints",
    "output.log",
    "run.lock",
    "requests.jsonl",
    "draft.toml",
    "diagnosis.json",
)
"""What is not kept: what cannot be reviewed, and what is derived by the rules under test."""


def make(
    scenarios: Sequence[Scenario], folder: Path, seed: int = 0, *, anew: bool = False
) -> list[str]:
    """Makes the records that `folder` lacks (`anew`: all), two at a time.

    Returns the names of those that failed; their earlier records stay as they were.

    They are made in a folder of their own, so that models and adapters never come near what is
    kept. `seed` moves both the choice of rows and the runs.
    """
    lacking = [each for each in scenarios if anew or not (folder / "loops" / each.name).exists()]
    with tempfile.TemporaryDirectory(prefix="planted-") as made:
        workshop = Path(made)
        for name in sorted({name for each in lacking for name in data_names(each)}):
            write_data(name, folder / "data", seed)
            write_data(name, workshop / "data", seed)
        for model in sorted({each.model for each in lacking if "/" in each.model}):
            write_model(workshop / model, workshop, seed)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            done = pool.map(lambda each: make_one(each, workshop, folder, seed), lacking)
            return [each.name for each, kept in zip(lacking, done, strict=True) if not kept]


def make_one(scenario: Scenario, workshop: Path, folder: Path, seed: int) -> bool:
    """Makes one record and copies it to `folder`; whether that came off."""
    try:
        for command in commands(scenario, seed):
            call(workshop, *command)
    except subprocess.CalledProcessError as error:
        print(f"{scenario.name}: exit {error.returncode}: {error.stderr}", file=sys.stderr)
        return False
    made = workshop / "loops" / scenario.name
    lacking = [n for n in range(1, len(scenario.later) + 2) if not has_ended(made, n)]
    if lacking:
        print(f"{scenario.name}: no record of {lacking}", file=sys.stderr, flush=True)
        return False
    keep(made, folder / "loops" / scenario.name)
    print(f"made {scenario.name}", flush=True)
    return True


def data_names(scenario: Scenario) -> set[str]:
    """The data files that a scenario reads."""
    later = {
        setting.partition("data/")[2].removesuffix(".jsonl")
        for settings in scenario.later
        for setting in settings
        if setting.startswith("data.train=")
    }
    return {scenario.train, scenario.eval, *later}


def has_ended(loop: Path, number: int) -> bool:
    """Whether an iteration ended, well or not."""
    return LoopFolder(loop).iteration(number).summary.exists()


def keep(made: Path, kept: Path) -> None:
    """Copies what is record; files stay as the program wrote them."""
    partial = kept.with_name(f".{kept.name}")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(made, partial, ignore=shutil.ignore_patterns(*NOT_RECORD))
    shutil.rmtree(kept, ignore_errors=True)
    partial.rename(kept)
