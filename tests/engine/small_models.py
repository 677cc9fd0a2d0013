"""Small models with random weights, one of each architecture that tests need."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedModel

from tests.engine.small_tokenizers import byte_level

VOCABULARY = 420
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 256,
}
GQA = {**SIZES, "num_key_value_heads": 2}
STATE = {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}
ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("LlamaConfig", GQA),
    "llama-tied": ("LlamaConfig", {**GQA, "tie_word_embeddings": True}),
    "gpt2": ("GPT2Config", {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256}),
    "bloom": ("BloomConfig", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),
    "mpt": ("MptConfig", {"d_model": 32, "n_layers": 2, "n_heads": 4, "max_seq_len": 256}),
    "falcon-alibi": (
        "FalconConfig",
        {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "alibi": True,
            "multi_query": False,
            "new_decoder_architecture": False,
        },
    ),
    "opt": (
        "OPTConfig",
        {
            "hidden_size": 32,
            "word_embed_proj_dim": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "ffn_dim": 64,
            "max_position_embeddings": 256,
        },
    ),
    "rwkv": (
        "RwkvConfig",
        {
            "hidden_size": 32,
            "attention_hidden_size": 32,
            "num_hidden_layers": 2,
            "context_length": 256,
        },
    ),
    "mamba": ("MambaConfig", STATE),
    "mamba2": (
        "Mamba2Config",
        {**STATE, "num_heads": 4, "head_dim": 16, "n_groups": 2, "chunk_size": 16},
    ),
    "mistral": ("MistralConfig", {**GQA, "sliding_window": 24}),
    "qwen2": ("Qwen2Config", GQA),
    "qwen3": ("Qwen3Config", {**GQA, "head_dim": 8}),
    "gemma2": ("Gemma2Config", {**GQA, "head_dim": 8, "sliding_window": 24}),
    "gemma3": ("Gemma3TextConfig", {**GQA, "head_dim": 8, "sliding_window": 24}),
    "phi3": ("Phi3Config", GQA),
    "gpt-neox": ("GPTNeoXConfig", SIZES),
    "gptj": ("GPTJConfig", {"n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}),
    "falcon": (
        "FalconConfig",
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": False},
    ),
    "starcoder2": ("Starcoder2Config", GQA),
    "stablelm": ("StableLmConfig", GQA),
    "olmo2": ("Olmo2Config", GQA),
    "granite": ("GraniteConfig", GQA),
    "cohere": ("CohereConfig", GQA),
    "smollm3": ("SmolLM3Config", GQA),
    "qwen2-moe": (
        "Qwen2MoeConfig",
        {
            **GQA,
            "num_experts": 4,
            "num_experts_per_tok": 2,
            "moe_intermediate_size": 32,
            "shared_expert_intermediate_size": 32,
        },
    ),
    "mixtral": (
        "MixtralConfig",
        {**GQA, "num_local_experts": 4, "output_router_logits": True, "router_aux_loss_coef": 0.5},
    ),
}


MARKS = ("<|open|>", "<|close|>", "<|end|>")
TEMPLATE = (
    "{% for turn in messages %}<|open|>{{ turn.role }}\n{{ turn.content }}<|close|>{% endfor %}"
    "{% if add_generation_prompt %}<|open|>assistant\n{% endif %}"
)


def small_model(name: str) -> PreTrainedModel:
    """A model with random weights, the same ones in each call."""
    kind, values = ARCHITECTURES[name]
    config = getattr(transformers, kind)(
        vocab_size=VOCABULARY, bos_token_id=1, eos_token_id=1, pad_token_id=0, **values
    )
    torch.manual_seed(0)
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:  # so that tokens differ clearly, as in a trained model
                parameter.mul_(2.0)
    return model


def save_small_model(name: str, folder: Path) -> Path:
    """Saves a model and a byte-level tokenizer; returns the folder."""
    small_model(name).save_pretrained(folder)
    byte_level(["<pad>", "<end>"], eos="<end>", pad="<pad>").save_pretrained(folder)
    return folder


def small_llama(folder: Path, *, seed: int = 0, hidden: int = 32, **more: Any) -> Path:
    """Saves a llama of two layers; its turns end with `<|close|>`, its texts with `<|end|>`."""
    tokenizer = byte_level(MARKS, eos="<|end|>", template=TEMPLATE)
    config = LlamaConfig(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 256,
            "eos_token_id": tokenizer.eos_token_id,
            "bos_token_id": None,
            **more,
        }
    )
    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
