"""Which files are offered while a path is typed, and the name that one suggests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tui_loop.core.data.offered_files import Offer, offers, suggested_name


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("b.csv", "A.jsonl", ".hid.csv", "x.doc", "deep/c.json", "deep/in/d.parquet"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    (tmp_path / ".git").mkdir()
    return tmp_path


def paths(root: Path, typed: str, beside: str = "") -> list[str]:
    return [offer.path for offer in offers(root, typed, beside).rows]


def test_data_files_come_before_folders_and_hidden_ones_not_at_all(root: Path) -> None:
    assert paths(root, "") == ["A.jsonl", "b.csv", "deep/"]
    assert paths(root, "deep/") == ["deep/c.json", "deep/in/"]
    assert paths(root, str(root) + "/deep/in/") == [f"{root}/deep/in/d.parquet"]


def test_what_begins_as_typed_comes_before_what_contains_it(root: Path) -> None:
    (root / "cab.csv").write_text("x")
    assert paths(root, "b") == ["b.csv", "cab.csv"]
    assert paths(root, "a.j") == ["A.jsonl"]
    assert paths(root, "nothing") == []


def test_a_file_that_is_there_needs_no_offers(root: Path) -> None:
    assert offers(root, "deep/c.json").is_file
    assert offers(root, " b.csv ").is_file
    assert not offers(root, "deep").is_file


def test_the_folder_of_the_data_comes_first_for_eval_data(root: Path) -> None:
    assert paths(root, "", "deep/c.json")[:2] == ["deep/c.json", "deep/in/"]
    assert paths(root, "b", "deep/c.json") == ["b.csv"]


def test_a_folder_that_is_not_there_is_said(root: Path) -> None:
    assert offers(root, "gone/x").problem == "gone/: No such file or directory"


def test_only_what_can_be_shown_as_it_is_can_be_taken() -> None:
    assert Offer("rows.jsonl").is_plain
    assert Offer("بيانات.jsonl").is_plain
    for path in ("a\x1b[31m.csv", "a\nb.csv", "a\u202eb.csv", "a\udcff.csv", " a.csv"):
        assert not Offer(path).is_plain


@pytest.mark.parametrize(
    ("entry", "taken", "name"),
    [
        ("support.jsonl", [], "support"),
        ("shop/train.jsonl", [], "train"),
        ("shop/rows.csv.gz", [], "rows"),
        ("ROWS.JSONL", [], "rows"),
        ("shop", [], "shop"),
        ("train.jsonl", [], "train"),
        ("My Rows (2).csv", [], "my-rows-2"),
        ("a..b.csv", [], "a.b"),
        ("list.csv", [], "loop"),
        ("بيانات.jsonl", [], "loop"),
        ("support.jsonl", ["support", "support-2"], "support-3"),
    ],
)
def test_a_name_is_made_of_the_files(entry: str, taken: list[str], name: str) -> None:
    assert suggested_name(entry, taken) == name
