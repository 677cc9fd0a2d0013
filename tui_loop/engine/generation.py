"""Generates outputs: batched, length-sorted, left-padded decoding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import msgspec
import torch
from transformers import GenerationConfig, StoppingCriteria, StoppingCriteriaList

from tui_loop.core.config.schema import Evaluation
from tui_loop.engine.architectures import batches_change_outputs, without_router_losses
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.stopping import Stop, StopStrings

SAMPLING_SEED = 0
"""Fixed, so that sampled outputs of two evaluations differ by the weights alone."""


MARKS = frozenset(
    {
        *("<tool_call>", "</tool_call>", "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "<|python_tag|>"),
        *("<think>", "</think>", "[THINK]", "[/THINK]", "<|channel|>", "<|message|>"),
    }
)
"""Tokens that some tokenizers count as special although they are part of an answer."""


class Generated(msgspec.Struct, frozen=True):
    """An output and its number of tokens; `truncated`: the limit ended it, not the model."""

    text: str
    tokens: int
    truncated: bool


class _PollEachToken(StoppingCriteria):
    """Calls `poll` after each token; `poll` raises to end the generation."""

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
    stop: Stop,
    max_new_tokens: int,
    context: int,
    batch: EvalBatch,
    poll: Callable[[], None] = lambda: None,
    on_progress: Callable[[int], None] = lambda done: None,
    first: Sequence[int] = (),
    on_output: Callable[[int, Generated], None] = lambda index, output: None,
) -> list[Generated]:
    """Returns the model's continuation of each prompt (token ids), in the order of the prompts.

    Prompts are cut from the left so that prompt and output fit into the model's `context`.
    Sampling is seeded. `poll` is called before each token and may raise. Where memory runs out,
    `batch` shrinks and the same prompts are tried again. `on_output` gets the index and output of
    each prompt when its batch is done. Prompts get a batch each for a model that gives another
    output to a prompt in a batch.

    Prompts whose indices are in `first` are generated before the others. That changes which rows
    share a batch, which can change a greedy output only by float noise. Sampled outputs depend on
    the order, so that `first` has no effect on them.
    """
    outputs: list[Generated | None] = [None] * len(prompts)
    room = max(1, context - max_new_tokens)
    cut = [prompt[-room:] for prompt in prompts]
    early = frozenset() if settings.do_sample else frozenset(first)
    # Longest first, so that a lack of memory shows at once; similar lengths need little padding.
    order = sorted(range(len(cut)), key=lambda index: (index not in early, -len(cut[index])))
    config = _generation_config(settings, max_new_tokens, list(stop.ids), tokenizer.pad_token_id)
    hidden = _hidden_ids(tokenizer)
    was_training, previous_config = model.training, model.generation_config
    model.eval()
    # Replaced: `generate` fills unset fields from the model's own config (transformers 5.23,
    # `_prepare_generation_config`), and the settings of the evaluation alone are to count.
    model.generation_config = config
    try:
        # Forked: the check before training generates, too, and must not change the run's results.
        with torch.random.fork_rng(), torch.no_grad(), without_router_losses(model):
            most = _rows_in_a_batch(model, cut, batch, tokenizer.pad_token_id)
            torch.manual_seed(SAMPLING_SEED)
            done = 0
            while done < len(order):
                poll()
                end = len(early) if done < len(early) else len(order)  # no batch has both
                chosen = order[done : min(done + batch.size, done + most, end)]
                batch_prompts = [cut[index] for index in chosen]
                fits, produced = batch.attempt(
                    partial(
                        _generate_batch,
                        model,
                        tokenizer,
                        batch_prompts,
                        config,
                        stop=stop,
                        poll=poll,
                    ),
                    len(chosen),
                )
                if not fits:
                    continue
                for index, ids in zip(chosen, produced, strict=True):
                    outputs[index] = output = _decoded(tokenizer, ids, stop, hidden, max_new_tokens)
                    on_output(index, output)
                done += len(chosen)
                on_progress(done)
    finally:
        model.generation_config = previous_config
        model.train(was_training)
    return [output for output in outputs if output is not None]


def _rows_in_a_batch(
    model: Any, prompts: Sequence[list[int]], batch: EvalBatch, pad_id: int
) -> int:
    """Returns 1 where the model's outputs depend on the rows of a batch, else the batch size."""
    ids = max(prompts, key=len, default=[])
    if batch.size == 1 or len(prompts) < 2 or not ids:
        return batch.size
    return 1 if batches_change_outputs(model, ids, pad_id) else batch.size


def _generate_batch(
    model: Any,
    tokenizer: Any,
    prompts: list[list[int]],
    config: GenerationConfig,
    *,
    stop: Stop,
    poll: Callable[[], None],
) -> list[list[int]]:
    width = max(len(prompt) for prompt in prompts)
    ids = torch.full((len(prompts), width), tokenizer.pad_token_id, dtype=torch.long)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for line, prompt in enumerate(prompts):
        ids[line, width - len(prompt) :] = torch.tensor(prompt)
        mask[line, width - len(prompt) :] = 1
    criteria: list[StoppingCriteria] = [_PollEachToken(poll)]
    if stop.strings:
        criteria.append(StopStrings(tokenizer, stop.strings, width))
    produced = model.generate(
        input_ids=ids.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=config,
        stopping_criteria=StoppingCriteriaList(criteria),
    )
    outputs: list[list[int]] = produced[:, width:].tolist()
    return outputs


def _generation_config(
    settings: Evaluation, limit: int, end_ids: list[int], pad_id: int
) -> GenerationConfig:
    """Makes the config from the evaluation settings alone, without the model's own defaults."""
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
        max_new_tokens=limit, eos_token_id=end_ids, pad_token_id=pad_id, use_cache=True, **sampling
    )


def _decoded(
    tokenizer: Any, ids: list[int], stop: Stop, hidden: frozenset[int], limit: int
) -> Generated:
    end = next((place for place, token in enumerate(ids) if token in stop.ids), None)
    body = ids if end is None else ids[:end]
    while stop.strings and body and body[-1] == tokenizer.pad_token_id:
        body = body[:-1]  # a row that a string ended is padded to the length of its batch
    text, is_cut = stop.cut(tokenizer.decode([each for each in body if each not in hidden]))
    truncated = end is None and not is_cut and len(body) >= limit
    return Generated(text.strip(" "), len(body), truncated)


def _hidden_ids(tokenizer: Any) -> frozenset[int]:
    """Returns the special tokens that an output is shown without."""
    ids = tokenizer.all_special_ids
    tokens = tokenizer.convert_ids_to_tokens(ids)
    return frozenset(each for each, text in zip(ids, tokens, strict=True) if text not in MARKS)
