"""The recorded versions of a split's rows.

A version is one small text file, shared by all iterations that used it: `rows/DIGEST.txt` in the
loop's folder, a line `id reference-hash` for each row. With it a changed data file can be compared
row by row later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from tui_loop.core.data.row_store import RowView
from tui_loop.core.data.rows import Row, all_answers
from tui_loop.core.record.files import read_small, short_hash, write_atomically
from tui_loop.core.record.safe_open import check_within

FOLDER = "rows"


def index_text(rows: Sequence[Row]) -> str:
    """Returns the index of `rows`: ids and hashes of references, in order."""
    return "".join(f"{_name(name)} {answers}\n" for name, answers in _hashes(rows))


def _hashes(rows: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Yields (id, hash of the answers); of rows in a file, without reading them."""
    if isinstance(rows, RowView):
        yield from ((name, answers) for name, _, answers, _ in rows.hashes())
        return
    known: dict[str, str] = {}
    for row in rows:
        text = all_answers(row.reference, row.other_references)
        if text not in known:
            known[text] = short_hash(text)
        yield row.id, known[text]


def _name(name: str) -> str:
    """Returns a row's id, as JSON if it would break the line format."""
    return name if name.isprintable() else json.dumps(name)


def digest_of(rows: Sequence[Row]) -> str:
    """Returns the hash that identifies a version of the rows."""
    return short_hash(index_text(rows))


def write_index(loop: Path, rows: Sequence[Row]) -> None:
    """Writes the index of `rows` into the loop's folder, unless it exists."""
    path = loop / FOLDER / f"{digest_of(rows)}.txt"
    if not path.exists():
        check_within(path.parent, loop)
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, index_text(rows))


def drop_index(loop: Path, digest: str) -> None:
    """Removes an index, and the folder of the indexes with the last of them."""
    (loop / FOLDER / f"{digest}.txt").unlink(missing_ok=True)
    with suppress(OSError):  # it has other indexes, or there is none
        (loop / FOLDER).rmdir()


def read_index(loop: Path, digest: str) -> dict[str, str]:
    """{id: reference hash} of the version `digest` of a split's rows, in file order; {} where it
    is not kept. Raises OSError, BadInput.
    """
    path = loop / FOLDER / f"{digest}.txt"
    if not path.exists():
        return {}
    check_within(path.parent, loop)
    return _parsed(read_small(path).decode("utf-8", "replace"))


def rows_changed(loop: Path, digest: str, rows: Sequence[Row]) -> dict[str, int] | None:
    """How `rows` differ from the version `digest`; None if they do not or it is not known."""
    if digest == digest_of(rows) or not (loop / FOLDER / f"{digest}.txt").exists():
        return None
    before = read_index(loop, digest)
    after = _parsed(index_text(rows))
    shared = before.keys() & after.keys()
    return {
        "rows_added": len(after.keys() - before.keys()),
        "rows_removed": len(before.keys() - after.keys()),
        "rows_changed": sum(before[name] != after[name] for name in shared),
    }


def _parsed(text: str) -> dict[str, str]:
    pairs = (line.rpartition(" ") for line in text.splitlines())
    return {name: reference for name, _, reference in pairs}
