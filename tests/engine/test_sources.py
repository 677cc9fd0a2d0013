"""Parquet and folders with splits give the rows that the same data gives as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.errors import BadInput
from tui_loop.engine.sources import read_source

ROWS = [{"prompt": f"question {n}", "completion": f"answer {n % 3}"} for n in range(12)]
Write = Callable[[str, Sequence[object]], Path]


def write_parquet(path: Path, rows: list[dict[str, str]]) -> Path:
    import pyarrow as pa
    from pyarrow import parquet

    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.mark.train
def test_parquet_gives_the_rows_of_json_lines(tmp_path: Path, write_lines: Write) -> None:
    lines = write_lines("rows.jsonl", ROWS)
    table = write_parquet(tmp_path / "rows.parquet", ROWS)
    by_lines, by_table = (
        load_data(with_settings(Config(), [f"data.train={path}"]), tmp_path, read_source)
        for path in (lines, table)
    )
    assert by_lines.train == by_table.train
    assert by_lines.eval == by_table.eval


@pytest.mark.train
def test_a_folder_with_splits_is_trained_on_train_and_held_out_on_validation(
    tmp_path: Path, write_lines: Write
) -> None:
    write_parquet(tmp_path / "set" / "data" / "train-00000-of-00001.parquet", ROWS[:8])
    write_lines("set/validation.jsonl", ROWS[8:])
    write_lines("set/notes.jsonl", [{"not": "a split"}])
    config = with_settings(Config(), [f"data.train={tmp_path / 'set'}"])
    data = load_data(config, tmp_path, read_source)
    assert [row.prompt for row in data.train] == [row["prompt"] for row in ROWS[:8]]
    assert [row.prompt for row in data.eval] == [row["prompt"] for row in ROWS[8:]]
    assert data.splits["eval"].path.endswith("set#validation")
    assert data.notices == []


@pytest.mark.train
def test_a_file_that_only_calls_itself_parquet_is_bad_input(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    path.write_text("not a table")
    config = with_settings(Config(), [f"data.train={path}"])
    with pytest.raises(BadInput, match="not a Parquet file"):
        load_data(config, tmp_path, read_source)


def test_a_folder_without_splits_says_what_is_looked_for(
    tmp_path: Path, write_lines: Write
) -> None:
    write_lines("set/rows.jsonl", ROWS)
    config = with_settings(Config(), [f"data.train={tmp_path / 'set'}"])
    with pytest.raises(BadInput, match="train, validation or test"):
        load_data(config, tmp_path, read_source)
