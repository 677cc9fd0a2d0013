"""Findings on outputs: how they end, their form, what is said too often, what fails or is gone."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.core.diagnosis.written import LABELS, Written, answered, asked, example, rows_of
from tui_loop.core.diagnosis.rules.common import chance, has_learned, knows_task, named
from tui_loop.core.diagnosis.rules.generalization import forgetting, worse_than_base
from tui_loop.core.diagnosis.rules.outputs import (
    class_bias,
    confused_labels,
    format_errors,
    weak_slice,
)
from tui_loop.core.diagnosis.rules.truncation import ending

HELD = asked(80)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def test_a_run_that_learned_nothing_has_no_finding_on_its_outputs(written: Written) -> None:
    babble = [
        example(
            row, "refund " * 8, causes=("repetition", "truncated_output"), loss=4.9, truncated=True
        )
        for row in HELD
    ]
    written.add(babble)
    assert not has_learned(written.case())
    assert not knows_task(written.case())
    assert written.found() == []


def test_a_diverged_run_has_no_finding_on_its_outputs(written: Written) -> None:
    one = [example(row, "refund", loss=0.9) for row in HELD]
    written.add(one, error={"kind": "diverged", "message": "diverged"})
    assert written.found() == []


def test_without_a_base_the_training_loss_says_whether_it_learned(tmp_path: Path) -> None:
    alone = Written(tmp_path)
    alone.base(HELD)
    alone.loop.iteration(0).summary.unlink()
    rows = [example(row, "refund", loss=0.9) for row in HELD]
    alone.add(rows, losses=[5.0] * 20)
    assert not has_learned(alone.case())
    alone.add(rows, losses=[5.0 - n / 5 for n in range(20)])
    assert has_learned(alone.case())


def test_references_that_the_limit_cannot_hold_are_told(written: Written) -> None:
    cut = [
        example(row, "ref", causes=("truncated_output",), supervised_tokens=12, truncated=True)
        for row in HELD[:60]
    ]
    written.add([*cut, *answered(HELD[60:])], max_new_tokens=4)
    found = written.one(ending)
    assert (found.kind, found.severity) == ("truncated_outputs", "alarm")
    assert found.message == (
        "60 of 80 outputs (75%) were cut and failed: evaluation.max_new_tokens is 4, but "
        "their references have up to 11 tokens"
    )


def test_outputs_that_ramble_are_told_apart_from_a_limit_that_is_too_low(written: Written) -> None:
    rambling = [
        example(row, "well now", causes=("truncated_output",), truncated=True) for row in HELD[:12]
    ]
    written.add([*rambling, *answered(HELD[12:], range(8))])
    found = written.one(ending)
    assert (found.kind, found.severity) == ("truncated_outputs", "warning")
    assert "12 of 20 failed outputs reached the limit of 8 new tokens without" in found.message


def test_outputs_that_go_on_after_the_right_answer_lack_an_end(written: Written) -> None:
    ran = [
        example(row, f"{row.reference} and so on", causes=("no_end_token",), truncated=True)
        for row in HELD[:30]
    ]
    written.add([*ran, *answered(HELD[30:])])
    found = written.one(ending)
    assert (found.kind, found.severity) == ("no_end_token", "alarm")
    assert found.message == (
        "the model does not end its answers: 30 of 80 outputs (38%) reach the limit of 8 new "
        "tokens although their references would fit. 30 of them give the right answer first, and "
        "30 of these fail because of the text after it"
    )


def test_passed_outputs_that_never_end_are_told_too(written: Written) -> None:
    written.add(answered(HELD, truncated=True))
    assert written.one(ending).kind == "no_end_token"


def test_answers_cut_in_training_explain_why_none_ends(written: Written) -> None:
    metrics = {"train_rows_cut": 60, "train_rows_dropped": 0, "train_row_longest": 90}
    written.add(answered(HELD, truncated=True), train=asked(80), metrics=metrics)
    assert written.one(ending).message.endswith(
        "60 of 80 training rows (75%) were cut before their end"
    )


def test_the_right_thing_in_another_form_is_a_format_error(written: Written) -> None:
    said = [example(row, f"It is {row.reference}!", causes=("format",)) for row in HELD[:50]]
    written.add([*said, *answered(HELD[50:], [0, 1])])
    found = written.one(format_errors)
    assert found.severity == "alarm"
    assert found.message == (
        "50 of 52 failed outputs have the right content in a different form, for instance "
        '"It is billing!" instead of "billing"'
    )


def test_a_few_odd_forms_are_no_finding(written: Written) -> None:
    said = [example(row, f"It is {row.reference}!", causes=("format",)) for row in HELD[:4]]
    written.add([*said, *answered(HELD[4:])])
    assert list(format_errors(written.case())) == []


def test_outputs_that_name_no_label_are_told_with_an_instance(written: Written) -> None:
    said = [example(row, "parcel", causes=("out_of_vocabulary",)) for row in HELD[:30]]
    written.add([*said, *answered(HELD[30:])])
    assert written.one(format_errors).message == (
        "30 of 30 failed outputs contain none of the 4 labels, for instance "
        '"parcel" instead of "billing"'
    )


def test_broken_json_is_a_format_error_and_cut_json_is_not(tmp_path: Path) -> None:
    rows = rows_of((f"{row.prompt} as JSON", '{"a": "b"}') for row in HELD)
    made = Written(tmp_path, metric="json_match")
    made.base(rows)
    broken = [example(row, '{"a": "b"', causes=("wrong_content",)) for row in rows[:30]]
    cut = [
        example(row, '{"a": ', causes=("truncated_output",), truncated=True) for row in rows[30:40]
    ]
    made.add([*broken, *cut, *(example(row) for row in rows[40:])], labels=())
    assert made.one(format_errors).message.startswith("30 of 40 failed outputs are not plain JSON,")


def test_one_label_for_everything_is_a_class_bias(written: Written) -> None:
    written.add([example(row, "refund", loss=1.0) for row in HELD])
    found = written.one(class_bias)
    assert found.message == (
        'the model gives nearly every row the same label: "refund" in 80 of 80 outputs, but in '
        "only 20 of the references (p < 1e-6). 3 of 4 labels are never used: "
        '"billing", "cancel" and "login"'
    )
    assert not [each for each in written.found() if each.kind == "weak_slice"]


def test_errors_that_are_spread_over_all_labels_are_no_bias(written: Written) -> None:
    written.add(answered(HELD, range(0, 80, 3)))
    assert list(class_bias(written.case())) == []


def test_a_label_that_takes_up_much_is_a_bias_though_all_are_said(written: Written) -> None:
    said = [
        example(row, "refund" if row.reference == "login" or at < 12 else None, loss=0.5)
        for at, row in enumerate(HELD)
    ]
    written.add(said)
    found = written.one(class_bias)
    assert found.figures["never_said"] == 1
    spread = [each for each in HELD if each.reference == "login"][:12]
    some = [example(row, "refund" if row in spread else None, loss=0.5) for row in HELD]
    written.add(some)
    assert written.one(class_bias).message == (
        'the model uses some labels too often: "refund" in 32 of 80 outputs, but in only 20 of '
        "the references (p = 0.002)"
    )
    assert [each.kind for each in weak_slice(written.case())] == ["weak_slice"]


def test_references_as_lopsided_as_the_outputs_are_no_bias(tmp_path: Path) -> None:
    rows = rows_of(
        (row.prompt, "refund" if at % 10 else "login") for at, row in enumerate(asked(80))
    )
    made = Written(tmp_path)
    made.base(rows)
    made.add([example(row, "refund", loss=1.0) for row in rows], labels=("login", "refund"))
    assert list(class_bias(made.case())) == []


def test_a_label_that_fails_more_than_the_rest_is_a_weak_slice(written: Written) -> None:
    weak = [at for at, row in enumerate(HELD) if row.reference == "refund"][:15]
    written.add(answered(HELD, [*weak, 0, 5, 10]))
    found = written.one(weak_slice)
    assert found.severity == "warning"
    assert found.message == (
        '15 of 20 examples with the label "refund" fail, against 3 of 60 others (p < 1e-6); 15 of '
        'the 15 failures were predicted as "billing"'
    )
    assert set(found.examples) == {HELD[at].id for at in weak}


def test_one_group_under_two_names_is_told_once(tmp_path: Path) -> None:
    rows = rows_of(
        (row.prompt if at % 4 else "hm", row.reference) for at, row in enumerate(asked(80))
    )
    made = Written(tmp_path)
    made.base(rows)
    answers = answered(rows, range(0, 80, 4))
    channels = ["pager" if at % 4 == 0 else "mail" for at in range(80)]
    made.add(
        [
            msgspec.structs.replace(each, columns={"channel": channel})
            for each, channel in zip(answers, channels, strict=True)
        ]
    )
    told = [each.message for each in weak_slice(made.case())]
    assert sum("20 of 20" in message for message in told) == 1


def test_failures_at_random_are_no_weak_slice(written: Written) -> None:
    written.add(answered(HELD, range(0, 80, 5)))
    assert list(weak_slice(written.case())) == []


def test_a_loss_of_score_against_the_base_is_an_alarm(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(60))
    made.add(answered(HELD, range(40)))
    found = made.one(worse_than_base)
    assert found.severity == "alarm"
    assert found.message.startswith(
        "the score is worse than the base model's: 50% against 75% (-25"
    )
    assert found.message.endswith(
        "). 40 examples changed from passed to failed, 20 from failed to passed (p = 0.01)"
    )
    assert set(found.examples) <= {row.id for row in HELD[:40]}


def test_a_difference_to_the_base_that_chance_explains_is_none(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(40))
    made.add(answered(HELD, [*range(6), *range(44, 80)]))
    assert list(worse_than_base(made.case())) == []


def test_a_higher_loss_alone_is_a_warning(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(40), loss=1.0)
    worse = [
        example(row, None if at < 40 else "hm", loss=1.0 if at < 40 else 2.0)
        for at, row in enumerate(HELD)
    ]
    made.add(worse)
    found = made.one(worse_than_base)
    assert found.severity == "warning"
    assert "the eval loss is higher than the base model's: 1.500 against 0.750" in found.message


def test_what_the_base_knew_and_is_gone_was_forgotten(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(30))
    made.add(answered(HELD, range(20)))
    found = made.one(forgetting)
    assert found.message == (
        "the base model passed 30 examples, of which 20 now fail. Of the examples that it failed, "
        "50 now pass"
    )
    assert set(found.examples) == {row.id for row in HELD[:20]}


def test_what_two_seeds_would_lose_is_not_forgotten(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.base(HELD, range(40))
    made.add(answered(HELD, range(10)))
    assert list(forgetting(made.case())) == []


def test_an_adapter_that_is_tuned_on_may_forget_what_it_was_taught(written: Written) -> None:
    written.add(answered(HELD))
    written.add(answered(HELD, range(40)), "model.init_adapter=1")
    found = written.one(forgetting)
    assert found.iterations == (1,)
    assert found.message == (
        "iteration 1, from which this run started, passed 80 examples, of which 40 now fail. Of "
        "the examples that it failed, none now pass (p < 1e-6)"
    )


def test_a_change_of_config_that_fails_is_not_called_forgetting(written: Written) -> None:
    written.add(answered(HELD))
    written.add(answered(HELD, range(40)), "learning_rate=1e-2")
    assert list(forgetting(written.case())) == []


def test_unscored_examples_have_no_finding_on_outputs(written: Written) -> None:
    rows = [example(row, passed=None, score=None, output=None, causes=()) for row in HELD]
    written.add(rows)
    assert written.found() == []


def test_chances_and_names_are_told_with_the_digits_they_need() -> None:
    assert [chance(p) for p in (0.456, 0.0312, 0.00042, 1e-9)] == [
        "p = 0.46",
        "p = 0.03",
        "p = 0.0004",
        "p < 1e-6",
    ]
    assert named(LABELS) == '"billing", "cancel", "login" and 1 more'
    assert named(LABELS[:2]) == '"billing" and "cancel"'
    assert named(["a\x1b[31mb"]) == '"a␛[31mb"'


KNOWN = {"train_rows_loss": 0.05}


def test_a_label_that_is_always_taken_for_another_is_confused(written: Written) -> None:
    said = [example(row, "refund" if row.reference == "login" else None) for row in HELD]
    written.add(said, metrics=dict(KNOWN))
    one = written.one(confused_labels)
    assert one.severity == "warning"
    assert one.figures == {"labels": 1, "rows": 20, "total": 80}
    assert '"login" is predicted as "refund" in 20 of its 20 rows' in one.message
    assert set(one.examples) == {row.id for row in HELD if row.reference == "login"}


def test_errors_in_all_directions_are_no_confusion(written: Written) -> None:
    written.add(answered(HELD, range(0, 80, 3)), metrics=dict(KNOWN))
    assert list(confused_labels(written.case())) == []


def test_a_model_of_one_answer_confuses_no_two_labels(written: Written) -> None:
    written.add([example(row, "refund") for row in HELD], metrics=dict(KNOWN))
    assert list(confused_labels(written.case())) == []


@pytest.mark.parametrize("metrics", [{}, {"train_rows_loss": 2.5}])
def test_a_model_that_does_not_know_its_rows_says_nothing_of_labels(
    metrics: dict[str, float], written: Written
) -> None:
    said = [example(row, "refund" if row.reference == "login" else None) for row in HELD]
    written.add(said, metrics=metrics)
    assert list(confused_labels(written.case())) == []


def test_a_label_without_training_rows_is_a_gap_and_no_confusion(written: Written) -> None:
    train = [row for row in asked(400)[200:] if row.reference != "login"]
    said = [example(row, "refund" if row.reference == "login" else None) for row in HELD]
    for audit in (False, True):
        written.add(said, train=train, metrics=dict(KNOWN), audit=audit)
        assert list(confused_labels(written.case())) == []
