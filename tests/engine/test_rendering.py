"""What is trained on is what was meant: our tokens and masks against independent computations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from tests.engine.small_tokenizers import byte_level
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.rows import Message, RawRow, Row, ToolCall
from tui_loop.core.data.split import by_answer
from tui_loop.core.errors import BadInput
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import LoadedModel, load_model
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.training_rows import record_of

pytestmark = pytest.mark.train

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PAIRS = [
    {"prompt": "where is it", "completion": "shipping"},
    {"prompt": "thank you", "completion": "praise"},
]
SPACED = [{**row, "completion": f" {row['completion']}"} for row in PAIRS]
TURNS = [
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]},
    {
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
            {"role": "assistant", "content": "four"},
        ]
    },
]
ORDERS = [
    {"instruction": "Name a colour", "input": "warm", "output": "red"},
    {"instruction": "Count", "input": "", "output": "one two"},
]
TEXTS = [{"text": "just a line"}, {"text": "another"}]


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(Config(), find_model("tiny", Path()))


def quiet_arguments(folder: Path, **more: Any) -> SFTConfig:
    """Arguments of an SFTTrainer on the CPU that prints nothing."""
    return SFTConfig(
        output_dir=str(folder),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to="none",
        **more,
    )


def prepared_by_trl(loaded: LoadedModel, records: list[dict[str, Any]], folder: Path) -> list[Any]:
    """(input_ids, labels) of each record, as SFTTrainer would train on them."""
    trainer = SFTTrainer(
        model=loaded.model,
        args=quiet_arguments(folder),
        train_dataset=Dataset.from_list(records),
        processing_class=loaded.tokenizer,
    )
    return [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]


def mapped(rows: list[dict[str, Any]]) -> tuple[list[Row], Any]:
    raws = [RawRow(line, row) for line, row in enumerate(rows, 1)]
    mapping = find_mapping(raws, "rows", metric="exact_match")
    return map_rows(raws, mapping, "rows"), mapping


@pytest.mark.parametrize(
    ("rows", "settings", "records"),
    [
        (SPACED, [], SPACED),
        (
            PAIRS,
            ["data.prompt_template='Message: {prompt} Intent:'"],
            [
                {
                    "prompt": f"Message: {row['prompt']} Intent:",
                    "completion": f" {row['completion']}",
                }
                for row in PAIRS
            ],
        ),
        (
            ORDERS,
            [],
            [
                {"prompt": "Name a colour\n\nwarm", "completion": "red"},
                {"prompt": "Count", "completion": "one two"},
            ],
        ),
        (TEXTS, [], TEXTS),
    ],
)
def test_rows_without_turns_have_the_labels_of_sfttrainer(
    rows: list[dict[str, Any]],
    settings: list[str],
    records: list[dict[str, Any]],
    tiny: LoadedModel,
    tmp_path: Path,
) -> None:
    tiny.tokenizer.chat_template = None
    mapped_rows, mapping = mapped(rows)
    renderer = Renderer(tiny.tokenizer, with_settings(Config(), settings), mapping.shape)
    theirs = prepared_by_trl(tiny, records, tmp_path)
    for row, (ids, labels) in zip(mapped_rows, theirs, strict=True):
        ours = renderer.tokens(row)
        assert (ours.ids, record_of(ours.ids, ours.trained)["labels"]) == (ids, labels)


@pytest.mark.parametrize("rows", [PAIRS, ORDERS])
def test_a_prompt_goes_through_the_chat_template_and_the_answer_ends_with_its_turn(
    rows: list[dict[str, Any]], tiny: LoadedModel, tmp_path: Path
) -> None:
    tiny.tokenizer.chat_template = CHATML
    mapped_rows, mapping = mapped(rows)
    renderer = Renderer(tiny.tokenizer, Config(), mapping.shape, rows=mapped_rows)
    records = [
        {
            "prompt": [{"role": "user", "content": row.prompt}],
            "completion": [{"role": "assistant", "content": row.reference}],
        }
        for row in mapped_rows
    ]
    theirs = prepared_by_trl(tiny, records, tmp_path)
    for row, (ids, labels) in zip(mapped_rows, theirs, strict=True):
        ours = renderer.tokens(row)
        assert ours.ids == ids
        newline = len(ids) - 1  # the template's, after the end of the turn
        assert record_of(ours.ids, ours.trained)["labels"] == [*labels[:newline], -100]
        assert tiny.tokenizer.decode(ours.prompt_ids).endswith("<|assistant|>")


IM = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
IM_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IM_MARKED = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{% generation %}{{ m.content }}<|im_end|>{% endgeneration %}\n{% else %}"
    "{{ m.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IM_SYSTEM = (
    "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are kind.<|im_end|>\n{% endif %}"
    + IM_TEMPLATE
)
IM_TOOLS = (
    "{% if tools %}<|im_start|>system\n{% for t in tools %}{{ t | tojson }}{% endfor %}<|im_end|>\n"
    "{% endif %}{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content or '' }}"
    "{% for c in m.tool_calls or [] %}<tool_call>{{ c.function | tojson }}</tool_call>{% endfor %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IM_THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' and loop.last %}"
    "<think>\n{{ m.reasoning_content or '' }}\n</think>\n{% endif %}{{ m.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SYSTEM, ASK = Message("system", "Be brief."), Message("user", "How many boats?")
SEVEN, THANKS = Message("assistant", "Seven boats."), Message("user", "And gulls?")
NONE = Message("assistant", "No gulls at all.")
TALK = (ASK, SEVEN, THANKS, NONE)
CALL = Message("assistant", "", tool_calls=(ToolCall("count", '{"what": "boats"}', "c1"),))
RESULT = Message("tool", "7", name="count", tool_call_id="c1")
TOOLS = '[{"type": "function", "function": {"name": "count"}}]'


def row_of(turns: tuple[Message, ...], tools: str = "") -> Row:
    return Row("x", "shown", turns[-1].content, 1, turns, tools=tools)


def trained_texts(
    tokenizer: Any, turns: tuple[Message, ...], settings: list[str], tools: str
) -> Any:
    """The trained stretches of a row as text, with the row's whole text."""
    renderer = Renderer(tokenizer, with_settings(Config(), settings), "messages")
    tokens = renderer.tokens(row_of(turns, tools))
    stretches, before = [], False
    for token, trained in zip(tokens.ids, tokens.trained, strict=True):
        if trained and not before:
            stretches.append([])
        if trained:
            stretches[-1].append(token)
        before = trained
    assert tokens.ids[: tokens.start] == tokens.prompt_ids
    return [tokenizer.decode(each) for each in stretches], tokenizer.decode(tokens.ids)


@pytest.mark.parametrize(
    ("template", "turns", "tools", "answers"),
    [
        (IM_TEMPLATE, TALK, "", ["Seven boats.", "No gulls at all."]),
        (IM_MARKED, TALK, "", ["Seven boats.", "No gulls at all."]),
        (IM_TEMPLATE, (SYSTEM, *TALK), "", ["Seven boats.", "No gulls at all."]),
        (IM_SYSTEM, TALK, "", ["Seven boats.", "No gulls at all."]),
        (
            IM_TOOLS,
            (ASK, CALL, RESULT, SEVEN),
            TOOLS,
            [
                '<tool_call>{"name": "count", "arguments": {"what": "boats"}}</tool_call>',
                "Seven boats.",
            ],
        ),
        (
            IM_THINKING,
            (ASK, SEVEN, THANKS, Message("assistant", "No gulls.", reasoning="I see none.")),
            "",
            ["Seven boats.", "<think>\nI see none.\n</think>\nNo gulls."],
        ),
    ],
)
def test_every_answer_is_trained_on_through_its_end_and_nothing_else(
    template: str, turns: tuple[Message, ...], tools: str, answers: list[str]
) -> None:
    tokenizer = byte_level(IM, eos="<|im_end|>", pad="<|endoftext|>", template=template)
    ended = [f"{answer}<|im_end|>" for answer in answers]
    assert trained_texts(tokenizer, turns, [], tools)[0] == ended
    assert trained_texts(tokenizer, turns, ["data.train_on=last"], tools)[0] == ended[-1:]
    [whole], text = trained_texts(tokenizer, turns, ["data.train_on=all"], tools)
    assert whole == text


TOOL = {"type": "function", "function": {"name": "count", "parameters": {}}}
CALLED = '<tool_call>{"name": "count", "arguments": {"what": "boats"}}</tool_call>'
ARGUMENTS = {"name": "count", "arguments": {"what": "boats"}}
FORMATS: dict[str, tuple[dict[str, Any], list[str]]] = {
    "openai": (
        {
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "How many?"}]},
                {
                    "role": "assistant",
                    "content": None,
                    "tool_calls": [{"id": "c", "type": "function", "function": ARGUMENTS}],
                },
                {"role": "tool", "tool_call_id": "c", "content": "7"},
                {"role": "assistant", "content": "Seven."},
            ],
            "tools": [TOOL],
        },
        [CALLED, "Seven."],
    ),
    "weights": (
        {
            "messages": [
                {"role": "user", "content": "How many?"},
                {"role": "assistant", "content": "Nine.", "weight": 0},
                {"role": "user", "content": "Sure?"},
                {"role": "assistant", "content": "Seven.", "weight": 1},
            ]
        },
        ["Seven."],
    ),
    "sharegpt": (
        {
            "conversations": [
                {"from": "human", "value": "How many?"},
                {"from": "function_call", "value": json.dumps(ARGUMENTS)},
                {"from": "observation", "value": "7"},
                {"from": "gpt", "value": "Seven."},
            ],
            "system": "Be brief.",
            "tools": json.dumps([TOOL]),
        },
        [CALLED, "Seven."],
    ),
    "alpaca": (
        {
            "instruction": "And gulls?",
            "input": "",
            "output": "None.",
            "system": "Be brief.",
            "history": [["How many boats?", "Seven."]],
        },
        ["Seven.", "None."],
    ),
    "prompt of turns": (
        {
            "prompt": [
                {"role": "user", "content": "How many?"},
                {"role": "assistant", "content": "Nine."},
                {"role": "user", "content": "Sure?"},
            ],
            "completion": "Seven.",
        },
        ["Seven."],
    ),
    "prompt and system": ({"system": "Be brief.", "prompt": "How many?", "completion": "7"}, ["7"]),
    "messages as text": (
        {
            "messages": json.dumps(
                [{"role": "User", "content": "Hi"}, {"role": "Assistant", "content": "Hello."}]
            )
        },
        ["Hello."],
    ),
    "xlam": (
        {
            "query": "How many boats?",
            "tools": json.dumps([{"name": "count", "parameters": {"what": {"type": "str"}}}]),
            "answers": json.dumps([ARGUMENTS]),
        },
        [CALLED],
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_rows_of_every_format_train_on_their_answers(name: str) -> None:
    raw, answers = FORMATS[name]
    tokenizer = byte_level(IM, eos="<|im_end|>", pad="<|endoftext|>", template=IM_TOOLS)
    [row], mapping = mapped([raw])
    renderer = Renderer(tokenizer, Config(), mapping.shape, rows=[row])
    tokens = renderer.tokens(row)
    # Token by token: an answer is what stands between its head and its end of turn.
    expected: list[bool] = []
    head = tokenizer("<|im_start|>assistant\n")["input_ids"]
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    ended = [f"{answer}<|im_end|>" for answer in answers]
    inside, said = False, list[int]()
    for place, token in enumerate(tokens.ids):
        if not inside and tokens.ids[place - len(head) : place] == head and place >= len(head):
            inside, said = True, []
        said.append(token)
        expected.append(inside)
        if inside and token == end:
            inside = False
            if tokenizer.decode(said) not in ended:  # an answer that the row excludes
                expected[-len(said) :] = [False] * len(said)
    assert tokens.trained == expected
    assert tokens.flaws == ()
    stretches = tokenizer.decode([i for i, t in zip(tokens.ids, tokens.trained, strict=True) if t])
    assert stretches == "".join(ended)


def test_a_turn_says_itself_whether_it_is_trained_on() -> None:
    tokenizer = byte_level(IM, eos="<|im_end|>", pad="<|endoftext|>", template=IM_TEMPLATE)
    wrong = Message("assistant", "Nine boats.", trains=False)
    turns = (ASK, wrong, THANKS, NONE)
    assert trained_texts(tokenizer, turns, [], "")[0] == ["No gulls at all.<|im_end|>"]
    whole, _ = trained_texts(tokenizer, turns, ["data.train_on=all"], "")
    assert [text for text in whole if "Nine" in text] == []
    kept = Message("assistant", "Seven boats.", trains=True)
    said, _ = trained_texts(tokenizer, (ASK, kept, THANKS, NONE), ["data.train_on=last"], "")
    assert said == ["Seven boats.<|im_end|>", "No gulls at all.<|im_end|>"]


def test_an_end_of_turn_that_is_not_the_tokenizers_own_is_trained_on_and_stops() -> None:
    tokenizer = byte_level(IM, eos="<|endoftext|>", template=IM_TEMPLATE)
    renderer = Renderer(tokenizer, Config(), "messages")
    tokens = renderer.tokens(row_of(TALK))
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert tokens.ids[max(tokens.supervised)] == end
    assert renderer.stop.ids == (tokenizer.eos_token_id, end)
    assert tokens.flaws == ()


def test_an_end_of_turn_of_several_tokens_stops_as_text(tiny: LoadedModel) -> None:
    tiny.tokenizer.chat_template = CHATML
    renderer = Renderer(tiny.tokenizer, Config(), "messages")
    tokens = renderer.tokens(row_of((ASK, SEVEN)))
    assert renderer.stop.strings == ("<|end|>",)
    said = tiny.tokenizer.decode([tokens.ids[place] for place in tokens.supervised])
    assert said == "Seven boats.<|end|>"


def test_a_template_without_an_end_of_turn_is_a_flaw() -> None:
    plain = (
        "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    tokenizer = byte_level(IM, eos="<|endoftext|>", template=plain)
    renderer = Renderer(tokenizer, Config(), "messages")
    tokens = renderer.tokens(row_of(TALK))
    assert "no_stop" in tokens.flaws
    said = tokenizer.decode([tokens.ids[place] for place in tokens.supervised])
    assert said == "Seven boats.No gulls at all."


def test_what_a_template_drops_and_where_its_prompt_differs_are_flaws() -> None:
    drops = (
        "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>{{ m.content }}"
        "{% elif m.role == 'assistant' %}<|im_end|>{{ m.content.split('</think>')[-1] }}"
        "<|endoftext|>{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|im_end|><think>\n{% endif %}"
    )
    tokenizer = byte_level(IM, eos="<|endoftext|>", template=drops)
    renderer = Renderer(tokenizer, Config(), "messages")
    thoughtful = Message("assistant", "Seven.", reasoning="two and five")
    tokens = renderer.tokens(row_of((SYSTEM, ASK, thoughtful)))
    assert set(tokens.flaws) == {"other_prompt", "dropped"}
    assert tokens.ids[: tokens.start] == tokens.prompt_ids
    assert tokenizer.decode(tokens.prompt_ids).endswith("How many boats?<|im_end|>")
    assert renderer.conversation(row_of((SYSTEM, ASK, thoughtful))).dropped == (
        "Be brief.",
        "two and five",
    )


def test_a_prompt_that_would_merge_with_its_answer_is_split_where_generation_begins() -> None:
    tokenizer = byte_level(["<|endoftext|>"], eos="<|endoftext|>")
    renderer = Renderer(tokenizer, Config(), "prompt_completion")
    row = Row("x", "The red kite flies over the har", "bour at noon.", 1)
    tokens = renderer.tokens(row)
    assert tokens.prompt_ids == tokenizer(row.prompt)["input_ids"]
    assert tokens.ids != [*tokenizer(row.prompt + row.reference)["input_ids"], 0]
    assert tokenizer.decode(tokens.ids) == f"{row.prompt}{row.reference}<|endoftext|>"
    assert tokens.flaws == ("merged",)
    apart = renderer.tokens(Row("y", "How many boats are there?", " seven", 1))
    assert apart.flaws == ()


@pytest.mark.parametrize("adds", ["bos", "eos", "both"])
def test_what_a_tokenizer_adds_is_neither_doubled_nor_part_of_a_prompt(adds: str) -> None:
    tokenizer = byte_level(["<s>", "</s>"], bos="<s>", eos="</s>", adds=adds)
    renderer = Renderer(tokenizer, Config(), "prompt_completion")
    tokens = renderer.tokens(Row("x", "How many boats?", " seven", 1))
    assert tokens.ids.count(tokenizer.bos_token_id) == (adds != "eos")
    assert tokens.ids.count(tokenizer.eos_token_id) == 1
    assert tokens.ids[-1] == tokenizer.eos_token_id
    assert tokenizer.eos_token_id not in tokens.prompt_ids
    doubled = renderer.tokens(Row("x", "<s>How many boats?", " seven</s>", 1))
    assert doubled.ids.count(tokenizer.bos_token_id) == 1
    assert doubled.ids.count(tokenizer.eos_token_id) == 1
    text = Renderer(tokenizer, Config(), "text").tokens(Row("x", "", "<s>Seven boats.</s>\n", 1))
    assert text.ids.count(tokenizer.bos_token_id) == 1
    assert text.ids.count(tokenizer.eos_token_id) == 1


def test_the_parts_of_a_row_are_its_turns() -> None:
    tokenizer = byte_level(IM, eos="<|im_end|>", template=IM_THINKING)
    renderer = Renderer(tokenizer, Config(), "messages")
    row = row_of((SYSTEM, *TALK))
    parts, tokens = renderer.parts(row), renderer.tokens(row)
    assert [part.role for part in parts] == ["system", "user", "assistant", "user", "assistant"]
    assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])]
    assert parts[-1].end == len(tokens.ids)
    shares = [sum(tokens.trained[part.start : part.end]) > 0 for part in parts]
    assert shares == [False, False, True, False, True]


@pytest.mark.parametrize("train_on", ["assistant", "all"])
def test_the_answers_of_a_conversation_share_out_the_tokens_of_its_loss(train_on: str) -> None:
    tokenizer = byte_level(IM, eos="<|im_end|>", template=IM_TEMPLATE)
    config = with_settings(Config(), [f"data.train_on={train_on}"])
    renderer = Renderer(tokenizer, config, "messages")
    whole = renderer.tokens(row_of((SYSTEM, *TALK)))
    answers = [renderer.tokens(row) for row in by_answer([row_of((SYSTEM, *TALK))])]
    places = [set(each.supervised) for each in answers]
    assert not places[0] & places[1]
    newline = len(whole.ids) - 1  # after the last answer, counted with none
    assert places[0] | places[1] == set(whole.supervised) - {newline}
    assert answers[1].ids == whole.ids


def test_messages_without_a_chat_template_are_refused_with_what_to_do(tiny: LoadedModel) -> None:
    tiny.tokenizer.chat_template = None
    with pytest.raises(BadInput, match="need a chat template, but tiny has none") as caught:
        Renderer(tiny.tokenizer, Config(), "messages")
    assert "instruct model" in caught.value.hint
    assert "--set data.chat_template=FILE" in caught.value.hint


def test_a_template_of_the_users_own_file_is_used(tiny: LoadedModel, tmp_path: Path) -> None:
    tiny.tokenizer.chat_template = None
    (tmp_path / "mine.jinja").write_text(CHATML)
    config = with_settings(Config(), ["data.chat_template=mine.jinja"])
    renderer = Renderer(tiny.tokenizer, config, "messages", root=tmp_path)
    assert renderer.decisions["template"] == "file"
    text = tiny.tokenizer.decode(renderer.tokens(row_of((ASK, SEVEN))).ids)
    assert text == "<|user|>How many boats?<|end|>\n<|assistant|>Seven boats.<|end|>\n"
    other = with_settings(Config(), ["data.chat_template=other.jinja"])
    with pytest.raises(BadInput, match=r"data\.chat_template: .*other\.jinja"):
        Renderer(tiny.tokenizer, other, "messages", root=tmp_path)


def test_a_template_that_cannot_express_tools_is_refused() -> None:
    tokenizer = byte_level(IM, eos="<|im_end|>", template=IM_TEMPLATE)
    rows = [row_of((ASK, CALL, RESULT, SEVEN), TOOLS)]
    with pytest.raises(BadInput, match="does not support tool calls") as caught:
        Renderer(tokenizer, Config(), "messages", rows=rows)
    assert "data.chat_template=FILE" in caught.value.hint
    tokenizer.chat_template = IM_TOOLS
    assert Renderer(tokenizer, Config(), "messages", rows=rows).tokens(rows[0]).flaws == ()


def test_a_row_that_the_template_refuses_is_bad_input_with_its_line() -> None:
    strict = "{{ raise_exception('only two turns') if messages | length > 2 }}" + IM_TEMPLATE
    tokenizer = byte_level(IM, eos="<|im_end|>", template=strict)
    renderer = Renderer(tokenizer, Config(), "messages")
    with pytest.raises(BadInput, match="line 1: the chat template rejects this row: only two"):
        renderer.tokens(row_of(TALK))


def test_a_long_row_is_cut_from_the_left_and_stays(tiny: LoadedModel) -> None:
    tiny.tokenizer.chat_template = None
    row = Row("x", "word " * 300, "shipping", 1)
    renderer = Renderer(
        tiny.tokenizer,
        with_settings(Config(), ["data.prompt_template='{prompt} :'"]),
        "prompt_completion",
    )
    whole, cut = renderer.tokens(row), renderer.tokens(row, limit=40)
    assert len(cut.ids) == 40
    assert cut.ids == whole.ids[-40:]
    assert cut.ids[cut.start :] == whole.ids[whole.start :]
    assert cut.cut == len(whole.ids) - 40
