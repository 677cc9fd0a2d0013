"""A run records how many training rows max_length cut, and how many it left out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import TinyLoop

pytestmark = pytest.mark.train

SHORT = {"prompt": "late", "completion": "refund"}
LONG = {"prompt": "my parcel is late and nobody answers my letters " * 3, "completion": "refund"}
LONG_ANSWER = {"prompt": "late", "completion": "I am sorry to hear that it is late, " * 6}


@pytest.mark.slow
def test_rows_that_are_cut_or_left_out_are_counted(
    tiny_loop: Callable[..., TinyLoop], tmp_path: Path
) -> None:
    rows = [SHORT] * 4 + [LONG] * 3 + [LONG_ANSWER] * 2
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({**row, "n": n}) + "\n" for n, row in enumerate(rows)))
    loop = tiny_loop(metric="exact_match", data={"train": str(path)}, evaluation={"train_rows": 0})
    once = ["max_steps=1", "eval_steps=0", "evaluation.max_new_tokens=1"]

    whole = loop.run(*once, "training.max_length=512").metrics
    assert (whole["train_rows_cut"], whole["train_rows_dropped"]) == (0, 0)
    longest = whole["train_row_longest"]

    cut = loop.run(*once, "training.max_length=16").metrics
    assert (cut["train_rows_cut"], cut["train_rows_dropped"]) == (5, 3)
    assert cut["train_row_longest"] == longest > 16

    exact = loop.run(*once, f"training.max_length={longest}").metrics
    assert (exact["train_rows_cut"], exact["train_rows_dropped"]) == (0, 0)

    packed = loop.run(*once, "packing=true", "training.max_length=16").metrics
    assert "train_rows_cut" not in packed
    assert 0 < whole["padding_share"] < 1
    assert "padding_share" not in packed
