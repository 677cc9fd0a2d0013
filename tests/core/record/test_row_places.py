from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.record import row_places
from tui_loop.core.record.row_places import line_at


@given(st.lists(st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ")), max_size=30))
def test_each_line_is_found_whatever_block_it_stands_in(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]
) -> None:
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(row_places, "BLOCK_BYTES", 50)
        assert [line_at(path, at) for at in range(len(lines))] == lines
        assert not line_at(path, len(lines))
        assert line_at(path, len(lines) + 1) is None


def test_a_file_that_has_changed_is_looked_through_anew(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"one\ntwo\n")
    assert line_at(path, 1) == b"two"
    path.write_bytes(b"first\nsecond\nthird\n")
    assert line_at(path, 1) == b"second"
