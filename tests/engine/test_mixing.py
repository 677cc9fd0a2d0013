"""The training rows of an epoch, drawn from several sources."""

from __future__ import annotations

from collections import Counter

import pytest

from tui_loop.core.config.schema import Config, Data
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput

pytestmark = pytest.mark.train

ROWS = [
    *(Row(f"a{n}", f"a{n}", "x", n, source="a") for n in range(60)),
    *(Row(f"b{n}", f"b{n}", "x", n, source="b") for n in range(30)),
]


def data_of(*settings: str) -> Data:
    sources = ["data.train.a=a.jsonl", "data.train.b=b.jsonl"]
    return with_settings(Config(), [*sources, *settings]).data


def drawn(*settings: str) -> list[Row]:
    from tui_loop.engine.mixing import mixed_rows

    weights = ["data.train.a.weight=1", "data.train.b.weight=1"]
    return mixed_rows(ROWS, data_of(*weights, *settings))


def test_the_draw_is_that_of_the_library() -> None:
    from datasets import Dataset, interleave_datasets

    ids = [[row.id for row in ROWS if row.source == source] for source in "ab"]
    parts = [Dataset.from_dict({"id": each}) for each in ids]
    expected = interleave_datasets(parts, probabilities=[0.5, 0.5], seed=0)["id"]
    assert [row.id for row in drawn()] == list(expected)


def test_it_ends_with_the_first_source_that_is_used_up() -> None:
    counts = Counter(row.source for row in drawn())
    assert counts["b"] == 30 or counts["a"] == 60
    assert max(Counter(row.id for row in drawn()).values()) == 1, "no row is repeated"


def test_it_ends_with_the_last_one_and_repeats_rows_of_the_other() -> None:
    rows = drawn("stopping_strategy=all_exhausted")
    assert {row.id for row in rows} == {row.id for row in ROWS}
    assert max(Counter(row.id for row in rows).values()) > 1


def test_the_seed_decides_it() -> None:
    assert drawn() == drawn()
    assert drawn() != drawn("data.split_seed=1")


def test_sources_without_weights_are_used_once_in_file_order() -> None:
    from tui_loop.engine.mixing import mix_record, mixed_rows

    assert mixed_rows(ROWS, data_of()) == ROWS
    assert mix_record(ROWS, data_of()) == {"mix": {"rows": {"a": 60, "b": 30}}}
    assert mix_record(ROWS, Config().data) == {}


def test_a_source_without_rows_is_refused() -> None:
    from tui_loop.engine.mixing import mixed_rows

    weights = data_of("data.train.a.weight=1", "data.train.b.weight=1")
    with pytest.raises(BadInput, match=r"data\.train\.b: no row of this source is left"):
        mixed_rows(ROWS[:60], weights)
