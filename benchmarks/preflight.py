"""How long the pre-flight takes over 100,000 rows without torch, each fault planted."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from itertools import accumulate
from pathlib import Path
from statistics import median

from benchmarks.measure import Result
from benchmarks.scale import sized

ROWS, HELD, TURNS = sized((100_000, 5_000, 5), (1000, 400, 1))
SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "za", "pre", "con", "ter")
WORDS = 8_000

TIMED = """
import sys, time
started = time.perf_counter()
from pathlib import Path
from tui_loop.core.preflight.data_checks import check_data
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.config.schema import Config
settings = [f"data.{name}={name}.jsonl" for name in ("train", "eval", "holdout")]
config = with_settings(Config(), settings)
imported = time.perf_counter()
refused = {}
data = load_data(config, Path.cwd(), refused=refused)
read = time.perf_counter()
found = check_data(data, refused)
done = time.perf_counter()
assert "torch" not in sys.modules and "numpy" not in sys.modules
kinds = sorted({each.kind for each in found})
print(imported - started, read - imported, done - read, ",".join(kinds))
"""
PLANTED = {"empty_rows", "duplicate_rows", "conflicting_labels", "leakage_exact", "leakage_near"}


def results() -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder))
        times = [_timed(Path(folder)) for _ in range(TURNS)]
    total = median(sum(each) for each in times)
    parts = ", ".join(
        f"{name} {median(each[place] for each in times):.2f}"
        for place, name in enumerate(("imports", "reading", "checks"))
    )
    note = f"{ROWS:,} rows against {HELD:,} held out, median of {TURNS}: {parts}"
    return [Result("pre-flight of the data", total, 2.0, " s", note=note)]


def _timed(folder: Path) -> tuple[float, float, float]:
    told = subprocess.run(
        [sys.executable, "-c", TIMED], cwd=folder, capture_output=True, text=True, check=True
    )
    imports, reading, checks, kinds = told.stdout.split()
    missed = PLANTED - set(kinds.split(","))
    if missed:
        raise RuntimeError(f"not found: {missed}")
    return float(imports), float(reading), float(checks)


def _write(folder: Path) -> None:
    """Rows of Zipf-like words, most of them unlike each other; a few faults in the training."""
    rng = random.Random(0)
    words = ["".join(rng.choices(SYLLABLES, k=rng.randint(1, 4))) for _ in range(WORDS)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(WORDS)))

    def row() -> dict[str, str]:
        text = " ".join(rng.choices(words, cum_weights=weights, k=rng.randint(8, 24)))
        return {"prompt": text, "completion": f"label {rng.randrange(77)}"}

    held = [row() for _ in range(HELD)]
    train = [row() for _ in range(ROWS)]
    for place in range(0, 200, 10):
        train[place] = {"prompt": held[place]["prompt"].upper(), "completion": "x"}
        train[place + 1] = {**held[place + 1], "prompt": held[place + 1]["prompt"] + " please"}
        train[place + 2] = train[place + 3]
        train[place + 4] = {**train[place + 5], "completion": "another"}
        train[place + 6] = {"prompt": " ", "completion": "x"}
    for name, rows in (("train", train), ("eval", held), ("holdout", held[: HELD // 10])):
        lines = "".join(json.dumps(each) + "\n" for each in rows)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
