"""The rows of a run as the trainer gets them, in memory or in an Arrow file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.engine.conftest import TEMPLATE
from tui_loop.core.config.schema import Config, Data
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.engine import training_rows
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import load_model
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.training_rows import render_training_rows, token_counts

pytestmark = pytest.mark.train

ROWS = [Row(f"{n}", f"question {n} " * (1 + n % 4), "yes" * (n % 3 + 1), n) for n in range(12)]


@pytest.fixture
def renderer() -> Renderer:
    config = Config(data=Data(prompt_template=TEMPLATE))
    loaded = load_model(config, find_model("tiny", Path()))
    return Renderer(loaded.tokenizer, config, "prompt_completion")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "training"


def test_many_tokens_are_in_a_file_and_are_the_same(
    renderer: Renderer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_memory = render_training_rows(renderer, ROWS)
    assert in_memory.folder is None
    monkeypatch.setattr(training_rows, "IN_MEMORY_TOKENS", 40)
    stored = render_training_rows(renderer, ROWS)
    assert stored.dataset.to_list() == in_memory.dataset.to_list()
    assert stored.metrics == in_memory.metrics
    assert list(stored.lengths) == list(in_memory.lengths)
    (folder,) = cache.iterdir()
    assert stored.dataset.cache_files == [{"filename": str(folder / "rows.arrow")}]


def test_the_file_goes_with_the_rows_and_those_of_killed_runs_go_too(
    renderer: Renderer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_rows, "IN_MEMORY_TOKENS", 0)
    for name in (f"{2**22 + 1}-killed", f"{os.getpid()}-alive", "not-ours"):
        (cache / name).mkdir(parents=True)
    stored = render_training_rows(renderer, ROWS)
    assert {each.name for each in cache.iterdir()} > {f"{os.getpid()}-alive", "not-ours"}
    assert stored.folder is not None
    stored.folder.remove()
    assert {each.name for each in cache.iterdir()} == {f"{os.getpid()}-alive", "not-ours"}


def test_a_cache_folder_that_takes_nothing_is_an_error_that_names_it(
    renderer: Renderer, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training_rows, "IN_MEMORY_TOKENS", 0)
    cache.parent.write_text("no folder")
    with pytest.raises(BadInput, match="cannot store the training rows") as raised:
        render_training_rows(renderer, ROWS)
    assert "TUI_LOOP_CACHE" in raised.value.hint


def test_the_tokens_of_each_row_are_counted(renderer: Renderer) -> None:
    rows = render_training_rows(renderer, ROWS)
    assert token_counts(rows.dataset) == list(rows.lengths)
