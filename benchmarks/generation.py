"""Batched generation against one row at a time, on the tiny base, same outputs."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmarks.measure import Result, paired_ratio, seconds
from benchmarks.scale import sized
from tui_loop.core.config.schema import Config, Evaluation
from tui_loop.core.data.files.reading import read_file
from tui_loop.core.shipped import shipped
from tui_loop.engine.generation import Generated, generate
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import LoadedModel, load_model
from tui_loop.engine.stopping import Stop

ROWS, PAIRS = sized((96, 5), (6, 1))


def results() -> list[Result]:
    torch.set_num_threads(1)
    loaded = load_model(Config(), find_model("tiny", Path()))
    rows = read_file(shipped("sample_data", "support-intents", "eval.jsonl")).splits[""][:ROWS]
    messages = [str(row.values["prompt"]) for row in rows]
    labels = [f"Message: {message}\nIntent:" for message in messages]
    openings = ["Message: " + " ".join(message.split()[:3]) for message in messages]
    return [
        _ratio(loaded, openings, 8, "a message continued by 8 tokens at most", 4),
        _ratio(
            loaded, openings, 32, "by 32 at most: rows end apart, a batch waits for its last", 1
        ),
        _ratio(loaded, labels, 8, "a label of one token: reading the prompt is all", 1),
    ]


def _ratio(
    loaded: LoadedModel, texts: list[str], new_tokens: int, what: str, limit: float
) -> Result:
    prompts = [loaded.tokenizer(text)["input_ids"] for text in texts]

    def said(batch_size: int) -> list[Generated]:
        return generate(
            loaded.model,
            loaded.tokenizer,
            prompts,
            settings=Evaluation(),
            stop=Stop((loaded.tokenizer.eos_token_id,)),
            max_new_tokens=new_tokens,
            context=256,
            batch=EvalBatch(batch_size),
        )

    batched, alone = said(16), said(1)
    ratio, slow, fast = paired_ratio(
        lambda: seconds(lambda: said(1)), lambda: seconds(lambda: said(16)), PAIRS
    )
    tokens = sum(output.tokens for output in alone) / ROWS
    note = (
        f"{what}: {tokens:.1f} new tokens a row; {ROWS} rows {min(slow):.2f} s alone, "
        f"{min(fast):.2f} s by 16; outputs {'equal' if batched == alone else 'DIFFER'}"
    )
    return Result("generation, one row at a time / batched", ratio, limit, at_least=True, note=note)
