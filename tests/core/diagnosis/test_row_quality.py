"""Findings on the quality of rows: names, references, order, encoding, and how many there are."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from tests.core.diagnosis.written import Written, answered, example, messages, renamed, rows_of
from tui_loop.core.data.rows import Row
from tui_loop.core.diagnosis.diagnose import Rule
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.rules.row_quality import (
    bad_references,
    few_rows,
    garbled_text,
    sorted_rows,
    two_names,
    unwanted_references,
)

ROWS = messages(280, seed=1)
HELD, TRAIN = ROWS[:80], ROWS[80:]
AUDITED: tuple[Rule, ...] = (two_names, bad_references, sorted_rows, few_rows, unwanted_references)
IN_ORDER = "training.train_sampling_strategy=sequential"


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def found(
    made: Written,
    rule: Rule,
    train: Sequence[Row],
    *settings: str,
    held: Sequence[Row] = HELD,
    audit: bool = True,
) -> list[Finding]:
    """What a rule says of an iteration with these rows, half of them failing."""
    rows = [example(row, None if at % 2 else "hm") for at, row in enumerate(held)]
    made.add(rows, *settings, train=train, audit=audit)
    return list(rule(made.case()))


def with_references(rows: Sequence[Row], said: str, count: int) -> list[Row]:
    """The rows, evenly spread `count` of them with this reference."""
    step = len(rows) // count
    return [
        msgspec.structs.replace(row, reference=said)
        if at % step == 0 and at < step * count
        else row
        for at, row in enumerate(rows)
    ]


def half_renamed(rows: Sequence[Row], old: str, new: str, every: int = 2) -> list[Row]:
    """The rows, with another name of one label in one of `every` of its rows."""
    of_label = [row.id for row in rows if row.reference == old]
    chosen = set(of_label[::every])
    return [
        msgspec.structs.replace(row, reference=new) if row.id in chosen else row for row in rows
    ]


def by_label(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: row.reference)


@pytest.mark.parametrize("rule", [*AUDITED, garbled_text])
def test_sound_rows_give_no_finding(rule: Rule, written: Written) -> None:
    measured = [(row, 0.2) for row in TRAIN]
    written.add(answered(HELD, range(10)), train=TRAIN, measured=measured, audit=True)
    assert list(rule(written.case())) == []


@pytest.mark.parametrize("rule", AUDITED)
def test_a_record_without_an_audit_says_nothing(rule: Rule, written: Written) -> None:
    bad = with_references(half_renamed(by_label(TRAIN)[:60], "cancel", "cancell"), "", 20)
    assert found(written, rule, bad, IN_ORDER, audit=False) == []


@pytest.mark.parametrize("rule", [*AUDITED, garbled_text])
def test_the_base_was_trained_on_none_of_the_rows(rule: Rule, tmp_path: Path) -> None:
    made = Written(tmp_path)
    bad = with_references(by_label(TRAIN), "", 50)
    made.add(answered(HELD), train=bad, audit=True)
    assert list(rule(made.case(0))) == []


@pytest.mark.parametrize(
    ("every", "severity"), [(2, "warning"), (16, "note")], ids=["half", "a few rows"]
)
def test_a_name_that_is_written_in_two_ways_is_told_by_its_share(
    every: int, severity: str, written: Written
) -> None:
    train, held = (renamed(rows, {"cancel": "sign-off"}) for rows in (TRAIN, HELD))
    train = half_renamed(train, "sign-off", "sign off", every)
    [one] = found(written, two_names, train, held=held)
    assert one.severity == severity
    names = [sum(row.reference == name for row in train) for name in ("sign-off", "sign off")]
    assert (one.figures["pairs"], one.figures["rows"]) == (1, min(names))
    assert f'"sign-off" ({names[0]} rows) and "sign off" ({names[1]} rows)' in one.message
    assert "cannot know which name is right" in one.message


def test_a_name_that_the_evaluation_never_wants_is_found_by_its_prompts(written: Written) -> None:
    train = half_renamed(messages(480, seed=2), "cancel", "leave")
    [one] = found(written, two_names, train)
    assert one.severity == "warning"
    assert '"leave"' in one.message
    assert "read some rows of both" in one.otherwise


def test_names_that_both_sides_use_are_two_classes(written: Written) -> None:
    names = {"cancel": "card", "login": "cards", "refund": "app"}
    train, held = renamed(TRAIN, names), renamed(HELD, names)
    assert found(written, two_names, train, held=held) == []


def test_two_spellings_are_two_names_though_the_metric_takes_them_for_one(
    written: Written,
) -> None:
    [one] = found(written, two_names, half_renamed(TRAIN, "cancel", "Cancel"))
    assert '"Cancel"' in one.message


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("", "are empty"),
        ("TODO", "are placeholders"),
        ("???", "have no letters or digits"),
        ("please ask a person of the second floor about all of it, " * 4, "ten times as long"),
    ],
)
def test_references_that_are_no_answer_are_told_by_their_share(
    said: str, what: str, written: Written
) -> None:
    for count, severity in ((50, "alarm"), (10, "warning"), (1, "note")):
        [one] = found(written, bad_references, with_references(TRAIN, said, count))
        assert (one.severity, one.figures["side"]) == (severity, "train")
        assert one.figures["rows"] == count
        assert f"{count} of 200 training references" in one.message
        assert what in one.message


def test_references_of_the_evaluation_are_told_apart(written: Written) -> None:
    [one] = found(written, bad_references, TRAIN, held=with_references(HELD, "TBD", 20))
    assert (one.severity, one.figures["side"]) == ("alarm", "eval")
    assert "20 of 80 evaluation references (25%) are placeholders" in one.message
    assert len(one.examples) == 5


def test_a_label_with_the_name_of_a_placeholder_is_a_label(written: Written) -> None:
    names = {"login": "none"}
    assert found(written, bad_references, renamed(TRAIN, names), held=renamed(HELD, names)) == []


def test_sorted_rows_that_were_not_shuffled_are_an_alarm(written: Written) -> None:
    [one] = found(written, sorted_rows, by_label(TRAIN), IN_ORDER)
    assert one.severity == "alarm"
    assert "label" in str(one.figures["sorted_by"])
    assert "the run did not shuffle them" in one.message


def test_rows_sorted_by_length_are_sorted_as_well(tmp_path: Path) -> None:
    made = Written(tmp_path, metric="exact_match")
    made.base(HELD)
    pairs = [(row.prompt, f"an answer to: {row.prompt}") for row in TRAIN]
    [one] = found(
        made, sorted_rows, rows_of(sorted(pairs, key=lambda pair: len(pair[0]))), IN_ORDER
    )
    assert "length" in str(one.figures["sorted_by"])


def test_sorted_rows_that_the_run_shuffles_are_sound(written: Written) -> None:
    assert found(written, sorted_rows, by_label(TRAIN)) == []
    shuffled = (IN_ORDER, "training.shuffle_dataset=true")
    assert found(written, sorted_rows, by_label(TRAIN), *shuffled) == []


def test_mixed_rows_need_no_shuffling(written: Written) -> None:
    assert found(written, sorted_rows, TRAIN, IN_ORDER) == []


def chat(count: int) -> list[Row]:
    kinds = ("chitchat", "weather", "greeting")
    return rows_of((f"so how is it going today {n}", kinds[n % 3]) for n in range(count))


@pytest.mark.parametrize(("count", "severity"), [(100, "warning"), (36, "note")])
def test_rows_of_another_task_are_told_by_their_share(
    count: int, severity: str, written: Written
) -> None:
    [one] = found(written, unwanted_references, [*TRAIN, *chat(count)])
    assert one.severity == severity
    assert (one.figures["rows"], one.figures["train_rows"]) == (count, 200 + count)
    assert "have a reference that no evaluation row has" in one.message
    assert '"chitchat"' in one.message


def test_a_few_rows_of_a_rare_class_are_no_other_task(written: Written) -> None:
    assert found(written, unwanted_references, [*TRAIN, *chat(6)]) == []


def test_other_names_on_both_sides_are_no_other_task(written: Written) -> None:
    assert found(written, unwanted_references, renamed(TRAIN, {"cancel": "cancell"})) == []


def test_a_label_in_capitals_is_no_other_task(written: Written) -> None:
    train = half_renamed(half_renamed(TRAIN, "cancel", "CANCEL"), "refund", "REFUND")
    assert found(written, unwanted_references, train) == []


def garble(rows: Sequence[Row]) -> list[Row]:
    return [
        msgspec.structs.replace(
            row, prompt=f"Ich möchte zurück, {row.prompt}".encode().decode("cp1252")
        )
        for row in rows
    ]


def test_texts_with_a_wrong_encoding_are_a_warning_with_what_they_show(written: Written) -> None:
    measured = [(row, 0.2) for row in [*garble(TRAIN[:40]), *TRAIN[40:100]]]
    written.add(answered(HELD, range(20)), train=TRAIN, measured=measured)
    one = written.one(garbled_text)
    assert one.severity == "warning"
    assert one.figures == {"train": 40, "eval": 0}
    assert 'such as "Ã¶"' in one.message
    assert "40 of 100 measured training rows (40%) and 0 of 80 evaluation rows (0%)" in one.message


def test_garbled_evaluation_rows_need_no_measured_training_rows(written: Written) -> None:
    held = [*garble(HELD[:30]), *HELD[30:]]
    written.add(answered(held, range(20)), train=TRAIN)
    one = written.one(garbled_text)
    assert one.figures == {"train": 0, "eval": 30}


def test_a_few_garbled_rows_are_a_note_and_one_is_nothing(written: Written) -> None:
    for count, severities in ((4, ["note"]), (1, [])):
        measured = [(row, 0.2) for row in [*garble(TRAIN[:count]), *TRAIN[count:]]]
        written.add(answered(HELD, range(20)), train=TRAIN, measured=measured)
        assert [each.severity for each in garbled_text(written.case())] == severities


@pytest.mark.parametrize(
    "word", ["Zürich", "café à côté", "SÃO PAULO", "naïve", "Łódź", "â la", "Ã"]
)
def test_accents_are_no_wrong_encoding(word: str, written: Written) -> None:
    rows = [msgspec.structs.replace(row, prompt=f"{word} {row.prompt}") for row in TRAIN]
    measured = [(row, 0.2) for row in rows]
    written.add(answered(HELD, range(20)), train=rows, measured=measured)
    assert list(garbled_text(written.case())) == []


def memorized(rows: Sequence[Row], loss: float = 0.01) -> list[tuple[Row, float]]:
    return [(row, loss * (1 + at % 3)) for at, row in enumerate(rows)]


def test_few_rows_that_were_memorized_are_a_warning(written: Written) -> None:
    train = TRAIN[:30]
    written.add(answered(HELD, range(60)), train=train, measured=memorized(train), audit=True)
    one = written.one(few_rows)
    assert one.severity == "warning"
    assert one.message.startswith("there are only 30 distinct training rows: the model memorizes")
    assert one.figures == {"rows": 30, "train_rows": 30}


def test_a_label_that_is_missing_from_tens_of_rows_is_the_cause_itself(written: Written) -> None:
    train = [row for row in TRAIN[:90] if row.reference != TRAIN[0].reference]
    written.add(answered(HELD, range(60)), train=train, measured=memorized(train), audit=True)
    assert list(few_rows(written.case())) == []


def test_a_label_that_is_missing_from_a_few_rows_is_missing_by_chance(written: Written) -> None:
    train = [row for row in TRAIN[:12] if row.reference != TRAIN[0].reference]
    written.add(answered(HELD, range(60)), train=train, measured=memorized(train), audit=True)
    assert written.one(few_rows).severity == "warning"


def test_repeated_rows_count_once(written: Written) -> None:
    train = rows_of([(row.prompt, row.reference) for row in TRAIN[:30]] * 10)
    written.add(answered(HELD, range(60)), train=train, measured=memorized(train), audit=True)
    one = written.one(few_rows)
    assert "only 30 distinct training rows (300 with repeats)" in one.message
    assert one.figures == {"rows": 30, "train_rows": 300}


def test_few_rows_that_taught_little_are_a_warning(written: Written) -> None:
    metrics = {"eval_loss": 4.5}
    written.add(
        answered(HELD, range(70)), train=TRAIN[:30], audit=True, metrics=metrics, losses=[4.8] * 12
    )
    assert "and 12 steps: too few to learn a task" in written.one(few_rows).message


def test_few_rows_that_suffice_are_no_finding(written: Written) -> None:
    train = TRAIN[:30]
    written.add(answered(HELD), train=train, measured=memorized(train, 0.03), audit=True)
    assert list(few_rows(written.case())) == []


def test_many_rows_that_were_memorized_are_another_finding(written: Written) -> None:
    written.add(answered(HELD, range(60)), train=TRAIN, measured=memorized(TRAIN), audit=True)
    assert list(few_rows(written.case())) == []
