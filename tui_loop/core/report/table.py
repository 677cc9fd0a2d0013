"""The iterations as CSV: the columns of `ledger.csv`, then what the report has beside them."""

from __future__ import annotations

from typing import Any

from tui_loop.core.record.ledger import COLUMNS, ledger_row
from tui_loop.core.record.structs import Decision
from tui_loop.core.report.facts import Report, Told
from tui_loop.core.text.untrusted import csv_text, visible

BESIDE = (
    *("score_low", "score_high", "claim", "delta", "delta_low", "delta_high"),
    *("fixed", "broken", "is_best", "findings"),
)


def table(report: Report) -> str:
    """One row an iteration; nothing in it runs as a formula."""
    findings = {
        each.number: " ".join(found.kind for found in each.findings) for each in report.diagnoses
    }
    rows = []
    for told in report.iterations:
        decision = Decision(suggestion=told.suggestion or None, predicted=told.predicted)
        beside = _beside(told, report.best, findings.get(told.iteration.number))
        rows.append(
            [*ledger_row(told.iteration, decision), *(beside[name] for name in _beside_names())]
        )
    return visible(csv_text([*COLUMNS, *_beside_names()], rows))


def head() -> str:
    """The line that such a file begins with; the ledger's own is shorter."""
    return csv_text([*COLUMNS, *_beside_names()], [])


def _beside_names() -> list[str]:
    return [name for name in BESIDE if name not in COLUMNS]


def _beside(told: Told, best: int | None, findings: str | None) -> dict[str, Any]:
    against, score = told.against, told.score_interval
    delta = against.score if against is not None else None
    return {
        "score_low": score and score.low,
        "score_high": score and score.high,
        "claim": against and against.claim,
        "delta": delta and delta.delta,
        "delta_low": delta and delta.low,
        "delta_high": delta and delta.high,
        "fixed": against and against.fixed,
        "broken": against and against.broken,
        "is_best": "yes" if told.iteration.number == best else None,
        "findings": findings,
    }
