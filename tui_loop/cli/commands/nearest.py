"""`tui-loop nearest LOOP/N ID`: shows the training rows nearest to a held-out example."""

from __future__ import annotations

import argparse
from typing import Any

from tui_loop.cli.arguments import add_json, count, iteration_of_args
from tui_loop.cli.commands.label import evaluated_examples, example_of
from tui_loop.cli.output import Output
from tui_loop.cli.training_row_search import TrainingRowSearch
from tui_loop.core.examples.tfidf_index import Neighbour
from tui_loop.core.examples.training_rows import TrainingRows

HELP = "show the training rows nearest to a held-out example"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("id", metavar="ID", help="a held-out example")
    parser.add_argument(
        "-n", "--limit", type=count, default=5, metavar="K", help="show at most K rows (default: 5)"
    )
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
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
                "trained_on": trained.entry,
                "notice": trained.notice,
                "neighbours": [_record(each, trained) for each in answer.neighbours],
                "same_label": answer.same and _record(answer.same, trained),
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
            [_cells(each, trained) for each in answer.neighbours],
            right=(0,),
            flexible=(2, 1),
        )
    if trained.notice:
        out.note(trained.notice)
    return 0


def _record(neighbour: Neighbour, trained: TrainingRows) -> dict[str, Any]:
    return {
        "similarity": round(neighbour.similarity, 4),
        "prompt": neighbour.row.prompt,
        "reference": neighbour.row.reference,
        "id": neighbour.row.id,
        "path": None if trained.path is None else str(trained.path),
        "line": neighbour.row.line,
    }


def _cells(neighbour: Neighbour, trained: TrainingRows) -> list[str]:
    row = neighbour.row
    place = f"{trained.path or trained.entry}:{row.line}"
    return [
        f"{neighbour.similarity:.2f}",
        _short(row.reference),
        _short(row.input_text, 400),
        place,
    ]


def _short(text: str, limit: int = 40) -> str:
    flat = " ".join(text[: 4 * limit].split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
