"""Parquet and folders with splits give the rows that the same data gives as JSON lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.files import streamed_rows
from tui_loop.core.data.files.streamed_rows import StreamedRows
from tui_loop.core.data.loading import LoadedData, load_data
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
    assert data.notices == [
        f"{tmp_path / 'set'}: train is data/train-00000-of-00001.parquet, "
        "validation is validation.jsonl"
    ]


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


LABELLED = [{"text": f"message {n}", "label": n % 2} for n in range(12)]


def load(path: Path, *settings: str) -> LoadedData:
    config = with_settings(Config(), [f"data.train={path}", *settings])
    return load_data(config, path.parent, read_source)


def labelled(rows: Sequence[dict[str, object]]) -> Any:
    """Returns rows as a data set whose labels have names."""
    from datasets import ClassLabel, Dataset, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    return Dataset.from_list(list(rows), features=features)


@pytest.mark.train
def test_labels_have_the_names_that_datasets_notes(tmp_path: Path) -> None:
    from datasets import DatasetDict

    rows = labelled(LABELLED)
    rows.to_parquet(tmp_path / "train.parquet")
    rows.save_to_disk(tmp_path / "one")
    DatasetDict(train=rows, test=labelled(LABELLED[:4])).save_to_disk(tmp_path / "two")
    [stream] = (tmp_path / "one").glob("*.arrow")
    for path in (tmp_path / "train.parquet", tmp_path / "one", stream):
        data = load(path, "metric=label")
        assert data.labels == ["bad", "good"]
        assert len(data.train) == 11
    data = load(tmp_path / "two", "metric=label")
    assert (len(data.train), len(data.eval), data.labels) == (12, 4, ["bad", "good"])
    (tmp_path / "one" / "state.json").write_text("{")
    with pytest.raises(BadInput, match="is not a dataset that save_to_disk wrote"):
        load(tmp_path / "one")


@pytest.mark.train
@pytest.mark.parametrize("suffix", ["arrow", "feather"])
def test_an_arrow_file_is_read(tmp_path: Path, suffix: str) -> None:
    import pyarrow as pa
    from pyarrow import feather, ipc

    table, path = pa.Table.from_pylist(ROWS), tmp_path / f"rows.{suffix}"
    if suffix == "feather":
        feather.write_feather(table, path)
    else:
        with ipc.new_file(path, table.schema) as file:
            file.write_table(table)
    assert len(load(path).train) == 11
    path.write_text("not a table")
    with pytest.raises(BadInput, match=f"not a {suffix.capitalize()} file"):
        load(path)


def test_two_files_of_one_split_are_asked_about(tmp_path: Path, write_lines: Write) -> None:
    for name in ("train", "train_socratic", "test"):
        write_lines(f"set/{name}.jsonl", ROWS)
    with pytest.raises(BadInput) as caught:
        load(tmp_path / "set")
    assert caught.value.message == (
        f"{tmp_path / 'set'}: train.jsonl and train_socratic.jsonl belong to the same split, train"
    )
    assert caught.value.hint.startswith(f"--data {tmp_path / 'set' / 'train.jsonl'}")


def test_the_numbered_parts_of_a_split_are_joined(tmp_path: Path, write_lines: Write) -> None:
    write_lines("set/train-00000-of-00002.jsonl", ROWS[:5])
    write_lines("set/train-00001-of-00002.jsonl", ROWS[5:9])
    write_lines("set/test.csv", [])
    (tmp_path / "set" / "test.csv").write_text("prompt;completion\na;b\n")
    data = load(tmp_path / "set")
    assert (len(data.train), len(data.eval)) == (9, 1)
    assert data.notices == [
        f"{tmp_path / 'set'}: train is train-00000-of-00002.jsonl and 1 further part, "
        "test is test.csv",
        f"{tmp_path / 'set'}: test.csv: the columns are separated by semicolons",
    ]


def test_other_texts_and_hidden_files_of_a_folder_are_no_splits(
    tmp_path: Path, write_lines: Write
) -> None:
    write_lines("set/train.jsonl", ROWS)
    write_lines("set/.cache/test.jsonl", ROWS[:3])
    (tmp_path / "set" / "dev-requirements.txt").write_text("pytest\nruff\n")
    data = load(tmp_path / "set")
    assert data.notices[0] == f"{tmp_path / 'set'}: train is train.jsonl"
    assert (len(data.train), len(data.eval)) == (11, 1)


@pytest.mark.train
def test_a_file_packed_by_zstandard_is_read(tmp_path: Path, write_lines: Write) -> None:
    import pyarrow as pa

    plain = write_lines("rows.jsonl", ROWS)
    packed = tmp_path / "rows.jsonl.zst"
    with pa.output_stream(str(packed), compression="zstd") as file:
        file.write(plain.read_bytes())
    assert load(packed).train == load(plain).train
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(BadInput, match=r"rows\.jsonl\.zst: is damaged"):
        load(packed)


@pytest.mark.train
@pytest.mark.parametrize("kind", ["parquet", "arrow", "feather", "stream", "saved", "folder"])
def test_a_large_table_is_streamed_and_gives_the_same_rows(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datasets import ClassLabel, Dataset, Features, Value
    from pyarrow import feather, ipc

    rows = [{"text": f"message {n}", "label": n % 2, "channel": "abc"[n % 3]} for n in range(2_500)]
    names = ClassLabel(names=["bad", "good"])
    features = Features({"text": Value("string"), "label": names, "channel": Value("string")})
    dataset = Dataset.from_list(rows, features=features)
    table = dataset.data.table
    path = tmp_path / {"stream": "rows.arrow"}.get(kind, f"rows.{kind}")
    if kind == "parquet":
        dataset.to_parquet(str(path))
    elif kind == "feather":
        feather.write_feather(table, path)
    elif kind in ("arrow", "stream"):
        writer = ipc.new_file if kind == "arrow" else ipc.new_stream
        with path.open("wb") as file, writer(file, table.schema) as out:
            out.write_table(table)
    elif kind == "saved":
        dataset.save_to_disk(str(path))
    else:
        path.mkdir()
        dataset.select(range(1_000)).to_parquet(str(path / "train-00000-of-00002.parquet"))
        dataset.select(range(1_000, 2_500)).to_parquet(str(path / "train-00001-of-00002.parquet"))
    config = with_settings(Config(), [f"data.train={path}", "evaluation.metric=label"])
    small = load_data(config, tmp_path, read_source)
    monkeypatch.setattr(streamed_rows, "LARGE", 0)
    rows_of = read_source(str(path), tmp_path, config).splits
    assert all(isinstance(each, StreamedRows) for each in rows_of.values())
    large = load_data(config, tmp_path, read_source)
    assert list(large.train) == list(small.train)
    assert list(large.eval) == list(small.eval)
    assert large.labels == ["bad", "good"]
