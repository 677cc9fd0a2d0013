"""Which models are refused before anything is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.model_folders import write_model, write_weights
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.plan import create_iteration, plan_next
from tui_loop.engine.model_source import check_model, find_model

HUB_ID = "org/name"


def refused(model_id: str, root: Path) -> BadInput:
    with pytest.raises(BadInput) as refusal:
        check_model(model_id, None, root)
    return refusal.value


def test_a_complete_folder_and_the_shipped_base_are_accepted(tmp_path: Path) -> None:
    write_model(tmp_path / "mine")
    assert check_model("mine", None, tmp_path) == find_model("mine", tmp_path)
    assert check_model("tiny", None, tmp_path).is_local


def test_every_fault_of_a_folder_is_in_one_error(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (folder / "tokenizer.json").unlink()
    error = refused("mine", tmp_path)
    assert error.message.startswith(f"model.id: {folder} has its weights only as pytorch_model.bin")
    assert error.message.endswith("; has no tokenizer")
    assert "save_pretrained" in error.hint
    assert "tokenizer.json" in error.hint


def test_an_adapter_is_no_model_and_the_hint_has_the_settings_that_use_it(tmp_path: Path) -> None:
    (tmp_path / "lora").mkdir()
    (tmp_path / "lora" / "adapter_config.json").write_text('{"base_model_name_or_path": "tiny"}')
    with pytest.raises(BadInput) as refusal:  # also where only its place is asked for
        find_model("lora", tmp_path)
    assert "lora is an adapter (adapter_config.json), not a model" in refusal.value.message
    assert "--set model.id=tiny --set model.init_adapter=lora" in refusal.value.hint


def test_a_file_with_the_suffix_of_gguf_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "q4.gguf").write_bytes(b"GGUF and more")
    assert check_model("q4.gguf", None, tmp_path).gguf == "q4.gguf"
    (tmp_path / "page.gguf").write_bytes(b"<html>")
    assert f"{tmp_path / 'page.gguf'} is no GGUF file" in refused("page.gguf", tmp_path).message


def test_tuned_weights_without_a_tokenizer_name_the_base_they_were_trained_from(
    tmp_path: Path,
) -> None:
    defaults = {"model": {"id": "org/base"}, "lora": {"enabled": False}}
    loop = LoopsFolder(tmp_path / "loops").create("a", LoopSettings(defaults=defaults))
    plan = plan_next(loop, parent=None, settings=["data.train=rows.jsonl"], why="")
    folder = create_iteration(loop, plan, {})
    write_model(folder.adapter)
    shutil.move(folder.adapter / "tokenizer.json", tmp_path)
    error = refused("loops/a/001/adapter", tmp_path)
    assert error.message == f"model.id: {folder.adapter} has no tokenizer"
    assert "copy tokenizer.json and tokenizer_config.json of org/base into" in error.hint


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cached snapshot of a hub model, complete; the hub cannot be reached."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = tmp_path / "hub" / "models--org--name"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc123")
    return write_model(model / "snapshots" / "abc123")


@pytest.mark.train
def test_of_a_hub_model_the_cached_files_are_checked_without_the_hub(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: "")
    assert not check_model(HUB_ID, None, tmp_path).is_local
    (snapshot / "model.safetensors").unlink()
    error = refused(HUB_ID, tmp_path)
    assert error.message.startswith("model.id: org/name has no weights")
    assert "a part of the model" in error.hint


@pytest.mark.train
def test_of_a_hub_model_the_hubs_list_of_files_is_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["config.json", "pytorch_model.bin", "tokenizer.json"]
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.invalid")  # no connection is tried
    monkeypatch.setattr("huggingface_hub.hf_hub_download", lambda *_, **__: "")
    monkeypatch.setattr("huggingface_hub.HfApi.list_repo_files", lambda *_, **__: names)
    assert "only as pytorch_model.bin" in refused(HUB_ID, tmp_path).message
    names[:] = ["adapter_config.json", "adapter_model.safetensors"]

    def missing(*_: object, **__: object) -> str:
        raise OSError("no config.json")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", missing)
    error = refused(HUB_ID, tmp_path)
    assert "org/name is an adapter" in error.message


def test_damaged_weights_are_refused_by_name(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "mine")
    path = folder / "model.safetensors"
    write_weights(path, (100, 100))
    path.write_bytes(path.read_bytes()[:1000])
    error = refused("mine", tmp_path)
    assert "has a damaged file: model.safetensors is cut off" in error.message
    assert error.hint == "copy the file again"
