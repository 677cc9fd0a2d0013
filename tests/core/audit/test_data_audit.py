"""The data audit finds each kind of wrong data, with exact counts and the ids of rows."""

from __future__ import annotations

import random

import msgspec
import pytest

from tests.core.audit.rows import chat, messages, rows_of, sound
from tui_loop.core.audit import texts as audit_texts
from tui_loop.core.audit.data_audit import AuditRows, audit_data
from tui_loop.core.audit.structs import Audit, DataAudit, Difference, Texts
from tui_loop.core.data.rows import Row
from tui_loop.core.record import codec


def difference(texts: Texts, trait: str, value: str) -> Difference:
    (found,) = (each for each in texts.differences if (each.trait, each.value) == (trait, value))
    return found


def relabelled(rows: list[Row], **names: str) -> list[Row]:
    return [
        msgspec.structs.replace(row, reference=names.get(row.reference, row.reference))
        for row in rows
    ]


def test_sound_rows_have_nothing_to_report() -> None:
    data = audit_data(sound(), sound(12, "e"))
    assert data.labels is not None
    assert data.labels.only_eval.labels == data.labels.only_train.labels == 0
    assert data.labels.pairs == ()
    assert [(each.label, each.train, each.eval) for each in data.labels.counts] == [
        *(("login", 40, 12), ("refund", 40, 12), ("shipping", 40, 12))
    ]
    assert data.references is not None
    assert data.references.texts.differences == ()
    assert data.prompts is not None
    assert data.prompts.texts.differences == ()
    assert data.prompts.with_system.train is not None
    assert data.prompts.with_system.train.count == 0
    assert data.duplicates.train is not None
    assert data.duplicates.train.folded.count == 0
    assert data.shared is not None
    assert data.shared.folded.count == 0
    assert data.order is not None
    assert data.order.by_label is not None
    assert abs(data.order.by_label.z) < 4
    assert data.exchange is not None
    assert not data.exchange.looks_exchanged
    assert data.vocabulary is not None
    assert data.vocabulary.by_chance is not None
    assert data.vocabulary.divergence < 1.2 * data.vocabulary.by_chance.largest


def test_a_label_that_training_lacks_is_counted_with_its_rows() -> None:
    data = audit_data(sound(labels=("refund", "login")), sound(12, "e"))
    assert data.labels is not None
    missing = data.labels.only_eval
    assert (missing.labels, missing.names) == (1, ("shipping",))
    assert (missing.rows.count, missing.rows.of) == (12, 36)
    assert len(missing.rows.examples) == 5
    assert set(missing.rows.examples) <= {f"e{number}" for number in range(36)}


def test_a_single_training_label_is_known() -> None:
    data = audit_data(sound(labels=("refund",)), sound(12, "e"))
    assert data.labels is not None
    assert data.labels.balance.train is not None
    assert data.labels.balance.train.labels == 1
    assert data.labels.balance.train.rows.share == 1
    assert data.labels.only_eval.rows.count == 24


def test_uneven_classes_have_their_ratio() -> None:
    train = rows_of([*messages("refund", 60), *messages("login", 6)])
    data = audit_data(train, sound(12, "e", ("refund", "login")))
    assert data.labels is not None
    balance = data.labels.balance.train
    assert balance is not None
    assert (balance.largest, balance.smallest, balance.ratio) == ("refund", "login", 10)
    assert balance.rows.count == 60


@pytest.mark.parametrize(
    ("train", "held", "kind"),
    [
        ("Refund", "refund", "case"),
        ("re fund", "refund", "spaces"),
        ("re-fund", "refund", "punctuation"),
        ("refunds", "refund", "abbreviation"),
        ("refumd", "refund", "typo"),
        ("pos", "positive", "synonym"),
    ],
)
def test_two_names_of_one_class_are_a_pair(train: str, held: str, kind: str) -> None:
    data = audit_data(relabelled(sound(), refund=train), relabelled(sound(12, "e"), refund=held))
    assert data.labels is not None
    (pair,) = (each for each in data.labels.pairs if each.kind != "prompts")
    assert pair.kind == kind
    assert {(pair.first.label, pair.first.train), (pair.second.label, pair.second.train)} == {
        *((train, 40), (held, 0))
    }
    assert data.labels.only_eval.names == (held,)
    assert data.labels.only_train.names == (train,)


def test_labels_of_one_side_that_resemble_each_other_are_two_classes() -> None:
    names = {"refund": "card_arrival", "login": "card_arriving"}
    data = audit_data(relabelled(sound(), **names), relabelled(sound(12, "e"), **names))
    assert data.labels is not None
    assert data.labels.pairs == ()


def test_two_labels_that_share_their_prompts_are_a_pair_by_a_permutation_test() -> None:
    train = sound(80)
    coin = random.Random(5)
    train = [
        msgspec.structs.replace(row, reference="invoice" if coin.random() < 0.5 else "billing")
        if row.reference == "refund"
        else row
        for row in train
    ]
    data = audit_data(train, sound(12, "e"))
    assert data.labels is not None
    (pair,) = (
        each
        for each in data.labels.pairs
        if {each.first.label, each.second.label} == {"invoice", "billing"}
    )
    assert pair.kind == "prompts"
    assert pair.p_value is not None
    assert pair.p_value >= 0.1


@pytest.mark.parametrize(
    ("change", "trait", "value"),
    [
        (str.upper, "case", "upper"),
        (lambda text: f" {text}", "leading white space", "space"),
        (lambda text: f"{text}\n", "trailing white space", "newline"),
        (lambda text: f"{text}.", "last character", "."),
        (lambda text: f'"{text}"', "quotes", '"'),
        (lambda text: f'{{"intent": "{text}"}}', "format", "JSON object"),
        (lambda text: "доставка", "script", "Cyrillic"),
    ],
)
def test_a_different_form_of_references_is_a_difference(change, trait, value) -> None:  # type: ignore[no-untyped-def]
    train = [msgspec.structs.replace(row, reference=change(row.reference)) for row in sound()]
    data = audit_data(train, sound(12, "e"))
    assert data.references is not None
    found = difference(data.references.texts, trait, value)
    assert (found.train, found.eval) == (1, 0)
    assert found.p_value < 1e-6
    form = data.references.texts.form.train
    assert form is not None
    assert form.traits[trait][value].count == 120


@pytest.mark.parametrize(
    ("text", "value"),
    [
        *(("12", "integer"), ("1.5", "decimal point"), ("1,5", "decimal comma")),
        *(("1,500", "grouped by comma"), ("12%", "percentage"), ("$3", "amount of money")),
        *(("1e-3", "scientific"), ("3 kg", "number with a unit"), ("2/3", "fraction")),
        *(("2024-05-01", "date"), ("room 12", "digits in text"), ("none", "no digits")),
    ],
)
def test_the_number_format_of_a_reference_is_one_of_its_traits(text: str, value: str) -> None:
    data = audit_data(rows_of([("how much", text)] * 3), [])
    assert data.references is not None
    form = data.references.texts.form.train
    assert form is not None
    assert form.traits["number"][value].count == 3


def test_another_language_of_prompts_is_a_difference() -> None:
    german = [
        (f"ich möchte bitte wissen wie das mit der Rechnung {number} ist", "refund")
        for number in range(40)
    ]
    data = audit_data(sound(), rows_of(german, "e"))
    assert data.prompts is not None
    assert difference(data.prompts.texts, "language", "German").eval == 1


def test_a_prefix_that_only_training_has_is_counted_on_both_sides() -> None:
    train = [
        msgspec.structs.replace(row, prompt=f"Classify the message: {row.prompt}")
        if number % 4
        else row
        for number, row in enumerate(sound())
    ]
    data = audit_data(train, sound(12, "e"))
    assert data.prompts is not None
    form = data.prompts.texts.form.train
    assert form is not None
    assert form.start is not None
    assert form.start.text.strip() == "Classify the message:"
    assert (form.start.rows.count, form.start.rows.of) == (90, 120)
    assert form.start.elsewhere is not None
    assert form.start.elsewhere.count == 0
    assert not form.start.is_common


def test_a_suffix_that_all_rows_share_is_common() -> None:
    train, held = (
        [msgspec.structs.replace(row, prompt=f"{row.prompt}\nAnswer:") for row in rows]
        for rows in (sound(), sound(12, "e"))
    )
    data = audit_data(train, held)
    assert data.prompts is not None
    form = data.prompts.texts.form.train
    assert form is not None
    assert form.end is not None
    assert form.end.text == "\nAnswer:"
    assert form.end.is_common
    assert form.end.elsewhere is not None
    assert form.end.elsewhere.share == 1


def test_system_turns_are_counted_and_are_not_part_of_the_prompt() -> None:
    train = [
        chat(f"t{n}", ("system", "Be brief."), ("user", f"question {n}"), ("assistant", "yes"))
        for n in range(10)
    ]
    held = [chat(f"e{n}", ("user", f"question {n}"), ("assistant", "yes")) for n in range(8, 12)]
    data = audit_data(train, held)
    assert data.prompts is not None
    assert data.prompts.with_system.train is not None
    assert data.prompts.with_system.train.count == 10
    assert data.prompts.with_system.eval is not None
    assert data.prompts.with_system.eval.count == 0
    assert data.prompts.system.train is not None
    assert data.prompts.system.train.text == "Be brief."
    assert data.shared is not None
    assert data.shared.exact.examples == ("e8", "e9")


def test_answers_of_conversations_are_compared_one_by_one_where_evaluation_has_them_so() -> None:
    turns = (("user", "a?"), ("assistant", "yes"), ("user", "b?"), ("assistant", "no"))
    train = [chat(f"t{n}", *turns) for n in range(3)]
    held = [msgspec.structs.replace(chat("e:1", *turns[:2]), conversation="e")]
    data = audit_data(train, held)
    assert data.rows.train is not None
    assert data.rows.train.count == 6
    assert data.shared is not None
    assert data.shared.same_reference is not None
    assert data.shared.same_reference.examples == ("e:1",)
    assert data.duplicates.train is not None
    assert data.duplicates.train.exact.examples == ("t1", "t1", "t2", "t2")


def test_references_inside_prompts_are_counted_beside_those_of_other_rows() -> None:
    train = [
        msgspec.structs.replace(row, prompt=f"{row.prompt} ({row.reference})") for row in sound()
    ]
    data = audit_data(train, sound(12, "e"))
    assert data.echo is not None
    assert data.echo.train is not None
    assert data.echo.train.found.count == 120
    assert data.echo.train.by_chance.count == 0
    assert data.echo.eval is not None
    assert data.echo.eval.found.count == 0


def test_a_reference_inside_a_word_is_not_inside_the_prompt() -> None:
    data = audit_data(rows_of([("I know nothing", "no"), ("I say no.", "no")]), [])
    assert data.echo is not None
    assert data.echo.train is not None
    assert data.echo.train.found.examples == ("t1",)


def test_options_that_every_prompt_lists_are_found_by_chance_too() -> None:
    train = [
        msgspec.structs.replace(row, prompt=f"refund, login or shipping? {row.prompt}")
        for row in sound()
    ]
    data = audit_data(train, [])
    assert data.echo is not None
    assert data.echo.train is not None
    assert data.echo.train.found.share == data.echo.train.by_chance.share == 1


def test_unseen_words_and_another_domain_show_in_the_vocabulary() -> None:
    held = rows_of([(f"quantum flux gauge {n} please", "refund") for n in range(20)], "e")
    data = audit_data(sound(), held)
    words = data.vocabulary
    assert words is not None
    assert words.unseen_words.count == 3
    assert set(words.unseen_words.examples) == {"flux", "gauge", "quantum"}
    assert (words.unseen_tokens.count, words.unseen_tokens.of) == (60, 100)
    assert words.by_chance is not None
    assert words.divergence > 3 * words.by_chance.largest


def test_duplicates_and_conflicts_are_counted() -> None:
    data = audit_data(
        rows_of([("a b", "x"), ("a b", "x"), ("A  b", "x"), ("a b", "y"), ("c", "x")]), []
    )
    found = data.duplicates.train
    assert found is not None
    assert found.exact.examples == ("t1",)
    assert found.folded.examples == ("t1", "t2")
    assert found.conflicting is not None
    assert found.conflicting.examples == ("t0", "t1", "t2", "t3")
    assert found.conflicts == 1


def test_prompts_on_both_sides_are_divided_by_their_reference() -> None:
    train = rows_of([("a", "x"), ("b", "x"), ("c", "x")])
    held = rows_of([("a", "x"), ("B", "y"), ("d", "x")], "e")
    shared = audit_data(train, held).shared
    assert shared is not None
    assert shared.exact.examples == ("e0",)
    assert shared.folded.examples == ("e0", "e1")
    assert shared.same_reference is not None
    assert shared.same_reference.examples == ("e0",)
    assert shared.other_reference is not None
    assert shared.other_reference.examples == ("e1",)


def test_rows_sorted_by_label_have_few_runs() -> None:
    train = sorted(sound(), key=lambda row: row.reference)
    order = audit_data(train, []).order
    assert order is not None
    assert order.by_label is not None
    assert (order.by_label.runs, order.by_label.longest) == (3, 40)
    assert order.by_label.z < -4


def test_rows_sorted_by_source_have_similar_neighbours() -> None:
    forum = [(f"hi all any idea why my build {n} breaks thanks", f"try {n}") for n in range(30)]
    manual = [(f"Section {n} describes the installation procedure", f"ok {n}") for n in range(30)]
    order = audit_data(rows_of([*forum, *manual]), []).order
    assert order is not None
    assert order.by_words is not None
    assert order.by_words.z > 4
    shuffled = random.Random(1).sample([*forum, *manual], 60)
    order = audit_data(rows_of(shuffled), []).order
    assert order is not None
    assert order.by_words is not None
    assert abs(order.by_words.z) < 4


def test_rows_sorted_by_length_have_few_runs() -> None:
    train = rows_of([("w " * number, "yes" if number % 2 else "no") for number in range(1, 60)])
    order = audit_data(train, []).order
    assert order is not None
    assert order.by_length is not None
    assert order.by_length.runs == 2
    assert order.by_length.z < -4


def test_empty_and_extreme_references_have_their_ids() -> None:
    train = rows_of(
        [
            *[("a", "a short answer")] * 6,
            ("b", " "),
            ("c", "..!"),
            ("d", "x" * 140),
            ("e", "{answer}"),
        ]
    )
    found = audit_data(train, []).references
    assert found is not None
    assert [
        each.train.examples
        for each in (found.empty, found.signs_only, found.long, found.template)
        if each.train is not None
    ] == [("t6",), ("t7",), ("t8",), ("t9",)]


def test_exchanged_columns_are_recognized() -> None:
    train = [
        msgspec.structs.replace(row, prompt=row.reference, reference=row.prompt) for row in sound()
    ]
    exchange = audit_data(train, sound(12, "e")).exchange
    assert exchange is not None
    assert exchange.looks_exchanged
    assert exchange.prompts_as_references.count == 120
    assert exchange.exchanged < exchange.straight


def test_plain_text_has_no_facts_about_prompts() -> None:
    train = [Row(f"t{n}", "", f"once upon a time {n}", n) for n in range(30)]
    held = [Row("e0", "", "once upon a time 3", 1), Row("e1", "", "another story", 2)]
    data = audit_data(train, held)
    assert (data.labels, data.prompts, data.echo, data.exchange) == (None,) * 4
    assert data.reference_vocabulary is None
    assert data.shared is not None
    assert data.shared.exact.examples == ("e0",)
    assert data.shared.same_reference is None
    assert data.vocabulary is not None
    assert data.vocabulary.unseen_words.examples == ("another", "story")
    assert data.order is not None
    assert data.order.by_label is None


def test_an_audit_needs_no_evaluation_rows() -> None:
    data = audit_data(sound(), [])
    assert (data.shared, data.exchange, data.vocabulary) == (None, None, None)
    assert data.rows.eval is None
    assert data.duplicates.eval is None
    assert data.labels is not None
    assert data.labels.balance.eval is None


def test_an_audit_needs_no_training_rows() -> None:
    data = audit_data([], sound(12, "e"))
    assert data.rows.train is None
    assert data.labels is not None
    assert data.labels.only_eval.labels == 3
    assert audit_data([], []).rows.eval is None


def test_long_answers_are_no_labels() -> None:
    train = rows_of(
        [(f"question {n}", f"a long and different answer number {n}") for n in range(30)]
    )
    data = audit_data(train, [])
    assert data.labels is None
    assert audit_data(train, [], is_label_metric=True).labels is not None


def test_the_same_rows_have_the_same_audit_and_other_rows_another_digest() -> None:
    train, held = sound(), sound(12, "e")
    assert audit_data(train, held) == audit_data(train, held)
    assert AuditRows(train, held).digest != AuditRows(train[:-1], held).digest
    assert AuditRows(train, held).digest != AuditRows(held, train).digest
    assert AuditRows(train, held).digest != AuditRows(train, held, is_label_metric=True).digest


def test_large_data_is_sampled_and_the_record_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_texts, "MOST_ROWS", 50)
    data = audit_data(sound(), sound(12, "e"))
    assert data.rows.train is not None
    assert (data.rows.train.count, data.rows.train.for_words) == (120, 50)
    assert data.rows.eval is not None
    assert (data.rows.eval.count, data.rows.eval.for_words) == (36, 36)
    assert data.duplicates.train is not None
    assert data.duplicates.train.exact.of == 120


def test_a_secret_in_the_data_reaches_no_audit() -> None:
    secret = "hf_" + "Ab1" * 8
    train = [Row(secret, f"my token {secret} {number}", secret, number) for number in range(10)]
    raw = codec.to_json(Audit(data=audit_data(train, train))).decode()
    assert secret not in raw
    assert secret.lower() not in raw


def test_hostile_text_does_not_stop_an_audit() -> None:
    texts = ["\ud83d", "\x1b[2J", "\u202egnp", "", "{", "[" * 50_000, "\0", "é" * 3, "1" * 5000]
    rows = rows_of([(one, other) for one in texts for other in texts])
    data = audit_data(rows, rows[:20])
    raw = codec.to_pretty_json(Audit(data=data))
    assert codec.from_json(raw, Audit, "audit.json").data is not None


def test_every_field_survives_the_file() -> None:
    audit = Audit(data=audit_data(sound(), sound(12, "e")))
    assert codec.from_json(codec.to_pretty_json(audit), Audit, "audit.json") == audit
    assert set(DataAudit.__struct_fields__) == set(msgspec.to_builtins(audit)["data"])


def test_a_poll_ends_an_audit() -> None:
    def poll() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        AuditRows(sound(), [], poll=poll).compute()
