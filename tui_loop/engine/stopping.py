"""What ends an answer: token ids, and strings of `evaluation.stop`.

A run decides it once and records it. Evaluation, `ask`, `retry` and `ready` then stop alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import torch
from transformers import PreTrainedTokenizerBase, StoppingCriteria

TAIL_TOKENS = 32
"""Tokens at the end of an output that are searched for a stop string after each new one."""


class Stop(msgspec.Struct, frozen=True):
    """What ends an answer: any of the token ids, or any of the strings."""

    ids: tuple[int, ...]
    strings: tuple[str, ...] = ()

    def cut(self, text: str) -> tuple[str, bool]:
        """Returns the text before the first stop string, and whether there was one."""
        places = [place for each in self.strings if (place := text.find(each)) >= 0]
        return (text[: min(places)], True) if places else (text, False)


def first_special(tokenizer: PreTrainedTokenizerBase, text: str) -> int | None:
    """Returns the first special or added token in `text`, None without one."""
    known = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}
    ids = tokenizer(text, add_special_tokens=False)["input_ids"] if text else []
    return next((each for each in ids if each in known), None)


class StopStrings(StoppingCriteria):
    """Ends the generation of a row whose newest tokens contain a stop string."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerBase, strings: Sequence[str], width: int
    ) -> None:
        """`width`: the length of the prompts, in which no string is searched."""
        self._tokenizer, self._strings, self._width = tokenizer, strings, width

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        tails = input_ids[:, max(self._width, input_ids.shape[1] - TAIL_TOKENS) :]
        texts = self._tokenizer.batch_decode(tails)
        ended = [any(each in text for each in self._strings) for text in texts]
        return torch.tensor(ended, dtype=torch.bool, device=input_ids.device)
