"""The sampler as a source of suggestions: its ranges, the past trials, what it proposes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tui_loop.core.config.settings import with_settings
from tui_loop.core.errors import BadInput, NeedsExtra
from tui_loop.core.record.folders import LoopFolder, LoopSettings
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.plan import create_iteration, plan_next
from tui_loop.core.workflow.suggestion_source import History, plan_of_proposal
from tui_loop.engine import extras
from tui_loop.engine.sampler import Range, SearchSource, default_ranges, read_range, trials_of

pytest.importorskip("optuna", reason="needs the search extra")

RATE, EPOCHS, RANK = "training.learning_rate", "training.num_train_epochs", "lora.r"

Metrics = Callable[[float], dict[str, Any]]


@pytest.fixture
def loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoopFolder:
    monkeypatch.setattr("os.fsync", lambda _: None)
    settings = LoopSettings(defaults={"data": {"train": "train.jsonl"}})
    return LoopsFolder(tmp_path / "loops").create("sampled", settings)


def by_rate(rate: float) -> dict[str, Any]:
    """The nearer to 1e-3 the better; 8e-3 and more fails."""
    if rate >= 8e-3:
        return {}
    distance = abs(math.log10(rate) + 3)
    return {"score": max(0.0, 1 - distance / 2), "eval_loss": 1 + distance}


def go(loop: LoopFolder, source: SearchSource, count: int, metrics: Metrics) -> list[float]:
    """Lets the source propose and the made-up runs end; the rates that were tried."""
    history = History(loop)
    rates = []
    for _ in range(count):
        proposal = source.propose(history)
        assert proposal is not None
        plan = plan_of_proposal(loop, proposal)
        folder = create_iteration(loop, plan, {})
        rate = plan.config.training.learning_rate
        result = metrics(rate)
        state = "finished" if result else "failed"
        folder.write_summary(
            msgspec.structs.replace(iteration_of(folder), state=state, metrics=result)
        )
        rates.append(rate)
    return rates


def test_proposals_lie_in_the_ranges_and_say_what_was_drawn(loop: LoopFolder) -> None:
    source = SearchSource(loop, ["learning_rate=1e-4..1e-2", "r=4,8", "num_train_epochs=2..3"], 0)
    history = History(loop)
    proposal = source.propose(history)
    assert proposal is not None
    assert list(proposal.settings) == [RATE, RANK, EPOCHS]
    assert 1e-4 <= proposal.settings[RATE] <= 1e-2
    assert proposal.settings[RANK] in (4, 8)
    assert proposal.settings[EPOCHS] in (2, 3)
    assert proposal.why.startswith("sampled: learning_rate ")
    assert (proposal.parent, proposal.suggestion) == (None, "search/sampled")


def test_the_same_seed_and_the_same_past_give_the_same_proposals(
    loop: LoopFolder, tmp_path: Path
) -> None:
    other = LoopsFolder(tmp_path / "more").create("sampled", loop.read_settings())
    ranges = ["learning_rate=1e-5..1e-2"]
    tried = [go(each, SearchSource(each, ranges, 3), 6, by_rate) for each in (loop, other)]
    assert tried[0] == tried[1]
    assert len(set(tried[0])) == 6
    assert go(loop, SearchSource(loop, ranges, 4), 1, by_rate) != go(
        other, SearchSource(other, ranges, 3), 1, by_rate
    )


@pytest.mark.parametrize("name", ["score", "eval_loss"])
def test_it_learns_from_what_the_loop_has_tried(loop: LoopFolder, name: str) -> None:
    def metrics(rate: float) -> dict[str, Any]:
        result = by_rate(rate)
        return {name: result[name]} if result else {}

    rates = go(loop, SearchSource(loop, ["learning_rate=1e-5..1e-2"], 0), 14, metrics)
    distances = [abs(math.log10(rate) + 3) for rate in rates]
    assert sum(distances[7:]) < sum(distances[:7])
    best = History(loop).best
    assert best is not None
    assert best.config is not None
    assert abs(math.log10(best.config["training"]["learning_rate"]) + 3) < 0.35
    parents = [loop.iteration(number).read_decision().parent for number in (2, 14)]
    assert parents[0] == 1
    assert parents[1] not in (None, 0)


def test_past_trials_are_those_within_the_ranges_and_failures_count_as_the_worst(
    loop: LoopFolder,
) -> None:
    source = SearchSource(loop, ["learning_rate=1e-5..1e-2"], 0)
    rates = go(loop, source, 5, lambda rate: by_rate(rate) if rate < 1e-3 else {})
    past = History(loop).trained
    trials = trials_of(past, [Range(RATE, 1e-5, 1e-2)])
    values = [value for _, value in trials]
    failed = [each.number for each in past if each.state == "failed"]
    assert failed
    assert len(values) == 5
    assert all(values[number - 1] == min(values) for number in failed)
    narrow = trials_of(past, [Range(RATE, 1e-5, sorted(rates)[1])])
    assert len(narrow) == 2
    assert trials_of([each for each in past if each.state == "failed"], []) == []


def test_when_all_choices_were_tried_there_is_nothing_left(loop: LoopFolder) -> None:
    source = SearchSource(loop, ["r=4,8"], 0)
    go(loop, source, 2, by_rate)
    assert source.propose(History(loop)) is None


def test_what_is_sampled_without_ranges_depends_on_what_is_trained(loop: LoopFolder) -> None:
    config = loop.default_config()
    assert [each.field for each in default_ranges(config)] == [RATE, EPOCHS, RANK]
    full = msgspec.structs.replace(
        config,
        lora=msgspec.structs.replace(config.lora, enabled=False),
        training=msgspec.structs.replace(config.training, max_steps=10),
    )
    assert [(each.field, each.high) for each in default_ranges(full)] == [(RATE, 1e-3)]


def test_without_ranges_it_samples_around_the_best_and_below_what_diverged(
    loop: LoopFolder,
) -> None:
    def metrics(rate: float) -> dict[str, Any]:
        return {"score": 0.5 if rate == 2e-3 else 0.1}

    go(loop, SearchSource(loop, ["learning_rate=2e-3,1e-4"], 0), 2, metrics)
    source = SearchSource(loop, [], 0, History(loop))
    assert source.words == (
        "samples learning_rate 2e-4 to 1e-2; num_train_epochs 1 to 8; r 4, 8, 16 or 32 "
        "(--range sets others)"
    )
    plan = plan_next(loop, parent=1, settings=["learning_rate=6e-3"], why="")
    folder = create_iteration(loop, plan, {})
    error = {"kind": "diverged", "message": "", "hint": "", "step": 3}
    failed = msgspec.structs.replace(iteration_of(folder), state="failed", error=error)
    folder.write_summary(failed)
    known = default_ranges(loop.default_config(), History(loop))[0]
    assert (known.low, known.high) == (2e-4, 3e-3)
    stated = SearchSource(loop, ["learning_rate=1e-5..1e-2"], 0, History(loop))
    assert stated.words == "samples learning_rate 1e-5 to 1e-2"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("learning_rate", "must be FIELD=LOW..HIGH"),
        ("learning_rate=1e-2..1e-5", "1e-2 is not below 1e-5"),
        ("learning_rate=-1..1", "training.learning_rate: must be"),
        ("learning_rat=1..2", "no such field"),
        ("optim=a..b", "is not a range of numbers"),
        ("evaluation.max_length=1..9", "data, evaluation and seed cannot be sampled"),
        ("training.seed=1..9", "data, evaluation and seed cannot be sampled"),
        ("data.chat_template=auto,off", "data, evaluation and seed cannot be sampled"),
        ("evaluation.stop=a,b", "data, evaluation and seed cannot be sampled"),
        ("r=1.5..3", "lora.r"),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(loop: LoopFolder, text: str, message: str) -> None:
    with pytest.raises(BadInput) as caught:
        SearchSource(loop, [text], 0)
    assert message in caught.value.message


def test_what_is_trained_on_can_be_sampled_where_a_score_ranks_it(loop: LoopFolder) -> None:
    config = loop.default_config()
    text = "data.train_on=assistant,all"
    assert read_range(text, config).choices == ("assistant", "all")
    unscored = with_settings(config, ["evaluation.metric=none"])
    with pytest.raises(BadInput, match="data, evaluation and seed cannot be sampled"):
        read_range(text, unscored)


def test_whole_numbers_stay_whole(loop: LoopFolder) -> None:
    config = loop.default_config()
    assert read_range("r=4..64", config).is_whole
    assert not read_range("learning_rate=1e-5..1e-2", config).is_whole
    assert read_range("lora.use_rslora=true,false", config).choices == (True, False)


def test_without_optuna_the_extra_is_named(
    loop: LoopFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extras, "is_installed", lambda _: False)
    with pytest.raises(NeedsExtra, match="'search' extra") as caught:
        SearchSource(loop, [], 0)
    assert caught.value.hint == 'pip install "tui-loop[search]"'
