"""Resolves a model id: tiny, smollm2, a folder, a GGUF file or a hub id. Loads nothing."""

from __future__ import annotations

import difflib
import hashlib
import os
import socket
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from tui_loop.core.cache_folder import cache_folder
from tui_loop.core.commands import command
from tui_loop.core.errors import BadInput
from tui_loop.core.hub_id import is_hub_id
from tui_loop.core.model_files import hub_folder
from tui_loop.core.model_folder import (
    ADAPTER_CONFIG,
    CONFIG,
    ModelFault,
    adapter_base,
    adapter_fault,
    folder_faults,
    listing_faults,
    weights_files,
)
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.shipped import shipped
from tui_loop.engine.output_capture import set_environment

TINY = "tiny"
SMOLLM2 = "smollm2"
_GGUF_MAGIC = b"GGUF"
_EDGE_BYTES = 1 << 20
"""Bytes at each end of a weights file that its hash covers."""


class ModelSource(msgspec.Struct, frozen=True):
    """The source of a model's weights: `name` is a folder or hub id, `gguf` a file in it."""

    name: str
    gguf: str | None = None
    is_local: bool = True


def smollm2_folder() -> Path:
    """Returns the folder of the converted SmolLM2-135M-Instruct, which may not exist yet."""
    return cache_folder() / "models" / "SmolLM2-135M-Instruct"


def find_model(model_id: str, root: Path) -> ModelSource:
    """Resolves `model_id` from the disk alone. Raises BadInput for what cannot be a model."""
    if model_id == TINY:
        return ModelSource(str(shipped("sample_data", "tiny-base")))
    if model_id == SMOLLM2:
        folder = smollm2_folder()
        if not (folder / "model.safetensors").exists():
            raise BadInput("model smollm2 has not been fetched yet", command("fetch", "smollm2"))
        return ModelSource(str(folder))
    path = Path(os.path.expanduser(model_id))
    path = path if path.is_absolute() else root / path
    if path.suffix == ".gguf":
        if not path.is_file():
            raise BadInput(f"model.id: {path}: no such file", "check the path")
        return ModelSource(str(path.parent), gguf=path.name)
    if path.is_dir():
        if (path / ADAPTER_CONFIG).exists():
            raise _bad_model(str(path), [adapter_fault(model_id, adapter_base(path))])
        if not (path / CONFIG).exists():
            raise _bad_model(str(path), folder_faults(path))
        return ModelSource(str(path))
    if not is_hub_id(model_id):
        raise BadInput(
            f"model.id: {model_id!r} is neither a folder nor a hub id",
            "use --model tiny, --model smollm2, a folder, a .gguf file, or a hub id ORG/NAME",
        )
    return ModelSource(model_id, is_local=False)


def check_model(model_id: str, revision: str | None, root: Path) -> ModelSource:
    """Resolves `model_id` and checks its files; downloads the config of a hub id.

    Raises BadInput with every fault, for example where a folder has no weights or no tokenizer.
    """
    source = find_model(model_id, root)
    if not source.is_local:
        _check_hub_model(source.name, revision)
    elif faults := _local_faults(source):
        raise _bad_model(str(Path(source.name, source.gguf or "")), faults)
    return source


def _local_faults(source: ModelSource) -> list[ModelFault]:
    folder = Path(source.name)
    if source.gguf is None:
        return folder_faults(folder, base=_trained_from(folder))
    with (folder / source.gguf).open("rb") as file:
        is_gguf = file.read(len(_GGUF_MAGIC)) == _GGUF_MAGIC
    return [] if is_gguf else [ModelFault("is no GGUF file", "copy the file again")]


def _trained_from(folder: Path) -> str:
    """Returns the base of an iteration's whole fine-tuned weights, "" for any other folder."""
    try:
        return (
            IterationFolder(folder.parent, LoopFolder(folder.parents[1]), 0).read_config().model.id
        )
    except (BadInput, OSError, IndexError):
        return ""


def _check_hub_model(model_id: str, revision: str | None) -> None:
    """Downloads the config of a hub model and checks what its files' names show."""
    go_offline_if_hub_unreachable()
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(model_id, CONFIG, revision=revision)
    except Exception as error:  # the hub's own tree of errors, OSError, ValueError
        if faults := _hub_faults(model_id, revision):
            raise _bad_model(model_id, faults) from error
        close = difflib.get_close_matches(model_id, (TINY, SMOLLM2), n=1)
        guess = f", did you mean {close[0]}?" if close else ""
        raise BadInput(
            f"model.id: {model_id!r} is not on this machine and could not be downloaded from the "
            f"hub ({type(error).__name__}){guess}",
            "check the id; --model tiny and --model smollm2 work without the hub",
        ) from error
    if faults := _hub_faults(model_id, revision):
        raise _bad_model(model_id, faults)


def _hub_faults(model_id: str, revision: str | None) -> list[ModelFault]:
    """Returns the faults that the hub's list of files shows, or offline the files in the cache."""
    if os.environ.get("HF_HUB_OFFLINE"):
        folder = hub_folder(model_id, revision)
        faults = folder_faults(folder) if folder is not None else []
        hint = "connect to the hub: the cache on this machine may have only a part of the model"
        return [msgspec.structs.replace(each, hint=hint) for each in faults]
    from huggingface_hub import HfApi

    try:
        names = HfApi().list_repo_files(model_id, revision=revision)
    except Exception:  # without a list the download shows what is missing
        return []
    return listing_faults(set(names), model_id)


def _bad_model(name: str, faults: list[ModelFault]) -> BadInput:
    messages, hints = [each.message for each in faults], [each.hint for each in faults]
    return BadInput(f"model.id: {name} {'; '.join(messages)}", "; ".join(hints))


def loaded_files(source: ModelSource, revision: str | None = None) -> list[Path]:
    """Returns the weights files that transformers loads, of a hub model those in its cache."""
    folder: Path | None = Path(source.name)
    if not source.is_local:
        folder = hub_folder(source.name, revision)
    if folder is None:
        return []
    return [folder / source.gguf] if source.gguf else weights_files(folder)


def weights_hash(source: ModelSource, revision: str | None = None) -> str:
    """Returns a short hash of a model's weights for the fingerprint of an evaluation.

    It covers each weights file's name, size, and first and last megabyte, so that hashing many
    gigabytes takes milliseconds. It is "" for a hub model whose weights are not in the cache.
    """
    files = loaded_files(source, revision)
    if source.is_local and source.gguf is None:  # records have hashes of all files of a folder
        files = sorted(Path(source.name).glob("*.safetensors"))
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            digest.update(f"{path.name} {size}\n".encode())
            digest.update(file.read(_EDGE_BYTES))
            file.seek(max(0, size - _EDGE_BYTES))
            digest.update(file.read(_EDGE_BYTES))
    return digest.hexdigest()[:12] if files or source.is_local else ""


CONNECT_SECONDS = 3.0
"""The time limit for a connection to the hub."""


def go_offline_if_hub_unreachable() -> None:
    """Switches the hub's client to offline mode if the hub cannot be reached.

    Otherwise an id that is not cached costs half a minute of retries. Call it before the client
    is imported; run hosts inherit the setting. Behind a proxy it tries no connection of its own.
    """
    set_environment()
    if os.environ.get("HF_HUB_OFFLINE") or _has_proxy():
        return
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", "https://huggingface.co"))
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    try:
        socket.create_connection((endpoint.hostname or "", port), CONNECT_SECONDS).close()
    except OSError:
        os.environ["HF_HUB_OFFLINE"] = "1"


def _has_proxy() -> bool:
    return any(os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"))
