"""Which columns and keys of turns are not used, how many rows have them, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.unused_columns import MEANINGFUL, Unused, meaning_of
from tui_loop.core.record import codec
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Split
from tui_loop.core.workflow.plan import create_iteration, plan_next

Write = Callable[[str, Sequence[object]], Path]


def load(folder: Path, *settings: str) -> LoadedData:
    return load_data(with_settings(Config(), ["data.train=train.jsonl", *settings]), folder)


def pairs(count: int, **more: Callable[[int], Any]) -> list[dict[str, Any]]:
    return [
        {"prompt": f"p{n}", "completion": f"c{n}", **{name: of(n) for name, of in more.items()}}
        for n in range(count)
    ]


def chats(count: int, *, style: tuple[str, str] = ("role", "content"), **more: Any) -> list[Any]:
    """Conversations of two exchanges; `more`: keys of the assistant's turns, by turn number."""
    role, content = style
    names = ("user", "assistant") if role == "role" else ("human", "gpt")
    return [
        {
            "messages": [
                {role: names[at % 2], content: f"{n} {at}"}
                | ({name: of(at) for name, of in more.items()} if at % 2 else {})
                for at in range(4)
            ]
        }
        for n in range(count)
    ]


def test_every_column_that_is_not_read_is_named_with_its_rows(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = pairs(
        10, source=lambda n: "web", note=lambda n: None, score=lambda n: n, tags=lambda n: ["a"] * n
    )
    rows[7]["late"] = "x"
    write_lines("train.jsonl", rows)
    assert load(tmp_path).use["train"].unused == (
        Unused("source", 10),
        Unused("note", 0),
        Unused("score", 10),
        Unused("tags", 9),
        Unused("late", 1),
    )


def test_what_is_read_is_not_among_them(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(10, id=lambda n: f"r{n}"))
    assert load(tmp_path).use["train"].unused == ()
    write_lines(
        "train.jsonl", [{"instruction": "a", "input": f"{n}", "output": "b"} for n in range(10)]
    )
    assert load(tmp_path).use["train"].unused == ()


def test_an_id_column_is_used_only_where_it_names_every_row(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(10, id=lambda n: n // 2, key=lambda n: n))
    assert load(tmp_path).use["train"].unused == (Unused("id", 10), Unused("key", 10))
    by_key = load(tmp_path, "data.columns.id=key")
    assert by_key.use["train"].unused == (Unused("id", 10),)
    by_id = load(tmp_path, "data.columns.id=id")
    assert by_id.use["train"].unused == (Unused("id", 10), Unused("key", 10))


@pytest.mark.parametrize(
    ("values", "zeros"),
    [
        ((0, 1), 5),
        ((0.0, 0.5), 5),
        ((False, True), 5),
        (("0", "1"), 5),
        (("False", "True"), 5),
        ((1, 2), 0),
    ],
)
@pytest.mark.parametrize("name", ["weight", "Train", "loss_mask"])
def test_weights_of_zero_are_counted_with_the_line_of_the_first(
    values: tuple[Any, Any], zeros: int, name: str, write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(10, **{name: lambda n: values[(n + 1) % 2]}))
    line = 2 if zeros else 0
    assert load(tmp_path).use["train"].unused == (Unused(name, 10, zeros, line),)


def test_a_label_of_nought_and_one_beside_an_answer_is_counted_like_a_weight(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(10, label=lambda n: n % 2))
    assert load(tmp_path).use["train"].unused == (Unused("label", 10, 5, 1),)
    write_lines("train.jsonl", pairs(10, label=lambda n: n % 3))
    assert load(tmp_path).use["train"].unused == (Unused("label", 10),)
    write_lines("train.jsonl", [{"text": f"t{n}", "label": n % 2} for n in range(10)])
    assert load(tmp_path, "metric=none").use["train"].unused == (Unused("label", 10),)


@pytest.mark.parametrize("style", [("role", "content"), ("from", "value")])
def test_keys_of_turns_are_named_by_their_column_and_count_rows_and_zero_turns(
    style: tuple[str, str], write_lines: Write, tmp_path: Path
) -> None:
    rows = chats(
        10,
        style=style,
        loss=lambda at: 0 if at == 1 else 1,
        score=lambda at: None,
        tool_calls=lambda at: None,
        name=lambda at: "bot" if at == 3 else "",
    )
    write_lines("train.jsonl", rows)
    assert load(tmp_path).use["train"].unused == (
        Unused("messages[].loss", 10, 10, 1),
        Unused("messages[].score", 0),
        Unused("messages[].name", 10),
    )


def test_where_a_turn_has_both_spellings_the_one_that_is_not_read_is_named(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = chats(10, value=lambda at: "another answer")
    write_lines("train.jsonl", rows)
    data = load(tmp_path)
    assert data.use["train"].unused == (Unused("messages[].value", 10),)
    assert data.train[0].reference.endswith(" 3")


def test_a_spelling_that_is_filled_with_null_is_not_the_one_that_is_read(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = chats(10, style=("from", "value"))
    for row in rows:
        row["messages"] = [turn | {"role": None, "content": None} for turn in row["messages"]]
    write_lines("train.jsonl", rows)
    data = load(tmp_path)
    assert (data.train[0].prompt, data.train[0].reference) == (
        "user: 0 0\nassistant: 0 1\nuser: 0 2",
        "0 3",
    )
    assert data.use["train"].unused == ()


def test_keys_of_turns_are_found_in_prompt_and_completion_too(
    write_lines: Write, tmp_path: Path
) -> None:
    turn = {"role": "user", "content": "q", "name": "ann"}
    reply = {"role": "assistant", "content": "a", "refusal": "no"}
    rows = [{"prompt": [turn | {"content": f"q{n}"}], "completion": [reply]} for n in range(10)]
    write_lines("train.jsonl", rows)
    assert load(tmp_path).use["train"].unused == (
        Unused("prompt[].name", 10),
        Unused("completion[].refusal", 10),
    )


def test_rows_that_start_in_one_line_are_counted_each(tmp_path: Path) -> None:
    rows = chats(10, score=lambda at: 1)
    (tmp_path / "train.json").write_bytes(codec.to_json(rows))
    data = load(tmp_path, "data.train=train.json")
    assert data.use["train"].unused == (Unused("messages[].score", 10),)


def test_turns_of_tool_calls_that_are_no_calls_are_counted_by_row(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = chats(10, style=("from", "value"))
    for row in rows[:4]:
        calls = [{"from": "function_call", "value": "look"}, {"from": "Observation", "value": "1"}]
        row["messages"][1:1] = calls * 2
    for row in rows[4:6]:
        text = '{"name": "look", "arguments": {}}'
        row["messages"][1:1] = [{"from": "function_call", "value": text}]
    write_lines("train.jsonl", rows)
    data = load(tmp_path)
    assert data.use["train"].calls == {"function_call": 4}
    assert [turn.role for turn in data.train[0].messages] == [
        *("user", "assistant", "tool", "assistant", "tool", "assistant", "user", "assistant")
    ]


def test_a_weight_that_is_neither_nought_nor_one_is_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", chats(10, weight=lambda at: 0.5 if at == 1 else 1))
    assert load(tmp_path).use["train"].unused == (Unused("messages[].weight", 10),)
    write_lines("train.jsonl", chats(10, weight=lambda at: at // 2, train=lambda at: at > 1))
    assert load(tmp_path).use["train"].unused == ()


def test_a_turn_of_the_user_that_asks_for_training_is_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = chats(10)
    for row in rows:
        row["messages"][0] |= {"weight": 1, "train": False}
        row["messages"][2] |= {"weight": 1}
    rows[4]["messages"][2]["train"] = True
    write_lines("train.jsonl", rows)
    data = load(tmp_path)
    assert data.use["train"].unused == (Unused("messages[].train", 1),)
    assert {turn.trains for row in data.train for turn in row.messages} == {False, None}


def test_keys_of_parts_are_counted_as_those_of_turns(write_lines: Write, tmp_path: Path) -> None:
    rows = chats(10)
    for row in rows:
        row["messages"][3]["content"] = [
            {"type": "text", "text": "a", "train": False},
            {"type": "text", "text": "b", "cache": None},
        ]
    write_lines("train.jsonl", rows)
    data = load(tmp_path)
    assert data.train[0].reference == "ab"
    assert data.use["train"].unused == (Unused("messages[].content[].train", 10, 10, 1),)


def test_rows_whose_own_system_turn_replaces_that_of_the_column_are_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = [{**row, "system": "Be kind."} for row in chats(10)]
    rows[2]["messages"].insert(0, {"role": "system", "content": "Be brief."})
    rows[3]["messages"].insert(0, {"role": "system", "content": "Be kind."})
    write_lines("train.jsonl", rows)
    assert load(tmp_path).use["train"].own_system == 1


def test_each_file_is_counted_for_itself_and_a_held_out_part_with_its_file(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(10, source=lambda n: "a"))
    assert list(load(tmp_path).use) == ["train"]
    write_lines("eval.jsonl", pairs(4, source=lambda n: None, url=lambda n: "u"))
    write_lines("holdout.jsonl", pairs(3))
    data = load(tmp_path, "data.eval=eval.jsonl", "data.holdout=holdout.jsonl")
    assert {name: (use.rows, use.unused) for name, use in data.use.items()} == {
        "train": (10, (Unused("source", 10),)),
        "eval": (4, (Unused("source", 0), Unused("url", 4))),
        "holdout": (3, ()),
    }


def test_the_record_names_what_was_not_used_and_leaves_grouping_columns_to_eval(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines(
        "train.jsonl",
        pairs(
            40,
            tools=lambda n: "[]",
            team=lambda n: "ab"[n % 2],
            none=lambda n: None,
            id=lambda n: n,
        ),
    )
    defaults = {"data": {"train": "train.jsonl", "eval_fraction": 0.25}}
    loop = LoopsFolder(tmp_path / "loops").create("mine", LoopSettings(defaults=defaults))
    plan = plan_next(loop, parent=None, settings=[], why="a test")
    data = load_data(plan.config, loop.root)
    folder = create_iteration(loop, plan, data.splits)
    splits = folder.read_splits()
    assert splits["train"].unused == ("tools", "team")
    assert splits["eval"].unused == ("tools",)
    assert splits == data.splits
    table = codec.from_toml(folder.config.read_text(), "config.toml")["splits"]["train"]
    assert table["unused"] == ["tools", "team"]


def test_a_split_that_was_recorded_without_it_can_be_read() -> None:
    old = {"path": "train.jsonl", "sha256": "0" * 64, "rows": 3}
    split = msgspec.convert(old, Split)
    assert (split.rows, split.unused) == (3, ())
    assert msgspec.to_builtins(split) == old


def test_every_name_with_a_meaning_has_a_sentence_on_what_is_lost() -> None:
    for name in MEANINGFUL:
        assert meaning_of(name, "prompt_completion"), name
        assert meaning_of(name.upper(), "messages"), name
    for key in ("weight", "train", "tool_calls", "name", "reasoning_content", "tool_call_id"):
        assert meaning_of(f"messages[].{key}", "messages"), key
    assert meaning_of("messages[].content[].train", "messages")
    assert meaning_of("source", "messages") == ""
    assert meaning_of("name", "messages") == ""
    assert "metric label" in meaning_of("label", "text")
