"""How often runs of one config are called different.

`python -m scripts.same_config FOLDER [--set K=V]...` makes ten runs on the tiny base that differ
in nothing but the seed (those already in FOLDER are kept) and prints what is said of them:

- every pair as `compare` sees it, with the tests over examples alone for contrast;
- blinded, as if half of the runs were of another config: every split into five and five, and a
  sample of two against two and three against three.

Exits 1 where more than 5% of either are called better or worse.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import combinations
from pathlib import Path

from scripts.reliability import CHECKOUT
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.paired_stats import paired_interval, spread_interval
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader, iterations_of

NAME = "same-config"
SEEDS = range(1, 11)
ALLOWED = 0.05
SAMPLE = 500
DATA = CHECKOUT / "sample_data" / "support-intents"
CONFIG = (
    "learning_rate=2e-3",
    "num_train_epochs=4",
    "per_device_train_batch_size=8",
    "training.max_length=256",
    "lora.r=8",
    "lora_alpha=16",
    'data.prompt_template="Message: {prompt}\\nIntent:"',
    "evaluation.base=false",
    "run.cpu_threads=1",
)
"""The best config of `loops/support-tiny`."""

Run = Sequence[float]
Split = tuple[tuple[int, ...], tuple[int, ...]]


def make_runs(folder: Path, changed: Sequence[str] = ()) -> LoopFolder:
    """The loop with a finished run of every seed; makes those that lack.

    `changed`: settings on top of CONFIG, where the loop is yet to be made.
    """
    loops = LoopsFolder(folder / "loops")
    if NAME not in loops.names():
        settings = [part for setting in (*CONFIG, *changed) for part in ("--set", setting)]
        data = ["--data", f"{DATA}/train.jsonl", "--eval", f"{DATA}/eval.jsonl"]
        _call(loops, "new", NAME, *data, "--model", "tiny", "--metric", "label", *settings)
    loop = loops.loop(NAME)
    for seed in SEEDS:
        if seed not in finished_seeds(loop):
            _call(loops, "run", NAME, "--set", f"seed={seed}", "--why", "one config, ten seeds")
    return loop


def finished_seeds(loop: LoopFolder) -> dict[int, int]:
    """The number of a finished iteration by its seed."""
    return {
        each.config["training"]["seed"]: each.number
        for each in iterations_of(loop)
        if each.state == "finished" and each.config is not None and each.number != 0
    }


def scores_of(loop: LoopFolder, numbers: Iterable[int]) -> list[Run]:
    """The scores of every run, all over the same examples in one order."""
    runs = [
        {row.id: float(row.score or 0) for row in LoopReader(loop).examples(n)} for n in numbers
    ]
    return [[run[name] for name in runs[0]] for run in runs]


def all_halves(count: int) -> Iterator[Split]:
    """Every way to cut `count` runs into two halves, each once."""
    for others in combinations(range(1, count), count // 2 - 1):
        first = (0, *others)
        yield first, tuple(n for n in range(count) if n not in first)


def sampled_groups(count: int, size: int, sample: int) -> list[Split]:
    """`sample` of the ways to take two groups of `size` from `count` runs; the same every time."""
    groups = [
        (first, second)
        for first in combinations(range(count), size)
        for second in combinations([n for n in range(first[0] + 1, count) if n not in first], size)
    ]
    return random.Random(f"{count} {size}").sample(groups, min(sample, len(groups)))


def called_different(runs: Sequence[Run], splits: Iterable[Split]) -> tuple[int, int]:
    """Of how many splits the difference is called real, and how many splits there are."""
    called = total = 0
    for first, second in splits:
        interval = spread_interval([runs[n] for n in first], [runs[n] for n in second])
        called += interval is not None and interval.excludes_zero
        total += 1
    return called, total


def report(loop: LoopFolder) -> bool:
    """Prints what is said of the runs; whether no more than ALLOWED is called different."""
    numbers = [finished_seeds(loop)[seed] for seed in SEEDS]
    runs = scores_of(loop, numbers)
    passed = [sum(run) for run in runs]
    print(f"{len(runs)} runs of one config, seeds {SEEDS[0]} to {SEEDS[-1]}")
    print(f"passed of {len(runs[0])}: {', '.join(f'{each:.0f}' for each in passed)}\n")
    comparer = Comparer(LoopReader(loop))
    pairs = [comparer.compare(a, b) for a, b in combinations(numbers, 2)]
    claims = Counter(pair.claim for pair in pairs)
    print(f"{len(pairs)} pairs, each with all ten runs as replicates; compare says:")
    for claim, times in claims.most_common():
        print(f"  {claim}: {_share(times, len(pairs))}")
    mcnemar = sum(pair.p_value is not None and pair.p_value < 0.05 for pair in pairs)
    intervals = [paired_interval(one, other) for one, other in combinations(runs, 2)]
    bootstrap = sum(each is not None and each.excludes_zero for each in intervals)
    print("the tests over examples alone would call different:")
    print(f"  McNemar, p < 0.05: {_share(mcnemar, len(pairs))}")
    print(f"  bootstrap, 95% interval: {_share(bootstrap, len(pairs))}\n")
    called = sum(times for claim, times in claims.items() if claim in ("better", "worse"))
    is_kept = called <= ALLOWED * len(pairs)
    print("blinded, as if the runs were of two configs; replicates call different:")
    for label, splits in (
        ("5 and 5", list(all_halves(len(runs)))),
        ("3 and 3", sampled_groups(len(runs), 3, SAMPLE)),
        ("2 and 2", sampled_groups(len(runs), 2, SAMPLE)),
    ):
        times, total = called_different(runs, splits)
        print(f"  {label}: {_share(times, total)}")
        is_kept = is_kept and times <= ALLOWED * total
    print(f"\nat most {ALLOWED:.0%} everywhere: {'yes' if is_kept else 'NO'}")
    return is_kept


def _share(times: int, total: int) -> str:
    return f"{times} of {total} ({times / total:.1%})"


def _call(loops: LoopsFolder, *words: str) -> None:
    command = [sys.executable, "-m", "tui_loop", "--loops", str(loops.path), *words]
    subprocess.run(command, check=True, stdout=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--set", action="append", default=[], metavar="K=V", dest="settings")
    told = parser.parse_args()
    sys.exit(0 if report(make_runs(told.folder, told.settings)) else 1)
