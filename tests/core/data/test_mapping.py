"""What columns mean: seen where the data shows it, else an error with the line to type."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.rows import Message, RawRow, Row
from tui_loop.core.errors import BadInput

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


def test_an_ambiguous_message_is_an_error_whose_hint_resolves_it() -> None:
    rows = labelled(note=lambda n: f"note {n}")
    with pytest.raises(BadInput, match=r"^d\.jsonl: which columns are label and text\?") as caught:
        mapped(*rows, metric="label")
    words = caught.value.hint.split()
    assert words[0::2] == ["--set", "--set"]
    config = with_settings(Config(), words[1::2])
    assert len(set(config.data.columns.values())) == 2
    assert shape_of(*rows, metric="label", columns=config.data.columns) == "prompt_completion"


def test_naming_one_column_of_a_labelled_file_is_enough() -> None:
    rows = labelled(category=lambda n: "en" if n % 2 else "de")
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
    with pytest.raises(BadInput, match=r"^d\.jsonl:4: no column 'utterance'; the row has intent"):
        mapped(*rows, metric="label")


def hint_of(*rows: dict[str, Any], metric: str = "exact_match", **given: Any) -> str:
    with pytest.raises(BadInput) as caught:
        mapped(*rows, metric=metric, **given)
    return caught.value.hint


def test_columns_of_no_known_shape_are_an_error_whose_hint_resolves_it() -> None:
    rows = [{"what": f"text {n}", "kind": "a" if n % 2 else "b"} for n in range(8)]
    with pytest.raises(BadInput) as caught:
        mapped(*rows)
    assert caught.value.message == (
        'd.jsonl: the columns match no known shape: what ("text 0"), kind ("b")'
    )
    assert caught.value.hint == "--set data.columns.prompt=what --set data.columns.completion=kind"
    given = {"prompt": "what", "completion": "kind"}
    assert shape_of(*rows, columns=given) == "prompt_completion"


NO_GUESS = "--set data.columns.prompt=PROMPT_COLUMN --set data.columns.completion=COMPLETION_COLUMN"


@pytest.mark.parametrize(
    ("row", "prompt", "completion"),
    [
        ({"response": "a", "query": "q"}, "query", "response"),
        ({"prompt": "q", "response": "a"}, "prompt", "response"),
        ({"input": "q", "output": "a", "id": "1"}, "input", "output"),
        ({"source": "q", "target": "a"}, "source", "target"),
        ({"Question": "q", "Answer": "a", "source": "web"}, "Question", "Answer"),
        ({"id": 0, "query": "q", "tools": "[]", "answers": "[]"}, "query", "answers"),
        ({"question": TURNS[:1], "answer": TURNS[1:]}, "question", "answer"),
    ],
)
def test_columns_that_usually_go_together_are_read_unasked(
    row: dict[str, Any], prompt: str, completion: str
) -> None:
    found = columns_of(row, row)
    assert (found["prompt"], found["completion"]) == (prompt, completion)


@pytest.mark.parametrize(
    ("answers", "others"),
    [
        (["a", "b", "a", " "], ("b",)),
        ({"text": ["a", "b", "c"], "answer_start": [1, 2, 3]}, ("b", "c")),
        ([{"text": "a", "answer_start": 1}, {"text": "b"}], ("b",)),
        (["a"], ()),
    ],
)
def test_the_first_of_several_right_answers_is_the_reference(
    answers: Any, others: tuple[str, ...]
) -> None:
    [row] = mapped({"question": "q", "answers": answers})
    assert (row.prompt, row.reference, row.other_references) == ("q", "a", others)


def test_a_context_is_read_before_its_question() -> None:
    [row] = mapped({"id": "1", "context": "c", "question": "q", "answers": {"text": ["a"]}})
    assert (row.id, row.prompt, row.reference) == ("1", "c\n\nq", "a")
    assert mapped({"context": None, "question": "q", "answer": "a"})[0].prompt == "q"


@pytest.mark.parametrize("answers", [[], {"text": []}, ["", " "]])
def test_a_question_without_an_answer_is_refused(answers: Any) -> None:
    right = {"question": "q", "answers": ["a"]}
    with pytest.raises(BadInput, match="d\\.jsonl:3: 'answers' has no answer"):
        mapped(right, right, {"question": "r", "answers": answers})


def test_an_object_as_the_answer_becomes_json() -> None:
    [row] = mapped({"prompt": "p", "completion": {"city": "Köln", "days": [1]}})
    assert row.reference == '{"city": "Köln", "days": [1]}'


def test_texts_in_alternation_are_turns() -> None:
    [row] = mapped({"id": "0", "data": ["hi", "hello", "how?", "so"]})
    assert [(turn.role, turn.content) for turn in row.messages] == [
        ("user", "hi"),
        ("assistant", "hello"),
        ("user", "how?"),
        ("assistant", "so"),
    ]
    with pytest.raises(BadInput, match="must end with an assistant turn"):
        mapped({"id": "0", "data": ["hi", "hello", "how?"]})


@pytest.mark.parametrize(
    ("more", "label"),
    [
        ({"label": lambda n: n % 2, "label_text": lambda n: ("no", "yes")[n % 2]}, "label_text"),
        ({"label": lambda n: n % 2, "source": lambda n: ("web", "shop")[n % 2]}, "label"),
        ({"label": lambda n: ("a", "b")[n % 2], "rating": lambda n: n % 3}, "label"),
        ({"stars": lambda n: n % 2, "stars_name": lambda n: ("no", "yes")[n % 2]}, "stars_name"),
    ],
)
def test_of_several_columns_the_label_is_the_one_that_is_named_so(more: Any, label: str) -> None:
    rows = [
        {"text": f"text {n}", **{name: value(n) for name, value in more.items()}} for n in range(12)
    ]
    assert columns_of(*rows, metric="label") == {"prompt": "text", "completion": label}


@pytest.mark.parametrize(
    "row",
    [
        {"a": "x", "b": "y"},
        {"source": "web", "answer": "a"},
        {"question": "q", "query": "q", "answer": "a"},
        {"id": "0", "things": ["q", "a"]},
        {"first": TURNS, "second": TURNS},
    ],
)
def test_a_hint_guesses_nothing_where_names_and_values_leave_it_open(row: dict[str, Any]) -> None:
    assert hint_of(row, row) == NO_GUESS


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "answers": [1, 2]},
        {"question": "q", "answer": "a", "response": "r"},
        {"question": "q", "std_answer": "a", "class": "c"},
    ],
)
def test_a_hint_names_a_prompt_that_is_clear(row: dict[str, Any]) -> None:
    assert hint_of(row, row) == NO_GUESS.replace("PROMPT_COLUMN", "question")


def test_a_hint_goes_by_the_values_where_one_column_is_text_and_one_a_label() -> None:
    rows = [{"what": f"text {n}", "kind": "a" if n % 2 else "b", "n": None} for n in range(8)]
    assert hint_of(*rows) == "--set data.columns.prompt=what --set data.columns.completion=kind"
    with_weight = [{**row, "weight": n % 2} for n, row in enumerate(rows)]
    assert hint_of(*with_weight) == hint_of(*rows)
    two_labels = [{**row, "tone": "x" if n % 3 else "y"} for n, row in enumerate(rows)]
    assert hint_of(*two_labels) == NO_GUESS


def test_a_hint_names_the_one_column_of_conversations() -> None:
    assert hint_of({"dialog": TURNS, "topic": "t"}) == "--set data.columns.messages=dialog"


@pytest.mark.parametrize(
    ("row", "given", "hint"),
    [
        ({"x": "1"}, {"shape": "prompt_completion"}, NO_GUESS),
        ({"query": "1", "reply": "2"}, {"shape": "prompt_completion"},
         "--set data.columns.prompt=query --set data.columns.completion=reply"),
        ({"prompt": "1", "answer": "2", "b": "3"}, {"shape": "prompt_completion"},
         "--set data.columns.completion=answer"),
        ({"q": "1", "answer": "2"}, {"columns": {"prompt": "q"}},
         "--set data.columns.completion=COMPLETION_COLUMN"),
        ({"question": "1", "answer": "2", "b": "3"}, {"columns": {"completion": "answer"}},
         "--set data.columns.prompt=question"),
        ({"question": "1", "said": "2", "b": "3"}, {"columns": {"completion": "said"}},
         "--set data.columns.prompt=question"),
        ({"question": "1", "output": "2"}, {"shape": "instruction"},
         "--set data.columns.instruction=question"),
        ({"talk": TURNS, "b": "3"}, {"shape": "messages"}, "--set data.columns.messages=talk"),
        ({"body": "3", "n": 1}, {"shape": "text"}, "--set data.columns.text=body"),
        ({"body": "3", "title": "1"}, {"shape": "text"}, "--set data.columns.text=TEXT_COLUMN"),
        ({"question": "1", "b": "2"}, {"columns": {"prompt": "qestion"}},
         "--set data.columns.prompt=question"),
        ({"a": "1", "b": "2"}, {"columns": {"prompt": "zzz"}},
         "--set data.columns.prompt=PROMPT_COLUMN"),
    ],
)  # fmt: skip
def test_a_role_without_a_column_is_hinted_at_only_where_one_stands_out(
    row: dict[str, Any], given: dict[str, Any], hint: str
) -> None:
    assert hint_of(row, **given) == hint


def test_a_label_metric_never_takes_weights_or_rejected_answers_for_labels() -> None:
    rows = [{**row, "weight": n % 2} for n, row in enumerate(labelled())]
    assert columns_of(*rows, metric="label")["completion"] == "intent"
    rows = [
        {"text": f"t{n}", "weight": n % 2, "rejected": "no" if n % 2 else "nay"} for n in range(8)
    ]
    assert hint_of(*rows, metric="label").endswith("data.columns.completion=COMPLETION_COLUMN")


def test_names_in_a_hint_can_be_typed_into_a_shell() -> None:
    rows = [{"my answer": f"text {n}", "0": "a" if n % 2 else "b"} for n in range(8)]
    words = shlex.split(hint_of(*rows))
    config = with_settings(Config(), words[1::2])
    assert config.data.columns == {"prompt": "my answer", "completion": "0"}
    assert mapped(*rows, columns=config.data.columns)[0].reference == "b"


def test_columns_are_shown_safely_with_the_beginning_of_a_value_each() -> None:
    row: dict[str, Any] = {"a\x1b[31m": "x" * 5000 + "\x07", "b": "\x1b]52;c;aGk=\x07", "e": None}
    row |= {f"column {n}": {"n": n} for n in range(500)}
    with pytest.raises(BadInput) as caught:
        mapped(row)
    message = caught.value.message
    assert "a␛[31m (" in message
    assert 'b ("␛]52;c;aGk=␇"), e (empty), column 0 ({"n": 0})' in message
    assert message.endswith(" and 491 more")
    assert len(message) < 1000
    assert message.isprintable()


def test_rows_without_columns_are_an_error() -> None:
    with pytest.raises(BadInput, match=r"^d\.jsonl: "):
        mapped({}, {})
    with pytest.raises(BadInput, match=r"^d\.jsonl: "):
        mapped({}, columns={"prompt": "x"})


def test_a_column_that_is_not_there_is_an_error_that_lists_those_there() -> None:
    with pytest.raises(
        BadInput, match=r"no column 'q' \(data.columns.prompt\); the columns are a, b"
    ):
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


@pytest.mark.parametrize(
    ("said", "role"),
    [
        *(("User", "user"), ("SYSTEM", "system"), ("tool", "tool"), ("function", "function")),
        *(("human", "user"), ("chatgpt", "assistant"), ("Observation", "tool")),
        *(("function_call", "assistant"), ("developer", "developer")),
    ],
)
def test_roles_are_read_as_chat_templates_spell_them(said: str, role: str) -> None:
    [row] = mapped({"messages": [{"role": said, "content": "x"}, *TURNS]})
    assert [turn.role for turn in row.messages] == [role, "user", "assistant"]


def test_a_column_that_the_shape_has_no_place_for_is_not_taken() -> None:
    row = {"prompt": "p", "completion": "c", "context": "x"}
    assert columns_of(row, columns={"input": "context"}) == {
        "prompt": "prompt",
        "completion": "completion",
    }


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
        (TURNS[:1], "must end with an assistant turn, not with the role 'user'"),
        (TURNS[1:], "needs a turn before the assistant turn"),
        ([*TURNS, TURNS[0]], "must end with an assistant turn"),
        ([{"role": "user"}, TURNS[1]], "needs a role and content"),
        ([{"role": "user", "content": None}, TURNS[1]], "needs a role and content"),
        (["hi", TURNS[1]], "needs a role and content"),
        (
            [{"role": "narrator", "content": "x"}, *TURNS],
            "turn 1 of 'messages' has the unknown role 'narrator'",
        ),
        (
            [*TURNS, {"from": "bing", "value": "x"}],
            "turn 3 of 'messages' has the unknown role 'bing'",
        ),
        ([*TURNS, {"role": "tool", "content": "x"}], "not with the role 'tool'"),
        ([TURNS[0], {"role": "assistant", "content": " "}], "the last turn is empty"),
        (
            [TURNS[0], {"role": "assistant", "content": "<think>x</think>"}],
            "the last turn has reasoning but no answer",
        ),
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
        ({"prompt": "p"}, "no column 'completion'; the row has prompt"),
        ({"prompt": "p", "completion": None}, "'completion' must be text, not null"),
        ({"prompt": "p", "completion": [1]}, "'completion' must be text, not list"),
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
