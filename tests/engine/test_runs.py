"""Real runs end to end: what a run records, keeps, repeats, and how it ends."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from tests.engine.conftest import TinyLoop
from tests.waiting import PATIENCE_SECONDS, wait_until
from tui_loop.core.config.schema import Config
from tui_loop.core.consent import allow_code
from tui_loop.core.data import row_store
from tui_loop.core.data.files import streamed_rows
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import append_request
from tui_loop.core.shipped import shipped
from tui_loop.engine import trainer, training_rows
from tui_loop.engine.foreign_code import metric_code
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import load_model
from tui_loop.engine.run_host import RunHost

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]


def losses_of(loop: TinyLoop, number: int) -> list[float]:
    return [point.values["loss"] for point in read_run(loop.loop.iteration(number)).metrics]


@pytest.mark.slow
def test_a_run_leaves_a_whole_record(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    loop.run_base()
    summary = loop.run("learning_rate=4e-3")
    folder = loop.loop.iteration(1)
    run = read_run(folder)

    assert summary.state == "finished"
    assert summary.parent == 0
    assert summary.changes == {"training.learning_rate": [5e-3, 4e-3]}
    assert [point.step for point in run.metrics] == [1, 2, 3, 4]
    assert [point.step for point in run.evaluations] == [2, 4]
    assert run.missing == 0
    assert run.ended is not None
    assert run.ended.state == "finished"
    assert run.phase is None
    assert sorted(path.name for path in folder.evals.iterdir()) == ["2.jsonl", "4.jsonl"]
    assert summary.metrics["weights_step"] == 4
    assert summary.metrics["train_loss"] == pytest.approx(sum(losses_of(loop, 1)) / 4, abs=1e-3)
    assert [saved.step for saved in run.checkpoints] == [4]
    assert not list(folder.path.rglob("training_args.bin"))
    assert {"sha256", "size"} == set(next(iter(run.checkpoints[0].files.values())))

    effective = folder.read_effective()
    assert effective["sft_config"]["learning_rate"] == 4e-3
    assert effective["sft_config"]["logging_nan_inf_filter"] is False
    assert effective["lora_config"]["r"] == 4
    assert effective["versions"]["trl"]
    assert str(folder.path) not in folder.config.read_text()
    assert loop.loop.ledger.read_text().count("\n") == 3


def test_the_record_names_the_columns_that_were_not_used(
    tiny_loop: MakeLoop, tmp_path: Path
) -> None:
    rows = [
        {"prompt": f"question {n}", "completion": "refund", "weight": n % 2, "url": "u"}
        for n in range(40)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    loop = tiny_loop(data={"train": "rows.jsonl", "eval": None}, training={"max_steps": 1})
    loop.run()
    folder = loop.loop.iteration(1)
    assert folder.read_splits()["train"].unused == ("weight", "url")
    events = [json.loads(line) for line in folder.journal.read_text().splitlines()]
    lines = [(each["level"], each["text"]) for each in events if each["event"] == "line"]
    assert ("info", "columns not used: url") in lines
    assert (
        "warning",
        "column weight is not used: all rows count equally (in 40 of 40 rows); "
        "20 rows with the value 0 or false, the first in line 1, are used like the others",
    ) in lines


@pytest.mark.slow
def test_the_saved_adapter_is_what_was_evaluated(tiny_loop: MakeLoop, tmp_path: Path) -> None:
    from peft import PeftModel

    from tui_loop.core.data.loading import load_data
    from tui_loop.engine.evaluation import measure_losses, prepare_eval_set
    from tui_loop.engine.rendering import Renderer

    loop = tiny_loop()
    summary = loop.run()
    folder = loop.loop.iteration(1)
    config = folder.read_config()
    loaded = load_model(config, find_model("tiny", tmp_path))
    tuned = PeftModel.from_pretrained(loaded.model, str(folder.adapter)).eval()
    data = load_data(config, loop.loop.root)
    renderer = Renderer(loaded.tokenizer, config, data.mapping.shape)
    again = measure_losses(
        tuned,
        prepare_eval_set(data.eval, renderer, config.evaluation, tuned),
        pad_id=loaded.tokenizer.pad_token_id,
        batch=EvalBatch(16),
        poll=lambda: None,
    )
    assert again.eval_loss == pytest.approx(summary.metrics["eval_loss"], abs=1e-6)


@pytest.mark.slow
def test_rows_in_a_file_and_a_store_train_like_those_in_memory(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("TUI_LOOP_CACHE", str(tmp_path / "cache"))
    loop = tiny_loop()
    loop.run()
    monkeypatch.setattr(training_rows, "IN_MEMORY_TOKENS", 0)
    monkeypatch.setattr(streamed_rows, "LARGE", 0)
    monkeypatch.setattr(row_store, "IN_MEMORY", 0)
    loop.run(parent=1)
    assert losses_of(loop, 1) == losses_of(loop, 2)
    left = [each for each in (tmp_path / "cache").rglob("*") if each.is_file()]
    assert left == []


@pytest.mark.slow
def test_the_same_record_run_again_gives_the_same_losses(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    first, second = loop.run(), loop.run(parent=1)
    assert losses_of(loop, 1) == losses_of(loop, 2)
    assert first.metrics["eval_loss"] == second.metrics["eval_loss"]
    other_seed = loop.run("seed=43", parent=1)
    assert losses_of(loop, 3) != losses_of(loop, 1)
    assert other_seed.title == "replicate of 1, seed 43"


@pytest.mark.slow
def test_each_iteration_starts_from_the_pristine_base(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = torch.arange(40).unsqueeze(0)

    def logits(model: Any) -> torch.Tensor:
        was = model.training
        model.eval()
        with torch.no_grad():
            result: torch.Tensor = model(input_ids=ids).logits.clone()
        model.train(was)
        return result

    pristine = logits(load_model(Config(), find_model("tiny", Path())).model)
    at_start: list[torch.Tensor] = []
    train = trainer.LoopTrainer.train

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        at_start.append(logits(self.model))
        return train(self, *args, **kwargs)

    monkeypatch.setattr(trainer.LoopTrainer, "train", watched)
    loop = tiny_loop()
    loop.run("lora.target_modules=['c_attn']")
    loop.run("lora.target_modules=['c_fc']", parent=1)
    assert len(at_start) == 2
    assert all(torch.equal(start, pristine) for start in at_start)

    for number, target in ((1, "c_attn"), (2, "c_fc")):
        adapter = loop.loop.iteration(number).adapter
        config = json.loads((adapter / "adapter_config.json").read_text())
        assert config["target_modules"] == [target]
        assert config["base_model_name_or_path"] == str(shipped("sample_data", "tiny-base"))
        with safe_open(adapter / "adapter_model.safetensors", framework="pt") as saved:
            names = list(saved.keys())
        assert len(names) == 2 * 4  # A and B of four layers
        assert all(f".{target}." in name for name in names)


@pytest.mark.slow
def test_an_iteration_can_start_from_anothers_adapter(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    loop.run()
    summary = loop.run("model.init_adapter=1", "learning_rate=1e-12", parent=1)
    before = loop.loop.iteration(1).read_examples()
    after = loop.loop.iteration(2).read_examples()
    assert summary.state == "finished"
    assert [row.loss for row in after] == pytest.approx([row.loss for row in before], abs=1e-5)


@pytest.mark.parametrize("target", ["all-linear"])
def test_an_absurd_rate_ends_as_diverged_with_step_and_hint(
    tiny_loop: MakeLoop, target: str
) -> None:
    loop = tiny_loop()
    summary = loop.run("learning_rate=1e4", f"lora.target_modules={target}", "max_steps=12")
    assert summary.state == "failed"
    assert summary.error is not None
    assert summary.error["kind"] == "diverged"
    assert 1 <= summary.error["step"] < 12
    assert "learning rate" in summary.error["hint"]
    run = read_run(loop.loop.iteration(1))
    assert run.nonfinite_steps[0] == summary.error["step"]
    assert any(not math.isfinite(v) for v in run.metrics[-1].values.values())
    assert "NaN" in loop.loop.iteration(1).journal.read_text()


def test_a_stop_request_saves_what_there_is_and_ends_as_stopped(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"max_steps": 5000, "eval_steps": 0})
    folder = loop.loop.existing(loop.plan())
    host = RunHost(folder, runner="thread")
    thread = threading.Thread(target=host.run)
    thread.start()
    wait_until(lambda: read_run(folder).metrics, "a step")
    assert iteration_of(folder).state == "running"
    append_request(
        folder.requests, 7, "stop", save=False, evaluate=False
    )  # another attempt's: void
    append_request(folder.requests, 1, "stop", save=True, evaluate=True)
    thread.join(PATIENCE_SECONDS)
    summary = folder.read_summary()
    assert summary is not None
    assert summary.state == "stopped"
    assert 0 < summary.metrics["steps"] < 5000
    assert summary.metrics["score"] is not None  # it was asked to evaluate
    assert (folder.adapter / "adapter_model.safetensors").exists()
    assert len(read_run(folder).requests) == 1


@pytest.mark.slow
def test_a_stop_during_the_final_evaluation_ends_it(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(data={"max_eval_rows": 117}, evaluation={"batch_size": 1})
    folder = loop.loop.existing(loop.plan())
    host = RunHost(folder, runner="thread")
    thread = threading.Thread(target=host.run)
    thread.start()
    wait_until(lambda: read_run(folder).phase == "evaluating", "the evaluation")
    host.control.request_stop(save=True, evaluate=False)
    thread.join(PATIENCE_SECONDS)
    summary = folder.read_summary()
    assert summary is not None
    assert summary.state == "stopped"
    assert summary.metrics["score"] is None
    assert folder.read_examples() == []
    assert (folder.adapter / "adapter_model.safetensors").exists()  # nothing trained is lost


@pytest.mark.slow
def test_keep_best_keeps_the_weights_of_the_lowest_eval_loss(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    summary = loop.run(
        "training.keep=best", "learning_rate=3e-2", "max_steps=10", "lr_scheduler_type=constant"
    )
    folder = loop.loop.iteration(1)
    within = {point.step: point.values["eval_loss"] for point in read_run(folder).evaluations}
    best = min(within, key=lambda step: within[step])
    assert summary.metrics["weights_step"] == best
    assert summary.metrics["eval_loss"] == pytest.approx(within[best], abs=1e-6)
    assert not list(folder.checkpoints.glob("best*"))


@pytest.mark.slow
def test_early_stopping_ends_a_run_that_no_longer_gets_better(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    summary = loop.run(
        "early_stopping_patience=1",
        "learning_rate=5e-2",
        "max_steps=40",
        "eval_steps=1",
        "lr_scheduler_type=constant",
    )
    run = read_run(loop.loop.iteration(1))
    assert summary.state == "finished"
    assert summary.metrics["steps"] < 40
    assert any("stopped early" in line.text for line in run.lines)


def test_full_fine_tuning_trains_every_weight(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    summary = loop.run("lora.enabled=false", "learning_rate=1e-3")
    assert summary.state == "finished"
    assert summary.metrics["trainable_parameters"] > 800_000
    assert (loop.loop.iteration(1).adapter / "model.safetensors").exists()


def test_a_fault_of_the_data_found_late_is_a_data_error(
    tiny_loop: MakeLoop, write_lines: Callable[[str, Any], Path]
) -> None:
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]
    data = write_lines(
        "turns.jsonl",
        [
            {"messages": [*turns[:1], {"role": "assistant", "content": f"yes {n}"}], "id": n}
            for n in range(8)
        ],
    )
    loop = tiny_loop(
        metric="exact_match", data={"train": str(data), "eval": str(data), "prompt_template": None}
    )
    summary = loop.run()
    assert summary.state == "failed"
    assert summary.error is not None
    assert summary.error["kind"] == "data"
    assert "chat template" in summary.error["message"]


def test_an_unforeseen_exception_is_recorded_not_raised(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("the moon\nis down")

    monkeypatch.setattr(trainer.LoopTrainer, "train", broken)
    summary = tiny_loop().run()
    assert summary.state == "failed"
    assert summary.error is not None
    assert summary.error["kind"] == "crashed"
    assert summary.error["message"] == "RuntimeError: the moon"


def test_a_divergence_between_two_logs_is_noticed_at_the_end(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop(training={"eval_steps": 0})
    summary = loop.run("learning_rate=1e30", "logging_steps=10", "max_steps=4")
    assert summary.state == "failed"
    assert summary.error is not None
    assert summary.error["kind"] == "diverged"


def test_no_room_for_a_prompt_is_refused(tiny_loop: MakeLoop) -> None:
    summary = tiny_loop().run_base("evaluation.max_new_tokens=5000")
    assert summary.state == "failed"
    assert summary.error is not None
    assert "leaves no room" in summary.error["message"]


def test_a_secret_in_an_exception_reaches_no_record(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_canary_0123456789")

    def leaks(*_: Any, **__: Any) -> None:
        raise RuntimeError("refused with hf_canary_0123456789")

    monkeypatch.setattr(trainer.LoopTrainer, "train", leaks)
    loop = tiny_loop()
    summary = loop.run()
    assert summary.error is not None
    assert summary.error["message"] == "RuntimeError: refused with ***"
    for path in loop.loop.path.rglob("*"):
        assert not path.is_file() or b"hf_canary" not in path.read_bytes()


def test_a_measurement_begun_again_forgets_the_old_one(tiny_loop: MakeLoop) -> None:
    loop = tiny_loop()
    loop.run_base()
    folder = loop.loop.iteration(0)
    host = RunHost(folder, runner="thread")
    host.control.request_stop(save=True, evaluate=False)
    assert host.run() == "stopped"
    assert folder.read_examples() == []
    assert not folder.evals.exists()


def test_a_metric_of_the_users_own_runs_only_when_allowed(
    tiny_loop: MakeLoop, tmp_path: Path
) -> None:
    (tmp_path / "mine.py").write_text("def half(output, reference):\n    return 0.5\n")
    loop = tiny_loop(metric="mine:half")
    refused = loop.run_number(loop.plan())
    assert refused.state == "failed"
    assert refused.error is not None
    assert "--allow-code" in refused.error["hint"]
    allow_code(metric_code("mine:half", loop.loop.root))
    allowed = loop.run_number(loop.plan(parent=1))
    assert allowed.metrics["score"] == 0.5
    assert allowed.metrics["passed"] == 12


def test_a_clock_that_is_set_changes_no_recorded_duration(
    tiny_loop: MakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, started = time.time, time.monotonic()
    monkeypatch.setattr(time, "time", lambda: real() - 1e6 * (time.monotonic() - started))
    summary = tiny_loop().run("max_steps=2")
    took = time.monotonic() - started
    durations = [value for name, value in summary.metrics.items() if name.endswith("runtime")]
    assert summary.state == "finished"
    assert len(durations) >= 2
    assert all(0 < each < took for each in [*durations, summary.duration_s]), summary.metrics
