"""What an evaluation records of each held-out example beside its output: causes, cut, columns."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine.conftest import TinyLoop
from tui_loop.core.data.loading import load_data
from tui_loop.core.examples.causes import causes_of, measured_of
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import load_model
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.sources import read_source

pytestmark = pytest.mark.train

LIMIT = 40
WORDS = "my parcel is late and nobody answers "


@pytest.fixture
def loop(tiny_loop: Callable[..., TinyLoop], tmp_path: Path) -> TinyLoop:
    """Held-out prompts of growing length with a channel each; the longest lose their start."""
    path = tmp_path / "held.jsonl"
    rows = [
        {"prompt": WORDS * n + str(n), "completion": "refund", "channel": ("mail", "chat")[n % 2]}
        for n in range(1, 7)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tiny_loop(data={"eval": str(path)}, evaluation={"max_length": LIMIT})


@pytest.mark.slow
def test_the_record_has_causes_what_was_cut_of_the_prompt_and_columns(loop: TinyLoop) -> None:
    loop.run_base()
    folder = loop.loop.iteration(0)
    examples = folder.read_examples()

    config = folder.read_config()
    loaded = load_model(config, find_model(config.model.id, loop.loop.root))
    rows = load_data(config, loop.loop.root, read_source).eval
    renderer = Renderer(loaded.tokenizer, config, "prompt_completion")
    whole = [renderer.tokens(row) for row in rows]
    assert [each.prompt_cut for each in examples] == [
        max(0, len(tokens.ids) - LIMIT) for tokens in whole
    ]
    assert examples[0].prompt_cut == 0 < examples[-1].prompt_cut
    assert [each.columns for each in examples] == [
        {"channel": ("mail", "chat")[n % 2]} for n in range(1, 7)
    ]

    measured = measured_of(folder, examples)
    assert measured.labels
    assert measured.max_new_tokens is not None
    for each in examples:
        found = causes_of(each, measured)
        assert each.causes == tuple(cause.kind.value for cause in found)
        assert bool(each.causes) == (each.passed is False)
        assert ("prompt_truncated" in each.causes) == (each.prompt_cut > 0 and not each.passed)
    assert any("prompt_truncated" in each.causes for each in examples)


def test_a_prompt_cut_for_generation_alone_is_recorded_too(loop: TinyLoop) -> None:
    config = loop.loop.default_config()
    loaded = load_model(config, find_model(config.model.id, loop.loop.root))
    room = 30
    most = loaded.model.config.max_position_embeddings - room
    loop.run_base("evaluation.max_length=unset", f"evaluation.max_new_tokens={most}")
    renderer = Renderer(loaded.tokenizer, config, "prompt_completion")
    rows = load_data(config, loop.loop.root, read_source).eval
    cut = [max(0, len(renderer.tokens(row).prompt_ids) - room) for row in rows]
    assert [each.prompt_cut for each in loop.loop.iteration(0).read_examples()] == cut
    assert any(cut)


def test_without_a_metric_no_example_has_a_cause(tiny_loop: Callable[..., TinyLoop]) -> None:
    loop = tiny_loop(metric="none", data={"max_eval_rows": 2})
    loop.run_base()
    examples = loop.loop.iteration(0).read_examples()
    assert [(each.causes, each.prompt_cut, each.columns) for each in examples] == [((), 0, {})] * 2
