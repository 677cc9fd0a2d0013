"""What an architecture does to rows that share a batch or a packed sequence.

Most models give a row the same logits alone, in a padded batch and in a packed sequence. Some do
not: RWKV ignores the attention mask, ALiBi measures distances over the whole sequence, and a state
is carried into the next packed row. What transformers declares is read from classes and configs,
so that it is known before weights are loaded. Loaded models are compared with themselves, which
also covers code from elsewhere.
"""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import torch
from transformers import GenerationConfig

CHECKED_TOKENS = 8
"""Tokens of the row that is compared; the row beside it has three times as many."""
CHECKED_STEPS = 3
"""Generated tokens that are compared: the prompt's own logits, then those of cached states."""

FLOAT32_TOLERANCE = 0.01
HALF_TOLERANCE = 0.5
"""Limits on a difference, in standard deviations of a position's logits.

Measured on 60 small architectures in float32: noise is below 1e-5, and what a row sees of another
row changes its logits by 0.1 or more. Logits in bfloat16 are rounded to 0.8% of their size.
"""

_STATE = "the recurrent state carries over from one packed row to the next"
_ALIBI = "ALiBi distances do not restart at the start of a packed row"
_ATTENDS = "attention crosses the boundaries of packed rows"
_MEASURED = "the logits of a row depend on the row packed before it"
_CONVOLUTION = "convolutions reach into the previous packed row"

_ALIBI_TYPES = frozenset({"bloom", "mpt"})
_ATTENDING_TYPES = frozenset({"afmoe", "biogpt", "falcon", "gpt_oss", "openai-gpt", "opt", "xglm"})
"""They give transformers 5.23 no position ids for the attention mask (flash attention aside)."""
_RECURRENT_LAYERS = ("linear", "mamba", "recurrent", "hybrid", "ssm")

_batching: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def packing_leak(model: Any) -> str:
    """Returns why packed rows see the rows before them, "" where no reason is known.

    It reads the class and the config, so that a model on the meta device will do.
    `measured_packing_leak` compares the logits of a loaded model.
    """
    inner = _without_adapter(model)
    config = inner.config.get_text_config()
    layers = [str(each) for each in getattr(config, "layer_types", None) or ()]
    is_recurrent = any(kind in layer for layer in layers for kind in _RECURRENT_LAYERS)
    if getattr(inner, "_is_stateful", False) or is_recurrent:
        return "" if importlib.util.find_spec("causal_conv1d") else _STATE  # its kernels may do it
    if "conv" in layers:
        return "" if importlib.util.find_spec("causal_conv1d") else _CONVOLUTION
    kind = config.model_type
    if (kind in _ALIBI_TYPES and getattr(config, "alibi", True)) or getattr(config, "alibi", False):
        return _ALIBI
    is_flash = "flash" in str(getattr(config, "_attn_implementation", ""))
    return _ATTENDS if kind in _ATTENDING_TYPES and not is_flash else ""


def measured_packing_leak(model: Any, ids: Sequence[int]) -> str:
    """Returns why a loaded model gives a packed row other logits than the row alone, else "".

    `ids`: some token ids.
    """
    try:
        leaks = _leaks_when_packed(model, ids)
    except (ValueError, TypeError) as error:  # such as a kernel that is not installed
        return str(error).strip().splitlines()[0]
    return (packing_leak(model) or _MEASURED) if leaks else ""


@torch.no_grad()
def _leaks_when_packed(model: Any, ids: Sequence[int]) -> bool:
    """Compares the logits, with the inputs that TRL's collator makes of packed rows."""
    long, short = _rows(ids)
    lengths = torch.tensor([len(long), len(short)])
    ends = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).to(torch.int32).to(model.device)
    places = torch.cat([torch.arange(len(long)), torch.arange(len(short))])
    packed = {
        "input_ids": torch.tensor([long + short]),
        "position_ids": places[None],
        "seq_idx": torch.repeat_interleave(torch.arange(2, dtype=torch.int32), lengths)[None],
    }
    with _evaluating(model), without_router_losses(model):
        alone = model(input_ids=torch.tensor([short], device=model.device), use_cache=False)
        together = model(
            **{name: value.to(model.device) for name, value in packed.items()},
            cu_seq_lens_q=ends,
            cu_seq_lens_k=ends,
            max_length_q=len(long),
            max_length_k=len(long),
            use_cache=False,
        )
    return _differ(model, alone.logits[0], together.logits[0, -len(short) :])


def batches_change_outputs(model: Any, ids: Sequence[int], pad_id: int) -> bool:
    """Whether a row's outputs depend on the rows and the padding beside it, beyond float noise.

    Generates a few tokens for a short row alone, and for the same row beside a longer one; once
    for each loaded model. `ids`: some token ids.
    """
    inner = _without_adapter(model)
    if inner not in _batching:
        _batching[inner] = _batches_differ(model, ids, pad_id)
    return _batching[inner]


@torch.no_grad()
def _batches_differ(model: Any, ids: Sequence[int], pad_id: int) -> bool:
    long, short = _rows(ids)
    padding = len(long) - len(short)
    config = GenerationConfig(
        max_new_tokens=CHECKED_STEPS,
        eos_token_id=[],
        pad_token_id=pad_id,
        do_sample=False,
        use_cache=True,
        output_logits=True,
        return_dict_in_generate=True,
    )
    previous, model.generation_config = model.generation_config, config

    def generated(rows: list[list[int]], mask: list[list[int]]) -> Any:
        return model.generate(
            input_ids=torch.tensor(rows, device=model.device),
            attention_mask=torch.tensor(mask, device=model.device),
            generation_config=config,
        )

    try:
        with _evaluating(model), without_router_losses(model):
            alone = generated([short], [[1] * len(short)])
            together = generated(
                [[pad_id] * padding + short, long],
                [[0] * padding + [1] * len(short), [1] * len(long)],
            )
    finally:
        model.generation_config = previous
    for step in range(CHECKED_STEPS):
        if _differ(model, alone.logits[step][0], together.logits[step][0]):
            return True
        tokens = alone.sequences[0, len(short) + step], together.sequences[0, len(long) + step]
        if tokens[0] != tokens[1]:  # a tie: from here on the rows differ
            return False
    return False


@contextlib.contextmanager
def without_router_losses(model: Any) -> Iterator[None]:
    """Turns off the router logits of a mixture of experts.

    They serve the auxiliary loss of training, to which the Trainer turns them on. Evaluation needs
    none, and transformers 5.23 cannot compute that loss while it generates.
    """
    config = model.config.get_text_config()
    before = getattr(config, "output_router_logits", None)
    if before:
        config.output_router_logits = False
    try:
        yield
    finally:
        if before:
            config.output_router_logits = before


def _rows(ids: Sequence[int]) -> tuple[list[int], list[int]]:
    """Returns a row of tokens, and its last ones as a shorter row."""
    length = 3 * CHECKED_TOKENS
    long = (list(ids) * length)[-length:]
    return long, long[-CHECKED_TOKENS:]


def _differ(model: Any, one: torch.Tensor, other: torch.Tensor) -> bool:
    one, other = one.float(), other.float()
    full = model.dtype == torch.float32
    limit = (FLOAT32_TOLERANCE if full else HALF_TOLERANCE) * one.std(-1, keepdim=True)
    return bool(((one - other).abs() > limit).any())


@contextlib.contextmanager
def _evaluating(model: Any) -> Iterator[None]:
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)


def _without_adapter(model: Any) -> Any:
    unwrap: Callable[[], Any] | None = getattr(model, "get_base_model", None)
    return unwrap() if unwrap else model
