"""Large files: their rows are streamed, kept in a file, and of capped ones only some are read."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data import loading, row_store
from tui_loop.core.data.files import json_lines, streamed_rows
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.row_store import RowView
from tui_loop.core.data.rows import RawRow, RowRefused
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.data_checks import check_data
from tui_loop.core.preflight.row_checks import conflicting_rows

ROWS = [
    {"prompt": f"question {n % 45}", "completion": ["yes", "no"][n % 3 == 0], "topic": "abc"[n % 3]}
    for n in range(60)
]
CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"hello {n}"},
            {"role": "assistant", "content": "good day", "reasoning": "greet" if n % 2 else ""},
        ],
        "tools": [{"type": "function", "function": {"name": f"f{n}"}}] if n % 5 == 0 else [],
    }
    for n in range(30)
]


@pytest.fixture
def make_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], None]:
    """From its call on, every file counts as large, and no row is kept in memory."""
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "cache"))

    def make() -> None:
        monkeypatch.setattr(streamed_rows, "LARGE", 0)
        monkeypatch.setattr(row_store, "IN_MEMORY", 0)

    return make


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def load(folder: Path, *settings: str, **more: Any) -> LoadedData:
    config = with_settings(Config(), ["data.train=train.jsonl", *settings])
    return load_data(config, folder, **more)


def as_lists(data: LoadedData) -> dict[str, Any]:
    rows = {"train": list(data.train), "eval": list(data.eval), "holdout": list(data.holdout)}
    others = {name: getattr(data, name) for name in ("splits", "notices", "labels", "use")}
    return {**rows, **others}


SETTINGS: dict[str, tuple[str, ...]] = {
    "held out": (),
    "capped": ("data.max_train_rows=7", "data.max_eval_rows=3"),
    "eval": ("data.eval=eval.jsonl", "data.holdout=eval.jsonl"),
    "capped eval": ("data.eval=eval.jsonl", "data.max_train_rows=7", "data.max_eval_rows=5"),
    "labels": ("data.eval=eval.jsonl", "evaluation.metric=label"),
    "set of labels": ('evaluation.labels=["yes", "no"]', "evaluation.metric=label"),
    "no repeats": ("data.drop_duplicates=true",),
    "sources": (
        *("data.train={}", "data.train.a=train.jsonl", "data.train.b=eval.jsonl"),
        *("data.train.a.max_rows=9", "data.eval=eval.jsonl", "data.max_train_rows=11"),
    ),
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("rows", [ROWS, CHATS], ids=["pairs", "chats"])
def test_a_large_file_gives_the_rows_of_a_small_one(
    settings: tuple[str, ...],
    rows: list[dict[str, Any]],
    tmp_path: Path,
    make_large: Callable[[], None],
) -> None:
    if rows is CHATS and any("label" in each for each in settings):
        pytest.skip("chats have no labels")
    write(tmp_path / "train.jsonl", rows)
    write(tmp_path / "eval.jsonl", rows[5:20])
    small = load(tmp_path, *settings)
    assert isinstance(small.train, list)
    make_large()
    large = load(tmp_path, *settings, is_whole=True)
    assert isinstance(large.train, RowView)
    assert as_lists(large) == as_lists(small)
    assert [each.message for each in check_data(large)] == [
        each.message for each in check_data(small)
    ]


@pytest.mark.parametrize("settings", [SETTINGS["capped eval"], SETTINGS["sources"]])
def test_the_rows_that_are_used_are_those_that_a_whole_reading_gives(
    settings: tuple[str, ...], tmp_path: Path, make_large: Callable[[], None]
) -> None:
    rows = [{**row, "prompt": f"question {n}"} for n, row in enumerate(ROWS)]
    write(tmp_path / "train.jsonl", rows[:40])
    write(tmp_path / "eval.jsonl", rows[40:])
    make_large()
    partial, whole = load(tmp_path, *settings), load(tmp_path, *settings, is_whole=True)
    assert partial.use["train"].rows < whole.use["train"].rows
    assert list(partial.train) == list(whole.train)
    assert list(partial.eval) == list(whole.eval)
    assert partial.splits == whole.splits


def test_of_a_capped_file_only_the_rows_that_are_used_are_decoded(
    tmp_path: Path, make_large: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    write(tmp_path / "eval.jsonl", ROWS[:5])
    make_large()
    picked: list[int] = []
    known = json_lines.rows_of_lines

    def watched(
        path: Path, lines: Any, nans: json_lines.NanCounts, first: int = 1
    ) -> Iterator[RawRow]:
        for row in known(path, lines, nans, first):
            if path.name == "train.jsonl" and isinstance(lines, list):
                picked.append(row.line)
            yield row

    monkeypatch.setattr(json_lines, "rows_of_lines", watched)
    data = load(tmp_path, "data.eval=eval.jsonl", "data.max_train_rows=4")
    assert [row.line for row in data.train] == picked
    assert len(picked) == 4


def test_a_bad_row_beyond_the_cap_is_found_by_those_who_read_all(
    tmp_path: Path, make_large: Callable[[], None]
) -> None:
    write(tmp_path / "train.jsonl", [*ROWS, {"prompt": "x", "completion": ""}])
    write(tmp_path / "eval.jsonl", ROWS[:5])
    make_large()
    settings = ("data.eval=eval.jsonl", "data.max_train_rows=4")
    assert len(load(tmp_path, *settings).train) == 4
    with pytest.raises(RowRefused, match=r"train\.jsonl:61: 'completion' is empty"):
        load(tmp_path, *settings, is_whole=True)
    refused: dict[str, list[RowRefused]] = {}
    load(tmp_path, *settings, refused=refused)
    assert [each.line for each in refused["train"]] == [61]


LINES = [json.dumps(row) for row in ROWS]
OTHER_LINES = {
    "blank line first": ("\n" + "\n".join(LINES)).encode(),
    "blank lines": "\n\n".join(LINES).encode(),
    "several lines each": "\n".join(json.dumps(row, indent=1) for row in ROWS).encode(),
    "Windows": "\r\n".join(LINES).encode(),
    "UTF-8 with a mark": "\n".join(LINES).encode("utf-8-sig"),
    "UTF-16": "\n".join(LINES).encode("utf-16"),
    "lists": "\n".join(json.dumps(list(row.values())) for row in ROWS).encode(),
}


@pytest.mark.parametrize("content", OTHER_LINES.values(), ids=OTHER_LINES)
@pytest.mark.parametrize(
    "settings",
    [
        ("data.eval=eval.jsonl", "data.max_train_rows=9"),
        ("data.train=eval.jsonl", "data.eval=train.jsonl", "data.max_eval_rows=9"),
        ("data.eval_fraction=0.4",),
    ],
    ids=["capped", "evaluated", "held out"],
)
def test_other_lines_than_one_object_each_are_read_like_those_of_a_small_file(
    content: bytes, settings: tuple[str, ...], tmp_path: Path, make_large: Callable[[], None]
) -> None:
    (tmp_path / "train.jsonl").write_bytes(content)
    write(tmp_path / "eval.jsonl", [{**row, "prompt": f"more {n}"} for n, row in enumerate(ROWS)])
    if content.startswith(b"["):
        rows = [[f"more {n}", "yes", "a"] for n in range(9)]
        (tmp_path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        columns = 'data.columns={prompt = "column1", completion = "column2"}'
        settings = (*settings, columns)
    small = load(tmp_path, *settings)
    make_large()
    large = load(tmp_path, *settings)
    assert [row.line for row in large.train] == [row.line for row in small.train]
    assert [(row.line, row.columns) for row in large.eval] == [
        (row.line, row.columns) for row in small.eval
    ]


def test_a_file_that_shrinks_while_it_is_read_is_an_error(
    tmp_path: Path, make_large: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    make_large()
    known = loading.split_evaluation

    def shrink(*given: Any) -> Any:
        write(tmp_path / "train.jsonl", ROWS[:2])
        return known(*given)

    monkeypatch.setattr(loading, "split_evaluation", shrink)
    with pytest.raises(BadInput, match=r"train\.jsonl"):
        load(tmp_path)


def test_conflicts_are_found_between_rows_in_a_file_and_rows_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "train.jsonl", ROWS)
    held = [{"prompt": f"question {n}", "completion": "maybe"} for n in range(4)]
    write(tmp_path / "eval.jsonl", held)
    monkeypatch.setattr(row_store, "IN_MEMORY", 300)
    data = load(tmp_path, "data.eval=eval.jsonl")
    assert isinstance(data.train, RowView)
    assert isinstance(data.eval, list)
    (found,) = [each for each in conflicting_rows(data) if "held-out rows" in each.message]
    assert found.count == 4


def test_rows_with_half_a_surrogate_are_kept(
    tmp_path: Path, make_large: Callable[[], None]
) -> None:
    (tmp_path / "rows.json").write_text(
        json.dumps([{"prompt": f"a \ud83d {n}", "completion": "b"} for n in range(6)])
    )
    make_large()
    data = load(tmp_path, "data.train=rows.json")
    prompts = {row.prompt for row in (*data.train, *data.eval)}
    assert prompts == {f"a \ud83d {n}" for n in range(6)}


def test_a_compressed_file_is_streamed_too(tmp_path: Path, make_large: Callable[[], None]) -> None:
    write(tmp_path / "train.jsonl.gz", ROWS)
    write(tmp_path / "train.jsonl", ROWS)
    small = load(tmp_path)
    make_large()
    large = load(tmp_path, "data.train=train.jsonl.gz")
    assert list(large.train) == list(small.train)


def test_a_large_csv_is_streamed(tmp_path: Path, make_large: Callable[[], None]) -> None:
    lines = ["prompt;completion", *(f"question {n};answer {n}" for n in range(40))]
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    small = load(tmp_path, "data.train=train.csv")
    make_large()
    large = load(tmp_path, "data.train=train.csv")
    assert as_lists(large) == as_lists(small)


def test_nothing_is_left_in_the_cache(tmp_path: Path, make_large: Callable[[], None]) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    make_large()
    data = load(tmp_path)
    assert len(data.train)
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_folder_without_room_is_an_error_that_names_it(
    tmp_path: Path, make_large: Callable[[], None]
) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    (tmp_path / "cache").write_text("not a folder")
    make_large()
    with pytest.raises(BadInput, match="cannot store the rows") as raised:
        load(tmp_path)
    assert "TUI_LOOP_CACHE" in raised.value.hint


def test_reading_can_be_watched_and_ended(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", ROWS)
    seen: list[tuple[str, int]] = []
    load(tmp_path, poll=lambda entry, rows: seen.append((entry, rows)))
    assert seen == [("train.jsonl", 0)]

    def end(entry: str, rows: int) -> None:
        raise BadInput("enough")

    with pytest.raises(BadInput, match="enough"):
        load(tmp_path, poll=end)
