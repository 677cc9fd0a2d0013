"""The adapter that a run starts from, `model.init_adapter`: an iteration's, or one in any folder.

The adapter's own settings apply once it is loaded, so those of the config must be the same.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tui_loop.core.config.fields import as_setting
from tui_loop.core.config.lora_fields import OTHER_LORA_FIELDS
from tui_loop.core.config.schema import Config, Lora
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.model_folder import adapter_base
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.safetensors_header import DamagedFile, TensorShape, read_header
from tui_loop.engine.base_identity import BaseIdentity, identify, require_same_base
from tui_loop.engine.model_source import ModelSource, find_model, loaded_files
from tui_loop.engine.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS, adapter_settings, check_adapter

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedModel

FIELD = "model.init_adapter"

_PREFIX = "base_model.model."
"""What PEFT puts before the names of a model's tensors."""

_UNSET: tuple[Any, ...] = (None, "", [], {})
"""Values that say nothing: PEFT writes some of them where a field is not set."""

_FLOAT_TYPES = ("F64", "F32", "F16", "BF16")
"""The types of weights that are not packed: only these have the shapes of their layers."""


class InitAdapter(msgspec.Struct, frozen=True):
    """A found adapter: its folder, its name in messages, and the iteration that trained it."""

    folder: Path
    name: str
    origin: IterationFolder | None = None


def find_init_adapter(loop: LoopFolder, config: Config) -> InitAdapter | None:
    """Returns the adapter that `config` starts from, None without one; raises BadInput."""
    entry = config.model.init_adapter
    if entry is None:
        return None
    if isinstance(entry, int):
        origin = loop.existing(entry)
        found = InitAdapter(origin.adapter, str(origin), origin)
        hint = f"run {origin} again, or unset {FIELD}"
        if not (origin.adapter / ADAPTER_CONFIG).exists() or not _has_weights(found):
            raise BadInput(f"{FIELD}: {origin} has no adapter on this machine", hint)
        return found
    path = Path(os.path.expanduser(entry))
    folder = path if path.is_absolute() else loop.root / path
    found = InitAdapter(folder, str(folder), _iteration_at(folder))
    if not (folder / ADAPTER_CONFIG).is_file():
        hint = "name an iteration, or a folder with an adapter that PEFT saved"
        if (folder / "adapter" / ADAPTER_CONFIG).is_file():
            hint = f"--set {FIELD}={os.path.join(entry, 'adapter')}"
        reason = f"has no {ADAPTER_CONFIG}" if folder.is_dir() else "there is no such folder"
        raise BadInput(f"{FIELD}: {folder}: {reason}", hint)
    if not _has_weights(found):
        pickles = sorted(each.name for each in folder.glob("*.bin"))
        only = f", only {', '.join(pickles)}, which could run arbitrary code" if pickles else ""
        raise BadInput(
            f"{FIELD}: {folder} has no {ADAPTER_WEIGHTS}{only}",
            "if you trust the adapter, load it with PEFT and save it with save_pretrained",
        )
    return found


def check_init_adapter(loop: LoopFolder, config: Config) -> None:
    """Refuses an initial adapter that is missing, has other LoRA settings, or another base."""
    adapter = find_init_adapter(loop, config)
    if adapter is None:
        return
    hint = f"train the iteration again, or unset {FIELD}"
    check_adapter(adapter.folder, hint if adapter.origin is not None else f"unset {FIELD}")
    source = find_model(config.model.id, loop.root)
    base = _tensors_of(source, config.model.revision)
    _check_settings(adapter, config, base)
    if adapter.origin is not None:
        found = identify(config.model.id, source, config.model.revision)
        require_same_base(adapter.origin, found, FIELD)
    _check_shapes(adapter, config.model.id, base)


def adapter_to_start_from(
    loop: LoopFolder, config: Config, base: BaseIdentity | None
) -> Path | None:
    """Returns the folder of the adapter that a run on `base` starts from, None without one."""
    adapter = find_init_adapter(loop, config)
    if adapter is None:
        return None
    check_adapter(adapter.folder, f"unset {FIELD}")
    if adapter.origin is not None and base is not None:
        require_same_base(adapter.origin, base, FIELD)
    return adapter.folder


def load_init_adapter(model: PreTrainedModel, folder: Path) -> PeftModel:
    """Loads an adapter to train it further; raises BadInput where it does not fit the model."""
    from peft import PeftModel, get_peft_model_state_dict

    name = f"{FIELD}: {folder}"
    hint = _base_hint(folder)
    try:
        loaded = PeftModel.from_pretrained(model, str(folder), is_trainable=True)
    except (RuntimeError, ValueError, KeyError) as error:
        text = str(error)
        if "size mismatch" not in text and "arget modules" not in text:
            raise
        reason = text.strip().splitlines()[-1].strip()
        raise BadInput(f"{name} does not fit the base: {reason}", hint) from error
    expected = set(get_peft_model_state_dict(loaded))
    extra = sorted(set(read_header(folder / ADAPTER_WEIGHTS)) - expected)
    if extra:
        layer = extra[0].removeprefix(_PREFIX)
        raise BadInput(
            f"{name} does not fit the base: {len(extra)} of its tensors belong to layers that the "
            f"base does not have, such as {layer}",
            hint,
        )
    return loaded


def _has_weights(adapter: InitAdapter) -> bool:
    return (adapter.folder / ADAPTER_WEIGHTS).is_file()  # never a pickle


def _iteration_at(folder: Path) -> IterationFolder | None:
    """Returns the iteration whose `adapter/` this folder is, None for any other folder."""
    place = Path(os.path.abspath(folder)).parent
    if folder.name != "adapter" or not place.name.isdecimal():
        return None
    try:
        origin = LoopFolder(place.parent).existing(int(place.name))
        origin.read_config()
    except (BadInput, NotFound, OSError):
        return None
    return origin if origin.adapter == place / "adapter" else None


def _check_settings(adapter: InitAdapter, config: Config, base: Mapping[str, TensorShape]) -> None:
    """Refuses LoRA settings that differ from the adapter's; the hint has all of the adapter's."""
    if adapter.origin is not None:
        config_of_origin = adapter.origin.read_config()
        own = msgspec.structs.asdict(config_of_origin.lora) | config_of_origin.other_lora
    else:
        own = lora_settings(adapter_settings(adapter.folder))
        layers = {name.partition(".lora_")[0].removeprefix(_PREFIX) for name in _tensors(adapter)}
        own["target_modules"] = _targets(own, config.lora.target_modules, layers, base)
    wanted = msgspec.structs.asdict(config.lora) | config.other_lora
    own = {**dict.fromkeys(wanted), **own} if adapter.origin is not None else own
    different = {
        name: value for name, value in own.items() if not _is_same(value, wanted.get(name))
    }
    if not different:
        return
    entry = config.model.init_adapter
    settings = " ".join(
        f"--set {shlex.quote(f'lora.{name}={as_setting(value)}')}"
        for name, value in different.items()
    )
    hint = f"--from {entry}, or {settings}" if isinstance(entry, int) else settings
    names = ", ".join(f"lora.{name}" for name in different)
    raise BadInput(f"{FIELD}: {adapter.name} was trained with different values of {names}", hint)


def lora_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of `lora` in an adapter's config, as far as it has them."""
    left_out = ("enabled", "init_lora_weights")  # the adapter is not initialized anew
    names = [each for each in Lora.__struct_fields__ if each in settings and each not in left_out]
    further = {name: settings[name] for name in OTHER_LORA_FIELDS if settings.get(name)}
    further.pop("qalora_group_size", None)  # PEFT writes its default, which has no effect alone
    return {name: settings[name] for name in names} | further


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values of a field mean the same: the order of names does not matter."""
    if isinstance(one, list) and isinstance(other, list):
        return sorted(map(str, one)) == sorted(map(str, other))
    return bool(one == other) or (one in _UNSET and other in _UNSET)


def _targets(
    own: Mapping[str, Any],
    wanted: str | list[str],
    layers: set[str],
    base: Mapping[str, TensorShape],
) -> Any:
    """Returns the adapter's `target_modules` in the way that the config may have them.

    PEFT saves `all-linear` as the names of all layers. `wanted` is returned where it selects
    exactly the `layers` of the adapter among those of the `base`, else what selects them, the
    shortest first.
    """
    modules = [
        name.removesuffix(".weight")
        for name, tensor in base.items()
        if name.endswith(".weight") and len(tensor.shape) == 2
    ]
    ends = sorted({name.rpartition(".")[2] for name in layers})
    for targets in (wanted, "all-linear", ends):
        if layers and _selected(targets, modules) == layers:
            return targets
    return own.get("target_modules")


def _selected(targets: str | list[str], modules: list[str]) -> set[str]:
    """Returns the modules that PEFT adapts, none for a pattern.

    `all-linear` is every matrix in the numbered blocks: embeddings and output are outside of them.
    """
    if targets == "all-linear":
        return {name for name in modules if any(part.isdecimal() for part in name.split("."))}
    if isinstance(targets, str):
        return set()
    tails = tuple(f".{target}" for target in targets)
    return {name for name in modules if name in targets or name.endswith(tails)}


def _tensors_of(source: ModelSource, revision: str | None) -> dict[str, TensorShape]:
    """Returns the tensors of a base, {} where its files do not show them."""
    tensors: dict[str, TensorShape] = {}
    for path in loaded_files(source, revision) if source.gguf is None else []:
        try:
            tensors |= read_header(path)
        except (DamagedFile, OSError):  # the check of the model reports it
            return {}
    return tensors


def _tensors(adapter: InitAdapter) -> dict[str, TensorShape]:
    return read_header(adapter.folder / ADAPTER_WEIGHTS)


def _check_shapes(adapter: InitAdapter, model_id: str, base: Mapping[str, TensorShape]) -> None:
    """Refuses an adapter whose layers have other sizes than the base's, as far as files show it.

    Where a library renames tensors on loading, their names tell nothing; loading then decides.
    """
    layers = _layers_of(_tensors(adapter))
    pairs = {name: (sizes, _sizes_of(base.get(f"{name}.weight"))) for name, sizes in layers.items()}
    other = [name for name, (own, sizes) in pairs.items() if sizes and own != sizes]
    if not other:
        return
    own, sizes = pairs[other[0]]
    example = f"{other[0]} is {_shown(own)} in the adapter and {_shown(sizes)} in {model_id}"
    raise BadInput(
        f"{FIELD}: {adapter.name} does not fit the base: {len(other)} of its {len(layers)} layers "
        f"differ in size from those of the base; for example, {example}",
        _base_hint(adapter.folder),
    )


def _layers_of(tensors: Mapping[str, TensorShape]) -> dict[str, tuple[int, ...]]:
    """Returns the sizes of the layers that an adapter changes, by name, the smaller first."""
    layers: dict[str, tuple[int, ...]] = {}
    for name, tensor in tensors.items():
        layer, part, _ = name.removeprefix(_PREFIX).partition(".lora_A.")
        other = tensors.get(f"{name.removesuffix('.lora_A.weight')}.lora_B.weight")
        if part and other is not None and len(tensor.shape) == len(other.shape) == 2:
            layers[layer] = tuple(sorted((tensor.shape[1], other.shape[0])))
    return layers


def _sizes_of(tensor: TensorShape | None) -> tuple[int, ...]:
    """Returns the sizes of a base's layer, () where they are unknown."""
    if tensor is None or tensor.dtype not in _FLOAT_TYPES or len(tensor.shape) != 2:
        return ()
    return tuple(sorted(tensor.shape))


def _shown(sizes: tuple[int, ...]) -> str:
    return " x ".join(map(str, sizes))


def _base_hint(folder: Path) -> str:
    base = adapter_base(folder)
    named = f"--set model.id={base}" if base else "choose the base that the adapter was trained on"
    return f"{named}, or unset {FIELD}"
