"""Renders rows as tokens, once for training, evaluation and generation.

A row's tokens begin with exactly the tokens that generation begins with, so that a model is asked
as it was trained. Where the prompt's last token would merge with the answer's first, the row is
split at the end of the prompt, as it is for generation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec
from transformers import PreTrainedTokenizerBase

from tui_loop.core.config.schema import Config
from tui_loop.core.data.rows import Message, Row, Shape
from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import short_hash
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.encoding import Encoded, Encoder
from tui_loop.engine.models import LoadedModel, end_ids
from tui_loop.engine.stopping import Stop, first_special
from tui_loop.engine.templates import (
    OFF,
    Answer,
    ChatTemplate,
    Conversation,
    TemplateSource,
    Turns,
    choose_template,
    read_template,
)

Flaw = Literal["merged", "other_prompt", "no_stop", "dropped"]
"""What is wrong with a rendered row.

merged: a token would reach across the prompt's end. other_prompt: generation would begin with
another text than the row does. no_stop: an answer does not end with a token that ends generation.
dropped: the template leaves out a part of the row.
"""

SAMPLED_ROWS = 20
"""Rows that are rendered to choose a template."""


class Tokens(msgspec.Struct, frozen=True):
    """A row as token ids with its loss mask.

    `trained[i]`: the loss of `ids[i]` counts, in training and in evaluation. `prompt_ids` are the
    tokens that generation begins with; the last answer begins at `start`. `cut` tokens were
    removed from the row's start. `answer_tokens` belong to answers, trained on or not.
    """

    ids: list[int]
    trained: list[bool]
    start: int
    prompt_ids: list[int]
    cut: int = 0
    flaws: tuple[Flaw, ...] = ()
    answer_tokens: int = 0

    @property
    def supervised(self) -> list[int]:
        """Returns the places of the tokens whose loss is measured; the first token has none."""
        return [place for place, trained in enumerate(self.trained) if trained and place > 0]

    def from_left(self, limit: int | None) -> Tokens:
        """Returns the last `limit` tokens."""
        cut = max(0, len(self.ids) - limit) if limit else 0
        if not cut:
            return self
        return msgspec.structs.replace(
            self,
            ids=self.ids[cut:],
            trained=self.trained[cut:],
            start=max(0, self.start - cut),
            cut=cut,
        )


class RowNotRendered(BadInput):
    """A row that the chat template refuses; `reason` does not name the place."""

    def __init__(self, row: Row, fault: Exception) -> None:
        self.reason = one_line(str(fault), 160) or type(fault).__name__
        super().__init__(
            f"{row.place}: the chat template rejects this row: {self.reason}",
            "correct or remove the row, or choose a model whose chat template accepts it",
        )


class Part(msgspec.Struct, frozen=True):
    """The tokens from `start` to `end` of a row, and the role that they belong to."""

    role: str
    start: int
    end: int


class Renderer:
    """Renders the rows of one shape for one tokenizer.

    Raises BadInput where there is no chat template that can express the rows.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: Config,
        shape: Shape,
        *,
        root: Path = Path(),
        rows: Sequence[Row] = (),
        model_ends: Sequence[int] = (),
        recorded: TemplateSource | None = None,
    ) -> None:
        """`root`: where the path of a template starts. `rows`: a sample of those to render.
        `model_ends`: the ids that end the model's generation. `recorded`: where the template of
        an earlier run came from.
        """
        self._tokenizer, self._shape, self._config = tokenizer, shape, config
        self._own_template = read_template(config.data.chat_template, root)
        self.encoder = Encoder(tokenizer)
        self._prompt_template = config.data.prompt_template
        self._train_on = config.data.train_on
        has_template = bool(self._own_template or tokenizer.chat_template)
        is_off = config.data.chat_template == OFF
        self.uses_chat = shape == "messages" or (shape != "text" and has_template and not is_off)
        if shape == "messages" and (is_off or not has_template):
            reason = "data.chat_template is off" if is_off else f"{config.model.id} has none"
            raise BadInput(
                f"conversations need a chat template, but {reason}",
                "choose an instruct model, or --set data.chat_template=FILE",
            )
        self.template: ChatTemplate | None = None
        if self.uses_chat:
            self.template = self._choose_template(rows, recorded)
        self.turn_end: int | None = None
        self.stop = self._choose_stop(model_ends)

    @property
    def template_hash(self) -> str | None:
        """A hash of the chat template in use, None without one."""
        return short_hash(self.template.text) if self.template is not None else None

    @property
    def template_source(self) -> TemplateSource | None:
        """Where the chat template in use comes from, None without one."""
        return self.template.source if self.template is not None else None

    def stop_with(self, strings: Sequence[str]) -> Stop:
        """Returns the stop with other strings in place of the config's."""
        own = [each for each in self.stop.strings if each not in self._config.evaluation.stop]
        return Stop(self.stop.ids, tuple(dict.fromkeys([*own, *strings])))

    @property
    def decisions(self) -> dict[str, Any]:
        """Returns for the record what was decided once: the template, the stop, the lead."""
        tokens = self._tokenizer
        return {
            "template": self.template_source,
            "stop_ids": list(self.stop.ids),
            "stop_tokens": tokens.convert_ids_to_tokens(list(self.stop.ids)),
            "stop_strings": list(self.stop.strings),
            "eos_token": tokens.eos_token,
            "before": tokens.convert_ids_to_tokens(self.encoder.lead),
        }

    def tokens(self, row: Row, limit: int | None = None) -> Tokens:
        """Returns the row's tokens, cut from the left to `limit` tokens.

        Raises BadInput where the chat template refuses the row.
        """
        if self._shape == "text":
            return self._text(row).from_left(limit)
        if self.template is None:
            return self._plain(row).from_left(limit)
        return self._chat(row, self.conversation(row)).from_left(limit)

    def prompt_ids(self, row: Row) -> list[int]:
        """Returns the tokens to generate on; for plain text, the prompt without a template."""
        if self._shape == "text":
            return self.encoder.with_lead(row.prompt)
        if self.template is None:
            return self.encoder.with_lead(self._prompt_and_completion(row)[0])
        return self.tokens(row).prompt_ids

    def conversation(self, row: Row) -> Conversation:
        """Returns the rendered turns of a row; raises BadInput where the template refuses them."""
        assert self.template is not None
        try:
            return self.template.conversation(self.turns(row), row.tools)
        except Exception as fault:  # a template may raise anything
            raise RowNotRendered(row, fault) from fault

    def turns(self, row: Row) -> Sequence[Message]:
        """Returns the turns that the chat template gets; a plain row has two."""
        if not row.messages:
            return Message("user", self._with_template(row.prompt)), Message(
                "assistant", row.reference or " "
            )
        asks = [at for at, turn in enumerate(row.messages) if turn.role == "user"]
        if self._shape == "messages" or self._prompt_template is None or not asks:
            return row.messages
        turns, asked = list(row.messages), asks[-1]
        turns[asked] = msgspec.structs.replace(
            turns[asked], content=self._with_template(turns[asked].content)
        )
        return turns

    def parts(self, row: Row) -> list[Part]:
        """Returns the row's turns as parts of its tokens.

        Turns whose border the template does not show are one part.
        """
        if self._shape == "text":
            return [Part("text", 0, len(self.tokens(row).ids))]
        if self.template is None:
            tokens = self.tokens(row)
            end = len(tokens.ids)
            return [Part("prompt", 0, tokens.start), Part("completion", tokens.start, end)]
        turns, rendered = self.turns(row), self.conversation(row)
        encoded = self._encoded(rendered)
        answers = {
            each.turn: self._answer(row, each, rendered, encoded)[1] for each in rendered.answers
        }
        parts: list[Part] = []
        roles: list[str] = []
        for number, turn in enumerate(turns):
            roles += [turn.role] if turn.role not in roles else []
            start = parts[-1].end if parts else 0
            place = self.template.end_of_turn(turns[: number + 1], row.tools, rendered.text)
            end = answers.get(number, start) if place is None else encoded.before(place)
            if number == len(turns) - 1:
                end = len(encoded.ids)
            if end > start:
                parts.append(Part(", ".join(roles), start, end))
                roles = []
        return parts

    def _text(self, row: Row) -> Tokens:
        ids, flaws = self._ended(self.encoder.with_lead(row.reference), row.reference)
        count = len(ids)
        return Tokens(ids, [True] * count, min(1, count), [], flaws=flaws, answer_tokens=count)

    def _plain(self, row: Row) -> Tokens:
        prompt, completion = self._prompt_and_completion(row)
        encoded = self.encoder.split(prompt + completion, [len(prompt)], with_lead=True)
        ids, flaws = self._ended(encoded.ids, completion)
        start = encoded.before(len(prompt))
        trained = [self._train_on == "all" or place >= start for place in range(len(ids))]
        merged: tuple[Flaw, ...] = ("merged",) if encoded.merged else ()
        return Tokens(
            ids,
            trained,
            start,
            ids[:start],
            flaws=(*merged, *flaws),
            answer_tokens=len(ids) - start,
        )

    def _ended(self, ids: list[int], text: str) -> tuple[list[int], tuple[Flaw, ...]]:
        """Returns `ids` with the end-of-sequence token, unless their `text` ends with it."""
        eos = self._tokenizer.eos_token_id
        if eos is None:
            return ids, ("no_stop",)
        is_ended = ids[-1:] == [eos] or text.rstrip().endswith(str(self._tokenizer.eos_token))
        return (ids if is_ended else [*ids, eos]), ()

    def _encoded(self, rendered: Conversation) -> Encoded:
        return self.encoder.split(rendered.text, [each.start for each in rendered.answers])

    def _chat(self, row: Row, rendered: Conversation) -> Tokens:
        turns, encoded = self.turns(row), self._encoded(rendered)
        ids, last = encoded.ids, rendered.answers[-1]
        trained = [self._train_on == "all"] * len(ids)
        flaws: list[Flaw] = ["merged"] if encoded.merged else []
        answer_tokens = counted = end = 0
        for answer in rendered.answers:
            turn = turns[answer.turn]
            start, end, is_ended = self._answer(row, answer, rendered, encoded)
            counted = end if answer.turn < row.counted_from else counted
            trains = self._trains(turn, is_last=answer is last)
            answer_tokens += end - start
            if trains:
                flaws += [] if is_ended else ["no_stop"]
                flaws += [] if answer.is_exact else ["other_prompt"]
            if self._train_on != "all" or turn.trains is False:
                trained[start:end] = [trains] * (end - start)
        trained[:counted] = [False] * counted
        if row.conversation:  # what follows an answer is counted with the next one
            trained[end:] = [False] * (len(ids) - end)
        flaws += ["dropped"] if rendered.dropped else []
        start = encoded.before(last.start)
        return Tokens(
            ids,
            trained,
            start,
            ids[:start],
            flaws=tuple(dict.fromkeys(flaws)),
            answer_tokens=answer_tokens,
        )

    def _trains(self, turn: Message, *, is_last: bool) -> bool:
        """Whether an answer is trained on; what its row says comes before `data.train_on`."""
        if turn.trains is not None:
            return turn.trains
        return is_last or self._train_on != "last"

    def _answer(
        self, row: Row, answer: Answer, rendered: Conversation, encoded: Encoded
    ) -> tuple[int, int, bool]:
        """Returns the first token of an answer, the one after its last, and whether a stop ends it.

        What a template writes after the stop, mostly a newline, is not part of the answer.
        """
        start, end = encoded.before(answer.start), encoded.before(answer.end)
        for at in range(max(start, encoded.before(answer.content_end)), end):
            if encoded.ids[at] in self.stop.ids:
                return start, at + 1, True
        for mark in self.stop.strings:
            place = rendered.text.find(mark, answer.content_end, answer.end)
            if place >= 0:
                return start, min(encoded.reaching(place + len(mark)), end), True
        limit: int | None = answer.end
        if answer is not rendered.answers[-1]:
            assert self.template is not None
            turns = self.turns(row)[: answer.turn + 1]
            limit = self.template.end_of_turn(turns, row.tools, rendered.text)
            limit = answer.content_end if limit is None else limit
        said = rendered.text[answer.start : limit].rstrip()
        return start, max(start, min(encoded.before(answer.start + len(said)), end)), False

    def _choose_template(
        self, rows: Sequence[Row], recorded: TemplateSource | None
    ) -> ChatTemplate:
        if self._own_template is not None:
            template = ChatTemplate(self._tokenizer, "file", self._own_template)
        else:
            sample: list[Turns] = [(self.turns(row), row.tools) for row in rows[:SAMPLED_ROWS]]
            template = choose_template(self._tokenizer, sample, recorded)
        if any(row.uses_tools for row in rows) and not template.can_call_tools():
            raise BadInput(
                f"the chat template of {self._config.model.id} does not support tool calls",
                "choose a model whose template supports them, or --set data.chat_template=FILE",
            )
        return template

    def _choose_stop(self, model_ends: Sequence[int]) -> Stop:
        """Returns what ends an answer for the tokenizer, the template, the model and the config.

        A template may end a turn with text that is no token of its own: then that text does.
        """
        eos = self._tokenizer.eos_token_id
        tail = self.template.tail() if self.template is not None else ""
        self.turn_end = first_special(self._tokenizer, tail)
        ids = [each for each in (eos, self.turn_end) if each is not None]
        text = tail.strip() if self.turn_end is None else ""
        strings = [*([text] if text else []), *self._config.evaluation.stop]
        return Stop(tuple(dict.fromkeys([*ids, *model_ends])), tuple(dict.fromkeys(strings)))

    def _prompt_and_completion(self, row: Row) -> tuple[str, str]:
        """Returns two parts of one text; a space separates a template from the completion."""
        if row.messages:
            if row.uses_tools:
                raise BadInput(
                    f"{row.place}: tools need a chat template, but "
                    f"{self._config.model.id} has none",
                    "choose an instruct model, or --set data.chat_template=FILE",
                )
            prompt = "\n\n".join(turn.content for turn in self.turns(row)[:-1])
        else:
            prompt = self._with_template(row.prompt)
        needs_space = self._prompt_template is not None and not prompt[-1:].isspace()
        space = " " if needs_space and not row.reference[:1].isspace() else ""
        return prompt, space + row.reference

    def _with_template(self, prompt: str) -> str:
        if self._prompt_template is None:
            return prompt
        return self._prompt_template.replace("{prompt}", prompt)


def recorded_renderer(
    loaded: LoadedModel, config: Config, shape: Shape, root: Path, effective: Mapping[str, Any]
) -> Renderer:
    """Returns the renderer of a recorded run, with the decisions in its `effective` values.

    A run of an earlier version has none: it used the model's template, and the ids of the
    tokenizer and the model as the stop.
    """
    decided = effective.get("rendering", {})
    source: TemplateSource = "trl" if decided.get("template") == "trl" else "model"
    ends = end_ids(loaded.model.generation_config.eos_token_id)
    renderer = Renderer(
        loaded.tokenizer, config, shape, root=root, model_ends=ends, recorded=source
    )
    strings = renderer.stop.strings if decided else tuple(config.evaluation.stop)
    own_ids = (loaded.tokenizer.eos_token_id, *ends)
    ids = decided.get("stop_ids") or [each for each in own_ids if each is not None]
    renderer.stop = Stop(tuple(dict.fromkeys(ids)), strings)
    return renderer
