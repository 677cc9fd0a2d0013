"""The checks of data that need no tokenizer."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData, Refused
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    by_severity,
    error,
    info,
    shown,
    warning,
)
from tui_loop.core.preflight.column_checks import column_findings
from tui_loop.core.preflight.leakage import leaked_rows
from tui_loop.core.preflight.row_checks import (
    conflicting_rows,
    odd_turns,
    refused_rows,
    repeated_rows,
    skipped_rows,
)
from tui_loop.core.scoring import NO_METRIC, pure_scorer

FEW_EVAL_ROWS = 30
"""With fewer evaluation rows, each changes the score by more than three points."""


REFERENCES_TRIED = 10_000
"""The number of references on which metric regex tries its pattern before a run (1 to 2 s)."""


def check_metric(config: Config, data: LoadedData) -> list[CheckResult]:
    """Returns an error where outputs cannot be scored: no prompts, or a pattern that is slow."""
    metric = config.evaluation.metric
    if data.mapping.shape == "text" and metric != NO_METRIC:
        message = f"evaluation.metric: {metric} needs prompts, but plain text has none"
        return [error(CheckKind.CONFIG, message, "--set evaluation.metric=none")]
    if metric == "regex":
        return _try_pattern(config.evaluation.pattern, data.eval[:REFERENCES_TRIED])
    return []


def _try_pattern(pattern: str | None, rows: Sequence[Row]) -> list[CheckResult]:
    """Returns an error where metric regex cannot search the references, or not in time."""
    try:
        scorer = pure_scorer("regex", (), pattern)
    except BadInput:  # `refusals` reports it, with rows or without
        return []
    assert scorer is not None
    for row in rows:
        try:
            scorer.score(row.reference, row.reference)
        except BadInput as fault:
            message = f"{fault.message} (in the reference of {row.place})"
            return [error(CheckKind.CONFIG, message, fault.hint, rows=(shown("eval", row),))]
    return []


def check_data(data: LoadedData, refused: Refused | None = None) -> list[CheckResult]:
    """What is to be known of the rows before a run, errors first.

    `refused` are the rows that were left out of `data` since a run would refuse them.
    """
    findings = [*refused_rows(refused or {}), *skipped_rows(data)]
    for split, rows in (("training", data.train), ("held-out", data.eval)):
        if not rows:
            findings.append(
                error(CheckKind.NO_ROWS, f"there are no {split} rows", "name a file with rows")
            )
    findings += column_findings(data)
    findings += odd_turns(data)
    findings += repeated_rows(data)
    findings += conflicting_rows(data)
    findings += leaked_rows(data)
    findings += [warning(CheckKind.UNTRAINED_LABELS, text) for text in data.warnings]
    if text := few_eval_rows(len(data.eval)):
        hint = "hold out more rows, or expect imprecise scores"
        findings.append(info(CheckKind.FEW_EVAL_ROWS, text, hint, count=len(data.eval)))
    findings += [info(CheckKind.HELD_OUT, text) for text in data.notices]
    return by_severity(findings)


def few_eval_rows(count: int) -> str:
    """Returns a sentence on an evaluation set that is too small, "" for a large enough one."""
    if not 0 < count < FEW_EVAL_ROWS:
        return ""
    if count == 1:
        return "only 1 row is held out: it decides the whole score"
    return (
        f"only {count} rows are held out: each one counts for {100 / count:.0f} points of the score"
    )
