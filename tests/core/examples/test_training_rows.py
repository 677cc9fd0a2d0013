"""Training rows are read again on request, and it is told where they may be others."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.data.loading import load_data
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.examples.suspects import training_rows
from tui_loop.core.record.folders import IterationFolder, LoopFolder

ROWS = [{"prompt": f"message {index}", "completion": "ab"[index % 2]} for index in range(20)]


@pytest.fixture
def trained(finished: MakeFinished, loop: LoopFolder) -> IterationFolder:
    """An iteration that was trained on `train.jsonl`, with its eval file gone since."""
    for name in ("train", "eval"):
        _write(loop.root / f"{name}.jsonl", ROWS)
    folder = finished([1.0, 0.0], "data.eval=eval.jsonl", "data.max_train_rows=12")
    config = folder.read_config()
    folder.write_config(config, load_data(config, loop.root).splits)
    (loop.root / "eval.jsonl").unlink()
    return folder


def test_the_rows_are_those_that_were_trained_on(trained: IterationFolder) -> None:
    found = training_rows(trained)
    assert len(found.rows) == 12
    assert found.notice == ""
    assert found.files.entries == {"": "train.jsonl"}
    assert found.files.paths == {"": trained.loop.root / "train.jsonl"}
    assert {row.prompt for row in found.rows} <= {row["prompt"] for row in ROWS}


def test_a_changed_file_is_told_and_bad_rows_in_it_are_passed_over(
    trained: IterationFolder,
) -> None:
    mended = [{**row, "completion": "c"} for row in ROWS]
    _write(trained.loop.root / "train.jsonl", [*mended, {"prompt": "x"}])
    found = training_rows(trained)
    assert len(found.rows) == 12
    assert found.notice == (
        "train.jsonl has changed since intents/1 was trained; the rows shown are the current ones"
    )


def test_a_file_written_anew_with_the_same_rows_is_the_same(trained: IterationFolder) -> None:
    path = trained.loop.root / "train.jsonl"
    path.write_text(path.read_text().replace(": ", ":  "))
    assert len(training_rows(trained).rows) == 12
    assert training_rows(trained).notice == ""


def test_a_file_that_is_not_here_is_told(trained: IterationFolder) -> None:
    (trained.loop.root / "train.jsonl").unlink()
    with pytest.raises(BadInput, match="the training data of intents/1 is not on this machine"):
        training_rows(trained)


def test_a_version_that_was_not_recorded_is_told(trained: IterationFolder) -> None:
    trained.write_config(trained.read_config(), {})
    notice = training_rows(trained).notice
    assert notice == "the record does not say which version of train.jsonl was used in training"


def test_the_base_was_not_trained(finished: MakeFinished, loop: LoopFolder) -> None:
    _write(loop.root / "train.jsonl", ROWS)
    assert "untouched base" in training_rows(finished([1.0], base=True)).notice


def test_a_hub_id_needs_the_training_stack(trained: IterationFolder) -> None:
    config = trained.read_config()
    data = msgspec.structs.replace(config.data, train="someone/rows", eval=None)
    trained.write_config(msgspec.structs.replace(config, data=data), trained.read_splits())
    with pytest.raises(NeedsExtra, match="train"):
        training_rows(trained)


def test_no_training_data_is_told(trained: IterationFolder) -> None:
    config = trained.read_config()
    data = msgspec.structs.replace(config.data, train=None)
    trained.write_config(msgspec.structs.replace(config, data=data), trained.read_splits())
    with pytest.raises(BadInput, match="names no training data"):
        training_rows(trained)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
