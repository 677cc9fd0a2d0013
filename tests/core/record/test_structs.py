"""What lies on disk and what `--json` prints have the keys that DESIGN gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest

from tui_loop.core.record import codec
from tui_loop.core.record.requests import Request
from tui_loop.core.record.structs import (
    RESUMABLE,
    Change,
    Decision,
    Example,
    Fingerprint,
    Iteration,
    State,
    TokenLosses,
)

STATES = "draft queued running paused stopping finished stopped failed interrupted unreadable"


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        (
            Iteration(number=1, state="queued"),
            "number parent state title changes decision config metrics error attempts fingerprint "
            "duration_s system verdict",
        ),
        (
            Example("a", "p", "r", None, None, None, (), None, 0, None, False, 1),
            "id prompt reference output score passed causes loss supervised_tokens output_tokens "
            "truncated source_line prompt_cut columns conversation other_references",
        ),
        (TokenLosses("a", []), "id tokens"),
        (Request("a", 1, "stop"), "id attempt name save evaluate by"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_record_has_all_its_keys_in_a_stable_order(value: Any, keys: str) -> None:
    assert list(json.loads(codec.to_json(value))) == keys.split()


def test_what_there_is_not_is_null() -> None:
    plain = json.loads(codec.to_json(Iteration(number=0, state="queued")))
    empty = ("parent", "config", "error", "fingerprint", "duration_s", "system", "verdict")
    assert {plain[key] for key in empty} == {None}


def test_the_states_are_those_of_the_design() -> None:
    assert " ".join(get_args(State)) == STATES
    assert set(RESUMABLE) == {"stopped", "failed", "interrupted"}


def test_an_example_survives_its_line(example: Callable[..., Example]) -> None:
    one = example("id1", 0.25, causes=("empty", "cut"), output=None, loss="NaN")
    assert codec.from_json(codec.to_json(one), Example, "x") == one


def test_token_losses_are_pairs_of_text_and_loss() -> None:
    tokens = TokenLosses("a", [(" the", 0.5), ("end", "Infinity")])
    line = codec.to_json(tokens)
    assert line == b'{"id":"a","tokens":[[" the",0.5],["end","Infinity"]]}'
    assert codec.from_json(line, TokenLosses, "x") == tokens


def test_an_iteration_survives_its_summary() -> None:
    one = Iteration(
        number=3,
        parent=1,
        state="failed",
        changes={"lora.r": [8, 16]},
        config={"training": {"max_steps": None}},
        metrics={"eval_loss": 0.5, "train_loss": None},
        error={"kind": "oom", "message": "m", "hint": "h", "step": 3},
        fingerprint=Fingerprint("a", "b", "c", "d", "e", "f"),
    )
    assert codec.from_json(codec.to_pretty_json(one), Iteration, "x") == one


def test_a_decision_leaves_out_what_is_unset() -> None:
    decision = Decision(1, "why", (Change("data.eval", None, "e"), Change("lora.r", 8, None)))
    text = codec.to_toml(msgspec.to_builtins(decision))
    assert codec.from_toml(text, "x") == {
        "parent": 1,
        "why": "why",
        "changes": [{"field": "data.eval", "new": "e"}, {"field": "lora.r", "old": 8}],
    }


def test_a_fingerprint_names_the_parts_that_differ() -> None:
    one = Fingerprint("a", "b", "c", "d", "e", "f")
    assert one.differs_from(one) == []
    other = msgspec.structs.replace(one, template="x", metric="y")
    assert one.differs_from(other) == other.differs_from(one) == ["template", "metric"]
