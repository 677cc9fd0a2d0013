"""`ask`, `retry` and `ready` give the outputs of the evaluation, also under a set eos_token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, Qwen2Config, Qwen2ForCausalLM

from tests.engine.small_tokenizers import byte_level
from tui_loop.cli.inference_client import InferenceClient
from tui_loop.cli.retried_examples import Retried, retried, scorer_of
from tui_loop.core.data.loading import load_data
from tui_loop.core.inference_messages import GenerateResponse
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.workflow.plan import base_config, create_base, create_iteration, plan_next
from tui_loop.engine.holdout_evaluation import evaluate_holdout
from tui_loop.engine.run_host import RunHost
from tui_loop.engine.sources import read_source

pytestmark = [pytest.mark.train, pytest.mark.slow]

QWEN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>"
    "{{ 'model' if m.role == 'assistant' else m.role }}\n{{ m.content | trim }}<end_of_turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)
SIZES = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "intermediate_size": 64,
    "max_position_embeddings": 128,
}
WORDS = ["boats", "gulls", "kite", "harbour", "tide", "noon"]


def save_qwen(folder: Path) -> str:
    """Saves a small Qwen2 whose eos is not the end of a turn; returns the token that is."""
    tokenizer = byte_level(
        ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], eos="<|endoftext|>", template=QWEN
    )
    config = Qwen2Config(vocab_size=len(tokenizer), eos_token_id=0, bos_token_id=None, **SIZES)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return "<|im_end|>"


def save_gemma(folder: Path) -> str:
    """Saves a small Gemma2 whose eos is not the end of a turn; returns the token that is."""
    special = ["<pad>", "<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"]
    tokenizer = byte_level(
        special, eos="<eos>", bos="<bos>", pad="<pad>", template=GEMMA, adds="bos"
    )
    config = Gemma2Config(
        vocab_size=len(tokenizer), eos_token_id=1, bos_token_id=2, head_dim=16, **SIZES
    )
    Gemma2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return "<end_of_turn>"


@pytest.fixture(scope="module", params=[save_qwen, save_gemma])
def loop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoopFolder:
    """A loop whose base and first iteration were run under a set eos_token."""
    root = tmp_path_factory.mktemp("reproduced")
    torch.manual_seed(0)
    end = request.param(root / "model")
    rows = [
        {
            "messages": [
                {"role": "user", "content": f"Where is the {word}?"},
                {"role": "assistant", "content": f"The {word} is here."},
                {"role": "user", "content": f"How many? {count}"},
                {"role": "assistant", "content": f"There are {count}."},
            ]
        }
        for word in WORDS
        for count in range(4)
    ]
    (root / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tables: dict[str, dict[str, object]] = {
        "model": {"id": "model"},
        "data": {"train": "rows.jsonl", "eval": "rows.jsonl", "holdout": "rows.jsonl"},
        "lora": {"enabled": False},
        "training": {"max_steps": 120, "learning_rate": 5e-3, "eval_steps": 0, "save_steps": 0},
    }
    loops = LoopsFolder(root / "loops")
    made = loops.create("talk", LoopSettings(metric="exact_match", defaults=tables))
    plan = plan_next(made, parent=None, settings=[f"training.eos_token={end}"], why="a test")
    splits = load_data(plan.config, made.root, read_source).splits
    create_base(made, base_config(made, plan), splits)
    RunHost(made.existing(0), runner="thread").run()
    RunHost(create_iteration(made, plan, splits), runner="thread").run()
    return made


@pytest.fixture(scope="module")
def client(loop: LoopFolder) -> Iterator[InferenceClient]:
    with closing(InferenceClient(loop, (1, 0))) as made:
        yield made


def test_the_run_has_learned_to_stop(loop: LoopFolder) -> None:
    examples = loop.iteration(1).read_examples()
    assert sum(bool(each.passed) for each in examples) >= len(examples) / 3
    assert not any(each.truncated for each in examples)
    decided = loop.iteration(1).read_effective()["rendering"]
    assert decided["eos_token"] == decided["stop_tokens"][0]
    assert decided == {**loop.iteration(0).read_effective()["rendering"]}


def test_asking_gives_the_recorded_outputs(loop: LoopFolder, client: InferenceClient) -> None:
    recorded = {
        number: {each.id: each for each in loop.iteration(number).read_examples()}
        for number in (0, 1)
    }
    messages = client.answers_to(client.ask_examples(list(recorded[0])))
    answers = [each for each in messages if isinstance(each, GenerateResponse)]
    assert len(answers) == 2 * len(WORDS) * 4
    for answer in answers:
        example = recorded[answer.iteration][answer.example]
        assert (answer.output, answer.truncated) == (example.output, example.truncated)


def test_a_retry_gives_the_recorded_outputs_and_scores(loop: LoopFolder) -> None:
    folder = loop.iteration(1)
    examples = folder.read_examples()
    scorer = scorer_of(folder, allow_code=False)
    with closing(InferenceClient(loop, (1,))) as client:
        found = [each for each in retried(client, examples, scorer) if isinstance(each, Retried)]
    assert len(found) == len(examples)
    for each in found:
        assert each.response.output == each.example.output
        assert each.passed == each.example.passed


def test_the_holdout_is_measured_as_the_evaluation_was(loop: LoopFolder) -> None:
    result = evaluate_holdout(loop.iteration(1), [], emit=lambda message: None)
    for number, figures in ((1, result.figures), (0, result.base)):
        summary = loop.iteration(number).read_summary()
        assert summary is not None
        assert figures.score == summary.metrics["score"]
        assert figures.loss == pytest.approx(summary.metrics["eval_loss"], rel=1e-5)
