"""`tui-loop patterns` on the recorded loops, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.test_recorded_loop import record
from tests.conftest import CHECKOUT
from tui_loop.cli.main import main

RATE = "training.learning_rate"
LOOPS = ("--loops", str(CHECKOUT / "loops"))

Told = Callable[..., tuple[int, str, str]]


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """(exit code, stdout, stderr) of `tui-loop patterns`, in this process."""

    def ask(*arguments: str) -> tuple[int, str, str]:
        code = main(["patterns", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return ask


def fields_of(records: str) -> set[tuple[str, str]]:
    found: list[dict[str, Any]] = json.loads(records)["patterns"]
    return {(each["base"], each["field"]) for each in found}


def test_the_recorded_loops_teach_with_counts_and_intervals() -> None:
    known = record("patterns", folder=CHECKOUT)
    assert (known["loops"], known["unread"], known["not_compared"]) == (2, 0, 0)
    assert known["iterations"] == 12
    by_kind = {(e["kind"], e["base"], e["field"]): e for e in known["patterns"]}
    # At 1e-4 the score of smollm2 hardly moved, and its loss fell from 7.4 to 2.2.
    assert ("threshold", "smollm2", RATE) not in by_kind
    longer = by_kind["direction", "tiny", "training.num_train_epochs"]
    assert (longer["count"], longer["total"], longer["with_replicates"]) == (0, 1, 1)
    best = by_kind["best", "tiny", RATE]
    assert (best["value"], best["upper"]) == (2e-3, 2e-3)
    assert not any(each["weight"] == "law" for each in known["patterns"])


def test_people_read_them_by_field_and_may_ask_for_a_base_or_a_field(told: Told) -> None:
    _, plain, _ = told(*LOOPS)
    assert plain.startswith("6 patterns in 12 trained iterations in 2 loops\n")
    assert (
        "raising learning_rate 2e-3 → 0.02 was tried once on tiny and made the result worse"
        in plain
    )
    assert "so far once: support-intents/4" in plain
    some = told(*LOOPS, "--field", "learning_rate", "--model", "tiny", "--json")[1]
    assert fields_of(some) == {("tiny", RATE)}
    assert "no pattern for training.weight_decay" in told(*LOOPS, "--field", "weight_decay")[1]
    of_no_model = told(*LOOPS, "--model", "nope")[1]
    assert "has the base model nope: these loops use smollm2, tiny" in of_no_model


def test_comparisons_that_had_no_time_are_counted(told: Told) -> None:
    code, _, remark = told(*LOOPS, "--seconds", "0")
    assert code == 0
    assert "left out because time ran out; raise --seconds" in remark


def test_other_folders_are_read_where_they_are_named(told: Told, tmp_path: Path) -> None:
    nothing = ("--loops", str(tmp_path))
    assert told(*nothing)[1].startswith("0 patterns in 0 trained iterations in 0 loops")
    records = json.loads(told(*nothing, "--with", str(CHECKOUT / "loops"), "--json")[1])
    assert records["loops"] == 2
    assert f"{CHECKOUT / 'loops'}/support-tiny/3" in {
        place for each in records["patterns"] for place in each["iterations"]
    }


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--field", "lerning_rate"], 2, "no such field, did you mean learning_rate?"),
        (["--with", "./gone"], 2, "--with gone: no such folder"),
        (["--loops", "./gone"], 2, "--loops gone: no such folder"),
        (["--field", "lr"], 2, "lr: no such field, did you mean learning_rate?"),
        (["--seconds", "soon"], 2, "invalid"),
        (["--seconds", "nan"], 2, "not a number of seconds"),
        (["--seconds", "-1"], 2, "not a number of seconds"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    told: Told, arguments: list[str], code: int, said: str
) -> None:
    done, records, remarks = told(*LOOPS, *arguments)
    assert (done, records) == (code, "")
    assert said in remarks.splitlines()[0]
    assert remarks.splitlines()[1].startswith("hint: ")
