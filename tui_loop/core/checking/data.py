"""All checks of the data that need no tokenizer."""

from __future__ import annotations

from tui_loop.core.checking.columns import column_findings
from tui_loop.core.checking.findings import Finding, by_severity, error, info, warning
from tui_loop.core.checking.leakage import leaked_rows
from tui_loop.core.checking.rows import (
    conflicting_rows,
    odd_turns,
    refused_rows,
    repeated_rows,
)
from tui_loop.core.data.loading import LoadedData, Refused
from tui_loop.core.schema import Config
from tui_loop.core.scoring import NO_METRIC

FEW_EVAL_ROWS = 30
"""With fewer held-out rows a score moves by more than three points with each of them."""


def check_metric(config: Config, data: LoadedData) -> list[Finding]:
    """An error where outputs cannot be scored since there is nothing to generate from."""
    metric = config.evaluation.metric
    if data.mapping.shape != "text" or metric == NO_METRIC:
        return []
    told = f"evaluation.metric: {metric} needs prompts, and plain text has none"
    return [error("config", told, "--set evaluation.metric=none")]


def check_data(data: LoadedData, refused: Refused | None = None) -> list[Finding]:
    """What is to be known of the rows before a run, errors first.

    `refused` are the rows that were left out of `data` since a run would refuse them.
    """
    findings = refused_rows(refused or {})
    for split, rows in (("training", data.train), ("held-out", data.eval)):
        if not rows:
            findings.append(error("no_rows", f"there are no {split} rows", "name a file with rows"))
    findings += column_findings(data)
    findings += odd_turns(data)
    findings += repeated_rows(data)
    findings += conflicting_rows(data)
    findings += leaked_rows(data)
    findings += [warning("untrained_labels", text) for text in data.warnings]
    if 0 < len(data.eval) < FEW_EVAL_ROWS:
        findings.append(
            info(
                "few_eval_rows",
                f"only {len(data.eval)} rows are held out: one of them is "
                f"{100 / len(data.eval):.0f} points of the score",
                "hold out more rows, or expect coarse scores",
                count=len(data.eval),
            )
        )
    findings += [info("held_out", text) for text in data.notices]
    return by_severity(findings)
