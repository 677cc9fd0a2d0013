"""Files of rows: what is read from where, and every fault by file and line."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tui_loop.core.data.files.content import FileContent, ReadOptions
from tui_loop.core.data.files.reading import is_text_file, read_file
from tui_loop.core.errors import BadInput


def content_of(folder: Path, name: str, content: str | bytes, **options: Any) -> FileContent:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_file(path, ReadOptions(**options))


def rows_of(
    folder: Path, name: str, content: str | bytes, **options: Any
) -> list[tuple[int, dict[str, Any]]]:
    """Returns the rows of a file without splits, each with its line."""
    read = content_of(folder, name, content, **options)
    assert list(read.splits) == [""]
    return [(row.line, row.values) for row in read.splits[""]]


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
        ("a.jsonl", '{"a": Infinity}\n', ":1", "is not JSON"),
        ("a.jsonl", '{\n  "a": 1,\n{"a": 2}\n', ":1", "is not JSON"),
        ("a.jsonl", '{\n  "a": 1\n', ":1", "is not JSON"),
        ("a.jsonl", '{"a":' * 100_000, ":1", "is not JSON"),
        ("a.jsonl", "", "", "has no rows"),
        ("a.jsonl", " \n\n", "", "has no rows"),
        ("a.jsonl", b"\xef\xbb\xbf", "", "has no rows"),
        ("a.jsonl", b"PK\x03\x04\x00\x00", "", "is a binary file"),
        ("a.jsonl", '{"a": 1}'.encode("utf-16-le"), "", "is a binary file"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', ":2", "byte 0xFF at position 8 is not UTF-8"),
        ("a.jsonl", b'\xef\xbb\xbf{"a": 1}\n\xff', ":2", "byte 0xFF at position 1"),
        ("a.jsonl", b'\xef\xbb\xbf{"a": "\xff"}', ":1", "is not UTF-8"),
        ("a.csv", b"text\nna\xefve\n", ":2", "byte 0xEF at position 3 is not UTF-8"),
        ("a.txt", b"one\ntwo \xe9", ":2", "byte 0xE9 at position 5 is not UTF-8"),
        ("a.csv", codecs.BOM_UTF16_LE + b"a\0\n", "", "is not text in UTF-16"),
        ("a.jsonl.gz", b"\x1f\x8b\x08\x00", "", "is damaged"),
        ("a.jsonl.gz", b'{"a": 1}', "", "is damaged"),
        ("a.json", '[{"a": 1},\n {"a" 2}]', ":2", "is not JSON"),
        ("a.json", '[{"a": 1},\n\n 3]', ":3", "must be a JSON object, not int"),
        ("a.json", '[{"a": 1},\n', ":2", "not closed"),
        ("a.json", '[{"a": -Infinity}]', ":1", "is not JSON"),
        ("a.json", "[]", "", "has no rows"),
        ("a.json", '{"x": [{"a": 1}], "y": [{"a": 2}]}', "", "could hold the rows: 'x', 'y'"),
        ("a.json", '{"dev": [{"a": 1}], "val": [{"a": 2}]}', "", "name the same split"),
        ("a.json", '{"data": [\n{"paragraphs": 3}]}', ":2", "is not a SQuAD article"),
        ("a.json", "3", ":1", "must be a JSON object, not int"),
        ("a.json", '{"a":' * 100_000, ":1", "is not JSON"),
        ("a.json", "[" + '{"a":' * 100_000, ":1", "is not JSON"),
        ("a.json", '[{"a": 1}]\n[{"a": 2}]', ":2", "after the array"),
        ("a.csv", "text,label\nx,y\na,b,c\n", ":3", "has 3 fields, but the first line has 2"),
        ("a.csv", 'text,label\n"a\nb",y\na\n', ":4", "has 1 field, but the first line has 2"),
        ("a.csv", 'text,label\na,b\n"never closed,y\nz,w\n', ":3", "is not CSV"),
        ("a.csv", 'text\n"a"b\n', ":2", "is not CSV"),
        ("a.csv", "text,text\na,b\n", ":1", "two columns are named 'text'"),
        ("a.csv", "text,\na,b\n", ":1", "column 2 has values such as 'b', but no name"),
        ("a.csv", "text,label\n", "", "has no rows"),
        ("a.csv", "text,\nhi,0\nbye,1\nho,0\n", ":1", "such as '0', but no name"),
        ("a.csv", "text,\n" + "hi,\n" * 300 + "ho,late\n", ":302", "such as 'late'"),
        ("a.csv", "text;label\n" + "a, b;x\n" * 30 + "c;y;z\n", ":32", "has 3 fields"),
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
            read_file(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("a.jsonl", True),
        ("a.TSV", True),
        ("a.txt", True),
        ("a.csv.gz", True),
        ("a.b.JSONL.GZ", True),
        ("a.gz", False),
        ("a.parquet", False),
        ("a.parquet.gz", False),
        ("a", False),
        ("json", False),
    ],
)
def test_text_formats_are_told_by_their_suffix(name: str, known: bool) -> None:
    assert is_text_file(Path(name)) is known


@given(st.binary(max_size=60) | st.text('[]{}",:a1 \n', max_size=40).map(str.encode))
@pytest.mark.parametrize("suffix", ["jsonl", "json", "csv", "tsv", "txt", "jsonl.gz"])
def test_any_bytes_give_rows_or_bad_input(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / f"any.{suffix}"
    path.write_bytes(content)
    try:
        rows = [row for split in read_file(path).splits.values() for row in split]
    except BadInput:
        return
    assert all(1 <= row.line <= content.count(b"\n") + content.count(b"\r") + 1 for row in rows)


SURVEY = "How would you describe the problem that you have with it today?"
TALK = '{"role": "user", "content": "hi"}'


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("over lines.jsonl", '{\n  "a": 1,\n  "b": {\n    "c": 2\n  }\n}\n{\n  "a": 3\n}\n',
         [(1, {"a": 1, "b": {"c": 2}}), (7, {"a": 3})]),
        ("nested last.jsonl", '{\n"a": [\n  {"b": 1},\n  {"b": 2}\n]\n}\n',
         [(1, {"a": [{"b": 1}, {"b": 2}]})]),
        ("nan.jsonl", '{"a": NaN, "b": [1, NaN]}\n{"a": 2}\n',
         [(1, {"a": None, "b": [1, None]}), (2, {"a": 2})]),
        ("wrapped.json", '{"version": 2, "data": [\n{"a": 1},\n{"a": 2}]}',
         [(2, {"a": 1}), (3, {"a": 2})]),
        ("one talk.json", f'{{"id": 1, "messages": [{TALK}]}}',
         [(1, {"id": 1, "messages": [{"role": "user", "content": "hi"}]})]),
        ("by index.json", '{"a": {"0": "x", "1": "y"}, "b": {"0": 1, "1": NaN}}',
         [(1, {"a": "x", "b": 1}), (1, {"a": "y", "b": None})]),
        ("by list.json", '{"a": ["x", "y"], "b": [1, 2]}',
         [(1, {"a": "x", "b": 1}), (1, {"a": "y", "b": 2})]),
        ("split.json", '{"columns": ["a", "b"], "index": [0, 1], "data": [["x", 1], ["y", 2]]}',
         [(1, {"a": "x", "b": 1}), (1, {"a": "y", "b": 2})]),
        ("nested object.json", '{"a": {"x": 1}, "b": {"y": 2}}',
         [(1, {"a": {"x": 1}, "b": {"y": 2}})]),
        ("squad.json", json.dumps({"version": "1.1", "data": [{"title": "t", "paragraphs": [
            {"context": "c", "qas": [
                {"id": "1", "question": "q",
                 "answers": [{"text": "x"}, {"text": "x"}, {"text": "y"}]},
                {"id": "2", "question": "r", "answers": []}]}]}]}),
         [(1, {"id": "1", "title": "t", "context": "c", "question": "q", "answers": ["x", "y"]}),
          (1, {"id": "2", "title": "t", "context": "c", "question": "r", "answers": []})]),
        ("lists.json", '[["where is it?", "order"],\n ["thanks", "praise"]]',
         [(1, {"column1": "where is it?", "column2": "order"}),
          (2, {"column1": "thanks", "column2": "praise"})]),
        ("lists.jsonl", '["a", 1]\n["b", null]\n',
         [(1, {"column1": "a", "column2": 1}), (2, {"column1": "b", "column2": None})]),
        ("by id.json", '{"17": {"q": "x", "n": 1}, "9": {"q": "y", "id": "own"}}',
         [(1, {"id": "17", "q": "x", "n": 1}), (1, {"id": "own", "q": "y"})]),
        ("lines of lists.json", '["a", 1]\n["b", NaN]\n',
         [(1, {"column1": "a", "column2": 1}), (2, {"column1": "b", "column2": None})]),
        ("one row.json", '{"instruction": "do", "history": [["q", "a"], ["r", "b"]]}',
         [(1, {"instruction": "do", "history": [["q", "a"], ["r", "b"]]})]),
        ("a question.json", '{"question": "q", "answers": [{"text": "a", "start": 1}]}',
         [(1, {"question": "q", "answers": [{"text": "a", "start": 1}]})]),
        ("with tools.json", '{"messages": [%s], "tools": [{"name": "t"}]}' % TALK,  # noqa: UP031
         [(1, {"messages": [{"role": "user", "content": "hi"}], "tools": [{"name": "t"}]})]),
        ("cat.csv", "text,label\na,x\ntext,label\nb,label\n",
         [(2, {"text": "a", "label": "x"}), (4, {"text": "b", "label": "label"})]),
        ("survey.csv", f"Timestamp,{SURVEY}\n9:00,it is loud\n9:10,it smells\n",
         [(2, {"Timestamp": "9:00", SURVEY: "it is loud"}),
          (3, {"Timestamp": "9:10", SURVEY: "it smells"})]),
        ("years.csv", "year,2019,2020\n7,1,2\n",
         [(2, {"year": "7", "2019": "1", "2020": "2"})]),
        ("declared.csv", "sep=;\ntext;label\na, b;x\nc;y\n",
         [(3, {"text": "a, b", "label": "x"}), (4, {"text": "c", "label": "y"})]),
        ("a.txt", "one\ntwo\n\n\r\nthree\n", [(1, {"text": "one\ntwo"}), (5, {"text": "three"})]),
        ("lines.txt", "one\n two\rthree",
         [(1, {"text": "one"}), (2, {"text": " two"}), (3, {"text": "three"})]),
        ("index.csv", ",text,label\n0,a b,x\n7,c d,y\n",
         [(2, {"text": "a b", "label": "x"}), (3, {"text": "c d", "label": "y"})]),
        ("extra comma.csv", "text,label,\na,x,\nb,y,\n",
         [(2, {"text": "a", "label": "x"}), (3, {"text": "b", "label": "y"})]),
        ("semicolons.csv", "text;label\na, b;x\nc;y\n",
         [(2, {"text": "a, b", "label": "x"}), (3, {"text": "c", "label": "y"})]),
        ("pipes.csv", "text|label\na|x\n", [(2, {"text": "a", "label": "x"})]),
        ("commas.tsv", "text,label\na,x\n", [(2, {"text": "a", "label": "x"})]),
        ("one column.csv", "text\na; b\nc\n", [(2, {"text": "a; b"}), (3, {"text": "c"})]),
        ("carriage returns.csv", 'text,label\r"a\rb",x\rc,y\r',
         [(2, {"text": "a\rb", "label": "x"}), (4, {"text": "c", "label": "y"})]),
        ("no header.csv", "good,nice lamp\nbad,it broke\ngood,i like it\nbad,oh no\n",
         [(1, {"column1": "good", "column2": "nice lamp"}),
          (2, {"column1": "bad", "column2": "it broke"}),
          (3, {"column1": "good", "column2": "i like it"}),
          (4, {"column1": "bad", "column2": "oh no"})]),
        ("numbers.csv", "1,nice\n0,broken\n",
         [(1, {"column1": "1", "column2": "nice"}), (2, {"column1": "0", "column2": "broken"})]),
        ("long first line.csv", "the lamp has been broken for a week now,x\nok,y\n",
         [(1, {"column1": "the lamp has been broken for a week now", "column2": "x"}),
          (2, {"column1": "ok", "column2": "y"})]),
    ],
)  # fmt: skip
def test_what_other_programs_write_is_read(
    tmp_path: Path, name: str, content: str, rows: list[tuple[int, dict[str, Any]]]
) -> None:
    assert rows_of(tmp_path, name, content) == rows


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.csv", "text;label\na;x\n", "the columns are separated by semicolons"),
        ("a.csv", "text\tlabel\na\tx\n", "the columns are separated by tabs"),
        ("a.csv", ",text\n3,a\n", "column 1 is not used: it is a row index without a name"),
        ("a.csv", "text,\na,\n", "column 2 is not used: it has no name and no values"),
        ("a.csv", "1,a\n2,b\n",
         "no header line found, so the columns are named column1, column2 "
         "(if the first line has the names: --set data.header=yes)"),
        ("a.csv", "where is it now?,card\nlost it,lost\nhi,greet\n",
         "the first line is read as the column names 'where is it now?', 'card' "
         "(if that line is a row: --set data.header=no)"),
        ("a.csv", "text,label\na,x\ntext,label\nb,y\n",
         "1 repeated header line skipped"),
        ("a.csv", 'text,label\n"Wow,pos\ngood,pos\nbad,neg\nend",neg\nlast,pos\n',
         "a quote may be missing: lines that look like rows are inside 1 quoted field, the first "
         "in line 2"),
        ("a.json", '{"version": 1, "train": [{"a": 1}], "test": [{"a": 2}], "val": []}',
         "the splits are 'train', 'test'"),
        ("a.json", '{"data": [{"a": 1}]}', "the rows are in the list 'data'"),
        ("a.json", '{"a": ["x"], "b": [1]}',
         "the file is stored by column, as pandas writes it, so its rows have no line numbers"),
        ("a.jsonl", '{"a": 1}\n{"a": NaN}\n{"a": NaN}\n',
         "NaN in 'a' is read as a missing value in 2 rows, the first in line 2"),
        ("a.txt", "a\n\nb", "each paragraph is read as a row"),
        ("a.txt", "a\nb", "each line is read as a row"),
    ],
)  # fmt: skip
def test_what_was_detected_is_noted(tmp_path: Path, name: str, content: str, note: str) -> None:
    assert content_of(tmp_path, name, content).notes == (note,)


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.csv", "text,label\na,x\n"), ("a.tsv", "a\tb\nc\td\n"), ("a.jsonl", '{"a": 1}')],
)
def test_a_usual_file_has_no_notes(tmp_path: Path, name: str, content: str) -> None:
    assert content_of(tmp_path, name, content).notes == ()


def test_a_file_may_have_splits(tmp_path: Path) -> None:
    text = '{"train": [{"a": 1}],\n "dev": [\n{"a": 2}]}'
    read = content_of(tmp_path, "a.json", text)
    found = {name: [(row.line, row.values) for row in rows] for name, rows in read.splits.items()}
    assert found == {"train": [(1, {"a": 1})], "validation": [(3, {"a": 2})]}
    assert read.notes == ("the splits are 'train', 'dev'",)


def test_splits_of_other_names_are_not_used_where_some_have_just_these(tmp_path: Path) -> None:
    text = '{"train": [["a", "x"]], "oos_train": [["b", "y"]], "test": [["c", "x"]]}'
    read = content_of(tmp_path, "a.json", text)
    found = {name: [row.values["column1"] for row in rows] for name, rows in read.splits.items()}
    assert found == {"train": ["a"], "test": ["c"]}
    assert read.notes == ("the splits are 'train', 'test'", "'oos_train' is not used")


def test_the_header_can_be_given(tmp_path: Path) -> None:
    numbers, names = "1,a\n2,b\n", "text,label\nc,x\n"
    assert rows_of(tmp_path, "a.csv", numbers, header="yes") == [(2, {"1": "2", "a": "b"})]
    assert rows_of(tmp_path, "a.csv", names, header="no")[0] == (
        1,
        {"column1": "text", "column2": "label"},
    )


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16-le", "shift_jis"])
def test_an_encoding_can_be_given(tmp_path: Path, encoding: str) -> None:
    text = "text,label\nwo ist er?,ja\n" if encoding == "shift_jis" else "text,label\nTür,ja\n"
    rows = rows_of(tmp_path, "a.csv", text.encode(encoding), encoding=encoding)
    assert rows == [(2, dict(zip(("text", "label"), text.split("\n")[1].split(","), strict=True)))]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16"])
def test_a_given_encoding_may_have_its_mark(tmp_path: Path, encoding: str) -> None:
    mark = "" if encoding == "utf-16" else "\ufeff"
    raw = f"{mark}text,label\na,x\n".encode(encoding)
    assert rows_of(tmp_path, "a.csv", raw, encoding=encoding) == [(2, {"text": "a", "label": "x"})]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "undefined"])
def test_a_wrong_encoding_is_bad_input(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(BadInput, match="is not text in"):
        content_of(tmp_path, "a.csv", b"text,label\na,x\n", encoding=encoding)


@pytest.mark.parametrize(("byte", "named"), [(b"\x92", "cp1252"), (b"\xe9", "latin-1")])
def test_the_hint_names_the_encoding_that_has_the_byte(
    tmp_path: Path, byte: bytes, named: str
) -> None:
    with pytest.raises(BadInput) as caught:
        content_of(tmp_path, "a.csv", b"text\nit" + byte + b"s\n")
    assert caught.value.hint.endswith(f"--set data.encoding={named}")


def test_deep_values_beside_nan_are_read(tmp_path: Path) -> None:
    deep = "[" * 600 + "]" * 600
    for name in ("a.jsonl", "a.json"):
        [(_, values)] = rows_of(tmp_path, name, f'{{"a": NaN, "b": {deep}, "c": "x"}}')
        assert (values["a"], values["c"]) == (None, "x")


@pytest.mark.parametrize("encoding", ["klingon", "base64", ""])
def test_an_unknown_encoding_is_refused(tmp_path: Path, encoding: str) -> None:
    with pytest.raises(BadInput, match="not a text encoding"):
        content_of(tmp_path, "a.csv", "text\na\n", encoding=encoding)


FIELDS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"], include_characters="\n"),
    max_size=12,
)


@given(
    st.lists(st.tuples(FIELDS, FIELDS), min_size=1, max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
)
@pytest.mark.parametrize("name", ["any.csv", "any.csv.gz"])
def test_csv_is_read_as_it_was_written(  # noqa: PLR0917
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    rows: list[tuple[str, str]],
    separator: str,
    end: str,
    encoding: str,
) -> None:
    """Whatever the separator, quoting, line ends, encoding and compression are."""
    assume(not any(text in ("text", "label") for row in rows for text in row))
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=separator, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows([("text", "label"), *rows])
    path = tmp_path_factory.getbasetemp() / name
    raw = written.getvalue().encode(encoding)
    path.write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)
    read = read_file(path).splits[""]
    assert [tuple(row.values.values()) for row in read] == rows
    assert [list(row.values) for row in read] == [["text", "label"]] * len(rows)
