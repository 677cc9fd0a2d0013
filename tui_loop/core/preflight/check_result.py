"""The result of a preflight check: a message, a hint, and the rows that show it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.preflight.check_kinds import CheckKind
from tui_loop.core.text.untrusted import one_line

Severity = Literal["error", "warning", "info"]
"""An error makes a run impossible or useless; everything else unusual is a warning."""

ROWS_KEPT = 20
"""The most rows in a result: enough to see the problem."""

TEXT_LENGTH = 100
_ORDER = {"error": 0, "warning": 1, "info": 2}


class RowEvidence(msgspec.Struct, frozen=True):
    """A row that shows a finding: its place, and the start of its text."""

    split: str
    line: int
    id: str
    text: str


class CheckResult(msgspec.Struct, frozen=True):
    """One result of a check; `rows`: the first of those that it counts."""

    severity: Severity
    kind: CheckKind
    message: str
    hint: str = ""
    count: int | None = None
    rows: tuple[RowEvidence, ...] = ()


def error(kind: CheckKind, message: str, hint: str = "", **more: object) -> CheckResult:
    return _made("error", kind, message, hint, more)


def warning(kind: CheckKind, message: str, hint: str = "", **more: object) -> CheckResult:
    return _made("warning", kind, message, hint, more)


def info(kind: CheckKind, message: str, hint: str = "", **more: object) -> CheckResult:
    return _made("info", kind, message, hint, more)


def by_severity(findings: Iterable[CheckResult]) -> list[CheckResult]:
    """Sorts errors first, then warnings, otherwise stably."""
    return sorted(findings, key=lambda each: _ORDER[each.severity])


def errors_of(findings: Iterable[CheckResult]) -> list[CheckResult]:
    return [each for each in findings if each.severity == "error"]


def warnings_of(findings: Iterable[CheckResult]) -> list[CheckResult]:
    return [each for each in findings if each.severity == "warning"]


def messages_of(findings: Iterable[CheckResult], severity: Severity) -> list[str]:
    """Returns the messages of one severity."""
    return [each.message for each in findings if each.severity == severity]


def shown(split: str, row: Row, *, reference: bool = True) -> RowEvidence:
    """Returns a row as evidence: its input and its reference."""
    text = one_line(row.input_text, TEXT_LENGTH)
    if reference and row.prompt:
        text = f"{one_line(row.input_text, TEXT_LENGTH - 40)} → {one_line(row.reference, 36)}"
    return RowEvidence(split, row.line, one_line(row.id, 80), text)


def evidence(rows: Iterable[RowEvidence]) -> tuple[RowEvidence, ...]:
    """Returns the first rows, as many as a result may have."""
    return tuple(each for each, _ in zip(rows, range(ROWS_KEPT), strict=False))


def _made(
    severity: Severity, kind: CheckKind, message: str, hint: str, more: dict[str, object]
) -> CheckResult:
    count, rows = more.get("count"), more.get("rows", ())
    assert isinstance(rows, Sequence)
    return CheckResult(
        severity, kind, message, hint, count if isinstance(count, int) else None, tuple(rows)
    )
