"""A report as the text of a file, and telling such a file from any other."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from tui_loop.core.errors import BadInput
from tui_loop.core.record.codec import to_pretty_json
from tui_loop.core.record.safe_open import open_regular
from tui_loop.core.report import markdown, page, table
from tui_loop.core.report.facts import Report
from tui_loop.core.report.sections import document_of
from tui_loop.core.text.untrusted import escaped

Format = Literal["md", "html", "csv", "json"]
FORMATS: tuple[Format, ...] = get_args(Format)

JSON_MARK = '{\n  "made_by": "tui-loop '


def written(report: Report, kind: Format) -> str:
    """The report as the text of a file."""
    match kind:
        case "md":
            return markdown.markdown(document_of(report))
        case "html":
            return page.page(document_of(report))
        case "csv":
            return table.table(report)
        case "json":
            return escaped(to_pretty_json(report).decode())


def format_of(path: Path) -> Format:
    """What the name of a file asks for; raises BadInput for another suffix."""
    suffix = path.suffix.lower().removeprefix(".")
    for kind in FORMATS:
        if suffix == kind:
            return kind
    told = f"{path.suffix} is no kind of report" if suffix else "no suffix tells the kind of report"
    raise BadInput(f"{path}: {told}", "end it in .md, .html, .csv or .json, or give --format")


def is_report(path: Path) -> bool:
    """Whether a file is a report that this program wrote, by how it begins.

    Raises BadInput where no regular file stands there, else OSError.
    """
    marks = [mark.encode() for mark in (markdown.MARK, page.MARK, JSON_MARK, table.head())]
    with open_regular(path) as file:
        start = file.read(max(map(len, marks)))
    return any(start.startswith(mark) for mark in marks)
