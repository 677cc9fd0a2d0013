"""Rows that cannot be used are left out on request, and counted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.source_rows import read_text_source
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.data_checks import check_data
from tui_loop.core.preflight.row_checks import load_usable

GOOD = [{"prompt": f"question {n}", "completion": f"answer {n}"} for n in range(10)]
EMPTY = [{"prompt": "q", "completion": ""}, {"prompt": "q", "completion": None}]
SKIP = "data.on_bad_row=skip"


def load(folder: Path, rows: Sequence[Any], *settings: str, **files: Sequence[Any]) -> LoadedData:
    """Loads rows as training data, and files by name as those of other splits."""
    told = [*settings]
    for name, each in {"train": rows, **files}.items():
        text = "".join(json.dumps(row) + "\n" for row in each)
        (folder / f"{name}.jsonl").write_text(text)
        told.append(f"data.{name}={name}.jsonl")
    return load_data(with_settings(Config(), told), folder)


def talk(*texts: str) -> dict[str, Any]:
    roles = ("user", "assistant")
    turns = [{"role": roles[at % 2], "content": text} for at, text in enumerate(texts)]
    return {"messages": turns}


def test_bad_rows_are_skipped_counted_and_recorded(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, [*GOOD[:3], EMPTY[0], *GOOD[3:], EMPTY[1], {"prompt": "q", "completion": [[1]]}],
        SKIP, eval=[*GOOD[:4], EMPTY[0]],
    )  # fmt: skip
    assert [row.prompt for row in loaded.train] == [row["prompt"] for row in GOOD]
    assert len(loaded.eval) == 4
    assert loaded.splits["train"].left_out == {"empty_rows": 2, "unreadable_rows": 1}
    assert loaded.splits["eval"].left_out == {"empty_rows": 1}
    assert loaded.splits["train"].rows == 10
    said = [(each.severity, each.message) for each in check_data(loaded)][:3]
    assert said == [
        (
            "warning",
            "left out: 2 training rows have an empty prompt or reference: 'completion' is empty, "
            "among other reasons (lines 4, 12)",
        ),
        (
            "warning",
            "left out: 1 training row cannot be read: 'completion' must be text, not list "
            "(line 13)",
        ),
        (
            "warning",
            "left out: 1 held-out row has an empty prompt or reference: 'completion' is empty "
            "(line 5)",
        ),
    ]


@pytest.mark.parametrize("bad", [EMPTY[:1], EMPTY])
def test_bad_rows_are_refused_unless_told_otherwise(tmp_path: Path, bad: list[Any]) -> None:
    with pytest.raises(BadInput, match="is empty"):
        load(tmp_path, [*GOOD, *bad])
    config = with_settings(Config(), ["data.train=train.jsonl"])
    with pytest.raises(BadInput) as caught:
        load_usable(config, tmp_path, read_text_source)
    assert caught.value.hint.endswith("or leave such rows out: --set data.on_bad_row=skip")


def test_where_all_rows_are_bad_nothing_is_loaded(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least 2 are needed to hold one out"):
        load(tmp_path, EMPTY, SKIP)


def test_labels_that_are_not_in_the_set_are_skipped_too(tmp_path: Path) -> None:
    rows = [{"prompt": f"m {n}", "completion": "abc"[n % 3]} for n in range(9)]
    loaded = load(tmp_path, rows, SKIP, "metric=label", "labels=['a', 'b']", eval=rows[:3])
    assert len(loaded.train) == loaded.splits["train"].rows == 6
    assert loaded.splits["train"].left_out == {"unknown_label": 3}
    assert loaded.splits["eval"].left_out == {"unknown_label": 1}
    assert loaded.labels == ["a", "b"]


def test_a_conversation_is_cut_after_its_last_answer(tmp_path: Path) -> None:
    rows = [talk("hi", "hello"), talk("hi", "hello", "more?"), talk("only a question")]
    loaded = load(tmp_path, rows, SKIP, eval=[talk("a", "b"), talk("a", "b", "c")])
    assert [len(row.messages) for row in loaded.train] == [2, 2]
    assert loaded.splits["train"].left_out == {"wrong_roles": 1, "cut": 1}
    assert loaded.splits["eval"].left_out == {"cut": 1}
    said = [each.message for each in check_data(loaded)]
    assert "in 1 training conversation, user turns after the last answer are cut off" in said


def test_repeats_are_dropped_on_request(tmp_path: Path) -> None:
    other = {"prompt": "question 1", "completion": "another answer"}
    rows = [GOOD[1], GOOD[0], GOOD[1], other, *GOOD[2:], GOOD[0]]
    loaded = load(tmp_path, rows, "data.drop_duplicates=true", eval=[GOOD[3], GOOD[3]])
    assert [row.line for row in loaded.train] == [1, 2, 4, *range(5, 13)]
    assert len(loaded.eval) == 1
    assert loaded.splits["train"].left_out == {"repeats": 2}
    said = [(each.severity, each.message) for each in check_data(loaded)]
    assert ("info", "2 training rows repeat another row and are left out") in said
    assert ("info", "1 held-out row repeats another row and is left out") in said
    assert load(tmp_path, rows).splits["train"].left_out == {}


def test_the_text_nan_in_an_input_is_no_value_and_is_named(tmp_path: Path) -> None:
    inputs = ["nan", "NaN", None, "a nanny", "in the shop"]
    rows = [
        {"instruction": f"i {n}", "input": text, "output": "o"} for n, text in enumerate(inputs)
    ]
    loaded = load(tmp_path, rows, eval=rows[3:])
    assert [row.prompt for row in loaded.train] == [
        "i 0", "i 1", "i 2", "i 3\n\na nanny", "i 4\n\nin the shop",
    ]  # fmt: skip
    said = [each.message for each in check_data(loaded)]
    assert '"nan" in column input is read as a missing value in 2 of 5 training rows' in said
