"""The script that a person would write without tui_loop: same data, same arguments, same seed.

`python bare_sft.py DATA MODEL STEPS BATCH OUT` trains; OUT gets each step's loss and its time.
"""

from __future__ import annotations

import json
import os
import sys
import time

os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
os.environ["TQDM_DISABLE"] = "1"
os.environ["GOMP_SPINCOUNT"] = "0"

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
from trl import SFTConfig, SFTTrainer


class Clock(TrainerCallback):
    """Notes when each step was logged."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def on_log(self, *_: object, logs: dict[str, float] | None = None, **__: object) -> None:
        if logs and "loss" in logs:
            self.times.append(time.time())


def main(data: str, model_folder: str, steps: str, batch: str, out: str) -> None:
    torch.set_num_threads(1)
    rows = load_dataset("json", data_files=data, split="train").map(
        lambda row: {
            "prompt": f"Message: {row['prompt']}\nIntent:",
            "completion": f" {row['completion']}",
        }
    )
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32),
        processing_class=AutoTokenizer.from_pretrained(model_folder),
        train_dataset=rows,
        peft_config=LoraConfig(
            r=8,
            lora_alpha=16,
            lora_dropout=0.05,
            target_modules="all-linear",
            task_type="CAUSAL_LM",
            fan_in_fan_out=True,
        ),
        args=SFTConfig(
            output_dir=f"{out}.checkpoints",
            max_steps=int(steps),
            per_device_train_batch_size=int(batch),
            learning_rate=1e-3,
            max_length=256,
            logging_steps=1,
            optim="adamw_torch",
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            seed=42,
            disable_tqdm=True,
        ),
    )
    clock = Clock()
    trainer.add_callback(clock)
    trainer.train()
    trainer.save_model(f"{out}.adapter")
    losses = [log["loss"] for log in trainer.state.log_history if "loss" in log]
    with open(out, "w") as file:
        json.dump({"losses": losses, "times": clock.times}, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
