"""Findings on how the evaluation was done: sampling, stops, the metric, the labels, the turns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.core.diagnosis.written import Written, answered, example, messages, rows_of
from tui_loop.core.data.rows import Message, Row
from tui_loop.core.diagnosis.diagnose import Rule
from tui_loop.core.diagnosis.rules.measuring import (
    label_not_listed,
    metric_misfit,
    partly_trained,
    sampled,
    stop_in_references,
)

ROWS = messages(280, seed=1)
HELD, TRAIN = ROWS[:80], ROWS[80:]
RULES: tuple[Rule, ...] = (
    sampled,
    stop_in_references,
    metric_misfit,
    partly_trained,
    label_not_listed,
)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def measured_by(folder: Path, metric: str, held: Sequence[Row], said: Sequence[str]) -> Written:
    """A loop of this metric, and an iteration with these outputs, which all fail."""
    made = Written(folder, metric=metric)
    made.base(held)
    outputs = [
        example(row, text, passed=False, score=0.0, causes=("format",))
        for row, text in zip(held, said, strict=True)
    ]
    made.add(outputs, train=TRAIN, labels=())
    return made


@pytest.mark.parametrize("rule", RULES)
def test_an_evaluation_by_default_settings_gives_no_finding(rule: Rule, written: Written) -> None:
    written.add(answered(HELD, range(40)), train=TRAIN, audit=True)
    assert list(rule(written.case())) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_record_without_examples_and_config_gives_no_finding(
    rule: Rule, written: Written
) -> None:
    folder = written.add(answered(HELD), "evaluation.do_sample=true", train=TRAIN)
    for path in (folder.examples, folder.config, folder.summary):
        path.unlink()
    assert list(rule(written.case())) == []


@pytest.mark.parametrize(
    ("temperature", "severity"), [("1.5", "alarm"), ("1.0", "warning"), ("0.3", "note")]
)
def test_sampled_outputs_are_told_by_their_temperature(
    temperature: str, severity: str, written: Written
) -> None:
    how = ("evaluation.do_sample=true", f"evaluation.temperature={temperature}")
    written.add(answered(HELD, range(40)), *how)
    one = written.one(sampled)
    assert one.severity == severity
    assert one.figures == {"temperature": float(temperature)}
    assert "the score is partly random" in one.message


def test_a_temperature_without_sampling_does_nothing(written: Written) -> None:
    written.add(answered(HELD, range(40)), "evaluation.temperature=1.5")
    assert list(sampled(written.case())) == []


@pytest.mark.parametrize(("count", "severity"), [(40, "alarm"), (8, "warning"), (1, "note")])
def test_a_stop_within_references_is_told_by_their_share(
    count: int, severity: str, tmp_path: Path
) -> None:
    held = [
        msgspec.structs.replace(row, reference=f"{row.reference}\n\nmore" if at < count else "ok")
        for at, row in enumerate(HELD)
    ]
    made = Written(tmp_path, metric="exact_match")
    made.base(held)
    cut = [example(row, row.reference.partition("\n\n")[0]) for row in held]
    made.add(cut, 'evaluation.stop=["\\n\\n"]', labels=())
    one = made.one(stop_in_references)
    assert one.severity == severity
    assert (one.figures["rows"], one.figures["failed"]) == (count, count)
    assert f"{count} of 80 references" in one.message
    assert "so the outputs for them are cut short" in one.message
    assert set(one.examples) <= {row.id for row in held[:count]}


def test_a_stop_after_references_is_sound(written: Written) -> None:
    held = [msgspec.structs.replace(row, reference=f"{row.reference}\n") for row in HELD]
    written.add([example(row) for row in held], 'evaluation.stop=["\\n", "###"]')
    assert list(stop_in_references(written.case())) == []


def test_each_stop_within_references_is_a_finding(tmp_path: Path) -> None:
    held = [msgspec.structs.replace(row, reference=f"1; {row.prompt}") for row in HELD]
    made = Written(tmp_path, metric="exact_match")
    made.base(held)
    made.add([example(row, "1") for row in held], 'evaluation.stop=[";", ", "]', labels=())
    assert [each.figures["stop"] for each in stop_in_references(made.case())] == [";", ", "]


def json_of(row: Row, **more: Any) -> str:
    return json.dumps({"intent": row.reference, "text": row.prompt, **more})


def test_json_that_is_compared_as_text_is_an_alarm(tmp_path: Path) -> None:
    held = [msgspec.structs.replace(row, reference=json_of(row)) for row in HELD]
    said = [json.dumps(json.loads(row.reference), indent=2, sort_keys=True) for row in held]
    said = [text.replace("\n", "").replace('": "', '":"') for text in said]
    one = measured_by(tmp_path, "exact_match", held, said).one(metric_misfit)
    assert one.severity == "alarm"
    assert (one.figures["metric"], one.figures["fitting"]) == ("exact_match", "json_match")
    assert (one.figures["passed"], one.figures["would_pass"], one.figures["total"]) == (0, 80, 80)
    assert "outputs fail by form, not by content" in one.message


def test_numbers_that_are_compared_as_text_are_an_alarm(tmp_path: Path) -> None:
    held = rows_of((f"how much is {n} times 1000", f"{n},000") for n in range(1, 61))
    said = [f"{n}000.0" for n in range(1, 61)]
    one = measured_by(tmp_path, "exact_match", held, said).one(metric_misfit)
    assert (one.severity, one.figures["fitting"]) == ("alarm", "numeric")


def test_labels_that_are_compared_as_text_are_a_warning(tmp_path: Path) -> None:
    said = [f"The intent is {row.reference}" for row in HELD]
    one = measured_by(tmp_path, "exact_match", HELD, said).one(metric_misfit)
    assert (one.severity, one.figures["fitting"]) == ("warning", "label")


def test_outputs_with_another_content_fail_by_every_metric(tmp_path: Path) -> None:
    held = [msgspec.structs.replace(row, reference=json_of(row)) for row in HELD]
    made = measured_by(tmp_path, "exact_match", held, [json_of(row, text="") for row in held])
    assert list(metric_misfit(made.case())) == []


def test_texts_have_no_better_metric(tmp_path: Path) -> None:
    held = [msgspec.structs.replace(row, reference=f"Re: {row.prompt}") for row in HELD]
    made = measured_by(tmp_path, "exact_match", held, [f"{row.reference}!!" for row in held])
    assert list(metric_misfit(made.case())) == []


def conversations(rows: Sequence[Row], *, is_long: bool) -> list[Row]:
    earlier = (Message("user", "Are you there?"), Message("assistant", "Yes."))
    return [
        msgspec.structs.replace(
            row,
            messages=(
                *(earlier if is_long else ()),
                Message("user", row.prompt),
                Message("assistant", row.reference),
            ),
        )
        for row in rows
    ]


def test_answers_that_are_scored_and_were_not_trained_on_are_a_warning(written: Written) -> None:
    train, held = (conversations(rows, is_long=True) for rows in (TRAIN, HELD))
    half = ("data.train_on=last", "evaluation.turns=all")
    written.add(answered(HELD, range(40)), *half, train=train, audit=held)
    one = written.one(partly_trained)
    assert one.severity == "warning"
    assert one.figures == {"conversations": 80}
    assert "only the last one was trained on" in one.message


def test_first_answers_that_are_hardly_trained_on_are_an_alarm(written: Written) -> None:
    train = conversations(TRAIN, is_long=True)
    held = [*conversations(HELD[:40], is_long=True), *conversations(HELD[40:], is_long=False)]
    written.add(answered(HELD, range(40)), "evaluation.turns=all", train=train, audit=held)
    one = written.one(partly_trained)
    assert one.severity == "alarm"
    assert "200 of 200 trained answers (100%) but 40 of 80 scored answers (50%)" in one.message


def test_later_answers_that_are_hardly_trained_on_are_an_alarm(written: Written) -> None:
    train = conversations(TRAIN, is_long=False)
    held = conversations(HELD, is_long=True)
    written.add(answered(HELD, range(40)), train=train, audit=held)
    assert "the later answers of conversations were hardly" in written.one(partly_trained).message


@pytest.mark.parametrize(
    ("settings", "is_long"),
    [
        (("data.train_on=last", "evaluation.turns=last"), True),
        (("data.train_on=assistant", "evaluation.turns=all"), True),
        (("data.train_on=last", "evaluation.turns=all"), False),
    ],
)
def test_what_is_scored_was_trained_on(
    settings: tuple[str, ...], is_long: bool, written: Written
) -> None:
    train, held = (conversations(rows, is_long=is_long) for rows in (TRAIN, HELD))
    written.add(answered(HELD, range(40)), *settings, train=train, audit=held)
    assert list(partly_trained(written.case())) == []


def test_without_an_audit_it_is_not_known_whether_rows_are_conversations(written: Written) -> None:
    train = conversations(TRAIN, is_long=True)
    half = ("data.train_on=last", "evaluation.turns=all")
    written.add(answered(HELD, range(40)), *half, train=train)
    assert list(partly_trained(written.case())) == []


@pytest.mark.parametrize(
    ("listed", "lacking", "severity"),
    [
        ('["billing", "cancel", "login"]', "refund", "alarm"),
        ('["billing", "cancel", "refund"]', "login", "alarm"),
    ],
)
def test_a_label_that_is_not_listed_is_told_by_its_share(
    listed: str, lacking: str, severity: str, written: Written
) -> None:
    rows = [row.id for row in HELD if row.reference == lacking]
    written.add(answered(HELD, range(40)), f"evaluation.labels={listed}", train=TRAIN)
    one = written.one(label_not_listed)
    assert one.severity == severity
    assert one.figures == {"rows": len(rows), "total": 80}
    assert f'evaluation.labels lacks "{lacking}"' in one.message
    assert one.examples == tuple(rows[:20])


def test_one_row_with_a_label_that_is_not_listed_is_a_note(written: Written) -> None:
    held = [*HELD[:-1], msgspec.structs.replace(HELD[-1], reference="other")]
    listed = '["billing", "cancel", "login", "refund"]'
    rows = [example(row) for row in held]
    written.add(rows, f"evaluation.labels={listed}", train=TRAIN)
    assert written.one(label_not_listed).severity == "note"


def test_all_labels_are_listed_in_whatever_case(written: Written) -> None:
    listed = '["Billing", "CANCEL", "login", "refund", "other"]'
    written.add(answered(HELD, range(40)), f"evaluation.labels={listed}", train=TRAIN)
    assert list(label_not_listed(written.case())) == []


def test_a_metric_that_passes_other_labels_is_an_alarm(tmp_path: Path) -> None:
    made = Written(tmp_path, metric="exact_match")
    made.base(HELD)
    said = [example(row, "refund", passed=True, score=1.0) for row in HELD]
    made.add(said, "evaluation.metric=regex", "evaluation.pattern=.", train=TRAIN)
    one = made.one(metric_misfit)
    assert one.severity == "alarm"
    assert "name a different label than the reference, but metric regex passes them" in one.message
    right = sum(row.reference == "refund" for row in HELD)
    assert one.figures["would_pass"] == right


def test_a_metric_that_passes_right_labels_in_a_sentence_is_fine(tmp_path: Path) -> None:
    made = Written(tmp_path, metric="contains")
    made.base(HELD)
    said = [example(row, f"it is {row.reference}", passed=True, score=1.0) for row in HELD]
    made.add(said, train=TRAIN)
    assert list(metric_misfit(made.case())) == []
