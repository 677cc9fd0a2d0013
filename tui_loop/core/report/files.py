"""A report as a file: its format, its text, and where it may be written."""

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
from tui_loop.core.report.facts import Report, Told
from tui_loop.core.report.gather import report_of
from tui_loop.core.report.sections import document_of
from tui_loop.core.text.untrusted import csv_text, escaped, visible

Format = Literal["md", "html", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

JSON_MARK = '{\n  "made_by": "tui-loop '


def written(report: Report, kind: Format) -> str:
    """The report as the text of a file."""
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
    """What the name of a file asks for; raises BadInput for another suffix."""
    suffix = path.suffix.lower().removeprefix(".")
    for kind in FORMATS:
        if suffix == kind:
            return kind
    text = f"{path.suffix} is no kind of report" if suffix else "no suffix tells the kind of report"
    raise BadInput(f"{path}: {text}", "end it in .md, .html, .csv or .json, or give --format")


def is_report(path: Path) -> bool:
    """Whether a file is a report that this program wrote, by how it begins.

    Raises BadInput where no regular file stands there, else OSError.
    """
    marks = [mark.encode() for mark in (markdown.MARK, html.MARK, JSON_MARK, csv_head())]
    with open_regular(path) as file:
        start = file.read(max(map(len, marks)))
    return any(start.startswith(mark) for mark in marks)


def write_report(loop: LoopFolder, path: Path, kind: Format, *, is_forced: bool = False) -> Report:
    """Writes a loop's report and gives it; raises BadInput where it would cost somebody a file."""
    check_place(path, is_forced=is_forced)
    report = report_of(loop)
    write_atomically(path, written(report, kind))
    return report


def check_place(path: Path, *, is_forced: bool) -> None:
    """Raises BadInput where a report cannot be written, or would cost somebody a file."""
    if not path.parent.is_dir():
        raise BadInput(f"{path}: there is no folder {path.parent}", "make it, or name another one")
    if not os.path.lexists(path):
        return
    if path.is_symlink() or not path.is_file():
        raise BadInput(f"{path}: is no regular file", "name another one, or print it with -o -")
    if not is_forced and not is_report(path):
        raise BadInput(f"{path}: is there already, and is no report", "--force replaces it")


BESIDE = (
    *("score_low", "score_high", "claim", "delta", "delta_low", "delta_high"),
    *("fixed", "broken", "is_best", "findings"),
)


def csv_table(report: Report) -> str:
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


def csv_head() -> str:
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
