"""Open families whose fault is a setting of the training or of the evaluation."""

from __future__ import annotations

import json

from scripts.planted.families.family import DataEdit, Family, sound_eval
from scripts.planted.families.row_changes import in_training, noted, texts, wrong_answers

TRAINING = (
    Family(
        name="open-small-alpha",
        fault="lora_alpha is `strength`, far too small for the rank, so the adapter has no effect.",
        cause="lora_alpha far too small",
        task="stars",
        strength=0.1,
        settings={"lora.lora_alpha": 0.1},
        remedies={"lora.lora_alpha": (8, 128)},
    ),
    Family(
        name="open-large-epsilon",
        fault="adam_epsilon is `strength`, so Adam's steps are as small as the gradients.",
        cause="adam_epsilon far too large",
        task="question",
        strength=1,
        settings={"training.adam_epsilon": 1},
        remedies={"training.adam_epsilon": (1e-12, 1e-6, None)},
    ),
    Family(
        name="open-plain-sgd",
        fault="The optimizer is SGD at `strength`, a learning rate that suits AdamW.",
        cause="SGD at a rate for AdamW",
        task="route",
        strength=5e-3,
        settings={"training.optim": "sgd"},
        remedies={
            "training.optim": ("adamw_torch", "adamw_torch_fused", "adafactor"),
            "training.learning_rate": (0.2, 2),
        },
    ),
    Family(
        name="open-strong-decay",
        fault="weight_decay is `strength`, so every step takes half of what was learned.",
        cause="weight_decay far too strong",
        task="json",
        strength=100,
        settings={"training.weight_decay": 100},
        remedies={"training.weight_decay": (0, 1)},
    ),
    Family(
        name="open-strong-dropout",
        fault="lora_dropout is `strength`, so the adapter sees little of its input.",
        cause="lora_dropout far too high",
        task="chat",
        strength=0.9,
        settings={"lora.lora_dropout": 0.9},
        remedies={"lora.lora_dropout": (0, 0.4)},
    ),
    Family(
        name="open-few-steps",
        fault="Gradients of `strength` batches make one step, so the run has three steps.",
        cause="too few optimizer steps",
        task="urgency",
        strength=16,
        settings={"training.gradient_accumulation_steps": 16},
        remedies={
            "training.gradient_accumulation_steps": (1, 4),
            "training.per_device_train_batch_size": (1, 2),
            "training.num_train_epochs": (24, 100),
            "training.max_steps": (30, 500),
        },
    ),
    Family(
        name="open-long-warmup",
        fault="The warm-up has `strength` steps, far more than the run.",
        cause="warm-up longer than the run",
        task="intents",
        strength=5000,
        settings={"training.warmup_steps": 5000},
        remedies={
            "training.warmup_steps": (0, 15),
            "training.lr_scheduler_type": ("constant",),
        },
    ),
    Family(
        name="open-rate-too-high",
        fault="The learning rate is `strength`, ten times too high.",
        cause="learning rate too high",
        task="json",
        strength=5e-2,
        settings={"training.learning_rate": 5e-2},
        remedies={"training.learning_rate": (2e-3, 1e-2)},
    ),
    Family(
        name="open-rate-too-low",
        fault="The learning rate is `strength`, a hundred times too low.",
        cause="learning rate too low",
        task="route",
        strength=5e-5,
        settings={"training.learning_rate": 5e-5},
        remedies={"training.learning_rate": (1e-3, 1e-2)},
    ),
    Family(
        name="open-one-module",
        fault="Only the c_attn of `strength` layer has an adapter.",
        cause="too few layers trained",
        task="stars",
        strength=1,
        settings={"lora.target_modules": ["c_attn"], "lora.layers_to_transform": [0]},
        remedies={"lora.target_modules": ("all-linear",), "lora.layers_to_transform": (None,)},
    ),
    Family(
        name="open-loss-on-prompts",
        fault="The loss counts every token, of which long unpredictable notes in the prompts, "
        "`strength` words each, are by far the most.",
        cause="loss on the prompts",
        task="question",
        strength=12,
        train=noted,
        eval=noted,
        settings={"data.train_on": "all"},
        remedies={"data.train_on": ("assistant", "last")},
    ),
)


def _compact(text: str) -> str:
    return json.dumps(json.loads(text), separators=(",", ":"))


def _instructed(text: str) -> str:
    return (
        f"### Instruction:\nRate how content the writer is.\n\n### Input:\n{text}\n\n### Response:"
    )


EVALUATION = (
    Family(
        name="open-hot-sampling",
        fault="Outputs are sampled at temperature `strength`.",
        cause="sampling temperature far too high",
        task="route",
        strength=4,
        settings={"evaluation.do_sample": True, "evaluation.temperature": 4},
        remedies={"evaluation.do_sample": (False,), "evaluation.temperature": (0.01, 0.5)},
    ),
    Family(
        name="open-one-new-token",
        fault="An output has `strength` token at most, answers have more.",
        cause="max_new_tokens too low",
        task="json",
        strength=1,
        settings={"evaluation.max_new_tokens": 1},
        remedies={"evaluation.max_new_tokens": (16, 128, None)},
    ),
    Family(
        name="open-stop-in-answer",
        fault="A stop text, a comma, ends each answer before its second part.",
        cause="stop text that answers have",
        task="route",
        strength=1,
        settings={"evaluation.stop": [","]},
        remedies={"evaluation.stop": ([],)},
    ),
    Family(
        name="open-json-as-text",
        fault="JSON is compared as text, and the references are spaced in another way.",
        cause="metric that does not fit JSON",
        task="json",
        strength=1,
        eval=texts(answer=_compact),
        settings={"evaluation.metric": "exact_match"},
        remedies={
            "evaluation.metric": ("json_match",),
            DataEdit.SAME_FORMAT_AS_EVAL: True,
            DataEdit.ONE_FORMAT: True,
        },
        edits={
            DataEdit.SAME_FORMAT_AS_EVAL: in_training(texts(answer=_compact)),
            DataEdit.ONE_FORMAT: in_training(texts(answer=_compact)),
        },
    ),
    Family(
        name="open-other-eval-prompts",
        fault="The prompts of evaluation have an instruction that training lacks.",
        cause="evaluation prompts in another template",
        task="stars",
        strength=1,
        eval=texts(prompt=_instructed),
        remedies={DataEdit.SAME_PROMPTS_AS_EVAL: True, DataEdit.ONE_FORMAT: True},
        edits={
            DataEdit.SAME_PROMPTS_AS_EVAL: in_training(texts(prompt=_instructed)),
            DataEdit.ONE_FORMAT: sound_eval("stars", 0),
        },
    ),
    Family(
        name="open-wrong-references",
        fault="A share `strength` of the evaluation references is wrong.",
        cause="wrong evaluation references",
        task="intents",
        strength=1 / 3,
        eval=wrong_answers,
        remedies={DataEdit.FIX_EVAL_REFERENCES: True},
        edits={DataEdit.FIX_EVAL_REFERENCES: sound_eval("intents", 0)},
    ),
    Family(
        name="open-cut-eval-prompts",
        fault="max_new_tokens is `strength`, which leaves ten tokens of the context to a prompt.",
        cause="evaluation prompts cut by max_new_tokens",
        task="question",
        strength=246,
        settings={"evaluation.max_new_tokens": 246},
        remedies={"evaluation.max_new_tokens": (4, 128, None)},
    ),
)

SETTINGS = (*TRAINING, *EVALUATION)
