"""Training and evaluation rows of several sources."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.rows import RowRefused
from tui_loop.core.data.source_rows import read_text_source
from tui_loop.core.data.source_shares import expected_rows, shares_of
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.row_checks import load_usable, refused_rows, skipped_rows

SHOP = [{"prompt": f"shop question {n}", "completion": "refund"} for n in range(30)]
BANK = [{"message": f"bank question {n}", "intent": ["card", "loan"][n % 2]} for n in range(20)]
CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"hello {n}"},
            {"role": "assistant", "content": "good day"},
        ]
    }
    for n in range(10)
]
TWO = ("data.train.shop=shop.jsonl", "data.train.bank=bank.jsonl")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "shop", SHOP)
    write(tmp_path, "bank", BANK)
    write(tmp_path, "chats", CHATS)
    return tmp_path


def write(folder: Path, name: str, rows: list[dict[str, Any]]) -> None:
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def with_column(name: str) -> list[dict[str, Any]]:
    return [{**row, name: ["web", "mail"][n % 3 == 0]} for n, row in enumerate(BANK)]


def config_of(*settings: str) -> Config:
    return with_settings(Config(), ["evaluation.metric=label", *settings])


def load(folder: Path, *settings: str, **more: Any) -> LoadedData:
    return load_data(config_of(*settings), folder, **more)


def test_each_source_is_read_by_its_own_columns(folder: Path) -> None:
    data = load(folder, *TWO)
    rows = [*data.train, *data.eval]
    assert sum(row.source == "shop" for row in rows) == 30
    assert {row.reference for row in rows if row.source == "bank"} == {"card", "loan"}
    assert data.mappings["bank"].columns == {"prompt": "message", "completion": "intent"}
    assert data.mapping.shape == "prompt_completion"


def test_rows_keep_their_source_and_its_line(folder: Path) -> None:
    data = load(folder, *TWO)
    for row in (*data.train, *data.eval):
        own = SHOP if row.source == "shop" else BANK
        assert row.prompt in own[row.line - 1].values()
        assert row.place == f"line {row.line} of {row.source}"


def test_the_source_is_a_column_of_evaluation_rows_before_all_others(folder: Path) -> None:
    write(folder, "bank", with_column("channel"))
    data = load(folder, *TWO, "data.eval_fraction=0.5")
    of_bank = [row for row in data.eval if row.source == "bank"]
    assert {row.columns[0] for row in of_bank} == {("source", "bank")}
    assert {name for row in of_bank for name, _ in row.columns} == {"source", "channel"}
    assert {row.columns for row in data.eval if row.source == "shop"} == {(("source", "shop"),)}


def test_a_column_of_the_same_name_gives_way(folder: Path) -> None:
    write(folder, "bank", with_column("source"))
    data = load(folder, *TWO, "data.eval_fraction=0.5")
    assert {dict(row.columns)["source"] for row in data.eval} == {"shop", "bank"}


def test_what_the_record_says_of_each_source(folder: Path) -> None:
    data = load(folder, *TWO)
    split = data.splits["train"]
    assert split.path == "shop.jsonl + bank.jsonl"
    assert {name: each.path for name, each in split.sources.items()} == {
        "shop": "shop.jsonl",
        "bank": "bank.jsonl",
    }
    assert sum(each.rows for each in split.sources.values()) == len(data.train) == split.rows
    before = split.sha256
    write(folder, "bank", BANK[1:])
    assert load(folder, *TWO).splits["train"].sha256 != before


def test_ids_of_columns_begin_with_their_source(folder: Path) -> None:
    write(folder, "shop", [{"id": n, **row} for n, row in enumerate(SHOP)])
    write(folder, "bank", [{"id": n, **row} for n, row in enumerate(BANK)])
    data = load(folder, *TWO)
    ids = [row.id for row in (*data.train, *data.eval)]
    assert len(set(ids)) == 50
    assert {"shop.7", "bank.7"} <= set(ids)


def test_repeats_over_all_sources_have_ids_of_their_own(folder: Path) -> None:
    write(folder, "bank", [{**row, "message": SHOP[n]["prompt"]} for n, row in enumerate(BANK[:4])])
    data = load(folder, *TWO)
    rows = [*data.train, *data.eval]
    assert len({row.id for row in rows}) == 34
    assert sum(row.id.endswith("-2") for row in rows) == 4


def test_a_source_is_capped_by_a_seeded_sample_in_file_order(folder: Path) -> None:
    capped = load(folder, *TWO, "data.train.shop.max_rows=5", "data.eval=bank.jsonl")
    lines = [row.line for row in capped.train if row.source == "shop"]
    assert len(lines) == 5
    assert lines == sorted(lines)
    other = load(folder, *TWO, "data.train.shop.max_rows=5", "data.eval=bank.jsonl", "split_seed=1")
    assert lines != [row.line for row in other.train if row.source == "shop"]
    assert sum(row.source == "bank" for row in capped.train) == 20


def test_a_cap_of_a_source_does_not_move_the_evaluation_rows(folder: Path) -> None:
    whole, capped = load(folder, *TWO), load(folder, *TWO, "data.train.shop.max_rows=5")
    assert list(capped.eval) == list(whole.eval)
    assert sum(row.source == "shop" for row in capped.train) == 5
    assert {row.id for row in capped.train} < {row.id for row in whole.train}


def test_a_source_with_a_weight_and_no_rows_is_refused(folder: Path) -> None:
    write(folder, "bank", BANK[:1])
    weights = ("data.train.shop.weight=1", "data.train.bank.weight=1", "data.eval=shop.jsonl")
    columns = (
        "data.train.bank.columns.prompt=message",
        "data.train.bank.columns.completion=intent",
    )
    with pytest.raises(BadInput, match=r"data\.train\.bank: no rows of this source are left"):
        load(folder, *TWO, *weights, *columns, "data.max_train_rows=2")


def test_columns_of_the_config_apply_to_the_sources_that_have_them(folder: Path) -> None:
    data = load(folder, *TWO, "data.columns.prompt=message", "data.columns.completion=intent")
    assert data.mappings["shop"].columns["prompt"] == "prompt"
    assert any("shop.jsonl: has no column 'message'" in notice for notice in data.notices)
    with pytest.raises(BadInput, match=r"data\.columns: no source has all of these columns"):
        load(folder, *TWO, "data.columns.prompt=mesage")


def test_the_split_that_is_trained_on_is_not_evaluated(folder: Path) -> None:
    splits = {"test": SHOP[:10], "train": SHOP[10:]}
    (folder / "both.json").write_text(json.dumps(splits))
    sources = ("data.train.a=both.json", "data.train.a.split=test", TWO[1])
    data = load(folder, *sources)
    assert not {row.prompt for row in data.train} & {row.prompt for row in data.eval}


def test_evaluation_data_may_have_sources_too(folder: Path) -> None:
    evaluated = ("data.eval.shop=shop.jsonl", "data.eval.bank=bank.jsonl")
    data = load(folder, *TWO, *evaluated, "data.eval.bank.max_rows=4")
    assert len(data.eval) == 34
    assert sum(dict(row.columns)["source"] == "bank" for row in data.eval) == 4
    assert len(data.train) == 50, "a cap of evaluation rows caps no training rows"


def test_an_evaluation_file_of_one_source_has_no_source_column(folder: Path) -> None:
    data = load(folder, *TWO, "data.eval=shop.jsonl")
    assert {row.source for row in data.eval} == {""}
    assert data.grouping == []


def test_conversations_go_together_with_prompts_and_answers(folder: Path) -> None:
    data = load(folder, TWO[0], "data.train.chats=chats.jsonl", "evaluation.metric=exact")
    assert data.mapping.shape == "messages"
    assert {bool(row.messages) for row in data.train} == {True, False}


def test_texts_do_not_go_together_with_prompts(folder: Path) -> None:
    write(folder, "texts", [{"text": f"once upon a time {n}"} for n in range(9)])
    with pytest.raises(
        BadInput, match=r"plain text \(from texts\) and on prompts with answers \(from shop\)"
    ):
        load(folder, TWO[0], "data.train.texts=texts.jsonl", "evaluation.metric=none")


def test_columns_of_one_source_are_named_in_its_table(folder: Path) -> None:
    write(folder, "bank", [{"a": row["message"], "b": "long text " * 9, "c": "x"} for row in BANK])
    columns = ("data.train.bank.columns.prompt=a", "data.train.bank.columns.completion=c")
    data = load(folder, *TWO, *columns, "evaluation.metric=exact")
    assert {row.reference for row in data.train if row.source == "bank"} == {"x"}


def test_the_hint_on_unclear_columns_names_the_table_of_the_source(folder: Path) -> None:
    write(folder, "bank", [{"a": f"text {n}", "b": f"other {n}"} for n in range(9)])
    with pytest.raises(BadInput) as raised:
        load(folder, *TWO)
    assert "--set data.train.bank.columns.prompt=" in (raised.value.hint or "")
    assert "data.columns" not in str(raised.value)


def test_an_unusable_row_is_named_with_the_file_of_its_source(folder: Path) -> None:
    write(folder, "bank", [*BANK[:3], {"message": "x", "intent": ""}])
    with pytest.raises(RowRefused, match=r"bank\.jsonl:4: 'intent' is empty"):
        load(folder, *TWO)


def test_unusable_rows_are_counted_by_source(folder: Path) -> None:
    write(folder, "bank", [*BANK[:3], {"message": "x", "intent": ""}])
    write(folder, "shop", [*SHOP, {"prompt": "", "completion": "refund"}])
    refused: dict[str, list[RowRefused]] = {}
    load(folder, *TWO, refused=refused)
    messages = [each.message for each in refused_rows(refused)]
    assert len(messages) == 2
    assert "1 training row of shop has an empty prompt" in messages[0]
    assert "1 training row of bank has" in messages[1]
    places = [row.place for each in refused_rows(refused) for row in each.rows]
    assert places == ["train shop:31", "train bank:4"]
    skipping = load_usable(config_of(*TWO, "data.on_bad_row=skip"), folder, read_text_source)
    assert len(skipped_rows(skipping)) == 2
    assert skipping.splits["train"].left_out == {"empty_rows": 2}


def test_a_label_beyond_the_set_is_named_with_its_source(folder: Path) -> None:
    with pytest.raises(RowRefused, match=r"bank\.jsonl:\d+: label '(card|loan)' is not in"):
        load(folder, *TWO, 'evaluation.labels=["refund"]')


def test_an_epoch_has_the_rows_that_the_weights_leave(folder: Path) -> None:
    weights = ("data.train.shop.weight=3", "data.train.bank.weight=1", "data.eval=bank.jsonl")
    data = load(folder, *TWO, *weights)
    assert len(data.train) == 50
    assert data.epoch_rows == 40, "30 rows are 75% of it"
    repeated = load(folder, *TWO, *weights, "stopping_strategy=all_exhausted")
    assert repeated.epoch_rows == 80, "20 rows are 25% of it"
    assert load(folder, *TWO).epoch_rows == 45


def test_shares_add_up_to_one() -> None:
    train = config_of(*TWO, "data.train.shop.weight=3", "data.train.bank.weight=1").data.train
    assert shares_of(train) == {"shop": 0.75, "bank": 0.25}
    assert shares_of(config_of(*TWO).data.train) == {}
    assert expected_rows({"shop": 0, "bank": 9}, shares_of(train), "first_exhausted") == 0
