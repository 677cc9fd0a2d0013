"""Findings on how training rows were rendered, what they explain, and what is suggested."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.core.diagnosis.written import Written, answered, asked, example
from tui_loop.core.diagnosis.diagnose import Diagnoser
from tui_loop.core.diagnosis.facts import Rendering
from tui_loop.core.diagnosis.findings import Diagnosis
from tui_loop.core.diagnosis.rules.rendered_rows import dropped, no_stop, other_prompt
from tui_loop.core.diagnosis.rules.truncation import ending
from tui_loop.core.record.reader import LoopReader

HELD, TRAIN = asked(60), asked(300)[200:]
STOPS = {"stop_tokens": ["<|end|>"], "stop_strings": [], "eos_token": "<|end|>"}
PAIRS = {"shape": "prompt_completion", "columns": {"prompt": "prompt", "completion": "completion"}}


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """A loop whose base knows nothing of HELD."""
    made = Written(tmp_path)
    made.base(HELD)
    return made


def rendered(rows_with: Mapping[str, int], template: str | None = "model", **more: Any) -> Any:
    """The derived values of a run whose rows have these flaws."""
    kind = {} if template is None else {"template": template}
    return {**PAIRS, "rendering": {**STOPS, **kind, "rows_with": dict(rows_with)}, **more}


def add(made: Written, effective: Any, *settings: str, running: int = 0, **metrics: int) -> None:
    """An iteration whose first `running` outputs are right and continue to the limit."""
    ran = [
        example(
            row, f"{row.reference} and so on", causes=("no_end_token",), truncated=True, loss=0.1
        )
        for row in HELD[:running]
    ]
    counts = {"outputs_truncated": running, **metrics}
    rows = [*ran, *answered(HELD[running:])]
    made.add(rows, *settings, train=TRAIN, metrics=counts, effective=effective)


def diagnosed(made: Written) -> Diagnosis:
    return Diagnoser(LoopReader(made.loop)).diagnose(made.loop.numbers()[-1])


def test_rows_without_an_end_are_an_alarm_where_outputs_have_none_either(written: Written) -> None:
    add(written, rendered({"no_stop": 100}), running=40)
    found = written.one(no_stop)
    assert (found.kind, found.severity) == ("no_stop", "alarm")
    assert found.message == (
        "100 of 100 training rows (100%) have an answer without a token that ends it, so the "
        "model does not learn to stop; 40 of 60 outputs (67%) reach the limit of new tokens"
    )
    assert found.figures == {"rows": 100, "train_rows": 100, "outputs": 40, "total": 60}


@pytest.mark.parametrize(
    ("count", "running", "severity"), [(100, 0, "warning"), (5, 40, "warning"), (4, 0, "note")]
)
def test_rows_without_an_end_are_worth_as_much_as_they_explain(
    count: int, running: int, severity: str, written: Written
) -> None:
    add(written, rendered({"no_stop": count}), running=running)
    assert written.one(no_stop).severity == severity


def test_one_row_and_one_output_are_one(written: Written) -> None:
    add(written, rendered({"no_stop": 1, "other_prompt": 1}), running=1)
    assert written.one(no_stop).message == (
        "1 of 100 training rows (1%) has an answer without a token that ends it, so the model "
        "does not learn to stop; 1 of 60 outputs (1.7%) reaches the limit of new tokens"
    )
    assert written.one(other_prompt).message.startswith(
        "in 1 of 100 training rows (1%), an answer starts differently from the chat template's"
    )


def test_parts_that_were_dropped_are_counted(written: Written) -> None:
    add(written, rendered({"dropped": 12}))
    found = written.one(dropped)
    assert (found.kind, found.severity) == ("dropped", "warning")
    assert found.message == (
        "the chat template left out a part of 12 of 100 training rows (12%), so the model was not "
        "trained on that part"
    )
    add(written, rendered({"dropped": 4}))
    assert written.one(dropped).severity == "note"


def test_another_generation_prompt_is_a_notice(written: Written) -> None:
    add(written, rendered({"other_prompt": 100}))
    found = written.one(other_prompt)
    assert (found.kind, found.severity) == ("other_prompt", "note")
    assert found.figures == {"rows": 100, "train_rows": 100}


@pytest.mark.parametrize(
    "effective",
    [
        {},
        {"rendering": "by hand"},
        {"rendering": {**STOPS, "rows_with": {"no_stop": "all"}}},
        {"rendering": {**STOPS, "rows_with": ["no_stop"]}},
        rendered({}),
        rendered({"no_stop": 0, "dropped": -3}),
        rendered({"merged": 100}),
    ],
)
def test_nothing_is_claimed_without_counted_rows(effective: Any, written: Written) -> None:
    add(written, effective)
    case = written.case()
    assert [each for rule in (no_stop, dropped, other_prompt) for each in rule(case)] == []


def test_the_base_was_not_trained_on_rows(tmp_path: Path) -> None:
    made = Written(tmp_path)
    made.add(answered(HELD), train=TRAIN, effective=rendered({"no_stop": 100}))
    assert list(no_stop(made.case(0))) == []


def test_counts_beyond_the_rows_are_those_of_all_rows(written: Written) -> None:
    add(written, rendered({"no_stop": 10**15}))
    assert written.one(no_stop).figures["rows"] == 100


def test_a_recorded_rendering_is_read(written: Written) -> None:
    add(written, rendered({"merged": 2}, "trl"))
    rendering = written.case().rendering
    assert rendering == Rendering(("<|end|>",), (), "<|end|>", "trl", {"merged": 2})
    assert rendering.stops == ("<|end|>",)


def test_rows_without_an_end_explain_outputs_without_one(written: Written) -> None:
    add(written, rendered({"no_stop": 100}), running=40)
    told = diagnosed(written)
    kinds = [each.kind for each in told.findings]
    assert kinds[:2] == ["no_stop", "no_end_token"]
    assert written.one(ending).otherwise == ""
    assert [each.name for each in told.suggestions if each.finding in ("no_stop", *kinds[:2])] == [
        "no_stop/no_template",
        "no_stop/own_template",
    ]
    first = told.suggestions[0]
    assert first.changes == {"data.chat_template": ("auto", "off")}
    assert "<|end|>" in first.why


def test_rows_that_end_are_not_called_rows_without_an_end(written: Written) -> None:
    add(written, rendered({}), running=40)
    found = written.one(ending)
    assert found.otherwise == (
        "the training rows end with <|end|>, so more training may teach the model to stop"
    )
    names = [each.name for each in diagnosed(written).suggestions]
    assert "no_end_token/train_longer" in names
    assert "no_end_token/end_token" not in names


@pytest.mark.parametrize("effective", [{}, {"rendering": "by hand"}])
def test_a_record_without_rendering_has_the_advice_to_check(
    effective: Any, written: Written
) -> None:
    add(written, effective, running=40)
    assert "if the end token is trained on; `tui-loop check`" in written.one(ending).otherwise
    names = [each.name for each in diagnosed(written).suggestions]
    assert "no_end_token/end_token" in names
    assert "no_end_token/train_longer" not in names


def test_rows_that_lost_their_end_to_a_limit_do_not_end(written: Written) -> None:
    counts = {"train_rows_cut": 80, "train_rows_dropped": 0, "train_row_longest": 900}
    add(written, rendered({}), running=40, **counts)
    assert "<|end|>" not in written.one(ending).otherwise
    names = [each.name for each in diagnosed(written).suggestions]
    assert not [each for each in names if each.endswith(("/end_token", "/train_longer"))]
    assert "truncated_inputs/raise_max_length" in names


def suggested(made: Written, effective: Any, *settings: str) -> list[str]:
    add(made, effective, *settings, running=40)
    found = [each for each in diagnosed(made).suggestions if each.finding == "no_stop"]
    return [each.action for each in found]


def test_conversations_and_tools_keep_their_template(written: Written) -> None:
    own = (
        "set data.chat_template to a file with a template that ends each answer with a special "
        "token"
    )
    flawed = rendered({"no_stop": 100})
    assert suggested(written, {**flawed, "shape": "messages"}) == [own]
    with_tools = {**PAIRS["columns"], "tools": "tools"}  # type: ignore[dict-item]
    assert suggested(written, {**flawed, "columns": with_tools}) == [own]
    without_eos = {**flawed, "rendering": {"template": "model", "rows_with": {"no_stop": 100}}}
    assert suggested(written, without_eos) == [own]


def test_a_template_of_the_user_is_corrected(written: Written) -> None:
    add(written, rendered({"dropped": 50}, "file"))
    [told] = [each for each in diagnosed(written).suggestions if each.finding == "dropped"]
    assert told.changes == {}
    assert told.action == (
        "change the file of data.chat_template so that the template keeps all parts of a row"
    )


def test_rows_without_a_template_need_an_end_of_sequence_token(written: Written) -> None:
    endless = {**PAIRS, "rendering": {"stop_tokens": [], "rows_with": {"no_stop": 100}}}
    assert suggested(written, endless) == [
        "set training.eos_token to the model's token for the end of a text"
    ]
