"""Each planted fault of data is found, all at once, without a tokenizer."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tui_loop.core import scoring
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import Refused, load_data
from tui_loop.core.data.rows import RowRefused
from tui_loop.core.data.source_rows import read_text_source
from tui_loop.core.preflight.check_result import ROWS_KEPT, CheckResult, ChecksFailed, by_severity
from tui_loop.core.preflight.data_checks import check_data, check_metric
from tui_loop.core.preflight.row_checks import load_usable
from tui_loop.core.text.figures import share

Write = Callable[[str, Sequence[object]], Path]

SYLLABLES = ("ba", "ke", "li", "mo", "nu", "ra", "se", "ti", "vo", "za", "pre", "con", "ter")
LABELS = ["refund", "address", "shipping", "praise"]


def messages(count: int, seed: int) -> list[str]:
    """Inputs that are not like each other."""
    rng = random.Random(seed)
    words = ["".join(rng.choices(SYLLABLES, k=3)) for _ in range(3000)]
    return [" ".join(rng.choices(words, k=12)) for _ in range(count)]


def pairs(texts: Sequence[str], label: str = "") -> list[dict[str, Any]]:
    return [
        {"prompt": text, "completion": label or LABELS[index % 4]}
        for index, text in enumerate(texts)
    ]


def found(folder: Path, *settings: str) -> dict[tuple[str, str], list[CheckResult]]:
    """Findings by severity and kind, of `train.jsonl` and what else is there."""
    told = ["data.train=train.jsonl", *settings]
    for name in ("eval", "holdout"):
        if (folder / f"{name}.jsonl").exists():
            told.append(f"data.{name}={name}.jsonl")
    refused: Refused = {}
    data = load_data(with_settings(Config(), told), folder, refused=refused)
    findings = check_data(data, refused)
    assert findings == by_severity(findings)
    kinds: dict[tuple[str, str], list[CheckResult]] = {}
    for each in findings:
        kinds.setdefault((each.severity, each.kind), []).append(each)
    return kinds


def places(finding: CheckResult) -> list[tuple[str, int]]:
    return [(row.split, row.line) for row in finding.rows]


@pytest.mark.parametrize(
    ("pattern", "references", "problem"),
    [
        ("(a|aa)+$", ["yes", "a" * 80 + "!"], "'(a|aa)+$' takes too long (in the reference of"),
        (None, ["yes", "(a"], "'(a' is not a valid regular expression"),
        (None, ["yes", "no|never"], ""),
        ("^(yes|no)$", ["yes", "no"], ""),
        ("(", ["yes"], ""),  # another check refuses the config
    ],
)
def test_a_pattern_is_tried_on_the_references_before_a_run(
    write_lines: Write,
    monkeypatch: pytest.MonkeyPatch,
    pattern: str | None,
    references: list[str],
    problem: str,
) -> None:
    monkeypatch.setattr(scoring, "SEARCH_SECONDS", 0.05)
    rows = [{"prompt": f"q{n}", "completion": each} for n, each in enumerate(references)]
    write_lines("eval.jsonl", rows)
    folder = write_lines("train.jsonl", rows).parent
    config = with_settings(
        Config(), ["data.train=train.jsonl", "data.eval=eval.jsonl", "evaluation.metric=regex"]
    )
    evaluation = msgspec.structs.replace(config.evaluation, pattern=pattern)
    config = msgspec.structs.replace(config, evaluation=evaluation)
    findings = check_metric(config, load_data(config, folder))
    assert [each.severity for each in findings] == (["error"] if problem else [])
    for each in findings:
        assert each.message.startswith("evaluation.pattern: ")
        assert problem in each.message
        assert places(each) == [("eval", len(references))]


def test_good_data_has_nothing_to_warn_of(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(messages(300, 1)))
    write_lines("eval.jsonl", pairs(messages(40, 2)))
    assert found(tmp_path) == {}


def test_every_planted_fault_is_found_among_thousands_of_rows(
    write_lines: Write, tmp_path: Path
) -> None:
    good, held, locked = messages(4000, 1), messages(200, 2), messages(50, 3)
    train = pairs(good)
    train += [train[7], train[8], train[8]]  # lines 4001 to 4003
    train += [{"prompt": good[9], "completion": "another"}]  # 4004
    train += pairs([held[5].upper() + " !!", held[6] + " please", locked[7], f"so {locked[8]}"])
    train += [{"prompt": " ", "completion": "x"}, {"prompt": "p", "completion": None}]  # 4009, 4010
    train += [{"prompt": {"a": 1}, "completion": "x"}, {"completion": "x"}]  # 4011, 4012
    write_lines("train.jsonl", train)
    write_lines("eval.jsonl", [*pairs(held), {"prompt": good[3], "completion": "never"}])
    write_lines("holdout.jsonl", pairs(locked))
    kinds = found(tmp_path)

    (empty,) = kinds.pop(("error", "empty_rows"))
    assert (empty.count, places(empty)) == (2, [("train", 4009), ("train", 4010)])
    (unreadable,) = kinds.pop(("error", "unreadable_rows"))
    assert places(unreadable) == [("train", 4011), ("train", 4012)]
    (twice,) = kinds.pop(("warning", "duplicate_rows"))
    assert twice.count == 3
    assert {line for _, line in places(twice)} == {8, 9, 4001, 4002, 4003}
    within, between = kinds.pop(("warning", "conflicting_labels"))
    assert places(within) == [("train", 10), ("train", 4004)]
    assert places(between) == [("train", 4), ("eval", 201)]
    same, same_locked = kinds.pop(("warning", "leakage_exact"))
    assert (same.count, same_locked.count) == (2, 1)
    assert places(same) == [("train", 4005), ("eval", 6), ("train", 4), ("eval", 201)]
    assert "1 of 50 locked holdout rows (2%) has the same input" in same_locked.message
    near, near_locked = kinds.pop(("warning", "leakage_near"))
    assert places(near) == [("train", 4006), ("eval", 7)]
    assert places(near_locked) == [("train", 4008)]
    assert kinds == {}


def test_nothing_of_the_locked_rows_is_shown(write_lines: Write, tmp_path: Path) -> None:
    train, locked = messages(60, 1), messages(30, 2)
    secret = [
        {"prompt": text, "completion": "SECRET", "id": f"secret{n}"}
        for n, text in enumerate(locked)
    ]
    write_lines("train.jsonl", pairs([*train, locked[0].upper(), locked[1] + " please"]))
    write_lines("eval.jsonl", pairs(messages(40, 3)))
    write_lines("holdout.jsonl", [*secret, {"prompt": "SECRET", "completion": ""}])
    kinds = found(tmp_path)
    assert ("error", "empty_rows") in kinds
    told = [each for group in kinds.values() for each in group]
    assert {("warning", "leakage_exact"), ("warning", "leakage_near")} <= kinds.keys()
    for finding in told:
        assert "SECRET" not in repr(finding)
        assert "secret" not in repr(finding)
        assert all(
            row.split != "holdout" or not row.text.strip() or "empty" in row.text
            for row in finding.rows
        )


TURN = {"role": "user", "content": "hi"}
REPLY = {"role": "assistant", "content": "hello"}
SYSTEM = {"role": "system", "content": "be kind"}


@pytest.mark.parametrize(
    ("severity", "turns", "why"),
    [
        ("error", [TURN], "must end with an assistant turn"),
        ("error", [REPLY], "needs a turn before the assistant turn"),
        ("error", [TURN, REPLY, TURN], "must end with an assistant turn"),
        ("error", [{"role": "user"}, REPLY], "needs a role and content"),
        ("error", [], "must be a list of turns"),
        (
            "error",
            [{"role": "narrator", "content": "x"}, TURN, REPLY],
            "the unknown role 'narrator'",
        ),
        ("warning", [SYSTEM, SYSTEM, TURN, REPLY], "two system turns"),
        ("warning", [TURN, SYSTEM, REPLY], "a system turn that is not the first"),
        ("warning", [{"role": "user", "content": " "}, REPLY], "an empty turn"),
        ("warning", [REPLY, TURN, REPLY], "an assistant turn before any user turn"),
        ("warning", [TURN, TURN, REPLY], "two consecutive user turns"),
        ("warning", [SYSTEM, REPLY], "an assistant turn before any user turn"),
    ],
)
def test_odd_turns_are_named(
    severity: str, turns: list[object], why: str, write_lines: Write, tmp_path: Path
) -> None:
    good = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}]}
        for text in messages(40, 1)
    ]
    write_lines("train.jsonl", [*good, {"messages": turns}])
    write_lines(
        "eval.jsonl",
        [
            {
                "messages": [
                    {"role": "user", "content": text},
                    {"role": "assistant", "content": "ok"},
                ]
            }
            for text in messages(30, 2)
        ],
    )
    kinds = found(tmp_path)
    (finding,) = kinds[severity, "wrong_roles"]
    assert why in finding.message
    assert places(finding) == [("train", 41)]


def test_calls_and_results_of_tools_are_not_odd(write_lines: Write, tmp_path: Path) -> None:
    call = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    result = {"role": "tool", "content": ""}
    for name, count, seed in (("train", 40, 1), ("eval", 30, 2)):
        turns = [{"role": "user", "content": text} for text in messages(count, seed)]
        rows = [{"messages": [turn, call, result, call, result, REPLY]} for turn in turns]
        write_lines(f"{name}.jsonl", rows)
    assert found(tmp_path) == {}


def test_one_prompt_with_other_tools_is_another_input(write_lines: Write, tmp_path: Path) -> None:
    for name, count, seed in (("train", 40, 1), ("eval", 30, 2)):
        texts = messages(count, seed)
        rows = [row | {"tools": [{"name": "first"}]} for row in pairs(texts)]
        rows[3] |= {"prompt": texts[7], "tools": [{"name": "other"}], "completion": "praise"}
        rows[9] |= {"prompt": texts[8], "tools": [{"name": "other"}], "completion": LABELS[0]}
        write_lines(f"{name}.jsonl", rows)
    assert found(tmp_path) == {}


def test_rows_without_a_turn_to_train_on_are_named_in_training_alone(
    write_lines: Write, tmp_path: Path
) -> None:
    for name, count, seed in (("train", 40, 1), ("eval", 30, 2)):
        turns = [{"role": "user", "content": text} for text in messages(count, seed)]
        rows: list[dict[str, Any]] = [{"messages": [turn, REPLY]} for turn in turns]
        rows[4] = {"messages": [turns[4], REPLY | {"weight": 0}]}
        write_lines(f"{name}.jsonl", rows)
    kinds = found(tmp_path)
    (finding,) = kinds.pop(("warning", "wrong_roles"))
    assert kinds == {}
    assert places(finding) == [("train", 5)]
    assert finding.message.startswith("1 of 40 training rows (2.5%) has no turn to train on")


def test_texts_have_no_references_that_could_contradict(write_lines: Write, tmp_path: Path) -> None:
    texts = messages(50, 1)
    write_lines("train.jsonl", [{"text": text} for text in [*texts, texts[0]]])
    write_lines("eval.jsonl", [{"text": text} for text in [*messages(30, 2), texts[1]]])
    kinds = found(tmp_path)
    assert set(kinds) == {("warning", "duplicate_rows"), ("warning", "leakage_exact")}


def test_labels_outside_the_set_are_named_all_at_once(write_lines: Write, tmp_path: Path) -> None:
    rows = pairs(messages(60, 1))
    rows[3]["completion"] = rows[9]["completion"] = "typo"
    write_lines("train.jsonl", rows)
    write_lines("eval.jsonl", pairs(messages(30, 2)))
    labels = f"evaluation.labels={LABELS}"
    kinds = found(tmp_path, "evaluation.metric=label", labels)
    (finding,) = kinds["error", "unknown_label"]
    assert places(finding) == [("train", 4), ("train", 10)]


def test_evidence_is_bounded_and_cannot_reach_a_terminal(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(["\x1b[31mred\x07 and more words"] * 500, "x"))
    write_lines("eval.jsonl", pairs(messages(30, 2)))
    (finding,) = found(tmp_path)["warning", "duplicate_rows"]
    assert finding.count == 499
    assert len(finding.rows) == ROWS_KEPT
    assert all("\x1b" not in row.text and "\x07" not in row.text for row in finding.rows)


@pytest.mark.parametrize(
    ("count", "total", "told"),
    [
        (0, 10, "0%"),
        (10, 10, "100%"),
        (1, 100_000, "below 0.01%"),
        (12, 100_000, "0.012%"),
        (999, 1000, "99.9%"),
        (99_999, 100_000, "99.9%"),
        (1, 3, "33%"),
        (1, 40, "2.5%"),
        (0, 0, "0%"),
    ],
)
def test_a_share_never_rounds_to_none_or_to_all(count: int, total: int, told: str) -> None:
    assert share(count, total) == told


def test_all_unusable_rows_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "train.jsonl"

    def write(rows: Sequence[object]) -> None:
        path.write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))

    rows = pairs(messages(6, 1))
    rows[1]["completion"] = rows[4]["completion"] = ""
    write(rows)
    config = with_settings(Config(), [f"data.train={path}"])
    with pytest.raises(ChecksFailed) as failed:
        load_usable(config, tmp_path, read_text_source)
    (error,) = failed.value.errors
    assert "2 training rows have an empty prompt or reference" in error.message
    assert [each.line for each in error.rows] == [2, 5]
    rows[1]["completion"] = "refund"
    write(rows)
    with pytest.raises(RowRefused, match=r"train\.jsonl:5: 'completion' is empty"):
        load_usable(config, tmp_path, read_text_source)
