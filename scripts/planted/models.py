"""Base models with a peculiarity, made from the shipped one outside the repository."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from scripts.planted.commands import call, commands
from scripts.planted.data import write_data
from scripts.planted.scenarios import Scenario
from scripts.reliability import CHECKOUT

TINY = CHECKOUT / "sample_data" / "tiny-base"
NO_END_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}Message: {{ message['content'] }}\n"
    "{% else %}Intent: {{ message['content'] }}\n{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}Intent:{% endif %}"
)
"""A chat template as people forget it: nothing ends the assistant's turn."""


def write_model(folder: Path, workshop: Path, seed: int) -> None:
    """Writes the model that `folder` is named after; `workshop` is room to train in."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    {"better": _better, "no-end": _no_end, "random": _random}[folder.name](folder, workshop, seed)


def _random(folder: Path, workshop: Path, seed: int) -> None:
    """The shape of the shipped base, its weights as they are drawn."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(TINY)).save_pretrained(folder)
    AutoTokenizer.from_pretrained(TINY).save_pretrained(folder)


def _no_end(folder: Path, workshop: Path, seed: int) -> None:
    shutil.copytree(TINY, folder)
    path = folder / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings["chat_template"] = NO_END_TEMPLATE
    path.write_text(json.dumps(settings, indent=2), encoding="utf-8")


def _better(folder: Path, workshop: Path, seed: int) -> None:
    """The shipped base, tuned well, its adapter merged into it."""
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    scenario = Scenario(name="better-base", settings=("num_train_epochs=5",), base=False)
    for name in (scenario.train, scenario.eval):
        write_data(name, workshop / "data", seed)
    for command in commands(scenario, seed):
        call(workshop, *command)
    tuned = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(TINY),
        str(workshop / "loops" / scenario.name / "001" / "adapter"),
    )
    tuned.merge_and_unload().save_pretrained(folder)
    AutoTokenizer.from_pretrained(TINY).save_pretrained(folder)
