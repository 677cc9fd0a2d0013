"""`tui-loop suspects LOOP/N`: lists training rows that may have a wrong label."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, count, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.cli.training_row_search import suspected_rows
from tui_loop.core.examples.suspects import Suspect
from tui_loop.core.text import figures
from tui_loop.core.text.untrusted import one_line

HELP = "list training rows with a high loss after training, and conflicting or repeated rows"

DEFAULT_LIMIT = 20
_TEXT_LENGTH = 80


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument(
        "-n",
        "--limit",
        type=count,
        default=DEFAULT_LIMIT,
        metavar="K",
        help=f"list at most K rows (default: {DEFAULT_LIMIT})",
    )
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    found = suspected_rows(folder, args.limit)
    if args.json:
        out.record(
            {
                "iteration": folder.number,
                "measured": found.measured,
                "of": found.sampled_of,
                "median_loss": found.median_loss,
                "file": None if found.path is None else str(found.path),
                "suspects": [_record(each) for each in found.suspects],
                "findings": msgspec.to_builtins(found.findings),
                "notices": found.notices,
            }
        )
        return 0
    if found.measured:
        out.line(
            f"{folder}: loss of {found.measured} of {found.sampled_of} training rows after "
            f"training, highest first (median {figures.loss(found.median_loss)})"
        )
        out.table(
            ["loss", "reference", "line", "prompt", "same input"],
            [_cells(each) for each in found.suspects],
            right=(0, 2),
            flexible=(3, 1),
        )
    else:
        out.line(f"{folder}: no losses of training rows were recorded")
    if found.path is not None:
        out.line(f"line numbers refer to {found.path}")
    for finding in found.findings:
        out.paragraph(f"{finding.message}: {finding.hint}")
        lines = [str(each.line) for each in finding.rows if each.split == "train"]
        if lines:
            out.paragraph(f"training lines {', '.join(lines)}", "  ")
    for text in found.notices:
        out.note(text)
    return 0


def _cells(suspect: Suspect) -> list[str]:
    row = suspect.row
    same_input = [f"line {line}: {one_line(text, 30)}" for line, text in suspect.conflicts]
    same_input += [f"line {line}" for line in suspect.repeats]
    return [
        figures.loss(row.loss),
        one_line(row.reference, 40),
        str(row.source_line),
        one_line(row.prompt, _TEXT_LENGTH),
        ", ".join(same_input[:3]),
    ]


def _record(suspect: Suspect) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(suspect.row)
    return {
        **values,
        "conflicts": [{"line": line, "reference": text} for line, text in suspect.conflicts],
        "repeats": list(suspect.repeats),
    }
