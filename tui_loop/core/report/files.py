"""Writes a report to a file, and decides which files it may replace."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, get_args

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_pretty_json
from tui_loop.core.record.files import write_atomically
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.ledger import COLUMNS, ledger_row
from tui_loop.core.record.safe_open import open_regular
from tui_loop.core.record.structs import Decision
from tui_loop.core.report import html, markdown
from tui_loop.core.report.facts import IterationEntry, Report
from tui_loop.core.report.gather import report_of
from tui_loop.core.report.sections import document_of
from tui_loop.core.text.untrusted import csv_text, escaped, visible

Format = Literal["md", "html", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

JSON_MARK = '{\n  "made_by": "tui-loop '


def report_text(report: Report, kind: Format) -> str:
    """Returns the text of a report file."""
    match kind:
        case "md":
            return markdown.markdown(document_of(report))
        case "html":
            return html.html_page(document_of(report))
        case "csv":
            return csv_table(report)
        case "json":
            return escaped(to_pretty_json(report).decode())


def format_of(path: Path) -> Format:
    """Returns the format for the suffix of a file name; raises BadInput for an unknown one."""
    suffix = path.suffix.lower().removeprefix(".")
    for kind in FORMATS:
        if suffix == kind:
            return kind
    text = f"{path.suffix} is not a report format" if suffix else "the report format is unknown"
    raise BadInput(f"{path}: {text}", "use .md, .html, .csv or .json, or give --format")


def is_report(path: Path) -> bool:
    """Returns whether a file is a report of this program, by its first bytes.

    Raises BadInput where it is not a regular file, else OSError.
    """
    marks = [mark.encode() for mark in (markdown.MARK, html.MARK, JSON_MARK, csv_head())]
    with open_regular(path) as file:
        start = file.read(max(map(len, marks)))
    return any(start.startswith(mark) for mark in marks)


def write_report(loop: LoopFolder, path: Path, kind: Format, *, is_forced: bool = False) -> Report:
    """Writes and returns a loop's report; raises BadInput where it would replace another file."""
    check_place(path, is_forced=is_forced)
    report = report_of(loop)
    write_atomically(path, report_text(report, kind))
    return report


def check_place(path: Path, *, is_forced: bool) -> None:
    """Raises BadInput where a report cannot be written or would replace another file."""
    if not path.parent.is_dir():
        raise BadInput(
            f"{path}: there is no folder {path.parent}", "create the folder, or choose another path"
        )
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise BadInput(
            f"{path} is not a regular file", "choose another name, or print the report with -o -"
        )
    if not is_forced and not is_report(path):
        raise BadInput(f"{path} already exists and is not a report", "--force replaces the file")


ADDED_COLUMNS = (
    *("score_low", "score_high", "claim", "delta", "delta_low", "delta_high"),
    *("fixed", "broken", "is_best", "findings"),
)


def csv_table(report: Report) -> str:
    """Returns one row per iteration; no cell can run as a formula."""
    findings = {
        each.number: " ".join(found.kind for found in each.findings) for each in report.diagnoses
    }
    rows = []
    for entry in report.iterations:
        decision = Decision(suggestion=entry.suggestion or None, predicted=entry.predicted)
        added = _added_cells(entry, report.best, findings.get(entry.iteration.number))
        rows.append(
            [*ledger_row(entry.iteration, decision), *(added[name] for name in _added_columns())]
        )
    return visible(csv_text([*COLUMNS, *_added_columns()], rows))


def csv_head() -> str:
    """Returns the first line of the CSV report, which differs from the ledger's."""
    return csv_text([*COLUMNS, *_added_columns()], [])


def _added_columns() -> list[str]:
    return [name for name in ADDED_COLUMNS if name not in COLUMNS]


def _added_cells(entry: IterationEntry, best: int | None, findings: str | None) -> dict[str, Any]:
    against, score = entry.against, entry.score_interval
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
        "is_best": "yes" if entry.iteration.number == best else None,
        "findings": findings,
    }
