"""Several sources of data in a config: their settings, their problems, and what changed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_loop.core.config.data_sources import DataSource, entry_text, source_name, sources_of
from tui_loop.core.config.fields import as_setting, from_setting
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import settings_tables, with_settings
from tui_loop.core.config.tables import changed_fields, flatten, to_tables
from tui_loop.core.config.validation import ConfigError, read_config
from tui_loop.core.record.codec import from_toml, to_toml

CHATS, ORDERS = "data.train.chats=chats.jsonl", "data.train.orders=orders.csv"


def test_a_single_path_is_a_source_without_a_name() -> None:
    assert sources_of("chats.jsonl") == {"": DataSource(path="chats.jsonl")}


def test_sources_come_from_settings_and_survive_toml() -> None:
    config = with_settings(
        Config(),
        [
            *(CHATS, ORDERS, "data.train.chats.weight=2", "data.train.orders.weight=1"),
            *("data.train.orders.columns.prompt=question", "data.train.orders.max_rows=50"),
        ],
    )
    orders = DataSource(path="orders.csv", weight=1, max_rows=50, columns={"prompt": "question"})
    assert config.data.train == {
        "chats": DataSource(path="chats.jsonl", weight=2),
        "orders": orders,
    }
    assert entry_text(config.data.train) == "chats.jsonl + orders.csv"
    tables = {"data": {"train": to_tables(config)["data"]["train"]}}
    assert read_config(from_toml(to_toml(tables), "")).data.train == config.data.train


def test_a_source_joins_the_only_one_under_the_name_of_its_file() -> None:
    config = with_settings(Config(), ["data.train=data/chats.jsonl"])
    joined = with_settings(config, [ORDERS])
    assert joined.data.train == {
        "chats": DataSource(path="data/chats.jsonl"),
        "orders": DataSource(path="orders.csv"),
    }


def test_settings_are_applied_to_sources_that_are_given_otherwise() -> None:
    onto = {"data": {"train": {"chats": {"path": "chats.jsonl"}}}}
    tables = settings_tables(["data.train.chats.weight=2"], onto)
    assert tables["data"]["train"] == {"chats": {"path": "chats.jsonl", "weight": 2}}
    assert onto["data"]["train"]["chats"] == {"path": "chats.jsonl"}, "it is not changed"


def test_a_weight_is_unset() -> None:
    weighted = with_settings(Config(), [CHATS, "data.train.chats.weight=2"])
    without = with_settings(weighted, ["data.train.chats.weight=unset"])
    assert without.data.train == {"chats": DataSource(path="chats.jsonl")}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (["data.train.chats.weight=2"], "data.train.chats: needs a path"),
        ([CHATS, "data.train.chats.wieght=2"], "no such field, did you mean weight"),
        ([CHATS, "data.train.chats.weight=0"], "data.train.chats.weight: must be a number above 0"),
        ([CHATS, "data.train.chats.max_rows=0"], "chats.max_rows: must be a whole number"),
        ([CHATS, "data.train.chats.columns.promt=q"], "chats.columns.promt: no such role"),
        ([CHATS, ORDERS, "data.train.chats.weight=2"], "give a weight to all sources, or to none"),
        (["data.train.my chats=chats.jsonl"], "data.train.my chats: a source name has"),
        (["data.train={}"], "data.train: must name at least one source"),
        (["data.train={chats = 1}"], "data.train.chats: must be a path or a table"),
        (
            ["data.eval.chats=chats.jsonl", "data.eval.chats.weight=2"],
            "data.eval: evaluation sources cannot have weights",
        ),
    ],
)
def test_a_wrong_source_is_one_problem_that_names_its_field(
    settings: list[str], problem: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        with_settings(Config(), settings)
    assert problem in raised.value.message
    assert len(raised.value.problems) == 1


def test_sources_differ_by_their_fields() -> None:
    old = with_settings(Config(), [CHATS, ORDERS, "data.train.orders.max_rows=50"])
    new = with_settings(old, ["data.train.orders.max_rows=80", "data.train.web=web.jsonl"])
    assert changed_fields(old, new) == {
        "data.train.orders.max_rows": (50, 80),
        "data.train.web.path": (None, "web.jsonl"),
    }


def test_one_source_against_several_is_a_change_of_the_whole_field() -> None:
    old = with_settings(Config(), ["data.train=chats.jsonl"])
    new = with_settings(Config(), [CHATS, ORDERS])
    (change,) = changed_fields(old, new).items()
    assert change[0] == "data.train"
    assert change[1][0] == "chats.jsonl"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("data/chats.jsonl.gz", "chats"),
        ("org/My data (2).csv", "My-data-2"),
        ("...", "data"),
        ("x" * 60, "x" * 40),
    ],
)
def test_a_source_is_named_after_its_file(path: str, name: str) -> None:
    assert source_name(path) == name


NAMES = st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True)
SOURCES = st.builds(
    lambda path, split, rows: DataSource(path=path, split=split, max_rows=rows),
    st.text(min_size=1).filter(lambda text: text.lower() not in ("none", "unset", "null")),
    st.none() | st.just("train"),
    st.none() | st.integers(1, 10**6),
)


@given(st.dictionaries(NAMES, SOURCES, min_size=1, max_size=4))
def test_sources_survive_the_line_that_a_form_shows(sources: dict[str, DataSource]) -> None:
    config = read_config(
        {"data": {"train": {name: _plain(each) for name, each in sources.items()}}}
    )
    value = flatten(config)["data.train"]
    again = from_setting("data.train", as_setting(value))
    assert read_config({"data": {"train": again}}).data.train == sources


def _plain(source: DataSource) -> dict[str, object]:
    fields = {"path": source.path, "split": source.split, "max_rows": source.max_rows}
    return {name: value for name, value in fields.items() if value is not None}
