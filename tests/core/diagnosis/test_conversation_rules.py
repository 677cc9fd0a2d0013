"""Rules that test examples, where several of these are answers of one conversation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from tests.core.diagnosis.written import Written, answered, asked
from tui_loop.core.diagnosis.rules.common import OutcomeTest, knows_task
from tui_loop.core.diagnosis.rules.evaluation_set import eval_too_small, luck_of
from tui_loop.core.diagnosis.rules.generalization import forgetting, gap_of, worse_than_base
from tui_loop.core.diagnosis.rules.hardness import hardness_of
from tui_loop.core.diagnosis.rules.outputs import class_bias
from tui_loop.core.examples.table import PASSED
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.structs import Example, StepLoss
from tui_loop.core.stats import fisher_greater

HELD = asked(80)
ANSWERS = 10
TALKS = len(HELD) // ANSWERS


def talks(examples: Iterable[Example], answers: int = ANSWERS) -> list[Example]:
    """Returns the examples as answers of conversations, so many of each."""
    return [
        msgspec.structs.replace(each, conversation=f"talk{at // answers}")
        for at, each in enumerate(examples)
    ]


def written(folder: Path, before: Iterable[int], after: Iterable[int], answers: int) -> Written:
    """Returns a loop whose base fails at `before` and whose iteration fails at `after`."""
    made = Written(folder)
    made.add(talks(answered(HELD, before), answers))
    made.add(talks(answered(HELD, after), answers))
    return made


def test_answers_that_failed_together_do_not_make_a_model_worse_than_the_base(
    tmp_path: Path,
) -> None:
    alone = written(tmp_path / "alone", [], range(30), 1)
    assert alone.one(worse_than_base).severity == "alarm"
    together = written(tmp_path / "together", [], range(30), ANSWERS)
    assert list(worse_than_base(together.case())) == []


def test_a_model_that_lost_most_conversations_is_worse_than_the_base(tmp_path: Path) -> None:
    found = written(tmp_path, [], range(70), ANSWERS).one(worse_than_base)
    assert found.message.endswith(
        "points). 70 examples changed from passed to failed, 0 from failed to passed, in 7 "
        "conversations (p = 0.02)"
    )


def test_what_two_conversations_lost_is_not_forgotten(tmp_path: Path) -> None:
    alone = written(tmp_path / "alone", [], range(30), 1)
    assert alone.one(forgetting).figures["lost"] == 30
    together = written(tmp_path / "together", [], range(30), ANSWERS)
    assert list(forgetting(together.case())) == []


def test_few_conversations_of_many_answers_show_little(tmp_path: Path) -> None:
    alone = written(tmp_path / "alone", [], range(40), 1)
    assert list(eval_too_small(alone.case())) == []
    together = written(tmp_path / "together", [], range(40), ANSWERS)
    found = together.one(eval_too_small)
    assert found.message.startswith("80 held-out answers of 8 conversations ")
    assert found.figures["total"] == 80


def test_the_effective_number_of_examples_is_that_of_the_conversations(tmp_path: Path) -> None:
    alone = written(tmp_path / "alone", [], range(40), 1).case()
    assert alone.effective_total == 80
    together = written(tmp_path / "together", [], range(40), ANSWERS).case()
    assert together.effective_total < TALKS
    assert luck_of(9, [0.5], together.effective_total) > luck_of(9, [0.5], 80)


def test_a_model_of_one_good_conversation_is_not_known_to_know_the_task(tmp_path: Path) -> None:
    right = range(50)
    wrong = [at for at in range(80) if at not in right]
    assert knows_task(written(tmp_path / "alone", [], wrong, 1).case())
    assert not knows_task(written(tmp_path / "together", [], wrong, ANSWERS).case())


def test_a_group_is_tested_by_conversations(tmp_path: Path) -> None:
    view = written(tmp_path, [], range(20), ANSWERS).case().view
    assert view is not None
    test = OutcomeTest(view)
    assert test.p_value(range(20)) == fisher_greater(2, 2, 0, 6)
    assert OutcomeTest(view, PASSED).p_value(range(20, 80)) == fisher_greater(6, 6, 0, 2)
    assert OutcomeTest(view, among=range(40)).p_value(range(20)) == fisher_greater(2, 2, 0, 2)


def test_the_interval_of_the_gap_is_over_conversations(tmp_path: Path) -> None:
    gaps = []
    for answers in (1, ANSWERS):
        made = Written(tmp_path / str(answers))
        made.base(HELD)
        trained = asked(40)
        made.add(
            talks(answered(HELD, range(40)), answers),
            train=trained,
            measured=[(row, 0.01 * at) for at, row in enumerate(trained)],
        )
        gap = gap_of(made.case())
        assert gap is not None
        gaps.append(gap[2])
    assert gaps[1].delta == pytest.approx(gaps[0].delta)
    assert gaps[1].half_width > 2 * gaps[0].half_width


def test_hard_evaluation_rows_count_by_conversation(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD)
    trained = asked(40)
    made.add(
        talks(answered(HELD, range(25))),
        train=trained,
        measured=[(row, 0.01) for row in trained],
    )
    hardness = hardness_of(made.case())
    assert hardness is not None
    assert hardness.held_above(1.0) == 25
    assert hardness.held_counts(1.0) == (3, 8)
    assert hardness.held_counts(1.0, rounds_up=False) == (2, 8)


def test_a_label_that_two_conversations_are_full_of_is_no_bias(tmp_path: Path) -> None:
    biased = [
        each if at >= 40 else msgspec.structs.replace(each, output="refund", passed=False)
        for at, each in enumerate(answered(HELD))
        if each.reference != "refund" or at >= 40
    ]
    for answers, is_found in ((1, True), (len(biased) // 2 + 1, False)):
        made = Written(tmp_path / str(answers))
        made.base(HELD)
        made.add(talks(biased, answers))
        assert bool(list(class_bias(made.case()))) is is_found


def test_the_change_between_two_evaluations_of_a_run_is_over_conversations(
    tmp_path: Path,
) -> None:
    found = []
    for answers in (1, ANSWERS):
        made = Written(tmp_path / str(answers))
        made.base(HELD)
        folder = made.add(talks(answered(HELD), answers))
        for step, share in ((10, 0.0), (20, 1.0)):
            rows = [StepLoss(row.id, 1.0 + share * (at < 20), 2) for at, row in enumerate(HELD)]
            folder.evals.mkdir(exist_ok=True)
            lines = "".join(f"{to_json(row).decode()}\n" for row in rows)
            (folder.evals / f"{step}.jsonl").write_text(lines, encoding="utf-8")
        found.append(made.case().step_change(10, 20))
    alone, together = found
    assert alone is not None
    assert together is not None
    assert alone.low > 0 > together.low
