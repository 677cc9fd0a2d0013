"""All that the record has on one example, and what of it cannot be read is left out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.core.conftest import MakeFinished
from tui_loop.core.examples.annotations import AnnotationStatus, annotate
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.example_detail import ExampleDetail, annotated_detail, example_detail
from tui_loop.core.examples.history import Outcome, Shift
from tui_loop.core.record.codec import to_json_lines
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example, StepLoss, TokenLosses

Make = Callable[..., Example]


@pytest.fixture
def three(finished: MakeFinished, example: Make) -> list[IterationFolder]:
    """Two examples over the base and two iterations; `id0` was fixed by the last."""
    folders = [
        finished([0.0, 0.0], base=True),
        finished([0.0, 1.0]),
        finished([1.0, 0.0], parent=1),
    ]
    for number, (folder, loss) in enumerate(zip(folders, (3.0, 2.0, 0.25), strict=True)):
        rows = [example("id0", float(number == 2), loss=loss), example("id1", 0.0)]
        tokens = [TokenLosses(row.id, [(" yes", loss)]) for row in rows]
        folder.write_examples(rows, tokens)
    return folders


def read(loop: LoopFolder, number: int = 2, against: int | None = 1, row: int = 0) -> ExampleDetail:
    reader = LoopReader(loop)
    evaluations = Evaluations(reader)
    view, _ = evaluations.view(number, against)
    return example_detail(reader, evaluations, number, view, row)


def test_an_example_is_told_with_what_became_of_it(
    loop: LoopFolder, three: list[IterationFolder]
) -> None:
    found = read(loop)
    assert (found.iteration, found.against, found.example.id) == (2, 1, "id0")
    assert (found.outcome, found.shift) == (Outcome.PASSED, Shift.FIXED)
    assert [(each.point.number, each.output, each.score) for each in found.history] == [
        (0, "no", 0.0),
        (1, "no", 0.0),
        (2, "yes", 1.0),
    ]
    assert [each.point.loss for each in found.history] == [3.0, 2.0, 0.25]
    assert found.causes == ()
    assert found.annotation == AnnotationStatus()


def test_token_losses_are_its_own_then_the_others_then_the_bases(
    loop: LoopFolder, three: list[IterationFolder]
) -> None:
    assert [(each.name, each.number) for each in read(loop).tokens] == [
        ("tuned", 2),
        ("iteration 1", 1),
        ("base", 0),
    ]
    assert [each.name for each in read(loop, 2, 0).tokens] == ["tuned", "base"]
    assert [each.name for each in read(loop, 0, None).tokens] == ["base"]
    assert read(loop).tokens[1].tokens.tokens == [(" yes", 2.0)]


def test_a_failure_says_why(loop: LoopFolder, three: list[IterationFolder]) -> None:
    found = read(loop, row=1)
    assert found.outcome is Outcome.FAILED
    assert found.causes
    assert all(each.evidence for each in found.causes)


def test_what_cannot_be_read_is_left_out(loop: LoopFolder, three: list[IterationFolder]) -> None:
    reader = LoopReader(loop)
    evaluations = Evaluations(reader)
    view, _ = evaluations.view(2, 1)
    three[1].examples.write_text("{torn")
    three[2].tokens.write_text("{torn")
    three[0].tokens.unlink()
    found = example_detail(reader, evaluations, 2, view, 0)
    assert [each.output for each in found.history] == ["no", None, "yes"]
    assert [each.name for each in found.tokens] == ["iteration 1"]


def test_its_loss_over_the_run_begins_with_the_bases(
    loop: LoopFolder, three: list[IterationFolder]
) -> None:
    three[2].evals.mkdir(exist_ok=True)
    for step, rows in (
        (10, [StepLoss("id1", 9.0, 1), StepLoss("id0", 1.5, 1)]),
        (20, [StepLoss("id0", 0.5, 1)]),
    ):
        (three[2].evals / f"{step}.jsonl").write_bytes(to_json_lines(rows))
    assert read(loop).path.steps == (0, 10, 20)
    assert read(loop).path.losses == (3.0, 1.5, 0.5)
    assert read(loop, 0, None).path.steps == ()


def test_what_people_said_is_in_it(loop: LoopFolder, three: list[IterationFolder]) -> None:
    row = three[2].read_examples()[1]
    annotate(three[2], row, "note", "two wishes")
    annotate(three[2], row, "bad_reference")
    found = read(loop, row=1)
    assert found.annotation.verdict == "bad_reference"
    assert [each.note for each in found.annotation.notes] == ["two wishes"]
    assert found.outcome is Outcome.UNSCORED


@pytest.mark.parametrize("row", [0, 1])
@pytest.mark.parametrize("kind", ["accepted", "bad_reference", "ambiguous"])
def test_what_was_said_just_now_stands_as_if_it_were_read_again(
    loop: LoopFolder, three: list[IterationFolder], row: int, kind: str
) -> None:
    before = read(loop, row=row)
    annotate(three[2], before.example, kind)  # type: ignore[arg-type]
    after = read(loop, row=row)
    assert annotated_detail(before, after.annotation).outcome is after.outcome
    assert annotated_detail(before, after.annotation).annotation.verdict == kind
    assert annotated_detail(after, AnnotationStatus()).outcome is before.outcome
