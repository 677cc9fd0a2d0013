"""A report told as a document: what stands first is what a reader wants first."""

from __future__ import annotations

from tui_loop.core.report.document import (
    Block,
    Document,
    Fields,
    Heading,
    Items,
    Paragraph,
    Raw,
    Table,
    Text,
)
from tui_loop.core.report.facts import CELL, GROUPS, Report
from tui_loop.core.report.failing_section import failing
from tui_loop.core.report.finding_section import findings
from tui_loop.core.report.overview_section import head, iterations
from tui_loop.core.report.story_section import stories
from tui_loop.core.report.words import spans, when
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line


def document_of(report: Report) -> Document:
    """The whole report."""
    blocks: list[Block] = [
        Heading(1, f"{report.name}: report of the loop"),
        *head(report),
        *iterations(report),
        *findings(report),
        *failing(report),
        *stories(report),
        *_looks(report),
        *_data(report),
        *_environments(report),
        *_record(report),
    ]
    return Document(title=f"{report.name}: report", maker=report.made_by, blocks=tuple(blocks))


def _looks(report: Report) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Looks at the holdout", "holdout")]
    if not report.looks:
        has_one = any(each.split == "holdout" for each in report.data)
        told = "None: it has not been looked at." if has_one else "The loop has no holdout."
        return [*blocks, Paragraph(told)]
    rows = tuple(
        (
            str(look.look),
            str(look.iteration),
            figures.percent(look.score),
            "" if look.passed is None else f"{look.passed} of {look.total}",
            figures.loss(look.loss),
            figures.percent(look.eval.score),
            figures.percent(look.base.score),
            when(look.t),
        )
        for look in report.looks[-GROUPS:]
    )
    names = ("look", "iteration", "score", "passed", "loss", "eval score", "base score", "when")
    told = f"{counted(len(report.looks), 'look')} by this loop; each makes the next one say less."
    return [*blocks, Paragraph(told), Table(names, rows, right=(2, 3, 4, 5, 6))]


def _data(report: Report) -> list[Block]:
    if not report.data:
        return []
    shown = report.data[-2 * GROUPS :]
    rows = tuple(
        (
            each.split,
            Raw(each.path),
            f"{each.rows:,}",
            Raw(each.sha256[:12]) if each.sha256 else "",
            spans(each.iterations),
        )
        for each in shown
    )
    blocks: list[Block] = [Heading(2, "Data", "data")]
    if len(shown) < len(report.data):
        blocks.append(Paragraph(f"{len(report.data) - len(shown)} older versions left out."))
    return [*blocks, Table(("split", "file", "rows", "SHA-256", "iterations"), rows, right=(2,))]


def _environments(report: Report) -> list[Block]:
    blocks: list[Block] = [Heading(2, "Environment", "environment")]
    for each in report.environments[-GROUPS:]:
        versions = ", ".join(f"{name} {value}" for name, value in each.versions.items())
        rows: list[tuple[str, Text]] = [
            ("Iterations", spans(each.iterations)),
            ("Device", one_line(", ".join(filter(None, (each.device, each.dtype))), CELL)),
            ("Versions", one_line(versions, 1000)),
        ]
        blocks.append(Fields(tuple(row for row in rows if row[1])))
    if len(blocks) == 1:
        blocks.append(Paragraph("Nothing was recorded of it."))
    return blocks


def _record(report: Report) -> list[Block]:
    numbers = [each.iteration.number for each in report.iterations]
    made = (
        f"Made by {report.made_by} from the record of {counted(len(numbers), 'iteration')}"
        f"{f' ({spans(numbers)})' if numbers else ''}"
        f"{f'; the newest run ended {when(report.ended_at)}' if report.ended_at else ''}. "
        "The same record gives the same report."
    )
    blocks: list[Block] = [Heading(2, "Where this is from", "record"), Paragraph(made)]
    if report.left_out:
        blocks += [Paragraph("Left out:"), Items(tuple(map(one_line, report.left_out)))]
    return blocks
