"""Rows of unusual architectures: in batches, packed, and with router losses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from tests.engine.conftest import TinyLoop
from tests.engine.small_models import save_small_model, small_model
from tests.engine.small_tokenizers import byte_level
from tui_loop.core.config.schema import Evaluation
from tui_loop.engine.architectures import (
    batches_change_outputs,
    measured_packing_leak,
    packing_leak,
    without_router_losses,
)
from tui_loop.engine.generation import generate
from tui_loop.engine.losses import token_losses
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.rendering import Tokens
from tui_loop.engine.stopping import Stop

pytestmark = pytest.mark.train

LENGTHS = (21, 9, 9, 4, 1)
NAMES = ("llama", "gpt2", "bloom", "falcon-alibi", "mpt", "opt", "rwkv", "mamba", "mamba2")
PACKED_APART = ("llama", "gpt2", "mixtral")


def rows() -> list[list[int]]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randint(2, 400, (each,), generator=generator).tolist() for each in LENGTHS]


def greedy(model: Any, prompt: list[int], count: int) -> list[int]:
    """Greedy decoding of one row without cache, padding or generate()."""
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(count):
            logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids.append(int(logits[0, -1].argmax()))
    return ids[len(prompt) :]


def outputs(model: Any, prompts: list[list[int]], count: int = 5) -> list[str]:
    tokenizer = byte_level(["<pad>", "<end>"], eos="<end>", pad="<pad>")
    generated = generate(
        model,
        tokenizer,
        prompts,
        settings=Evaluation(),
        stop=Stop((419,), ()),
        max_new_tokens=count,
        context=256,
        batch=EvalBatch(16),
    )
    return [each.text for each in generated]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_in_a_batch_are_those_of_greedy_decoding_row_by_row(name: str) -> None:
    model = small_model(name)
    tokenizer = byte_level(["<pad>", "<end>"], eos="<end>", pad="<pad>")
    hidden = set(tokenizer.all_special_ids)
    wanted = []
    for prompt in rows():
        ids = greedy(model, prompt, 5)
        ids = ids[: ids.index(419)] if 419 in ids else ids
        wanted.append(tokenizer.decode([each for each in ids if each not in hidden]).strip(" "))
    assert outputs(model, rows()) == wanted


@pytest.mark.parametrize("name", NAMES)
def test_losses_in_a_batch_are_those_of_single_rows(name: str) -> None:
    model = small_model(name)
    tokens = [Tokens(each, [True] * len(each), 0, each[:1]) for each in rows()[:-1]]
    together = token_losses(model, tokens, pad_id=0, batch=EvalBatch(8))
    for row, found in zip(tokens, together, strict=True):
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([row.ids]), use_cache=False).logits[0]
        chances = logits.double().log_softmax(-1)
        wanted = [-float(chances[at - 1, row.ids[at]]) for at in range(1, len(row.ids))]
        assert found == pytest.approx(wanted, abs=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_only_rwkv_gives_a_row_another_output_in_a_batch(name: str) -> None:
    assert batches_change_outputs(small_model(name), rows()[0], 0) == (name == "rwkv")


def test_the_comparison_restores_the_models_mode_and_generation_config() -> None:
    model = small_model("rwkv").train()
    model.generation_config = before = GenerationConfig(max_new_tokens=3)
    assert batches_change_outputs(model, [5], 0)
    assert model.training
    assert model.generation_config is before


@pytest.mark.parametrize("name", [*NAMES, "mixtral"])
def test_the_reason_against_packing_is_given_where_packed_rows_differ(name: str) -> None:
    model = small_model(name)
    measured = measured_packing_leak(model, rows()[0])
    assert bool(measured) == (name not in PACKED_APART)
    assert packing_leak(model) == measured


def test_packing_is_judged_without_weights() -> None:
    with torch.device("meta"):
        assert "state" in packing_leak(small_model("mamba"))
        assert "ALiBi" in packing_leak(small_model("bloom"))


@pytest.mark.parametrize("field", ["training.packing", "training.padding_free"])
def test_a_run_refuses_to_pack_rows_that_the_model_cannot_keep_apart(
    tiny_loop: Callable[..., TinyLoop], tmp_path: Path, field: str
) -> None:
    loop = tiny_loop(model={"id": str(save_small_model("bloom", tmp_path / "bloom"))})
    limit = [] if field == "training.packing" else ["training.max_length=none"]
    summary = loop.run(f"{field}=true", *limit)
    assert summary.error is not None
    assert summary.error["message"] == (
        f"{field}: this model cannot keep packed rows apart: "
        "ALiBi distances do not restart at the start of a packed row"
    )


def test_router_losses_are_off_while_a_mixture_of_experts_is_evaluated() -> None:
    model = small_model("mixtral")
    with without_router_losses(model):
        assert not model.config.output_router_logits
    assert model.config.output_router_logits
    assert len(outputs(model, rows())) == len(LENGTHS)
    assert model.config.output_router_logits


def test_a_run_trains_on_the_router_loss_and_evaluates_without_it(
    tiny_loop: Callable[..., TinyLoop], tmp_path: Path
) -> None:
    loop = tiny_loop(model={"id": str(save_small_model("mixtral", tmp_path / "moe"))})
    settings = ["max_steps=1", "eval_steps=1", "learning_rate=1e-9", "lora_dropout=0"]
    settings.append('lora.target_modules=["q_proj", "v_proj"]')
    counted, ignored = loop.run(*settings), loop.run(*settings, "training.router_aux_loss_coef=0.0")
    assert counted.state == ignored.state == "finished", (counted.error, ignored.error)
    difference = counted.metrics["train_loss"] - ignored.metrics["train_loss"]
    assert difference > 0.5  # half of a load balancing loss, which is 1 or more
    assert counted.metrics["eval_loss"] == pytest.approx(ignored.metrics["eval_loss"], abs=1e-6)
