"""Every kind of preflight finding is made by a check, raised in a test and listed in the docs."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

import tui_loop
from tests.core.preflight.test_data_checks import found, messages, pairs
from tui_loop.core.data.rows import RowFault
from tui_loop.core.preflight.check_result import CheckKind

Write = Callable[[str, Sequence[object]], Path]

TESTS = Path(__file__).parents[2]
DOCS = TESTS.parent / "docs" / "diagnosis.md"
PACKAGE = Path(tui_loop.__file__).parent

_DATA = (
    "core/preflight/test_data_checks.py::test_every_planted_fault_is_found_among_thousands_of_rows"
)
_COLUMNS = "core/preflight/test_column_checks.py::"
_KINDS = "core/preflight/test_check_kinds.py::"
_EFFORT = "core/preflight/test_effort.py::"
_PREFLIGHT = "engine/preflight/test_token_checks.py::"
_COUNTED = f"{_PREFLIGHT}test_lengths_cuts_and_masks_are_counted"
_SIZES = f"{_PREFLIGHT}test_memory_and_disk_that_cannot_suffice_are_errors"
_CHECK = "cli/test_check.py::"
_RENDERING = "engine/preflight/test_rendering_checks.py::"

RAISED_BY = {
    CheckKind.CONFIG: f"{_CHECK}test_a_draft_with_problems_is_checked_with_the_config_before_it",
    CheckKind.GPUS: (
        "engine/gpus/test_hosted_runs.py::"
        "test_a_run_without_a_free_gpu_is_refused_and_leaves_nothing_behind"
    ),
    CheckKind.DATA: f"{_CHECK}test_data_that_cannot_be_read_is_a_finding",
    CheckKind.HIGH_RATE: f"{_CHECK}test_a_rate_beyond_all_use_is_a_warning",
    CheckKind.BAD_BEFORE: (
        "core/preflight/test_pattern_checks.py::"
        "test_a_value_that_made_earlier_runs_diverge_is_a_warning"
    ),
    CheckKind.NO_EFFECT: (
        "core/preflight/test_setting_checks.py::"
        "test_a_setting_without_effect_is_a_warning_with_the_reason"
    ),
    CheckKind.TARGETS: (
        "engine/preflight/test_gate.py::test_a_target_that_matches_nothing_beside_others_is_a_warning"
    ),
    CheckKind.EMPTY_ROWS: _DATA,
    CheckKind.WRONG_ROLES: "core/preflight/test_data_checks.py::test_odd_turns_are_named",
    CheckKind.UNREADABLE_ROWS: _DATA,
    CheckKind.UNKNOWN_LABEL: (
        "core/preflight/test_data_checks.py::test_labels_outside_the_set_are_named_all_at_once"
    ),
    CheckKind.NO_ROWS: f"{_CHECK}test_a_run_that_makes_no_sense_is_refused",
    CheckKind.PREFERENCE_DATA: (
        f"{_COLUMNS}test_preference_data_says_what_is_trained_on_and_what_is_not"
    ),
    CheckKind.UNUSED_COLUMNS: f"{_COLUMNS}test_names_without_a_meaning_are_one_line",
    CheckKind.UNUSED_KEYS: f"{_COLUMNS}test_turns_that_should_not_be_trained_on_are_counted",
    CheckKind.TOOL_CALLS: (f"{_COLUMNS}test_turns_of_tool_calls_that_are_no_calls_are_named"),
    CheckKind.RENDERED_TEXT: (
        f"{_COLUMNS}test_texts_that_hold_a_rendered_chat_template_are_counted"
    ),
    CheckKind.DUPLICATE_ROWS: _DATA,
    CheckKind.CONFLICTING_LABELS: _DATA,
    CheckKind.LEAKAGE_EXACT: _DATA,
    CheckKind.LEAKAGE_NEAR: _DATA,
    CheckKind.UNTRAINED_LABELS: (
        f"{_KINDS}test_a_held_out_label_without_training_rows_is_a_warning"
    ),
    CheckKind.FEW_EVAL_ROWS: f"{_KINDS}test_few_held_out_rows_are_counted",
    CheckKind.HELD_OUT: f"{_KINDS}test_the_part_that_is_held_out_is_described",
    CheckKind.STEPS: f"{_EFFORT}test_odd_settings_are_warned_of",
    CheckKind.NO_STEPS: f"{_EFFORT}test_no_step_at_all_is_an_error",
    CheckKind.BATCH: f"{_EFFORT}test_odd_settings_are_warned_of",
    CheckKind.WARMUP: f"{_EFFORT}test_odd_settings_are_warned_of",
    CheckKind.LEFT_OUT: f"{_CHECK}test_without_the_train_extra_the_rest_is_checked",
    CheckKind.MODEL: f"{_CHECK}test_a_model_that_cannot_be_loaded_is_a_finding",
    CheckKind.TOKENS: _COUNTED,
    CheckKind.TRAINED_SHARE: _COUNTED,
    CheckKind.TRAINED_ROLES: f"{_RENDERING}test_the_trained_share_of_each_role_is_given",
    CheckKind.STOP: f"{_RENDERING}test_tokens_and_texts_that_end_an_answer_are_named",
    CheckKind.OTHER_EOS: (
        f"{_RENDERING}test_an_end_of_turn_that_the_model_does_not_know_is_a_warning"
    ),
    CheckKind.OTHER_TEMPLATE: (
        f"{_RENDERING}test_rows_that_the_training_template_of_trl_renders_differently_are_counted"
    ),
    CheckKind.DROPPED: f"{_RENDERING}test_parts_that_the_chat_template_leaves_out_are_named",
    CheckKind.OTHER_PROMPT: (
        f"{_RENDERING}test_a_generation_prompt_that_was_not_trained_is_a_warning"
    ),
    CheckKind.NO_STOP: f"{_RENDERING}test_answers_without_an_end_are_a_warning_with_what_to_set",
    CheckKind.MERGED: (f"{_RENDERING}test_a_prompt_that_would_merge_with_its_answer_is_a_warning"),
    CheckKind.SPECIAL_TOKENS: (f"{_RENDERING}test_special_tokens_in_the_text_of_rows_are_counted"),
    CheckKind.FULLY_MASKED: _COUNTED,
    CheckKind.TOO_LONG: _COUNTED,
    CheckKind.BEYOND_CONTEXT: f"{_PREFLIGHT}test_rows_beyond_what_the_model_takes_are_an_error",
    CheckKind.PADDING: _COUNTED,
    CheckKind.SIZES: _SIZES,
    CheckKind.MEMORY: _SIZES,
    CheckKind.DISK: _SIZES,
}
"""The test that brings each kind about, by its node id in `tests`."""


def test_every_kind_is_named_by_a_check() -> None:
    made = {
        node.attr
        for path in PACKAGE.rglob("*.py")
        if "CheckKind" in (text := path.read_text(encoding="utf-8"))
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "CheckKind"
    }
    assert made == {kind.name for kind in CheckKind}


def test_every_kind_is_raised_by_a_test_that_names_it() -> None:
    assert set(RAISED_BY) == set(CheckKind)
    for kind, node_id in RAISED_BY.items():
        path, _, name = node_id.partition("::")
        functions = ast.parse((TESTS / path).read_text(encoding="utf-8")).body
        [test] = [
            each for each in functions if isinstance(each, ast.FunctionDef) and each.name == name
        ]
        texts = {each.value for each in ast.walk(test) if isinstance(each, ast.Constant)}
        assert kind.value in texts, node_id


def test_a_row_that_is_refused_has_a_kind_of_its_fault() -> None:
    assert set(get_args(RowFault)) <= set(CheckKind)


def test_the_docs_list_every_check() -> None:
    section = DOCS.read_text(encoding="utf-8").split("\n## Checks\n")[1]
    names = [line.split("`")[1] for line in section.splitlines() if line.startswith("| `")]
    assert names == [kind.value for kind in CheckKind]


def test_a_held_out_label_without_training_rows_is_a_warning(
    write_lines: Write, tmp_path: Path
) -> None:
    write_lines("train.jsonl", pairs(messages(40, 1), "refund"))
    write_lines("eval.jsonl", pairs(messages(40, 2), "praise"))
    [warned] = found(tmp_path, "evaluation.metric=label")["warning", "untrained_labels"]
    assert warned.message == "no training row has these labels of held-out rows: praise"


def test_few_held_out_rows_are_counted(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(messages(40, 1)))
    write_lines("eval.jsonl", pairs(messages(20, 2)))
    [told] = found(tmp_path)["info", "few_eval_rows"]
    assert told.count == 20
    assert told.message == "only 20 rows are held out: each one counts for 5 points of the score"


def test_the_part_that_is_held_out_is_described(write_lines: Write, tmp_path: Path) -> None:
    write_lines("train.jsonl", pairs(messages(400, 1)))
    [told] = found(tmp_path, "data.eval_fraction=0.25")["info", "held_out"]
    assert "100 of 400" in told.message
