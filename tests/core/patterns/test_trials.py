"""What was tried: the effective settings of each iteration, and what came of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.core.patterns.trying import RATE, trial, trials_in
from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.config.tables import to_tables
from tui_loop.core.patterns.trials import (
    BATCH,
    base_name,
    best_first,
    diverged,
    no_better,
    ran_out_of_memory,
)
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.structs import Iteration
from tui_loop.core.workflow.plan import create_iteration, plan_next


def iteration(number: int, *settings: str, **more: Any) -> Iteration:
    config = dict(to_tables(with_settings(Config(), list(settings))))
    fields = {"state": "finished", "config": config, "parent": 0, **more}
    return Iteration(number=number, **fields)


@pytest.mark.parametrize(
    ("state", "error", "ended"),
    [
        ("finished", None, "finished"),
        ("failed", {"kind": "diverged"}, "diverged"),
        ("failed", {"kind": "oom"}, "oom"),
        ("failed", {"kind": "disk"}, "failed"),
        ("failed", None, "failed"),
        ("stopped", None, "unfinished"),
        ("interrupted", None, "unfinished"),
        ("running", None, "unfinished"),
    ],
)
def test_a_trial_says_how_it_ended(
    loop: LoopFolder, state: str, error: dict[str, Any] | None, ended: str
) -> None:
    (found,), _ = trials_in(loop, iteration(1, state=state, error=error))
    assert found.ended == ended
    assert diverged(found) == {"diverged": True, "finished": False}.get(ended)
    out = {"oom": True, "finished": False, "diverged": False}
    assert ran_out_of_memory(found) == out.get(ended)


def test_runs_that_differ_in_seed_and_bookkeeping_have_the_same_settings(loop: LoopFolder) -> None:
    found, _ = trials_in(
        loop,
        iteration(1, "r=8"),
        iteration(2, "r=8", "seed=7", "logging_steps=3", "run.device=cpu"),
        iteration(3, "r=16"),
    )
    assert found[0].settings == found[1].settings != found[2].settings


def test_the_change_is_that_of_the_config_and_new_rows_are_another_trial(loop: LoopFolder) -> None:
    rows = {"rows_added": 4, "rows_removed": 0, "rows_changed": 0}
    found, unread = trials_in(
        loop,
        iteration(0, metrics={"score": 0.25}),
        iteration(1, metrics={"score": 0.75}),
        iteration(2, "learning_rate=1e-3", "seed=3", parent=1),
        iteration(3, "learning_rate=1e-3", parent=2, changes={"data.train": rows}),
        iteration(4, "learning_rate=1e-2", parent=3),
        Iteration(number=5, state="unreadable"),
        iteration(6, parent=5),
    )
    assert unread == 1
    assert found[0].gain == 0.5
    assert [each.changed for each in found] == [
        None,
        {RATE: (1e-4, 1e-3)},
        None,
        {RATE: (1e-3, 1e-2)},
        None,
    ]
    assert [each.data for each in found] == [0, 0, 3, 3, 0]
    assert found[1].settings != found[2].settings


def test_what_a_recovery_set_is_told_apart_from_what_was_asked(loop: LoopFolder) -> None:
    plan = plan_next(loop, parent=None, settings=["learning_rate=1"], why="")
    create_iteration(loop, plan, {})
    first = iteration(
        1,
        "learning_rate=0.1",
        "per_device_train_batch_size=4",
        attempts=3,
        changes={RATE: [1e-4, 0.1], BATCH: [8, 4]},
    )
    (found,), _ = trials_in(loop, first)
    assert (found.value(RATE), found.config[RATE]) == (1.0, 0.1)
    assert found.value(BATCH) == 8
    assert diverged(found) is True
    assert ran_out_of_memory(found) is True


def test_a_run_that_was_resumed_was_asked_for_what_it_had(loop: LoopFolder) -> None:
    plan = plan_next(loop, parent=None, settings=["learning_rate=0.1"], why="")
    create_iteration(loop, plan, {})
    first = iteration(1, "learning_rate=0.1", attempts=2, changes={RATE: [1e-4, 0.1]})
    (found,), _ = trials_in(loop, first)
    assert found.asked == {}
    assert diverged(found) is False


def test_hostile_figures_and_an_older_config_are_read(loop: LoopFolder) -> None:
    found, _ = trials_in(
        loop,
        Iteration(
            number=1,
            state="finished",
            config={"training": {"learning_rate": "fast"}, "odd": {"x": [1, {"y": 2}]}},
            metrics={"score": "NaN", "eval_loss": "Infinity", "total": "many"},
        ),
    )
    assert (found[0].score, found[0].eval_loss, found[0].total) == (None, None, 0)
    assert found[0].value(RATE) == "fast"
    assert found[0].value("lora.r") == 16


@pytest.mark.parametrize(
    ("claim", "known"),
    [
        ("better", False),
        ("consistent with better", False),
        ("no difference shown", True),
        ("worse", True),
        ("", None),
        ("nothing to compare", None),
    ],
)
def test_no_better_is_what_a_claim_says(claim: str, known: bool | None) -> None:
    assert no_better(trial(1, against_base=claim)) is known


def test_the_best_are_ranked_by_their_mean_score_and_else_by_loss() -> None:
    runs = [
        trial(1, rate=1e-3, score=0.9),
        trial(2, rate=1e-3, seed=1, score=0.5),
        trial(3, rate=1e-2, score=0.8),
        trial(4, rate=1.0, score=0.99, ended="diverged"),
    ]
    assert [[each.number for each in group] for group in best_first(runs)] == [[3], [1, 2]]
    losses = [trial(1, rate=1e-3, eval_loss=0.4), trial(2, rate=1e-2, eval_loss=0.3)]
    assert [group[0].number for group in best_first(losses)] == [2, 1]


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("tiny", "tiny"),
        ("org/model-1b", "org/model-1b"),
        ("/home/me/models/mine", "mine"),
        ("./mine", "mine"),
    ],
)
def test_a_base_is_called_by_its_id_or_its_folder(model: str, name: str) -> None:
    assert base_name(model) == name


def test_what_an_earlier_version_trained_on_is_no_change(loop: LoopFolder) -> None:
    before = iteration(1, "data.shape=messages")
    assert before.config is not None
    data = {name: value for name, value in before.config["data"].items() if name != "train_on"}
    masks = {"assistant_only_loss": False, "completion_only_loss": True}
    training = {**before.config["training"], **masks}
    earlier = Iteration(
        number=1,
        parent=0,
        state="finished",
        config={**before.config, "data": data, "training": training},
    )
    now = iteration(2, "data.shape=messages", "data.train_on=last", parent=1)
    first, second = trials_in(loop, earlier, now)[0]
    assert first.config["data.train_on"] == "all"
    assert second.changed == {"data.train_on": ("all", "last")}
