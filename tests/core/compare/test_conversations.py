"""Comparisons where examples are answers of one conversation, or repeats of one input."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import pytest

from tests.core.conftest import compare
from tui_loop.core.compare.claims import claim_words, regression_of, table_of, worse_than_base
from tui_loop.core.compare.progress import ProgressReader
from tui_loop.core.compare.progress_text import pair_words
from tui_loop.core.compare.uncertainty import (
    loss_interval,
    passed_interval,
    score_interval,
    units_of,
)
from tui_loop.core.paired_stats import mcnemar
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import Interval, share_interval, wilson
from tui_loop.core.workflow.holdout import figures_of

MakeFinished = Callable[..., IterationFolder]

TALKS, ANSWERS = 10, 6


def scores_of(*passing: int) -> dict[str, float]:
    """Returns scores by id: all answers of the conversations in `passing` pass."""
    return {
        f"talk{talk}:{answer}": float(talk in passing)
        for talk in range(TALKS)
        for answer in range(1, ANSWERS + 1)
    }


CONVERSATIONS = {name: name.partition(":")[0] for name in scores_of()}


def test_a_comparison_counts_conversations_and_tests_them(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(scores_of(), base=True, conversations=CONVERSATIONS)
    finished(scores_of(0, 1, 2), conversations=CONVERSATIONS)
    result = compare(loop, 0, 1)
    assert (len(result.fixed), result.broken) == (18, [])
    assert (result.compared, result.groups, result.changed_groups) == (60, 10, 3)
    assert result.p_value == pytest.approx(mcnemar(3, 0))
    assert result.interval is not None
    assert not result.interval.excludes_zero
    assert claim_words(result)[0] == (
        "score",
        "+30 ±35 points over 60 answers of 10 conversations: 18 fixed, 0 broken answers in "
        "3 conversations (sign-flip p = 0.25)",
    )


def test_answers_that_broke_together_are_one_loss_and_no_regression(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(scores_of(*range(10)), base=True, conversations=CONVERSATIONS)
    finished(scores_of(*range(4, 10)), conversations=CONVERSATIONS)
    finished(scores_of(*range(7, 10)), conversations=CONVERSATIONS)
    text, is_worse = regression_of(compare(loop, 0, 1))
    assert text == "0 fixed, 24 broken answers in 4 conversations of 10 in all (p = 0.12)"
    assert is_worse is False
    assert regression_of(compare(loop, 0, 2))[1] is True


def test_conversations_of_one_answer_each_are_compared_as_examples(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    scores = {f"row{row}": float(row % 3 == 0) for row in range(30)}
    better = dict.fromkeys(scores, 1.0)
    own = {name: name for name in scores}
    finished(scores, base=True, conversations=own)
    finished(better, conversations=own)
    finished(scores)
    finished(better)
    single, alone = compare(loop, 0, 1), compare(loop, 2, 3)
    assert single.groups == alone.groups == 0
    assert (single.p_value, single.interval) == (alone.p_value, alone.interval)
    assert single.loss == alone.loss


def test_an_evaluation_of_last_answers_shares_no_example_with_one_of_all(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished({f"talk{talk}": 1.0 for talk in range(TALKS)}, base=True)
    finished(scores_of(0), conversations=CONVERSATIONS)
    result = compare(loop, 0, 1)
    assert (result.compared, result.groups, result.p_value) == (0, 0, None)
    assert regression_of(result) == ("no examples in common", None)


def test_replicates_of_split_conversations_have_an_interval_over_conversations(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    for settings in (("r=4", "seed=1"), ("r=4", "seed=2"), ("r=8", "seed=1"), ("r=8", "seed=2")):
        passing = (0, 1, 2) if settings[0] == "r=4" else (0, 1, 2, 3, 4, 5)
        finished(scores_of(*passing), *settings, conversations=CONVERSATIONS)
    result = compare(loop, 1, 3)
    assert result.replicates == (2, 2)
    assert result.claim == "no difference shown"


def test_progress_names_the_conversations_of_a_pair(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished(scores_of(), base=True, conversations=CONVERSATIONS)
    finished(scores_of(0, 1, 2, 3, 4), conversations=CONVERSATIONS)
    progress = ProgressReader(LoopReader(loop)).poll()
    assert progress.pairs[0].groups == 10
    assert "points over 60 answers of 10 conversations" in pair_words(progress.pairs[0])
    score = progress.points[1].score
    assert score is not None
    marks = [1.0] * 30 + [0.0] * 30
    clusters = [row // ANSWERS for row in range(60)]
    assert (score.low, score.high) == share_interval(marks, clusters)
    assert score.low < wilson(30, 60)[0]


def test_scores_and_losses_of_alike_answers_have_the_interval_of_the_conversations(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    grades = [0.2, 0.9, 0.4, 0.7, 0.5]
    talks = [
        example(f"{at}:{n}", grade, loss=grade, conversation=f"talk{at}")
        for at, grade in enumerate(grades)
        for n in range(4)
    ]
    alone = [example(f"{at}", grade, loss=grade) for at, grade in enumerate(grades)]
    metrics = {"score": 0.54, "eval_loss": 0.54, "passed": 0}
    reader = LoopReader(loop)
    found = []
    for rows in (alone, talks):
        folder = finished({"x": 1.0}, metrics=metrics | {"total": len(rows)})
        folder.write_examples(rows, [])
        iteration, outcomes = reader.iteration(folder.number), reader.outcomes(folder.number)
        found.append((score_interval(iteration, outcomes), loss_interval(iteration, outcomes)))
    for one, many in zip(*found, strict=True):
        assert isinstance(one, Interval)
        assert isinstance(many, Interval)
        assert (many.low, many.high) == pytest.approx((one.low, one.high))


def test_a_score_without_readable_examples_has_wilson_s_interval(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    folder = finished(scores_of(0, 1), base=True, conversations=CONVERSATIONS)
    found = passed_interval(LoopReader(loop).iteration(folder.number), None)
    assert found is not None
    assert (found.low, found.high) == wilson(12, 60)


def test_the_paired_table_of_a_holdout_has_the_test_over_conversations(
    example: Callable[..., Example],
) -> None:
    before = [example(f"{n}", 1.0, conversation=f"talk{n // 3}") for n in range(12)]
    after = [example(f"{n}", float(n >= 9), conversation=f"talk{n // 3}") for n in range(12)]
    table = table_of(before, after)
    assert (table.both, table.broken, table.changed_groups) == (3, 9, 3)
    assert table.p_value == pytest.approx(mcnemar(0, 3))
    assert worse_than_base(table) == (
        "compared with the base: 0 fixed, 9 broken answers in 3 conversations (p = 0.25)",
        False,
    )


def test_the_paired_table_of_single_rows_has_counts_only(example: Callable[..., Example]) -> None:
    before = [example(f"{n}", 1.0) for n in range(9)]
    after = [example(f"{n}", 0.0) for n in range(9)]
    table = table_of(before, after)
    assert (table.p_value, table.changed_groups) == (None, 0)
    assert worse_than_base(table)[1] is True


def test_without_scores_losses_are_compared_over_conversations(
    loop: LoopFolder, finished: MakeFinished, example: Callable[..., Example]
) -> None:
    for shift in (0.0, 0.4):
        folder = finished({"x": 1.0}, base=not shift)
        folder.write_examples(
            [
                example(f"{at}", None, loss=1.0 + shift * (at < 10), conversation=f"{at // 10}")
                for at in range(40)
            ],
            [],
        )
    result = compare(loop, 0, 1)
    assert (result.groups, result.loss_groups) == (0, 4)
    assert result.loss is not None
    assert not result.loss.excludes_zero
    assert regression_of(result) == (
        f"loss +0.10 ±{result.loss.half_width:.2f} nats per token over 40 answers of "
        "4 conversations",
        False,
    )
    pair = ProgressReader(LoopReader(loop)).poll().pairs[0]
    assert (pair.compared, pair.groups) == (40, 4)
    assert "over 40 answers of 4 conversations" in pair_words(pair)


COPIES = 5


def repeated(*passing: int) -> list[float]:
    """Returns scores of ten inputs, each of which occurs COPIES times."""
    return [float(number in passing) for number in range(10) for _ in range(COPIES)]


def prompts(scores: Sequence[float]) -> dict[str, str]:
    return {f"id{at}": f"question {at // COPIES}" for at in range(len(scores))}


def test_repeats_of_an_input_count_once(loop: LoopFolder, finished: MakeFinished) -> None:
    before, after = repeated(), repeated(0, 1, 2)
    finished(before, base=True, prompts=prompts(before))
    finished(after, prompts=prompts(after))
    result = compare(loop, 0, 1)
    assert (result.compared, result.groups, result.changed_groups) == (50, 10, 3)
    assert result.p_value == pytest.approx(mcnemar(3, 0))
    assert claim_words(result)[0] == (
        "score",
        "+30 ±35 points over 50 examples of 10 distinct inputs: 15 fixed, 0 broken examples of "
        "3 distinct inputs (sign-flip p = 0.25)",
    )
    reader = LoopReader(loop)
    iteration = reader.iterations()[1]
    found = passed_interval(iteration, reader.grouped_outcomes(iteration))
    assert found is not None
    low, high = wilson(3, 10)
    assert found.low < low < found.delta < high < found.high, "few groups are worth less"
    assert units_of(reader.grouped_outcomes(iteration)) == "distinct inputs"


def test_an_evaluation_without_repeats_is_read_once(
    loop: LoopFolder, finished: MakeFinished, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        finished([1.0, 0.0, 1.0])
    reader = LoopReader(loop)
    read: list[int] = []
    outcomes = reader.outcomes
    monkeypatch.setattr(reader, "outcomes", lambda number: read.append(number) or outcomes(number))
    found = [reader.grouped_outcomes(each) for each in reader.iterations()]
    assert found == [None, None]
    assert units_of(found[0]) == "examples"
    assert read == [1]


def test_a_holdout_counts_repeats_once(example: Callable[..., Example]) -> None:
    rows = [example(f"{n}", float(n < 40), prompt=f"question {n // 10}") for n in range(80)]
    alone = [example(f"{n}", float(n < 40), prompt=f"question {n}") for n in range(80)]
    grouped, single = (figures_of(each, 0.5, 40, 1.0) for each in (rows, alone))
    assert grouped.effective_total is not None
    assert grouped.effective_total < 9
    assert single.effective_total is None
    assert grouped.score_error is not None
    assert single.score_error is not None
    assert grouped.score_error > 3 * single.score_error
    table = table_of(rows, [msgspec.structs.replace(each, passed=False) for each in rows])
    assert (table.broken, table.changed_groups, table.unit) == (40, 4, "distinct input")
    assert worse_than_base(table)[0].startswith(
        "compared with the base: 0 fixed, 40 broken examples of 4 distinct inputs"
    )
