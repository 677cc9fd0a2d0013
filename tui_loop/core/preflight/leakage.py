"""Checks for leakage: evaluation and holdout rows must not be in the training data.

For the holdout, results have only counts, with the training rows as evidence.
"""

from __future__ import annotations

from itertools import chain

from tui_loop.core.data.loading import LoadedData
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
    RowEvidence,
    evidence,
    info,
    shown,
    warning,
)
from tui_loop.core.preflight.near_duplicates import overlap_of
from tui_loop.core.preflight.row_checks import NAMES
from tui_loop.core.text.figures import of_all


def leaked_rows(data: LoadedData) -> list[CheckResult]:
    """Returns findings on evaluation and holdout rows whose input is in training, or nearly is."""
    held = [("eval", row) for row in data.eval] + [("holdout", row) for row in data.holdout]
    overlap = overlap_of(
        [row.input_text for row in data.train], [row.input_text for _, row in held]
    )
    findings = []
    for kind, found in (
        (CheckKind.LEAKAGE_EXACT, overlap.same),
        (CheckKind.LEAKAGE_NEAR, overlap.near),
    ):
        for split, total in (("eval", len(data.eval)), ("holdout", len(data.holdout))):
            pairs = [
                (data.train[place], held[index][1])
                for index, place in sorted(found.items())
                if held[index][0] == split
            ]
            if not pairs:
                continue
            rows: list[RowEvidence] = list(
                evidence(
                    chain.from_iterable(
                        (shown("train", ours), shown("eval", theirs)) for ours, theirs in pairs
                    )
                    if split == "eval"
                    else (shown("train", ours) for ours, _ in pairs)
                )
            )
            findings.append(_finding(kind, split, len(pairs), total, rows))
    if overlap.searched < len(data.train):
        findings.append(
            info(
                CheckKind.LEAKAGE_NEAR,
                "too many inputs have the same few words: near duplicates were searched "
                f"in the first {overlap.searched:,} training rows only",
            )
        )
    return findings


def _finding(
    kind: CheckKind, split: str, count: int, total: int, rows: list[RowEvidence]
) -> CheckResult:
    near = "nearly " if kind == CheckKind.LEAKAGE_NEAR else ""
    verb = "is" if count == 1 else "are"
    return warning(
        kind,
        f"{of_all(count, total, f'{NAMES[split]} rows')} {verb} {near}the same input as a "
        "training row",
        "remove them from the training data: they do not test what was learned",
        count=count,
        rows=rows,
    )
