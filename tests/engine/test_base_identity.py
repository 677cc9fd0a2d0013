"""Trained weights are used on the base that they were trained on, and on no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from tests.engine.conftest import TinyLoop
from tests.engine.small_models import small_llama
from tests.model_folders import write_model, write_weights
from tui_loop.cli.start import check_resume, check_start
from tui_loop.core.errors import BadInput
from tui_loop.core.record.checkpoints import Resumption
from tui_loop.core.record.folders import IterationFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.structs import Fingerprint, Iteration
from tui_loop.core.workflow.plan import create_iteration, plan_next
from tui_loop.engine import attempts
from tui_loop.engine.base_identity import (
    BaseIdentity,
    base_of,
    base_to_resume,
    for_record,
    identify,
    recorded_base,
    require_same_base,
)
from tui_loop.engine.holdout_evaluation import evaluate_holdout
from tui_loop.engine.model_pool import ModelPool
from tui_loop.engine.model_source import ModelSource, find_model, weights_hash
from tui_loop.engine.run_context import Run, TrainingOutOfMemory
from tui_loop.engine.run_host import RunHost

pytestmark = pytest.mark.train

MakeLoop = Callable[..., TinyLoop]
COMMIT, NEWER = "a" * 40, "b" * 40


@pytest.fixture
def iteration(tmp_path: Path) -> Callable[[str], IterationFolder]:
    """Makes an iteration on a base; it has not run yet."""

    def make(model_id: str) -> IterationFolder:
        loop = LoopsFolder(tmp_path / "loops").create("a", LoopSettings())
        settings = ["data.train=rows.jsonl", f"model.id={model_id}"]
        return create_iteration(loop, plan_next(loop, parent=None, settings=settings, why=""), {})

    return make


def record(folder: IterationFolder, base: BaseIdentity) -> None:
    folder.write_config(folder.read_config(), {}, {"base": for_record(base)})


def base_at(folder: IterationFolder) -> BaseIdentity:
    model = folder.read_config().model
    return identify(model.id, find_model(model.id, folder.loop.root), model.revision)


def test_a_base_is_its_weights_and_not_its_name(tmp_path: Path) -> None:
    write_model(tmp_path / "one")
    write_model(tmp_path / "two")
    one = identify("one", find_model("one", tmp_path), None)
    two = identify("two", find_model("two", tmp_path), None)
    assert not one.differs_from(two)
    write_weights(tmp_path / "two" / "model.safetensors", (3, 3))
    assert one.differs_from(identify("two", find_model("two", tmp_path), None))


def test_a_change_in_the_middle_of_a_large_file_shows(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "large")
    write_weights(folder / "model.safetensors", (3000, 3000))
    source = find_model("large", tmp_path)
    before = identify("large", source, None)
    with (folder / "model.safetensors").open("r+b") as file:
        for layer in range(4, 30, 2):  # as a merge into every other layer changes it
            file.seek(layer << 20)
            file.write(b"\x01" * (1 << 20))
    after = identify("large", source, None)
    assert before.evaluation_weights == after.evaluation_weights  # its edges are the same
    assert before.differs_from(after)


def test_an_unchanged_base_is_accepted_and_a_changed_one_named(
    iteration: Callable[[str], IterationFolder], tmp_path: Path
) -> None:
    write_model(tmp_path / "mine")
    folder = iteration("mine")
    assert recorded_base(folder) is None
    record(folder, base_at(folder))
    config = folder.read_config()
    assert base_of(folder, config) == (config, find_model("mine", tmp_path))
    before = base_at(folder).files
    write_weights(tmp_path / "mine" / "model.safetensors", (3, 3))
    with pytest.raises(BadInput) as refusal:
        base_of(folder, config)
    after = base_at(folder).files
    assert refusal.value.message == (
        f"a/1 was trained on the base mine (files {before[:8]}), which has changed since: "
        f"it is now mine (files {after[:8]})"
    )
    assert "restore the files of mine" in refusal.value.hint


def test_a_folder_that_is_gone_is_not_looked_for_on_the_hub(
    iteration: Callable[[str], IterationFolder], tmp_path: Path
) -> None:
    write_model(tmp_path / "models" / "mine")
    folder = iteration("models/mine")
    record(folder, base_at(folder))
    (tmp_path / "models").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="models/mine, a folder that is not on this machine"):
        base_of(folder, folder.read_config())


def test_an_older_record_is_compared_by_the_hash_in_its_fingerprint(
    iteration: Callable[[str], IterationFolder], tmp_path: Path
) -> None:
    write_model(tmp_path / "mine")
    folder = iteration("mine")
    hashes = [*"abcdef", weights_hash(find_model("mine", tmp_path))]
    summary = Iteration(number=1, state="finished", fingerprint=Fingerprint(*hashes))
    folder.write_summary(summary)
    base_of(folder, folder.read_config())
    write_weights(tmp_path / "mine" / "model.safetensors", (3, 3))
    with pytest.raises(BadInput, match="which has changed since"):
        base_of(folder, folder.read_config())
    unknown = msgspec.structs.replace(summary.fingerprint or Fingerprint(*hashes), weights="")
    folder.write_summary(msgspec.structs.replace(summary, fingerprint=unknown))
    base_of(folder, folder.read_config())  # nothing is known of it


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache with two commits of a model, of which `main` is the newer; no connection."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model = tmp_path / "hub" / "models--org--name"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text(NEWER)
    write_model(model / "snapshots" / COMMIT)
    write_weights(write_model(model / "snapshots" / NEWER) / "model.safetensors", (4, 4))
    return model


def test_a_hub_model_is_loaded_at_the_recorded_commit(
    hub: Path, iteration: Callable[[str], IterationFolder]
) -> None:
    folder = iteration("org/name")
    record(folder, identify("org/name", ModelSource("org/name", is_local=False), COMMIT))
    assert recorded_base(folder) == BaseIdentity("org/name", COMMIT, base_files(hub, COMMIT))
    config, _ = base_of(folder, folder.read_config())
    assert config.model.revision == COMMIT
    (hub / "snapshots" / COMMIT).rename(hub / "gone")
    with pytest.raises(BadInput) as refusal:
        base_of(folder, folder.read_config())
    assert refusal.value.message == (
        "a/1 was trained on the base org/name (commit aaaaaaaa), which is not on this machine; "
        "found here: org/name (commit bbbbbbbb)"
    )


def base_files(hub: Path, commit: str) -> str:
    return identify("", ModelSource(str(hub / "snapshots" / commit)), None).files


def test_a_copy_of_a_hub_model_is_the_same_base_and_a_newer_commit_is_not(
    hub: Path, iteration: Callable[[str], IterationFolder]
) -> None:
    folder = iteration("org/name")
    record(folder, identify("org/name", ModelSource("org/name", is_local=False), COMMIT))
    copy = identify("copy", ModelSource(str(hub / "snapshots" / COMMIT)), None)
    require_same_base(folder, copy, "model.init_adapter")
    newer = identify("org/name", ModelSource("org/name", is_local=False), None)
    with pytest.raises(BadInput) as refusal:
        require_same_base(folder, newer, "model.init_adapter")
    assert refusal.value.message == (
        "model.init_adapter: a/1 was trained on the base org/name (commit aaaaaaaa), but this "
        "config has the base org/name (commit bbbbbbbb)"
    )
    assert f"--set model.revision={COMMIT}" in refusal.value.hint


def test_the_fingerprint_has_the_weights_of_a_cached_hub_model(hub: Path) -> None:
    source = ModelSource("org/name", is_local=False)
    newer = weights_hash(source)
    assert newer == weights_hash(ModelSource(str(hub / "snapshots" / NEWER)))
    assert newer != weights_hash(source, COMMIT)
    assert weights_hash(source, "c" * 40) == ""


def test_a_run_without_saved_weights_may_use_a_changed_base(
    iteration: Callable[[str], IterationFolder], tmp_path: Path
) -> None:
    write_model(tmp_path / "mine")
    folder = iteration("mine")
    record(folder, base_at(folder))
    write_weights(tmp_path / "mine" / "model.safetensors", (3, 3))
    base_to_resume(folder, folder.read_config(), Resumption())
    with pytest.raises(BadInput):
        base_to_resume(folder, folder.read_config(), Resumption(2, "checkpoints/checkpoint-2"))
    folder.adapter.mkdir()
    write_weights(folder.adapter / "adapter_model.safetensors")
    with pytest.raises(BadInput):
        base_to_resume(folder, folder.read_config(), Resumption())


def test_the_attempt_after_one_that_ran_out_of_memory_knows_the_base(
    iteration: Callable[[str], IterationFolder], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, known = iteration("tiny"), []

    def attempt(run: Run) -> None:
        known.append(recorded_base(run.folder))
        if len(known) == 1:
            record(folder, base_at(folder))
            raise TrainingOutOfMemory("planted")

    monkeypatch.setattr(attempts, "run_iteration", attempt)
    RunHost(folder, runner="thread").run()
    assert known == [None, msgspec.structs.replace(base_at(folder), evaluation_weights="")]


def test_weights_on_a_changed_base_are_refused_everywhere(
    tiny_loop: MakeLoop, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(f'{{"prompt": "p{n}", "completion": "c"}}\n' for n in range(8)))
    data = {"train": str(rows), "eval": str(rows), "holdout": str(rows), "prompt_template": None}
    small_llama(tmp_path / "mine")
    loop = tiny_loop(
        model={"id": "mine"}, data=data, training={"save_steps": 2}, evaluation={"base": False}
    )
    assert loop.run("max_steps=2").state == "finished"
    folder = loop.loop.existing(1)
    assert folder.read_effective()["base"]["id"] == "mine"

    small_llama(tmp_path / "mine", seed=1)
    words = "a base mine|base mine .files ........., which has changed since"
    with pytest.raises(BadInput, match=words):
        ModelPool(loop.loop, [1], []).load(1)
    with pytest.raises(BadInput, match=words):
        evaluate_holdout(folder, [], emit=lambda _: None)
    plan = plan_next(loop.loop, parent=1, settings=["model.init_adapter=1"], why="")
    with pytest.raises(BadInput, match=r"model\.init_adapter: tiny-0/1 was trained on"):
        check_start(loop.loop, plan)
    summary = folder.read_summary()
    assert summary is not None
    folder.write_summary(msgspec.structs.replace(summary, state="stopped"))
    with pytest.raises(BadInput, match=words):
        check_resume(folder)
    RunHost(folder, runner="thread").run()  # a host that nobody checked before
    summary = folder.read_summary()
    assert summary is not None
    assert summary.state == "failed"
    assert "which has changed since" in (summary.error or {})["message"]
