"""The next iteration: what it derives from, what changes, and its folder, whole or not at all."""

from __future__ import annotations

import json
import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.waiting import PATIENCE_SECONDS
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.tables import flatten
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput, NotFound
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.folders import IterationFolder, LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Change, Decision, Iteration, Split
from tui_loop.core.workflow.plan import (
    Plan,
    base_config,
    base_is_needed,
    create_base,
    create_iteration,
    create_iterations,
    plan_next,
    replicates,
    with_data_changes,
)

MakeFinished = Callable[..., IterationFolder]
SEED = "training.seed"


def planned(loop: LoopFolder, *settings: str, parent: int | None = None) -> Plan:
    return plan_next(loop, parent=parent, settings=list(settings), why="because")


def seeds(plans: list[Plan]) -> list[int]:
    return [plan.config.training.seed for plan in plans]


def test_the_first_iteration_has_the_defaults_and_the_base_as_parent(loop: LoopFolder) -> None:
    plan = planned(loop)
    assert (plan.parent, plan.changes, plan.why) == (0, {}, "because")
    assert plan.config == loop.default_config()
    assert plan.config.evaluation.metric == "label"
    assert plan.config.data.train == "train.jsonl"


def test_without_a_base_the_first_iteration_has_no_parent(loop: LoopFolder) -> None:
    plan = planned(loop, "evaluation.base=false", "r=4")
    assert plan.parent is None
    assert plan.changes == {"lora.r": (16, 4)}


def test_the_next_iteration_derives_from_the_newest(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0], "r=4")
    finished([1.0], "learning_rate=1e-3")
    plan = planned(loop, "seed=7", "r=4")
    assert plan.parent == 2
    assert plan.changes == {SEED: (42, 7)}
    assert (plan.config.lora.r, plan.config.training.learning_rate) == (4, 1e-3)


def test_any_earlier_iteration_can_be_the_parent(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0], "r=4")
    finished([1.0], "learning_rate=1e-3")
    plan = planned(loop, "r=8", parent=1)
    assert (plan.parent, plan.changes) == (1, {"lora.r": (4, 8)})
    assert plan.config.training.learning_rate == 1e-4


def test_a_child_of_the_base_takes_the_defaults_as_they_are_now(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0], base=True)
    finished([1.0], "r=4")
    text = loop.settings_file.read_text()
    loop.settings_file.write_text(text + "[defaults.training]\nlearning_rate = 0.5\n")
    plan = planned(loop, parent=0)
    assert plan.config.training.learning_rate == 0.5
    assert (plan.parent, plan.changes, plan.config.lora.r) == (0, {}, 16)


def test_a_parent_that_is_not_there_is_not_found(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0])
    with pytest.raises(NotFound, match="no iteration 7"):
        planned(loop, parent=7)


def test_a_parent_that_cannot_be_read_is_named(loop: LoopFolder, finished: MakeFinished) -> None:
    finished([1.0]).config.write_text("[[[")
    with pytest.raises(BadInput, match=r"001/config\.toml"):
        planned(loop)


def test_the_base_is_measured_as_the_planned_iteration_will_be(loop: LoopFolder) -> None:
    plan = planned(loop, "prompt_template=Q {prompt}", "learning_rate=1", "evaluation.max_length=9")
    plan = msgspec.structs.replace(plan, config=with_settings(plan.config, ["init_adapter=3"]))
    config = base_config(loop, plan)
    assert config.data == plan.config.data
    assert config.evaluation == plan.config.evaluation
    assert config.training == loop.default_config().training
    assert config.model.init_adapter is None


def test_replicates_of_a_new_config_keep_its_seed_and_count_on(loop: LoopFolder) -> None:
    plans = replicates(loop, planned(loop, "r=4"), 3)
    assert seeds(plans) == [42, 43, 44]
    assert [plan.changes.get(SEED) for plan in plans] == [None, (42, 43), (42, 44)]
    assert all(plan.changes["lora.r"] == (16, 4) for plan in plans)
    for plan in plans:
        differing = with_settings(plan.config, [f"{SEED}=42"])
        assert differing == plans[0].config


def test_replicates_of_the_parent_use_seeds_that_were_not_used(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0], "r=4")
    finished([1.0], "seed=44")
    finished([1.0], "r=8", "seed=43")
    plans = replicates(loop, planned(loop, parent=1), 3)
    assert seeds(plans) == [43, 45, 46]
    assert {plan.replicate_of for plan in plans} == {1}
    assert [plan.changes for plan in plans] == [{SEED: (42, seed)} for seed in seeds(plans)]


def test_later_replicates_of_a_changed_config_skip_seeds_that_were_used(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0])
    finished([1.0], "r=4", "seed=43")
    assert seeds(replicates(loop, planned(loop, "r=4", parent=1), 2)) == [42, 44]


def test_an_unreadable_iteration_does_not_keep_replicates_from_being_planned(
    loop: LoopFolder, finished: MakeFinished
) -> None:
    finished([1.0])
    finished([1.0], "seed=43").config.write_text("[[[")
    assert seeds(replicates(loop, planned(loop, parent=1), 1)) == [43]


def test_a_created_iteration_has_its_config_splits_and_decision(loop: LoopFolder) -> None:
    plan = planned(loop, "r=4", "save_steps=none")
    splits = {"train": Split(path="train.jsonl", sha256="0" * 64, rows=3)}
    folder = create_iteration(loop, plan, splits)
    assert folder.path.name == "001"
    assert sorted(os.listdir(folder.path)) == ["config.toml", "decision.toml"]
    assert (folder.read_config(), folder.read_splits()) == (plan.config, splits)
    assert folder.read_decision() == Decision(
        0, "because", (Change("lora.r", 16, 4), Change("training.save_steps", 500, None))
    )
    assert create_iteration(loop, plan, {}).number == 2
    assert folder.path.stat().st_mode & 0o777 == 0o755


def test_numbers_go_on_after_the_highest_one(loop: LoopFolder) -> None:
    create_base(loop, loop.default_config(), {})
    assert create_iteration(loop, planned(loop), {}).number == 1
    (loop.path / "041").mkdir()
    assert create_iteration(loop, planned(loop, parent=1), {}).number == 42


def test_a_full_disk_leaves_no_part_of_an_iteration(loop: LoopFolder) -> None:
    plan, there = planned(loop), sorted(os.listdir(loop.path))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            create_iteration(loop, plan, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sorted(os.listdir(loop.path)) == there


def test_of_two_creators_at_once_one_wins_and_the_other_is_told(loop: LoopFolder) -> None:
    plan, both = planned(loop), threading.Barrier(2)

    class Racing(LoopFolder):
        def numbers(self) -> list[int]:
            found = super().numbers()
            both.wait(PATIENCE_SECONDS)
            return found

    told: list[str] = []

    def create(why: str) -> None:
        try:
            create_iteration(Racing(loop.path), msgspec.structs.replace(plan, why=why), {})
            told.append(why)
        except BadInput as error:
            told.append(error.message)

    threads = [threading.Thread(target=create, args=(why,)) for why in ("one", "other")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loop.numbers() == [1]
    winner = loop.iteration(1).read_decision().why
    assert sorted(told) == sorted([winner, "intents: another process just created iteration 1"])
    assert not [name for name in os.listdir(loop.path) if name.startswith(".new")]


def test_the_base_is_iteration_0_and_made_anew_it_takes_the_new_config(loop: LoopFolder) -> None:
    folder = create_base(loop, loop.default_config(), {})
    assert (folder.number, folder.path.name) == (0, "000")
    config = with_settings(loop.default_config(), ["evaluation.max_length=64"])
    assert create_base(loop, config, {}).path == folder.path
    assert folder.read_config() == config
    assert loop.numbers() == [0]


@pytest.fixture
def loaded(tmp_path: Path, loop: LoopFolder) -> LoadedData:
    rows = [{"prompt": f"p{n}", "completion": "ab"[n % 2]} for n in range(10)]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return load_data(loop.default_config(), loop.root)


def measure_base(loop: LoopFolder, config: Config, loaded: LoadedData, **more: object) -> None:
    folder = create_base(loop, config, {})
    made: dict[str, Any] = {
        "number": 0,
        "state": "finished",
        "fingerprint": fingerprint_of(config, loaded.eval, loaded.labels),
        **more,
    }
    folder.write_summary(Iteration(**made))


def test_the_base_is_needed_until_it_was_measured_alike(
    loop: LoopFolder, loaded: LoadedData
) -> None:
    config = loop.default_config()
    assert base_is_needed(loop, config, loaded)
    measure_base(loop, config, loaded)
    assert not base_is_needed(loop, config, loaded)
    assert not base_is_needed(loop, with_settings(config, ["r=4", "seed=1"]), loaded)
    assert base_is_needed(loop, with_settings(config, ["evaluation.max_length=9"]), loaded)
    fewer = msgspec.structs.replace(loaded, eval=[])
    assert base_is_needed(loop, config, fewer)


@pytest.mark.parametrize("more", [{"state": "failed"}, {"state": "stopped"}, {"fingerprint": None}])
def test_a_base_that_was_not_measured_to_its_end_is_needed(
    loop: LoopFolder, loaded: LoadedData, more: dict[str, object]
) -> None:
    config = loop.default_config()
    measure_base(loop, config, loaded, **more)
    assert base_is_needed(loop, config, loaded)


def test_a_base_that_nobody_wants_is_not_needed(loop: LoopFolder, loaded: LoadedData) -> None:
    config = with_settings(loop.default_config(), ["evaluation.base=false"])
    assert not base_is_needed(loop, config, loaded)


def test_an_unreadable_base_is_not_run_over(loop: LoopFolder, loaded: LoadedData) -> None:
    measure_base(loop, loop.default_config(), loaded)
    loop.iteration(0).summary.write_text("{")
    assert not base_is_needed(loop, loop.default_config(), loaded)


def test_the_defaults_of_a_loop_may_leave_the_base_out(loops: LoopsFolder) -> None:
    loop = loops.create("b", LoopSettings(defaults={"evaluation": {"base": False}}))
    plan = planned(loop)
    assert plan.parent is None
    assert create_iteration(loop, plan, {}).number == 1
    assert flatten(plan.config)["evaluation.base"] is False


def test_a_changed_data_file_stands_among_the_changes(
    tmp_path: Path, loop: LoopFolder, loaded: LoadedData
) -> None:
    first = with_data_changes(loop, planned(loop), loaded)
    assert first.changes == {}
    create_iterations(loop, [first], loaded)
    assert with_data_changes(loop, planned(loop), loaded).changes == {}

    with (tmp_path / "train.jsonl").open("a") as file:
        file.write('{"prompt": "new", "completion": "a"}\n')
    more = load_data(with_settings(loop.default_config(), ["eval_fraction=0.1"]), loop.root)
    plan = with_data_changes(loop, planned(loop, "r=4"), more)
    assert plan.changes["lora.r"] == (16, 4)
    assert plan.changes["data.train"]["rows_added"] >= 1
    (folder,) = create_iterations(loop, [plan], more)
    assert iteration_of(folder).changes == {
        "lora.r": [16, 4],
        **{name: plan.changes[name] for name in plan.changes if name.startswith("data.")},
    }
