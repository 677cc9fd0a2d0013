"""What fails in the best and in the newest iteration."""

from __future__ import annotations

from collections.abc import Sequence

from tui_loop.core.report.document import Block, Fields, Heading, Paragraph, Quote, Table
from tui_loop.core.report.facts import CELL, GROUPS, Counted, Failure, Open, Report
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line


def failing(report: Report) -> list[Block]:
    """By cause, by label and by group, and the worst in full."""
    blocks: list[Block] = []
    for each in report.open:
        heading = f"What fails in {each.number}, {each.role}"
        blocks.append(Heading(2, heading, f"failures-{each.number}"))
        blocks += _open(each)
    return blocks


def _open(found: Open) -> list[Block]:
    if found.unread:
        return [Paragraph(f"Its examples cannot be read: {one_line(found.unread)}", "bad")]
    if not found.total:
        return [Paragraph("Nothing was scored: the metric is none.")]
    blocks: list[Block] = [Paragraph(f"{found.failed} of {found.total} examples fail.")]
    if found.judged:
        blocks.append(Paragraph(f"As people judged it: {found.judged}."))
    blocks += _table("cause", found.causes)
    blocks += _table("label", found.labels)
    blocks += _table("label taken for another", found.confusions)
    blocks += _table("group that fails more than chance would have it", found.weak)
    if found.worst:
        told = "The failures with the highest loss:"
        if len(found.worst) < found.failed:
            told = f"The {counted(len(found.worst), 'failure')} with the highest loss:"
        blocks.append(Paragraph(told))
        for each in found.worst:
            blocks += _failure(each)
    return blocks


def _table(name: str, counts: Sequence[Counted]) -> list[Block]:
    if not counts:
        return []
    has_notes = any(each.note for each in counts)
    head = (name, "fail", "in detail") if has_notes else (name, "fail")
    rows = tuple(
        (one_line(each.name, CELL), str(each.count), one_line(each.note, CELL))[: len(head)]
        for each in counts
    )
    blocks: list[Block] = [Table(head, rows, right=(1,))]
    if len(counts) == GROUPS:
        blocks.append(Paragraph(f"The first {GROUPS} are listed.", "muted"))
    return blocks


def _failure(each: Failure) -> list[Block]:
    told = [f"example {one_line(each.id, 80)}"]
    if each.loss is not None:
        told.append(f"loss {figures.loss(each.loss)} nats a token")
    if each.causes:
        told.append(", ".join(map(one_line, each.causes)))
    texts = (("prompt", each.prompt), ("wanted", each.reference), ("said", each.output))
    return [Fields((("Failed", "; ".join(told)),)), Quote(texts)]
