"""Preference data: the chosen answer is read, a rejected one never, and no hint names it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.preference import mark_of, pair_of
from tui_loop.core.data.rows import Mapping, RawRow, Row
from tui_loop.core.errors import BadInput

Write = Callable[[str, Sequence[object]], Path]


def turns(*texts: str) -> list[dict[str, str]]:
    """A conversation that begins with the user."""
    roles = itertools.cycle(("user", "assistant"))
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


REPLY = [{"role": "assistant", "content": "yes"}]
NO_REPLY = [{"role": "assistant", "content": "no"}]


def mapping_of(*values: dict[str, Any], metric: str = "exact_match", **given: Any) -> Mapping:
    rows = [RawRow(line, value) for line, value in enumerate(values, 1)]
    return find_mapping(rows, "d.jsonl", metric=metric, **given)


def read(*values: dict[str, Any]) -> list[Row]:
    rows = [RawRow(line, value) for line, value in enumerate(values, 1)]
    return map_rows(rows, find_mapping(rows, "d.jsonl", metric="exact_match"), "d.jsonl")


@pytest.mark.parametrize("metric", ["exact_match", "label"])
@pytest.mark.parametrize(
    ("row", "columns"),
    [
        (
            {"prompt": "q", "chosen": "yes", "rejected": "no"},
            {"prompt": "prompt", "completion": "chosen"},
        ),
        (
            {"rejected": "no", "chosen": "yes", "prompt": "q", "text": "t"},
            {"prompt": "prompt", "completion": "chosen"},
        ),
        (
            {"prompt": turns("q"), "chosen": REPLY, "rejected": NO_REPLY},
            {"prompt": "prompt", "completion": "chosen"},
        ),
        (
            {"chosen": turns("q", "yes"), "rejected": turns("q", "no")},
            {"messages": "chosen"},
        ),
        (
            {"prompt": "q", "chosen": turns("q", "yes"), "rejected": turns("q", "no")},
            {"messages": "chosen"},
        ),
        (
            {"conversations": turns("q"), "chosen": REPLY[0], "rejected": NO_REPLY[0]},
            {"prompt": "conversations", "completion": "chosen"},
        ),
        (
            {"prompt": "q", "Chosen": "yes", "Rejected": "no"},
            {"prompt": "prompt", "completion": "Chosen"},
        ),
        (
            {"prompt": "q", "rejected_response": "no", "chosen_response": "yes"},
            {"prompt": "prompt", "completion": "chosen_response"},
        ),
    ],
)
def test_the_chosen_answers_are_what_is_read(
    row: dict[str, Any], columns: dict[str, str], metric: str
) -> None:
    assert mapping_of(row, row, metric=metric).columns == columns


@pytest.mark.parametrize(
    "row",
    [
        {"prompt": "q", "chosen": "yes", "rejected": "no"},
        {"prompt": turns("q"), "chosen": REPLY, "rejected": NO_REPLY},
        {"chosen": turns("q", "yes"), "rejected": turns("q", "no")},
        {"conversations": turns("q"), "chosen": REPLY[0], "rejected": NO_REPLY[0]},
    ],
)
def test_every_form_becomes_the_same_question_and_answer(row: dict[str, Any]) -> None:
    [only] = read(row)
    assert (only.prompt, only.reference) == ("q", "yes")


@pytest.mark.parametrize(
    ("row", "hint"),
    [
        (
            {"question": "q", "chosen": "yes", "rejected": "no"},
            "--set data.columns.prompt=question --set data.columns.completion=chosen",
        ),
        (
            {"id": "7", "chosen": "Human: q Bot: yes", "rejected": "Human: q Bot: no"},
            "--set data.columns.text=chosen",
        ),
        (
            {"ask": "q", "chosen": "yes", "rejected": "no"},
            "--set data.columns.prompt=PROMPT_COLUMN --set data.columns.completion=chosen",
        ),
        (
            {"question": "q", "query": "r", "chosen": "yes", "rejected": "no"},
            "--set data.columns.prompt=PROMPT_COLUMN --set data.columns.completion=chosen",
        ),
    ],
)
@pytest.mark.parametrize("metric", ["exact_match", "label"])
def test_without_a_prompt_that_is_clear_the_error_says_what_it_is_and_what_is_lost(
    row: dict[str, Any], hint: str, metric: str
) -> None:
    with pytest.raises(BadInput, match="preference data, but training uses one answer") as caught:
        mapping_of(row, row, metric=metric)
    assert "training uses one answer per row: 'chosen', not 'rejected'" in caught.value.message
    assert caught.value.hint == hint


@pytest.mark.parametrize("chosen", [REPLY, {"content": "yes"}, 7])
def test_a_chosen_answer_in_another_form_than_its_prompt_is_refused(chosen: Any) -> None:
    row = {"prompt": "q", "chosen": chosen, "rejected": chosen}
    with pytest.raises(BadInput, match="preference data"):
        mapping_of(row, row)


@pytest.mark.parametrize(
    "given",
    [
        {"shape": "prompt_completion"},
        {"shape": "prompt_completion", "columns": {"prompt": "a"}},
        {"shape": "instruction"},
        {"shape": "messages"},
        {"shape": "text"},
        {"columns": {"prompt": "a"}},
        {"columns": {"completion": "rejectd"}},
        {"columns": {"messages": "none"}},
        {},
    ],
)
@pytest.mark.parametrize("metric", ["exact_match", "label"])
@pytest.mark.parametrize("column", ["rejected", "rejected_response", "dispreferred"])
@pytest.mark.parametrize("also", [{}, {"chosen": "yes"}, {"b": "x"}])
def test_no_hint_ever_names_a_rejected_answer(
    given: dict[str, Any], metric: str, column: str, also: dict[str, str]
) -> None:
    rows = [{"a": f"text {n}", **also, column: "no" if n % 2 else "never"} for n in range(8)]
    hint, columns = "", {}
    try:
        columns = mapping_of(*rows, metric=metric, **given).columns
    except BadInput as error:
        hint = error.hint
    assert f"={column}" not in hint
    assert column not in columns.values()


def test_a_rejected_answer_that_a_person_names_is_used() -> None:
    columns = {"prompt": "prompt", "completion": "rejected"}
    row = {"prompt": "q", "chosen": "yes", "rejected": "no"}
    assert mapping_of(row, columns=columns).columns == columns


def test_the_pair_is_found_whatever_the_order_and_case() -> None:
    assert pair_of(["Rejected", "x", "CHOSEN"]) == ("CHOSEN", "Rejected")
    assert pair_of(["chosen", "prompt"]) is None


PAIRED = Mapping("prompt_completion", {"prompt": "prompt", "completion": "completion"})


@pytest.mark.parametrize(
    ("values", "mapping", "mark"),
    [
        ([True, False, None], PAIRED, "label"),
        (["True", "false", ""], PAIRED, "label"),
        ([True, True], PAIRED, "label"),
        ([True, "good"], PAIRED, None),
        ([0, 1], PAIRED, None),
        ([None, None], PAIRED, None),
        ([True, False], Mapping("messages", {"messages": "messages"}), "label"),
        ([True, False], Mapping("text", {"text": "text"}), None),
        ([True, False], Mapping("prompt_completion", {"prompt": "a", "completion": "label"}), None),
    ],
)
def test_true_and_false_beside_an_answer_mark_it_as_good_or_bad(
    values: list[Any], mapping: Mapping, mark: str | None
) -> None:
    raws = [RawRow(line, {"label": value}) for line, value in enumerate(values, 1)]
    assert mark_of(raws, ["label"], mapping) == mark


def marked(count: int, name: str, start: int = 0, good: Any = True, bad: Any = False) -> list[Any]:
    """Every third row is marked as bad."""
    return [
        {"prompt": f"{name} {n}", "completion": f"a{n}", "label": bad if n % 3 == 0 else good}
        for n in range(start, start + count)
    ]


def load(folder: Path, *settings: str) -> LoadedData:
    return load_data(with_settings(Config(), ["data.train=train.jsonl", *settings]), folder)


def test_bad_answers_are_left_out_of_every_split_and_counted(
    write_lines: Write, tmp_path: Path
) -> None:
    for name, count in (("train", 30), ("eval", 12), ("holdout", 9)):
        write_lines(f"{name}.jsonl", marked(count, name))
    data = load(tmp_path, "data.eval=eval.jsonl", "data.holdout=holdout.jsonl")
    assert (len(data.train), len(data.eval), len(data.holdout)) == (20, 8, 6)
    assert {name: (use.mark, use.left_out) for name, use in data.use.items()} == {
        "train": ("label", 10),
        "eval": ("label", 4),
        "holdout": ("label", 3),
    }
    assert [split.rows for split in data.splits.values()] == [20, 8, 6]
    assert not [row for row in [*data.train, *data.eval] if int(row.reference[1:]) % 3 == 0]


def test_a_part_is_held_out_of_the_good_answers_alone(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", marked(30, "q"))
    data = load(tmp_path, "eval_fraction=0.25")
    assert (len(data.train), len(data.eval)) == (15, 5)
    assert data.notices == [
        "no eval data given: 5 of 20 rows of train.jsonl are held out for evaluation (seed 0)"
    ]


def test_csv_has_true_and_false_as_words(tmp_path: Path) -> None:
    lines = [f"q{n},a{n},{'False' if n % 2 else 'True'}\n" for n in range(10)]
    (tmp_path / "train.csv").write_text("prompt,completion,label\n" + "".join(lines))
    data = load(tmp_path, "data.train=train.csv")
    assert sorted(row.reference for row in [*data.train, *data.eval]) == [
        f"a{n}" for n in range(0, 10, 2)
    ]


def test_a_file_of_bad_answers_alone_is_refused(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", marked(6, "q", good=False))
    with pytest.raises(BadInput, match=r"train\.jsonl: column 'label' is false in every row"):
        load(tmp_path)


def test_a_label_of_true_and_false_is_the_answer_where_texts_are_classified(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", [{"text": f"t{n}", "label": n % 2 == 0} for n in range(20)])
    data = load(tmp_path, "metric=label")
    assert data.labels == ["false", "true"]
    assert len(data.train) + len(data.eval) == 20
