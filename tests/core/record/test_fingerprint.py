"""A part of the fingerprint moves with what it stands for and with nothing else."""

from __future__ import annotations

import pytest

from tui_loop.core.config.schema import Config
from tui_loop.core.config.settings import with_settings
from tui_loop.core.data.rows import Row
from tui_loop.core.record.fingerprint import fingerprint_of
from tui_loop.core.record.structs import Fingerprint

ROWS = [Row("a", "prompt a", "yes", 1), Row("b", "prompt b", "no", 2)]


def made(*settings: str, rows: list[Row] = ROWS, labels: tuple[str, ...] = ()) -> Fingerprint:
    return fingerprint_of(with_settings(Config(), list(settings)), rows, labels)


@pytest.mark.parametrize(
    ("settings", "parts"),
    [
        (["metric=contains"], ["metric"]),
        (["pass_score=0.5"], ["metric"]),
        (["prompt_template=Q: {prompt}"], ["template"]),
        (["chat_template=off"], ["template"]),
        (["evaluation.max_length=64"], ["lengths"]),
        (["max_new_tokens=8"], ["lengths"]),
        (["do_sample=true"], ["generation"]),
        (["training.eos_token=x"], ["generation"]),
        (["evaluation.stop=['\\n']"], ["generation"]),
        (["temperature=0.5"], []),
        (["batch_size=2"], []),
        (["training.max_length=64", "packing=true", "learning_rate=1", "seed=1", "r=4"], []),
        (["per_device_train_batch_size=1", "device=cpu"], []),
    ],
)
def test_settings_move_the_parts_they_belong_to(settings: list[str], parts: list[str]) -> None:
    assert made(*settings).differs_from(made()) == parts


def test_the_temperature_counts_where_it_is_used() -> None:
    assert made("do_sample=true", "temperature=0.5").differs_from(made("do_sample=true")) == [
        "generation"
    ]


def test_rows_references_and_labels_move_their_parts() -> None:
    renamed = [Row("c", "prompt a", "yes", 1), ROWS[1]]
    changed = [Row("a", "prompt a", "maybe", 1), ROWS[1]]
    assert made(rows=renamed).differs_from(made()) == ["rows"]
    assert made(rows=changed).differs_from(made()) == ["references"]
    assert made(rows=ROWS[:1]).differs_from(made()) == ["rows", "references"]
    assert made(labels=("yes", "no")).differs_from(made()) == ["metric"]


def test_the_same_measurement_has_the_same_short_hashes() -> None:
    assert made() == made()
    for part in made().__struct_fields__:
        assert part in {"weights", "loss"} or len(getattr(made(), part)) == 12


def test_which_tokens_the_loss_counts_is_a_part_that_is_always_compared() -> None:
    turns = made("data.shape=messages")
    assert turns.differs_from(made()) == made().differs_from(turns) == ["loss"]
    assert made("data.train_on=all").differs_from(made()) == ["loss"]
    assert made("data.shape=messages", "data.train_on=last").differs_from(turns) == ["loss"]


def test_the_bases_weights_move_their_part_where_both_are_known() -> None:
    config = Config()
    old, new = (fingerprint_of(config, ROWS, (), weights) for weights in ("aaa", "bbb"))
    assert new.differs_from(old) == ["weights"]
    assert new.differs_from(made()) == []  # a record from before they were noted
