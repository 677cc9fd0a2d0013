"""What people say of examples is kept, counts as stated, and never changes what was recorded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.conftest import MakeFinished
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.annotations import (
    KINDS,
    NOTE_BYTES,
    Annotation,
    Annotations,
    Kind,
    annotate,
    annotated,
    annotated_evaluation,
    annotation_text,
    read_annotations,
)
from tui_loop.core.record.files import short_hash
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Example

Make = Callable[..., Example]


def test_an_accepted_output_counts_in_every_iteration_that_gives_it(
    finished: MakeFinished, loop: LoopFolder
) -> None:
    first, second = finished([0.0, 1.0, 0.0, 0.0]), finished([0.0, 0.0, 1.0, 0.0])
    annotate(first, first.read_examples()[0], "accepted")
    for folder in (first, second):
        found = annotated_evaluation(folder)
        assert found is not None
        assert (found.passed, found.total, found.score) == (2, 4, 0.5)
        assert (found.accepted, found.recorded_score) == (1, 0.25)
        assert found.examples[0].passed is True
        assert folder.read_examples()[0].passed is False
    assert annotation_text(found) == "score 50% with 1 output accepted (25% as recorded)"


def test_the_output_is_compared_as_exact_match_compares(example: Make) -> None:
    said = Annotations([_said("a", "accepted", output="Refund it.")])
    for output, passes in (("refund  IT", True), ("refund", False), (None, False)):
        row = example("a", 0.0, output=output)
        assert annotated([row], said).examples[0].passed is passes


def test_rejected_and_ambiguous_examples_leave_the_numbers(
    finished: MakeFinished, loop: LoopFolder
) -> None:
    folder = finished([0.0, 1.0, 1.0, 0.0, 0.0])
    rows = folder.read_examples()
    annotate(folder, rows[0], "bad_reference", "they ask for a refund")
    annotate(folder, rows[1], "bad_reference")
    annotate(folder, rows[3], "ambiguous")
    annotate(folder, rows[4], "accepted")
    found = annotated_evaluation(folder)
    assert found is not None
    assert (found.score, found.passed, found.total) == (1.0, 2, 2)
    assert [row.passed for row in found.examples] == [None, None, True, None, True]
    assert annotation_text(found) == (
        "score 100% with 1 output accepted, 2 references rejected, "
        "1 example marked as ambiguous (40% as recorded)"
    )


def test_the_last_word_counts_and_can_be_taken_back(finished: MakeFinished) -> None:
    folder = finished([0.0, 0.0])
    row = folder.read_examples()[0]
    words: tuple[Kind, ...] = ("accepted", "bad_reference", "ambiguous", "accepted", "cleared")
    for kind in words:
        annotate(folder, row, kind, note=f"said {kind}")
        verdict = read_annotations(folder.loop).of(row).verdict
        assert verdict == ("" if kind == "cleared" else kind)
    assert annotated_evaluation(folder) is None
    annotations = read_annotations(folder.loop)
    assert [one.note for one in annotations.of(row).notes] == [f"said {kind}" for kind in words]
    assert not any(annotations.is_current(one) for one in annotations.entries)


def test_several_outputs_of_an_example_may_be_accepted(example: Make) -> None:
    said = [_said("a", "accepted", output="one"), _said("a", "accepted", output="two")]
    rows = [example("a", 0.0, output=output) for output in ("one", "two", "three")]
    assert [annotated([row], Annotations(said)).accepted for row in rows] == [1, 1, 0]
    withdrawn = Annotations([*said, _said("a", "ambiguous"), _said("a", "accepted", output="one")])
    assert [annotated([row], withdrawn).accepted for row in rows] == [1, 0, 0]


def test_a_changed_reference_ends_what_was_said_but_keeps_notes(
    finished: MakeFinished, loop: LoopFolder
) -> None:
    folder = finished([0.0, 1.0])
    annotate(folder, folder.read_examples()[0], "bad_reference", "it is a refund")
    changed = finished([0.0, 1.0], references={"id0": "refund"})
    assert annotated_evaluation(folder) is not None
    assert annotated_evaluation(changed) is None
    standing = read_annotations(loop).of(changed.read_examples()[0])
    assert standing.verdict == ""
    assert [one.note for one in standing.notes] == ["it is a refund"]


def test_what_passes_anyway_is_not_counted_as_accepted(example: Make) -> None:
    rows = [example("a", 1.0, output="yes"), example("b", 0.0)]
    found = annotated(rows, Annotations([_said("a", "accepted", output="yes")]))
    assert (found.accepted, found.score, found.differs) == (0, 0.5, False)
    assert annotation_text(found) == ""


def test_an_accepted_output_gets_the_full_score_where_its_own_is_partial(example: Make) -> None:
    rows = [example("a", 0.6, passed=True, output="so"), example("b", 0.2, passed=False)]
    found = annotated(rows, Annotations([_said("a", "accepted", output="so")]))
    assert (found.accepted, found.passed, found.score) == (1, 1, 0.6)


def test_what_is_not_scored_stays_without_score(example: Make) -> None:
    rows = [example("a", None, output="so"), example("b", None)]
    found = annotated(rows, Annotations([_said("a", "accepted", output="so")]))
    assert found.examples == rows
    assert not found.differs
    rejected = annotated(rows, Annotations([_said("b", "bad_reference")]))
    assert annotation_text(rejected) == "no scores; 1 reference rejected"


def test_where_all_examples_left_there_is_no_score(example: Make) -> None:
    found = annotated([example("a", 1.0)], Annotations([_said("a", "ambiguous")]))
    assert (found.score, found.total) == (None, 0)
    assert (
        annotation_text(found) == "no score with 1 example marked as ambiguous (100% as recorded)"
    )


@pytest.mark.parametrize("half", [b'{"id":"id0","kind":"acc', b"\xff\xfe", b"[" * 5000])
def test_a_torn_line_costs_itself_alone(
    half: bytes, finished: MakeFinished, loop: LoopFolder
) -> None:
    folder = finished([0.0, 0.0])
    rows = folder.read_examples()
    annotate(folder, rows[0], "ambiguous")
    with loop.labels.open("ab") as file:
        file.write(half)
    annotate(folder, rows[1], "bad_reference")
    annotations = read_annotations(loop)
    assert (annotations.bad_lines, len(annotations.entries)) == (1, 2)
    assert [annotations.of(row).verdict for row in rows] == ["ambiguous", "bad_reference"]


def test_unknown_kinds_and_keys_are_skipped(loop: LoopFolder, example: Make) -> None:
    row = example("a", 0.0)
    lines = [
        msgspec.to_builtins(_said("a", "ambiguous")),
        msgspec.to_builtins(_said("a", "praised")) | {"later": [1]},
    ]
    loop.labels.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    annotations = read_annotations(loop)
    assert annotations.bad_lines == 0
    assert annotations.of(row).verdict == "ambiguous"


def test_a_line_has_its_keys_in_order_and_no_secret(
    finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_API_KEY", "0123456789abcdef")
    folder = finished([0.0])
    row = msgspec.structs.replace(folder.read_examples()[0], output="key 0123456789abcdef")
    one = annotate(folder, row, "accepted", "leaks 0123456789abcdef")
    raw = folder.loop.labels.read_bytes()
    assert b"0123456789abcdef" not in raw
    line = msgspec.json.decode(raw)
    assert list(line) == ["id", "kind", "iteration", "output", "reference", "note", "by", "t"]
    assert line["reference"] == one.reference == short_hash("yes")
    assert annotated([row], read_annotations(folder.loop)).accepted == 1


def test_what_cannot_be_said_is_refused_and_nothing_is_written(
    finished: MakeFinished, example: Make
) -> None:
    folder = finished([0.0])
    row = folder.read_examples()[0]
    for bad, kind, note in (
        (row, KINDS[-1], "  "),
        (row, KINDS[0], "ü" * (NOTE_BYTES // 2 + 1)),
        (msgspec.structs.replace(row, output=None), KINDS[0], ""),
    ):
        with pytest.raises(BadInput):
            annotate(folder, bad, kind, note)
    assert not folder.loop.labels.exists()


def test_a_labels_file_that_is_no_file_is_told_and_not_written_through(
    finished: MakeFinished, tmp_path: Path
) -> None:
    folder = finished([0.0])
    target = tmp_path / "elsewhere"
    target.write_bytes(b"mine")
    folder.loop.labels.symlink_to(target)
    assert "a link" in read_annotations(folder.loop).trouble
    assert annotated_evaluation(folder) is None
    with pytest.raises(BadInput, match="link"):
        annotate(folder, folder.read_examples()[0], "ambiguous")
    assert target.read_bytes() == b"mine"
    folder.loop.labels.unlink()
    os.mkfifo(folder.loop.labels)
    assert "not a regular file" in read_annotations(folder.loop).trouble


@given(
    scores=st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=12),
    words=st.lists(st.tuples(st.integers(0, 11), st.sampled_from(KINDS)), max_size=20),
)
def test_the_numbers_add_up_whatever_was_said(
    scores: list[float], words: list[tuple[int, Kind]]
) -> None:
    rows = [_row(str(index), score) for index, score in enumerate(scores)]
    said = [_said(str(at), kind, output="no", note="n") for at, kind in words]
    found = annotated(rows, Annotations(said))
    assert found.total + found.rejected + found.ambiguous == len(rows)
    kept = [row for row in found.examples if row.score is not None]
    assert len(kept) == found.total
    assert found.passed == sum(row.passed is True for row in kept)
    assert found.score == (sum(row.score or 0 for row in kept) / len(kept) if kept else None)
    assert [row.id for row in found.examples] == [row.id for row in rows]
    assert found.differs or found.examples == rows


def _said(
    name: str, kind: str, *, output: str | None = None, note: str = "", reference: str = "yes"
) -> Annotation:
    return Annotation(name, kind, 1, output, short_hash(reference), note)


def _row(name: str, score: float) -> Example:
    return Example(
        id=name,
        prompt="p",
        reference="yes",
        output="yes" if score == 1.0 else "no",
        score=score,
        passed=score == 1.0,
        causes=(),
        loss=0.5,
        supervised_tokens=1,
        output_tokens=1,
        truncated=False,
        source_line=1,
    )
