"""A model that has memorised the rows answers all of them, whatever the template and tokenizer.

The look-up model continues the longest trained row that its prompt begins; it knows nothing else.
So a score of 100% means that generation begins as the row does, and stops where the row stops.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from transformers import GPT2Config, PreTrainedTokenizerFast
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.modeling_utils import PreTrainedModel

from tests.engine.small_tokenizers import byte_level, sentence_piece
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.rows import Message, Row, Shape
from tui_loop.engine.evaluation import evaluate, prepare_eval_set
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.scorers import scorer_for

pytestmark = pytest.mark.train

SPECIAL = ["<s>", "</s>", "<pad>", "<turn>", "<end>"]
NO_TOKEN = 1
"""What the model says where it knows no row: an unlikely token that is not a stop."""


class LookUp(PreTrainedModel, GenerationMixin):
    """Continues the rows that it has memorised, token by token."""

    config_class = GPT2Config

    def __init__(self, rows: Sequence[list[int]], vocabulary: int) -> None:
        super().__init__(
            GPT2Config(vocab_size=vocabulary, n_positions=512, bos_token_id=None, eos_token_id=None)
        )
        self.anything = torch.nn.Parameter(torch.zeros(1))
        self._next: dict[tuple[int, ...], int] = {}
        for row in rows:
            for end in range(1, len(row)):
                self._next[tuple(row[:end])] = row[end]

    def prepare_inputs_for_generation(
        self, input_ids: Any, attention_mask: Any = None, **_: Any
    ) -> dict[str, Any]:
        return {"input_ids": input_ids, "attention_mask": attention_mask}

    def forward(self, input_ids: Any, attention_mask: Any = None, **_: Any) -> Any:
        attention_mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        logits = torch.zeros((*input_ids.shape, self.config.vocab_size))
        for line, (ids, mask) in enumerate(zip(input_ids, attention_mask, strict=True)):
            seen: list[int] = []
            for place, (token, is_there) in enumerate(zip(ids, mask, strict=True)):
                if is_there:
                    seen.append(int(token))
                    logits[line, place, self._next.get(tuple(seen), NO_TOKEN)] = 9.0
        return CausalLMOutputWithPast(logits=logits)


def template_of(*, lead: str, head: str, end: str, system: str, trim: str) -> str:
    """A chat template: a text before all, each turn's head and end, a system turn of its own."""
    turn = f"{head.replace('ROLE', '{{ m.role }}')}{{{{ m.content{trim} }}}}{end}"
    prompt = f"{{% if add_generation_prompt %}}{head.replace('ROLE', 'assistant')}{{% endif %}}"
    first = ""
    if system:
        text = f"{head.replace('ROLE', 'system')}{system}{end}"
        first = f"{{% if messages[0].role != 'system' %}}{text}{{% endif %}}"
    return f"{lead}{first}{{% for m in messages %}}{turn}{{% endfor %}}{prompt}"


TEMPLATES = [
    template_of(lead=lead, head=head, end=end, system=system, trim=trim)
    for lead in ("", "{{ bos_token }}")
    for head in ("<turn>ROLE\n", "<turn>ROLE: ", "### ROLE:\n")
    for end in ("<end>\n", "<end>", "</s>", " [done]\n")
    for system in ("", "Be kind.")
    for trim in ("", " | trim")
]
WORDS = "red kite harbour noon seven boats leak tide gulls ask list value 12 crient là".split()  # noqa: SIM905
TAILS = {"": "", ":": "", "?": "", " boa": "ts and ", " har": "bour at ", "\n": ""}
"""How prompts end, and how their answers begin: some continue the prompt's last word."""


def rows_of(chance: random.Random, kind: str) -> list[Row]:
    """Rows with unique prompts; each answer can be told from every other."""
    rows = []
    for number in range(6):
        text = " ".join(chance.choices(WORDS, k=chance.randint(2, 6)))
        tail, begun = chance.choice(list(TAILS.items()))
        prompt = f"{text} {number}{tail}"
        answer = " ".join(chance.choices(WORDS, k=chance.randint(1, 4)))
        reference = f"{begun if kind == 'plain' else ''}{answer} {number}"
        turns: tuple[Message, ...] = ()
        if kind == "messages":
            turns = (Message("user", prompt), Message("assistant", reference))
            if chance.random() < 0.5:
                turns = (
                    Message("user", "first"),
                    Message("assistant", f"before {number}"),
                    *turns,
                )
        space = " " if kind == "plain" and not begun and chance.random() < 0.5 else ""
        rows.append(Row(str(number), prompt, space + reference, number + 1, turns))
    return rows


def tokenizers(chance: random.Random) -> PreTrainedTokenizerFast:
    make: Callable[..., PreTrainedTokenizerFast] = chance.choice([byte_level, sentence_piece])
    eos = chance.choice(["</s>", "<s>"])  # or that which is also the first token
    return make(
        SPECIAL,
        eos=eos,
        bos="<s>",
        pad=chance.choice(["<pad>", eos]),
        adds=chance.choice(["", "bos", "eos", "both"]),
    )


def evaluated(
    rows: list[Row], tokenizer: PreTrainedTokenizerFast, shape: Shape, *settings: str
) -> tuple[float, Renderer]:
    """The score of the look-up model, and the renderer of its rows."""
    config = with_settings(Config(), list(settings))
    renderer = Renderer(tokenizer, config, shape, rows=rows)
    tokens = [renderer.tokens(row) for row in rows]
    for each in tokens:
        assert each.ids[: each.start] == each.prompt_ids
        assert tokenizer.chat_template or tokenizer.eos_token_id not in each.prompt_ids[1:]
    model = LookUp([each.ids for each in tokens], len(tokenizer))
    eval_set = prepare_eval_set(rows, renderer, config.evaluation, model)
    examples, _, metrics = evaluate(
        model,
        tokenizer,
        eval_set,
        scorer_for(config.evaluation, [], __file__),  # type: ignore[arg-type]
        settings=config.evaluation,
        batch=EvalBatch(4),
        labels=[],
        poll=lambda: None,
        on_progress=lambda done, total: None,
    )
    for example, row in zip(examples, rows, strict=True):
        assert example.output == row.reference.strip(), (example.output, row.reference)
    return metrics["score"], renderer


SEEDS = [*range(12), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(12, 60))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_memorised_conversation_is_answered_and_ended(seed: int) -> None:
    chance = random.Random(seed)
    tokenizer = tokenizers(chance)
    tokenizer.chat_template = chance.choice(TEMPLATES)
    rows = rows_of(chance, "messages")
    train_on = chance.choice(["assistant", "last", "all"])
    score, _ = evaluated(rows, tokenizer, "messages", f"data.train_on={train_on}")
    assert score == 1.0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_memorised_completion_is_answered_and_ended(seed: int) -> None:
    chance = random.Random(seed)
    tokenizer = tokenizers(chance)
    if seed % 3 == 0:
        tokenizer.chat_template = chance.choice(TEMPLATES)
    score, _ = evaluated(rows_of(chance, "plain"), tokenizer, "prompt_completion")
    assert score == 1.0
