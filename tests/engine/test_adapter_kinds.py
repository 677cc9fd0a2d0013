"""Adapters of every kind fit the untouched base, and resumed runs make the same ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.engine.conftest import TEMPLATE, TinyLoop
from tests.engine.small_models import save_small_model
from tui_loop.core.inference_messages import GenerateRequest, GenerateResponse
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.shipped import shipped
from tui_loop.engine.model_pool import ModelPool

pytestmark = [pytest.mark.train, pytest.mark.slow]

TINY = str(shipped("sample_data", "tiny-base"))
KINDS: dict[str, list[str]] = {
    "pissa": ["init_lora_weights=pissa", 'rank_pattern={"h.0.attn.c_attn" = 2}'],
    "pissa by steps": ["init_lora_weights=pissa_niter_2", "use_rslora=true"],
    "gaussian": ["init_lora_weights=gaussian"],
    "orthogonal": ["init_lora_weights=orthogonal"],
    "mica": ["init_lora_weights=mica"],
    "random": ["init_lora_weights=false"],
    "a norm": ['modules_to_save=["ln_f"]', "layers_to_transform=1"],
    "the embeddings": ['modules_to_save=["wte"]', "ensure_weight_tying=true"],
    "the output layer": ['modules_to_save=["lm_head"]'],
    "dora": ["use_dora=true", "alpha_pattern={c_attn = 4.0}"],
}


def plain_losses(model: Any, base: str | Path, prompt: str, reference: str) -> list[float]:
    """The loss of each token of an answer, by transformers alone."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    text = TEMPLATE.replace("{prompt}", prompt)
    start = len(tokenizer(text)["input_ids"])
    ids = tokenizer(f"{text} {reference}{tokenizer.eos_token}")["input_ids"]
    with torch.no_grad():
        chances = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
    return [-float(chances[at - 1, ids[at]]) for at in range(start, len(ids))]


def check_losses(folder: IterationFolder, model: Any, base: str | Path = TINY) -> None:
    """Compares the recorded losses with those of a model."""
    tokens = folder.read_tokens()
    for example in folder.read_examples()[:6]:
        recorded = [float(value) for _, value in tokens[example.id].tokens]
        found = plain_losses(model, base, example.prompt, example.reference)
        assert found == pytest.approx(recorded, abs=1e-4)


def outputs_in_pool(loop: TinyLoop, numbers: list[int]) -> dict[int, dict[str, str]]:
    """Outputs of several iterations that are loaded together, by example."""
    pool = ModelPool(loop.loop, numbers, [])
    for number in numbers:
        pool.load(number)
    rows = pool.rows_of([each.id for each in loop.loop.iteration(1).read_examples()])
    found: dict[int, dict[str, str]] = {}
    for number in numbers:
        responses: list[GenerateResponse] = []
        pool.generate(
            number, rows, GenerateRequest("a"), poll=lambda: None, on_response=responses.append
        )
        found[number] = {each.example: each.output for each in responses}
    return found


@pytest.fixture
def loop(tiny_loop: Callable[..., TinyLoop]) -> TinyLoop:
    return tiny_loop(training={"max_steps": 6, "learning_rate": 1e-2, "eval_steps": 0})


def test_saved_adapters_of_every_kind_give_the_evaluated_losses_on_the_untouched_base(
    loop: TinyLoop,
) -> None:
    loop.run_base()
    for number, (kind, settings) in enumerate(KINDS.items(), 1):
        summary = loop.run(*settings, parent=0)
        assert summary.state == "finished", (kind, summary.error)
        folder = loop.loop.iteration(number)
        base = AutoModelForCausalLM.from_pretrained(TINY).eval()
        adapted = PeftModel.from_pretrained(base, str(folder.adapter)).eval()
        check_losses(folder, adapted)
        with adapted.disable_adapter():
            check_losses(loop.loop.iteration(0), adapted)
        check_losses(folder, adapted.merge_and_unload())
    numbers = [0, *range(1, len(KINDS) + 1)]
    together = outputs_in_pool(loop, numbers)
    for number in numbers:
        recorded = {each.id: each.output for each in loop.loop.iteration(number).read_examples()}
        assert together[number] == recorded, number


def interrupted_after(folder: IterationFolder, step: int) -> None:
    """Makes a finished iteration one that was interrupted after the checkpoint of a step."""
    lines = folder.journal.read_text().splitlines(keepends=True)
    events = [json.loads(line) for line in lines]
    last = next(
        place
        for place, each in enumerate(events)
        if each["event"] == "checkpoint" and each["step"] == step
    )
    folder.journal.write_text("".join(lines[: last + 1]))
    shutil.rmtree(folder.adapter)
    folder.summary.unlink()


@pytest.mark.parametrize("kind", ["pissa by steps", "the embeddings", "the output layer", "mica"])
def test_a_resumed_run_has_the_adapter_of_one_that_was_not_interrupted(
    tiny_loop: Callable[..., TinyLoop], kind: str
) -> None:
    loop = tiny_loop(training={"max_steps": 4, "save_steps": 2, "eval_steps": 2, "keep": "best"})
    loop.run(*KINDS[kind])
    folder = loop.loop.iteration(1)
    whole = load_file(folder.adapter / "adapter_model.safetensors")
    interrupted_after(folder, 2)
    assert loop.run_number(1).state == "finished"
    resumed = load_file(folder.adapter / "adapter_model.safetensors")
    assert resumed.keys() == whole.keys()
    for name, value in whole.items():
        assert torch.equal(resumed[name], value), name


@pytest.mark.parametrize(
    "settings",
    [
        ["trainable_token_indices=[5, 6, 7]"],
        ["init_lora_weights=olora", "rank_pattern={q_proj = 2}"],
        ["lora.use_bdlora={target_modules_bd_a = ['o_proj'], nblocks = 2, match_strict = false}"],
    ],
)
def test_an_adapter_of_another_base_gives_the_evaluated_losses_on_it(
    tiny_loop: Callable[..., TinyLoop], tmp_path: Path, settings: list[str]
) -> None:
    base = save_small_model("llama", tmp_path / "llama")
    loop = tiny_loop(model={"id": str(base)}, training={"save_steps": 2, "learning_rate": 1e-2})
    summary = loop.run(*settings)
    assert summary.state == "finished", summary.error
    folder = loop.loop.iteration(1)
    model = AutoModelForCausalLM.from_pretrained(base).eval()
    adapted = PeftModel.from_pretrained(model, str(folder.adapter)).eval()
    check_losses(folder, adapted, base)
    whole = load_file(folder.adapter / "adapter_model.safetensors")
    interrupted_after(folder, 2)
    loop.run_number(1)
    for name, value in load_file(folder.adapter / "adapter_model.safetensors").items():
        assert torch.equal(whole[name], value), name
    check_losses(folder, adapted.merge_and_unload(), base)


def test_an_iteration_starts_from_an_adapter_that_had_taken_over_a_part_of_the_base(
    loop: TinyLoop,
) -> None:
    first = loop.run("init_lora_weights=pissa", "save_steps=0", "max_steps=3")
    second = loop.run("model.init_adapter=1", "learning_rate=1e-12", "max_steps=1", parent=1)
    assert second.state == "finished", second.error
    assert second.metrics["eval_loss"] == pytest.approx(first.metrics["eval_loss"], abs=1e-5)
    effective = loop.loop.iteration(2).read_effective()["lora_config"]
    assert (effective["r"], effective["init_lora_weights"]) == (8, True)
