"""Every field that the config declares changes what it is for.

Each case sets a field to another value than its default and looks at the object that consumes it:
PEFT's adapter, TRL's SFTConfig, the rows, the tokens, the outputs. What only a whole run shows
names the test that runs it. A field without a case fails here.
"""

from __future__ import annotations

import ast
import copy
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import datasets
import pytest
import torch
from peft import get_peft_model

from tests.engine.small_models import small_model
from tui_loop.cli.app_runs import AppRuns
from tui_loop.core.config.schema import GROUPS, Config, Evaluation
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.tables import flatten
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.data.rows import Row
from tui_loop.core.early_stopping import EvalLosses
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.shipped import shipped
from tui_loop.core.workflow.draft import new_draft
from tui_loop.engine import models, run_iteration, trainer_arguments
from tui_loop.engine.evaluation import prepare_eval_set
from tui_loop.engine.generation import generate
from tui_loop.engine.memory import EvalBatch
from tui_loop.engine.mixing import mixed_rows
from tui_loop.engine.model_source import ModelSource, find_model
from tui_loop.engine.models import LoadedModel, load_model, pretrained_arguments
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.run_evaluations import eval_batch_of, rows_to_measure
from tui_loop.engine.scorers import scorer_for
from tui_loop.engine.sources import read_source
from tui_loop.engine.stopping import Stop
from tui_loop.engine.trainer_arguments import choose_precision, lora_config, sft_config
from tui_loop.tui.screens.run_dialogs import runner_of

pytestmark = pytest.mark.train

TESTS = Path(__file__).parents[1]
FIELDS = [f"{name}.{field}" for name, group in GROUPS.items() for field in group.__struct_fields__]
ROW = Row("a", "where is my parcel", "shipping", 1)
CHAT = "{% for turn in messages %}<{{ turn.role }}>{{ turn.content }}{% endfor %}"

PROVEN_BY = {
    "run.gpus": "engine/gpus/test_claim.py::test_the_config_says_which_gpus_a_run_wants",
    "run.gpu_wait": (
        "engine/gpus/test_hosted_runs.py::"
        "test_a_run_without_a_free_gpu_is_refused_and_leaves_nothing_behind"
    ),
    "model.init_adapter": "engine/test_runs.py::test_an_iteration_can_start_from_anothers_adapter",
    "lora.enabled": "engine/test_runs.py::test_full_fine_tuning_trains_every_weight",
    "training.save_total_limit": (
        "faults/test_checkpoints.py::test_an_old_checkpoint_stays_until_the_new_one_can_be_used"
    ),
    "training.early_stopping_patience": (
        "engine/test_runs.py::test_early_stopping_ends_a_run_that_no_longer_gets_better"
    ),
    "training.keep": (
        "engine/test_runs.py::test_keep_best_keeps_the_weights_of_the_lowest_eval_loss"
    ),
    "evaluation.base": "core/workflow/test_plan.py::test_a_base_that_nobody_wants_is_not_needed",
    "run.on_divergence": (
        "faults/test_training.py::"
        "test_a_rollback_goes_on_from_the_last_good_checkpoint_at_a_tenth_of_the_rate"
    ),
}
"""Fields whose effect takes a whole run, or a loop on disk, and the test that shows it."""

SFT = {
    "learning_rate": ("learning_rate=3e-3", "learning_rate", 3e-3),
    "num_train_epochs": ("num_train_epochs=1.5", "num_train_epochs", 1.5),
    "max_steps": ("max_steps=7", "max_steps", 7),
    "per_device_train_batch_size": (
        "per_device_train_batch_size=3",
        "per_device_train_batch_size",
        3,
    ),
    "gradient_accumulation_steps": (
        "gradient_accumulation_steps=5",
        "gradient_accumulation_steps",
        5,
    ),
    "lr_scheduler_type": ("lr_scheduler_type=cosine", "lr_scheduler_type", "cosine"),
    "warmup_steps": ("warmup_steps=0.1", "warmup_steps", 0.1),
    "weight_decay": ("weight_decay=0.2", "weight_decay", 0.2),
    "max_grad_norm": ("max_grad_norm=0.3", "max_grad_norm", 0.3),
    "max_length": ("training.max_length=99", "max_length", 99),
    "packing": ("packing=true", "packing", True),
    "optim": ("optim=sgd", "optim", "sgd"),
    "activation_checkpointing": (
        "activation_checkpointing=true",
        "gradient_checkpointing",
        True,
    ),
    "seed": ("training.seed=7", "seed", 7),
    "logging_steps": ("logging_steps=9", "logging_steps", 9),
    "save_steps": ("save_steps=11", "save_steps", 11),
}
"""By field of `training`: a setting, the argument of SFTConfig, and what it then is."""


class Bench(NamedTuple):
    """What a case may use."""

    tiny: LoadedModel
    folder: Path
    patch: pytest.MonkeyPatch


Case = Callable[[Bench], None]
EFFECTS: dict[str, Case] = {}


def effect(field: str) -> Callable[[Case], Case]:
    """Makes a function the case of a field."""

    def add(case: Case) -> Case:
        assert field not in EFFECTS
        EFFECTS[field] = case
        return case

    return add


def of(*settings: str) -> Config:
    return with_settings(Config(), list(settings))


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(Config(), find_model("tiny", Path()))


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_has_an_effect(
    field: str, tiny: LoadedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if field in PROVEN_BY:
        path, _, name = PROVEN_BY[field].partition("::")
        text = (TESTS / path).read_text(encoding="utf-8")
        [test] = [
            each
            for each in ast.parse(text).body
            if isinstance(each, ast.FunctionDef) and each.name == name
        ]
        assert field.partition(".")[2] in (ast.get_source_segment(text, test) or "")
        return
    assert field in EFFECTS, f"{field} has no case that shows its effect"
    EFFECTS[field](Bench(tiny, tmp_path, monkeypatch))


def test_every_case_is_of_a_declared_field() -> None:
    assert set(EFFECTS) | set(PROVEN_BY) == set(FIELDS)
    assert not set(EFFECTS) & set(PROVEN_BY)


# The model.


@effect("model.id")
def _(bench: Bench) -> None:
    base = Path(find_model("tiny", bench.folder).name)
    shutil.copytree(base, bench.folder / "mine")
    assert find_model(of("model.id=mine").model.id, bench.folder).name == str(bench.folder / "mine")


@effect("model.revision")
def _(_: Bench) -> None:
    hub = ModelSource("someone/model", is_local=False)
    assert pretrained_arguments(Config(), hub)["revision"] is None
    assert pretrained_arguments(of("model.revision=v2"), hub)["revision"] == "v2"


@effect("model.dtype")
def _(bench: Bench) -> None:
    half = load_model(of("model.dtype=bfloat16"), find_model("tiny", bench.folder))
    assert (half.model.dtype, bench.tiny.model.dtype) == (torch.bfloat16, torch.float32)


@effect("model.attn_implementation")
def _(bench: Bench) -> None:
    eager = load_model(of("attn_implementation=eager"), find_model("tiny", bench.folder))
    kinds = (each.model.config._attn_implementation for each in (eager, bench.tiny))
    assert tuple(kinds) == ("eager", "sdpa")


@effect("model.quantization")
def _(bench: Bench) -> None:
    bench.patch.setattr(models, "require_quant", lambda _: None)
    for setting, bits in (("4bit", (True, False)), ("8bit", (False, True))):
        config = of(f"model.quantization={setting}")
        quantization = models._quantization(config, "cuda", torch.float32)["quantization_config"]
        assert (quantization.load_in_4bit, quantization.load_in_8bit) == bits
    assert models._quantization(Config(), "cuda", torch.float32) == {}


@effect("model.trust_remote_code")
def _(bench: Bench) -> None:
    source = find_model("tiny", bench.folder)
    trusting = of("model.trust_remote_code=true")
    assert pretrained_arguments(trusting, source)["trust_remote_code"] is True
    assert pretrained_arguments(Config(), source)["trust_remote_code"] is False


# The data.


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def pairs(first: int, count: int = 20) -> list[dict[str, Any]]:
    return [{"prompt": f"question {n}", "completion": "yes"} for n in range(first, first + count)]


def loaded(bench: Bench, *settings: str) -> LoadedData:
    """What is loaded of `train.jsonl`, unless the settings name other data."""
    if not (bench.folder / "train.jsonl").exists():
        write(bench.folder / "train.jsonl", pairs(0))
        write(bench.folder / "other.jsonl", pairs(100, 5))
    return load_data(of("data.train=train.jsonl", *settings), bench.folder, read_source)


def prompts(rows: list[Row]) -> set[str]:
    return {row.prompt for row in rows}


OTHER = {f"question {n}" for n in range(100, 105)}


def rows_of(data: LoadedData) -> list[Row]:
    return [*data.train, *data.eval]


@effect("data.train")
def _(bench: Bench) -> None:
    loaded(bench)
    assert prompts(loaded(bench, "data.train=other.jsonl").train) < OTHER


@effect("data.stopping_strategy")
def _(bench: Bench) -> None:
    loaded(bench)
    sources = ["data.train.many=train.jsonl", "data.train.few=other.jsonl"]
    weights = ["data.train.many.weight=1", "data.train.few.weight=1", "data.eval=other.jsonl"]

    def drawn(*settings: str) -> Counter[str]:
        config = of(*sources, *weights, *settings)
        data = load_data(config, bench.folder, read_source)
        return Counter(row.source for row in mixed_rows(data.train, config.data))

    assert drawn()["few"] <= 5
    assert drawn("stopping_strategy=all_exhausted")["few"] > 5


@effect("data.eval")
def _(bench: Bench) -> None:
    assert not prompts(loaded(bench).eval) & OTHER
    assert prompts(loaded(bench, "data.eval=other.jsonl").eval) == OTHER


@effect("data.holdout")
def _(bench: Bench) -> None:
    assert loaded(bench).holdout == []
    assert prompts(loaded(bench, "data.holdout=other.jsonl").holdout) == OTHER


@effect("data.encoding")
def _(bench: Bench) -> None:
    rows = "prompt;completion\n" + "".join(f"Wie groß ist {n}?;so\n" for n in range(4))
    (bench.folder / "latin.csv").write_bytes(rows.encode("latin-1"))
    settings = ["data.train=latin.csv", "eval_fraction=0.5"]
    assert "Wie groß ist 1?" in prompts(rows_of(loaded(bench, *settings, "data.encoding=latin-1")))
    with pytest.raises(BadInput, match="is not UTF-8"):
        loaded(bench, *settings)


@effect("data.header")
def _(bench: Bench) -> None:
    (bench.folder / "plain.csv").write_text("prompt,completion\n" + "a,b\nc,d\n" * 2)
    settings = ["data.train=plain.csv", "eval_fraction=0.5"]
    assert prompts(rows_of(loaded(bench, *settings))) == {"a", "c"}
    columns = 'data.columns={prompt = "column1", completion = "column2"}'
    without = loaded(bench, *settings, "data.header=no", columns)
    assert prompts(rows_of(without)) == {"prompt", "a", "c"}


@effect("data.on_bad_row")
def _(bench: Bench) -> None:
    write(bench.folder / "gaps.jsonl", [*pairs(0), {"prompt": "p", "completion": ""}])
    with pytest.raises(BadInput, match="is empty"):
        loaded(bench, "data.train=gaps.jsonl")
    skipped = loaded(bench, "data.train=gaps.jsonl", "data.on_bad_row=skip")
    assert len(rows_of(skipped)) == len(pairs(0))


@effect("data.drop_duplicates")
def _(bench: Bench) -> None:
    write(bench.folder / "twice.jsonl", pairs(0) * 2)
    settings = ["data.train=twice.jsonl"]
    assert len(rows_of(loaded(bench, *settings))) == 2 * len(pairs(0))
    assert len(rows_of(loaded(bench, *settings, "drop_duplicates=true"))) == len(pairs(0))


@effect("data.shape")
def _(bench: Bench) -> None:
    write(
        bench.folder / "both.jsonl",
        [{**row, "text": f"text of {row['prompt']}"} for row in pairs(0)],
    )
    shapes = [
        loaded(bench, "data.train=both.jsonl", *settings, "metric=none").mapping.shape
        for settings in (["data.shape=text"], ["data.shape=prompt_completion"])
    ]
    assert shapes == ["text", "prompt_completion"]


@effect("data.columns")
def _(bench: Bench) -> None:
    rows = [{**row, "title": f"title {n}"} for n, row in enumerate(pairs(0))]
    write(bench.folder / "titled.jsonl", rows)
    settings = ["data.train=titled.jsonl", 'data.columns={prompt = "title"}']
    assert loaded(bench, *settings).train[0].prompt.startswith("title ")


@effect("data.prompt_template")
def _(bench: Bench) -> None:
    texts = [
        bench.tiny.tokenizer.decode(
            Renderer(bench.tiny.tokenizer, config, "prompt_completion").prompt_ids(ROW)
        )
        for config in (Config(), of("data.prompt_template='Message: {prompt} Intent:'"))
    ]
    assert texts == [ROW.prompt, f"Message: {ROW.prompt} Intent:"]


@effect("data.chat_template")
def _(bench: Bench) -> None:
    tokenizer = copy.deepcopy(bench.tiny.tokenizer)
    tokenizer.chat_template = CHAT
    used = [
        Renderer(tokenizer, config, "prompt_completion").uses_chat
        for config in (Config(), of("data.chat_template=off"))
    ]
    assert used == [True, False]


@effect("data.train_on")
def _(bench: Bench) -> None:
    counts = [
        sum(Renderer(bench.tiny.tokenizer, config, "prompt_completion").tokens(ROW).trained)
        for config in (Config(), of("data.train_on=all"))
    ]
    assert counts[0] < counts[1]


@effect("data.max_train_rows")
def _(bench: Bench) -> None:
    assert len(loaded(bench).train) == 18
    assert len(loaded(bench, "max_train_rows=7").train) == 7


@effect("data.max_eval_rows")
def _(bench: Bench) -> None:
    assert len(loaded(bench, "data.eval=other.jsonl", "max_eval_rows=3").eval) == 3


@effect("data.eval_fraction")
def _(bench: Bench) -> None:
    assert [len(loaded(bench, *each).eval) for each in ([], ["eval_fraction=0.25"])] == [2, 5]


@effect("data.split_seed")
def _(bench: Bench) -> None:
    assert prompts(loaded(bench).eval) != prompts(loaded(bench, "split_seed=1").eval)


@effect("data.subset")
def _(bench: Bench) -> None:
    subsets: list[str | None] = []

    def load_dataset(entry: str, subset: str | None) -> datasets.DatasetDict:
        subsets.append(subset)
        return datasets.DatasetDict({"train": datasets.Dataset.from_list(pairs(0))})

    bench.patch.setattr(datasets, "load_dataset", load_dataset)
    read_source("someone/set", bench.folder, Config())
    read_source("someone/set", bench.folder, of("data.subset=small"))
    assert subsets == [None, "small"]


def split_folder(bench: Bench) -> str:
    for place, name in enumerate(("train", "validation", "test")):
        write(bench.folder / "set" / f"{name}.jsonl", pairs(100 * place, 5))
    return "data.train=set"


@effect("data.train_split")
def _(bench: Bench) -> None:
    data = loaded(bench, split_folder(bench), "train_split=test")
    assert prompts(data.train) == {f"question {n}" for n in range(200, 205)}


@effect("data.eval_split")
def _(bench: Bench) -> None:
    data = loaded(bench, split_folder(bench), "eval_split=test")
    assert prompts(data.eval) == {f"question {n}" for n in range(200, 205)}


# The adapter, as PEFT builds it on the tiny base.


def adapted(bench: Bench, *settings: str, base: Any = None) -> Any:
    """A base, by default the tiny one, with the adapter of a config."""
    model = copy.deepcopy(bench.tiny.model) if base is None else base
    return get_peft_model(model, lora_config(of(*settings), model))


def first_layer(bench: Bench, *settings: str) -> Any:
    """The first layer of a model that has an adapter."""
    model = adapted(bench, *settings)
    return next(each for each in model.modules() if hasattr(each, "lora_A"))


def trained_names(bench: Bench, *settings: str, base: Any = None) -> set[str]:
    parameters = adapted(bench, *settings, base=base).named_parameters()
    return {name for name, parameter in parameters if parameter.requires_grad}


@effect("lora.r")
def _(bench: Bench) -> None:
    assert first_layer(bench).lora_A["default"].weight.shape[0] == 16
    assert first_layer(bench, "lora.r=3").lora_A["default"].weight.shape[0] == 3


@effect("lora.lora_alpha")
def _(bench: Bench) -> None:
    assert first_layer(bench).scaling["default"] == 32 / 16
    assert first_layer(bench, "lora_alpha=40").scaling["default"] == 40 / 16


@effect("lora.lora_dropout")
def _(bench: Bench) -> None:
    assert isinstance(first_layer(bench).lora_dropout["default"], torch.nn.Identity)
    assert first_layer(bench, "lora_dropout=0.3").lora_dropout["default"].p == 0.3


@effect("lora.target_modules")
def _(bench: Bench) -> None:
    for settings in ('target_modules=["c_fc"]', "target_modules=.*c_fc"):
        names = trained_names(bench, settings)
        assert names
        assert all(".c_fc." in name for name in names)
    assert any(".c_attn." in name for name in trained_names(bench))


@effect("lora.bias")
def _(bench: Bench) -> None:
    none, own, every = (
        {name for name in trained_names(bench, *settings) if name.endswith("bias")}
        for settings in ([], ["lora.bias=lora_only"], ["lora.bias=all"])
    )
    assert not none
    assert own
    assert own < every


@effect("lora.use_rslora")
def _(bench: Bench) -> None:
    assert first_layer(bench, "use_rslora=true").scaling["default"] == 32 / 16**0.5


@effect("lora.use_dora")
def _(bench: Bench) -> None:
    magnitude = "lora_magnitude_vector"
    assert any(magnitude in name for name in trained_names(bench, "use_dora=true"))
    assert not any(magnitude in name for name in trained_names(bench))


@effect("lora.init_lora_weights")
def _(bench: Bench) -> None:
    assert not first_layer(bench).lora_B["default"].weight.any()
    assert first_layer(bench, "init_lora_weights=false").lora_B["default"].weight.any()
    plain, moved = (
        first_layer(bench, f"init_lora_weights={each}").base_layer.weight
        for each in ("gaussian", "pissa")
    )
    assert not torch.equal(plain, moved)


@effect("lora.modules_to_save")
def _(bench: Bench) -> None:
    names = trained_names(bench, 'modules_to_save=["ln_f"]')
    assert any(".ln_f." in name for name in names)
    assert not any(".ln_f." in name for name in trained_names(bench))


@effect("lora.layers_to_transform")
def _(bench: Bench) -> None:
    names = trained_names(bench, "layers_to_transform=[1]")
    assert names
    assert all(".h.1." in name for name in names)


@effect("lora.rank_pattern")
def _(bench: Bench) -> None:
    for key in ("c_attn", ".*[.]c_attn"):
        layer = first_layer(bench, f'rank_pattern={{"{key}" = 3}}')
        assert layer.lora_A["default"].weight.shape[0] == 3


@effect("lora.alpha_pattern")
def _(bench: Bench) -> None:
    layer = first_layer(bench, "alpha_pattern={c_attn = 48.0}")
    assert layer.scaling["default"] == 48 / 16


@effect("lora.target_parameters")
def _(bench: Bench) -> None:
    settings = ("target_modules=[]", 'target_parameters=["experts.down_proj"]')
    names = trained_names(bench, *settings, base=small_model("mixtral"))
    assert names
    assert all(".experts." in name for name in names)


@effect("lora.trainable_token_indices")
def _(bench: Bench) -> None:
    names = trained_names(bench, "trainable_token_indices=[3, 4]", base=small_model("llama"))
    assert [name for name in names if "token" in name and "lora" not in name]


# Training, as TRL's SFTConfig has it.


def sft_case(field: str) -> Case:
    setting, argument, wanted = SFT[field]

    def case(bench: Bench) -> None:
        before, after = (
            getattr(sft_config(config, bench.folder, bench.tiny), argument)
            for config in (Config(), of(setting))
        )
        assert flatten(of(setting))[f"training.{field}"] != flatten(Config())[f"training.{field}"]
        assert after == wanted
        assert before != after

    return case


for _name in SFT:
    effect(f"training.{_name}")(sft_case(_name))


@effect("training.precision")
def _(bench: Bench) -> None:
    on_gpu = LoadedModel(
        bench.tiny.model, bench.tiny.tokenizer, torch.device("cuda"), torch.float32
    )
    assert [choose_precision(each, on_gpu) for each in ("fp32", "bf16")] == ["fp32", "bf16"]
    bench.patch.setattr(trainer_arguments, "choose_precision", lambda precision, _: precision)
    for precision, wanted in (("auto", (False, False)), ("bf16", (True, False))):
        made = sft_config(of(f"precision={precision}"), bench.folder, bench.tiny)
        assert (made.bf16, made.fp16) == wanted


@effect("training.eval_steps")
def _(_: Bench) -> None:
    def due(*settings: str) -> list[int]:
        losses = EvalLosses(of(*settings).training)
        return [step for step in range(1, 12) if losses.is_due(step, step / 6, 100)]

    assert due() == [6]  # once an epoch
    assert due("training.eval_steps=5") == [5, 10]
    assert due("training.eval_steps=0") == []


# The evaluation.


def score(output: str, reference: str, **settings: Any) -> float:
    scorer = scorer_for(Evaluation(**settings), ["yes", "no"], Path())
    assert scorer is not None
    return scorer.score(output, reference)


def said(bench: Bench, **settings: Any) -> list[str]:
    """What tiny says to a few prompts."""
    texts = [f"Message: where is parcel {n}\nIntent:" for n in range(6)]
    outputs = generate(
        bench.tiny.model,
        bench.tiny.tokenizer,
        [bench.tiny.tokenizer(text)["input_ids"] for text in texts],
        settings=Evaluation(**settings),
        stop=Stop((bench.tiny.tokenizer.eos_token_id,), tuple(settings.get("stop", []))),
        max_new_tokens=8,
        context=256,
        batch=EvalBatch(8),
    )
    return [output.text for output in outputs]


@effect("evaluation.metric")
def _(_: Bench) -> None:
    assert score("well, yes", "yes") == 0
    assert score("well, yes", "yes", metric="contains") == 1


@effect("evaluation.labels")
def _(bench: Bench) -> None:
    assert loaded(bench, "metric=label").labels == ["yes"]
    data = loaded(bench, "metric=label", 'evaluation.labels=["yes", "no"]')
    assert data.labels == ["yes", "no"]


@effect("evaluation.pattern")
def _(_: Bench) -> None:
    assert score("42", "yes", metric="regex") == 0
    assert score("42", "yes", metric="regex", pattern=r"^\d+$") == 1


@effect("evaluation.pass_score")
def _(_: Bench) -> None:
    scorers = [
        scorer_for(Evaluation(metric="json_match", pass_score=score), [], Path())
        for score in (None, 0.25)
    ]
    assert [each.pass_score for each in scorers if each is not None] == [1.0, 0.25]


@effect("evaluation.max_length")
def _(bench: Bench) -> None:
    whole, cut = prepared_lengths(bench), prepared_lengths(bench, "evaluation.max_length=4")
    assert (whole[0], cut[0]) == (256, 4)
    assert whole[1] > 4 == cut[1]


@effect("evaluation.max_new_tokens")
def _(bench: Bench) -> None:
    whole, set_to = prepared_lengths(bench), prepared_lengths(bench, "evaluation.max_new_tokens=77")
    assert whole[2] != 77 == set_to[2]


def prepared_lengths(bench: Bench, *settings: str) -> tuple[int, int, int]:
    """The limit of a row, the tokens of one, and the limit of new tokens."""
    config = of(*settings)
    renderer = Renderer(bench.tiny.tokenizer, config, "prompt_completion")
    made = prepare_eval_set([ROW], renderer, config.evaluation, bench.tiny.model)
    return made.max_length, len(made.tokens[0].ids), made.max_new_tokens


@effect("evaluation.turns")
def _(bench: Bench) -> None:
    turns = [
        {"role": role, "content": f"{role} {number}"}
        for number in range(2)
        for role in ("user", "assistant")
    ]
    write(bench.folder / "talks.jsonl", [{"id": str(n), "messages": turns} for n in range(6)])
    settings = ["data.train=talks.jsonl", "data.eval=talks.jsonl"]
    assert len(loaded(bench, *settings).eval) == 6
    assert len(loaded(bench, *settings, "evaluation.turns=all").eval) == 12


@effect("evaluation.stop")
def _(bench: Bench) -> None:
    letter = said(bench)[0][1]
    assert [letter in text for text in said(bench, stop=[letter])] == [False] * 6


@effect("evaluation.do_sample")
def _(bench: Bench) -> None:
    assert said(bench, do_sample=True) != said(bench)


@effect("evaluation.temperature")
def _(bench: Bench) -> None:
    assert said(bench, do_sample=True, temperature=5.0) != said(bench, do_sample=True)
    assert said(bench, do_sample=True, temperature=1e-4) == said(bench)


@effect("evaluation.top_p")
def _(bench: Bench) -> None:
    assert said(bench, do_sample=True, top_p=1e-6) == said(bench)


@effect("evaluation.batch_size")
def _(_: Bench) -> None:
    sizes = []
    for config in (Config(), of("evaluation.batch_size=3")):
        run: Any = SimpleNamespace(config=config)
        sizes.append(eval_batch_of(run).size)
    assert sizes == [16, 3]


@effect("evaluation.train_rows")
def _(bench: Bench) -> None:
    prepared: Any = SimpleNamespace(data=loaded(bench))
    counts = []
    for config in (Config(), of("evaluation.train_rows=5"), of("evaluation.train_rows=0")):
        run: Any = SimpleNamespace(config=config, folder=SimpleNamespace(number=1))
        counts.append(len(rows_to_measure(run, prepared)))
    assert counts == [18, 5, 0]


# The run.


@effect("run.runner")
def _(bench: Bench) -> None:
    data = shipped("sample_data", "support-intents")
    tables = {
        "model": {"id": "tiny"},
        "data": {"train": str(data / "train.jsonl"), "eval": str(data / "eval.jsonl")},
    }
    settings = LoopSettings(metric="none", defaults=tables)
    loop = LoopsFolder(bench.folder / "loops").create("a", settings)
    homes: list[str] = []
    bench.patch.setattr(AppRuns, "_run_in_thread", lambda *_: homes.append("thread"))
    bench.patch.setattr(AppRuns, "_run_in_process", lambda *_: homes.append("process"))
    for runner in ("thread", "process"):
        runs = AppRuns(allow_code=False)
        draft = new_draft(loop, None).with_value("run.runner", runner)
        runs.start(loop, draft, runner_of(draft))  # as the run dialog offers it
        assert runs._host is not None
        runs._host.join()
    assert homes == ["thread", "process"]


@effect("run.device")
def _(bench: Bench) -> None:
    bench.patch.setattr(torch.cuda, "is_available", lambda: True)
    assert models.choose_device("auto") == "cuda"
    made = load_model(of("run.device=cpu"), find_model("tiny", bench.folder))
    assert made.device == torch.device("cpu")


@effect("run.cpu_threads")
def _(bench: Bench) -> None:
    threads: list[int] = []
    bench.patch.setattr(torch, "set_num_threads", threads.append)
    run: Any = SimpleNamespace(
        info=lambda _: None, outcome=SimpleNamespace(sizes={}), note_device=lambda _: None
    )
    for config in (Config(), of("run.cpu_threads=3")):
        run.config = config
        run_iteration._load(run, config, find_model("tiny", bench.folder))
    assert threads == [1, 3]
