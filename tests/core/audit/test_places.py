"""Where the loss of answers is: the first token, the last one, and those in between."""

from __future__ import annotations

from tui_loop.core.audit.places import places_of
from tui_loop.core.audit.structs import Places
from tui_loop.core.record.structs import TokenLosses


def answer(*losses: float | str) -> TokenLosses:
    return TokenLosses("a", [("x", loss) for loss in losses])


def test_means_are_over_answers_for_the_ends_and_over_tokens_in_between() -> None:
    found = places_of([answer(2.0, 0.5, 0.1, 1.0), answer(4.0, 0.3, 3.0)])
    assert found == Places(rows=2, first=3.0, between=0.3, last=2.0)


def test_an_answer_of_one_token_is_its_first_and_its_last_one() -> None:
    assert places_of([answer(0.7)]) == Places(rows=1, first=0.7, between=None, last=0.7)


def test_answers_without_tokens_or_with_a_loss_that_is_not_finite_do_not_count() -> None:
    answers = [answer(), answer("nan", 1.0), answer(1.0, 2.0)]
    assert places_of(answers) == Places(rows=1, first=1.0, between=None, last=2.0)
    assert places_of([answer(), answer("inf")]) is None
