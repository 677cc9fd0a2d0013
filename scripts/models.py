"""Tries small models of many architectures and writes docs/models.md: `python -m scripts.models`.

Each model has random weights and a tokenizer of its own. A real run trains an adapter for three
steps. What the record says is then compared with plain transformers and plain PEFT.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

os.environ["HF_HUB_OFFLINE"] = "1"

import torch

from scripts.reliability import CHECKOUT
from tests.engine.small_models import ARCHITECTURES, save_small_model
from tests.engine.small_tokenizers import WORDS
from tui_loop.cli.start import check_start, create
from tui_loop.core.data.loading import load_data
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.workflow.plan import plan_next
from tui_loop.engine.host import HostedRuns
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import load_model
from tui_loop.engine.rendering import Renderer, recorded_renderer
from tui_loop.engine.sources import read_source

TARGET = CHECKOUT / "docs" / "models.md"
NEW_TOKENS = 8
LIMIT = 1e-4
"""A larger difference is printed in bold; noise in float32 is about 1e-6."""

DEFAULTS: dict[str, dict[str, Any]] = {
    "model": {"id": "model"},
    "data": {"train": "train.jsonl", "eval": "eval.jsonl"},
    "lora": {"r": 4},
    "training": {
        "max_steps": 3,
        "learning_rate": 1e-2,
        "max_length": 128,
        "eval_steps": 0,
        "save_steps": 0,
    },
    "evaluation": {"base": False, "train_rows": 0, "max_new_tokens": NEW_TOKENS, "batch_size": 4},
    "run": {"cpu_threads": 1},
}


class Tried(NamedTuple):
    """What was found of one architecture; texts are cells of the table."""

    name: str
    kind: str
    losses: str
    outputs: str
    packing: str
    adapter: str
    merge: str


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="only these; the file is not written then")
    names = parser.parse_args(arguments).names
    tried = []
    for name in names or ARCHITECTURES:
        with tempfile.TemporaryDirectory() as folder:
            tried.append(try_one(name, Path(folder)))
        print(" | ".join(tried[-1]), file=sys.stderr)
    if not names:
        TARGET.write_text(document(tried))
    return 0


def try_one(name: str, root: Path) -> Tried:
    """Runs a model and compares the record with what plain libraries compute."""
    save_small_model(name, root / "model")
    without_dropout(root / "model" / "config.json")
    write_rows(root)
    loop = LoopsFolder(root / "loops").create(
        "l", LoopSettings(metric="exact_match", defaults=DEFAULTS)
    )
    folder, problem = run(loop)
    kind = ARCHITECTURES[name][0].removesuffix("Config")
    if folder is None:
        return Tried(name, kind, f"refused: {problem}", *[""] * 4)
    plain = Plain(folder)
    return Tried(
        name,
        kind,
        shown(plain.loss_difference()),
        plain.equal_outputs(),
        packing(loop, folder),
        shown(plain.adapter_difference()),
        shown(plain.merge_difference()),
    )


def without_dropout(path: Path) -> None:
    """Turns off dropout, which draws other numbers for packed rows."""
    config = json.loads(path.read_text())
    rates = {each: 0.0 for each in config if "dropout" in each or each.endswith("pdrop")}
    path.write_text(json.dumps(config | rates))


def write_rows(root: Path) -> None:
    """Writes rows of unequal lengths, so that batches have padding."""
    rows = [
        {"prompt": " ".join(text.split()[:length]), "completion": text.split()[length]}
        for text in WORDS
        for length in range(1, min(6, len(text.split())))
    ]
    for name, chosen in (("train", rows), ("eval", rows[::-1])):
        text = "".join(json.dumps(row) + "\n" for row in chosen)
        (root / f"{name}.jsonl").write_text(text)


def run(loop: LoopFolder, *settings: str) -> tuple[IterationFolder | None, str]:
    """Runs the next iteration; returns its folder, or None and why there is none."""
    plan = plan_next(loop, parent=None, settings=list(settings), why="")
    (folder,) = create(loop, check_start(loop, plan))
    runs = HostedRuns([folder], runner="thread")
    if runs.run() == "finished":
        return folder, ""
    reasons = [each.message for each in runs.refusal]
    return None, "; ".join(reasons) or str((iteration_of(folder).error or {}).get("message"))


def packing(loop: LoopFolder, folder: IterationFolder) -> str:
    """Compares the loss of the first step with that of the same rows packed."""
    settings = ("training.per_device_train_batch_size=64", "max_steps=1")
    alone, _ = run(loop, *settings)
    packed, reason = run(loop, *settings, "packing=true")
    if packed is None:
        return f"refused: {reason.partition(': ')[2].rpartition(': ')[2]}"
    assert alone is not None
    losses = [read_run(each).latest("loss") or 0.0 for each in (alone, packed)]
    return shown(abs(losses[0] - losses[1]))


class Plain:
    """The model of an iteration as plain PEFT loads it, and the tokens of its examples."""

    def __init__(self, folder: IterationFolder) -> None:
        from peft import AutoPeftModelForCausalLM

        self.folder, config = folder, folder.read_config()
        self.data = load_data(config, folder.loop.root, read_source)
        source = find_model(config.model.id, folder.loop.root)
        self.loaded = load_model(config, source)
        shape = self.data.mapping.shape
        self.renderer: Renderer = recorded_renderer(
            self.loaded, config, shape, folder.loop.root, folder.read_effective()
        )
        self.tokens = [self.renderer.tokens(row) for row in self.data.eval]
        self.model = AutoPeftModelForCausalLM.from_pretrained(str(folder.adapter)).eval()
        self.examples = folder.read_examples()

    @torch.no_grad()
    def logits(self, model: Any, ids: list[int]) -> torch.Tensor:
        logits: torch.Tensor = model(input_ids=torch.tensor([ids])).logits[0]
        return logits

    def loss_difference(self) -> float:
        """Returns the largest difference between a recorded token loss and the plain one."""
        recorded = [
            [loss for _, loss in json.loads(line)["tokens"]]
            for line in self.folder.tokens.read_text().splitlines()
        ]
        worst = 0.0
        for losses, tokens in zip(recorded, self.tokens, strict=True):
            logits = self.logits(self.model, tokens.ids)[:-1]
            targets = torch.tensor(tokens.ids[1:])
            plain = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
            trained = plain[torch.tensor(tokens.trained[1:])].tolist()
            pairs = zip(losses, trained, strict=True)
            worst = max(worst, *(abs(one - other) for one, other in pairs))
        return worst

    @torch.no_grad()
    def equal_outputs(self) -> str:
        """Counts the recorded outputs that equal those of single rows."""
        equal = 0
        for example, tokens in zip(self.examples, self.tokens, strict=True):
            prompt = torch.tensor([tokens.prompt_ids])
            made = self.model.generate(
                input_ids=prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=NEW_TOKENS,
                do_sample=False,
                eos_token_id=list(self.renderer.stop.ids),
                pad_token_id=self.loaded.tokenizer.pad_token_id,
            )[0, prompt.shape[1] :]
            text = self.loaded.tokenizer.decode(made, skip_special_tokens=True)
            equal += text.strip() == (example.output or "").strip()
        return f"{equal} of {len(self.examples)}"

    def adapter_difference(self) -> float:
        """Returns the largest difference of logits between our own loading and plain PEFT's."""
        from peft import PeftModel

        ours = PeftModel.from_pretrained(self.loaded.model, str(self.folder.adapter)).eval()
        return self._largest(lambda ids: self.logits(ours, ids))

    def merge_difference(self) -> float:
        """Returns the largest difference of logits between the adapter and the merged model."""
        before = [self.logits(self.model, each.ids) for each in self.tokens]
        merged = self.model.merge_and_unload().eval()
        after = [self.logits(merged, each.ids) for each in self.tokens]
        pairs = zip(before, after, strict=True)
        return max(float((one - other).abs().max()) for one, other in pairs)

    def _largest(self, logits: Callable[[list[int]], torch.Tensor]) -> float:
        return max(
            float((logits(each.ids) - self.logits(self.model, each.ids)).abs().max())
            for each in self.tokens
        )


def shown(difference: float) -> str:
    text = "0" if difference == 0 else f"{difference:.0e}"
    return f"**{text}**" if difference > LIMIT else text


def document(tried: Sequence[Tried]) -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft"))
    head = ("model", "class", "token losses", "outputs", "packing", "adapter", "merge")
    rows = [head, tuple("---" for _ in head), *tried]
    table = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return f"""# Models

`python -m scripts.models` wrote this page with {versions} on a CPU in float32.
Each model is small, has random weights and no dropout. A run trained a LoRA adapter on all linear
layers for three steps, and evaluated it on rows of unequal length in batches of four.

- **token losses**: the largest difference, in nats, between a recorded token loss and a plain
  forward pass over the single row.
- **outputs**: how many recorded outputs equal those that `generate` gives for the single row.
- **packing**: the difference between the losses of the first step with and without packing, or why
  packing is refused.
- **adapter**: the largest difference of logits between this program and
  `AutoPeftModelForCausalLM.from_pretrained` on the saved folder.
- **merge**: the largest difference of logits after `merge_and_unload`.

A difference above {LIMIT:g} is bold.

{table}

## What is refused

Encoders such as BERT, encoder-decoder models such as T5, vision-language models such as LLaVA,
speech models and classifiers are no causal language models, and the gate refuses them. A folder is
refused, too, if it is an adapter, has no tokenizer, has weights as a pickle only, lacks a shard, or
has a tokenizer with more tokens than the model has embeddings and rows that use them.
"""


if __name__ == "__main__":
    sys.exit(main())
