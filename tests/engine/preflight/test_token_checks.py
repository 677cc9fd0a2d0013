"""Pre-flight with the tokenizer: what it counts is what SFTTrainer would train on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from peft import get_peft_model
from trl import SFTTrainer

from tests.engine.conftest import TEMPLATE
from tests.engine.test_rendering import CHATML, SPACED, TEXTS, TURNS, quiet_arguments
from tui_loop.core.config.schema import Config, Lora
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.engine import lora_targets
from tui_loop.engine.lora_targets import target_modules
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import LoadedModel, load_model
from tui_loop.engine.preflight import loss_mask, token_checks
from tui_loop.engine.preflight.loss_mask import LossMasker
from tui_loop.engine.preflight.token_checks import (
    Context,
    Sizes,
    base_sizes,
    check_sizes,
    check_tokens,
    meta_model,
)
from tui_loop.engine.trainer_arguments import lora_config
from tui_loop.engine.training_rows import render_training_rows

pytestmark = pytest.mark.train

MARKED = (
    "{% for m in messages %}<|{{ m.role }}|>{% if m.role == 'assistant' %}{% generation %}"
    "{{ m.content }}<|end|>\n{% endgeneration %}{% else %}{{ m.content }}<|end|>\n{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
LONG = [
    *SPACED,
    {"prompt": "where is it " * 9, "completion": "shipping"},
    {"prompt": "a few words more", "completion": " praise" * 12},
]


@pytest.fixture(scope="module")
def tiny() -> LoadedModel:
    return load_model(Config(), find_model("tiny", Path()))


@pytest.fixture
def check(tmp_path: Path) -> Callable[..., LossMasker]:
    """Makes a check of rows under settings, on a tiny base with a chat template or without."""

    def make(rows: list[dict[str, Any]], *settings: str, template: str | None = None) -> LossMasker:
        folder = shutil.copytree(
            find_model("tiny", Path()).name, tmp_path / "base", dirs_exist_ok=True
        )
        if template is not None:
            (folder / "chat_template.jinja").write_text(template)
        (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        assignments = [f"model.id={folder}", "data.train=t.jsonl", "data.eval=t.jsonl", *settings]
        config = with_settings(Config(), assignments)
        return LossMasker(config, tmp_path, load_data(config, tmp_path))

    return make


def data_of(check: LossMasker) -> LoadedData:
    return check.data


def kinds_of(check: LossMasker, context: int = 512) -> dict[str, CheckResult]:
    rows, refused = check.render()
    training, total = check.config.training, len(data_of(check).train)
    counted = check_tokens(training, rows, total, Context(context, is_hard=True))
    found = [*refused, *counted]
    return {each.kind: each for each in found}


@pytest.mark.filterwarnings("ignore:The .'keep_end'. truncation mode:FutureWarning")
@pytest.mark.parametrize(
    ("rows", "settings", "template"),
    [
        (LONG, [], None),
        (LONG, [f"data.prompt_template={TEMPLATE!r}", "training.max_length=14"], None),
        (LONG, ["data.train_on=all", "training.max_length=14"], None),
        (LONG, ["training.max_length=14", "training.truncation_mode=keep_end"], None),
        (LONG, ["training.max_length=20"], CHATML),
        (TEXTS, ["training.max_length=3"], None),
        (TURNS, ["training.max_length=24"], CHATML),
        (TURNS, ["training.max_length=24"], MARKED),
        (TURNS, ["data.train_on=last"], CHATML),
        (TURNS, ["data.train_on=all", "training.max_length=24"], CHATML),
    ],
)
def test_masks_are_those_of_sfttrainer(
    *,
    rows: list[dict[str, Any]],
    settings: list[str],
    template: str | None,
    check: Callable[..., LossMasker],
    tiny: LoadedModel,
    tmp_path: Path,
) -> None:
    ours = check(rows, *settings, template=template)
    config, mapped = ours.config, data_of(ours).train
    trainer = SFTTrainer(
        model=tiny.model,
        args=quiet_arguments(
            tmp_path,
            max_length=config.training.max_length,
            **config.other,
        ),
        train_dataset=render_training_rows(ours.renderer, mapped).dataset,
        processing_class=ours.tokenizer,
    )
    theirs = [
        (row["input_ids"], [label != -100 for label in row["labels"]])
        for row in trainer.train_dataset
    ]
    masked = [ours.apply(row) for row in mapped]
    assert [(each.ids, each.trained) for each in masked if any(each.trained)] == theirs


@pytest.mark.parametrize(("rows", "template"), [(TURNS, CHATML), (SPACED, None), (TEXTS, None)])
def test_the_labels_of_the_first_batch_are_those_that_check_shows(
    rows: list[dict[str, Any]],
    template: str | None,
    check: Callable[..., LossMasker],
    tiny: LoadedModel,
    tmp_path: Path,
) -> None:
    ours = check(rows, template=template)
    trainer = SFTTrainer(
        model=tiny.model,
        args=quiet_arguments(
            tmp_path,
            per_device_train_batch_size=len(rows),
            train_sampling_strategy="sequential",
        ),
        train_dataset=render_training_rows(ours.renderer, data_of(ours).train).dataset,
        processing_class=ours.tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    for number, (ids, labels) in enumerate(zip(batch["input_ids"], batch["labels"], strict=True)):
        shown = ours.row(number + 1)
        count = len(shown.tokens)
        trained = [trained for _, trained in shown.tokens]
        assert [int(label) != -100 for label in labels[:count]] == trained
        assert [int(label) for label in labels if label != -100] == [
            int(token) for token, is_trained in zip(ids, trained, strict=False) if is_trained
        ]
        assert "".join(text for text, _ in shown.tokens) == ours.tokenizer.decode(ids[:count])
        assert [turn.trained for turn in shown.turns] == [
            sum(trained[turn.start : turn.end]) for turn in shown.turns
        ]


def test_lengths_cuts_and_masks_are_counted(check: Callable[..., LossMasker]) -> None:
    found = kinds_of(check(LONG, "training.max_length=14", "per_device_train_batch_size=2"))
    assert found["too_long"].severity == found["fully_masked"].severity == "warning"
    assert "1 of 4 training rows (25%) has no token to train on" in found["fully_masked"].message
    assert [row.line for row in found["fully_masked"].rows] == [3]
    assert found["too_long"].count == 2
    assert {row.line for row in found["too_long"].rows} == {3, 4}
    longest = found["tokens"].count
    assert longest is not None
    assert found["too_long"].hint == f"--set training.max_length={longest}"
    assert "are trained on" in found["trained_share"].message
    assert "are padding" in found["padding"].message


def test_a_run_that_would_train_on_nothing_is_an_error(check: Callable[..., LossMasker]) -> None:
    found = kinds_of(check(SPACED, "training.max_length=2"))
    assert found["fully_masked"].severity == "error"
    assert "2 of 2 training rows (100%)" in found["fully_masked"].message


def test_rows_beyond_what_the_model_takes_are_an_error(check: Callable[..., LossMasker]) -> None:
    found = kinds_of(check(LONG), context=16)
    assert found["beyond_context"].severity == "error"
    assert found["beyond_context"].hint == "--set training.max_length=16"


def test_no_limit_is_advised_that_the_model_cannot_take(check: Callable[..., LossMasker]) -> None:
    assert kinds_of(check(LONG, "training.max_length=14"), 16)["too_long"].hint.endswith("=16")
    assert "beyond_context" not in kinds_of(check(LONG, "packing=true"), 1024)
    packed = kinds_of(check(LONG, "packing=true"), context=512)["beyond_context"]
    assert packed.severity == "error"
    assert "packed to training.max_length = 1024" in packed.message


def sizes_of(config: Config) -> Sizes:
    """Returns the sizes of a run, as the gate finds them."""
    model = meta_model(config, Path())
    sizes = base_sizes(config, model)
    if not config.lora.enabled:
        return sizes
    return sizes.of_adapter(get_peft_model(model, lora_config(config, model)), config)


def test_what_a_template_refuses_is_found_row_by_row(check: Callable[..., LossMasker]) -> None:
    strict = (
        "{% if messages[0].role == 'system' %}{{ raise_exception('no system turns here') }}"
        "{% endif %}" + CHATML
    )
    system = {"messages": [{"role": "system", "content": "x"}, *TURNS[0]["messages"]]}
    found = kinds_of(check([*TURNS, system], template=strict))
    refused = found["wrong_roles"]
    assert (refused.severity, refused.count) == ("error", 1)
    assert "no system turns here" in refused.message
    assert [row.line for row in refused.rows] == [3]


def test_a_template_that_marks_other_turns_trains_on_the_answers_all_the_same(
    check: Callable[..., LossMasker],
) -> None:
    unmarked = MARKED.replace("m.role == 'assistant'", "m.role == 'nobody'")
    marked, other = check(TURNS, template=MARKED), check(TURNS, template=unmarked)
    expected = [marked.apply(row).trained for row in data_of(marked).train]
    assert [other.apply(row).trained for row in data_of(other).train] == expected


def test_of_many_rows_a_sample_and_the_longest_are_rendered(
    check: Callable[..., LossMasker], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loss_mask, "SAMPLED_ROWS", 20)
    monkeypatch.setattr(loss_mask, "LONGEST_ROWS", 2)
    rows = [{"prompt": f"row {number}", "completion": "x"} for number in range(60)]
    rows[37]["prompt"] = "a long row " * 9
    found = kinds_of(check(rows))
    assert found["tokens"].rows[0].line == 38
    assert "sampled rows" in found["tokens"].message
    cut = kinds_of(check(rows, "training.max_length=9"))["too_long"]
    assert "1 of 20 sampled training rows (5%) is longer than" in cut.message


def test_a_row_is_shown_with_what_is_cut_off(check: Callable[..., LossMasker]) -> None:
    shown = check(LONG, "training.max_length=14").row(4)
    assert (shown.number, shown.total, shown.line) == (4, 4, 4)
    text = "".join(each for each, _ in shown.tokens)
    assert text.startswith("a few words more")
    assert shown.cut == len(shown.tokens) - 14
    assert not any(trained for _, trained in shown.tokens[14:])
    assert shown.trained == sum(trained for _, trained in shown.tokens) > 0


def test_sizes_are_those_of_the_real_model(tiny: LoadedModel) -> None:
    fresh = load_model(Config(), find_model("tiny", Path()))
    parameters = sum(each.numel() for each in fresh.model.parameters())
    adapted = get_peft_model(fresh.model, lora_config(Config(), fresh.model))
    trained = sum(each.numel() for each in adapted.parameters() if each.requires_grad)
    ours = sizes_of(Config())
    assert (ours.parameters, ours.trained) == (parameters, trained)
    assert ours.weight_bytes == 4 * parameters
    assert ours.checkpoint_bytes == 12 * trained
    assert ours.context == Context(tiny.model.config.n_positions, is_hard=True)
    whole = sizes_of(with_settings(Config(), ["lora.enabled=false"]))
    assert whole.trained == parameters


def test_a_pattern_for_layers_is_matched_in_a_time_that_is_limited(
    tiny: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(targets: str) -> int:
        return sizes_of(with_settings(Config(), [f"lora.target_modules={targets}"])).trained

    assert trained(r".*\.attn\.c_attn") == trained("['attn.c_attn']") < trained("all-linear")
    with pytest.raises(BadInput, match=r"lora\.target_modules: 'c_attn' matches no layer"):
        trained("c_attn")
    with pytest.raises(
        BadInput, match=r"lora\.target_modules: '\(' is not a valid regular expression"
    ):
        trained("(")
    monkeypatch.setattr(lora_targets, "TARGETS_SECONDS", 0.05)
    with pytest.raises(BadInput, match=r"lora\.target_modules: .* takes too long"):
        trained(r"(.|..)+(.|..)+$(?<=!)")


def test_layers_that_a_pattern_names_are_no_endings_of_others() -> None:
    model = torch.nn.ModuleDict(
        {"q": torch.nn.Linear(2, 2), "sub": torch.nn.ModuleDict({"q": torch.nn.Linear(2, 2)})}
    )
    assert target_modules(Lora(target_modules=".*q"), model) == ["q", "sub.q"]
    only = target_modules(Lora(target_modules="q|k"), model)
    assert only == "q"  # as a list it would be taken for an ending of sub.q, too


def test_memory_and_disk_that_cannot_suffice_are_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, ours = Config(), sizes_of(Config())

    def severities() -> dict[str, str]:
        return {each.kind: each.severity for each in check_sizes(config, ours, tmp_path, 1000, 100)}

    assert severities() == {"sizes": "info", "memory": "info", "disk": "info"}
    monkeypatch.setattr(token_checks, "_memory_of", lambda _: ours.fixed_bytes + 1)
    assert severities()["memory"] == "warning"
    monkeypatch.setattr(token_checks, "_memory_of", lambda _: ours.fixed_bytes - 1)
    assert severities()["memory"] == "error"
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=ours.trained_bytes))
    assert severities()["disk"] == "error"
