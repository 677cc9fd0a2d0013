"""Records: JSON with words for non-finite numbers, TOML where unset is absent."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.structs import StepLoss, TokenLosses

any_text = st.text(st.characters(exclude_categories=()), max_size=20)
clean_text = st.text(max_size=20)
finite = st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | clean_text


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(clean_text, inner, max_size=4),
        max_leaves=12,
    )


@pytest.mark.parametrize(
    ("value", "word"),
    [(math.nan, '"NaN"'), (math.inf, '"Infinity"'), (-math.inf, '"-Infinity"'), (1.5, "1.5")],
)
def test_non_finite_numbers_travel_as_words(value: float, word: str) -> None:
    assert codec.to_json({"a": [value]}).decode() == f'{{"a":[{word}]}}'


@pytest.mark.parametrize("value", [math.inf, -math.inf, 0.1, 3, None])
def test_a_number_comes_back_from_its_word(value: float | None) -> None:
    assert codec.number(codec.spell(value)) == value


def test_nan_comes_back_and_other_words_are_no_number() -> None:
    back = codec.number("NaN")
    assert back is not None
    assert math.isnan(back)
    assert codec.number("12") is None


@pytest.mark.parametrize("value", [1e39, 1e308, 10**400])
def test_a_number_beyond_what_a_model_computes_with_is_infinite(value: float) -> None:
    assert codec.number(value) == math.inf
    assert codec.number(-value) == -math.inf
    assert codec.number(codec.LARGEST) == codec.LARGEST


def test_lone_surrogates_never_reach_a_record() -> None:
    line = codec.to_json({"text\udc80": "a\ud800b", "fine": "ä😀"})
    assert json.loads(line) == {"text\ufffd": "a\ufffdb", "fine": "ä😀"}


def test_keys_stay_in_the_order_given() -> None:
    assert codec.to_json({"b": 1, "a": 2, "c": {"z": 0, "y": 0}}) == (
        b'{"b":1,"a":2,"c":{"z":0,"y":0}}'
    )


def test_structs_within_plain_values_are_spelled_too() -> None:
    line = codec.to_json([StepLoss("x", math.nan, 3)])
    assert json.loads(line) == [{"id": "x", "loss": "NaN", "supervised_tokens": 3}]


def test_json_lines_are_one_object_a_line_each_with_its_newline() -> None:
    raw = codec.to_json_lines([{"text": "two\nlines"}, {}])
    assert raw == b'{"text":"two\\nlines"}\n{}\n'
    assert codec.to_json_lines([]) == b""


def test_pretty_json_ends_with_a_newline_and_says_the_same() -> None:
    value = {"b": [1, math.inf], "a": None}
    pretty = codec.to_pretty_json(value)
    assert pretty.endswith(b"}\n")
    assert pretty.count(b"\n") > 3
    assert json.loads(pretty) == {"b": [1, "Infinity"], "a": None}


@given(trees(scalars))
def test_any_json_value_survives_the_round_trip(value: Any) -> None:
    assert msgspec.json.decode(codec.to_json(value)) == value


@given(trees(scalars | any_text | st.floats()))
def test_whatever_is_written_is_one_line_of_valid_utf_8_json(value: Any) -> None:
    line = codec.to_json(value)
    assert b"\n" not in line
    json.loads(line.decode("utf-8"), parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "data", [b"{", b'{"id": 3}', b"\xff", b"", b"[" * 100_000, b'{"id": "a"}'], ids=repr
)
def test_json_that_cannot_be_read_is_bad_input_that_names_the_place(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"^summary\.json: "):
        codec.from_json(data, TokenLosses, "summary.json")


def test_unset_values_are_absent_from_toml() -> None:
    text = codec.to_toml({"lora": {"r": 8, "bias": None}, "list": [{"a": None, "b": 1}]})
    assert codec.from_toml(text, "x") == {"lora": {"r": 8}, "list": [{"b": 1}]}


@pytest.mark.parametrize(
    "text",
    ["a = ", "a = 1\na = 2", "[a", "x = 1" + "0" * 5000, "x = " + "[" * 100_000],
    ids=["no value", "twice", "open table", "absurd number", "deep"],
)
def test_toml_that_cannot_be_read_is_bad_input_that_names_the_place(text: str) -> None:
    with pytest.raises(BadInput, match=r"^loops/a/loop\.toml: "):
        codec.from_toml(text, "loops/a/loop.toml")


def test_a_toml_error_says_its_line() -> None:
    with pytest.raises(BadInput, match="line 2"):
        codec.from_toml("a = 1\nb = = 2\n", "x")


toml_values = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | finite | clean_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(clean_text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(clean_text, toml_values, max_size=4))
def test_any_toml_table_survives_the_round_trip(table: dict[str, Any]) -> None:
    assert codec.from_toml(codec.to_toml(table), "x") == table
