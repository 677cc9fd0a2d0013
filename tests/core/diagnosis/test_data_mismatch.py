"""Findings on training rows that differ from evaluation rows, read from a recorded audit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from tests.core.diagnosis.written import Written, answered, example, messages, renamed, rows_of
from tui_loop.core.data.rows import Message, Row
from tui_loop.core.diagnosis.diagnose import Rule
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.rules.data_mismatch import (
    answer_in_prompt,
    exchanged_columns,
    other_vocabulary,
    poor_prompts,
    prompts_differ,
    references_differ,
    unbalanced_labels,
)

ROWS = messages(280, seed=1)
HELD, TRAIN = ROWS[:80], ROWS[80:]
RULES: tuple[Rule, ...] = (
    exchanged_columns,
    poor_prompts,
    references_differ,
    prompts_differ,
    answer_in_prompt,
    other_vocabulary,
    unbalanced_labels,
)


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


@pytest.fixture
def writing(tmp_path: Path) -> Written:
    """A loop whose references are texts of several words."""
    made = Written(tmp_path, metric="exact_match")
    made.base(texts(HELD))
    return made


def found(
    made: Written, rule: Rule, train: Sequence[Row], held: Sequence[Row] = HELD
) -> list[Finding]:
    """What a rule says of an iteration with these rows, half of them failing."""
    rows = [example(row, None if at % 2 else "hm") for at, row in enumerate(held)]
    made.add(rows, train=train, audit=True)
    return list(rule(made.case()))


def asked_otherwise(rows: Sequence[Row], change: Callable[[str], str]) -> list[Row]:
    return [msgspec.structs.replace(row, prompt=change(row.prompt)) for row in rows]


def said_otherwise(rows: Sequence[Row], change: Callable[[str], str]) -> list[Row]:
    return [msgspec.structs.replace(row, reference=change(row.reference)) for row in rows]


def partly(rows: Sequence[Row], other: Sequence[Row], share: float) -> list[Row]:
    """The rows, but this share of them from `other`, evenly spread."""
    return [
        theirs if int((at + 1) * share) > int(at * share) else own
        for at, (own, theirs) in enumerate(zip(rows, other, strict=True))
    ]


def exchanged(rows: Sequence[Row]) -> list[Row]:
    return rows_of((row.reference, row.prompt) for row in rows)


def given_away(rows: Sequence[Row]) -> list[Row]:
    return [msgspec.structs.replace(row, prompt=f"{row.prompt} [{row.reference}]") for row in rows]


def texts(rows: Sequence[Row]) -> list[Row]:
    """Rows whose references are sentences, all different."""
    return [
        msgspec.structs.replace(row, reference=f"We wrote to you about this: {row.prompt}.")
        for row in rows
    ]


@pytest.mark.parametrize("rule", RULES)
def test_two_samples_of_one_source_do_not_differ(rule: Rule, written: Written) -> None:
    assert found(written, rule, TRAIN) == []


@pytest.mark.parametrize("rule", RULES)
def test_two_samples_of_texts_do_not_differ(rule: Rule, writing: Written) -> None:
    assert found(writing, rule, texts(TRAIN), texts(HELD)) == []


@pytest.mark.parametrize("rule", RULES)
def test_a_record_without_an_audit_says_nothing(rule: Rule, written: Written) -> None:
    for train in (exchanged(TRAIN), given_away(TRAIN), renamed(TRAIN, {"cancel": "cancell"})):
        written.add(answered(HELD, range(40)), train=train)
        assert list(rule(written.case())) == []


@pytest.mark.parametrize("rule", RULES)
def test_an_audit_that_cannot_be_read_says_nothing(rule: Rule, written: Written) -> None:
    folder = written.add(answered(HELD), train=exchanged(TRAIN), audit=True)
    folder.audit.write_text('{"version": 1, "data": {"rows": 3}}')
    assert list(rule(written.case())) == []


@pytest.mark.parametrize("rule", RULES)
def test_the_base_was_trained_on_none_of_the_rows(rule: Rule, tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.add(answered(HELD), train=given_away(exchanged(TRAIN)), audit=True)
    assert list(rule(made.case(0))) == []


def test_exchanged_columns_are_an_alarm(written: Written) -> None:
    [one] = found(written, exchanged_columns, exchanged(TRAIN))
    assert one.severity == "alarm"
    assert one.figures["rows"] == 200
    assert float(one.figures["exchanged"]) < 0.5 * float(one.figures["straight"])
    assert "look exchanged" in one.message
    assert "200 of 200 training prompts (100%) equal an evaluation reference" in one.message


def test_a_label_that_each_side_names_otherwise_is_found(written: Written) -> None:
    [one] = found(written, references_differ, renamed(TRAIN, {"cancel": "cancell"}))
    assert one.severity == "warning"
    assert '"cancell" in training is "cancel" in the evaluation' in one.message
    wanted = [row.id for row in HELD if row.reference == "cancel"]
    assert one.figures["rows"] == len(wanted)
    assert one.examples == tuple(wanted[:5])


def test_labels_that_have_nothing_in_common_are_an_alarm(written: Written) -> None:
    codes = {"billing": "B17", "cancel": "C02", "login": "L44", "refund": "R90"}
    [one] = found(written, references_differ, renamed(TRAIN, codes))
    assert one.severity == "alarm"
    assert "training and evaluation use different references" in one.message
    assert "80 of 80 evaluation rows (100%) have a reference that no training row has" in (
        one.message
    )


def test_a_label_of_one_side_that_is_no_other_name_is_no_difference(written: Written) -> None:
    train = [*TRAIN, *rows_of((f"how is the weather {n}", "chitchat") for n in range(30))]
    held = [*HELD, *rows_of((f"sell me {n} lamps", "order") for n in range(8))]
    assert found(written, references_differ, train, held) == []


@pytest.mark.parametrize("change", [str.upper, str.title, lambda text: f"{text}."])
def test_what_the_metric_ignores_is_no_difference(
    change: Callable[[str], str], written: Written
) -> None:
    assert found(written, references_differ, said_otherwise(TRAIN, change)) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda text: f"Answer: {text}", 'the start "Answer: We wrote'),
        (lambda text: f"{text} Kind regards, the team", "Kind regards, the team"),
        (lambda text: f'{{"answer": "{text}"}}', 'the start "{"answer": "We wrote'),
        (lambda text: f"{text[-9:-1]} {text[:-1]}?", 'last character "?" in 100% of training'),
        (lambda text: f"{text} {text} {text} {text}", "median length"),
    ],
)
def test_another_form_of_all_references_is_an_alarm(
    change: Callable[[str], str], said: str, writing: Written
) -> None:
    train = said_otherwise(texts(TRAIN), change)
    [one] = found(writing, references_differ, train, texts(HELD))
    assert one.severity in ("alarm", "warning")
    assert said in one.message
    assert one.message.startswith("references differ in form between training and evaluation")


def test_another_form_of_a_few_references_is_no_difference(writing: Written) -> None:
    own = texts(TRAIN)
    few = partly(own, said_otherwise(own, lambda text: f'{{"answer": "{text}"}}'), 0.1)
    assert found(writing, references_differ, few, texts(HELD)) == []


def test_a_template_that_only_one_side_has_is_an_alarm(written: Written) -> None:
    train = asked_otherwise(TRAIN, lambda text: f"### Message\n{text}\n### Intent")
    [one] = found(written, prompts_differ, train)
    assert one.severity == "alarm"
    assert float(one.figures["apart"]) > 0.95
    assert 'the start "### Message' in one.message
    assert "in 100% of training rows and 0% of evaluation rows" in one.message


def test_a_template_of_a_tenth_of_the_rows_is_no_difference(written: Written) -> None:
    other = asked_otherwise(TRAIN, lambda text: f"### Message\n{text}\n### Intent")
    assert found(written, prompts_differ, partly(TRAIN, other, 0.1)) == []


def test_prompts_of_another_length_or_language_differ(written: Written) -> None:
    long = asked_otherwise(TRAIN, lambda text: f"{text}. " * 6)
    [one] = found(written, prompts_differ, long)
    assert "median length" in one.message
    german = "ich habe eine Frage und sie ist nicht für die Kasse"
    [other] = found(written, prompts_differ, asked_otherwise(TRAIN, lambda text: german + text[:9]))
    assert other.severity in ("alarm", "warning")


def turns(rows: Sequence[Row], system: str = "", before: str = "") -> list[Row]:
    """The rows as conversations, with a system text or an earlier exchange."""
    first = [Message("system", system)] if system else []
    earlier = [Message("user", before), Message("assistant", "Yes?")] if before else []
    return [
        msgspec.structs.replace(
            row,
            messages=(
                *first,
                *earlier,
                Message("user", row.prompt),
                Message("assistant", row.reference),
            ),
        )
        for row in rows
    ]


@pytest.mark.parametrize(
    ("train", "held", "said"),
    [
        (
            turns(TRAIN, "You sort messages."),
            turns(HELD),
            "a system text in 100% of training rows and 0%",
        ),
        (
            turns(TRAIN),
            turns(HELD, before="Are you there?"),
            "earlier turns in 0% of training rows",
        ),
        (
            turns(TRAIN, "You sort messages."),
            turns(HELD, "Answer in one word."),
            'the system text "You sort messages." in 100% of training rows and 0% of evaluation',
        ),
    ],
)
def test_conversations_with_another_context_differ(
    train: list[Row], held: list[Row], said: str, written: Written
) -> None:
    written.add(answered(HELD, range(40)), train=train, audit=held)
    one = written.one(prompts_differ)
    assert one.severity == "alarm"
    assert said in one.message


def test_conversations_with_one_context_do_not_differ(written: Written) -> None:
    train, held = (turns(rows, "You sort messages.", "Are you there?") for rows in (TRAIN, HELD))
    written.add(answered(HELD, range(40)), train=train, audit=held)
    assert list(prompts_differ(written.case())) == []


def test_an_answer_that_training_gives_away_is_an_alarm(written: Written) -> None:
    [one] = found(written, answer_in_prompt, given_away(TRAIN))
    assert (one.severity, one.figures["side"]) == ("alarm", "train")
    assert (one.figures["train"], one.figures["eval"]) == (200, 0)
    assert "training prompts give the answer away" in one.message


def test_an_answer_in_a_third_of_the_prompts_is_a_warning(written: Written) -> None:
    [one] = found(written, answer_in_prompt, partly(TRAIN, given_away(TRAIN), 0.35))
    assert (one.severity, one.figures["side"]) == ("warning", "train")
    assert found(written, answer_in_prompt, partly(TRAIN, given_away(TRAIN), 0.05)) == []


def test_an_answer_that_the_evaluation_gives_away_is_a_warning(written: Written) -> None:
    [one] = found(written, answer_in_prompt, TRAIN, given_away(HELD))
    assert (one.severity, one.figures["side"]) == ("warning", "eval")
    assert "evaluation prompts give the answer away" in one.message


def test_answers_in_all_prompts_are_a_warning_where_the_task_is_no_extraction(
    tmp_path: Path,
) -> None:
    for metric, sides in (("label", ["both"]), ("contains", [])):
        made = Written(tmp_path / metric, metric=metric)
        made.base(HELD)
        told = found(made, answer_in_prompt, given_away(TRAIN), given_away(HELD))
        assert [each.figures["side"] for each in told] == sides
        assert all(each.severity == "warning" for each in told)


DISHES = ("stir the soup", "peel four potatoes", "bake bread rolls", "salt fish lightly")


def recipes(rows: Sequence[Row]) -> list[Row]:
    """The rows with prompts about something else."""
    return [
        msgspec.structs.replace(
            row, prompt=f"{DISHES[at % 4]} with herbs, pan {at % 9}, oven dish {at % 7}"
        )
        for at, row in enumerate(rows)
    ]


def test_an_evaluation_about_something_else_is_an_alarm(written: Written) -> None:
    [one] = found(written, other_vocabulary, TRAIN, recipes(HELD))
    assert one.severity == "alarm"
    assert float(one.figures["unseen"]) > 0.7
    assert float(one.figures["divergence"]) > 5 * float(one.figures["by_chance"])
    assert "of the evaluation's words never occur in training" in one.message


def test_a_few_rows_about_something_else_are_no_other_vocabulary(written: Written) -> None:
    assert found(written, other_vocabulary, TRAIN, partly(HELD, recipes(HELD), 0.1)) == []


def test_one_label_of_nearly_all_training_rows_is_an_alarm(written: Written) -> None:
    others = messages(10, seed=4, labels=("billing", "cancel", "login"))
    train = [*messages(190, seed=3, labels=("refund",)), *others]
    [one] = found(written, unbalanced_labels, train)
    assert one.severity == "alarm"
    assert (one.figures["label"], one.figures["train"]) == ("refund", 0.95)
    assert 'have the reference "refund"' in one.message
    assert "learns to predict it too often" in one.message


def test_one_label_of_most_training_rows_is_a_warning(written: Written) -> None:
    train = [*messages(80, seed=5), *messages(120, seed=3, labels=("refund",))]
    [one] = found(written, unbalanced_labels, train)
    assert one.severity == "warning"


def test_one_label_of_most_evaluation_rows_is_a_warning(written: Written) -> None:
    held = [*messages(40, seed=6), *messages(60, seed=7, labels=("login",))]
    [one] = found(written, unbalanced_labels, TRAIN, held)
    assert one.severity == "warning"
    assert one.figures["label"] == "login"
    assert "the score mostly depends on a label with few training rows" in one.message


def test_labels_that_are_as_unbalanced_on_both_sides_are_sound(written: Written) -> None:
    train = [*messages(40, seed=5), *messages(160, seed=3, labels=("refund",))]
    held = [*messages(16, seed=6), *messages(64, seed=8, labels=("refund",))]
    assert found(written, unbalanced_labels, train, held) == []


def with_subjects(rows: Sequence[Row], count: int) -> list[Row]:
    """The rows with one of a few prompts instead of their own."""
    return rows_of((f"subject {at % count}", row.reference) for at, row in enumerate(rows))


def test_prompts_that_decide_nothing_on_both_sides_are_an_alarm(written: Written) -> None:
    [one] = found(written, poor_prompts, with_subjects(TRAIN, 5), with_subjects(HELD, 5))
    assert one.severity == "alarm"
    assert (one.figures["train"], one.figures["eval"]) == (200, 80)
    assert "200 of 200 training rows (100%)" in one.message


def test_contradictions_of_one_side_are_noise_and_no_poor_prompts(written: Written) -> None:
    assert found(written, poor_prompts, with_subjects(TRAIN, 5)) == []
    assert found(written, poor_prompts, TRAIN, with_subjects(HELD, 5)) == []
