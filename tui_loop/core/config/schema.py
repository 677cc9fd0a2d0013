"""Every config field, declared once: type, limits, default, help and group.

The form, the command line, the TOML files, the diff and the docs come from these
declarations. Limits refuse only what cannot be computed; the unusual is a warning elsewhere.
Names are those of `SFTConfig` and `LoraConfig` where those have one.
"""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from tui_loop.core.config.data_sources import DataSource
from tui_loop.core.config.types import (
    Count,
    Natural,
    NotNegative,
    Path,
    Positive,
    ProperShare,
    Seed,
    Share,
    Text,
    Unit,
)


def about(description: str) -> Meta:
    """The help of a field: one sentence, units included."""
    return Meta(description=description)


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """A table of the config file."""


class Model(Group, frozen=True, kw_only=True):
    """Which weights a run starts from."""

    id: Annotated[
        Text,
        about("Base model: tiny, smollm2, a hub id, a folder, or a .gguf file."),
    ] = "tiny"
    revision: Annotated[str | None, about("Hub revision: branch, tag or commit.")] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        about("Data type of the weights; auto: bfloat16 on a GPU that supports it, else float32."),
    ] = "auto"
    quantization: Annotated[
        Literal["none", "4bit", "8bit"],
        about("Quantize the base model while loading (QLoRA); needs CUDA and the quant extra."),
    ] = "none"
    trust_remote_code: Annotated[
        bool, about("Run Python code that the model's repository ships.")
    ] = False
    attn_implementation: Annotated[
        Literal[
            "auto",
            "eager",
            "sdpa",
            "flash_attention_2",
            "flash_attention_3",
            "flex_attention",
        ],
        about("Attention implementation; auto: the default of transformers for the model."),
    ] = "auto"
    init_adapter: Annotated[
        Count | Path | None,
        about(
            "Adapter to start from instead of a new one: the number of an iteration, or the path "
            "of a folder with adapter_config.json."
        ),
    ] = None


class Data(Group, frozen=True, kw_only=True):
    """The training, evaluation and holdout data."""

    train: Annotated[
        str | dict[str, DataSource],
        about(
            "Training data: a JSONL, JSON, CSV, text, Parquet or Arrow file, a folder with splits, "
            "or a hub id. For several sources, a table of them by name; each has a path, and may "
            "have weight, max_rows, split and columns."
        ),
    ] = ""
    eval: Annotated[
        str | dict[str, DataSource] | None,
        about(
            "Evaluation data, or a table of several sources by name; unset: a random part of the "
            "training data is held out (eval_fraction)."
        ),
    ] = None
    holdout: Annotated[
        str | None,
        about(
            "Locked data: evaluated only to decide whether the model is ready, never to tune it."
        ),
    ] = None
    shape: Annotated[
        Literal["text", "prompt_completion", "messages", "instruction"] | None,
        about("Format of a row; unset: detected from the columns."),
    ] = None
    columns: Annotated[
        dict[str, str],
        about(
            "The column of each role: prompt, completion, text, messages, "
            "instruction, input, output, system, history, tools, id."
        ),
    ] = {}
    prompt_template: Annotated[
        str | None,
        about(
            "Text around each prompt; {prompt} marks the place of the prompt, e.g. "
            "'Message: {prompt}\\nIntent:'."
        ),
    ] = None
    chat_template: Annotated[
        Text,
        about(
            "Chat template for the rows: auto (the model's own, if any), off (none), or the path "
            "of a template file."
        ),
    ] = "auto"
    train_on: Annotated[
        Literal["assistant", "last", "all"],
        about(
            "Tokens that count in the loss: those of all assistant turns, of the last one, or all "
            "tokens. In plain text, all tokens count."
        ),
    ] = "assistant"
    max_train_rows: Annotated[
        Count | None,
        about("Maximum number of training rows, sampled with split_seed and kept in file order."),
    ] = None
    max_eval_rows: Annotated[
        Count | None,
        about("Maximum number of held-out rows, sampled with split_seed and kept in file order."),
    ] = None
    stopping_strategy: Annotated[
        Literal["first_exhausted", "all_exhausted"],
        about(
            "When the mix of weighted sources ends: when the first source is used up, or when all "
            "are. In the second case, smaller sources are repeated."
        ),
    ] = "first_exhausted"
    eval_fraction: Annotated[
        ProperShare, about("Share of the training data to hold out if there is no evaluation data.")
    ] = 0.1
    split_seed: Annotated[
        int, about("Seed for holding out rows, sampling rows and mixing sources.")
    ] = 0
    subset: Annotated[str | None, about("Name of a subset (configuration) of a hub data set.")] = (
        None
    )
    train_split: Annotated[Text, about("Split to train on, in a folder or hub data set.")] = "train"
    eval_split: Annotated[
        str | None,
        about("Split to evaluate on; unset: validation, else test, else a part of train."),
    ] = None
    encoding: Annotated[
        Text,
        about("Encoding of text files; auto: UTF-8, or UTF-16 or UTF-32 with a byte-order mark."),
    ] = "auto"
    header: Annotated[
        Literal["auto", "yes", "no"],
        about("Whether the first line of a CSV file names the columns; auto: detected."),
    ] = "auto"
    on_bad_row: Annotated[
        Literal["refuse", "skip"],
        about(
            "What to do about unusable rows: refuse the data, or skip these rows. With skip, user "
            "turns after the last answer of a conversation are cut too."
        ),
    ] = "refuse"
    drop_duplicates: Annotated[
        bool, about("Use rows with the same prompt and reference only once per file.")
    ] = False


class Lora(Group, frozen=True, kw_only=True):
    """The commonly tuned fields of PEFT's LoraConfig; others can be set as well (`other_lora`)."""

    enabled: Annotated[bool, about("Train a LoRA adapter; false: full fine-tuning.")] = True
    r: Annotated[Count, about("Rank of the update matrices.")] = 16
    lora_alpha: Annotated[
        Positive, about("The update is scaled by alpha / r; with use_rslora by alpha / sqrt(r).")
    ] = 32
    lora_dropout: Annotated[Share, about("Dropout on the adapter's input.")] = 0.0
    target_modules: Annotated[
        str | list[str],
        about("Layers that get an adapter: all-linear, a regular expression, or a list of names."),
    ] = "all-linear"
    bias: Annotated[
        Literal["none", "all", "lora_only"],
        about("Biases to train: none, all, or only those of layers with an adapter."),
    ] = "none"
    use_rslora: Annotated[
        bool, about("Scale the update by alpha / sqrt(r) (rank-stabilized LoRA).")
    ] = False
    use_dora: Annotated[bool, about("Split each update into magnitude and direction (DoRA).")] = (
        False
    )
    init_lora_weights: Annotated[
        bool | str,
        about(
            "Initialization of the adapter: true (starts at zero), false (random), gaussian, "
            "orthogonal, mica, olora, pissa, or pissa_niter_N (fast SVD with N iterations)."
        ),
    ] = True
    modules_to_save: Annotated[
        list[Text] | None, about("Layers that are trained and saved in full, e.g. lm_head.")
    ] = None
    layers_to_transform: Annotated[
        list[Natural] | Natural | None,
        about(
            "Indices of the layers that get an adapter; if set, target_modules must not be a "
            "regular expression."
        ),
    ] = None
    rank_pattern: Annotated[
        dict[str, Count], about("Different ranks for some layers, by name or regular expression.")
    ] = {}
    alpha_pattern: Annotated[
        dict[str, Positive],
        about("Different alphas for some layers, by name or regular expression."),
    ] = {}
    target_parameters: Annotated[
        list[Text] | None,
        about("Parameters that get an adapter, such as the experts of a mixture of experts."),
    ] = None
    trainable_token_indices: Annotated[
        list[Natural] | dict[str, list[Natural]] | None,
        about(
            "Ids of tokens whose embeddings are trained, or a table of ids for each embedding "
            "layer."
        ),
    ] = None


class Training(Group, frozen=True, kw_only=True):
    """The commonly tuned SFTConfig fields; all others can be set as well (`other`)."""

    learning_rate: Annotated[Positive, about("Peak learning rate; about 1e-4 suits LoRA.")] = 1e-4
    num_train_epochs: Annotated[Positive, about("Passes over the training data.")] = 3.0
    max_steps: Annotated[
        Count | None, about("Number of optimizer steps; if set, num_train_epochs has no effect.")
    ] = None
    per_device_train_batch_size: Annotated[Count, about("Rows per forward pass.")] = 8
    gradient_accumulation_steps: Annotated[
        Count,
        about("Forward passes per optimizer step. Effective batch size = batch size x this value."),
    ] = 1
    lr_scheduler_type: Annotated[
        Literal[
            "linear",
            "cosine",
            "cosine_with_restarts",
            "polynomial",
            "constant",
            "constant_with_warmup",
            "inverse_sqrt",
            "reduce_lr_on_plateau",
            "cosine_with_min_lr",
            "cosine_warmup_with_min_lr",
            "warmup_stable_decay",
        ],
        about("How the learning rate changes during the run."),
    ] = "linear"
    warmup_steps: Annotated[
        NotNegative, about("Warm-up steps; a number below 1 is a share of all steps.")
    ] = 0.0
    weight_decay: Annotated[NotNegative, about("Decoupled weight decay.")] = 0.0
    max_grad_norm: Annotated[
        NotNegative, about("Gradients are clipped to this norm; 0: no clipping.")
    ] = 1.0
    max_length: Annotated[
        Count | None,
        about(
            "Training rows are cut to this many tokens; for evaluation, see evaluation.max_length."
        ),
    ] = 1024
    packing: Annotated[bool, about("Pack several training rows into one sequence.")] = False
    optim: Annotated[Text, about("Optimizer, by its name in transformers.")] = "adamw_torch"
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        about("Precision of training; auto: bf16 on a GPU that supports it, else fp32."),
    ] = "auto"
    activation_checkpointing: Annotated[
        bool, about("Recompute activations in the backward pass: less memory, slower.")
    ] = False
    seed: Annotated[Seed, about("Seed for new weights, row order and dropout.")] = 42
    logging_steps: Annotated[Count, about("Steps between two log entries.")] = 1
    eval_steps: Annotated[
        Natural | None,
        about("Steps between evaluations during the run; 0: none; unset: one per epoch."),
    ] = None
    save_steps: Annotated[
        Natural | None, about("Steps between checkpoints; 0: none; unset: one at each evaluation.")
    ] = 500
    save_total_limit: Annotated[
        Count | None, about("Maximum number of checkpoints to keep; older ones are deleted.")
    ] = 2
    early_stopping_patience: Annotated[
        Count | None, about("Stop after this many evaluations without a lower eval loss.")
    ] = None
    keep: Annotated[
        Literal["last", "best"],
        about("Weights to evaluate and save: the last ones, or those with the lowest eval loss."),
    ] = "last"


class Evaluation(Group, frozen=True, kw_only=True):
    """How every iteration is evaluated, independent of its training settings."""

    metric: Annotated[
        Text,
        about(
            "How outputs are scored: exact_match, contains, regex, label, numeric, json_valid, "
            "json_match, tool_call, rouge_l, chrf, none, or module:function."
        ),
    ] = "exact_match"
    labels: Annotated[
        list[str] | None,
        about("The set of labels; unset: all labels in the training and evaluation data."),
    ] = None
    pattern: Annotated[
        str | None,
        about("Regular expression for metric regex; unset: each reference is the pattern."),
    ] = None
    pass_score: Annotated[
        Unit | None, about("An example passes at or above this score; unset: the metric's default.")
    ] = None
    max_length: Annotated[
        Count | None,
        about(
            "For evaluation, rows are cut to this many tokens; unset: the model's context length."
        ),
    ] = None
    max_new_tokens: Annotated[
        Count | None,
        about("Maximum number of tokens per output; unset: derived from the references."),
    ] = None
    turns: Annotated[
        Literal["last", "all"],
        about("Which answers of a conversation are generated and scored."),
    ] = "last"
    stop: Annotated[
        list[Text],
        about("Stop strings that end an output, besides the model's own end tokens."),
    ] = []
    do_sample: Annotated[bool, about("Sample the outputs instead of decoding greedily.")] = False
    temperature: Annotated[Positive, about("Sampling temperature (with do_sample).")] = 1.0
    top_p: Annotated[
        Annotated[float, Meta(gt=0, le=1)],
        about("Probability mass of nucleus sampling (with do_sample)."),
    ] = 1.0
    batch_size: Annotated[Count, about("Rows evaluated at once; does not change scores.")] = 16
    base: Annotated[bool, about("Evaluate the base model first, as iteration 0.")] = True
    train_rows: Annotated[
        Natural,
        about(
            "Number of training rows (a seeded sample) whose loss is measured after training; 0: "
            "none."
        ),
    ] = 256


class Run(Group, frozen=True, kw_only=True):
    """The device of a run, and how it handles faults."""

    runner: Annotated[
        Literal["thread", "process", "job"],
        about("Where a run executes: in the app itself, in a separate process, or as a SLURM job."),
    ] = "thread"
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        about("Device that the model runs on; cuda:N means cuda and gpus = [N]."),
    ] = "auto"
    gpus: Annotated[
        Count | list[Natural | Text] | None,
        about(
            "GPUs of a run: a number of free ones, or a list of their indexes or UUIDs; "
            "unset: one free GPU."
        ),
    ] = None
    gpu_wait: Annotated[
        NotNegative | None,
        about(
            "Minutes that a run waits for a free GPU; 0: it is refused at once; unset: no limit."
        ),
    ] = None
    cpu_threads: Annotated[
        Count | None,
        about("PyTorch threads on a CPU; unset: 1 for model tiny, else PyTorch's default."),
    ] = None
    on_divergence: Annotated[
        Literal["stop", "continue", "rollback"],
        about(
            "What a diverged run does; rollback: continue from its last good weights at a tenth "
            "of the learning rate."
        ),
    ] = "stop"


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole config of an iteration.

    `other` holds further SFTConfig fields of `training`, `other_lora` further LoraConfig fields of
    `lora`. They are keys of these tables in every file.
    """

    model: Model = Model()
    data: Data = Data()
    lora: Lora = Lora()
    training: Training = Training()
    evaluation: Evaluation = Evaluation()
    run: Run = Run()
    other: dict[str, Any] = {}
    other_lora: dict[str, Any] = {}


GROUPS: dict[str, type[Group]] = {
    "model": Model,
    "data": Data,
    "lora": Lora,
    "training": Training,
    "evaluation": Evaluation,
    "run": Run,
}


def field_help(name: str) -> tuple[str, Any]:
    """Returns (help, default) of `group.field`."""
    group, _, field = name.partition(".")
    hint = hints_of(GROUPS[group])[field]
    default = getattr(GROUPS[group](), field)
    texts = [meta.description for meta in hint.__metadata__ if meta.description]
    return (texts[-1] if texts else ""), default


def all_fields() -> list[str]:
    """Returns every declared `group.field`, in schema order."""
    return [f"{group}.{field}" for group, kind in GROUPS.items() for field in hints_of(kind)]


def choices_of(hint: Any) -> list[str]:
    """Returns the values of a Literal within the type `hint`, if there is one."""
    found: list[str] = []
    for part in getattr(hint, "__args__", ()):
        found.extend([part] if isinstance(part, str) else choices_of(part))
    return found


def is_optional(hint: Any) -> bool:
    """Returns whether a field may be unset."""
    inner = hint.__args__[0] if hasattr(hint, "__origin__") else hint
    return type(None) in getattr(inner, "__args__", ())


@cache
def hints_of(kind: type[Group]) -> dict[str, Any]:
    """Returns the annotated type of each field of a group."""
    return get_type_hints(kind, include_extras=True)


SEED = "training.seed"

TRAIN_ON = "data.train_on"
"""The field of `data` that is a choice of training: it changes neither rows nor outputs' scores."""
EOS = "eos_token"
"""The field of `other` that replaces the tokenizer's end-of-sequence token."""

BOOKKEEPING = frozenset(
    {
        SEED,
        *(f"training.{name}" for name in ("logging_steps", "eval_steps", "save_steps")),
        *(f"training.{name}" for name in ("save_total_limit", "activation_checkpointing")),
        *(f"evaluation.{name}" for name in ("base", "batch_size", "train_rows")),
        *(f"run.{name}" for name in Config().run.__struct_fields__),
    }
)
"""Fields that are not part of an experiment: seed, logging interval, device."""
