"""Labels that similar rows do not share, on one side or on the other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.core.diagnosis.written import LABELS, Written, answered, example, messages, rows_of
from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.rules.neighbours import neighbours_disagree

HELD, TRAIN = messages(100, seed=1), messages(100, seed=2)


def mislabelled(rows: Sequence[Row], every: int) -> list[Row]:
    """The rows, one of `every` with another label."""
    return [
        msgspec.structs.replace(
            row, reference=LABELS[(LABELS.index(row.reference) + 1 + at % 3) % len(LABELS)]
        )
        if at % every == 0
        else row
        for at, row in enumerate(rows)
    ]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def add(made: Written, train: Sequence[Row], held: Sequence[Row]) -> None:
    made.add(
        [example(row, None if at % 3 == 0 else "hm") for at, row in enumerate(held)],
        train=train,
        measured=[(row, 0.5) for row in train],
    )


def test_training_rows_that_disagree_with_those_most_like_them_are_a_warning(
    written: Written,
) -> None:
    add(written, mislabelled(TRAIN, 3), HELD)
    one = written.one(neighbours_disagree)
    assert (one.kind, one.severity) == ("label_noise", "warning")
    assert one.figures["side"] == "train"
    assert float(one.figures["p"]) < 1e-3
    assert float(one.figures["differ"]) > 3 * float(one.figures["other_differ"])
    assert one.examples == ()
    assert {int(line) for line in str(one.figures["lines"]).split(", ")} <= set(range(1, 101))
    assert "some labels of training rows may be wrong" in one.message


def test_evaluation_rows_that_disagree_are_told_with_their_ids(written: Written) -> None:
    held = mislabelled(HELD, 3)
    add(written, TRAIN, held)
    one = written.one(neighbours_disagree)
    assert one.figures["side"] == "eval"
    assert one.figures["lines"] == ""
    assert one.examples
    assert set(one.examples) <= {row.id for row in held}
    assert "some labels of evaluation rows may be wrong" in one.message


def test_rows_that_agree_on_both_sides_are_sound(written: Written) -> None:
    add(written, TRAIN, HELD)
    assert list(neighbours_disagree(written.case())) == []


def test_sides_that_disagree_equally_often_have_hard_classes(written: Written) -> None:
    add(written, mislabelled(TRAIN, 3), mislabelled(HELD, 3))
    assert list(neighbours_disagree(written.case())) == []


def test_few_rows_say_nothing(written: Written) -> None:
    add(written, mislabelled(TRAIN[:12], 2), HELD)
    assert list(neighbours_disagree(written.case())) == []


def test_a_record_without_measured_training_rows_says_nothing(written: Written) -> None:
    written.add(answered(HELD, range(60)), train=mislabelled(TRAIN, 3))
    assert list(neighbours_disagree(written.case())) == []


def test_texts_have_no_labels_that_could_differ(tmp_path: Path) -> None:
    made = Written(tmp_path, metric="exact_match")
    held, train = (
        rows_of((row.prompt, f"Re: {row.prompt}") for row in each) for each in (HELD, TRAIN)
    )
    made.base(held)
    add(made, train, held)
    assert list(neighbours_disagree(made.case())) == []


def test_the_base_was_not_trained(written: Written) -> None:
    assert list(neighbours_disagree(written.case(0))) == []
