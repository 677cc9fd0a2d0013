"""What a model's folder lacks, seen from its files alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.model_folders import write_model, write_weights
from tui_loop.core.model_folder import ModelFault, folder_faults, listing_faults
from tui_loop.core.safetensors_header import DamagedFile, TensorShape, read_header
from tui_loop.core.shipped import shipped


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder that has all that a model needs."""
    return write_model(tmp_path / "model")


def only_fault(folder: Path, base: str = "") -> ModelFault:
    (fault,) = folder_faults(folder, base=base)
    return fault


def test_a_complete_model_has_no_fault(model: Path) -> None:
    assert folder_faults(model) == []
    assert folder_faults(shipped("sample_data", "tiny-base")) == []


def test_weights_that_are_pickles_alone_are_named_with_how_to_convert_them(model: Path) -> None:
    (model / "model.safetensors").unlink()
    for name in ("pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"):
        (model / name).write_bytes(b"")
    fault = only_fault(model)
    assert "only as pytorch_model-00001-of-00002.bin, pytorch_model-00002" in fault.message
    assert "save_pretrained" in fault.hint


@pytest.mark.parametrize(
    ("file", "message", "hint"),
    [
        ("", "has no weights", "copy the weights"),
        ("q4.gguf", "only as q4.gguf", "/q4.gguf"),
        ("tf_model.h5", "another framework (tf_model.h5)", "PyTorch"),
        ("model-00001-of-00002.safetensors", "no model.safetensors.index.json", "missing file"),
    ],
)
def test_weights_that_transformers_would_not_find_are_one_fault(
    model: Path, file: str, message: str, hint: str
) -> None:
    (model / "model.safetensors").unlink()
    if file:
        (model / file).write_bytes(b"")
    fault = only_fault(model)
    assert message in fault.message
    assert hint in fault.hint


def test_shards_that_the_index_names_and_that_are_missing_are_counted(model: Path) -> None:
    (model / "model.safetensors").unlink()
    shards = [f"model-{number:05}-of-00005.safetensors" for number in range(1, 6)]
    table = {f"w{number}": name for number, name in enumerate(shards)}
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": table}))
    write_weights(model / shards[0])
    fault = only_fault(model)
    assert "lacks 4 of the 5 files" in fault.message
    assert fault.message.endswith("and 1 more")
    for name in shards:
        write_weights(model / name)
    assert folder_faults(model) == []


def test_an_index_that_names_no_weights_is_a_fault(model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text("{}")
    assert "names no weights" in only_fault(model).message


Damage = Callable[[bytes], bytes]
DAMAGES: dict[str, tuple[Damage, str]] = {
    "empty": (lambda _: b"", "is cut off: it has 0 bytes"),
    "a page": (lambda _: b"<!DOCTYPE html><html>", "is no safetensors file"),
    "within its header": (lambda data: data[:40], "ends within its header"),
    "within its data": (lambda data: data[:-5], "is cut off: it has"),
    "a pointer": (lambda _: b"version https://git-lfs.github.com/spec/v1\noid", "Git LFS"),
    "no JSON": (lambda data: data[:8] + b"!" * (len(data) - 8), "is no safetensors file"),
    "other JSON": (lambda _: (2).to_bytes(8, "little") + b"[]", "is no safetensors file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_weights_file_is_named_with_what_is_wrong(model: Path, damage: str) -> None:
    change, reason = DAMAGES[damage]
    path = model / "model.safetensors"
    path.write_bytes(change(path.read_bytes()))
    fault = only_fault(model)
    assert fault.message.startswith("has a damaged file: model.safetensors ")
    assert reason in fault.message
    with pytest.raises(DamagedFile):
        read_header(path)


def test_a_header_gives_names_types_and_shapes(model: Path) -> None:
    assert read_header(model / "model.safetensors") == {"w": TensorShape("F32", (2, 3))}


def test_a_model_without_tokenizer_names_the_base_that_has_it(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    (model / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizerFast"}')
    fault = only_fault(model, base="org/base")
    assert fault.message == "has no tokenizer"
    assert "of org/base" in fault.hint


@pytest.mark.parametrize(
    "settings", ['{"tokenizer_class": "ByT5Tokenizer"}', '{"auto_map": {"x": 1}}']
)
def test_a_tokenizer_that_needs_no_vocabulary_is_one(model: Path, settings: str) -> None:
    (model / "tokenizer.json").unlink()
    (model / "tokenizer_config.json").write_text(settings)
    assert folder_faults(model) == []


def test_several_faults_are_found_at_once(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    (model / "model.safetensors").unlink()
    assert [each.message for each in folder_faults(model)] == [
        "has no weights: there is no model.safetensors",
        "has no tokenizer",
    ]


def test_an_adapter_is_named_with_its_base(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "org/base"}')
    (tmp_path / "config.json").write_text("{}")  # transformers takes it for an adapter, too
    fault = only_fault(tmp_path)
    assert "is an adapter" in fault.message
    assert f"--set model.id=org/base --set model.init_adapter={tmp_path}" in fault.hint


@pytest.mark.parametrize(
    ("names", "messages"),
    [
        (["config.json", "model.safetensors", "tokenizer.json"], []),
        (["config.json", "model.safetensors.index.json", "tokenizer_config.json"], []),
        (["config.json", "pytorch_model.bin", "spiece.model"], ["only as pytorch_model.bin"]),
        (["adapter_config.json", "adapter_model.safetensors"], ["is an adapter"]),
        (["README.md", "q4.gguf"], ["has no config.json"]),
        (["config.json", "q4.gguf", "tokenizer.json"], ["only as q4.gguf"]),
        (["config.json"], ["has no weights", "has no tokenizer"]),
    ],
)
def test_a_list_of_names_shows_the_same_faults(names: list[str], messages: list[str]) -> None:
    faults = listing_faults(names, "org/name")
    assert len(faults) == len(messages)
    assert all(part in fault.message for part, fault in zip(messages, faults, strict=True))
