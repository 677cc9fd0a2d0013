"""What a form knows of a field, and a value's way to text and back."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.config.fields import as_setting, field, from_setting, next_choice
from tui_loop.core.config.schema import all_fields
from tui_loop.core.config.validation import read_config

TEXTS = st.text(max_size=30).filter(lambda text: text.isprintable() or text.isascii())


@pytest.mark.parametrize("name", all_fields())
def test_every_field_has_help_limits_and_a_default_that_survives_its_text(name: str) -> None:
    known = field(name)
    assert known.help.endswith((".", ")", "?"))
    assert known.limits
    assert from_setting(name, as_setting(known.default)) == known.default


@pytest.mark.parametrize(
    ("name", "kind", "limits"),
    [
        ("training.learning_rate", "number", "a number, above 0"),
        ("training.max_length", "number", "a whole number, at least 1 | unset"),
        ("lora.use_dora", "switch", "true | false"),
        ("training.keep", "choice", "last | best"),
        ("lora.target_modules", "list", 'text or a list: ["a", "b"]'),
        ("data.columns", "table", "a table: {prompt = 'question'}"),
        ("evaluation.top_p", "number", "a number, above 0, at most 1"),
        (
            "data.train",
            "text",
            "a path, or a table of sources: {chats = 'chats.jsonl', orders = 'orders.jsonl'}",
        ),
    ],
)
def test_kinds_and_limits_come_from_the_declaration(name: str, kind: str, limits: str) -> None:
    assert (field(name).kind, field(name).limits) == (kind, limits)


@given(TEXTS)
def test_any_text_survives_its_setting(text: str) -> None:
    assert from_setting("data.train_split", as_setting(text)) == text


@given(
    st.one_of(
        st.booleans(),
        st.integers(-(2**62), 2**62),
        st.floats(allow_nan=False, allow_infinity=False),
        st.lists(TEXTS, max_size=4),
        st.dictionaries(TEXTS, TEXTS, max_size=3),
    )
)
def test_any_value_that_is_no_text_survives_its_setting(value: Any) -> None:
    assert from_setting("training.eval_steps", as_setting(value)) == value


@pytest.mark.parametrize("text", ["unset", "none", "NULL", "", "  "])
def test_an_optional_field_is_unset_by_a_word_or_by_nothing(text: str) -> None:
    assert from_setting("training.max_steps", text) is None


def test_none_is_a_value_where_the_field_is_not_optional() -> None:
    assert from_setting("lora.bias", "none") == "none"


def test_rates_are_written_as_people_write_them() -> None:
    assert [as_setting(rate) for rate in (1e-4, 2.5e-5, 0.05, 3.0)] == [
        "1e-4",
        "2.5e-5",
        "0.05",
        "3.0",
    ]


def test_choices_go_round_and_end_with_unset_where_the_field_is_optional() -> None:
    shape, seen, value = field("data.shape"), [], None
    for _ in range(6):
        value = next_choice(shape, value)
        seen.append(value)
    assert seen == ["text", "prompt_completion", "messages", "instruction", None, "text"]
    assert next_choice(field("lora.use_dora"), False) is True
    assert next_choice(field("lora.use_dora"), "odd") is True
    assert next_choice(field("training.learning_rate"), 1e-4) == 1e-4


def test_further_trainer_fields_are_known_by_their_type() -> None:
    assert field("training.adam_beta1").kind == "text"
    assert field("training.group_by_length").optional
    config = read_config({"training": {"adam_beta1": from_setting("training.adam_beta1", "0.8")}})
    assert config.other == {"adam_beta1": 0.8}
