"""The diagnosis of the newest iterations: what the record shows, and what to change."""

from __future__ import annotations

from tui_loop.core.diagnosis.findings import Diagnosis, Finding, Suggestion
from tui_loop.core.diagnosis.wording import (
    GLYPHS,
    expected,
    kind_words,
    tried_already,
    verdict_words,
)
from tui_loop.core.report.document import Block, Heading, Items, Paragraph
from tui_loop.core.report.facts import GROUPS, Report
from tui_loop.core.text.figures import brief
from tui_loop.core.text.untrusted import one_line


def findings(report: Report) -> list[Block]:
    """Findings, suggestions and verdict of each, the newest iteration first."""
    blocks: list[Block] = [Heading(2, "Diagnosis of the newest iterations", "diagnosis")]
    for each in report.diagnoses:
        blocks.append(Heading(3, f"Diagnosis of {each.number}"))
        blocks += _diagnosis(each)
    if not report.diagnoses:
        blocks.append(Paragraph("No iteration has ended yet."))
    return blocks


def _diagnosis(found: Diagnosis) -> list[Block]:
    blocks: list[Block] = []
    if found.findings:
        blocks.append(Items(tuple(map(_finding, found.findings[:GROUPS]))))
    else:
        blocks.append(Paragraph("Nothing found.", "muted"))
    if found.suggestions:
        blocks.append(Paragraph("What to try next, the best first:"))
        blocks.append(Items(tuple(map(_suggestion, found.suggestions[:GROUPS]))))
    if found.verdict is not None:
        verdict = found.verdict
        sign, _, told = verdict_words(verdict.word)
        blocks.append(Paragraph(f"{sign} {told}. {one_line(verdict.sentence)}"))
    return blocks


def _finding(each: Finding) -> str:
    told = f"{GLYPHS[each.severity]} {each.severity}, {kind_words(each.kind)}: "
    told += sentence(one_line(each.message, 1000))
    if each.otherwise:
        told += f" But: {sentence(one_line(each.otherwise, 500))}"
    return told


def _suggestion(each: Suggestion) -> str:
    told = sentence(one_line(each.action, 500))
    pairs = {field: f"{brief(old)} → {brief(new)}" for field, (old, new) in each.changes.items()}
    if any(pair not in each.action for pair in pairs.values()):
        sets = ", ".join(f"{field} {pair}" for field, pair in pairs.items())
        told += f" Sets {one_line(sets, 500)}."
    if each.expects is not None:
        told += f" It {expected(each.expects)}."
    told += f" Confidence {each.confidence}{': ' if each.ground else ''}"
    told += sentence(one_line(each.ground, 500)) if each.ground else "."
    if each.record:
        told += f" {sentence(one_line(each.record, 300))}"
    if each.tried:
        told += f" {sentence(tried_already(each).capitalize())}"
    return told


def sentence(text: str) -> str:
    """The text with a stop at its end."""
    return text if not text or text[-1] in ".!?:…" else f"{text}."
