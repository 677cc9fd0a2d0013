"""Token losses against an independent computation, and their independence of settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.engine.conftest import TEMPLATE, TinyLoop
from tui_loop.core.data.files.reading import read_file
from tui_loop.core.shipped import shipped
from tui_loop.engine.memory import EvalBatch

pytestmark = pytest.mark.train


def independent_losses(prompt: str, completion: str) -> list[float]:
    """Plain transformers: one row, no padding, full logits, log-softmax by hand."""
    folder = shipped("sample_data", "tiny-base")
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    model = AutoModelForCausalLM.from_pretrained(str(folder)).eval()
    before = tokenizer(prompt)["input_ids"]
    ids = tokenizer(prompt + completion + tokenizer.eos_token)["input_ids"]
    assert ids[: len(before)] == before
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0].double()
    chances = logits.log_softmax(-1)
    return [-float(chances[at - 1, ids[at]]) for at in range(len(before), len(ids))]


@pytest.mark.slow
def test_token_losses_agree_with_plain_transformers_one_row_at_a_time(
    tiny_loop: Callable[..., TinyLoop],
) -> None:
    loop = tiny_loop()
    summary = loop.run_base()
    folder = loop.loop.iteration(0)
    tokens = folder.read_tokens()
    total, count = 0.0, 0
    for example in folder.read_examples():
        wanted = independent_losses(
            TEMPLATE.replace("{prompt}", example.prompt), " " + example.reference
        )
        found = [float(value) for _, value in tokens[example.id].tokens]
        assert found == pytest.approx(wanted, abs=1e-4)
        assert example.loss == pytest.approx(sum(wanted) / len(wanted), abs=1e-4)
        assert example.supervised_tokens == len(wanted)
        total, count = total + sum(wanted), count + len(wanted)
    assert summary.metrics["eval_loss"] == pytest.approx(total / count, abs=1e-4)
    assert summary.metrics["total"] == 12


def test_text_rows_are_supervised_from_their_second_token(
    tiny_loop: Callable[..., TinyLoop], write_lines: Callable[[str, Any], Path]
) -> None:
    texts = ["a plain line of text", "another one, a little longer than that"]
    data = write_lines("texts.jsonl", [{"text": text} for text in texts])
    held = write_lines("held.jsonl", [{"text": "held out"}])
    loop = tiny_loop(
        metric="none", data={"train": str(data), "eval": str(held), "prompt_template": None}
    )
    summary = loop.run_base()
    example = loop.loop.iteration(0).read_examples()[0]
    wanted = independent_losses("", "held out")[1:]  # position 0 has nothing before it
    found = [float(value) for _, value in loop.loop.iteration(0).read_tokens()[example.id].tokens]
    assert found == pytest.approx(wanted, abs=1e-4)
    assert summary.metrics["score"] is None
    assert example.passed is None


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        "evaluation.batch_size=1",
        "evaluation.batch_size=5",
        "training.max_length=16",
        "training.packing=true",
    ],
)
def test_eval_loss_stays_put_whatever_the_training_settings(
    tiny_loop: Callable[..., TinyLoop], setting: str
) -> None:
    loop = tiny_loop()
    base = loop.run_base()
    unmoved = ["learning_rate=1e-12", "max_steps=1", "eval_steps=1", "lora_dropout=0.0"]
    summary = loop.run(*unmoved, setting)
    assert summary.state == "finished", summary.error
    assert summary.metrics["total"] == base.metrics["total"] == 12
    assert summary.metrics["eval_loss"] == pytest.approx(base.metrics["eval_loss"], abs=1e-6)
    rows = read_file(loop.loop.iteration(1).evals / "1.jsonl").splits[""]
    assert len(rows) == 12


def test_the_trainers_own_figure_is_what_trainer_evaluate_reports(
    tmp_path: Path, write_lines: Callable[[str, Any], Path]
) -> None:
    from trl import SFTConfig, SFTTrainer

    from tui_loop.core.config.schema import Config
    from tui_loop.core.config.settings import with_settings
    from tui_loop.core.data.loading import load_data
    from tui_loop.engine.evaluation import measure_losses, prepare_eval_set
    from tui_loop.engine.model_source import find_model
    from tui_loop.engine.models import load_model
    from tui_loop.engine.rendering import Renderer
    from tui_loop.engine.training_rows import render_training_rows

    pairs = [{"prompt": f"case {n} ->", "completion": " word" * (1 + n % 5)} for n in range(20)]
    data = write_lines("pairs.jsonl", pairs)
    config = with_settings(Config(), [f"data.train={data}", f"data.eval={data}"])
    rows = load_data(config, tmp_path)
    loaded = load_model(config, find_model("tiny", tmp_path))
    renderer = Renderer(loaded.tokenizer, config, rows.mapping.shape)
    ours = measure_losses(
        loaded.model,
        prepare_eval_set(rows.eval, renderer, config.evaluation, loaded.model),
        pad_id=loaded.tokenizer.pad_token_id,
        batch=EvalBatch(16),
        poll=lambda: None,
    )
    trainer = SFTTrainer(
        model=loaded.model,
        args=SFTConfig(
            output_dir=str(tmp_path),
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            per_device_eval_batch_size=8,
        ),
        train_dataset=render_training_rows(renderer, rows.train).dataset,
        eval_dataset=render_training_rows(renderer, rows.eval).dataset,
        processing_class=loaded.tokenizer,
    )
    assert ours.trainer_eval_loss == pytest.approx(trainer.evaluate()["eval_loss"], abs=1e-4)
    assert ours.eval_loss is not None
    assert ours.eval_loss != ours.trainer_eval_loss  # it weighs tokens, not batches
