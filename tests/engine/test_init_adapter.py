"""A run starts from an iteration's adapter, or from one in any folder, and from nothing else."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.engine.conftest import TinyLoop
from tests.engine.small_models import small_llama
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.engine.init_adapter import check_init_adapter, find_init_adapter

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a base, another one of other sizes, and an adapter of the first by PEFT."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("models")
    base = small_llama(folder / "base")
    small_llama(folder / "wider", hidden=48)
    small_llama(folder / "shallow", num_hidden_layers=1)
    settings = LoraConfig(
        r=4, lora_alpha=12, target_modules=["q_proj", "v_proj"], init_lora_weights=False
    )
    settings.task_type = "CAUSAL_LM"
    model = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(model, settings).save_pretrained(folder / "adapter")
    settings = LoraConfig(r=4, lora_alpha=12, target_modules="all-linear", task_type="CAUSAL_LM")
    model = AutoModelForCausalLM.from_pretrained(base)
    get_peft_model(model, settings).save_pretrained(folder / "all")
    return folder


FITTING = ("lora.r=4", "lora.lora_alpha=12", 'lora.target_modules=["v_proj", "q_proj"]')


@pytest.fixture
def loop(tmp_path: Path) -> LoopFolder:
    return LoopsFolder(tmp_path / "loops").create("a", LoopSettings())


def config_of(models: Path, *settings: str, base: str = "base", adapter: str = "") -> Config:
    given = [f"model.id={models / base}", f"model.init_adapter={adapter or models / 'adapter'}"]
    return with_settings(Config(), [*given, *FITTING, *settings])


def refusal(loop: LoopFolder, config: Config) -> BadInput:
    with pytest.raises(BadInput) as refused:
        check_init_adapter(loop, config)
    return refused.value


def test_an_adapter_that_plain_peft_saved_is_accepted_by_its_path(
    loop: LoopFolder, models: Path
) -> None:
    check_init_adapter(loop, config_of(models))
    shutil.copytree(models / "adapter", loop.root / "mine")
    config = config_of(models, adapter="mine")  # from the folder above loops/, as a model's path
    found = find_init_adapter(loop, config)
    assert found is not None
    assert found.folder == loop.root / "mine"
    check_init_adapter(loop, config)


def test_other_lora_settings_are_refused_with_all_settings_to_type(
    loop: LoopFolder, models: Path
) -> None:
    error = refusal(
        loop, config_of(models, "lora.r=8", "lora.lora_alpha=16", "lora.target_modules=all-linear")
    )
    assert error.message.endswith(
        "was trained with different values of lora.r, lora.lora_alpha, lora.target_modules"
    )
    assert "--set lora.r=4 --set lora.lora_alpha=12 " in error.hint
    assert error.hint.count("--set") == 3
    assert """--set 'lora.target_modules=["q_proj", "v_proj"]'""" in error.hint
    typed = error.hint.split("--set ")[3].strip("'")
    check_init_adapter(loop, config_of(models, typed))


def test_the_layers_that_are_selected_are_compared_not_how_they_are_named(
    loop: LoopFolder, models: Path
) -> None:
    """PEFT saves `all-linear` as the names of all layers."""
    adapter = str(models / "all")
    targets = "lora.target_modules=all-linear"
    check_init_adapter(loop, config_of(models, targets, adapter=adapter))
    assert refusal(loop, config_of(models, adapter=adapter)).hint == f"--set {targets}"
    check_init_adapter(
        loop, config_of(models, 'lora.target_modules=["self_attn.q_proj", "v_proj"]')
    )


@pytest.mark.parametrize(
    ("change", "message", "hint"),
    [
        ("no folder", "there is no such folder", "name an iteration"),
        ("no config", "has no adapter_config.json", "that PEFT saved"),
        ("one above", "has no adapter_config.json", "--set model.init_adapter="),
        ("a pickle", "only adapter_model.bin, which could run arbitrary code", "save_pretrained"),
        ("cut off", "is cut off", "copy the file again"),
        ("other code", "unexpected value of auto_mapping", "unset model.init_adapter"),
    ],
)
def test_a_folder_that_is_no_usable_adapter_is_one_error(
    loop: LoopFolder, models: Path, change: str, message: str, hint: str
) -> None:
    folder = loop.root / "mine" / "adapter"
    shutil.copytree(models / "adapter", folder)
    weights, entry = folder / "adapter_model.safetensors", str(folder)
    if change == "no folder":
        entry = "nowhere"
    elif change == "no config":
        (folder / "adapter_config.json").unlink()
    elif change == "one above":
        entry = "mine"
    elif change == "a pickle":
        weights.rename(folder / "adapter_model.bin")
    elif change == "cut off":
        weights.write_bytes(weights.read_bytes()[:-10])
    else:
        edit(folder, {"auto_mapping": {"base_model_class": "x"}})
    error = refusal(loop, config_of(models, adapter=entry))
    assert error.message.startswith("model.init_adapter: ") or change in ("cut off", "other code")
    assert message in error.message
    assert hint in error.hint


def edit(folder: Path, changes: Mapping[str, Any]) -> None:
    path = folder / "adapter_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_an_adapter_of_other_sizes_names_a_layer_and_its_own_base(
    loop: LoopFolder, models: Path
) -> None:
    error = refusal(loop, config_of(models, base="wider"))
    assert (
        "4 of its 4 layers differ in size from those of the base; for example, "
        "model.layers.0.self_attn.q_proj is" in error.message
    )
    assert "32 x 32 in the adapter and 48 x 48 in" in error.message
    assert f"--set model.id={models / 'base'}" in error.hint


def test_loading_refuses_what_files_alone_do_not_show(models: Path) -> None:
    from transformers import AutoModelForCausalLM

    from tui_loop.engine.init_adapter import load_init_adapter

    for base, message in (("wider", "size mismatch"), ("shallow", "layers that the base does not")):
        model = AutoModelForCausalLM.from_pretrained(models / base)
        with pytest.raises(BadInput, match=message):
            load_init_adapter(model, models / "adapter")
    model = AutoModelForCausalLM.from_pretrained(models / "base")
    assert load_init_adapter(model, models / "adapter").peft_config["default"].r == 4


@pytest.mark.slow
def test_a_path_into_a_loop_is_that_iteration(tiny_loop: MakeLoop) -> None:
    """Its config is compared as it is written, and its recorded base with the run's."""
    loop = tiny_loop()
    loop.run("max_steps=2")
    other = tiny_loop()
    entry = "model.init_adapter=loops/tiny-0/001/adapter"
    summary = other.run(entry, "max_steps=1", "learning_rate=1e-12")
    assert summary.state == "finished"
    before, after = (each.loop.existing(1).read_examples() for each in (loop, other))
    assert [row.loss for row in after] == pytest.approx([row.loss for row in before], abs=1e-5)
    config = with_settings(other.loop.existing(1).read_config(), ["lora.r=8"])
    assert "--set lora.r=4" in refusal(other.loop, config).hint
    small_llama(loop.loop.root / "mine")
    config = with_settings(other.loop.existing(1).read_config(), ["model.id=mine"])
    assert "was trained on the base tiny (files" in refusal(other.loop, config).message
