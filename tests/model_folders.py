"""Small folders that look like models: every file that a light check reads, no usable weights."""

from __future__ import annotations

import json
from pathlib import Path

_TOKENIZER = {
    "version": "1.0",
    "added_tokens": [],
    "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"},
}


def write_weights(path: Path, shape: tuple[int, int] = (2, 3), name: str = "w") -> None:
    """Writes a safetensors file with one float32 tensor of zeros."""
    size = 4 * shape[0] * shape[1]
    entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
    header = json.dumps({"__metadata__": {"format": "pt"}, name: entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(size))


def write_model(folder: Path, config: object = None) -> Path:
    """Writes a config, a tokenizer and weights."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config or {"model_type": "llama"}))
    (folder / "tokenizer.json").write_text(json.dumps(_TOKENIZER))
    (folder / "tokenizer_config.json").write_text("{}")
    write_weights(folder / "model.safetensors")
    return folder
