"""What an adapter trains is checked against the model, and merges into what was trained."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from peft import PeftModel, get_peft_model

from tests.engine.small_models import small_model
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.validation import ConfigError
from tui_loop.engine.trainer_arguments import lora_config

pytestmark = pytest.mark.train

IDS = torch.arange(3, 40)[None]
TIED_TARGETS = (
    "lora.target_modules: {}, so a merged model would differ from the "
    "trained one; use lora.modules_to_save"
)


def of(*settings: str) -> Config:
    return with_settings(Config(), list(settings))


def adapted(model: Any, *settings: str) -> PeftModel:
    made = get_peft_model(model, lora_config(of(*settings), model))
    assert isinstance(made, PeftModel)
    return made


def problems(name: str, *settings: str) -> list[str]:
    with torch.device("meta"):
        model = small_model(name)
    with pytest.raises(ConfigError) as caught:
        lora_config(of(*settings), model)
    return caught.value.problems


@pytest.mark.parametrize("name", ["mamba", "mamba2"])
def test_the_default_targets_of_mamba_are_layers_whose_adapters_are_trained(name: str) -> None:
    model = adapted(small_model(name))
    model(input_ids=IDS, labels=IDS).loss.backward()
    trained = {each: p for each, p in model.named_parameters() if p.requires_grad}
    assert {each.split(".")[-4] for each in trained} == {"in_proj"}
    assert all(p.grad is not None and p.grad.any() for n, p in trained.items() if "lora_B" in n)


def test_layers_by_number_go_with_the_default_targets() -> None:
    model = adapted(small_model("llama"), "layers_to_transform=[1]")
    trained = [name for name, each in model.named_parameters() if each.requires_grad]
    assert len(trained) == 2 * 7
    assert all(".layers.1." in name for name in trained)


@pytest.mark.parametrize(
    ("targets", "tied"),
    [
        ('["embed_tokens", "q_proj"]', "model.embed_tokens shares its weight with lm_head"),
        ('["lm_head"]', "lm_head shares its weight with model.embed_tokens"),
        (".*", "lm_head and model.embed_tokens share one weight"),
    ],
)
def test_an_adapter_on_tied_embeddings_is_refused(targets: str, tied: str) -> None:
    found = problems("llama-tied", f"target_modules={targets}")
    assert found == [TIED_TARGETS.format(tied)]


def test_tied_embeddings_that_a_pattern_excludes_are_no_targets() -> None:
    settings = ("target_modules=.*", "exclude_modules='.*(embed_tokens|lm_head|norm|rotary).*'")
    lora_config(of(*settings), small_model("llama-tied"))


def test_tokens_of_tied_embeddings_are_refused() -> None:
    assert problems("llama-tied", "trainable_token_indices=[5]") == [
        "lora.trainable_token_indices: lm_head shares its weight with model.embed_tokens, and "
        "SFTTrainer cannot train single tokens of a shared weight; use "
        'lora.modules_to_save=["embed_tokens"] '
        "with lora.ensure_weight_tying=true"
    ]


def test_an_adapter_on_the_output_layer_is_refused_with_what_trains_it() -> None:
    assert problems("llama", 'target_modules=["lm_head"]') == [
        "lora.target_modules: lm_head cannot have an adapter, because the loss is computed "
        'from its weight; use lora.modules_to_save=["lm_head"]'
    ]
    assert problems("llama", "trainable_token_indices={lm_head = [5]}") == [
        "lora.trainable_token_indices: SFTTrainer cannot train single tokens of lm_head; use "
        'lora.modules_to_save=["lm_head"]'
    ]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("llama", ['target_modules=["embed_tokens", "q_proj"]']),
        ("llama", ["trainable_token_indices=[5, 6]"]),
        ("llama-tied", ['modules_to_save=["embed_tokens"]']),
        ("llama-tied", ['modules_to_save=["embed_tokens"]', "ensure_weight_tying=true"]),
        ("llama-tied", ['modules_to_save=["lm_head"]']),
    ],
)
def test_a_merged_model_gives_the_logits_of_the_adapter(name: str, settings: list[str]) -> None:
    torch.manual_seed(0)
    model = adapted(small_model(name), *settings)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn_like(parameter) * 0.05)
        trained = model(input_ids=IDS).logits
        merged = copy.deepcopy(model).merge_and_unload()(input_ids=IDS).logits
    assert torch.allclose(trained, merged, atol=1e-5)


def test_all_problems_with_names_and_numbers_are_given_at_once() -> None:
    found = problems(
        "llama",
        'modules_to_save=["norm", "lm_haed"]',
        'target_parameters=["experts.down_proj"]',
        "layers_to_transform=[0, 7]",
        "trainable_token_indices=[4, 99999]",
    )
    assert [each.partition(";")[0] for each in found] == [
        "lora.modules_to_save: 'lm_haed' is not a layer of this model",
        "lora.target_parameters: 'experts.down_proj' is not a parameter of this model",
        "lora.layers_to_transform: this model has no layer 7",
        "lora.trainable_token_indices: 99999 is not a token id",
    ]


def test_a_rank_beyond_the_size_of_a_layer_is_refused_where_it_is_decomposed() -> None:
    assert problems("llama", "init_lora_weights=pissa", "lora.r=20") == [
        "lora.r: 20 is too high for lora.init_lora_weights = pissa: "
        "model.layers.0.self_attn.k_proj has only 16 dimensions"
    ]


def test_a_pattern_of_ranks_that_fits_no_layer_is_refused() -> None:
    assert problems("llama", "rank_pattern={q_prj = 4, k_proj = 2}") == [
        "lora.rank_pattern: 'q_prj' matches no layer of this model"
    ]


def test_what_peft_refuses_is_refused_in_its_words() -> None:
    found = problems("llama", "velora_config={num_groups = 0}")
    assert found == ["lora: `num_groups` should be positive, got 0."]
