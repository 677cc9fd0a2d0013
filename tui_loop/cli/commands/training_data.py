"""`tui-loop nearest` and `suspects`: training rows near an example, or possibly wrong."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from tui_loop.cli.arguments import (
    Command,
    add_json,
    count,
    evaluated_examples,
    example_of,
    iteration_of_args,
)
from tui_loop.cli.output import Output
from tui_loop.cli.training_row_search import TrainingRowSearch, suspected_rows
from tui_loop.core.config.data_sources import entry_text
from tui_loop.core.data.row_files import RowFiles
from tui_loop.core.examples.suspects import Suspect, TrainingRows
from tui_loop.core.examples.tfidf_index import Neighbour
from tui_loop.core.text import figures
from tui_loop.core.text.untrusted import one_line


def _add_nearest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("id", metavar="ID", help="id of a held-out example")
    parser.add_argument(
        "-n", "--limit", type=count, default=5, metavar="K", help="show at most K rows (default: 5)"
    )
    add_json(parser)


def _run_nearest(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    example = example_of(folder, evaluated_examples(folder), args.id)
    trained, index = TrainingRowSearch().index(folder)
    text = example.prompt or example.reference
    answer = index.answer(text, example.reference, min(args.limit, len(trained.rows)))
    if args.json:
        out.record(
            {
                "iteration": folder.number,
                "id": example.id,
                "prompt": example.prompt,
                "reference": example.reference,
                "answer": answer.text,
                "nothing_similar": answer.is_new,
                "trained_on": entry_text(folder.read_config().data.train),
                "notice": trained.notice,
                "neighbours": [_neighbour_record(each, trained) for each in answer.neighbours],
                "same_label": answer.same and _neighbour_record(answer.same, trained),
            }
        )
        return 0
    out.line(f"{folder}  {example.id}  reference: {_short(example.reference)}")
    out.paragraph(text[:2000])
    out.line()
    out.paragraph(answer.text)
    if answer.neighbours:
        out.table(
            ["similarity", "reference", "input", "place"],
            [_neighbour_cells(each, trained) for each in answer.neighbours],
            right=(0,),
            flexible=(2, 1),
        )
    if trained.notice:
        out.note(trained.notice)
    return 0


def _neighbour_record(neighbour: Neighbour, trained: TrainingRows) -> dict[str, Any]:
    return {
        "similarity": round(neighbour.similarity, 4),
        "prompt": neighbour.row.prompt,
        "reference": neighbour.row.reference,
        "id": neighbour.row.id,
        "path": _path(trained.files, neighbour.row.source),
        "line": neighbour.row.line,
        **({"source": neighbour.row.source} if neighbour.row.source else {}),
    }


def _neighbour_cells(neighbour: Neighbour, trained: TrainingRows) -> list[str]:
    row = neighbour.row
    place = trained.files.place(row.source, row.line)
    return [
        f"{neighbour.similarity:.2f}",
        _short(row.reference),
        _short(row.input_text, 400),
        place,
    ]


def _path(files: RowFiles, source: str) -> str | None:
    path = files.paths.get(source)
    return None if path is None else str(path)


def _short(text: str, limit: int = 40) -> str:
    flat = " ".join(text[: 4 * limit].split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


DEFAULT_LIMIT = 20
_TEXT_LENGTH = 80


def _add_suspects(parser: argparse.ArgumentParser) -> None:
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


def _run_suspects(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    found = suspected_rows(folder, args.limit)
    if args.json:
        out.record(
            {
                "iteration": folder.number,
                "measured": found.measured,
                "of": found.sampled_of,
                "median_loss": found.median_loss,
                "file": _path(found.files, ""),
                "files": {name: str(path) for name, path in found.files.paths.items() if name},
                "suspects": [_suspect_record(each) for each in found.suspects],
                "findings": msgspec.to_builtins(found.findings),
                "notices": found.notices,
            }
        )
        return 0
    if found.measured:
        out.line(
            f"{folder}: {found.measured} of {found.sampled_of} training rows by their loss after "
            f"training, highest first (median loss {figures.loss(found.median_loss)})"
        )
        out.table(
            ["loss", "reference", "line", "prompt", "same input"],
            [_suspect_cells(each) for each in found.suspects],
            right=(0, 2),
            flexible=(3, 1),
        )
    else:
        out.line(f"{folder}: no losses of training rows were recorded")
    for name, path in found.files.paths.items():
        of_source = f" of {name}" if name else ""
        out.line(f"line numbers{of_source} refer to {path}")
    for finding in found.findings:
        out.paragraph(f"{finding.message}: {finding.hint}")
        lines = [each.short_place for each in finding.rows if each.split == "train"]
        if lines:
            out.paragraph(f"training lines {', '.join(lines)}", "  ")
    for text in found.notices:
        out.note(text)
    return 0


def _suspect_cells(suspect: Suspect) -> list[str]:
    row = suspect.row
    same_input = [f"{each.place}: {one_line(each.reference, 30)}" for each in suspect.conflicts]
    same_input += [each.place for each in suspect.repeats]
    return [
        figures.loss(row.loss),
        one_line(row.reference, 40),
        row.short_place,
        one_line(row.prompt, _TEXT_LENGTH),
        ", ".join(same_input[:3]),
    ]


def _suspect_record(suspect: Suspect) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(suspect.row)
    return {
        **values,
        "conflicts": [
            {
                "line": each.line,
                "reference": each.reference,
                **({"source": each.source} if each.source else {}),
            }
            for each in suspect.conflicts
        ],
        "repeats": [each.line for each in suspect.repeats],
        **(
            {"repeat_sources": [each.source for each in suspect.repeats]}
            if suspect.row.source
            else {}
        ),
    }


SUBCOMMANDS = {
    "nearest": Command(
        "show the training rows nearest to a held-out example",
        _add_nearest,
        _run_nearest,
    ),
    "suspects": Command(
        "list training rows with a high loss after training, and conflicting or repeated rows",
        _add_suspects,
        _run_suspects,
    ),
}
