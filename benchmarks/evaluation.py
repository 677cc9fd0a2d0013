"""Evaluation with per-token losses against `trainer.evaluate()` alone, same model and rows."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.measure import Result, paired_ratio, seconds
from benchmarks.scale import is_tiny, sized
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import load_data
from tui_loop.core.shipped import shipped
from tui_loop.engine.model_source import smollm2_folder
from tui_loop.engine.output_capture import set_environment

ROWS, BATCH, PAIRS = sized((64, 8, 5), (4, 2, 1))


def results() -> list[Result]:
    set_environment()
    from trl import SFTConfig, SFTTrainer

    from tui_loop.engine.evaluation import measure_losses, prepare_eval_set
    from tui_loop.engine.memory import EvalBatch
    from tui_loop.engine.model_source import find_model
    from tui_loop.engine.models import load_model
    from tui_loop.engine.rendering import Renderer
    from tui_loop.engine.training_rows import render_training_rows

    model_id = "smollm2" if smollm2_folder().exists() and not is_tiny() else "tiny"
    data = shipped("sample_data", "support-intents")
    config = with_settings(
        Config(),
        [
            f"model.id={model_id}",
            f"data.train={data / 'train.jsonl'}",
            f"data.eval={data / 'eval.jsonl'}",
            "data.max_train_rows=8",
            f"data.max_eval_rows={ROWS}",
            'data.prompt_template="Message: {prompt}\\nIntent:"',
        ],
    )
    rows = load_data(config, Path())
    loaded = load_model(config, find_model(model_id, Path()))
    renderer = Renderer(loaded.tokenizer, config, rows.mapping.shape)
    eval_set = prepare_eval_set(rows.eval, renderer, config.evaluation, loaded.model)
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=loaded.model,
            args=SFTConfig(
                output_dir=folder,
                use_cpu=loaded.device.type == "cpu",
                bf16=False,
                gradient_checkpointing=False,
                report_to="none",
                disable_tqdm=True,
                per_device_eval_batch_size=BATCH,
            ),
            train_dataset=render_training_rows(renderer, rows.train).dataset,
            eval_dataset=render_training_rows(renderer, rows.eval).dataset,
            processing_class=loaded.tokenizer,
        )
        trainer.callback_handler.callbacks.clear()

        def ours() -> float:
            return seconds(
                lambda: measure_losses(
                    loaded.model,
                    eval_set,
                    pad_id=loaded.tokenizer.pad_token_id,
                    batch=EvalBatch(BATCH),
                    poll=lambda: None,
                )
            )

        ours()
        ratio, left, right = paired_ratio(ours, lambda: seconds(trainer.evaluate), PAIRS)
    note = f"{model_id}, {ROWS} rows, {min(left):.2f} s against {min(right):.2f} s"
    return [Result("per-token evaluation / trainer.evaluate()", ratio, 1.10, note=note)]
