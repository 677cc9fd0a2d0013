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
            "not used: id (not unique), url; not trained on, but used to group held-out rows: "
            "team; empty: note, system",
            5,
        )
    ]


@pytest.mark.parametrize(
    ("name", "meaning"),
    [
        ("tools", "the model never sees the tools it calls"),
        ("system", "the system prompt is dropped"),
        ("history", "the earlier turns are dropped"),
        ("context", "the prompt does not contain it"),
        ("images", "the model only gets the text"),
        ("label", "all rows are used alike, whatever it says"),
    ],
)
def test_a_name_with_a_meaning_is_a_warning_that_says_what_is_lost(
    name: str, meaning: str, write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(24, **{name: lambda n: "x" if n else None}))
    [finding] = found(tmp_path)
    message = f"{name} is not used: {meaning} (23 of 24 rows have it)"
    assert said([finding]) == [("warning", "unused_columns", message, 23)]
    assert finding.hint


def test_rows_that_their_weight_would_leave_out_are_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(24, weight=lambda n: n % 2))
    [finding] = found(tmp_path)
    assert finding.message == (
        "weight is not used: all rows count alike (24 of 24 rows have it); "
        "12 rows with 0 or false there are used like the others, the first in line 1"
    )
    assert finding.hint == "remove the rows that should not be trained on"


def test_of_locked_rows_only_counts_are_shown(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(24))
    write_lines("eval.jsonl", pairs(6))
    write_lines("holdout.jsonl", pairs(3, weight=lambda n: n))
    [finding] = found(tmp_path)
    assert finding.message == (
        "weight is not used: all rows count alike (3 of 3 locked rows have it); "
        "1 locked row with 0 or false there is used like the others"
    )


def test_turns_that_should_not_be_trained_on_are_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    user = {"role": "user", "content": "q"}
    reply = {"role": "assistant", "content": "a", "train": False}
    write_lines("train.jsonl", [{"messages": [user, reply, user, reply | {"train": True}]}] * 8)
    write_lines("eval.jsonl", [{"messages": [user | {"content": "e"}, reply]}])
    [finding] = found(tmp_path)
    assert said([finding]) == [
        (
            "warning",
            "unused_keys",
            "messages[].train is not used: the turn is trained on like any other "
            "(8 of 8 training rows and 1 of 1 held-out row have it); 8 training turns and "
            "1 held-out turn with 0 or false there are used like the others, the first in line 1",
            9,
        )
    ]


def test_a_name_is_said_once_for_all_files(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(24, tools="[]"))
    write_lines("eval.jsonl", pairs(6, tools=None))
    write_lines("holdout.jsonl", pairs(3, tools="[]"))
    [finding] = found(tmp_path)
    assert finding.message.endswith("(24 of 24 training rows and 3 of 3 locked rows have it)")


def test_preference_data_says_what_is_trained_on_and_what_is_not(
    write_lines: Write, tmp_path: Path
) -> None:
    rows = [{"prompt": f"p{n}", "chosen": "yes", "rejected": "no"} for n in range(24)]
    write_lines("train.jsonl", rows)
    message = "preference data: trained on chosen; rejected is not used"
    assert said(found(tmp_path)) == [("warning", "preference_data", message, 24)]


def test_answers_that_are_left_out_are_counted_for_each_file(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(24, label=lambda n: n % 4 > 0))
    write_lines("eval.jsonl", pairs(8, label=lambda n: n > 0))
    where = "since label is false there"
    assert said(found(tmp_path)) == [
        (
            "warning",
            "preference_data",
            f"preference data: 6 of 24 training rows are left out, {where}",
            6,
        ),
        (
            "warning",
            "preference_data",
            f"preference data: 1 of 8 held-out rows is left out, {where}",
            1,
        ),
    ]


def test_roles_of_tool_calls_are_named_with_the_tools_that_are_not_used(
    write_lines: Write, tmp_path: Path
) -> None:
    said_by = [("human", "q"), ("function_call", "{}"), ("observation", "1"), ("gpt", "a")]
    turns = [{"from": role, "value": text} for role, text in said_by]
    plain = {"conversations": [turns[0] | {"value": "r"}, turns[3]], "tools": ""}
    write_lines("train.jsonl", [*[{"conversations": turns, "tools": "[]"}] * 8, plain])
    calls, tools = found(tmp_path)
    assert (calls.severity, calls.kind, calls.count) == ("warning", "tool_calls", 8)
    assert calls.message.startswith(
        "roles are read as others: function_call as assistant (8 rows), "
        "observation as tool (8 rows); "
    )
    assert tools.message.startswith("tools is not used")


def test_names_are_bounded_and_cannot_reach_a_terminal(write_lines: Write, tmp_path: Path) -> None:
    rows = pairs(24, **{f"\x1b[31mred\x07 {n} {'x' * 200}": "y" for n in range(300)})
    write_lines("train.jsonl", rows)
    [finding] = found(tmp_path)
    assert finding.message.startswith("not used: ␛[31mred␇ 0 x")
    assert finding.message.endswith(" and 260 more")
    assert finding.message.isprintable()
    assert len(finding.message) < 2000
