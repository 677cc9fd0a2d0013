"""The layers, parameters and tokens that an adapter trains, checked against the model.

PEFT ignores most names that fit nothing, and matches patterns without a time limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from transformers.pytorch_utils import Conv1D

from tui_loop.core.config.lora_fields import changes_base
from tui_loop.core.config.schema import Config, Lora
from tui_loop.core.config.validation import ConfigError
from tui_loop.core.text.limited_regex import SearchTime, compiled

TARGETS_SECONDS = 2.0
"""The time limit for matching a pattern with all layer names; a large model has 100,000."""

ALL_LINEAR = "all-linear"

_MAMBA_TYPES = ("mamba", "mamba2", "falcon_mamba", "falcon_h1", "nemotron_h")
_MAMBA_UNADAPTED = ("out_proj", "x_proj", "dt_proj")
"""Layers of a Mamba block whose weights its kernels read, past an adapter (PEFT refuses one)."""

_PLAIN_NAME = re.compile(r"[\w.]+")


def target_modules(lora: Lora, model: Any) -> str | list[str]:
    """Returns the value of PEFT's `target_modules`; raises ConfigError where it fits no layer.

    A pattern becomes the names that it matches. `all-linear` becomes names where PEFT would refuse
    one of the layers, or would not take other settings with it.
    """
    targets = lora.target_modules
    if isinstance(targets, list):
        return list(targets)
    if targets.lower() == ALL_LINEAR:
        is_mamba = model.config.model_type in _MAMBA_TYPES
        if not is_mamba and lora.layers_to_transform is None:
            return targets
        left_out = _MAMBA_UNADAPTED if is_mamba else ()
        return sorted({_tail(each) for each in _linear_layers(model)} - set(left_out))
    layers = [name for name, _ in model.named_modules() if name]
    what = f"lora.target_modules: {targets!r}"
    return _matched(targets, what, layers)


def excluded_modules(excluded: str | list[str], model: Any) -> str | list[str]:
    """Returns the value of PEFT's `exclude_modules`, with names in place of a pattern."""
    if isinstance(excluded, list):
        return list(excluded)
    layers = [name for name, _ in model.named_modules() if name]
    return _matched(excluded, f"lora.exclude_modules: {excluded!r}", layers)


def patterns(field: str, values: dict[str, Any], model: Any) -> dict[str, Any]:
    """Returns a `rank_pattern` or `alpha_pattern`, with names in place of regular expressions.

    Raises ConfigError for a key that fits neither a layer nor a parameter.
    """
    names = [name for name, _ in model.named_modules() if name]
    names += [name for name, _ in model.named_parameters()]
    time = SearchTime(TARGETS_SECONDS)
    found: dict[str, Any] = {}
    unmatched = []
    for key, value in values.items():
        what = f"lora.{field}: {key!r}"
        pattern = compiled(rf"(.*\.)?({key})", what, "give a name, or a regular expression")
        chosen = [each for each in names if time.found(pattern, each, what, whole=True)]
        if not chosen:
            unmatched.append(f"{what} matches no layer of this model")
        is_plain = _PLAIN_NAME.fullmatch(key)
        found |= {key: value} if is_plain else {re.escape(each): value for each in chosen}
    if unmatched:
        raise ConfigError(unmatched)
    return found


def adapter_problems(config: Config, model: Any) -> list[str]:
    """Returns each problem with what the model lacks, or what cannot be trained or merged.

    Raises BadInput for a pattern that is invalid, fits nothing or takes too long.
    """
    lora = config.lora
    parameters = [name for name, _ in model.named_parameters()]
    problems = [
        *_unknown_names("modules_to_save", lora.modules_to_save, _layer_names(model), "layer"),
        *_unknown_names("target_parameters", lora.target_parameters, parameters, "parameter"),
        *_layer_numbers(lora, model),
        *_token_ids(lora, model),
        *_output_targets(config, model),
        *_small_layers(lora, model),
    ]
    if lora.init_lora_weights == "olora" and any(isinstance(m, Conv1D) for m in model.modules()):
        problems.append(
            "lora.init_lora_weights: olora does not support Conv1D layers; use pissa for this model"
        )
    if lora.target_modules == [] and not lora.target_parameters:
        problems.append(
            "lora.target_modules: no layer gets an adapter, because this list is empty and "
            "lora.target_parameters is not set"
        )
    return problems


def _output_targets(config: Config, model: Any) -> list[str]:
    """Problems with an adapter on the input or output embeddings.

    SFTTrainer computes the loss from the weight of the output layer, past an adapter. PEFT 0.21
    merges an adapter into tied weights for one of their uses only, or for both of them twice.
    """
    output, inputs = _named(model, "get_output_embeddings"), _named(model, "get_input_embeddings")
    adapted = {name for name in (output, inputs) if name and _is_target(name, config.lora, model)}
    excluded = config.other_lora.get("exclude_modules")
    if excluded is not None:
        names = excluded_modules(excluded, model)
        adapted = {name for name in adapted if not _fits(name, names)}
    is_tied = _is_tied(model)
    chosen = config.lora.trainable_token_indices
    tokens = chosen if isinstance(chosen, dict) else {"": chosen} if chosen else {}
    problems = []
    if adapted and is_tied:
        problems.append(
            f"lora.target_modules: {_tied(adapted, (output, inputs))}, so a merged model would "
            "differ from the trained one; use lora.modules_to_save"
        )
    elif output in adapted:
        problems.append(
            f"lora.target_modules: {output} cannot have an adapter, because the loss is computed "
            f'from its weight; use lora.modules_to_save=["{_tail(output)}"]'
        )
    named = [each for each in tokens if each and _fits(output, [each])]
    if tokens and is_tied:
        problems.append(
            f"lora.trainable_token_indices: {output} shares its weight with {inputs}, and "
            "SFTTrainer cannot train single tokens of a shared weight; use "
            f'lora.modules_to_save=["{_tail(inputs)}"] with lora.ensure_weight_tying=true'
        )
    elif named:
        problems.append(
            f"lora.trainable_token_indices: SFTTrainer cannot train single tokens of {output}; use "
            f'lora.modules_to_save=["{_tail(output)}"]'
        )
    return problems


def _tied(adapted: set[str], both: tuple[str, str]) -> str:
    """Returns how the layers with an adapter are tied: `lm_head shares its weight with wte`."""
    others = [name for name in both if name and name not in adapted]
    named = " and ".join(sorted(adapted))
    return f"{named} shares its weight with {others[0]}" if others else f"{named} share one weight"


def _unknown_names(
    field: str, names: list[str] | None, known: Sequence[str], kind: str
) -> list[str]:
    tails = sorted({_tail(each) for each in known})
    return [
        f"lora.{field}: {name!r} is not a {kind} of this model; choose from {', '.join(tails[:30])}"
        for name in names or ()
        if not any(_fits(each, [name]) for each in known)
    ]


def _layer_numbers(lora: Lora, model: Any) -> list[str]:
    chosen = lora.layers_to_transform
    numbers = chosen if isinstance(chosen, list) else [] if chosen is None else [chosen]
    count = getattr(model.config.get_text_config(), "num_hidden_layers", None)
    if not isinstance(count, int) or all(each < count for each in numbers):
        return []
    return [
        f"lora.layers_to_transform: this model has no layer {max(numbers)}; its {count} layers are "
        "numbered from 0"
    ]


def _token_ids(lora: Lora, model: Any) -> list[str]:
    chosen, rows = lora.trainable_token_indices, model.get_input_embeddings().weight.shape[0]
    lists = chosen.values() if isinstance(chosen, dict) else [chosen or []]
    largest = max((each for ids in lists for each in ids), default=0)
    unknown = _unknown_names(
        "trainable_token_indices",
        list(chosen) if isinstance(chosen, dict) else None,
        _layer_names(model),
        "layer",
    )
    if largest < rows:
        return unknown
    problem = f"lora.trainable_token_indices: {largest} is not a token id; this model has {rows:,} "
    return [*unknown, f"{problem}tokens, numbered from 0"]


def _small_layers(lora: Lora, model: Any) -> list[str]:
    """A problem where an initialization needs more singular values than a layer has."""
    if not (changes_base(lora.init_lora_weights) or lora.init_lora_weights == "mica"):
        return []
    targets = target_modules(lora, model)
    sizes = {
        name: min(each.weight.shape)
        for name, each in model.named_modules()
        if isinstance(each, (torch.nn.Linear, Conv1D)) and each is not model.get_output_embeddings()
        if targets == ALL_LINEAR or _fits(name, targets)
    }
    smallest = min(sizes, key=lambda name: sizes[name], default="")
    if not smallest or sizes[smallest] >= lora.r:
        return []
    return [
        f"lora.r: {lora.r} is too high for lora.init_lora_weights = {lora.init_lora_weights}: "
        f"{smallest} has only {sizes[smallest]} dimensions"
    ]


def _is_target(name: str, lora: Lora, model: Any) -> bool:
    targets = target_modules(lora, model)
    if isinstance(targets, str) and targets.lower() == ALL_LINEAR:
        return False  # PEFT leaves the output layer out
    return _fits(name, targets)


def _fits(name: str, targets: str | Iterable[str]) -> bool:
    """Whether PEFT takes a layer's name as one of the targets."""
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == each or name.endswith(f".{each}") for each in targets)


def _is_tied(model: Any) -> bool:
    output, inputs = model.get_output_embeddings(), model.get_input_embeddings()
    if output is None or inputs is None:
        return False
    declared = getattr(model.config.get_text_config(), "tie_word_embeddings", False)
    return bool(declared) or output.weight is inputs.weight


def _named(model: Any, getter: str) -> str:
    """Returns the name of the model's input or output embeddings, "" without any."""
    wanted = getattr(model, getter)()
    return next((name for name, each in model.named_modules() if each is wanted), "")


def _linear_layers(model: Any) -> list[str]:
    """Returns the names of the linear layers other than the output layer."""
    output = model.get_output_embeddings()
    return [
        name
        for name, each in model.named_modules()
        if isinstance(each, (torch.nn.Linear, Conv1D)) and each is not output
    ]


def _layer_names(model: Any) -> list[str]:
    return [name for name, _ in model.named_modules() if name]


def _tail(name: str) -> str:
    return name.rpartition(".")[2]


def _matched(pattern: str, what: str, layers: Sequence[str]) -> str | list[str]:
    """Returns the names of the layers that a pattern matches, as PEFT takes them."""
    known = compiled(pattern, what, "give a regular expression, or a list of names")
    time = SearchTime(TARGETS_SECONDS)
    chosen = {name for name in layers if time.found(known, name, what, whole=True)}
    if not chosen:
        raise ConfigError([f"{what} matches no layer of this model"])
    tails = (name[dot.end() :] for name in set(layers) - chosen for dot in re.finditer(r"\.", name))
    if any(tail in chosen for tail in tails):
        # PEFT also matches a listed name as a suffix, which would adapt layers that the pattern
        # does not match; an alternation of full names does not.
        return "|".join(map(re.escape, sorted(chosen)))
    return sorted(chosen)
