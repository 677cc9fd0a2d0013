"""How a row becomes what the model sees, for training and for evaluation alike.

Training records keep the shapes that SFTTrainer tokenises itself; `tokens` renders the same
text the same way, so that what is measured is what is trained (a test holds them together).
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
    """A row as token ids: `ids[start:]` are supervised, `prompt_ids` is what generation sees."""

    ids: list[int]
    start: int
    prompt_ids: list[int]
    cut: int = 0


class Renderer:
    """Renders rows of one shape for one tokenizer. Raises BadInput where a template lacks."""

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
                f"model {config.model.id} has no chat template, which messages need",
                "choose an instruct model, or data with prompt and completion",
            )

    @property
    def template_hash(self) -> str | None:
        """Names the chat template in use."""
        return short_hash(str(self._tokenizer.chat_template)) if self.uses_chat else None

    def training_record(self, row: Row) -> dict[str, Any]:
        """The row as SFTTrainer takes it."""
        if self._shape == "text":
            return {"text": row.reference}
        if self._shape == "messages":
            return {"messages": _plain_turns(row)}
        if self.uses_chat:
            turns = self._turns(row)
            return {"prompt": turns[:-1], "completion": turns[-1:]}
        prompt, completion = self._plain(row)
        return {"prompt": prompt, "completion": completion}

    def tokens(self, row: Row, limit: int | None = None) -> Tokens:
        """The row for evaluation, cut from the left to `limit` tokens."""
        if self._shape == "text":
            full, prompt = self._encode(row.reference + self._eos(row.reference)), list[int]()
            start = 1
        elif self.uses_chat:
            prompt, full = self.prompt_ids(row), self._encode_turns(self._turns(row))
            start = _common_prefix(prompt, full)
        else:
            text, completion = self._plain(row)
            prompt = self.prompt_ids(row)
            full = self._encode(text + completion + self._eos(completion))
            start = _common_prefix(prompt, full)
        cut = max(0, len(full) - limit) if limit else 0
        return Tokens(full[cut:], max(1, start - cut), prompt, cut)

    def prompt_ids(self, row: Row) -> list[int]:
        """What generation sees of a row; where rows are plain text, its prompt as it is."""
        if self._shape == "text":
            return self._encode(row.prompt)
        if self.uses_chat:
            return self._encode_turns(self._turns(row)[:-1], to_generate=True)
        return self._encode(self._plain(row)[0])

    def _turns(self, row: Row) -> Turns:
        if row.messages:
            return _plain_turns(row)
        return [
            {"role": "user", "content": self._prompt(row)},
            {"role": "assistant", "content": row.reference},
        ]

    def _plain(self, row: Row) -> tuple[str, str]:
        """Prompt and completion as one running text; a template is set off by a blank."""
        prompt = self._prompt(row)
        apart = self._template is not None and not prompt[-1:].isspace()
        blank = " " if apart and not row.reference[:1].isspace() else ""
        return prompt, blank + row.reference

    def _prompt(self, row: Row) -> str:
        if self._template is None:
            return row.prompt
        return self._template.replace("{prompt}", row.prompt)

    def _eos(self, text: str) -> str:
        eos = str(self._tokenizer.eos_token or "")
        return "" if eos and text.endswith(eos) else eos

    def _encode(self, text: str) -> list[int]:
        return list(self._tokenizer(text)["input_ids"])

    def _encode_turns(self, turns: Turns, to_generate: bool = False) -> list[int]:
        encoded = self._tokenizer.apply_chat_template(
            turns, tokenize=True, add_generation_prompt=to_generate, return_dict=True
        )
        return list(encoded["input_ids"])


def _plain_turns(row: Row) -> Turns:
    return [{"role": turn.role, "content": turn.content} for turn in row.messages]


def _common_prefix(prompt: list[int], full: list[int]) -> int:
    """Where the completion starts: tokens may merge across the end of the prompt."""
    length = 0
    for left, right in zip(prompt, full, strict=False):
        if left != right:
            break
        length += 1
    return length
