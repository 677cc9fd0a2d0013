"""Checks for leakage: evaluation and holdout rows must not be in the training data.

For the holdout, results have only counts, with the training rows as evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from tui_loop.core.data.loading import LoadedData
from tui_loop.core.preflight.check_result import (
    CheckKind,
    CheckResult,
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
    overlap = overlap_of((row.input_text for row in data.train), _HeldInputs(data))
    findings = []
    for kind, found in (
        (CheckKind.LEAKAGE_EXACT, overlap.same),
        (CheckKind.LEAKAGE_NEAR, overlap.near),
    ):
        first = 0
        for split, held in (("eval", data.eval), ("holdout", data.holdout)):
            pairs = [
                (place, index - first)
                for index, place in sorted(found.items())
                if first <= index < first + len(held)
            ]
            first += len(held)
            if pairs:
                findings.append(_finding(kind, split, pairs, data))
    if overlap.searched < len(data.train):
        findings.append(
            info(
                CheckKind.LEAKAGE_NEAR,
                "too many inputs share the same few words: near duplicates were searched for "
                f"only in the first {overlap.searched:,} training rows",
            )
        )
    return findings


class _HeldInputs:
    """The inputs of the evaluation rows, then those of the holdout; read anew each time."""

    def __init__(self, data: LoadedData) -> None:
        self._data = data

    def __iter__(self) -> Iterator[str]:
        return (row.input_text for row in chain(self._data.eval, self._data.holdout))


def _finding(
    kind: CheckKind, split: str, pairs: Sequence[tuple[int, int]], data: LoadedData
) -> CheckResult:
    """Returns the warning on held-out rows whose input is in training, or nearly is.

    `pairs`: the places of the training row and of the held-out row.
    """
    if split == "eval":
        rows = evidence(
            chain.from_iterable(
                (shown("train", data.train[ours]), shown("eval", data.eval[theirs]))
                for ours, theirs in pairs
            )
        )
        total = len(data.eval)
    else:
        rows = evidence(shown("train", data.train[ours]) for ours, _ in pairs)
        total = len(data.holdout)
    count = len(pairs)
    near = "nearly " if kind == CheckKind.LEAKAGE_NEAR else ""
    verb = "has" if count == 1 else "have"
    return warning(
        kind,
        f"{of_all(count, total, f'{NAMES[split]} rows')} {verb} {near}the same input as a "
        "training row",
        "remove these inputs from the training data: rows seen in training measure memory, not "
        "generalization",
        count=count,
        rows=rows,
    )
