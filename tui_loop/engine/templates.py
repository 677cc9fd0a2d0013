"""Chat templates: which one renders the rows, and where the assistant's answers are in the text.

An answer begins where a generation prompt ends: the text before it is rendered as it is for
generation. That needs no `{% generation %}` marks, which few models' templates have. Where a
template renders a prompt in another way than the start of a whole conversation, the answer begins
after the part of its generation prompt that the conversation has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from transformers import PreTrainedTokenizerBase

from tui_loop.core.data.rows import Message
from tui_loop.core.data.source_rows import resolved
from tui_loop.core.errors import BadInput

AUTO, OFF = "auto", "off"
"""The values of `data.chat_template` that are no file."""

TemplateSource = Literal["model", "trl", "file"]
"""Where the template comes from: the model, TRL's training template for it, the user's file."""

TEMPLATE_BYTES = 1_000_000
"""A larger file is no chat template; the longest known ones have 20 kB."""

Turns = tuple[Sequence[Message], str]
"""The turns of a conversation, and the tools of the row as JSON."""

_READS_REASONING = re.compile(r"\b(reasoning_content|thinking)\b")
_PROBE = Message("user", "question")


class Answer(msgspec.Struct, frozen=True):
    """What the assistant says in turn number `turn`, as characters of the rendered text.

    It reaches from `start` to `end` at most, which is before the next answer; the content ends at
    `content_end`. `is_exact`: the text before `start` is what generation begins with.
    """

    turn: int
    start: int
    content_end: int
    end: int
    is_exact: bool


class Conversation(msgspec.Struct, frozen=True):
    """A rendered conversation; `dropped` are texts of its turns that the template leaves out."""

    text: str
    answers: tuple[Answer, ...]
    dropped: tuple[str, ...] = ()


class UnknownAnswer(ValueError):
    """Raised where an answer cannot be found in the rendered conversation."""


class ChatTemplate:
    """Renders conversations with one template of a tokenizer."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        source: TemplateSource = "model",
        text: str | None = None,
    ) -> None:
        """`text` replaces the tokenizer's own template."""
        self._tokenizer = tokenizer
        self._given, self.source = text, source
        self._takes_reasoning = _READS_REASONING.search(self.text) is not None
        self._arguments_as_text = False
        self._known_headers: list[str] | None = None

    @property
    def text(self) -> str:
        """The template itself, of several named ones all."""
        return self._given or str(self._tokenizer.chat_template)

    def render(self, turns: Sequence[Message], tools: str = "", to_generate: bool = False) -> str:
        """Returns the text of `turns`; raises whatever the template raises."""
        if not self._arguments_as_text:
            try:
                return self._rendered(turns, tools, to_generate)
            except TypeError:  # some templates take the arguments of a call as JSON text only
                if not any(turn.tool_calls for turn in turns):
                    raise
                self._arguments_as_text = True
        return self._rendered(turns, tools, to_generate)

    def conversation(self, turns: Sequence[Message], tools: str = "") -> Conversation:
        """Renders `turns` and finds the answers; raises UnknownAnswer, or as the template does."""
        text = self.render(turns, tools)
        starts: list[tuple[int, int, bool]] = []
        for number, turn in enumerate(turns):
            if turn.role == "assistant":
                after = starts[-1][1] if starts else 0
                start, is_exact = self._start(text, turns[:number], tools, after)
                starts.append((number, start, is_exact))
        ends = [start for _, start, _ in starts[1:]] + [len(text)]
        answers = [
            Answer(number, start, _content_end(text, turns[number], start, end), end, is_exact)
            for (number, start, is_exact), end in zip(starts, ends, strict=True)
        ]
        return Conversation(text, tuple(answers), tuple(_dropped(text, turns)))

    def end_of_turn(self, turns: Sequence[Message], tools: str, text: str) -> int | None:
        """Returns where the last of `turns` ends in `text`, None where that does not show."""
        try:
            part = self.render(turns, tools)
        except Exception:  # some templates refuse a conversation that has only just begun
            return None
        return len(part) if text.startswith(part) else None

    def tail(self) -> str:
        """Returns what the template writes after an answer, "" where it writes nothing."""
        answer = "a7f3e1c9"  # a text that no template contains
        try:
            text = self.render([_PROBE, Message("assistant", answer)])
        except Exception:  # a template may raise anything
            return ""
        return text.partition(answer)[2]

    def can_call_tools(self) -> bool:
        """Whether the template expresses a call of a tool, its arguments and its result."""
        from trl.chat_template_utils import supports_tool_calling

        own = self._tokenizer.chat_template
        try:
            if self._given is not None:
                self._tokenizer.chat_template = self._given
            return bool(supports_tool_calling(self._tokenizer))
        except Exception:  # a template may raise anything
            return False
        finally:
            self._tokenizer.chat_template = own

    def _start(
        self, text: str, before: Sequence[Message], tools: str, after: int
    ) -> tuple[int, bool]:
        """Returns where the answer to `before` begins, and whether generation begins there.

        It comes at or after the character `after`.
        """
        prompt = self.render(before, tools, to_generate=True) if before else ""
        if prompt and text.startswith(prompt):
            return len(prompt), True
        headers = self._headers()
        for header in headers:
            known = prompt.removesuffix(headers[0])
            if known != prompt and text.startswith(known + header):
                return len(known) + len(header), False
        for header in headers:
            place = text.find(header, after)
            if place >= 0:
                return place + len(header), False
        raise UnknownAnswer("the template does not show where the assistant's answer begins")

    def _headers(self) -> list[str]:
        """Returns the generation prompt, and its beginnings that end at a token, longest first.

        Those that a user's turn has, too, are left out, since they do not show an answer.
        """
        if self._known_headers is None:
            plain = self.render([_PROBE])
            whole = self.render([_PROBE], to_generate=True)
            header = whole[len(plain) :] if whole.startswith(plain) else ""
            ids = self._tokenizer(header, add_special_tokens=False)["input_ids"]
            parts = [self._tokenizer.decode(ids[:count]) for count in range(len(ids) - 1, 0, -1)]
            self._known_headers = [
                each for each in (header, *parts) if each not in plain and header.startswith(each)
            ]
        return self._known_headers

    def _rendered(self, turns: Sequence[Message], tools: str, to_generate: bool) -> str:
        text = self._tokenizer.apply_chat_template(
            [self._as_dict(turn) for turn in turns],
            tools=json.loads(tools) if tools else None,
            chat_template=self._given,
            tokenize=False,
            add_generation_prompt=to_generate,
        )
        return str(text)

    def _as_dict(self, turn: Message) -> dict[str, Any]:
        content = turn.content
        fields: dict[str, Any] = {"role": turn.role}
        if turn.reasoning and self._takes_reasoning:
            fields["reasoning_content"] = turn.reasoning
        elif turn.reasoning:
            content = f"<think>\n{turn.reasoning}\n</think>\n\n{content}"
        fields["content"] = content
        if turn.tool_calls:
            fields["tool_calls"] = [
                {
                    "type": "function",
                    "id": call.id,
                    "function": {
                        "name": call.name,
                        "arguments": call.arguments
                        if self._arguments_as_text
                        else json.loads(call.arguments),
                    },
                }
                for call in turn.tool_calls
            ]
        if turn.name:
            fields["name"] = turn.name
        if turn.tool_call_id:
            fields["tool_call_id"] = turn.tool_call_id
        return fields


def read_template(entry: str, root: Path) -> str | None:
    """Returns the text of the file that `data.chat_template` names, None where it names none.

    Raises BadInput where the file cannot be read.
    """
    if entry in (AUTO, OFF):
        return None
    path = resolved(entry, root)
    hint = f"use {AUTO}, {OFF}, or the path of a file with a chat template"
    try:
        with path.open("rb") as file:
            content = file.read(TEMPLATE_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "cannot be read"
        raise BadInput(f"data.chat_template: {path}: {reason}", hint) from error
    if len(content) > TEMPLATE_BYTES:
        raise BadInput(f"data.chat_template: {path} is too large for a chat template", hint)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadInput(f"data.chat_template: {path} is not UTF-8 text", hint) from error


def choose_template(
    tokenizer: PreTrainedTokenizerBase,
    conversations: Sequence[Turns],
    recorded: TemplateSource | None = None,
) -> ChatTemplate:
    """Returns the template to render with: the model's, or TRL's training template for it.

    TRL's takes its place only where it renders more of the conversations without a fault.
    `recorded`: the choice of an earlier run, which is repeated.
    """
    own = ChatTemplate(tokenizer)
    if recorded == "trl":
        return _training_template(tokenizer) or own
    faults = _faults(own, conversations) if recorded is None else 0
    theirs = _training_template(tokenizer) if faults else None
    return theirs if theirs is not None and _faults(theirs, conversations) < faults else own


def _training_template(tokenizer: PreTrainedTokenizerBase) -> ChatTemplate | None:
    """Returns TRL's training template for the tokenizer's own, None where it has none."""
    from trl.chat_template_utils import get_training_chat_template

    try:
        text = get_training_chat_template(tokenizer)
    except Exception:  # ValueError for an unknown template; probing one may raise anything
        return None
    return None if text is None else ChatTemplate(tokenizer, "trl", text)


def _faults(template: ChatTemplate, conversations: Sequence[Turns]) -> int:
    """Counts the conversations that a template refuses, shortens, or begins unlike a prompt."""
    count = 0
    for turns, tools in conversations:
        try:
            rendered = template.conversation(turns, tools)
        except Exception:  # a template may raise anything
            count += 1
            continue
        count += bool(rendered.dropped) or not all(each.is_exact for each in rendered.answers)
    return count


def _content_end(text: str, turn: Message, start: int, end: int) -> int:
    """Returns where the turn's content ends; `start` where the template does not repeat it."""
    content = turn.content.strip()
    place = text.find(content, start, end) if content else -1
    return place + len(content) if place >= 0 else start


def _dropped(text: str, turns: Sequence[Message]) -> list[str]:
    """Returns the contents, reasonings and called tools that are not in the rendered text."""
    parts = [
        part
        for turn in turns
        for part in (turn.content, turn.reasoning, *(call.name for call in turn.tool_calls))
    ]
    return [part for part in parts if part.strip() and part.strip() not in text]
