"""What columns mean: seen where the data shows it, else an error with the line to type."""

from __future__ import annotations

from typing import Any

import pytest

from tui_loop.core.config import with_settings
from tui_loop.core.data.rows import Message, RawRow, Row
from tui_loop.core.data.shapes import find_mapping, map_rows
from tui_loop.core.errors import BadInput
from tui_loop.core.schema import Config

TURNS = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
LABELS = ["refund", "cancel", "refund", "cancel", "refund", "cancel"]


def raws(*values: dict[str, Any]) -> list[RawRow]:
    return [RawRow(line, value) for line, value in enumerate(values, 1)]


def columns_of(*values: dict[str, Any], metric: str = "exact_match", **told: Any) -> dict[str, str]:
    return find_mapping(raws(*values), "d.jsonl", metric=metric, **told).columns


def shape_of(*values: dict[str, Any], metric: str = "exact_match", **told: Any) -> str:
    return find_mapping(raws(*values), "d.jsonl", metric=metric, **told).shape


def mapped(*values: dict[str, Any], metric: str = "exact_match", **told: Any) -> list[Row]:
    rows = raws(*values)
    return map_rows(rows, find_mapping(rows, "d.jsonl", metric=metric, **told), "d.jsonl")


def labelled(**more: Any) -> list[dict[str, Any]]:
    return [
        {"utterance": f"message {n}", "intent": label, **{k: v(n) for k, v in more.items()}}
        for n, label in enumerate(LABELS)
    ]


@pytest.mark.parametrize(
    ("columns", "shape"),
    [
        (("prompt", "completion"), "prompt_completion"),
        (("prompt", "completion", "messages", "instruction", "output", "text"),
         "prompt_completion"),
        (("messages", "instruction", "output", "text"), "messages"),
        (("conversations", "text"), "messages"),
        (("instruction", "output", "text"), "instruction"),
        (("instruction", "response"), "instruction"),
        (("instruction", "text"), "text"),
        (("prompt", "text"), "text"),
        (("text", "whatever"), "text"),
    ],
)  # fmt: skip
def test_the_shape_follows_the_order_of_priority(columns: tuple[str, ...], shape: str) -> None:
    row = {name: TURNS if name in ("messages", "conversations") else "x" for name in columns}
    assert shape_of(row) == shape


def test_a_messages_column_that_holds_text_is_no_conversation() -> None:
    assert shape_of({"messages": "some text", "text": "t"}) == "text"


@pytest.mark.parametrize("turned", [False, True])
def test_with_metric_label_the_low_cardinality_column_is_the_label(turned: bool) -> None:
    rows = labelled()
    if turned:
        rows = [dict(reversed(row.items())) for row in rows]
    expected = {"prompt": "utterance", "completion": "intent"}
    assert columns_of(*rows, metric="label") == expected


def test_with_metric_label_a_text_column_is_the_prompt() -> None:
    rows = [{"text": f"t{n}", "label": label} for n, label in enumerate(LABELS)]
    assert columns_of(*rows, metric="label") == {"prompt": "text", "completion": "label"}
    assert shape_of(*rows) == "text"


def test_whole_numbers_can_be_labels() -> None:
    rows = [{"text": f"t{n}", "label": n % 2} for n in range(6)]
    assert [row.reference for row in mapped(*rows, metric="label")] == ["0", "1"] * 3


def test_an_id_column_is_neither_label_nor_prompt() -> None:
    rows = labelled(id=lambda n: f"key-{n}")
    assert columns_of(*rows, metric="label") == {"prompt": "utterance", "completion": "intent"}
    assert [row.id for row in mapped(*rows, metric="label")] == [f"key-{n}" for n in range(6)]


@pytest.mark.parametrize(
    "more",
    [
        {"language": lambda n: "en" if n % 2 else "de"},
        {"note": lambda n: f"note {n}"},
        {"utterance": lambda n: f"message {n // 3}"},
    ],
    ids=["two labels", "two texts", "no text"],
)
def test_an_ambiguous_label_is_an_error_whose_hint_resolves_it(more: Any) -> None:
    rows = labelled(**more)
    with pytest.raises(BadInput, match=r"^d\.jsonl: which column is the label\?") as caught:
        mapped(*rows, metric="label")
    words = caught.value.hint.split()
    assert words[0::2] == ["--set", "--set"]
    config = with_settings(Config(), words[1::2])
    assert len(set(config.data.columns.values())) == 2
    assert shape_of(*rows, metric="label", columns=config.data.columns) == "prompt_completion"


def test_naming_one_column_of_a_labelled_file_is_enough() -> None:
    rows = labelled(language=lambda n: "en" if n % 2 else "de")
    told = {"completion": "intent"}
    assert columns_of(*rows, metric="label", columns=told)["prompt"] == "utterance"
    rows = labelled(note=lambda n: f"note {n}")
    told = {"prompt": "note"}
    assert columns_of(*rows, metric="label", columns=told) == {
        "prompt": "note",
        "completion": "intent",
    }


def test_one_bad_row_does_not_hide_which_column_is_the_label() -> None:
    for broken in ({"utterance": None}, {"intent": None}, {"utterance": ""}, {"intent": " "}):
        rows = labelled()
        rows[3] |= broken
        with pytest.raises(BadInput, match=rf"^d\.jsonl:4: '{next(iter(broken))}'"):
            mapped(*rows, metric="label")
    rows = labelled()
    del rows[3]["utterance"]
    with pytest.raises(BadInput, match=r"^d\.jsonl:4: no column 'utterance'; there are intent"):
        mapped(*rows, metric="label")


def test_columns_of_no_known_shape_are_an_error_whose_hint_resolves_it() -> None:
    rows = [{"question": "q", "answer": "a"}]
    with pytest.raises(BadInput, match="columns question, answer are no shape") as caught:
        mapped(*rows)
    assert caught.value.hint == (
        "--set data.columns.prompt=question --set data.columns.completion=answer"
    )
    told = {"prompt": "question", "completion": "answer"}
    assert shape_of(*rows, columns=told) == "prompt_completion"


def test_rows_without_columns_are_an_error() -> None:
    with pytest.raises(BadInput, match=r"^d\.jsonl: "):
        mapped({}, {})
    with pytest.raises(BadInput, match=r"^d\.jsonl: "):
        mapped({}, columns={"prompt": "x"})


def test_a_column_that_is_not_there_is_an_error_that_lists_those_there() -> None:
    with pytest.raises(BadInput, match=r"no column 'q' \(data.columns.prompt\); there are a, b"):
        mapped({"a": "1", "b": "2"}, columns={"prompt": "q"})
    with pytest.raises(BadInput, match="no column 'completion' for shape prompt_completion"):
        mapped({"prompt": "1", "b": "2"}, shape="prompt_completion")


@pytest.mark.parametrize(
    ("told", "shape"),
    [
        ({"prompt": "a", "completion": "b"}, "prompt_completion"),
        ({"text": "a"}, "text"),
        ({"instruction": "a", "output": "b"}, "instruction"),
    ],
)
def test_the_shape_follows_the_roles_that_were_told(told: dict[str, str], shape: str) -> None:
    row = {"a": "1", "b": "2", "text": "t", "prompt": "p", "completion": "c"}
    assert shape_of(row, columns=told) == shape


def test_prompt_and_completion_become_prompt_and_reference_with_their_line() -> None:
    [_, row] = mapped({"prompt": "p", "completion": "c"}, {"prompt": "p 2", "completion": "c 2"})
    assert (row.prompt, row.reference, row.line, row.messages) == ("p 2", "c 2", 2, ())


def test_plain_text_is_the_reference_of_an_empty_prompt() -> None:
    [row] = mapped({"text": "once upon"})
    assert (row.prompt, row.reference) == ("", "once upon")


@pytest.mark.parametrize(
    ("row", "prompt"),
    [
        ({"instruction": "Add.", "input": "1 2", "output": "3"}, "Add.\n\n1 2"),
        ({"instruction": "Add.", "input": "", "output": "3"}, "Add."),
        ({"instruction": "Add.", "input": None, "output": "3"}, "Add."),
        ({"instruction": "Add.", "output": "3"}, "Add."),
        ({"instruction": "Add.", "input": "1 2", "response": "3"}, "Add.\n\n1 2"),
    ],
)
def test_an_instruction_has_its_input_below_it(row: dict[str, Any], prompt: str) -> None:
    [only] = mapped(row)
    assert (only.prompt, only.reference) == (prompt, "3")


def test_a_conversation_keeps_its_turns_and_the_last_is_the_reference() -> None:
    [row] = mapped({"messages": TURNS})
    assert row.messages == (Message("user", "hi"), Message("assistant", "hello"))
    assert (row.prompt, row.reference) == ("hi", "hello")


def test_a_longer_conversation_shows_who_said_what() -> None:
    [row] = mapped({"messages": [{"role": "system", "content": "Be brief."}, *TURNS]})
    assert row.prompt == "system: Be brief.\nuser: hi"
    assert row.reference == "hello"


def test_conversations_in_the_sharegpt_spelling_are_the_same_rows() -> None:
    turns = [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "hello"}]
    [row], [same] = mapped({"conversations": turns}), mapped({"messages": TURNS})
    assert row == same


def test_prompt_and_completion_may_be_lists_of_turns() -> None:
    [row], [same] = (
        mapped({"prompt": TURNS[:1], "completion": TURNS[1:]}),
        mapped({"messages": TURNS}),
    )
    assert row == same


@pytest.mark.parametrize(
    ("turns", "what"),
    [
        ([], "must be a list of turns"),
        ("hi", "must be a list of turns"),
        (TURNS[:1], "must end with an assistant's turn"),
        (TURNS[1:], "must end with an assistant's turn"),
        ([*TURNS, TURNS[0]], "must end with an assistant's turn"),
        ([{"role": "user"}, TURNS[1]], "needs a role and a content"),
        ([{"role": "user", "content": None}, TURNS[1]], "needs a role and a content"),
        (["hi", TURNS[1]], "needs a role and a content"),
    ],
)
def test_a_conversation_that_cannot_be_trained_on_is_named_by_its_line(
    turns: Any, what: str
) -> None:
    with pytest.raises(BadInput, match=rf"^d\.jsonl:2: .*{what}"):
        mapped({"messages": TURNS}, {"messages": turns})


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"prompt": "p"}, "no column 'completion'; there are prompt"),
        ({"prompt": "p", "completion": None}, "'completion' must be text, not null"),
        ({"prompt": "p", "completion": ["c"]}, "'completion' must be text, not list"),
        ({"prompt": " ", "completion": "c"}, "'prompt' is empty"),
        ({"prompt": "p", "completion": ""}, "'completion' is empty"),
    ],
)
def test_a_row_that_cannot_be_used_is_named_by_line_and_column(
    row: dict[str, Any], what: str
) -> None:
    with pytest.raises(BadInput, match=rf"^d\.jsonl:2: {what}"):
        mapped({"prompt": "p", "completion": "c"}, row)


def test_numbers_and_truth_values_are_read_as_text() -> None:
    rows = mapped({"prompt": 3, "completion": True}, {"prompt": 1.5, "completion": False})
    assert [(row.prompt, row.reference) for row in rows] == [("3", "true"), ("1.5", "false")]


def test_a_unique_id_column_names_the_rows() -> None:
    rows = mapped(
        {"id": 7, "prompt": "a", "completion": "x"}, {"id": "k", "prompt": "a", "completion": "y"}
    )
    assert [row.id for row in rows] == ["7", "k"]


@pytest.mark.parametrize("second", ["7", 7, None, "", 1.5])
def test_an_id_column_that_is_not_unique_or_has_gaps_is_not_used(second: Any) -> None:
    rows = mapped(
        {"id": "7", "prompt": "a", "completion": "x"},
        {"id": second, "prompt": "b", "completion": "y"},
    )
    assert [len(row.id) for row in rows] == [12, 12]


def test_the_id_column_can_be_told() -> None:
    rows = mapped(
        {"key": "u", "prompt": "a", "completion": "x"},
        {"key": "v", "prompt": "b", "completion": "y"},
        columns={"id": "key"},
    )
    assert [row.id for row in rows] == ["u", "v"]
