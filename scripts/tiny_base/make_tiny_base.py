"""Make the shipped tiny base model: train its tokenizer and pre-train it from scratch.

Why: the sample project must show the whole fine-tuning loop on a laptop, offline and within
minutes, so it needs a base model small enough to ship and good enough that LoRA settings make a
visible difference. No public model is that small with clear rights to its text; this one sees
only text which this project wrote (``corpus.py`` and the text files beside it).

Run on one thread, with the same library versions, a fixed number of ``--steps`` gives the same
weights each time. ``--seconds`` stops by the clock instead, which is handy for trials only.

    python scripts/tiny_base/make_tiny_base.py --out sample_data/tiny-base
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from corpus import Corpus
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import cross_entropy
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

EOS = "<|endoftext|>"
PAD = "<|pad|>"
VOCABULARY = 2048
POSITIONS = 256
TOKENIZER_DOCUMENTS = 30_000
POOL = 2_048  # documents which are sorted by length together, to waste little on padding
BATCH_TOKENS = 2_048
LABEL_WEIGHT = 8.0  # of the tokens after "Intent:", which are few and matter most
RATE = 3e-3
WARM_UP = 0.03  # share of the run
DEFAULT_STEPS = 4_500
HINT_WEIGHT = 1.0  # of the helper, see ``loss_of``
IGNORED = -100


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Byte-level BPE, so that any text survives the way to tokens and back."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[EOS, PAD],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    texts = islice(Corpus(seed).documents(), TOKENIZER_DOCUMENTS)
    inner.train_from_iterator(texts, trainer=trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=inner,
        eos_token=EOS,
        pad_token=PAD,
        model_max_length=POSITIONS,
        clean_up_tokenization_spaces=False,
    )


def new_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> GPT2LMHeadModel:
    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=VOCABULARY,
        n_positions=POSITIONS,
        n_embd=128,
        n_layer=4,
        n_head=4,
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    return GPT2LMHeadModel(config)


@dataclass(slots=True)
class Row:
    """Tokens with, for each, its weight in the loss and the label of the message it is part of."""

    ids: list[int]
    weights: list[float]
    labels: list[int]

    def joined(self, other: Row) -> Row:
        return Row(self.ids + other.ids, self.weights + other.weights, self.labels + other.labels)

    def sized(self, width: int, pad: int) -> Row:
        more = max(0, width - len(self.ids))
        return Row(
            (self.ids + [pad] * more)[:width],
            (self.weights + [0.0] * more)[:width],
            (self.labels + [IGNORED] * more)[:width],
        )


def encode(
    tokenizer: PreTrainedTokenizerFast, documents: list[str], labels: list[str]
) -> list[Row]:
    """One row for each document, closed by EOS."""
    rows = []
    numbers = {label: number for number, label in enumerate(labels)}
    parts = [text.partition("\nIntent:") for text in documents]
    all_ids: list[list[int]] = tokenizer(documents)["input_ids"]
    head_ids: list[list[int]] = tokenizer([head for head, _, _ in parts])["input_ids"]
    sign = len(tokenizer("\nIntent:")["input_ids"])
    for ids, head, (_, _, label) in zip(all_ids, head_ids, parts, strict=True):
        full = [*ids, tokenizer.eos_token_id]
        if label:
            plain = len(head) + sign
            weights = [1.0] * plain + [LABEL_WEIGHT] * (len(full) - plain)
            message = [numbers[label.strip()]] * len(head)
            rows.append(Row(full, weights, message + [IGNORED] * (len(full) - len(head))))
        else:
            rows.append(Row(full, [1.0] * len(full), [IGNORED] * len(full)))
    return rows


def batches(
    tokenizer: PreTrainedTokenizerFast, corpus: Corpus, seed: int
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Padded token ids, loss weights and labels, without end."""
    stream = corpus.documents()
    order = random.Random(seed)
    while True:
        rows: list[Row] = []
        for row in encode(tokenizer, list(islice(stream, POOL)), corpus.labels):
            if rows and order.random() < 0.1 and len(rows[-1].ids) + len(row.ids) <= POSITIONS:
                # some rows hold several documents, so that late positions are trained too
                rows[-1] = rows[-1].joined(row)
            else:
                rows.append(row)
        rows.sort(key=lambda row: len(row.ids))
        pool: list[list[Row]] = [[]]
        for row in rows:
            if len(row.ids) * (len(pool[-1]) + 1) > BATCH_TOKENS:
                pool.append([])
            pool[-1].append(row)
        order.shuffle(pool)
        for batch in pool:
            width = min(POSITIONS, max(len(row.ids) for row in batch))
            sized = [row.sized(width, tokenizer.pad_token_id) for row in batch]
            yield (
                torch.tensor([row.ids for row in sized]),
                torch.tensor([row.weights for row in sized]),
                torch.tensor([row.labels for row in sized]),
            )


def loss_of(
    model: GPT2LMHeadModel, helper: Linear, ids: Tensor, weights: Tensor, labels: Tensor
) -> Tensor:
    """Next-token loss, and the loss of a helper which names the topic at each word of a message.

    One label in thirty tokens teaches a small model slowly. The helper gives every word of a
    message a share in the lesson; it is thrown away after pre-training.
    """
    # padding is on the right and attention looks only to the left: no attention mask is needed
    hidden = model.transformer(input_ids=ids).last_hidden_state
    logits = model.lm_head(hidden)[:, :-1]
    each = cross_entropy(
        logits.reshape(-1, logits.shape[-1]), ids[:, 1:].reshape(-1), reduction="none"
    )
    marks = weights[:, 1:].reshape(-1)
    loss: Tensor = (each * marks).sum() / marks.sum()
    known = labels != IGNORED
    if known.any():
        loss = loss + HINT_WEIGHT * cross_entropy(helper(hidden[known]), labels[known])
    return loss


def rate_at(progress: float) -> float:
    if progress < WARM_UP:
        return RATE * progress / WARM_UP
    done = (progress - WARM_UP) / (1 - WARM_UP)
    return RATE * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, done))))


def pre_train(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    steps: int | None,
    seconds: float | None,
) -> int:
    """Train until the steps are done or the seconds are over; return the steps done."""
    corpus = Corpus(seed)
    helper = Linear(model.config.n_embd, len(corpus.labels))
    parameters = [*model.parameters(), *helper.parameters()]
    decayed = [p for p in parameters if p.dim() > 1]
    others = [p for p in parameters if p.dim() <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
        lr=RATE,
        betas=(0.9, 0.95),
    )
    model.train()
    start = time.monotonic()
    total = 0.0
    for step, batch in enumerate(batches(tokenizer, corpus, seed), start=1):
        elapsed = time.monotonic() - start
        progress = step / steps if steps else elapsed / (seconds or 1.0)
        if progress > 1:
            return step - 1
        for group in optimizer.param_groups:
            group["lr"] = rate_at(progress)
        loss = loss_of(model, helper, *batch)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        total += loss.item()
        if step % 200 == 0:
            print(f"step {step}  loss {total / 200:.3f}  {elapsed:.0f} s", flush=True)
            total = 0.0
    raise AssertionError("the stream of batches has no end")


def tidy_json(path: Path, drop: tuple[str, ...], **changes: object) -> None:
    """Rewrite a saved json file without what is needless or tied to one library version."""
    if not path.exists():
        return
    content = json.loads(path.read_text(encoding="utf-8"))
    for key in drop:
        content.pop(key, None)
    content.update(changes)
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def save(model: GPT2LMHeadModel, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    version = ("transformers_version",)
    unused = (
        "add_cross_attention",
        "n_inner",
        "bos_token_id",
        "reorder_and_upcast_attn",
        "scale_attn_by_inverse_layer_idx",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
    )
    tidy_json(out / "config.json", drop=version + unused, bos_token_id=None)
    tidy_json(
        out / "generation_config.json",
        drop=(
            *version,
            "_from_model_config",
            "output_attentions",
            "output_hidden_states",
            "use_cache",
        ),
    )
    tidy_json(
        out / "tokenizer_config.json",
        drop=("backend", "is_local", "local_files_only", "name_or_path"),
        tokenizer_class="PreTrainedTokenizerFast",
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the tiny base model.")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model")
    parser.add_argument("--seed", type=int, default=1)
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--steps", type=int, help=f"default: {DEFAULT_STEPS}")
    length.add_argument("--seconds", type=float, help="stop by the clock (not repeatable)")
    return parser.parse_args()


def main() -> None:
    options = arguments()
    steps = options.steps
    if steps is None and options.seconds is None:
        steps = DEFAULT_STEPS
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    tokenizer = train_tokenizer(options.seed)
    model = new_model(tokenizer, options.seed)
    start = time.monotonic()
    done = pre_train(model, tokenizer, options.seed + 1, steps, options.seconds)
    taken = time.monotonic() - start
    save(model, tokenizer, options.out)
    digest = hashlib.sha256((options.out / "model.safetensors").read_bytes()).hexdigest()
    print(f"{done} steps in {taken:.0f} s, {model.num_parameters()} parameters")
    print(f"sha256 of model.safetensors: {digest}")


if __name__ == "__main__":
    main()
