"""Reads what the plain files of a model say about it, without the training stack."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

CONTEXT_FIELDS = ("max_position_embeddings", "n_positions", "max_seq_len")
"""The fields of `config.json` that may hold the context length; the first one found is used."""

TEMPLATE_FILE, TEMPLATE_FOLDER = "chat_template.jinja", "additional_chat_templates"
_TEXT_CONFIGS = ("text_config", "llm_config", "language_config")
"""The part of a multimodal model's `config.json` that describes its language model."""

MOST_BYTES = 32 << 20
"""The largest file that is read; tokenizer settings of a megabyte exist."""


class ModelFiles(msgspec.Struct, frozen=True):
    """Facts from a model's files; None where the files do not say.

    `context`: the longest sequence in tokens. `has_chat_template`: whether the tokenizer has one.
    `takes_tools`: whether that template mentions the calls of tools.
    """

    context: int | None = None
    has_chat_template: bool | None = None
    takes_tools: bool | None = None


def read_model_files(folder: Path) -> ModelFiles:
    """Returns the facts in the files of a model folder; unreadable files count as missing."""
    templates = _templates(folder)
    has_template = None if templates is None else bool(templates)
    takes_tools = any("tool_calls" in each for each in templates) if templates else None
    return ModelFiles(_context(read_json(folder / "config.json")), has_template, takes_tools)


def hub_folder(model_id: str, revision: str | None) -> Path | None:
    """Returns the folder of a hub model in the local cache of the hub's client, None without one.

    The client's own layout: `models--ORG--NAME/snapshots/COMMIT`, and `refs/REVISION` with the
    commit of a branch or tag.
    """
    home = os.environ.get("HF_HOME") or os.path.join(_cache_home(), "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or os.path.join(os.path.expanduser(home), "hub"))
    model = cache / f"models--{model_id.replace('/', '--')}"
    name = revision or "main"
    try:
        commit = (model / "refs" / name).read_text().strip()
    except (OSError, ValueError):
        commit = name  # a commit itself
    snapshot = model / "snapshots" / commit
    return snapshot if snapshot.is_dir() else None


def _cache_home() -> str:
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")


def _context(config: Mapping[str, Any]) -> int | None:
    parts = [config[name] for name in _TEXT_CONFIGS if isinstance(config.get(name), dict)]
    for part in (*parts, config):
        for name in CONTEXT_FIELDS:
            value = part.get(name)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return None


def _templates(folder: Path) -> list[str] | None:
    """Returns the tokenizer's chat templates, None where its files do not say.

    The one in `chat_template.json` is a processor's.
    """
    files = [folder / TEMPLATE_FILE, *sorted((folder / TEMPLATE_FOLDER).glob("*.jinja"))]
    found = [_text(path) for path in files if path.is_file()]
    settings = folder / "tokenizer_config.json"
    own = read_json(settings).get("chat_template")
    found += [json.dumps(own)] if own else []
    return found if found or settings.is_file() else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace") if path.stat().st_size <= MOST_BYTES else ""
    except OSError:
        return ""


def read_json(path: Path) -> dict[str, Any]:
    """Returns the object in a JSON file, {} where there is none that can be read."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return {}
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
