"""Which of a held-out row's other columns are kept to group rows by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.row_versions import digest_of
from tui_loop.core.data.rows import Mapping, RawRow
from tui_loop.core.data.split import MOST_COLUMNS, grouping_columns

PAIR = Mapping("prompt_completion", {"prompt": "prompt", "completion": "completion"})


def grouped(*rows: dict[str, Any], mapping: Mapping = PAIR) -> list[dict[str, str]]:
    raws = [
        RawRow(n, {"prompt": str(n), "completion": "x", **row}) for n, row in enumerate(rows, 1)
    ]
    return [dict(columns) for columns in grouping_columns(raws, mapping)]


def test_columns_of_few_short_values_are_kept_as_text() -> None:
    rows = [
        {"channel": "mail", "stars": 1, "paid": True, "score": 0.5},
        {"channel": " chat ", "stars": 2, "paid": False, "score": 1.5},
    ]
    assert grouped(*rows) == [
        {"channel": "mail", "stars": "1", "paid": "true", "score": "0.5"},
        {"channel": "chat", "stars": "2", "paid": "false", "score": "1.5"},
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("same", "same"),
        ("short", "x" * 41),
        (["a"], ["b"]),
        ({"a": 1}, {"a": 2}),
        ("hf_" + "a1" * 10, "none"),
        ("", None),
        ("only one", ""),
    ],
)
def test_what_cannot_group_rows_is_left_out(first: object, second: object) -> None:
    assert grouped({"extra": first}, {"extra": second}) == [{}, {}]


def test_a_column_that_is_named_as_secrets_are_is_left_out() -> None:
    assert grouped({"api_key": "abcd12345"}, {"api_key": "efgh67890"}) == [{}, {}]


def test_too_many_values_too_long_a_name_and_too_many_columns() -> None:
    assert set(map(str, grouped(*({"n": n} for n in range(21))))) == {"{}"}
    assert grouped(*({"n": n} for n in range(20)))[3] == {"n": "3"}
    assert grouped({"x" * 41: 1}, {"x" * 41: 2}) == [{}, {}]
    many = [{f"c{n}": row for n in range(12)} for row in range(2)]
    assert len(grouped(*many)[0]) == MOST_COLUMNS


def test_a_row_without_a_value_is_left_without_it() -> None:
    assert grouped({"a": "x"}, {"a": None}, {}, {"a": "y"}) == [{"a": "x"}, {}, {}, {"a": "y"}]


def test_columns_with_a_role_are_not_kept() -> None:
    named = Mapping("prompt_completion", {"prompt": "q", "completion": "a", "id": "key"})
    rows = [
        {"q": "1", "a": "2", "key": "3", "id": "4"},
        {"q": "5", "a": "6", "key": "7", "id": "8"},
    ]
    kept = grouped(*rows, mapping=named)
    assert kept[0] == {"prompt": "1", "id": "4"}


def test_rows_of_one_line_have_their_own_columns(tmp_path: Path) -> None:
    rows = [{"prompt": f"p {n}", "completion": "x", "c": "ab"[n % 2]} for n in range(6)]
    rows[2]["completion"] = ""
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    settings = ["data.train=rows.json", "data.eval=rows.json", "data.on_bad_row=skip"]
    data = load_data(with_settings(Config(), settings), tmp_path)
    assert {row.line for row in data.eval} == {1}
    assert [dict(row.columns)["c"] for row in data.eval] == ["a", "b", "b", "a", "b"]


def loaded(folder: Path, *settings: str, extra: bool) -> LoadedData:
    for name, count in (("train", 30), ("eval", 6)):
        rows = [
            {"prompt": f"{name} {n}", "completion": "yn"[n % 2], **({"c": n % 3} if extra else {})}
            for n in range(count)
        ]
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / f"{name}.jsonl").write_text(lines)
    told = ["data.train=train.jsonl", "data.shape=prompt_completion", *settings]
    return load_data(with_settings(Config(), told), folder)


@pytest.mark.parametrize("settings", [["data.eval=eval.jsonl"], ["eval_fraction=0.2"]])
def test_held_out_rows_alone_have_columns_and_are_named_as_without(
    tmp_path: Path, settings: list[str]
) -> None:
    plain = loaded(tmp_path, *settings, extra=False)
    more = loaded(tmp_path, *settings, extra=True)
    assert {dict(row.columns)["c"] for row in more.eval} == {"0", "1", "2"}
    assert all(int(dict(row.columns)["c"]) == int(row.prompt.split()[1]) % 3 for row in more.eval)
    assert not any(row.columns for row in [*more.train, *plain.eval])
    assert [row.id for row in more.eval] == [row.id for row in plain.eval]
    assert digest_of(more.eval) == digest_of(plain.eval) == more.splits["eval"].digest
