"""The lines of one example."""

from __future__ import annotations

import pytest

from tui_loop.core.examples.annotations import AnnotationStatus
from tui_loop.core.examples.example_detail import ExampleDetail, LossPath
from tui_loop.core.examples.history import Outcome, Shift
from tui_loop.core.record.structs import Example
from tui_loop.tui.example_lines import OTHERS_SHOWN, example_lines


def detail(*others: str) -> ExampleDetail:
    example = Example(
        *("e1", "Who wrote it?", "Le Guin", "LeGuin", 0.0, False, (), 1.5, 2, 2, False, 7),
        other_references=others,
    )
    return ExampleDetail(
        iteration=1,
        against=None,
        example=example,
        outcome=Outcome.FAILED,
        shift=Shift.UNKNOWN,
        causes=(),
        annotation=AnnotationStatus(),
        history=(),
        tokens=(),
        path=LossPath(),
        max_new_tokens=None,
    )


def texts(*others: str) -> list[str]:
    lines = example_lines(detail(*others), 0, 0, 80)
    return ["".join(text for text, _ in line) for line in lines]


def test_other_right_answers_are_between_what_was_wanted_and_what_was_said() -> None:
    found = [line for line in texts("Ursula", "U. K. Le Guin") if line[:9].strip()]
    labels = [line[:9].strip() for line in found]
    assert labels[labels.index("wanted") :][:4] == ["wanted", "or", "or", "said"]
    assert "or       U. K. Le Guin" in found


@pytest.mark.parametrize(
    ("count", "rest"), [(OTHERS_SHOWN, ""), (OTHERS_SHOWN + 2, "and 2 other right answers")]
)
def test_of_many_right_answers_the_first_are_shown(count: int, rest: str) -> None:
    found = texts(*(f"answer {number}" for number in range(count)))
    assert sum(line.startswith("or ") for line in found) == OTHERS_SHOWN
    assert [line.strip() for line in found if "other right" in line] == ([rest] if rest else [])


def test_an_example_with_one_right_answer_has_no_such_line() -> None:
    assert not any(line.startswith("or ") for line in texts())
