"""What a run saves can be used without this program: plain PEFT and transformers load it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from tests.engine.conftest import TinyLoop
from tests.engine.small_models import small_llama
from tests.model_folders import write_model
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.inference_messages import GenerateRequest, GenerateResponse
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.shipped import shipped
from tui_loop.engine.base_identity import BaseIdentity
from tui_loop.engine.model_pool import ModelPool
from tui_loop.engine.model_source import check_model, find_model
from tui_loop.engine.models import load_model
from tui_loop.engine.weights import checked_weights

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]
IDS = torch.arange(5, 45).unsqueeze(0)


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        result: torch.Tensor = model.eval()(input_ids=IDS).logits
    return result


def evaluated_logits(folder: IterationFolder) -> torch.Tensor:
    """Logits of the model that this program evaluates for an iteration."""
    pool = ModelPool(folder.loop, [folder.number], [])
    pool.load(folder.number)
    pooled = pool._models[folder.number]
    with pooled.weights.active(pooled.adapter) as model:
        return logits(model)


@pytest.mark.parametrize("model_id", ["tiny", "models/mine"])
def test_plain_peft_loads_an_adapter_from_any_folder(
    tiny_loop: MakeLoop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_id: str
) -> None:
    from peft import AutoPeftModelForCausalLM

    small_llama(tmp_path / "models" / "mine")
    loop = tiny_loop(model={"id": model_id}, training={"save_steps": 2})
    loop.run("max_steps=2")
    folder = loop.loop.existing(1)
    base = tmp_path / "models" / "mine"
    base = shipped("sample_data", "tiny-base") if model_id == "tiny" else base
    (checkpoint,) = folder.checkpoints.glob("checkpoint-*")
    for saved in (folder.adapter, checkpoint):
        config = json.loads((saved / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == os.path.abspath(base)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    plain = AutoPeftModelForCausalLM.from_pretrained(str(folder.adapter.resolve()))
    assert torch.equal(logits(plain), evaluated_logits(folder))


def test_an_adapter_on_a_hub_model_names_its_commit() -> None:
    from tui_loop.engine.trainer import _name_base

    settings = SimpleNamespace(base_model_name_or_path="x", revision=None)
    base = SimpleNamespace(name_or_path="org/name")
    model: Any = SimpleNamespace(get_base_model=lambda: base, peft_config={"default": settings})
    _name_base(model, BaseIdentity("org/name", commit="c" * 40))
    assert (settings.base_model_name_or_path, settings.revision) == ("org/name", "c" * 40)


def answers(folder: IterationFolder) -> str:
    pool = ModelPool(folder.loop, [folder.number], [])
    pool.load(folder.number)
    responses: list[GenerateResponse] = []
    request = GenerateRequest(id=1, prompt="where is my parcel")
    rows = [Row("", request.prompt, "", 0)]
    pool.generate(folder.number, rows, request, poll=lambda: None, on_response=responses.append)
    return responses[0].output


def test_a_whole_fine_tuned_model_is_a_model_folder(tiny_loop: MakeLoop, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    base = small_llama(tmp_path / "mine")
    (tmp_path / "own.jinja").write_text(
        "{% for turn in messages %}<|open|>{{ turn.content }}<|close|>{% endfor %}"
    )
    whole = {"lora.enabled": False, "data.chat_template": "own.jinja"}
    settings = [f"{name}={str(value).lower()}" for name, value in whole.items()]
    loop = tiny_loop(model={"id": "mine"}, evaluation={"base": False})
    first = loop.run("max_steps=2", *settings)
    folder = loop.loop.existing(1)
    check_model(str(folder.adapter), None, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(folder.adapter)
    assert tokenizer.chat_template == (tmp_path / "own.jinja").read_text()
    ends = GenerationConfig.from_pretrained(folder.adapter).eos_token_id
    assert tokenizer.convert_ids_to_tokens(ends) == ["<|end|>", "<|close|>"]
    plain = AutoModelForCausalLM.from_pretrained(folder.adapter)
    assert torch.equal(logits(plain), evaluated_logits(folder))

    said = answers(folder)
    base.rename(tmp_path / "elsewhere")  # it needs its base for nothing
    assert answers(folder) == said
    (tmp_path / "own.jinja").unlink()
    second = loop.run_base("model.id=loops/tiny-0/001/adapter", "data.chat_template=auto")
    assert second.state == "finished"
    assert second.metrics["eval_loss"] == pytest.approx(first.metrics["eval_loss"], abs=1e-6)


def test_whole_weights_that_name_a_base_as_an_adapter_are_not_loaded(tmp_path: Path) -> None:
    from tui_loop.core.record.folders import LoopSettings
    from tui_loop.core.record.loops_folder import LoopsFolder

    loop = LoopsFolder(tmp_path / "loops").create("a", LoopSettings())
    folder = loop.iteration(1)
    write_model(folder.adapter)
    (folder.adapter / "adapter_config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"unexpected adapter_config.json"):
        checked_weights(folder, is_adapter=False)


def test_generation_settings_that_transformers_does_not_save_keep_no_model_from_being_saved(
    tmp_path: Path,
) -> None:
    base = small_llama(tmp_path / "base")
    settings = {"do_sample": False, "temperature": 0.6, "eos_token_id": 3}
    (base / "generation_config.json").write_text(json.dumps(settings))
    config = with_settings(Config(), [f"model.id={base}", "run.device=cpu"])
    loaded = load_model(config, find_model(str(base), tmp_path))
    loaded.model.save_pretrained(tmp_path / "saved")
    saved = json.loads((tmp_path / "saved" / "generation_config.json").read_text())
    assert (saved["temperature"], saved["do_sample"], saved["eos_token_id"]) == (0.6, True, 3)
