"""What is measured is what is trained: our tokens against SFTTrainer's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset
from trl import SFTConfig, SFTTrainer

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.rows import RawRow, Row
from tui_loop.core.errors import BadInput
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import LoadedModel, load_model
from tui_loop.engine.rendering import Renderer

pytestmark = pytest.mark.train

CHATML = (
    "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
PAIRS = [
    {"prompt": "where is it", "completion": "shipping"},
    {"prompt": "thank you", "completion": "praise"},
]
TURNS = [
    {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]},
    {
        "messages": [
            {"role": "user", "content": "one"},
            {"role": "assistant", "content": "two"},
            {"role": "user", "content": "three"},
            {"role": "assistant", "content": "four"},
        ]
    },
]
ORDERS = [
    {"instruction": "Name a colour", "input": "warm", "output": "red"},
    {"instruction": "Count", "input": "", "output": "one two"},
]
TEXTS = [{"text": "just a line"}, {"text": "another"}]


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(Config(), find_model("tiny", Path()))


def prepared_by_trl(loaded: LoadedModel, records: list[dict[str, Any]], folder: Path) -> list[Any]:
    """(input_ids, labels) of each record, as SFTTrainer would train on them."""
    trainer = SFTTrainer(
        model=loaded.model,
        args=SFTConfig(
            output_dir=str(folder),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
        ),
        train_dataset=Dataset.from_list(records),
        processing_class=loaded.tokenizer,
    )
    return [(row["input_ids"], row["labels"]) for row in trainer.train_dataset]


def mapped(rows: list[dict[str, Any]]) -> tuple[list[Row], Any]:
    raws = [RawRow(line, row) for line, row in enumerate(rows, 1)]
    mapping = find_mapping(raws, "rows", metric="exact_match")
    return map_rows(raws, mapping, "rows"), mapping


@pytest.mark.parametrize(
    ("rows", "settings", "chat"),
    [
        (PAIRS, [], False),
        (PAIRS, ["data.prompt_template='Message: {prompt} Intent:'"], False),
        (PAIRS, [], True),
        (PAIRS, ["data.chat_template=off", "data.prompt_template='{prompt} :'"], True),
        (ORDERS, [], False),
        (ORDERS, [], True),
        (TEXTS, [], False),
    ],
)
def test_supervised_tokens_are_those_that_sfttrainer_trains_on(
    rows: list[dict[str, Any]], settings: list[str], chat: bool, tiny: LoadedModel, tmp_path: Path
) -> None:
    tiny.tokenizer.chat_template = CHATML if chat else None
    mapped_rows, mapping = mapped(rows)
    renderer = Renderer(tiny.tokenizer, with_settings(Config(), settings), mapping.shape)
    theirs = prepared_by_trl(tiny, [renderer.training_record(row) for row in mapped_rows], tmp_path)
    for row, (ids, labels) in zip(mapped_rows, theirs, strict=True):
        ours = renderer.tokens(row)
        assert ours.ids == ids
        supervised = [at for at, label in enumerate(labels) if label != -100 and at > 0]
        assert supervised == list(range(ours.start, len(ours.ids)))


def test_messages_are_trained_whole_and_measured_on_the_last_turn(
    tiny: LoadedModel, tmp_path: Path
) -> None:
    tiny.tokenizer.chat_template = CHATML
    rows, mapping = mapped(TURNS)
    renderer = Renderer(tiny.tokenizer, Config(), mapping.shape)
    theirs = prepared_by_trl(tiny, [renderer.training_record(row) for row in rows], tmp_path)
    for row, (ids, _) in zip(rows, theirs, strict=True):
        ours = renderer.tokens(row)
        assert ours.ids == ids
        said = tiny.tokenizer.decode(ours.ids[ours.start :])
        assert said == f"{row.reference}<|end|>\n"
        assert tiny.tokenizer.decode(ours.prompt_ids).endswith("<|assistant|>")


def test_messages_without_a_chat_template_are_refused_with_what_to_do(tiny: LoadedModel) -> None:
    tiny.tokenizer.chat_template = None
    with pytest.raises(BadInput, match="no chat template") as caught:
        Renderer(tiny.tokenizer, Config(), "messages")
    assert "instruct model" in caught.value.hint


def test_a_long_row_is_cut_from_the_left_and_stays(tiny: LoadedModel) -> None:
    tiny.tokenizer.chat_template = None
    row = Row("x", "word " * 300, "shipping", 1)
    renderer = Renderer(
        tiny.tokenizer,
        with_settings(Config(), ["data.prompt_template='{prompt} :'"]),
        "prompt_completion",
    )
    whole, cut = renderer.tokens(row), renderer.tokens(row, limit=40)
    assert len(cut.ids) == 40
    assert cut.ids == whole.ids[-40:]
    assert cut.ids[cut.start :] == whole.ids[whole.start :]
    assert cut.cut == len(whole.ids) - 40
