"""References on which the iterations of a loop agree that they are something else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.conftest import CHECKOUT
from tui_loop.core.examples.cause_kinds import Cause
from tui_loop.core.examples.causes import measured_of
from tui_loop.core.examples.suspects import suspect_references
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Example

LABELS = ("refund", "cancel", "login")
Make = Callable[..., Example]


@pytest.fixture
def answers(example: Make) -> Callable[..., list[list[Example]]]:
    """One example's output in each iteration, as rows of that iteration."""

    def make(*outputs: str, reference: str = "refund", **more: object) -> list[list[Example]]:
        told = {"loss": 4.0, **more}
        return [
            [example("a", float(said == reference), reference=reference, output=said, **told)]
            for said in outputs
        ]

    return make


@pytest.mark.parametrize(
    ("outputs", "is_suspect"),
    [
        (("login", "login", "login"), True),
        (("Login.", "login", "the login"), True),
        (("login", "login"), False),
        (("login", "login", "cancel"), False),
        (("login", "login", "login", "login", "cancel"), True),
        (("login", "login", "login", "refund"), False),
        (("I'm sorry, but as a chatbot", "login", "login", "login"), True),
        (("I'm sorry, but as a chatbot", "login", "login"), False),
        (("payback", "payback", "payback"), False),
    ],
)
def test_iterations_must_agree_on_another_label(
    answers: Callable[..., list[list[Example]]], outputs: Sequence[str], is_suspect: bool
) -> None:
    assert bool(suspect_references(answers(*outputs), LABELS)) == is_suspect


def test_the_evidence_says_who_says_what(answers: Callable[..., list[list[Example]]]) -> None:
    found = suspect_references(answers("login", "login", "login", "login", "cancel"), LABELS)["a"]
    assert found.kind is Cause.SUSPECT_REFERENCE
    assert found.evidence == (
        "of 5 iterations that answered, 4 predict 'login'; these give 'refund' a probability of "
        "1.8% (median)"
    )
    no_loss = suspect_references(answers("login", "login", "login", loss=None), LABELS)["a"]
    assert no_loss.evidence == (
        "of 3 iterations that answered, 3 predict 'login' and none predicts 'refund'"
    )


def test_a_reference_that_is_nearly_as_likely_is_not_suspect(
    answers: Callable[..., list[list[Example]]],
) -> None:
    assert suspect_references(answers("login", "login", "login", loss=0.5), LABELS) == {}
    assert suspect_references(answers("login", "login", "login", loss="Infinity"), LABELS)


@pytest.mark.parametrize(
    ("outputs", "reference", "is_suspect"),
    [
        (("London", "london.", "London"), "Paris", True),
        (("The capital is Paris", "the capital is Paris", "the capital is paris"), "Paris", False),
        (("Pariss", "Pariss", "Pariss"), "Paris", False),
        (("I'm sorry, but no",) * 3, "Paris", False),
        (
            ("It was sent on Monday and will be with you in a week, or even sooner than that day",)
            * 3,
            "Paris",
            False,
        ),
        (("",) * 3, "Paris", False),
    ],
)
def test_without_labels_only_short_answers_with_other_content_count(
    answers: Callable[..., list[list[Example]]],
    outputs: Sequence[str],
    reference: str,
    is_suspect: bool,
) -> None:
    assert bool(suspect_references(answers(*outputs, reference=reference))) == is_suspect


def test_numbers_agree_whatever_is_written_around_them(
    answers: Callable[..., list[list[Example]]],
) -> None:
    outputs = ("3 + 4 is 7", "#### 7", "so 7.0")
    assert suspect_references(answers(*outputs, reference="8"), metric="numeric")
    assert suspect_references(answers(*outputs, reference="8")) == {}


def rows_of(make: Make, said: Sequence[str], wanted: Sequence[str]) -> list[Example]:
    pairs = enumerate(zip(said, wanted, strict=True))
    return [make(f"id{n}", float(a == b), output=a, reference=b, loss=4.0) for n, (a, b) in pairs]


def test_an_iteration_that_says_one_thing_to_most_does_not_count(example: Make) -> None:
    wanted = ["refund", "cancel", "login", "refund"] * 5
    collapsed = rows_of(example, ["login"] * 20, wanted)
    assert suspect_references([collapsed] * 4, LABELS) == {}
    planted = ["cancel", *wanted[1:]]
    sound = rows_of(example, ["login", *wanted[1:]], planted)
    told = rows_of(example, ["login"] * 20, planted)
    assert list(suspect_references([sound, sound, sound, told], LABELS)) == ["id0"]
    assert suspect_references([sound, sound, told], LABELS) == {}


def test_an_answer_that_most_rows_should_get_may_be_given_to_most(example: Make) -> None:
    wanted = ["no"] * 12 + ["yes"] * 8
    said = ["no"] * 13 + ["yes"] * 7
    assert list(suspect_references([rows_of(example, said, wanted)] * 3, ("yes", "no"))) == ["id12"]
    assert suspect_references([rows_of(example, ["no"] * 20, wanted)] * 3, ("yes", "no")) == {}


def test_rows_from_before_the_reference_changed_do_not_count(
    answers: Callable[..., list[list[Example]]],
) -> None:
    old = answers("login", "login", reference="cancel")
    assert suspect_references([*old, *answers("login", "login")], LABELS) == {}
    assert suspect_references([*old, *answers("login", "login", "login")], LABELS)


def test_what_was_not_scored_is_no_witness(answers: Callable[..., list[list[Example]]]) -> None:
    assert suspect_references(answers("login", "login", "login", passed=None), LABELS) == {}
    assert suspect_references([], LABELS) == {}


@pytest.mark.parametrize("name", ["support-intents", "support-tiny"])
def test_wrong_references_planted_in_a_recorded_loop_come_up(name: str) -> None:
    loop = LoopFolder(Path(CHECKOUT) / "loops" / name)
    labels = measured_of(loop.iteration(0)).labels
    iterations = [loop.iteration(number).read_examples() for number in loop.numbers()]
    before = suspect_references(iterations, labels)
    assert len(before) <= 0.1 * len(iterations[0])
    sound = [
        {row.id: row.reference for row in rows if row.passed}
        for rows in iterations
        if sum(bool(row.passed) for row in rows) > 0.3 * len(rows)
    ]
    always = [name for name in sound[0] if all(name in passed for passed in sound)]
    planted = {name: sound[0][name] for name in always[:5]}
    assert len(planted) == 5
    found = suspect_references(
        [[_planted(row, planted) for row in rows] for rows in iterations], labels
    )
    assert planted.keys() <= found.keys()
    assert len(found.keys() - before.keys() - planted.keys()) <= 2


def _planted(row: Example, planted: dict[str, str]) -> Example:
    """The row with another reference, which a model that knows better finds unlikely."""
    if row.id not in planted:
        return row
    other = "praise" if planted[row.id] != "praise" else "refund"
    return msgspec.structs.replace(row, reference=other, score=0.0, passed=False, loss=3.0)
