"""Renders rows as text and tokens, in the same way for training and for evaluation.

Training records keep the shapes that SFTTrainer tokenises itself. `Renderer.tokens` renders the
same tokens for evaluation; a test compares the two.
"""

from __future__ import annotations

from typing import Any

import msgspec
from transformers import PreTrainedTokenizerBase

from tui_loop.core.config.schema import Config
from tui_loop.core.data.rows import Row, Shape
from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import short_hash

Turns = list[dict[str, str]]


class Tokens(msgspec.Struct, frozen=True):
    """A row as token ids: `ids[start:]` are supervised, `prompt_ids` is the prompt to generate on.

    `cut` tokens were removed from the start.
    """

    ids: list[int]
    start: int
    prompt_ids: list[int]
    cut: int = 0


class Renderer:
    """Renders rows of one shape for one tokenizer. Raises BadInput for a missing template."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: Config, shape: Shape) -> None:
        self._tokenizer = tokenizer
        self._shape = shape
        self._template = config.data.prompt_template
        has_chat = tokenizer.chat_template is not None
        self.uses_chat = shape == "messages" or (
            shape != "text" and has_chat and config.data.chat_template == "auto"
        )
        if shape == "messages" and not has_chat:
            raise BadInput(
                f"model {config.model.id} has no chat template; rows of messages need one",
                "choose an instruct model, or data with prompt and completion",
            )

    @property
    def template_hash(self) -> str | None:
        """A hash of the chat template in use, None without one."""
        return short_hash(str(self._tokenizer.chat_template)) if self.uses_chat else None

    def training_record(self, row: Row) -> dict[str, Any]:
        """Returns the row as an input of SFTTrainer."""
        if self._shape == "text":
            return {"text": row.reference}
        if self._shape == "messages":
            return {"messages": _turns_of(row)}
        if self.uses_chat:
            turns = self._turns(row)
            return {"prompt": turns[:-1], "completion": turns[-1:]}
        prompt, completion = self._prompt_and_completion(row)
        return {"prompt": prompt, "completion": completion}

    def tokens(self, row: Row, limit: int | None = None) -> Tokens:
        """Returns the row's tokens for evaluation, cut from the left to `limit` tokens."""
        if self._shape == "text":
            full, prompt = self._encode(row.reference + self._eos(row.reference)), list[int]()
            start = 1
        elif self.uses_chat:
            prompt, full = self.prompt_ids(row), self._encode_turns(self._turns(row))
            start = _common_prefix(prompt, full)
        else:
            text, completion = self._prompt_and_completion(row)
            prompt = self.prompt_ids(row)
            full = self._encode(text + completion + self._eos(completion))
            start = _common_prefix(prompt, full)
        cut = max(0, len(full) - limit) if limit else 0
        return Tokens(full[cut:], max(1, start - cut), prompt, cut)

    def prompt_ids(self, row: Row) -> list[int]:
        """Returns the tokens to generate on; for plain text, the prompt without a template."""
        if self._shape == "text":
            return self._encode(row.prompt)
        if self.uses_chat:
            return self._encode_turns(self._turns(row)[:-1], to_generate=True)
        return self._encode(self._prompt_and_completion(row)[0])

    def _turns(self, row: Row) -> Turns:
        if row.messages:
            return _turns_of(row)
        return [
            {"role": "user", "content": self._prompt(row)},
            {"role": "assistant", "content": row.reference},
        ]

    def _prompt_and_completion(self, row: Row) -> tuple[str, str]:
        """Returns two parts of one text; a space separates a template from the completion."""
        prompt = self._prompt(row)
        needs_space = self._template is not None and not prompt[-1:].isspace()
        space = " " if needs_space and not row.reference[:1].isspace() else ""
        return prompt, space + row.reference

    def _prompt(self, row: Row) -> str:
        if self._template is None:
            return row.prompt
        return self._template.replace("{prompt}", row.prompt)

    def _eos(self, text: str) -> str:
        """Returns the end-of-sequence token, "" where the text already ends in it."""
        eos = str(self._tokenizer.eos_token or "")
        return "" if eos and text.endswith(eos) else eos

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text)["input_ids"])

    def _encode_turns(self, turns: Turns, to_generate: bool = False) -> list[int]:
        encoded = self._tokenizer.apply_chat_template(
            turns, tokenize=True, add_generation_prompt=to_generate, return_dict=True
        )
        return list(encoded["input_ids"])


def _turns_of(row: Row) -> Turns:
    return [{"role": turn.role, "content": turn.content} for turn in row.messages]


def _common_prefix(prompt: list[int], full: list[int]) -> int:
    """Returns where the completion starts, since tokens may merge across the prompt's end."""
    length = 0
    for left, right in zip(prompt, full, strict=False):
        if left != right:
            break
        length += 1
    return length
