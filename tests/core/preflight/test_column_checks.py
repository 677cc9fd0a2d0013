"""What is said of columns and keys that are not used: a warning where their name has a meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.preflight.data_checks import check_data

Write = Callable[[str, Sequence[object]], Path]


def found(folder: Path, *settings: str) -> list[CheckResult]:
    there = [name for name in ("train", "eval", "holdout") if (folder / f"{name}.jsonl").exists()]
    files = [f"data.{name}={name}.jsonl" for name in there]
    data = load_data(with_settings(Config(), [*files, *settings]), folder)
    findings = column_findings(data)
    assert [each for each in check_data(data) if each in findings] == findings
    return findings


def said(findings: list[CheckResult]) -> list[tuple[str, str, str, int | None]]:
    return [(each.severity, each.kind, each.message, each.count) for each in findings]


def pairs(count: int, **more: Any) -> list[dict[str, Any]]:
    """Rows with more columns: a value, or a function of the row's number."""
    return [
        {"prompt": f"p{n}", "completion": f"c{n}"}
        | {name: of(n) if callable(of) else of for name, of in more.items()}
        for n in range(count)
    ]


def test_where_every_column_is_read_nothing_is_said(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(24, id=lambda n: n))
    assert found(tmp_path) == []


def test_names_without_a_meaning_are_one_line(write_lines: Write, tmp_path: Path) -> None:
    rows = pairs(60, id=1, url=lambda n: f"u{n}", note=None, system="", team=lambda n: "ab"[n % 2])
    write_lines("train.jsonl", rows)
    assert said(found(tmp_path, "eval_fraction=0.5")) == [
        (
            "info",
            "unused_columns",
            "columns not used: id (not unique), url; columns used only to group held-out rows: "
            "team; empty columns: note, system",
            5,
        )
    ]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("tools", "the model never sees the tools it calls"),
        ("history", "the earlier turns are dropped"),
        ("context", "the prompts do not contain this text"),
        ("images", "the model only gets the text"),
        ("label", "all rows are used, whatever their label"),
    ],
)
def test_a_name_with_a_meaning_is_a_warning_that_says_what_is_lost(
    name: str, meaning: str, write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(24, **{name: lambda n: "x" if n else None}))
    [finding] = found(tmp_path)
    message = f"column {name} is not used: {meaning} (in 23 of 24 rows)"
    assert said([finding]) == [("warning", "unused_columns", message, 23)]
    assert finding.hint


def test_rows_that_their_weight_would_leave_out_are_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(24, weight=lambda n: n % 2))
    [finding] = found(tmp_path)
    assert finding.message == (
        "column weight is not used: all rows count equally (in 24 of 24 rows); "
        "12 rows with the value 0 or false, the first in line 1, are used like the others"
    )
    assert finding.hint == "remove the rows that should not be trained on"


def test_of_locked_rows_only_counts_are_shown(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(24))
    write_lines("eval.jsonl", pairs(6))
    write_lines("holdout.jsonl", pairs(3, weight=lambda n: n))
    [finding] = found(tmp_path)
    assert finding.message == (
        "column weight is not used: all rows count equally (in 3 of 3 locked holdout rows); "
        "1 locked holdout row with the value 0 or false is used like the others"
    )


def test_turns_that_should_not_be_trained_on_are_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    user = {"role": "user", "content": "q"}
    reply = {"role": "assistant", "content": "a", "mask": False}
    write_lines("train.jsonl", [{"messages": [user, reply, user, reply | {"mask": True}]}] * 8)
    write_lines("eval.jsonl", [{"messages": [user | {"content": "e"}, reply]}])
    [finding] = found(tmp_path)
    assert said([finding]) == [
        (
            "warning",
            "unused_keys",
            "key messages[].mask is not used: the turn is trained on like any other "
            "(in 8 of 8 training rows and 1 of 1 held-out row); 8 training turns and 1 held-out "
            "turn with the value 0 or false, the first in line 1, are used like the others",
            9,
        )
    ]


def test_a_weight_of_a_half_is_named_and_how_it_counts(write_lines: Write, tmp_path: Path) -> None:
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": "a", "weight": 0.5},
    ]
    write_lines("train.jsonl", [{"messages": turns}] * 8)
    write_lines("eval.jsonl", [{"messages": [turns[0] | {"content": "e"}, turns[1]]}])
    [finding] = found(tmp_path)
    assert finding.message == (
        "key messages[].weight is not used: values other than 0, 1, true and false count as 1, "
        "and only assistant turns are trained on (in 8 of 8 training rows and 1 of 1 held-out row)"
    )
    assert finding.hint == "write 0 or 1, or remove the key"


def test_a_name_is_said_once_for_all_files(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(24, tools="[]"))
    write_lines("eval.jsonl", pairs(6, tools=None))
    write_lines("holdout.jsonl", pairs(3, tools="[]"))
    [finding] = found(tmp_path)
    assert finding.message.endswith("(in 24 of 24 training rows and 3 of 3 locked holdout rows)")


def test_preference_data_says_what_is_trained_on_and_what_is_not(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = [{"prompt": f"p{n}", "chosen": "yes", "rejected": "no"} for n in range(24)]
    write_lines("train.jsonl", rows)
    message = "preference data: training uses column chosen, not rejected"
    assert said(found(tmp_path)) == [("warning", "preference_data", message, 24)]


def test_answers_that_are_left_out_are_counted_for_each_file(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(24, label=lambda n: n % 4 > 0))
    write_lines("eval.jsonl", pairs(8, label=lambda n: n > 0))
    where = "because column label is false"
    assert said(found(tmp_path)) == [
        (
            "warning",
            "preference_data",
            f"preference data: 6 of 24 training rows are left out {where}",
            6,
        ),
        (
            "warning",
            "preference_data",
            f"preference data: 1 of 8 held-out rows is left out {where}",
            1,
        ),
    ]


def test_turns_of_tool_calls_that_are_no_calls_are_named(
    write_lines: Write, tmp_path: Path
) -> None:
    spoken = [("human", "q"), ("function_call", "look it up"), ("observation", "1"), ("gpt", "a")]
    turns = [{"from": role, "value": text} for role, text in spoken]
    plain = {"conversations": [turns[0] | {"value": "r"}, turns[3]], "tools": ""}
    write_lines("train.jsonl", [*[{"conversations": turns, "tools": "no JSON"}] * 8, plain])
    calls, tools = found(tmp_path)
    assert (calls.severity, calls.kind, calls.count) == ("warning", "tool_calls", 8)
    assert calls.message == (
        "turns with the role function_call (8 rows) are read as plain assistant text: they are not "
        "tool calls in JSON"
    )
    expected = "column tools is not used: the model never sees the tools it calls"
    assert tools.message.startswith(expected)


def test_tools_calls_and_system_prompts_that_are_read_are_not_named(
    write_lines: Write, tmp_path: Path
) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "q"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "1", "tool_call_id": "1", "name": "look"},
        {"role": "assistant", "content": "a", "reasoning_content": "so", "weight": 1},
    ]
    row = {"messages": turns, "tools": [{"name": "look"}], "system": "Use tools."}
    rows = [row | {"messages": [turns[0] | {"content": f"q{n}"}, *turns[1:]]} for n in range(24)]
    write_lines("train.jsonl", rows)
    assert found(tmp_path) == []


def test_a_system_column_that_the_turns_replace_is_named(
    write_lines: Write, tmp_path: Path
) -> None:
    reply = {"role": "assistant", "content": "a"}
    rows = [
        {"messages": [{"role": "user", "content": f"q{n}"}, reply], "system": "Be kind."}
        for n in range(24)
    ]
    rows[3]["messages"] = [{"role": "system", "content": "Be brief."}, *rows[3]["messages"]]
    write_lines("train.jsonl", rows)
    message = (
        "column system is not used in 1 of 24 rows, whose turns have a different system prompt"
    )
    assert said(found(tmp_path)) == [("warning", "unused_columns", message, 1)]


@pytest.mark.parametrize(
    "text",
    [
        "<|im_start|>user\nhi<|im_end|>\n",
        "<bos><start_of_turn>user\nhi<end_of_turn>\n",
        "<s>[INST] hi [/INST] hello</s>",
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nhi<|eot_id|>",
        "<|user|>\nhi<|end|>\n<|assistant|>\nhello<|end|>",
        "<|start|>user<|message|>hi<|end|>",
    ],
)
def test_texts_that_hold_a_rendered_chat_template_are_counted(
    text: str, write_lines: Write, tmp_path: Path
) -> None:
    plain = [f"number {n}, start of turn {n}: [x] <|endoftext|>" for n in range(18)]
    write_lines(
        "train.jsonl", [{"text": each} for each in [*plain, *[f"{text} {n}" for n in "ab"]]]
    )
    [finding] = found(tmp_path, "evaluation.metric=none")
    assert (finding.severity, finding.kind, finding.count) == ("warning", "rendered_text", 2)
    assert finding.message.startswith("2 of 20 rows (10%) contain a rendered chat template (")
    assert "messages" in finding.hint
    assert len(finding.rows) == 2


def test_names_are_bounded_and_cannot_reach_a_terminal(write_lines: Write, tmp_path: Path) -> None:
    rows = pairs(24, **{f"\x1b[31mred\x07 {n} {'x' * 200}": "y" for n in range(300)})
    write_lines("train.jsonl", rows)
    [finding] = found(tmp_path)
    assert finding.message.startswith("columns not used: ␛[31mred␇ 0 x")
    assert finding.message.endswith(" and 260 more")
    assert finding.message.isprintable()
    assert len(finding.message) < 2000
