"""Data sets that LLaMA-Factory and axolotl register, read by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import regex

from tui_loop.core.data.registries import is_registry, read_registry
from tui_loop.core.errors import BadInput, NeedsExtra

INFO: dict[str, Any] = {
    "plain": {"file_name": "plain.json"},
    "answers": {
        "file_name": "answers.json",
        "columns": {"prompt": "question", "response": "reply", "system": "persona"},
        "num_samples": 40,
    },
    "chats": {
        "file_name": "chats.jsonl",
        "formatting": "sharegpt",
        "columns": {"messages": "talk", "tools": "functions"},
        "tags": {"role_tag": "role", "content_tag": "content", "user_tag": "user"},
    },
    "ranked": {
        "file_name": "ranked.json",
        "ranking": True,
        "columns": {"prompt": "q", "chosen": "good", "rejected": "bad"},
    },
    "ranked chats": {
        "file_name": "ranked.json",
        "ranking": True,
        "formatting": "sharegpt",
        "columns": {"messages": "talk", "chosen": "good", "rejected": "bad"},
    },
    "texts": {"file_name": "texts.jsonl", "columns": {"prompt": "body"}},
    "hub": {"hf_hub_url": "someone/data", "split": "train_sft"},
    "plain.v2": {"file_name": "plain2.json"},
    "nowhere": {"columns": {}},
    "china": {"ms_hub_url": "someone/data"},
    "odd turns": {"file_name": "odd.json", "formatting": "sharegpt", "tags": {"role_tag": "who"}},
    "part": {"hf_hub_url": "someone/data", "subset": "en"},
}


@pytest.fixture
def info(tmp_path: Path) -> str:
    path = tmp_path / "dataset_info.json"
    path.write_text(json.dumps(INFO))
    return str(path)


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("plain", {"path": "plain.json"}),
        (
            "answers",
            {
                "path": "answers.json",
                "columns": {"instruction": "question", "output": "reply", "system": "persona"},
                "max_rows": 40,
            },
        ),
        ("chats", {"path": "chats.jsonl", "columns": {"messages": "talk", "tools": "functions"}}),
        ("ranked", {"path": "ranked.json", "columns": {"instruction": "q", "output": "good"}}),
        (
            "ranked chats",
            {"path": "ranked.json", "columns": {"prompt": "talk", "completion": "good"}},
        ),
        ("texts", {"path": "texts.jsonl", "columns": {"text": "body"}}),
        ("hub", {"path": "someone/data", "split": "train_sft"}),
    ],
)
def test_an_entry_of_llama_factory_is_a_source(
    name: str, source: dict[str, Any], info: str, tmp_path: Path
) -> None:
    (found,) = read_registry(f"{info}#{name}", None).sources.values()
    path = found.pop("path")
    expected = dict(source)
    where = expected.pop("path")
    assert path == (where if "/" in where else str(tmp_path / where))
    assert found == expected


def test_several_entries_are_several_sources(info: str) -> None:
    assert list(read_registry(f"{info}#plain, chats", None).sources) == ["plain", "chats"]
    alike = read_registry(f"{info}#plain,plain.v2", None).sources
    assert list(alike) == ["plain", "plain-2"]


@pytest.mark.parametrize(
    ("names", "problem", "hint"),
    [
        ("", r"lists 12 data sets: plain, answers, .*", r"--data .*dataset_info\.json#plain"),
        ("#nothing", "nothing: no such data set", "check the name"),
        ("#nowhere", "nowhere: has no file_name or hf_hub_url", "give the data set a file_name"),
        ("#china", "china: key ms_hub_url is not supported", "file_name or an hf_hub_url"),
        (
            "#odd turns",
            "tags.role_tag: turns with the key 'who' are not supported",
            "in the data, use the keys role and content",
        ),
        ("#part", "part: key subset is not supported", "set data.subset"),
    ],
)
def test_what_is_not_read_is_one_error_that_names_it(
    names: str, problem: str, hint: str, info: str
) -> None:
    with pytest.raises(BadInput, match=problem) as raised:
        read_registry(info + names, None)
    assert regex.search(hint, raised.value.hint)


AXOLOTL: dict[str, Any] = {
    "base_model": "someone/model",
    "datasets": [
        {"path": "chats.jsonl", "type": "chat_template", "field_messages": "talk"},
        {"path": "json", "data_files": ["texts.jsonl"], "type": "completion"},
        {
            "path": "someone/data",
            "split": "train_sft",
            "type": {"field_instruction": "q", "field_output": "a", "format": "### {instruction}"},
        },
        {"path": "alpaca.jsonl", "type": "alpaca"},
    ],
}


def axolotl(tmp_path: Path, config: Any) -> str:
    path = tmp_path / "config.yml"
    path.write_text(json.dumps(config))
    return str(path)


def test_the_data_sets_of_axolotl_are_sources(tmp_path: Path) -> None:
    (tmp_path / "alpaca.jsonl").write_text("{}")
    found = read_registry(axolotl(tmp_path, AXOLOTL), json.loads)
    assert found.sources == {
        "chats": {"path": "chats.jsonl", "columns": {"messages": "talk"}},
        "texts": {"path": "texts.jsonl", "columns": {"text": "text"}},
        "data": {
            "path": "someone/data",
            "columns": {"instruction": "q", "output": "a"},
            "split": "train_sft",
        },
        "alpaca": {"path": str(tmp_path / "alpaca.jsonl")},
    }
    (note,) = found.notes
    assert "datasets[3]: format is not used; set data.prompt_template instead" in note


def test_one_of_them_is_chosen_by_name(tmp_path: Path) -> None:
    place = axolotl(tmp_path, AXOLOTL)
    assert list(read_registry(f"{place}#texts", json.loads).sources) == ["texts"]
    names = "chats, texts, data, alpaca"
    with pytest.raises(BadInput, match=f"no data set 'more'; the data sets are {names}"):
        read_registry(f"{place}#more", json.loads)


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"base_model": "m"}, "a YAML file must be an axolotl config, but this one has no list"),
        ([{"prompt": "a"}], "this one has no list of datasets"),
        ({"datasets": []}, "the list of datasets is empty"),
        ({"datasets": [{"type": "alpaca"}]}, r"datasets\[1\]: has no path"),
        ({"datasets": [{"path": "x", "type": "input_output"}]}, "template-free rows"),
        (
            {"datasets": [{"path": "x", "split": "train[:5%]"}]},
            r"a part of a split, 'train\[:5%\]', is not supported",
        ),
        (
            {"datasets": [{"path": "x", "name": "en"}]},
            r"name \(a subset of a hub data set\) is not supported",
        ),
        (
            {"datasets": [{"path": "x", "message_property_mappings": {"role": "who"}}]},
            "message_property_mappings.role: turns with the key 'who' are not supported",
        ),
    ],
)
def test_what_axolotl_says_and_is_not_read_is_an_error(
    config: Any, problem: str, tmp_path: Path
) -> None:
    with pytest.raises(BadInput, match=problem):
        read_registry(axolotl(tmp_path, config), json.loads)


def test_damaged_files_and_a_missing_parser_are_errors(tmp_path: Path) -> None:
    path = tmp_path / "dataset_info.json"
    path.write_text('{"a": ')
    with pytest.raises(BadInput, match=r"dataset_info\.json: Expecting value"):
        read_registry(f"{path}#a", None)
    path.write_text("[]")
    with pytest.raises(BadInput, match="must be a JSON object"):
        read_registry(f"{path}#a", None)
    with pytest.raises(BadInput, match="No such file"):
        read_registry(str(tmp_path / "config.yml"), json.loads)
    with pytest.raises(NeedsExtra):
        read_registry(axolotl(tmp_path, AXOLOTL), None)


def test_other_files_are_no_registries() -> None:
    assert [is_registry(each) for each in ("a.json#x", "a/dataset_info.json", "b.yaml#c")] == [
        *(False, True, True)
    ]
