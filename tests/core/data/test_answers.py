"""A conversation is taken apart into its answers, each with the turns before it."""

from __future__ import annotations

import json
from pathlib import Path

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.data.rows import Message, Row
from tui_loop.core.data.split import by_answer

ASK, FIRST = Message("user", "one?"), Message("assistant", "first")
AGAIN, SECOND = Message("user", "two?"), Message("assistant", "second")
TALK = (ASK, FIRST, AGAIN, SECOND)


def row_of(*turns: Message) -> Row:
    return Row("x", "shown", turns[-1].content, 7, turns)


def test_each_answer_is_a_row_with_the_turns_before_it() -> None:
    first, second = by_answer([row_of(*TALK)])
    assert (first.id, first.prompt, first.reference) == ("x:1", "one?", "first")
    assert (first.messages, first.counted_from) == (TALK[:2], 0)
    assert (second.id, second.reference, second.counted_from) == ("x:2", "second", 2)
    assert second.prompt == "user: one?\nassistant: first\nuser: two?"
    assert {first.conversation, second.conversation} == {"x"}
    assert {first.line, second.line} == {7}


def test_an_answer_that_its_row_excludes_is_no_reference() -> None:
    wrong = Message("assistant", "wrong", trains=False)
    [only] = by_answer([row_of(ASK, wrong, AGAIN, SECOND)])
    assert (only.id, only.reference, only.conversation) == ("x", "second", "x")
    assert len(only.messages) == 4


def test_rows_without_turns_stay_as_they_are() -> None:
    plain = Row("y", "prompt", "reference", 1)
    assert by_answer([plain]) == [plain]


def test_the_evaluation_rows_are_taken_apart_and_the_training_rows_are_not(tmp_path: Path) -> None:
    turns = [{"role": turn.role, "content": turn.content} for turn in TALK]
    lines = [json.dumps({"messages": turns, "id": str(number)}) + "\n" for number in range(3)]
    (tmp_path / "rows.jsonl").write_text("".join(lines))
    settings = ["data.train=rows.jsonl", "data.eval=rows.jsonl", "data.holdout=rows.jsonl"]
    last = load_data(with_settings(Config(), settings), tmp_path)
    each = load_data(with_settings(Config(), [*settings, "evaluation.turns=all"]), tmp_path)
    assert [row.id for row in last.eval] == ["0", "1", "2"]
    assert [row.id for row in each.eval] == ["0:1", "0:2", "1:1", "1:2", "2:1", "2:2"]
    assert len(each.holdout) == 6
    assert each.train == last.train
    assert each.splits["eval"] == last.splits["eval"]
