"""What the model says to each prompt: batched, length-sorted, left-padded decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from tui_loop.core.config.schema import Evaluation
from tui_loop.engine.memory import EvalBatch

SAMPLING_SEED = 0


class Generated(msgspec.Struct, frozen=True):
    """An output; `truncated` if the limit ended it rather than the model."""

    text: str
    tokens: int
    truncated: bool


class _Poll(StoppingCriteria):
    """Asks between two tokens whether to go on; `poll` raises to end the generation."""

    def __init__(self, poll: Callable[[], None]) -> None:
        self._poll = poll

    def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
        self._poll()
        return torch.zeros(input_ids.shape[0], dtype=torch.bool, device=input_ids.device)


def generate(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    *,
    settings: Evaluation,
    max_new_tokens: int,
    context: int,
    batch: EvalBatch,
    poll: Callable[[], None] = lambda: None,
    progress: Callable[[int], None] = lambda done: None,
    first: Sequence[int] = (),
    finished: Callable[[int, Generated], None] = lambda index, output: None,
) -> list[Generated]:
    """The model's continuation of each prompt (token ids), in the order given.

    Prompts are cut from the left so that prompt and output fit the model's `context`. Sampling,
    where asked for, is seeded. `poll` is called before each token and may raise. Where memory
    runs out, `batch` shrinks and the same prompts are tried again. `finished` gets the index and
    the output of each prompt as its batch is done.

    Prompts whose indices are in `first` come before the others. Then other rows share their
    batches, which may move a greedy output by float noise and by nothing else. Sampled outputs
    hang on the order, which is then kept, and `first` has no effect.
    """
    outputs: list[Generated | None] = [None] * len(prompts)
    room = max(1, context - max_new_tokens)
    cut = [prompt[-room:] for prompt in prompts]
    early = frozenset() if settings.do_sample else frozenset(first)
    order = sorted(range(len(cut)), key=lambda index: (index not in early, -len(cut[index])))
    ends = _end_ids(model, tokenizer)
    config = _generation_config(settings, max_new_tokens, ends, tokenizer.pad_token_id)
    was_training, plan = model.training, model.generation_config
    model.eval()
    model.generation_config = config
    try:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(SAMPLING_SEED)
            done = 0
            while done < len(order):
                poll()
                end = len(early) if done < len(early) else len(order)  # no batch has both
                chosen = order[done : min(done + batch.size, end)]
                prompted = [cut[index] for index in chosen]
                fits, produced = batch.attempt(
                    partial(_one_batch, model, tokenizer, prompted, config, poll), len(chosen)
                )
                if not fits:
                    continue
                for index, ids in zip(chosen, produced, strict=True):
                    outputs[index] = output = _decoded(tokenizer, ids, ends, max_new_tokens)
                    finished(index, output)
                done += len(chosen)
                progress(done)
    finally:
        model.generation_config = plan
        model.train(was_training)
    return [output for output in outputs if output is not None]


def _one_batch(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    config: GenerationConfig,
    poll: Callable[[], None],
) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), tokenizer.pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for line, prompt in enumerate(prompts):
        ids[line, width - len(prompt) :] = torch.tensor(prompt)
        mask[line, width - len(prompt) :] = 1
    produced = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=config,
        stopping_criteria=StoppingCriteriaList([_Poll(poll)]),
    )
    lines: list[list[int]] = produced[:, width:].tolist()
    return lines


def _generation_config(
    settings: Evaluation, limit: int, ends: list[int], pad_id: int
) -> GenerationConfig:
    """Only what the evaluation settings say; nothing comes from the model's own defaults."""
    sampling = (
        {
            "do_sample": True,
            "temperature": settings.temperature,
            "top_p": settings.top_p,
            "top_k": 0,
        }
        if settings.do_sample
        else {"do_sample": False}
    )
    return GenerationConfig(
        max_new_tokens=limit, eos_token_id=ends, pad_token_id=pad_id, use_cache=True, **sampling
    )


def _end_ids(model: Any, tokenizer: Any) -> list[int]:
    told = model.generation_config.eos_token_id
    ends = told if isinstance(told, list) else [] if told is None else [told]
    own = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
    return list(dict.fromkeys([*own, *ends]))


def _decoded(tokenizer: Any, ids: list[int], ends: list[int], limit: int) -> Generated:
    stop = next((place for place, token in enumerate(ids) if token in ends), None)
    body = ids if stop is None else ids[:stop]
    text = tokenizer.decode(body, skip_special_tokens=True)
    return Generated(text.strip(" "), len(body), stop is None and len(body) >= limit)
