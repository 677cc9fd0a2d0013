"""What is missing or damaged in a model's folder, as its files show without the training stack."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.model_files import read_json
from tui_loop.core.safetensors_header import DamagedFile, read_header

CONFIG = "config.json"
ADAPTER_CONFIG = "adapter_config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.json",
    "vocab.txt",
    "tekken.json",
    "*.model",  # SentencePiece
    "*.tiktoken",
    "*.vocab",
    "vocab.bpe",
)
"""Files with the vocabulary of a tokenizer."""

_NO_VOCABULARY = ("ByT5Tokenizer", "CanineTokenizer", "PerceiverTokenizer")
"""Tokenizers of bytes or characters, which have no such file."""

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")
_OTHER_FRAMEWORKS = ("*.h5", "*.msgpack", "*.onnx")
_NAMES_SHOWN = 3


class ModelFault(msgspec.Struct, frozen=True):
    """Why a folder cannot be used as a model, as a predicate (`has no ...`), and what to do."""

    message: str
    hint: str


def folder_faults(folder: Path, *, base: str = "") -> list[ModelFault]:
    """Returns every fault of the model in `folder`.

    `base`: the model that it was fine-tuned from, where known.
    """
    names = {each.name for each in folder.iterdir()} if folder.is_dir() else set()
    if ADAPTER_CONFIG in names:
        return [adapter_fault(str(folder), adapter_base(folder))]
    if CONFIG not in names:
        return [_no_config(names)]
    faults = _weights_faults(names, f"{folder}/", read_json(folder / CONFIG))
    if not faults:
        faults = _damaged_weights(folder)
    settings = read_json(folder / "tokenizer_config.json")
    return [*faults, *_tokenizer_faults(names, settings, base)]


def listing_faults(names: Collection[str], model_id: str) -> list[ModelFault]:
    """Returns the faults that the names of a hub model's files show."""
    if ADAPTER_CONFIG in names:
        return [adapter_fault(model_id, "")]
    if CONFIG not in names:
        return [_no_config(names)]
    settings = {"auto_map": True} if "tokenizer_config.json" in names else {}
    return [*_weights_faults(names, "", {}), *_tokenizer_faults(names, settings, "")]


def adapter_fault(model_id: str, base: str) -> ModelFault:
    """Returns the fault of an adapter that is named as a model; `base` is what it belongs to."""
    settings = [
        *([f"--set model.id={base}"] if base else []),
        f"--set model.init_adapter={model_id}",
    ]
    hint = f"continue training from the adapter: {' '.join(settings)}"
    return ModelFault(f"is an adapter ({ADAPTER_CONFIG}), not a model", hint)


def adapter_base(folder: Path) -> str:
    """Returns the base that an adapter's config names, "" where it names none."""
    base = read_json(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
    return base if isinstance(base, str) else ""


def _no_config(names: Collection[str]) -> ModelFault:
    gguf = _matching(names, ["*.gguf"])
    hint = f"name the file {gguf[0]} itself" if gguf else "name a folder that save_pretrained wrote"
    return ModelFault(f"has no {CONFIG}, so it is not a model folder", hint)


def _weights_faults(names: Collection[str], place: str, config: dict[str, Any]) -> list[ModelFault]:
    """Returns why transformers finds no safetensors weights among `names`, [] where it does.

    `place`: what comes before a file's name in its path, "" for files on the hub.
    """
    if WEIGHTS in names or INDEX in names or config.get("transformers_weights"):
        return []
    shards = _matching(names, ["*.safetensors"])
    pickles, gguf = _matching(names, _PICKLES), _matching(names, ["*.gguf"])
    if shards:
        message = f"has no {WEIGHTS} and no {INDEX}, only {_some(shards)}"
        hint = "copy the missing file, or save the model again with save_pretrained"
    elif pickles:
        kind = "a pickle" if len(pickles) == 1 else "pickles"
        message = f"has its weights only as {_some(pickles)}, {kind} that could run arbitrary code"
        hint = (
            "if you trust the model, load it with transformers, save it as safetensors with "
            "save_pretrained, and name that folder"
        )
    elif gguf:
        message = f"has its weights only as {_some(gguf)}"
        hint = f"name the file: --set model.id={place}{gguf[0]}"
        hint = hint if place else f"download {gguf[0]}, and name that file as model.id"
    elif other := _matching(names, _OTHER_FRAMEWORKS):
        message = f"has its weights only for another framework ({_some(other)})"
        hint = (
            "convert the weights to PyTorch with transformers, and save them with save_pretrained"
        )
    else:
        message = f"has no weights: there is no {WEIGHTS}"
        hint = "copy the weights into the folder, or choose another model"
    return [ModelFault(message, hint)]


def weights_files(folder: Path) -> list[Path]:
    """Returns the safetensors files that transformers loads; they need not all exist."""
    if (folder / WEIGHTS).exists():
        return [folder / WEIGHTS]
    if not (folder / INDEX).exists():
        return sorted(folder.glob("*.safetensors"))
    table = read_json(folder / INDEX).get("weight_map")
    return (
        [folder / name for name in sorted(set(map(str, table.values())))]
        if isinstance(table, dict)
        else []
    )


def _damaged_weights(folder: Path) -> list[ModelFault]:
    """Returns the fault of a folder's safetensors files: missing shards, or a damaged file."""
    files = weights_files(folder)
    if not files:
        message = f"has an {INDEX} that names no weights"
        return [ModelFault(message, "copy the file again from the source of the model")]
    missing = [path.name for path in files if not path.exists()]
    if missing:
        message = f"lacks {len(missing)} of the {len(files)} files that {INDEX} names: "
        return [ModelFault(message + _some(missing), "copy the missing files into the folder")]
    for path in files:
        try:
            read_header(path)
        except DamagedFile as error:
            pointer = "Git LFS" in str(error)
            hint = "fetch the file with git lfs pull" if pointer else "copy the file again"
            return [ModelFault(f"has a damaged file: {path.name} {error}", hint)]
        except OSError as error:
            message = f"cannot be read: {path.name}: {error.strerror}"
            return [ModelFault(message, "check its permissions")]
    return []


def has_tokenizer(folder: Path) -> bool:
    """Whether a model's folder has the files of a tokenizer."""
    names = {each.name for each in folder.iterdir()}
    return _has_tokenizer(names, read_json(folder / "tokenizer_config.json"))


def _has_tokenizer(names: Collection[str], settings: dict[str, Any]) -> bool:
    """Whether a tokenizer has a file with its vocabulary, or needs none by its `settings`."""
    kind = str(settings.get("tokenizer_class", "")).removesuffix("Fast")
    needs_none = kind in _NO_VOCABULARY or bool(settings.get("auto_map"))
    return needs_none or bool(_matching(names, _TOKENIZER_FILES))


def _tokenizer_faults(
    names: Collection[str], settings: dict[str, Any], base: str
) -> list[ModelFault]:
    """Returns the fault of a model without a tokenizer; `settings` are its tokenizer's."""
    if _has_tokenizer(names, settings):
        return []
    origin = base or "the original model"
    hint = f"copy tokenizer.json and tokenizer_config.json of {origin} into the folder"
    return [ModelFault("has no tokenizer", hint)]


def _matching(names: Iterable[str], patterns: Iterable[str]) -> list[str]:
    return sorted(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def _some(names: list[str]) -> str:
    more = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")
