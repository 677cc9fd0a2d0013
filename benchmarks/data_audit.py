"""How long the data audit takes over 100,000 training rows of 100 words, on one core."""

from __future__ import annotations

import random
import time
from itertools import accumulate

from benchmarks.measure import Result
from benchmarks.scale import sized
from tui_loop.core.audit.data_audit import audit_data
from tui_loop.core.data.rows import Row

ROWS, HELD = sized((100_000, 5_000), (400, 100))
SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "za", "pre", "con", "ter")
WORDS, ROW_WORDS, ANSWER_WORDS, LABELS = 20_000, 100, 20, 77


def results() -> list[Result]:
    return [_result("labels"), _result("answers")]


def _result(kind: str) -> Result:
    generator = random.Random(0)
    train, held = _rows(ROWS, "t", kind, generator), _rows(HELD, "e", kind, generator)
    took = _processor_seconds(train, held)
    note = f"{ROWS:,} rows of {ROW_WORDS} words against {HELD:,}, CPU time"
    return Result(f"data audit, {kind}", took, 10.0, " s", note=note)


def _processor_seconds(train: list[Row], held: list[Row]) -> float:
    started = time.process_time()
    audit_data(train, held)
    return time.process_time() - started


def _rows(count: int, side: str, kind: str, generator: random.Random) -> list[Row]:
    """Rows of Zipf-like words, with labels or with answers of 20 words."""
    words = ["".join(generator.choices(SYLLABLES, k=generator.randint(1, 4))) for _ in range(WORDS)]
    weights = list(accumulate(1 / (rank + 3) for rank in range(WORDS)))
    rows = []
    for number in range(count):
        text = generator.choices(words, cum_weights=weights, k=ROW_WORDS)
        if kind == "labels":
            prompt, reference = " ".join(text), f"label {generator.randrange(LABELS)}"
        else:
            prompt, reference = " ".join(text[ANSWER_WORDS:]), " ".join(text[:ANSWER_WORDS])
        rows.append(Row(f"{side}{number}", prompt, reference, number + 1))
    return rows
