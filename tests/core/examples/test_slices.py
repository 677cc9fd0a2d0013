"""Weak slices: found where they were planted, and hardly ever where failing is chance."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import msgspec
import pytest

from tests.work import calls_of
from tui_loop.core.examples import slices
from tui_loop.core.examples.slices import Slice, find_slices
from tui_loop.core.record.structs import Example
from tui_loop.core.stats import fisher_greater, wilson

LABELS = ["refund", "cancel", "login", "shipping", "praise", "defect"]
VOCABULARY = [f"word{n}" for n in range(60)]


def example(prompt: str, reference: str, output: str | None, **more: object) -> Example:
    passed = output == reference
    fields: dict[str, object] = {
        "id": prompt,
        "prompt": prompt,
        "reference": reference,
        "output": output,
        "score": float(passed),
        "passed": passed,
        "causes": (),
        "loss": 0.5,
        "supervised_tokens": 1,
        "output_tokens": 1,
        "truncated": False,
        "source_line": 1,
    }
    return Example(**{**fields, **more})  # type: ignore[arg-type]


def evaluation(
    rng: random.Random, rows: int, chance: Callable[[str, str, str], float]
) -> list[Example]:
    """Rows whose chance of failing depends on their prompt, label and source."""
    made = []
    for _ in range(rows):
        prompt = " ".join(rng.choices(VOCABULARY, k=rng.randint(3, 12)))
        label, source = rng.choice(LABELS), rng.choice(["mail", "chat", "phone"])
        failed = rng.random() < chance(prompt, label, source)
        said = rng.choice([each for each in LABELS if each != label]) if failed else label
        made.append(example(prompt, label, said, columns={"source": source}))
    return made


def weak_slices(examples: Sequence[Example], labels: Sequence[str] = ()) -> list[Slice]:
    return find_slices(examples, labels).weak


def label_slices(examples: Sequence[Example], labels: Sequence[str] = ()) -> list[Slice]:
    return find_slices(examples, labels).labels


def named(slices: Sequence[Slice]) -> list[tuple[str, str]]:
    return [(each.kind, each.name) for each in slices]


@pytest.mark.parametrize(("rows", "share"), [(60, 0.5), (117, 0.3), (400, 0.15)])
def test_where_failing_is_chance_a_weak_slice_is_called_in_one_of_twenty_at_most(
    rows: int, share: float
) -> None:
    rng, called, trials = random.Random(rows), 0, 150
    for _ in range(trials):
        called += bool(weak_slices(evaluation(rng, rows, lambda *_: share)))
    assert called <= 0.05 * trials


def test_a_planted_label_is_found_with_its_counts_and_what_was_said_instead() -> None:
    rows = evaluation(random.Random(1), 150, lambda _, label, __: 0.9 if label == "refund" else 0.1)
    [worst, *_] = weak_slices(rows, LABELS)
    assert (worst.kind, worst.name) == ("label", "refund")
    members = [row for row in rows if row.reference == "refund"]
    assert [rows[at] for at in worst.indices] == members
    assert (worst.failed, worst.total) == (sum(not r.passed for r in members), len(members))
    assert worst.share == worst.failed / worst.total
    assert (worst.low, worst.high) == wilson(worst.failed, worst.total)
    assert worst.elsewhere_total == len(rows) - len(members)
    assert worst.elsewhere_failed == sum(not row.passed for row in rows) - worst.failed
    assert worst.p == fisher_greater(
        worst.failed, worst.total, worst.elsewhere_failed, worst.elsewhere_total
    )
    assert worst.p < worst.p_adjusted < 0.05
    assert sum(times for _, times in worst.said) == worst.failed
    assert "refund" not in dict(worst.said)


def test_a_planted_column_word_pair_of_words_and_length_are_found() -> None:
    rng = random.Random(2)
    by_source = evaluation(rng, 300, lambda _, __, source: 0.7 if source == "chat" else 0.2)
    assert named(weak_slices(by_source))[0] == ("column", "source=chat")
    by_word = evaluation(rng, 300, lambda text, *_: 0.9 if "word7" in text.split() else 0.1)
    assert named(weak_slices(by_word)) == [("words", "word7")]
    by_length = evaluation(rng, 400, lambda text, *_: 0.7 if len(text.split()) >= 10 else 0.2)
    assert named(weak_slices(by_length))[0] == ("prompt length", "prompt of 11 to 12 words")
    pair = [
        example(f"{first} {then} {n}", "yes", "no" if (first, then) == ("not", "now") else "yes")
        for n in range(30)
        for first, then in (("not", "now"), ("now", "not"), ("not", "so"), ("so", "now"))
    ]
    assert named(weak_slices(pair)) == [("words", "not now")]


def test_words_that_only_say_the_label_again_are_dropped() -> None:
    rng = random.Random(3)
    rows = [
        example(f"{word} {rng.choice(VOCABULARY)} {n}", label, said)
        for n in range(30)
        for word, label, said in (
            ("money", "refund", "cancel"),
            ("parcel", "shipping", "shipping"),
            ("password", "login", "login"),
        )
    ]
    assert named(weak_slices(rows)) == [("label", "refund")]


def test_every_label_is_in_the_breakdown_and_none_where_references_are_texts() -> None:
    rows = evaluation(random.Random(4), 200, lambda *_: 0.2)
    found = label_slices(rows)
    assert [each.name for each in found] == sorted(LABELS)
    assert sum(each.total for each in found) == 200
    texts = [example(f"q{n}", f"a text of its own, number {n}", "else") for n in range(50)]
    assert label_slices(texts) == []


def test_one_label_in_two_spellings_is_one_label() -> None:
    rows = [example(f"q{n}", "Refund" if n % 2 else "refund ", "cancel") for n in range(10)]
    rows += [example(f"p{n}", "cancel", "cancel") for n in range(10)]
    assert [(each.total, each.failed) for each in label_slices(rows)] == [(10, 0), (10, 10)]


def test_confusions_are_counted_the_commonest_first_and_no_label_counts_too() -> None:
    said = ["cancel"] * 7 + ["I would say: login", "no idea", None, "refund, or so"]
    rows = [example(f"q{n}", "refund", output) for n, output in enumerate(said)]
    rows += [example(f"c{n}", "cancel", "cancel") for n in range(5)]
    rows += [example(f"l{n}", "login", "cancel" if n < 2 else "login") for n in range(5)]
    [_, login, refund] = label_slices(rows, ["refund", "cancel", "login"])
    assert refund.said == (("cancel", 7), (None, 2), ("login", 1))
    assert login.said == (("cancel", 2),)


def test_lengths_of_references_are_a_slice_where_these_are_texts() -> None:
    rng = random.Random(5)
    rows = []
    for n in range(200):
        reference = " ".join(rng.choices(VOCABULARY, k=rng.choice([2, 3, 30, 31])))
        failed = rng.random() < (0.8 if len(reference) > 60 else 0.1)
        rows.append(example(f"q {n}", f"{reference} {n}", None if failed else f"{reference} {n}"))
    assert named(weak_slices(rows))[0][0] == "reference length"


def test_nothing_is_weak_of_nothing_of_unscored_rows_and_where_all_fail() -> None:
    assert weak_slices([]) == []
    rows = evaluation(random.Random(6), 60, lambda *_: 1.0)
    assert weak_slices(rows) == []
    unscored = [example(row.prompt, "yes", "no", passed=None, score=None) for row in rows]
    result = find_slices([*unscored, *rows])
    assert (result.scored, result.weak) == (60, [])
    assert result.labels[0].indices[0] >= len(unscored)


def test_of_very_many_words_rows_at_even_distances_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = evaluation(random.Random(7), 900, lambda t, *_: 0.9 if "word7" in t.split() else 0.1)
    size = sum(len(row.prompt) for row in rows)
    monkeypatch.setattr(slices, "WORD_CHARACTERS", size // 2 + 1)
    result = find_slices(rows)
    assert (result.scored, result.words_rows) == (900, 450)
    [word] = result.weak
    assert word.name == "word7"
    assert all(at % 2 == 0 and "word7" in rows[at].prompt.split() for at in word.indices)
    assert word.total + word.elsewhere_total == 450


def test_the_work_grows_no_faster_than_the_rows() -> None:
    rows = evaluation(random.Random(8), 2000, lambda *_: 0.3)
    many_rows = [
        msgspec.structs.replace(row, prompt=f"{row.prompt} {n}") for n in range(10) for row in rows
    ]
    few, many = (
        calls_of(lambda each=each: find_slices(each, LABELS)) for each in (rows, many_rows)
    )
    assert many < 12 * few


def test_answers_of_one_conversation_do_not_make_a_slice_weak() -> None:
    examples = [
        example(
            f"{'harbour' if talk < 2 else 'meadow'} {talk} {n}",
            "yes",
            "no" if talk < 2 else "yes",
            conversation=f"talk{talk}",
            columns={"place": "harbour" if talk < 2 else "meadow"},
        )
        for talk in range(12)
        for n in range(10)
    ]
    alone = [msgspec.structs.replace(each, conversation="") for each in examples]
    assert ("column", "place=harbour") in named(weak_slices(alone))
    assert weak_slices(examples) == []


def test_a_group_that_fails_in_many_conversations_is_weak() -> None:
    examples = [
        example(
            f"{'harbour' if talk % 3 else 'meadow'} {talk} {n}",
            "yes",
            "no" if talk % 3 == 0 else "yes",
            conversation=f"talk{talk}",
            columns={"place": "meadow" if talk % 3 == 0 else "harbour"},
        )
        for talk in range(36)
        for n in range(4)
    ]
    found = {(each.kind, each.name): each for each in weak_slices(examples)}
    weak = found["column", "place=meadow"]
    assert (weak.failed, weak.total) == (48, 48)
    assert weak.p == fisher_greater(12, 12, 0, 24)
    assert (weak.low, weak.high) == wilson(12, 12)


def test_repeats_of_one_input_do_not_make_a_slice_weak() -> None:
    examples = [
        example("where is it?", "yes", "no", id=f"a-{n}", columns={"source": "mail"})
        for n in range(20)
    ]
    examples += [
        example(f"question {n}", "yes", "yes", columns={"source": "chat"}) for n in range(40)
    ]
    alone = [msgspec.structs.replace(each, prompt=f"{each.prompt} {each.id}") for each in examples]
    assert ("column", "source=mail") in named(weak_slices(alone))
    assert weak_slices(examples) == []
