"""The share of padding in a batch, from the lengths of the training rows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tui_loop.engine.effective import padding_share

pytestmark = pytest.mark.train


def trainer_of(lengths: list[int], batch: int, **arguments: Any) -> Any:
    from datasets import Dataset

    rows = [[0] * length for length in lengths]
    defaults = {
        "per_device_train_batch_size": batch,
        "packing": False,
        "padding_free": False,
    }
    return SimpleNamespace(
        args=SimpleNamespace(**defaults | arguments),
        train_dataset=Dataset.from_dict({"input_ids": rows}),
    )


@pytest.mark.parametrize(
    ("lengths", "batch", "share"),
    [
        ([10] * 8, 4, 0.0),
        ([10, 10, 10, 2], 4, 0.2),
        ([2] * 31 + [64], 32, 1 - (62 + 64) / (32 * 64)),
    ],
)
def test_a_row_is_padded_to_the_longest_of_its_batch(
    lengths: list[int], batch: int, share: float
) -> None:
    assert padding_share(trainer_of(lengths, batch))["padding_share"] == pytest.approx(
        share, abs=1e-4
    )


def test_of_many_rows_the_share_is_estimated() -> None:
    lengths = [2, 30] * 20_000
    share = padding_share(trainer_of(lengths, 2))["padding_share"]
    # of two random rows both are alike half of the time, else 28 of 60 tokens are padding
    assert share == pytest.approx(14 / (0.5 * 60 + 0.25 * 60 + 0.25 * 4), abs=0.03)


@pytest.mark.parametrize("arguments", [{"packing": True}, {"padding_free": True}])
def test_packed_rows_have_no_padding(arguments: dict[str, bool]) -> None:
    assert padding_share(trainer_of([1, 9], 2, **arguments)) == {}
    assert padding_share(trainer_of([1, 9], 1)) == {}
