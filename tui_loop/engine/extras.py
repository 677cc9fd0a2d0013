"""Checks which optional dependencies are installed, without importing them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from importlib.util import find_spec
from typing import Any

from tui_loop.core.errors import BadInput, NeedsExtra

TRAIN_MODULES = ("torch", "transformers", "trl", "peft", "datasets", "accelerate")
STACK = (
    "torch",
    "transformers",
    "trl",
    "peft",
    "datasets",
    "accelerate",
    "tokenizers",
    "safetensors",
    "bitsandbytes",
)


def is_installed(module: str) -> bool:
    """Whether `module` could be imported."""
    return find_spec(module) is not None


def has_train() -> bool:
    """Whether the whole training stack is installed."""
    return all(is_installed(module) for module in TRAIN_MODULES)


def require_train(what: str) -> None:
    """Raises NeedsExtra unless the training stack is installed."""
    if not has_train():
        raise NeedsExtra(what, "train")


def require_quant(what: str) -> None:
    """Raises NeedsExtra unless bitsandbytes is installed."""
    if not is_installed("bitsandbytes"):
        raise NeedsExtra(what, "quant")


def require_gguf(what: str) -> None:
    """Raises NeedsExtra unless the package that reads GGUF files is installed."""
    if not is_installed("gguf"):
        raise NeedsExtra(what, "smollm2")


def require_search(what: str) -> None:
    """Raises NeedsExtra unless Optuna is installed."""
    if not is_installed("optuna"):
        raise NeedsExtra(what, "search")


_ATTENTION_PACKAGES = {
    "flash_attention_2": ("flash_attn", "flash-attn"),
    "flash_attention_3": ("flash_attn_3", "flash-attn-3"),
}
"""By `model.attn_implementation`: the module that it imports, and the package to install."""


def require_attention(implementation: str) -> None:
    """Raises BadInput unless the package of an attention implementation is installed."""
    module, package = _ATTENTION_PACKAGES.get(implementation, ("", ""))
    if module and not is_installed(module):
        raise BadInput(
            f"model.attn_implementation: {implementation} needs the package {package}",
            f"install {package}, or --set model.attn_implementation=auto",
        )


def installed_versions() -> dict[str, str]:
    """Returns the versions of the training stack's installed packages."""
    versions = {}
    for name in STACK:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def yaml_parser() -> Callable[[str], Any] | None:
    """Returns a parser of YAML that raises ValueError, None without the extra train."""
    try:
        import yaml
    except ImportError:
        return None

    def parse(text: str) -> Any:
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error

    return parse
