"""Training rows that are hard after training come first, with what contradicts them."""

from __future__ import annotations

from tui_loop.core.data.rows import Row
from tui_loop.core.examples.suspects import median_loss, suspect_training_rows
from tui_loop.core.record.structs import TrainingRow


def measured(line: int, loss: float | str | None, prompt: str = "", said: str = "x") -> TrainingRow:
    return TrainingRow(str(line), prompt or f"prompt {line}", said, loss, 2, line, 10)


def test_the_highest_loss_comes_first_and_what_is_not_finite_before_all() -> None:
    rows = [measured(1, 0.5), measured(2, None), measured(3, "NaN"), measured(4, 2.0)]
    assert [each.row.source_line for each in suspect_training_rows(rows)] == [3, 4, 1, 2]
    assert [each.row.source_line for each in suspect_training_rows(rows, limit=1)] == [3]
    assert median_loss(rows) == 1.25
    assert median_loss([measured(1, None)]) is None


def test_rows_of_the_same_input_are_named_by_their_line() -> None:
    trained = [
        Row("a", "where is it", "shipping", 3),
        Row("a-2", "where is it", "refund", 7),
        Row("a-3", "where is it", "shipping ", 9),
        Row("b", "", "plain text", 11),
    ]
    (first,) = suspect_training_rows([measured(3, 4.0, "where is it", "shipping")], trained)
    assert [(each.line, each.reference) for each in first.conflicts] == [(7, "refund")]
    assert [each.line for each in first.repeats] == [9]
    (text,) = suspect_training_rows([measured(11, 1.0, "", "plain text")], trained)
    assert (text.conflicts, text.repeats) == ((), ())
