"""What the plain files of a model folder say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.model_files import ModelFiles, hub_folder, read_model_files
from tui_loop.core.shipped import shipped


def write(folder: Path, name: str, value: Any) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value))


def test_the_shipped_base_is_known() -> None:
    assert read_model_files(shipped("sample_data", "tiny-base")) == ModelFiles(256, False)


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 2048, "n_positions": 512}, 2048),
        ({"n_positions": 512}, 512),
        ({"max_seq_len": 4096}, 4096),
        ({"text_config": {"max_position_embeddings": 8192}, "max_position_embeddings": 64}, 8192),
        ({"hidden_size": 64}, None),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": "many"}, None),
        ([1, 2], None),
        ("{cut off", None),
    ],
)
def test_the_context_is_read_from_the_config(
    tmp_path: Path, config: Any, context: int | None
) -> None:
    write(tmp_path, "config.json", config)
    assert read_model_files(tmp_path).context == context


@pytest.mark.parametrize(
    ("name", "value", "takes_tools"),
    [
        ("chat_template.jinja", "{{ messages }}", False),
        ("chat_template.jinja", "{% for c in m.tool_calls %}{% endfor %}", True),
        ("tokenizer_config.json", {"chat_template": "{{ m['tool_calls'] }}"}, True),
        ("tokenizer_config.json", {"chat_template": "{{ messages }}"}, False),
        ("tokenizer_config.json", {}, None),
        ("vocab.json", {}, None),
    ],
)
def test_a_template_that_mentions_calls_takes_tools(
    tmp_path: Path, name: str, value: Any, takes_tools: bool | None
) -> None:
    write(tmp_path, name, value)
    assert read_model_files(tmp_path).takes_tools is takes_tools


@pytest.mark.parametrize(
    ("name", "value", "has_one"),
    [
        ("tokenizer_config.json", {"chat_template": "{{ messages }}"}, True),
        ("tokenizer_config.json", {"chat_template": [{"name": "default", "template": "x"}]}, True),
        ("tokenizer_config.json", {"chat_template": None}, False),
        ("tokenizer_config.json", {}, False),
        ("chat_template.jinja", "{{ messages }}", True),
        ("additional_chat_templates/tools.jinja", "{{ tools }}", True),
        ("chat_template.json", {"chat_template": "{{ messages }}"}, None),
        ("vocab.json", {}, None),
    ],
)
def test_a_chat_template_is_where_the_tokenizer_reads_it(
    tmp_path: Path, name: str, value: Any, has_one: bool | None
) -> None:
    write(tmp_path, name, value)
    assert read_model_files(tmp_path).has_chat_template is has_one


def test_nothing_is_known_of_a_folder_that_is_not_there(tmp_path: Path) -> None:
    assert read_model_files(tmp_path / "missing") == ModelFiles()


def test_a_hub_model_is_found_in_the_cache_by_branch_and_by_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    model = tmp_path / "hub" / "models--org--name"
    write(model, "refs/main", "abc123\n")
    write(model, "snapshots/abc123/config.json", {"n_positions": 128})
    for revision in (None, "main", "abc123"):
        folder = hub_folder("org/name", revision)
        assert folder is not None
        assert read_model_files(folder) == ModelFiles(128, None)
    assert hub_folder("org/name", "v2") is None
    assert hub_folder("org/other", None) is None
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "elsewhere"))
    assert hub_folder("org/name", None) is None
