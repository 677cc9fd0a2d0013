"""A table of examples says what the rows say, however its file came to be."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.errors import BadInput
from tui_loop.core.examples import table as table_module
from tui_loop.core.examples.table import FAILED, PASSED, UNSCORED, ExampleTable
from tui_loop.core.record.codec import to_json_lines
from tui_loop.core.record.structs import Example

Make = Callable[..., Example]

TEXT = st.text(max_size=12)
FIGURE = st.none() | st.floats(0, 1)
EXAMPLES = st.lists(
    st.builds(
        Example,
        id=TEXT,
        prompt=TEXT,
        reference=TEXT,
        output=st.none() | TEXT,
        score=FIGURE,
        passed=st.none() | st.booleans(),
        causes=st.lists(TEXT, max_size=2).map(tuple),
        loss=st.none() | st.floats(0, 99) | st.sampled_from(["NaN", "Infinity"]),
        supervised_tokens=st.integers(0, 9),
        output_tokens=st.none() | st.integers(0, 9),
        truncated=st.booleans(),
        source_line=st.integers(0, 99),
        prompt_cut=st.integers(0, 9),
        columns=st.dictionaries(TEXT, TEXT, max_size=2),
    ),
    max_size=8,
)


def written(folder: Path, rows: list[Example]) -> Path:
    path = folder / "examples.jsonl"
    path.write_bytes(to_json_lines(rows))
    return path


@given(EXAMPLES, st.integers(1, 400), st.booleans())
def test_what_was_written_is_what_the_table_has(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Example], chunk: int, kept: bool
) -> None:
    path = written(tmp_path_factory.mktemp("rows"), rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_module, "CHUNK_BYTES", chunk)
        if not kept:
            patch.setattr(table_module, "KEPT_BYTES", 0)
        table = ExampleTable.read(path)
    assert len(table) == len(rows)
    assert list(table) == rows
    assert [table[at] for at in range(len(rows))] == rows
    assert table[:] == rows
    assert table.ids == [row.id for row in rows]
    assert table.references == [row.reference for row in rows]
    assert table.causes == [row.causes for row in rows]
    assert list(table.prompt_lengths) == [len(row.prompt) for row in rows]
    assert list(table.supervised_tokens) == [row.supervised_tokens for row in rows]
    told = {FAILED: False, PASSED: True, UNSCORED: None}
    assert [told[each] for each in table.passed] == [row.passed for row in rows]
    assert [None if math.isnan(each) else each for each in table.scores] == [
        row.score for row in rows
    ]
    assert [None if math.isnan(each) else each for each in table.losses] == [
        math.inf if isinstance(row.loss, str) else row.loss for row in rows
    ]
    in_memory = ExampleTable.of(rows)
    for name in ("ids", "references", "causes", "passed", "prompt_lengths"):
        assert getattr(in_memory, name) == getattr(table, name)


def test_an_item_is_counted_from_the_end_too_and_there_is_none_beyond(
    tmp_path: Path, example: Make
) -> None:
    rows = [example(f"id{index}", 1.0) for index in range(3)]
    table = ExampleTable.read(written(tmp_path, rows))
    assert table[-1] == rows[2]
    for beyond in (3, -4):
        with pytest.raises(IndexError):
            table[beyond]


def test_without_a_file_there_are_no_rows(tmp_path: Path) -> None:
    assert len(ExampleTable.read(tmp_path / "examples.jsonl")) == 0


def test_blank_lines_are_no_rows_and_do_not_move_the_others(tmp_path: Path, example: Make) -> None:
    rows = [example(f"id{index}", 1.0) for index in range(3)]
    lines = [json.dumps(json.loads(line)) for line in to_json_lines(rows).splitlines()]
    path = tmp_path / "examples.jsonl"
    path.write_text(f"\n{lines[0]}\n  \n\n{lines[1]}\r\n{lines[2]}")
    table = ExampleTable.read(path)
    assert list(table) == rows
    assert table[1] == rows[1]


@pytest.mark.parametrize(
    ("spoilt", "line"),
    [
        (lambda lines: [lines[0], lines[1][:40]], 2),
        (lambda lines: [lines[0], "", "{}", lines[2]], 3),
        (lambda lines: [lines[0], lines[1], lines[2].replace('"score":1.0', '"score":"x"')], 3),
        (lambda lines: [f"{lines[0]} {lines[1]}", lines[2]], 1),
        (lambda lines: [lines[0], "[" * 100_000, lines[2]], 2),
    ],
    ids=["torn", "without keys", "of another kind", "two in one line", "deep"],
)
def test_a_line_that_cannot_be_read_is_named_and_left_out(
    tmp_path: Path, example: Make, spoilt: Callable[[list[str]], list[str]], line: int
) -> None:
    rows = [example(f"id{index}", 1.0) for index in range(3)]
    path = tmp_path / "examples.jsonl"
    lines = spoilt(to_json_lines(rows).decode().splitlines())
    path.write_text("\n".join(lines))
    table = ExampleTable.read(path)
    assert table.bad_lines == 1
    assert f"examples.jsonl:{line}: " in str(table.problem)
    good = [row for row in rows if to_json_lines([row]).decode().strip() in lines]
    assert list(table) == good != []
    assert [table[at] for at in range(len(table))] == good
    path.write_text(lines[line - 1])
    with pytest.raises(BadInput, match=r"examples\.jsonl:1: "):
        ExampleTable.read(path)


def test_half_a_surrogate_pair_is_read_as_a_replacement(tmp_path: Path, example: Make) -> None:
    path = written(tmp_path, [example("a", 1.0), example("b", 1.0)])
    path.write_text(path.read_text().replace("prompt of b", r"lone \\ud83d".replace("\\\\", "\\")))
    table = ExampleTable.read(path)
    assert table[1].prompt == "lone \ufffd"
    assert list(table.prompt_lengths) == [len("prompt of a"), len("lone \ufffd")]


def test_a_line_longer_than_a_record_may_be_is_refused(
    tmp_path: Path, example: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, [example("a", 1.0), example("b", 1.0, prompt="x" * 3000)])
    monkeypatch.setattr(table_module, "CHUNK_BYTES", 256)
    monkeypatch.setattr(table_module, "LINE_BYTES", 2000)
    with pytest.raises(BadInput, match=r":2: the row is too long"):
        ExampleTable.read(path)


def test_only_some_rows_stay_decoded(
    tmp_path: Path, example: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "DECODED_ROWS", 2)
    table = ExampleTable.read(written(tmp_path, [example(f"id{n}", 1.0) for n in range(5)]))
    first = table[0]
    assert table[0] is first
    assert [table[n].id for n in range(1, 5)] == ["id1", "id2", "id3", "id4"]
    assert table[0] is not first
    assert table[0] == first


def test_a_large_file_that_has_changed_or_gone_is_told(
    tmp_path: Path, example: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_module, "KEPT_BYTES", 10)
    path = written(tmp_path, [example(name, 1.0) for name in ("aa", "bb", "cc")])
    table = ExampleTable.read(path)
    assert table[1].id == "bb"
    written(tmp_path, [example(name, 1.0) for name in ("bb", "cc", "aa")])
    with pytest.raises(BadInput, match="changed while it was being read"):
        table[2]
    path.unlink()
    with pytest.raises(BadInput, match=r"examples\.jsonl"):
        table[0]
    assert table[1].id == "bb"


def test_what_is_searched_and_what_was_said_are_folded(example: Make) -> None:
    row = example("ID1", 0.0, prompt="Where IS it?", reference="Straße", output="  Refund IT \n")
    none = example("b", None, output=None)
    table = ExampleTable.of([row, none])
    assert table.texts()[0] == "where is it?\nstrasse\n  refund it \n\nid1"
    assert table.outputs() == ["refund it", ""]


@pytest.mark.parametrize(
    ("scores", "scored", "graded"),
    [([None, None], False, False), ([None, 1.0, 0.0], True, False), ([0.0, 0.5], True, True)],
)
def test_scores_say_whether_they_grade(
    example: Make, scores: list[float | None], scored: bool, graded: bool
) -> None:
    table = ExampleTable.of([example(str(at), score) for at, score in enumerate(scores)])
    assert (table.is_scored, table.is_graded) == (scored, graded)
