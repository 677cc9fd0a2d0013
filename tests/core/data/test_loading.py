"""From the config's data group to rows: what is read, split, capped, recorded and said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.rows import RawRow
from tui_loop.core.data.source_rows import Source
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.record.files import sha256_of

LABELS = ("refund", "cancel", "product")


def labelled(count: int, start: int = 0) -> list[dict[str, str]]:
    return [
        {"prompt": f"message {n}", "completion": LABELS[n % 3]} for n in range(start, start + count)
    ]


def write(folder: Path, name: str, rows: Sequence[object]) -> Path:
    path = folder / name
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def load(folder: Path, *settings: str, **more: Any) -> LoadedData:
    return load_data(with_settings(Config(), list(settings)), folder, **more)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with 30 rows to train on and 6 others."""
    write(tmp_path, "train.jsonl", labelled(30))
    write(tmp_path, "eval.jsonl", labelled(6, start=100))
    return tmp_path


def test_without_eval_data_a_part_is_held_out_and_the_notice_says_so(files: Path) -> None:
    loaded = load(files, "data.train=train.jsonl", "eval_fraction=0.2")
    assert (len(loaded.train), len(loaded.eval)) == (24, 6)
    assert not {row.id for row in loaded.train} & {row.id for row in loaded.eval}
    assert loaded.notices == [
        "no eval data given: 6 of 30 rows of train.jsonl are held out for evaluation (seed 0)"
    ]


def test_the_held_out_ids_are_recorded_where_a_part_was_held_out(files: Path) -> None:
    loaded = load(files, "data.train=train.jsonl")
    split = loaded.splits["eval"]
    assert split.held_out
    assert split.ids == tuple(row.id for row in loaded.eval)
    assert split.rows == len(loaded.eval) == 3
    assert split.sha256 == loaded.splits["train"].sha256 == sha256_of(files / "train.jsonl")
    assert loaded.splits["train"].rows == 27


def test_given_eval_data_is_held_out_whole_and_nothing_needs_saying(files: Path) -> None:
    loaded = load(files, "data.train=train.jsonl", "data.eval=eval.jsonl")
    assert (len(loaded.train), len(loaded.eval)) == (30, 6)
    assert (loaded.notices, loaded.warnings) == ([], [])
    split = loaded.splits["eval"]
    assert (split.path, split.rows, split.ids, split.held_out) == ("eval.jsonl", 6, None, False)
    assert split.sha256 == sha256_of(files / "eval.jsonl")


def test_the_same_config_and_files_give_the_same_rows(files: Path) -> None:
    settings = ["data.train=train.jsonl", "max_train_rows=10", "max_eval_rows=2", "split_seed=3"]
    assert load(files, *settings) == load(files, *settings)


def test_the_seed_moves_the_split(files: Path) -> None:
    one, other = (load(files, "data.train=train.jsonl", f"split_seed={n}") for n in (0, 1))
    assert {row.id for row in one.eval} != {row.id for row in other.eval}


def test_caps_keep_file_order_and_are_recorded(files: Path) -> None:
    loaded = load(files, "data.train=train.jsonl", "max_train_rows=10", "max_eval_rows=2")
    for rows, count in ((loaded.train, 10), (loaded.eval, 2)):
        assert len(rows) == count
        assert [row.line for row in rows] == sorted(row.line for row in rows)
    assert (loaded.splits["train"].rows, loaded.splits["eval"].rows) == (10, 2)
    assert loaded.splits["eval"].ids == tuple(row.id for row in loaded.eval)


def test_the_holdout_is_read_checked_and_recorded_but_not_given_out(files: Path) -> None:
    loaded = load(files, "data.train=train.jsonl", "data.holdout=eval.jsonl")
    assert loaded.splits["holdout"].rows == 6
    assert not {"message 100"} & {row.prompt for row in [*loaded.train, *loaded.eval]}
    write(files, "holdout.jsonl", [{"prompt": "p", "completion": None}])
    with pytest.raises(BadInput, match=r"holdout\.jsonl:1: 'completion' must be text"):
        load(files, "data.train=train.jsonl", "data.holdout=holdout.jsonl")


def test_eval_rows_are_read_as_the_training_rows_are(files: Path) -> None:
    write(files, "other.jsonl", [{"message": "q", "completion": "a"}])
    with pytest.raises(BadInput, match=r"other\.jsonl:1: no column 'prompt'"):
        load(files, "data.train=train.jsonl", "data.eval=other.jsonl")


def test_an_eval_file_with_other_columns_is_read_by_these(files: Path) -> None:
    write(files, "other.jsonl", [{"question": "q", "answer": "a"}])
    write(files, "locked.jsonl", [{"instruction": "i", "output": "o"}])
    loaded = load(
        files,
        "data.train=train.jsonl",
        "data.eval=other.jsonl",
        "data.holdout=locked.jsonl",
    )
    assert [(row.prompt, row.reference) for row in loaded.eval] == [("q", "a")]
    assert [(row.prompt, row.reference) for row in loaded.holdout] == [("i", "o")]
    assert loaded.notices == [
        "other.jsonl: uses different columns than the training data: prompt = question, "
        "completion = answer",
        "locked.jsonl: uses different columns than the training data: instruction = instruction, "
        "output = output",
    ]
    assert {name: use.unused for name, use in loaded.use.items()} == {
        "train": (),
        "eval": (),
        "holdout": (),
    }


def test_the_label_set_is_all_labels_seen(files: Path) -> None:
    loaded = load(files, "data.train=train.jsonl", "data.eval=eval.jsonl", "metric=label")
    assert loaded.labels == ["cancel", "product", "refund"]
    assert load(files, "data.train=train.jsonl").labels == []


def test_an_explicit_label_set_is_law(files: Path) -> None:
    settings = ["data.train=train.jsonl", "data.eval=eval.jsonl", "metric=label"]
    loaded = load(files, *settings, "labels=['refund', 'cancel', 'product', 'other']")
    assert loaded.labels == ["refund", "cancel", "product", "other"]
    with pytest.raises(BadInput, match=r"train\.jsonl:3: label 'product' is not in evaluation"):
        load(files, *settings, "labels=['refund', 'cancel']")
    write(files, "eval.jsonl", [*labelled(3), {"prompt": "p", "completion": "reefund"}])
    with pytest.raises(BadInput, match=r"eval\.jsonl:4: label 'reefund' is not in evaluation"):
        load(files, *settings, "labels=['refund', 'cancel', 'product']")


def test_a_held_out_label_that_is_never_trained_on_is_a_warning(files: Path) -> None:
    write(files, "eval.jsonl", [{"prompt": "p", "completion": "new\x1b label"}, *labelled(3)])
    loaded = load(files, "data.train=train.jsonl", "data.eval=eval.jsonl", "metric=label")
    assert loaded.warnings == ["no training row has these labels of held-out rows: new␛ label"]
    assert "new\x1b label" in loaded.labels


def test_no_training_data_is_an_error_that_says_how_to_name_it(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no training data") as caught:
        load(tmp_path)
    assert "--data" in caught.value.hint


@pytest.mark.parametrize("name", ["none.jsonl", "folder/none.csv", "./none.parquet", "/none"])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BadInput, match=r"none.*: no such file"):
        load(tmp_path, f"data.train={name}")


@pytest.mark.parametrize("name", ["there.parquet", "ag_news", "stanfordnlp/imdb"])
def test_what_the_training_stack_must_read_asks_for_the_extra(tmp_path: Path, name: str) -> None:
    (tmp_path / "there.parquet").touch()
    with pytest.raises(NeedsExtra, match=name):
        load(tmp_path, f"data.train={name}")


def test_relative_paths_start_from_the_root_and_absolute_ones_do_not(files: Path) -> None:
    elsewhere = files / "elsewhere"
    elsewhere.mkdir()
    assert len(load(elsewhere, f"data.train={files / 'train.jsonl'}").train) == 27
    with pytest.raises(BadInput, match="no such file"):
        load(elsewhere, "data.train=train.jsonl")


def splits_reader(*names: str) -> Any:
    rows = {
        name: [RawRow(n + 1, row) for n, row in enumerate(labelled(5, start=10 * index))]
        for index, name in enumerate(names)
    }
    return lambda entry, root, config: Source(entry, rows, "0" * 64)


@pytest.mark.parametrize(
    ("names", "settings", "held_out"),
    [
        (("train", "validation", "test"), (), "message 10"),
        (("train", "test"), (), "message 10"),
        (("train", "validation", "test"), ("eval_split=test",), "message 20"),
    ],
)
def test_the_split_held_out_is_validation_else_test_unless_named(
    tmp_path: Path, names: tuple[str, ...], settings: tuple[str, ...], held_out: str
) -> None:
    loaded = load(tmp_path, "data.train=folder", *settings, read=splits_reader(*names))
    assert loaded.train[0].prompt == "message 0"
    assert loaded.eval[0].prompt == held_out
    assert loaded.notices == []


def test_a_source_with_training_rows_alone_has_a_part_held_out(tmp_path: Path) -> None:
    loaded = load(tmp_path, "data.train=folder", read=splits_reader("train", "extra"))
    assert (len(loaded.train), len(loaded.eval)) == (4, 1)
    assert len(loaded.notices) == 1


def test_a_split_that_is_not_there_is_an_error_that_lists_those_there(tmp_path: Path) -> None:
    for setting, names, hint in (
        ("train_split=learn", ("train", "test"), "--set data.train_split=SPLIT"),
        ("eval_split=dev", ("train", "test"), "--set data.eval_split=SPLIT"),
        ("eval_split=tests", ("train", "test"), "--set data.eval_split=test"),
        ("data.holdout=other", ("train", "validation"), "name the file itself"),
    ):
        with pytest.raises(BadInput, match=r"no split .*; the splits are train, ") as caught:
            load(tmp_path, "data.train=folder", setting, read=splits_reader(*names))
        assert caught.value.hint == hint
