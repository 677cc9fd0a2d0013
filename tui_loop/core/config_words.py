"""What is wrong with a config, in the words of a person who edits one."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any

_MEANT = {
    "lr": "learning_rate",
    "rate": "learning_rate",
    "epochs": "num_train_epochs",
    "steps": "max_steps",
    "batch_size": "per_device_train_batch_size",
    "batch": "per_device_train_batch_size",
    "rank": "r",
    "lora_r": "r",
    "lora_rank": "r",
    "alpha": "lora_alpha",
    "dropout": "lora_dropout",
    "warmup": "warmup_steps",
}
"""Names that other programs and people have for a field, too far from ours to be guessed."""

_KIND_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "list": "a list",
    "object": "a table",
    "dict": "a table",
    "null": "unset",
}


def shown(value: Any) -> str:
    """A value as it was given, of a long one the beginning."""
    try:
        text = repr(value)
    except ValueError:  # thousands of digits
        return "a number that long"
    return text if len(text) <= 60 else text[:57] + "..."


def did_you_mean(name: str, known: Collection[str]) -> str:
    """`, did you mean lora.r?` where one of the `known` names is near; else empty."""
    meant = _MEANT.get(name.lower().replace("-", "_"))
    close = [meant] if meant in known else difflib.get_close_matches(name, list(known), 1, 0.6)
    return f", did you mean {close[0]}?" if close else ""


def in_words(error: str, choices: Sequence[str]) -> str:
    """msgspec's message on a value, of which only `choices` may be there where there are some."""
    if choices:
        return f"must be one of {', '.join(choices)}"
    text = error.partition(" - at ")[0].partition(", got")[0].replace("Expected ", "must be ")
    text = re.sub("`([^`]*)`", lambda kinds: kinds_in_words(kinds[1].split(" | ")), text)
    for sign, word in (
        (">= ", "of at least "),
        ("<= ", "of at most "),
        ("> ", "above "),
        ("< ", "below "),
    ):
        text = text.replace(sign, word)
    return text.replace("of length of at least 1", "that is not empty")


def kinds_in_words(kinds: Iterable[str]) -> str:
    """The names of types: `a whole number or unset`."""
    return " or ".join(_KIND_WORDS.get(kind, kind) for kind in kinds)
