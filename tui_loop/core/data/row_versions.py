"""Records the rows of a split, so that a changed file can be compared row by row later.

One small text file a version of the rows, shared by all iterations that saw it:
`rows/DIGEST.txt` in the loop's folder, a line `id reference-hash` a row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tui_loop.core.data.rows import Row
from tui_loop.core.record.files import read_small, short_hash, write_atomically
from tui_loop.core.record.safe_open import check_within

FOLDER = "rows"


def index_text(rows: Sequence[Row]) -> str:
    """Returns the index of `rows`: ids and hashes of references, in order."""
    hashes = {reference: short_hash(reference) for reference in {row.reference for row in rows}}
    return "".join(f"{_name(row)} {hashes[row.reference]}\n" for row in rows)


def _name(row: Row) -> str:
    """Returns the row's id, as JSON if it would break the line format."""
    return row.id if row.id.isprintable() else json.dumps(row.id)


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
