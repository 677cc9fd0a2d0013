"""Files of rows: what is read from where, and every fault by file and line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.data.text_files import is_text_file, read_rows
from tui_loop.core.errors import BadInput


def rows_of(folder: Path, name: str, content: str | bytes) -> list[tuple[int, dict[str, Any]]]:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [(row.line, row.values) for row in read_rows(path)]


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": "x"}\n', [(1, {"a": 1}), (2, {"a": "x"})]),
        ("no newline at the end.jsonl", '{"a": 1}\n{"a": 2}', [(1, {"a": 1}), (2, {"a": 2})]),
        ("blank lines.jsonl", '\n{"a": 1}\n\n  \n{"a": 2}\n', [(2, {"a": 1}), (5, {"a": 2})]),
        ("crlf.ndjson", '{"a": 1}\r\n{"a": 2}\r\n', [(1, {"a": 1}), (2, {"a": 2})]),
        ("bom.jsonl", '\ufeff{"a": 1}\n', [(1, {"a": 1})]),
        ("separator.jsonl", '{"a": "x\u2028y\x85z"}\n{"a": 2}\n',
         [(1, {"a": "x\u2028y\x85z"}), (2, {"a": 2})]),
        ("array.json", '[\n  {"a": 1},\n\n  {\n    "a": 2\n  }, {"a": 3}\n]\n',
         [(2, {"a": 1}), (4, {"a": 2}), (6, {"a": 3})]),
        ("compact.json", '[{"a": 1}, {"a": 2}]', [(1, {"a": 1}), (1, {"a": 2})]),
        ("bom.json", '\ufeff\n[{"a": [1, 2]}]', [(2, {"a": [1, 2]})]),
        ("lines.json", '{"a": 1}\n{"a": 2}\n', [(1, {"a": 1}), (2, {"a": 2})]),
        ("one.json", '{\n"a": 1\n}', [(1, {"a": 1})]),
        ("a.csv", "text,label\nhello,x\nbye,y\n",
         [(2, {"text": "hello", "label": "x"}), (3, {"text": "bye", "label": "y"})]),
        ("quoted.csv", 'text,label\n"a, ""b""",x\n', [(2, {"text": 'a, "b"', "label": "x"})]),
        ("long field.csv", 'text,label\n"one\ntwo\n\nthree",x\nlast,y\n',
         [(2, {"text": "one\ntwo\n\nthree", "label": "x"}), (6, {"text": "last", "label": "y"})]),
        ("blank lines.csv", "\ntext\n\nhello\n\nbye\n",
         [(4, {"text": "hello"}), (6, {"text": "bye"})]),
        ("crlf.csv", "\ufefftext,label\r\na,b\r\n", [(2, {"text": "a", "label": "b"})]),
        ("spaced header.csv", " text , label \na,b\n", [(2, {"text": "a", "label": "b"})]),
        ("a.tsv", "text\tlabel\na, b\tx\n", [(2, {"text": "a, b", "label": "x"})]),
        ("UPPER.CSV", "text\na\n", [(2, {"text": "a"})]),
    ],
)  # fmt: skip
def test_rows_come_with_the_line_where_they_start(
    tmp_path: Path, name: str, content: str, rows: list[tuple[int, dict[str, Any]]]
) -> None:
    assert rows_of(tmp_path, name, content) == rows


@pytest.mark.parametrize(
    ("name", "content", "place", "what"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 2\n', ":2", "is not JSON"),
        ("a.jsonl", '{"a": 1}\n[1]\n', ":2", "must be a JSON object, not list"),
        ("a.jsonl", '"text"\n', ":1", "must be a JSON object, not str"),
        ("a.jsonl", '{"a": 1}\n\nnull\n', ":3", "must be a JSON object"),
        ("a.jsonl", '{"a": NaN}\n', ":1", "is not JSON"),
        ("a.jsonl", '{"a":' * 100_000, ":1", "is not JSON"),
        ("a.jsonl", "", "", "is empty"),
        ("a.jsonl", " \n\n", "", "is empty"),
        ("a.jsonl", b"\xef\xbb\xbf", "", "is empty"),
        ("a.jsonl", b"PK\x03\x04\x00\x00", "", "is a binary file"),
        ("a.jsonl", '{"a": 1}'.encode("utf-16"), "", "is a binary file"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', ":2", "is not UTF-8"),
        ("a.jsonl", b'\xef\xbb\xbf{"a": 1}\n\xff', ":2", "is not UTF-8"),
        ("a.csv", b"text\nna\xefve\n", ":2", "is not UTF-8"),
        ("a.json", '[{"a": 1},\n {"a" 2}]', ":2", "is not JSON"),
        ("a.json", '[{"a": 1},\n\n 3]', ":3", "must be a JSON object, not int"),
        ("a.json", '[{"a": 1},\n', ":2", "not closed"),
        ("a.json", '[{"a": NaN}]', ":1", "is not JSON"),
        ("a.json", "[]", "", "has no rows"),
        ("a.json", '{"data": [{"a": 1}]}', ":1", "not an array of objects"),
        ("a.json", "3", ":1", "not an array of objects"),
        ("a.json", '{"a":' * 100_000, ":1", "is not JSON"),
        ("a.json", "[" + '{"a":' * 100_000, ":1", "is not JSON"),
        ("a.json", '[{"a": 1}]\n[{"a": 2}]', ":2", "after the array"),
        ("a.csv", "text,label\nx,y\na,b,c\n", ":3", "has 3 fields where the header has 2"),
        ("a.csv", 'text,label\n"a\nb",y\na\n', ":4", "has 1 fields where the header has 2"),
        ("a.csv", 'text,label\na,b\n"never closed,y\nz,w\n', ":3", "is not CSV"),
        ("a.csv", 'text\n"a"b\n', ":2", "is not CSV"),
        ("a.csv", "text,text\na,b\n", ":1", "must be given and unique"),
        ("a.csv", "text,\na,b\n", ":1", "must be given and unique"),
        ("a.csv", "text,label\n", "", "has no rows"),
    ],
)  # fmt: skip
def test_a_fault_is_named_by_file_and_line(
    tmp_path: Path, name: str, content: str | bytes, place: str, what: str
) -> None:
    with pytest.raises(BadInput) as caught:
        rows_of(tmp_path, name, content)
    message = caught.value.message
    assert message.startswith(f"{tmp_path / name}{place}: ")
    assert what in message
    assert caught.value.hint


def test_a_missing_file_a_folder_and_an_impossible_name_are_bad_input(tmp_path: Path) -> None:
    (tmp_path / "folder.jsonl").mkdir()
    for name, what in (
        ("none.jsonl", "no such file"),
        ("folder.jsonl", "is a folder"),
        ("n" * 300 + ".jsonl", "no such file"),
        ("a\0b.jsonl", "no such file"),
    ):
        with pytest.raises(BadInput, match=what):
            read_rows(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "known"),
    [("a.jsonl", True), ("a.TSV", True), ("a.parquet", False), ("a", False), ("json", False)],
)
def test_text_formats_are_told_by_their_suffix(name: str, known: bool) -> None:
    assert is_text_file(Path(name)) is known


@given(st.binary(max_size=60) | st.text('[]{}",:a1 \n', max_size=40).map(str.encode))
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv"])
def test_any_bytes_give_rows_or_bad_input(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    path.write_bytes(content)
    try:
        rows = read_rows(path)
    except BadInput:
        return
    assert all(1 <= row.line <= content.count(b"\n") + content.count(b"\r") + 1 for row in rows)
