"""The gate finds what the libraries would refuse, all problems at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    BertForMaskedLM,
    CLIPVisionConfig,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlavaConfig,
    LlavaForConditionalGeneration,
    T5Config,
    T5ForConditionalGeneration,
)
from transformers.training_args import OptimizerNames

from tests.engine.small_tokenizers import byte_level
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.preflight.check_result import CheckResult, errors_of, warnings_of
from tui_loop.core.preflight.setting_checks import OPTIMIZERS, check_settings
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.engine.preflight.gate import check_run
from tui_loop.engine.preflight.loss_mask import LossMasker
from tui_loop.engine.sources import read_source

pytestmark = pytest.mark.train

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "max_position_embeddings": 128,
}
Check = Callable[..., list[CheckResult]]


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    rows = shipped("sample_data", "support-intents")
    tables: dict[str, dict[str, object]] = {
        "model": {"id": "tiny"},
        "data": {
            "train": str(rows / "train.jsonl"),
            "eval": str(rows / "eval.jsonl"),
            "max_train_rows": 8,
            "max_eval_rows": 4,
        },
        "training": {"max_length": 128},
    }
    return LoopsFolder(tmp_path / "loops").create("l", LoopSettings(metric="none", defaults=tables))


@pytest.fixture
def check(loop: LoopFolder) -> Check:
    """Returns the findings of the gate for the loop's defaults with some settings."""

    def run(*settings: str) -> list[CheckResult]:
        config = with_settings(loop.default_config(), list(settings))
        data = load_data(config, loop.root, read_source)
        found = check_run(config, loop, data, lambda: LossMasker(config, loop.root, data))
        return [*check_settings(config), *found]

    return run


def only_error(found: list[CheckResult]) -> CheckResult:
    (error,) = errors_of(found)
    assert error.hint
    return error


def save(folder: Path, model: Any, **changes: Any) -> str:
    """Saves a model with a tokenizer, and `changes` in its config.json; returns its id."""
    model.save_pretrained(folder)
    byte_level(["<pad>", "<end>"], eos="<end>", pad="<pad>").save_pretrained(folder)
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    return f"model.id={folder}"


def llama(vocabulary: int = 420, **more: Any) -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **SIZES, **more))


def test_a_plain_run_passes(check: Check) -> None:
    assert errors_of(check()) == []
    assert errors_of(check("lora.enabled=false", "training.activation_checkpointing=true")) == []


@pytest.mark.parametrize(
    ("setting", "field", "words"),
    [
        ("training.adam_beta1=-0.5", "training.adam_beta1", "Invalid beta"),
        ("training.router_aux_loss_coef=0.1", "training.router_aux_loss_coef", "Mixture"),
        ("lr_scheduler_type=cosine_with_min_lr", "training.lr_scheduler_type", "min_lr_rate"),
        (
            "lr_scheduler_type=warmup_stable_decay",
            "training.lr_scheduler_type",
            "num_decay_steps",
        ),
        (
            "training.lr_scheduler_kwargs={cycles=2}",
            "training.lr_scheduler_kwargs",
            "no parameter cycles",
        ),
        ("precision=bf16", "training.precision", "needs a CUDA device"),
        ("lora.target_modules=['lm_head','c_attn']", "lora.target_modules", "lm_head"),
        ("lora.target_modules=['q_proj','v_proj']", "lora.target_modules", "no layer"),
        ("lora.target_modules=(", "lora.target_modules", "not a valid regular expression"),
    ],
)
def test_what_a_library_refuses_is_an_error_of_its_field(
    check: Check, setting: str, field: str, words: str
) -> None:
    error = only_error(check(setting, "run.device=cpu"))
    assert error.field == field
    assert words in error.message
    assert "\n" not in error.message


def test_all_problems_are_found_at_once(check: Check) -> None:
    found = check(
        "training.loss_type=mse",
        "training.adam_beta2=-1.0",
        "training.router_aux_loss_coef=0.1",
        "lora.target_modules=['nothing']",
        "training.lr_scheduler_kwargs={cycles=2}",
        "training.padding_free=true",
    )
    assert {each.field for each in errors_of(found)} == {
        "training.loss_type",
        "training.adam_beta2",
        "training.router_aux_loss_coef",
        "lora.target_modules",
        "training.lr_scheduler_kwargs",
        "training.padding_free",
    }
    assert any(each.kind == "sizes" for each in found)  # the rest is checked all the same


def test_a_target_that_matches_nothing_beside_others_is_a_warning(check: Check) -> None:
    found = check("lora.target_modules=['c_attn','c_pro']")
    (warning,) = [each for each in warnings_of(found) if each.kind == "targets"]
    assert "this model has no layer c_pro, did you mean c_proj?" in warning.message
    assert "c_attn" in warning.hint
    assert errors_of(found) == []


def test_the_optimizers_are_those_of_transformers() -> None:
    assert set(OPTIMIZERS) == {each.value for each in OptimizerNames}


def test_an_encoder_decoder_model_is_refused_in_plain_words(check: Check, tmp_path: Path) -> None:
    sizes = {"d_model": 16, "d_kv": 8, "d_ff": 16, "num_layers": 1, "num_heads": 2}
    model = T5ForConditionalGeneration(T5Config(vocab_size=420, **sizes))
    error = only_error(check(save(tmp_path / "m", model)))
    assert "is an encoder-decoder model" in error.message
    assert "causal language models only" in error.hint


def test_an_encoder_is_refused_though_transformers_would_load_it(
    check: Check, tmp_path: Path
) -> None:
    model = BertForMaskedLM(BertConfig(vocab_size=420, **SIZES))
    assert "is an encoder" in only_error(check(save(tmp_path / "m", model))).message
    decoder = save(tmp_path / "d", model, is_decoder=True, architectures=["BertLMHeadModel"])
    assert errors_of(check(decoder, "lora.target_modules=['query']")) == []


def test_a_vision_language_model_is_refused(check: Check, tmp_path: Path) -> None:
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        image_size=8,
        patch_size=4,
    )
    text = LlamaConfig(vocab_size=420, **SIZES)
    model = LlavaForConditionalGeneration(
        LlavaConfig(vision_config=vision, text_config=text, image_token_index=5)
    )
    assert "is a vision-language model" in only_error(check(save(tmp_path / "m", model))).message


def test_a_classifier_on_a_causal_model_is_refused(check: Check, tmp_path: Path) -> None:
    model = LlamaForSequenceClassification(LlamaConfig(vocab_size=420, pad_token_id=0, **SIZES))
    error = only_error(check(save(tmp_path / "m", model)))
    assert "LlamaForSequenceClassification" in error.message


def test_a_model_type_that_nobody_knows_is_refused_in_one_line(
    check: Check, tmp_path: Path
) -> None:
    error = only_error(check(save(tmp_path / "m", llama(), model_type="otter")))
    assert "does not support this model" in error.message
    assert "model.trust_remote_code=true" in error.hint


def test_a_model_with_code_of_its_own_says_how_to_allow_it(check: Check, tmp_path: Path) -> None:
    auto = {"AutoConfig": "mine.Mine", "AutoModelForCausalLM": "mine.MineForCausalLM"}
    model = save(tmp_path / "m", llama(), model_type="otter", auto_map=auto)
    error = only_error(check(model))
    assert "needs its own Python code" in error.message
    assert "--set model.trust_remote_code=true" in error.hint


def test_rows_with_tokens_beyond_the_embedding_are_an_error(check: Check, tmp_path: Path) -> None:
    error = only_error(check(save(tmp_path / "m", llama(vocabulary=40))))
    assert "8 training rows have tokens without an embedding" in error.message
    assert error.rows
    tokenizer = len(byte_level(["<pad>", "<end>"], eos="<end>", pad="<pad>"))
    spare = check(save(tmp_path / "s", llama(vocabulary=tokenizer - 1)))
    assert errors_of(spare) == []
    assert any(f"{tokenizer} tokens" in each.message for each in warnings_of(spare))


def test_a_model_that_cannot_keep_rows_apart_is_not_packed(check: Check, tmp_path: Path) -> None:
    from transformers import BloomConfig, BloomForCausalLM

    bloom = BloomForCausalLM(BloomConfig(vocab_size=420, hidden_size=32, n_layer=1, n_head=2))
    model = save(tmp_path / "m", bloom)
    assert errors_of(check(model)) == []
    error = only_error(check(model, "packing=true"))
    assert error.field == "training.packing"
    assert "ALiBi" in error.message


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("tokenizer.json", '{"model": ', "the tokenizer cannot be loaded"),
        ("tokenizer.json", "{}", "the tokenizer cannot be loaded: KeyError"),
        ("tokenizer_config.json", "[1]", "the tokenizer cannot be loaded: AttributeError"),
        ("config.json", '{"model_type": ["llama"]}', "the file config.json cannot be used"),
        (
            "config.json",
            '{"model_type": "llama", "num_attention_heads": 0}',
            "the file config.json cannot be used: ZeroDivisionError",
        ),
        (
            "config.json",
            '{"model_type": "llama", "hidden_act": "glow"}',
            "the file config.json cannot be used: KeyError: 'glow'",
        ),
        ("generation_config.json", "[]", "the file generation_config.json cannot be used"),
    ],
)
def test_damaged_files_of_a_model_are_one_error_that_names_the_file(
    check: Check, tmp_path: Path, name: str, content: str, words: str
) -> None:
    model = save(tmp_path / "m", llama())
    (tmp_path / "m" / name).write_text(content)
    error = only_error(check(model))
    assert words in error.message
    assert "choose another model" in error.hint


def test_weights_that_do_not_fit_the_config_are_refused(check: Check, tmp_path: Path) -> None:
    other = only_error(check(save(tmp_path / "o", llama(), hidden_size=16)))
    assert "embed_tokens.weight with 420 x 32 instead of 420 x 16" in other.message
    random = only_error(check(save(tmp_path / "r", llama(), num_hidden_layers=3)))
    assert "no weights for 9 parameters, such as model.layers.2." in random.message
    tied = llama(tie_word_embeddings=True)
    assert errors_of(check(save(tmp_path / "t", tied), "lora.target_modules=['q_proj']")) == []


def test_quantized_weights_whose_packages_are_missing_are_refused(
    check: Check, tmp_path: Path
) -> None:
    quantization = {"quant_method": "aqlm"}
    model = save(tmp_path / "m", llama(), quantization_config=quantization)
    assert "the quantized weights cannot be loaded" in only_error(check(model)).message


def test_a_template_that_renders_no_row_is_the_models_fault(check: Check, tmp_path: Path) -> None:
    model = save(tmp_path / "m", llama())
    (tmp_path / "m" / "chat_template.jinja").write_text("{% for turn in messages %}{{ turn }")
    found = check(model)
    error = only_error(found)
    assert "rejects 8 training rows" in error.message
    assert "--set data.chat_template=FILE" in error.hint
    (sizes,) = [each for each in found if each.kind == "sizes"]
    assert "(100%)" not in sizes.message  # of an adapter, though no row can be trained on


@pytest.mark.parametrize("reason", [ValueError("stopped"), KeyError("stopped")])
def test_what_ends_the_checks_is_no_finding(loop: LoopFolder, reason: Exception) -> None:
    config = loop.default_config()
    data = load_data(config, loop.root, read_source)

    def poll() -> None:
        raise reason

    with pytest.raises(type(reason), match="stopped"):
        check_run(config, loop, data, lambda: LossMasker(config, loop.root, data), poll=poll)


def test_any_error_of_a_library_is_a_finding(loop: LoopFolder) -> None:
    config = loop.default_config()
    data = load_data(config, loop.root, read_source)

    def broken() -> LossMasker:
        raise KeyError("merges")

    error = only_error(check_run(config, loop, data, broken))
    assert "the checks could not be completed: KeyError: 'merges'" in error.message
