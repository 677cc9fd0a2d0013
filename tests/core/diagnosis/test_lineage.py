"""Findings on what an iteration comes from: its parent and its starting weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.core.diagnosis.written import Written, answered, messages
from tui_loop.core.diagnosis.rules.lineage import changes_from_parent, poor_start, worse_than_parent

ROWS = messages(280, seed=1)
HELD, TRAIN = ROWS[:80], ROWS[80:]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def test_a_fall_is_told_with_the_one_change(written: Written) -> None:
    written.add(answered(HELD, range(5)), train=TRAIN)
    written.add(answered(HELD, range(40)), "learning_rate=1e-2", train=TRAIN)
    one = written.one(worse_than_parent)
    assert one.severity == "warning"
    assert one.figures == {"parent": 1, "changes": 1}
    assert one.iterations == (1,)
    assert "the result is worse than that of iteration 1, the parent" in one.message
    assert one.message.endswith("Changed: learning_rate 1e-4 → 1e-2")
    assert set(one.examples) <= {row.id for row in HELD[5:40]}
    assert "the comparison rests on" in one.otherwise


def test_several_changes_are_all_told(written: Written) -> None:
    written.add(answered(HELD, range(5)), train=TRAIN)
    several = ("learning_rate=1e-2", "lora.r=2", "seed=7")
    written.add(answered(HELD, range(40)), *several, train=TRAIN[:100])
    one = written.one(worse_than_parent)
    assert one.figures["changes"] == 3
    assert ". 3 changes at once: " in one.message
    assert "learning_rate 1e-4 → 1e-2" in one.message
    assert "r 16 → 2" in one.message
    assert one.message.endswith("the training rows")
    assert "seed" not in one.message


def test_a_cap_on_the_rows_is_one_change(written: Written) -> None:
    written.add(answered(HELD, range(5)), train=TRAIN)
    written.add(answered(HELD, range(40)), "data.max_train_rows=20", train=TRAIN[:20])
    one = written.one(worse_than_parent)
    assert one.figures["changes"] == 1
    assert one.message.endswith("Changed: max_train_rows unset → 20")


def test_other_rows_are_told_beside_another_field_of_training_data(written: Written) -> None:
    written.add(answered(HELD, range(5)), train=TRAIN)
    written.add(answered(HELD, range(40)), "data.train_on=all", train=TRAIN[:100])
    assert "the training rows" in written.one(worse_than_parent).message


def test_a_fall_without_a_change_is_told_as_such(written: Written) -> None:
    written.add(answered(HELD, range(5)), train=TRAIN)
    written.add(answered(HELD, range(40)), "evaluation.batch_size=4", train=TRAIN)
    found = list(worse_than_parent(written.case()))
    assert all("Changed: nothing that the record shows" in each.message for each in found)
    assert changes_from_parent(written.case()) == {}


def test_a_result_like_the_parent_s_is_no_fall(written: Written) -> None:
    written.add(answered(HELD, range(20)), train=TRAIN)
    written.add(answered(HELD, range(2, 23)), "learning_rate=2e-4", train=TRAIN)
    assert list(worse_than_parent(written.case())) == []


def test_a_better_result_is_no_fall(written: Written) -> None:
    written.add(answered(HELD, range(40)), train=TRAIN)
    written.add(answered(HELD, range(5)), "learning_rate=2e-4", train=TRAIN)
    assert list(worse_than_parent(written.case())) == []


def test_the_base_is_compared_by_a_finding_of_its_own(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(75))
    made.add(answered(HELD, range(60)), train=TRAIN)
    assert list(worse_than_parent(made.case())) == []


def test_the_adapter_of_a_failed_run_is_a_poor_start(written: Written) -> None:
    written.add([], train=TRAIN, error={"kind": "oom", "message": "out of memory"})
    written.add(answered(HELD, range(60)), "model.init_adapter=1", train=TRAIN)
    one = written.one(poor_start)
    assert one.severity == "warning"
    assert one.figures == {"start": 1}
    assert one.iterations == (1,)
    assert "the run starts from the adapter of iteration 1, which failed" in one.message


def test_an_adapter_that_is_no_better_than_the_base_is_a_poor_start(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(40), loss=1.5)
    made.add(answered(HELD, range(38, 80), loss=1.0), train=TRAIN)
    made.add(answered(HELD, range(30, 80)), "model.init_adapter=1", train=TRAIN)
    one = made.one(poor_start)
    assert one.message.startswith(
        "the run starts from the adapter of iteration 1 (score 48%), which is no better than the"
    )


def test_damaged_weights_are_a_poor_start(written: Written) -> None:
    risen = [1.0, 4.0, 4.0, *[1.2] * 57]
    written.trained(HELD, risen, "learning_rate=2e-2", wrong=60)
    written.add(answered(HELD, range(40)), "model.init_adapter=1", train=TRAIN)
    one = written.one(poor_start)
    assert (
        "which is damaged: at a learning rate of 0.02 the training loss rose from 1.000 to 4.000"
        in one.message
    )


def test_a_good_adapter_is_a_good_start(written: Written) -> None:
    written.trained(HELD, [3.0 * 0.95**n for n in range(60)], wrong=8)
    written.add(answered(HELD, range(40)), "model.init_adapter=1", train=TRAIN)
    assert list(poor_start(written.case())) == []


@pytest.mark.parametrize("settings", [(), ("model.init_adapter=there/adapter",)])
def test_a_fresh_adapter_and_one_from_elsewhere_say_nothing(
    settings: tuple[str, ...], written: Written
) -> None:
    written.add([], train=TRAIN, error={"kind": "oom", "message": "out of memory"})
    written.add(answered(HELD, range(60)), *settings, train=TRAIN)
    assert list(poor_start(written.case())) == []


def test_an_iteration_that_is_gone_says_nothing(written: Written) -> None:
    written.add(answered(HELD, range(60)), "model.init_adapter=7", train=TRAIN)
    assert list(poor_start(written.case())) == []
