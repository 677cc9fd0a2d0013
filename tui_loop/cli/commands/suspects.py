"""`tui-loop suspects LOOP/N`: training rows that may have a wrong label."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, count, told_iteration
from tui_loop.cli.output import Output
from tui_loop.core import figures
from tui_loop.core.checking.findings import Finding
from tui_loop.core.checking.leakage import leaked_rows
from tui_loop.core.checking.rows import conflicting_rows, repeated_rows
from tui_loop.core.data.loading import ReadSource, load_data, read_text_source, resolved
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.suspects import Suspect, median_loss, suspects
from tui_loop.core.examples.training_rows import TrainingRows, training_rows
from tui_loop.core.store import IterationFolder
from tui_loop.core.text import one_line

HELP = "training rows that are still hard after training, contradicted or repeated"

SHOWN = 20
_TEXT_LENGTH = 80


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument(
        "-n", "--limit", type=count, default=SHOWN, metavar="K", help=f"at most K rows ({SHOWN})"
    )
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    folder = told_iteration(told)
    measured = folder.read_training_rows()
    trained, findings, notices = _data_of(folder)
    if not measured and trained is None:
        raise BadInput(
            f"{folder}: no training rows were measured, and {notices[0]}",
            f"tui-loop run {folder.loop.name} measures them (evaluation.train_rows)",
        )
    found = suspects(measured, trained.rows if trained else (), told.limit)
    if told.json:
        out.record(
            {
                "iteration": folder.number,
                "measured": len(measured),
                "of": measured[0].sampled_of if measured else None,
                "median_loss": median_loss(measured),
                "file": str(trained.path) if trained and trained.path else None,
                "suspects": [_record(each) for each in found],
                "findings": msgspec.to_builtins(findings),
                "notices": notices,
            }
        )
        return 0
    if measured:
        out.line(
            f"{folder}: loss of {len(measured)} of {measured[0].sampled_of} training rows after "
            f"training, highest first (half are below {figures.loss(median_loss(measured))})"
        )
        out.table(
            ["loss", "reference", "line", "prompt", "same input"],
            [_cells(each) for each in found],
            right=(0, 2),
            flexible=(3, 1),
        )
    else:
        out.line(f"{folder}: the loss of training rows was not measured")
    if trained is not None and trained.path is not None:
        out.line(f"lines of {trained.path}")
    for finding in findings:
        out.paragraph(f"{finding.message}: {finding.hint}")
        lines = [str(each.line) for each in finding.rows if each.split == "train"]
        if lines:
            out.paragraph(f"  training lines {', '.join(lines)}")
    for text in notices:
        out.note(text)
    return 0


def _data_of(folder: IterationFolder) -> tuple[TrainingRows | None, list[Finding], list[str]]:
    """The training rows, what is found of them, and why something of that is not to be had."""
    config, root = folder.read_config(), folder.loop.root
    read: ReadSource = read_text_source
    if resolved(config.data.train, root).exists():  # nothing is fetched for a look at a record
        from tui_loop.engine.sources import read_source

        read = read_source
    try:
        trained = training_rows(folder, read)
    except (TuiLoopError, OSError) as error:
        return None, [], [str(error)]
    notices = [trained.notice] if trained.notice else []
    try:
        data = load_data(config, root, read, refused={})
    except (TuiLoopError, OSError) as error:
        return trained, [], [*notices, f"contradictions and repeats were not looked for: {error}"]
    findings = [*conflicting_rows(data), *repeated_rows(data), *leaked_rows(data)]
    of_training = [each for each in findings if any(row.split == "train" for row in each.rows)]
    return trained, of_training, notices


def _cells(suspect: Suspect) -> list[str]:
    row = suspect.row
    remarks = [f"line {line}: {one_line(said, 30)}" for line, said in suspect.conflicts]
    remarks += [f"line {line}" for line in suspect.repeats]
    return [
        figures.loss(row.loss),
        one_line(row.reference, 40),
        str(row.source_line),
        one_line(row.prompt, _TEXT_LENGTH),
        ", ".join(remarks[:3]),
    ]


def _record(suspect: Suspect) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(suspect.row)
    return {
        **values,
        "conflicts": [{"line": line, "reference": said} for line, said in suspect.conflicts],
        "repeats": list(suspect.repeats),
    }
