"""A changed data file is told row by row, by what an earlier iteration saw of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tui_loop.core.data.row_versions import digest_of, rows_changed, write_index
from tui_loop.core.data.rows import Row

ROWS = [Row(f"id{n}", f"prompt {n}", "yes", n) for n in range(5)]


def answered(row: Row, reference: str) -> Row:
    return msgspec.structs.replace(row, reference=reference)


def test_rows_added_removed_and_changed_are_counted(tmp_path: Path) -> None:
    write_index(tmp_path, ROWS)
    after = [answered(ROWS[0], "no"), *ROWS[2:], Row("new", "p", "yes", 9), Row("newer", "", "", 9)]
    assert rows_changed(tmp_path, digest_of(ROWS), after) == {
        "rows_added": 2,
        "rows_removed": 1,
        "rows_changed": 1,
    }


def test_the_same_rows_are_no_change(tmp_path: Path) -> None:
    write_index(tmp_path, ROWS)
    assert rows_changed(tmp_path, digest_of(ROWS), list(ROWS)) is None


def test_a_version_that_is_not_known_cannot_be_told(tmp_path: Path) -> None:
    assert rows_changed(tmp_path, "0" * 12, ROWS) is None


def test_a_version_is_kept_once(tmp_path: Path) -> None:
    write_index(tmp_path, ROWS)
    [index] = (tmp_path / "rows").iterdir()
    before = index.stat().st_mtime_ns
    write_index(tmp_path, ROWS)
    assert index.stat().st_mtime_ns == before
    write_index(tmp_path, ROWS[:2])
    assert len(list((tmp_path / "rows").iterdir())) == 2


def test_the_digest_moves_with_ids_and_references_and_not_with_lines() -> None:
    moved = [msgspec.structs.replace(row, line=row.line + 1) for row in ROWS]
    assert digest_of(moved) == digest_of(ROWS)
    assert digest_of([answered(ROWS[0], "no"), *ROWS[1:]]) != digest_of(ROWS)
    assert digest_of(ROWS[1:]) != digest_of(ROWS)


@pytest.mark.parametrize("name", ["a b", "two\nlines", "\u2028", "\ud800", "tab\t", "ü"])
def test_an_odd_id_is_one_row_like_any_other(tmp_path: Path, name: str) -> None:
    rows = [Row(name, "p", "yes", 1), *ROWS]
    write_index(tmp_path, rows)
    changed = rows_changed(tmp_path, digest_of(rows), [answered(rows[0], "no"), *ROWS])
    assert changed == {"rows_added": 0, "rows_removed": 0, "rows_changed": 1}
