"""The result of a preflight check: its kind, a message, a hint, and the rows that show it.

The values of the kinds are in `check --json`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Literal

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.text.untrusted import one_line

Severity = Literal["error", "warning", "info"]
"""An error makes a run impossible or useless; everything else unusual is a warning."""

ROWS_KEPT = 20
"""The most rows in a result: enough to see the problem."""

TEXT_LENGTH = 100
_ORDER = {"error": 0, "warning": 1, "info": 2}


class RowEvidence(msgspec.Struct, frozen=True):
    """A row that shows a result: its place, and the start of its text.

    `source`: the name of its source, "" where its split has only one.
    """

    split: str
    line: int
    id: str
    text: str
    source: str = ""

    @property
    def place(self) -> str:
        """Returns `train:5`, or `train orders:5` where there are several sources."""
        return f"{self.split}{f' {self.source}' if self.source else ''}:{self.line}"

    @property
    def short_place(self) -> str:
        """Returns the line, with its source where there are several: `orders:5`."""
        return f"{self.source}:{self.line}" if self.source else str(self.line)


class CheckResult(msgspec.Struct, frozen=True):
    """One result of a check.

    `rows`: the first of those that it counts. `field`: the setting that it is about, as
    `group.field`, "" where it is about none or several.
    """

    severity: Severity
    kind: CheckKind
    message: str
    hint: str = ""
    count: int | None = None
    rows: tuple[RowEvidence, ...] = ()
    field: str = ""


def error(kind: CheckKind, message: str, hint: str = "", **more: object) -> CheckResult:
    return _made("error", kind, message, hint, more)


def warning(kind: CheckKind, message: str, hint: str = "", **more: object) -> CheckResult:
    return _made("warning", kind, message, hint, more)


def info(kind: CheckKind, message: str, hint: str = "", **more: object) -> CheckResult:
    return _made("info", kind, message, hint, more)


def by_severity(results: Iterable[CheckResult]) -> list[CheckResult]:
    """Sorts errors first, then warnings, otherwise stably."""
    return sorted(results, key=lambda each: _ORDER[each.severity])


def errors_of(results: Iterable[CheckResult]) -> list[CheckResult]:
    return [each for each in results if each.severity == "error"]


def warnings_of(results: Iterable[CheckResult]) -> list[CheckResult]:
    return [each for each in results if each.severity == "warning"]


def messages_of(results: Iterable[CheckResult], severity: Severity) -> list[str]:
    """Returns the messages of one severity."""
    return [each.message for each in results if each.severity == severity]


def shown(split: str, row: Row, *, reference: bool = True) -> RowEvidence:
    """Returns a row as evidence: its input and its reference."""
    text = one_line(row.input_text, TEXT_LENGTH)
    if reference and row.prompt:
        text = f"{one_line(row.input_text, TEXT_LENGTH - 40)} → {one_line(row.reference, 36)}"
    return RowEvidence(split, row.line, one_line(row.id, 80), text, row.source)


def evidence(rows: Iterable[RowEvidence]) -> tuple[RowEvidence, ...]:
    """Returns the first rows, as many as a result may have."""
    return tuple(each for each, _ in zip(rows, range(ROWS_KEPT), strict=False))


def _made(
    severity: Severity, kind: CheckKind, message: str, hint: str, more: dict[str, object]
) -> CheckResult:
    count, rows = more.get("count"), more.get("rows", ())
    assert isinstance(rows, Sequence)
    return CheckResult(
        severity,
        kind,
        message,
        hint,
        count if isinstance(count, int) else None,
        tuple(rows),
        str(more.get("field", "")),
    )


class ChecksFailed(BadInput):
    """A run that was refused before it started; `errors` has every reason.

    Message and hint are those of the first error.
    """

    def __init__(self, results: Iterable[CheckResult]) -> None:
        self.errors = errors_of(results)
        super().__init__(self.errors[0].message, self.errors[0].hint)


class CheckKind(StrEnum):
    """What a preflight check can find, in the order of the checks."""

    # The config and the files.
    CONFIG = "config"
    GPUS = "gpus"
    DATA = "data"
    HIGH_RATE = "high_rate"
    BAD_BEFORE = "bad_before"
    NO_EFFECT = "no_effect"

    # Rows that a run would refuse; the values of the first four are those of `RowFault`.
    EMPTY_ROWS = "empty_rows"
    WRONG_ROLES = "wrong_roles"
    UNREADABLE_ROWS = "unreadable_rows"
    UNKNOWN_LABEL = "unknown_label"
    NO_ROWS = "no_rows"

    # The content of rows, and their unused parts.
    PREFERENCE_DATA = "preference_data"
    UNUSED_COLUMNS = "unused_columns"
    UNUSED_KEYS = "unused_keys"
    TOOL_CALLS = "tool_calls"
    RENDERED_TEXT = "rendered_text"
    DUPLICATE_ROWS = "duplicate_rows"
    CONFLICTING_LABELS = "conflicting_labels"
    LEAKAGE_EXACT = "leakage_exact"
    LEAKAGE_NEAR = "leakage_near"
    UNTRAINED_LABELS = "untrained_labels"
    FEW_EVAL_ROWS = "few_eval_rows"
    HELD_OUT = "held_out"

    # Steps.
    STEPS = "steps"
    NO_STEPS = "no_steps"
    BATCH = "batch"
    WARMUP = "warmup"

    # Checks that need the model's tokenizer and sizes.
    LEFT_OUT = "left_out"
    MODEL = "model"
    TOKENS = "tokens"
    TRAINED_SHARE = "trained_share"
    TRAINED_ROLES = "trained_roles"
    STOP = "stop"
    OTHER_EOS = "other_eos"
    OTHER_TEMPLATE = "other_template"
    DROPPED = "dropped"
    OTHER_PROMPT = "other_prompt"
    NO_STOP = "no_stop"
    MERGED = "merged"
    SPECIAL_TOKENS = "special_tokens"
    FULLY_MASKED = "fully_masked"
    TOO_LONG = "too_long"
    BEYOND_CONTEXT = "beyond_context"
    PADDING = "padding"
    TARGETS = "targets"
    SIZES = "sizes"
    MEMORY = "memory"
    DISK = "disk"
