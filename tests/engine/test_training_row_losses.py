"""Measuring the training rows is the evaluation's own loss, and costs a run nothing it has."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.engine.conftest import TEMPLATE
from tui_loop.core.config.schema import Config, Data
from tui_loop.core.data.files.reading import read_file
from tui_loop.core.data.mapping import find_mapping, map_rows
from tui_loop.core.data.rows import Row
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.shipped import shipped
from tui_loop.engine.evaluation import measure_losses, prepare_eval_set
from tui_loop.engine.memory import EvalBatch, OutOfMemory
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import load_model
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.run_context import Outcome
from tui_loop.engine.run_control import StopRequested
from tui_loop.engine.run_evaluations import measure_training_rows

pytestmark = pytest.mark.train


class Bench:
    """What the measuring needs of a run, around a loaded tiny base."""

    def __init__(self, path: Path) -> None:
        raws = read_file(shipped("sample_data", "support-intents", "train.jsonl")).splits[""][:20]
        mapping = find_mapping(raws, "train.jsonl", metric="label", shape=None, columns={})
        self.rows: list[Row] = map_rows(raws, mapping, "train.jsonl")
        config = Config(data=Data(prompt_template=TEMPLATE))
        loaded = load_model(config, find_model("tiny", Path()))
        self.model: Any = loaded.model
        renderer = Renderer(loaded.tokenizer, config, mapping.shape)
        self.eval_set = prepare_eval_set(self.rows, renderer, config.evaluation, loaded.model)
        self.prepared: Any = SimpleNamespace(
            loaded=loaded,
            data=SimpleNamespace(train=self.rows * 2),
            renderer=renderer,
            eval_set=self.eval_set,
            eval_batch=EvalBatch(4),
        )
        self.messages: list[str] = []
        folder = LoopFolder(path).iteration(1)
        folder.path.mkdir()
        self.run: Any = SimpleNamespace(
            folder=folder,
            control=SimpleNamespace(poll=lambda: None),
            outcome=Outcome(),
            info=self.messages.append,
            warn=lambda source, text: self.messages.append(text),
        )

    def measure(self) -> None:
        measure_training_rows(self.run, self.prepared, self.model, self.rows)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_the_losses_are_those_of_the_evaluation(bench: Bench) -> None:
    bench.measure()
    losses = measure_losses(
        bench.model,
        bench.eval_set,
        pad_id=bench.prepared.loaded.tokenizer.pad_token_id,
        batch=EvalBatch(16),
        poll=lambda: None,
    )
    rows = bench.run.folder.read_training_rows()
    assert [each.id for each in rows] == [each.id for each in bench.rows]
    assert [each.source_line for each in rows] == [each.line for each in bench.rows]
    means = [sum(values) / len(values) for values in losses.by_row]
    assert [each.loss for each in rows] == pytest.approx(means, abs=1e-5)
    assert bench.run.outcome.metrics["train_rows_loss"] == pytest.approx(losses.eval_loss)
    assert {each.sampled_of for each in rows} == {40}


def test_a_stop_leaves_them_out_and_is_logged(bench: Bench) -> None:
    def stop() -> None:
        raise StopRequested

    bench.run.control.poll = stop
    bench.measure()
    assert not bench.run.folder.training_rows.exists()
    assert bench.messages == ["the loss on training rows was not measured: a stop was requested"]


def test_a_row_that_does_not_fit_leaves_them_out_and_is_logged(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OutOfMemory("no room")

    monkeypatch.setattr("tui_loop.engine.run_evaluations.token_losses", full)
    bench.measure()
    assert not bench.run.folder.training_rows.exists()
    assert "train_rows_loss" not in bench.run.outcome.metrics
    assert bench.messages == ["the loss on training rows was not measured: out of memory: no room"]
