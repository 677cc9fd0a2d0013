"""Removes advice from the texts of libraries that would be unsafe to follow.

Where a file of weights holds more than tensors, torch advises to load it with `weights_only=False`,
which runs the code in it. Such a file may come from a stranger.
"""

from __future__ import annotations

import re

PLAIN_TENSORS = (
    "the file is damaged, or contains objects other than tensors; only tensors are loaded"
)
PLAIN_TENSORS_HINT = "restore the file from a copy that you trust"

_ADVICE = re.compile(r"Weights only load failed|[^.]*PyTorch 2\.6|[^.]*\bweights_only\b", re.DOTALL)
_REASON = re.compile(r"WeightsUnpickler error:\s*([^\n]+)")
_MORE_ADVICE = re.compile(r"\.?\s*Please use `torch\.serialization.*")


def has_unsafe_advice(text: str) -> bool:
    """Whether a text advises to load a file with `weights_only=False`."""
    return "weights_only" in text


def without_unsafe_advice(text: str) -> str:
    """Returns `text` up to such advice, and in its place what is wrong with the file."""
    if not has_unsafe_advice(text):
        return text
    advice, reason = _ADVICE.search(text), _REASON.search(text)
    before = text[: advice.start()].rstrip(" .:\n") if advice else ""
    detail = f" ({_MORE_ADVICE.sub('', reason[1]).strip()})" if reason else ""
    return f"{before}: {PLAIN_TENSORS}{detail}" if before else f"{PLAIN_TENSORS}{detail}"
