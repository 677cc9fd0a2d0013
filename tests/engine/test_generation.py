"""Batched decoding gives what one row at a time gives, and can be ended between two tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tui_loop.core.config.schema import Config, Evaluation
from tui_loop.core.data.files.reading import read_file
from tui_loop.core.shipped import shipped
from tui_loop.engine.generation import Generated, generate
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import LoadedModel, load_model
from tui_loop.engine.run_control import StopRequested
from tui_loop.engine.stopping import Stop

pytestmark = pytest.mark.train


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(Config(), find_model("tiny", Path()))


@pytest.fixture(scope="module")
def prompts(tiny: LoadedModel) -> list[list[int]]:
    rows = read_file(shipped("sample_data", "support-intents", "eval.jsonl")).splits[""][:24]
    texts = [f"Message: {row.values['prompt']}\nIntent:" for row in rows]
    return [tiny.tokenizer(text)["input_ids"] for text in texts]


def said(tiny: LoadedModel, prompts: list[list[int]], **more: Any) -> list[Generated]:
    settings = Evaluation(**more.pop("settings", {}))
    batch = EvalBatch(more.pop("batch_size", 8))
    return generate(
        tiny.model,
        tiny.tokenizer,
        prompts,
        settings=settings,
        stop=Stop((tiny.tokenizer.eos_token_id,), tuple(more.pop("stop_strings", ()))),
        max_new_tokens=more.pop("max_new_tokens", 12),
        context=256,
        batch=batch,
        **more,
    )


def test_batches_say_what_single_rows_say(tiny: LoadedModel, prompts: list[list[int]]) -> None:
    together = said(tiny, prompts)
    alone = [said(tiny, [prompt], batch_size=1)[0] for prompt in prompts]
    assert together == alone
    assert len({output.text for output in together}) > 1


def test_an_output_that_the_limit_ended_is_marked(
    tiny: LoadedModel, prompts: list[list[int]]
) -> None:
    short, long = said(tiny, prompts, max_new_tokens=1), said(tiny, prompts, max_new_tokens=24)
    assert all(output.truncated and output.tokens == 1 for output in short)
    assert not all(output.truncated for output in long)
    assert all(output.tokens < 24 for output in long if not output.truncated)


@pytest.mark.slow
def test_sampling_is_repeatable(tiny: LoadedModel, prompts: list[list[int]]) -> None:
    settings = {"do_sample": True, "temperature": 1.5}
    assert said(tiny, prompts, settings=settings) == said(tiny, prompts, settings=settings)
    assert said(tiny, prompts, settings=settings) != said(tiny, prompts)


def test_rows_that_come_first_are_done_first_and_nothing_else_changes(
    tiny: LoadedModel, prompts: list[list[int]]
) -> None:
    order: list[int] = []
    early = [3, 20, 7, 11, 2]
    outputs = said(
        tiny, prompts, batch_size=4, first=early, on_output=lambda index, _: order.append(index)
    )
    assert outputs == said(tiny, prompts, batch_size=4)
    assert sorted(order[:5]) == sorted(early)
    assert sorted(order) == list(range(len(prompts)))


def test_sampled_outputs_keep_their_order(tiny: LoadedModel, prompts: list[list[int]]) -> None:
    settings = {"do_sample": True, "temperature": 1.5}
    plain = said(tiny, prompts, settings=settings)
    assert said(tiny, prompts, settings=settings, first=[3, 20, 7]) == plain


def test_a_stop_ends_generation_between_two_tokens(
    tiny: LoadedModel, prompts: list[list[int]]
) -> None:
    polls = 0

    def poll() -> None:
        nonlocal polls
        polls += 1
        if polls > 3:
            raise StopRequested

    with pytest.raises(StopRequested):
        said(tiny, prompts, poll=poll)
    assert polls == 4
    assert not tiny.model.training


def test_a_prompt_beyond_the_models_context_is_cut_not_crashed(tiny: LoadedModel) -> None:
    endless = tiny.tokenizer("word " * 400)["input_ids"]
    assert len(endless) > 256
    assert len(said(tiny, [endless])) == 1


def test_a_stop_string_ends_an_output_and_is_not_part_of_it(
    tiny: LoadedModel, prompts: list[list[int]]
) -> None:
    whole = said(tiny, prompts)
    longest = max(range(len(whole)), key=lambda index: whole[index].tokens)
    letter = whole[longest].text[2]
    stopped = said(tiny, prompts, stop_strings=[letter])
    assert [each.text for each in stopped] == [
        each.text.partition(letter)[0].rstrip(" ") for each in whole
    ]
    assert 0 < stopped[longest].tokens < whole[longest].tokens
    assert not any(each.truncated for each in stopped if each.tokens < 12)
