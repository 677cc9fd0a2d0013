"""Findings on data: what was cut, repeated, leaked, mislabelled, lacking, or too little."""

from __future__ import annotations

import random
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.diagnosis.written import LABELS, Written, answered, asked, example, rows_of
from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.rules.evaluation_set import (
    eval_too_small,
    smallest_net,
    smallest_total,
)
from tui_loop.core.diagnosis.rules.label_noise import (
    binomial_tail,
    contradictions,
    hard_training_rows,
    next_to_impossible,
    still_hard,
    suspect_references,
)
from tui_loop.core.diagnosis.rules.training_data import (
    duplicates,
    far_failures,
    inputs_of,
    leakage,
    missing_labels,
    rare_labels,
)
from tui_loop.core.diagnosis.rules.truncation import truncated_inputs
from tui_loop.core.paired_stats import mcnemar

HELD, TRAIN = asked(80), asked(400)[200:]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def hard(share: float, count: int = 100, seed: int = 1) -> list[tuple[Row, float]]:
    """Training rows with losses; `share` of them far above the others."""
    draw = random.Random(seed)
    return [
        (row, draw.uniform(2.5, 4) if at < share * count else draw.uniform(0.01, 0.2))
        for at, row in enumerate(TRAIN[:count])
    ]


def test_a_sound_record_gives_no_finding(written: Written) -> None:
    written.add(answered(HELD, range(0, 80, 9)), train=TRAIN, measured=hard(0.02))
    assert written.found() == []


def test_the_untouched_base_gives_no_finding(written: Written) -> None:
    written.add(answered(HELD), train=[*TRAIN, *HELD])
    assert written.found(0) == []


def test_a_record_without_examples_or_rows_gives_no_finding(written: Written) -> None:
    folder = written.add(answered(HELD), train=TRAIN)
    for path in (folder.examples, folder.journal, folder.config, folder.tokens):
        path.unlink()
    assert written.found() == []


def test_held_out_rows_that_were_trained_on_are_an_alarm(written: Written) -> None:
    written.add(answered(HELD, range(30, 60)), train=[*TRAIN, *HELD[:30]])
    found = written.one(leakage)
    assert found.severity == "alarm"
    assert found.message == (
        "30 of 80 held-out rows (38%) have an input that was trained on, 30 of them with the same "
        "answer; 30 of 30 such rows pass, against 20 of 50 others (p < 1e-6)"
    )
    assert found.examples == tuple(row.id for row in HELD[:20])


def test_one_leaked_row_of_many_is_only_noted(written: Written) -> None:
    held = asked(180)
    written.add(answered(held), train=[*asked(400)[200:], held[3]])
    assert written.one(leakage).severity == "note"


def test_ids_of_the_data_itself_say_nothing_of_its_inputs(written: Written) -> None:
    named = rows_of([(row.prompt, row.reference) for row in HELD], [f"u{n}" for n in range(80)])
    written.add(answered(named), train=named)
    assert inputs_of({"u1": "x", "0123456789ab": "y"}) == {}
    assert list(leakage(written.case())) == []
    assert list(duplicates(written.case())) == []


def test_nearly_the_same_rows_are_told_from_the_measured_ones(written: Written) -> None:
    words = "my parcel number has not come and nobody at the desk knows where it went {} {}"
    held = rows_of((words.format(row.prompt, "today"), row.reference) for row in HELD[:40])
    twins = rows_of((words.format(row.prompt, "today!"), row.reference) for row in HELD[:10])
    other = TRAIN[:90]
    measured = [(row, 0.1) for row in (*twins, *other)]
    train = [*twins, *other, *TRAIN[90:]]
    written.add(answered(held, range(12, 40)), train=train, measured=measured)
    found = written.one(leakage)
    assert found.severity == "warning"
    assert found.message.startswith("10 of 40 held-out rows (25%) have nearly the same input as a")
    assert "Only 100 of 210 training rows were checked; an estimated 12 to 37" in found.message
    assert set(found.examples) == {row.id for row in held[:10]}
    written.add(answered(held), train=train, measured=measured)
    assert written.one(leakage).severity == "note"  # all pass, so the twins are no help


def test_repeated_training_rows_are_counted(written: Written) -> None:
    written.add(answered(HELD), train=rows_of([(r.prompt, r.reference) for r in TRAIN] * 3))
    found = written.one(duplicates)
    assert found.severity == "warning"
    assert found.figures["repeats"] == 400
    assert "400 of 600 training rows (67%) repeat the input of another row" in found.message
    assert "up to 3 times" in found.message


def test_a_single_repeat_is_not_worth_a_word(written: Written) -> None:
    once = [(row.prompt, row.reference) for row in TRAIN]
    written.add(answered(HELD), train=rows_of([*once, once[0]]))
    assert list(duplicates(written.case())) == []


def test_one_input_under_two_labels_contradicts_itself(written: Written) -> None:
    pairs = [(row.prompt, row.reference) for row in TRAIN]
    other = [(prompt, LABELS[0] if said != LABELS[0] else LABELS[1]) for prompt, said in pairs[:40]]
    written.add(answered(HELD), train=rows_of([*pairs, *other]))
    found = written.one(contradictions)
    assert found.severity == "alarm"
    assert found.message == (
        "80 of 240 training rows (33%) contradict one another: 40 inputs have more than one "
        "reference, so at least 40 references are wrong"
    )


def test_several_texts_for_one_prompt_are_no_contradiction(written: Written) -> None:
    texts = [(f"prompt {n // 2}", f"a text that is number {n} of many") for n in range(100)]
    written.add(answered(HELD), train=rows_of(texts))
    assert list(contradictions(written.case())) == []


def test_training_rows_that_stay_hard_are_label_noise(written: Written) -> None:
    written.add(answered(HELD, range(0, 80, 20)), train=TRAIN, measured=hard(0.2))
    found = written.one(hard_training_rows)
    assert found.severity == "alarm"
    assert 0.1 < float(found.figures["low"]) < 0.2 < float(found.figures["high"])
    assert "after training, the loss is very high in " in found.message
    assert str(found.figures["lines"]).split(", ")[0].isdecimal()


def test_rows_as_hard_as_held_out_ones_are_no_label_noise(written: Written) -> None:
    held = [
        example(row, loss=loss)
        for row, (_, loss) in zip(HELD, hard(0.25, len(HELD), seed=2), strict=True)
    ]
    written.add(held, train=TRAIN, measured=hard(0.2))
    assert list(hard_training_rows(written.case())) == []


def test_a_run_that_learned_nothing_says_nothing_of_labels(written: Written) -> None:
    untouched = [example(row, "hm", loss=4.9) for row in HELD]
    written.add(untouched, train=TRAIN, measured=hard(0.2), metrics={"eval_loss": 4.9})
    assert list(hard_training_rows(written.case())) == []


def test_references_that_good_iterations_contradict_are_noted(written: Written) -> None:
    for _ in range(3):
        written.add(
            [
                *answered(HELD[3:]),
                *(
                    example(row, "refund" if row.reference != "refund" else "login", loss=4.0)
                    for row in HELD[:3]
                ),
            ],
            train=TRAIN,
        )
    found = written.one(suspect_references)
    assert (found.kind, found.severity) == ("label_noise", "note")
    assert set(found.examples) == {row.id for row in HELD[:3]}


def test_rows_that_many_passes_did_not_teach_are_worth_a_look(written: Written) -> None:
    held = [
        example(row, None if loss < 1 else "hm", loss=loss)
        for row, (_, loss) in zip(HELD, hard(0.4, len(HELD), seed=2), strict=True)
    ]
    for epochs, passes_enough in ((1.0, False), (4.0, True)):
        written.add(held, train=TRAIN, measured=hard(0.35), metrics={"epochs": epochs})
        assert bool(list(still_hard(written.case()))) == passes_enough
    found = written.one(still_hard)
    assert (found.kind, found.severity) == ("label_noise", "note")
    assert "after 4 epochs, 35 of 100 measured training rows (35%) and 32 of 80 held-out rows" in (
        found.message
    )
    assert {int(line) for line in str(found.figures["lines"]).split(", ")} <= {
        row.line for row in TRAIN[:35]
    }


def test_rows_that_were_learned_need_no_look(written: Written) -> None:
    held = answered(HELD, range(32))
    written.add(held, train=TRAIN, measured=hard(0.22), metrics={"epochs": 4.0})
    assert list(still_hard(written.case())) == []


@pytest.mark.parametrize(
    ("rest", "severity"),
    [(0.2, "warning"), (1.6, "note")],  # the model is sure of all others, or of none
)
def test_references_that_an_unsure_model_rules_out_are_worth_a_look(
    rest: float, severity: str, written: Written
) -> None:
    held = [
        example(row, None if at >= 20 else "hm", loss=6.0 if at < 20 else rest)
        for at, row in enumerate(HELD)
    ]
    unsure = [(row, 0.6 if at < 15 else 0.1) for at, row in enumerate(TRAIN[:100])]
    written.add(held, train=TRAIN, measured=unsure)
    found = written.one(next_to_impossible)
    assert (found.kind, found.severity) == ("label_noise", severity)
    assert found.message.startswith("20 of 80 held-out references (25%) may be wrong: the model")
    assert set(found.examples) == {row.id for row in HELD[:20]}
    by_heart = [(row, 0.01) for row in TRAIN[:100]]
    written.add(held, train=TRAIN, measured=by_heart)
    assert list(next_to_impossible(written.case())) == []


@given(total=st.integers(1, 60), share=st.floats(0.01, 0.99))
def test_the_binomial_tail_is_a_chance_that_falls(total: int, share: float) -> None:
    tails = [binomial_tail(count, total, share) for count in range(total + 1)]
    assert tails[0] == pytest.approx(1.0)
    assert tails[-1] == pytest.approx(share**total, rel=1e-6)
    assert tails == sorted(tails, reverse=True)


def test_cut_training_rows_are_told_from_the_metrics(written: Written) -> None:
    counted = {"train_rows_cut": 150, "train_rows_dropped": 120, "train_row_longest": 41}
    written.add(answered(HELD), "training.max_length=16", train=TRAIN, metrics=counted)
    found = written.one(truncated_inputs)
    assert found.severity == "alarm"
    assert found.message == (
        "training.max_length 16 cuts 150 of 200 training rows (75%); 120 of them have no trained "
        "token left and were not trained on. The longest row has 41 tokens"
    )


def test_a_run_that_had_nothing_left_to_train_on_is_told(written: Written) -> None:
    said = "training.max_length: no row keeps a trained token within 16 tokens"
    error = {"kind": "data", "message": said}
    written.add([], "training.max_length=16", train=TRAIN, error=error)
    assert written.one(truncated_inputs).severity == "alarm"


@pytest.mark.parametrize(("cut", "severity"), [(2, "note"), (20, "warning")])
def test_a_few_cut_rows_are_noted_and_many_are_worth_acting_on(
    written: Written, cut: int, severity: str
) -> None:
    counted = {"train_rows_cut": cut, "train_rows_dropped": 0, "train_row_longest": 41}
    written.add(answered(HELD), "training.max_length=40", train=TRAIN, metrics=counted)
    assert written.one(truncated_inputs).severity == severity


def test_older_records_say_it_in_the_journal(written: Written) -> None:
    written.add(
        answered(HELD),
        "training.max_length=16",
        train=TRAIN,
        metrics={"epochs": 1.0},
        lines=["50 training rows have no trained token within 16 tokens and are left out"],
        num_tokens=150 * 15.5,
    )
    found = written.one(truncated_inputs)
    assert found.figures["rows_left_out"] == 50
    assert "the others have 15.5 tokens on average, close to the limit" in found.message


def test_older_records_of_short_rows_say_nothing(written: Written) -> None:
    written.add(answered(HELD), train=TRAIN, metrics={"epochs": 1.0}, num_tokens=200 * 30.0)
    assert list(truncated_inputs(written.case())) == []


def test_prompts_that_the_model_was_not_shown_whole_are_told(written: Written) -> None:
    rows = [
        *(example(row, "hm", prompt_cut=9) for row in HELD[:10]),
        *answered(HELD[10:], range(5)),
    ]
    written.add(rows, train=TRAIN)
    found = written.one(truncated_inputs)
    assert found.severity == "warning"
    assert found.message.startswith(
        "the start of 10 of 80 held-out prompts (12%) is cut off, so outputs were generated"
    )
    assert (
        "10 of 10 examples with a cut prompt fail, against 5 of 70 others (p < 1e-6)"
        in found.message
    )


def test_most_prompts_cut_are_an_alarm(written: Written) -> None:
    rows = [
        *(example(row, "hm", prompt_cut=9) for row in HELD[:60]),
        *answered(HELD[60:]),
    ]
    written.add(rows, "evaluation.max_new_tokens=900", train=TRAIN, metrics={"eval_rows_cut": 60})
    found = written.one(truncated_inputs)
    assert found.severity == "alarm"
    assert (
        "because evaluation.max_new_tokens 900 takes up most of the context, so the loss was "
        "measured on incomplete prompts"
    ) in found.message


def test_a_label_that_was_never_trained_on_is_a_gap(written: Written) -> None:
    train = [row for row in TRAIN if row.reference != "login"]
    missing = [at for at, row in enumerate(HELD) if row.reference == "login"]
    written.add(answered(HELD, missing), train=train)
    found = written.one(missing_labels)
    assert found.message == (
        '20 of 80 held-out rows (25%) have a reference that no training row has ("login"); '
        "20 of 20 such rows fail"
    )
    assert not [each for each in written.found() if each.kind == "weak_slice"]


@pytest.mark.parametrize("audit", [False, True])
@pytest.mark.parametrize(("labels", "severity"), [(("login",), "alarm"), (("other",), "warning")])
def test_a_gap_is_as_grave_as_the_rows_that_want_it(
    labels: tuple[str, ...], severity: str, audit: bool, written: Written
) -> None:
    held = [*HELD[:76], *(msgspec.structs.replace(row, reference="other") for row in HELD[76:])]
    train = [row for row in TRAIN if row.reference not in labels]
    if "login" in labels:
        held = HELD
    rows = [example(row, "hm" if row.reference in labels else None) for row in held]
    written.add(rows, train=train, audit=audit)
    assert written.one(missing_labels).severity == severity


def test_a_label_written_otherwise_in_training_is_no_gap(written: Written) -> None:
    written.add(answered(HELD), train=rows_of((r.prompt, r.reference.upper()) for r in TRAIN))
    assert list(missing_labels(written.case())) == []


def test_a_rare_label_is_a_gap_where_it_fails(written: Written) -> None:
    train = [row for row in TRAIN if row.reference != "login" or row.line % 20 == 3]
    rare = [at for at, row in enumerate(HELD) if row.reference == "login"]
    assert sum(row.reference == "login" for row in train) == 10
    written.add(answered(HELD, rare[:12]), train=train)
    assert written.one(rare_labels).message.startswith(
        'label "login" has 10 training rows (usually 50 per label); 12 of its 20 examples '
        "fail, against"
    )
    written.add(answered(HELD, [*range(0, 60, 4), rare[0], *rare[4:10]]), train=train)
    assert written.one(rare_labels).severity == "note"
    written.add(answered(HELD, [0, 5]), train=train)
    assert list(rare_labels(written.case())) == []


def test_failures_far_from_all_training_rows_are_a_gap(written: Written) -> None:
    near = [Row("", f"{row.prompt} then", row.reference, row.line) for row in HELD[:60]]
    train = rows_of((row.prompt, row.reference) for row in [*near, *TRAIN[:40]])
    written.add(answered(HELD, range(64, 80)), train=train, measured=[(row, 0.1) for row in train])
    found = written.one(far_failures)
    assert found.message.startswith("16 of 2")
    assert "examples without a similar training row fail, against 0 of" in found.message
    assert set(found.examples) <= {row.id for row in HELD[64:]}


def test_eight_rows_can_show_next_to_nothing(tmp_path: Path) -> None:
    few = Written(tmp_path)
    few.base(HELD[:8])
    few.add(answered(HELD[:8], [0]), train=TRAIN)
    found = few.one(eval_too_small)
    assert found.severity == "warning"
    assert found.message == (
        "8 held-out rows cannot show a score change of less than about 75 points: newly passed "
        "rows must outnumber newly failed ones by at least 6. It takes about 60 rows to "
        "show a change of 15 points"
    )


def test_four_rows_can_show_nothing_at_all(tmp_path: Path) -> None:
    few = Written(tmp_path)
    few.base(HELD[:4])
    few.add(answered(HELD[:4]), train=TRAIN)
    assert "cannot show any change of the score" in few.one(eval_too_small).message


def test_a_change_that_looks_like_one_is_held_against_what_can_be_seen(written: Written) -> None:
    written.add(answered(HELD, range(20)), train=TRAIN)
    written.add(answered(HELD, range(5, 21)), "learning_rate=2e-4", train=TRAIN)
    found = written.one(eval_too_small)
    assert found.severity == "note"
    assert found.message.startswith(
        "the change of +5 points from iteration 1 may be chance: 5 examples fixed, 1 broken "
        "(p = 0.22). "
    )


def test_two_runs_of_one_config_are_no_change(written: Written) -> None:
    written.add(answered(HELD, range(20)), train=TRAIN)
    written.add(answered(HELD, range(5, 21)), "seed=7", train=TRAIN)
    assert list(eval_too_small(written.case())) == []


def test_a_change_that_can_be_seen_needs_no_word(written: Written) -> None:
    written.add(answered(HELD, range(30)), train=TRAIN)
    written.add(answered(HELD, range(10)), train=TRAIN)
    assert list(eval_too_small(written.case())) == []


@given(total=st.integers(6, 400), share=st.floats(0.01, 1.0))
def test_the_smallest_difference_is_one_that_the_test_sees(total: int, share: float) -> None:
    net = smallest_net(total, share)
    assert net is not None
    changed = max(net, round(share * total))
    seen = [n for n in range(changed, total + 1) if (n - net) % 2 == 0]
    assert any(mcnemar((n + net) // 2, (n - net) // 2) < 0.05 for n in seen)


@given(share=st.floats(0.02, 1.0))
def test_the_rows_that_are_advised_suffice(share: float) -> None:
    total = smallest_total(share)
    net = smallest_net(total, share)
    assert net is not None
    assert net <= 0.15 * total
