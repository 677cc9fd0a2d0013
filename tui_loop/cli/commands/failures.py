"""`tui-loop failures LOOP/N`: lists the held-out examples that fail, with their causes."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, count, evaluated_examples, iteration_of_args
from tui_loop.cli.example_output import (
    breakdown_record,
    example_record,
    print_breakdown,
    print_example,
)
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.annotations import annotated, annotation_text
from tui_loop.core.examples.breakdown import breakdown_of, failed_causes
from tui_loop.core.examples.cause_kinds import cause_words
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.examples.example_detail import example_detail
from tui_loop.core.examples.history import Outcome
from tui_loop.core.examples.matching import listed, unknown_names
from tui_loop.core.examples.query import parse
from tui_loop.core.examples.view import ExampleView, Order
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import csv_text, visible

HELP = "list the held-out examples that failed and why, worst first"
FAILED = "is:failed"
ORDERS = {each.name.lower(): each for each in Order}
CSV_HEAD = (
    *("id", "outcome", "shift", "history", "score", "loss", "causes", "label", "reference"),
    *("output", "prompt", "source_line"),
)
SIGNS = {Outcome.FAILED: "✗", Outcome.PASSED: "✓", Outcome.UNSCORED: "·"}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument(
        "--filter",
        metavar="TERMS",
        help="list matching examples, e.g. 'is:fixed label:refund loss>2 charged' "
        "(default: is:failed)",
    )
    parser.add_argument("--all", action="store_true", help="list all examples")
    parser.add_argument(
        "--sort",
        choices=list(ORDERS),
        default="loss",
        help="sort by this value, worst first (default: loss)",
    )
    parser.add_argument("--reverse", action="store_true", help="reverse the order")
    parser.add_argument(
        "--against",
        type=count,
        metavar="M",
        help="mark examples as fixed or broken compared with iteration M (default: the parent)",
    )
    parser.add_argument("-n", "--limit", type=count, metavar="K", help="list at most K examples")
    parser.add_argument(
        "--id", metavar="ID", help="show one example in full, with the loss of each token"
    )
    parser.add_argument(
        "--reasoning", action="store_true", help="with --id: also print the reasoning in full"
    )
    parser.add_argument(
        "--summary",
        action="store_true",
        help="show counts by cause and label, and weak slices, instead of examples",
    )
    parser.add_argument("--csv", action="store_true", help="print CSV")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(args)
    text = args.filter if args.filter is not None else "" if args.all else FAILED
    query = parse(text)
    if args.csv and args.json:
        raise BadInput("--csv and --json cannot be combined", "give only one of them")
    evaluation = _Evaluation(folder, args.against)
    table = evaluation.view.table
    if table.problem is not None:
        out.note(f"{counted(table.bad_lines, 'line')} left out: {table.problem.message}")
    if args.id is not None:
        evaluation.print_one(args.id, out, unfolds=args.reasoning)
    elif args.summary:
        evaluation.print_summary(out)
    else:
        rows = listed(evaluation.view, query, ORDERS[args.sort], is_reversed=args.reverse)
        if not rows and (unknown := unknown_names(evaluation.view, query)):
            out.note(unknown)
        if args.csv:
            cells = (_csv_cells(evaluation, row) for row in rows[: args.limit])
            sys.stdout.write(visible(csv_text(CSV_HEAD, cells)))
        else:
            evaluation.print_list(rows, query.text, out, args.limit)
    return 0


class _Evaluation:
    """An iteration's evaluation, compared with the one of `against` (default: the parent)."""

    def __init__(self, folder: IterationFolder, against: int | None) -> None:
        self.folder = folder
        self.reader = LoopReader(folder.loop)
        self.evaluations = Evaluations(self.reader)
        if against is None:
            against = self.reader.iteration(folder.number).parent
        else:
            evaluated_examples(folder.loop.existing(against))
        self.view, _ = self.evaluations.view(folder.number, against)
        if not len(self.view):
            raise BadInput(f"{folder} has no evaluated examples", f"tui-loop show {folder}")
        outcomes = map(self.view.outcome, range(len(self.view)))
        self.failed = sum(each is Outcome.FAILED for each in outcomes)

    def print_one(self, example_id: str, out: Output, *, unfolds: bool) -> None:
        """Prints one example; raises BadInput where there is none with this id."""
        if example_id not in self.view.table.ids:
            raise BadInput(
                f"{self.folder} has no example {example_id!r}",
                f"tui-loop failures {self.folder} --all",
            )
        row = self.view.table.ids.index(example_id)
        detail = example_detail(self.reader, self.evaluations, self.folder.number, self.view, row)
        if out.as_json:
            out.record(example_record(detail))
        else:
            print_example(self.folder, detail, out, unfolds=unfolds)

    def print_summary(self, out: Output) -> None:
        """Prints the breakdown of failures."""
        earlier = None
        if self.view.against is not None:
            other, _ = Evaluations(self.reader).view(self.view.against.number, None)
            earlier = failed_causes(other)
        labels = self.evaluations.measured(self.folder.number).labels
        found = breakdown_of(self.view, labels, earlier)
        if out.as_json:
            out.record(breakdown_record(self.folder, found))
        else:
            print_breakdown(self.folder, found, out)

    def print_list(self, rows: list[int], text: str, out: Output, limit: int | None) -> None:
        """Prints the first `limit` of the matching examples, and counts of all of them."""
        view, folder, shown = self.view, self.folder, rows[:limit]
        if out.as_json:
            out.record(
                {
                    "iteration": folder.number,
                    "against": view.against.number if view.against is not None else None,
                    "filter": text,
                    "total": len(view),
                    "failed": self.failed,
                    "listed": len(rows),
                    "examples": [_record(view, row) for row in shown],
                }
            )
            return
        head = (
            f"{folder}: {self.failed} of {len(view)} examples failed"
            if view.is_scored
            else str(folder)
        )
        if not view.is_scored:
            head += f": {len(view)} examples, highest loss first"
        out.line(head if text in ("", FAILED) else f"{head}; {len(rows)} match {text}")
        if view.marks:
            out.line(annotation_text(annotated(view.table, self.evaluations.annotations())))
        out.table(
            ["", "history", "loss", "score", "cause", "reference", "output", "prompt", "id"],
            [_line(self, row) for row in shown],
            right=(2, 3),
            flexible=(7, 6, 5),
        )

    def history(self, row: int) -> str:
        """Returns the example's outcomes up to this iteration, one character each."""
        moments = self.view.histories.points(row) if self.view.histories is not None else []
        return "".join(
            ("|" if each.is_new_segment else "") + {True: "✓", False: "✗", None: "·"}[each.passed]
            for each in moments
            if each.number <= self.folder.number
        )


def _line(evaluation: _Evaluation, row: int) -> list[str]:
    view, example = evaluation.view, evaluation.view.table[row]
    return [
        SIGNS[view.outcome(row)] + {"fixed": "↑", "broken": "↓"}.get(view.shift(row), ""),
        evaluation.history(row),
        figures.loss(example.loss),
        "" if example.score is None or not view.is_graded else f"{example.score:.2f}",
        ", ".join(cause_words(each) for each in view.causes[row]),
        _short(example.reference),
        _short(answer_of(example.output)),
        _short(example.prompt, 60),
        example.id,
    ]


def _record(view: ExampleView, row: int) -> dict[str, Any]:
    """Returns the recorded example with its causes, history and label."""
    moments = view.histories.points(row) if view.histories is not None else []
    return {
        **msgspec.to_builtins(view.table[row]),
        "causes": list(view.causes[row]),
        "outcome": view.outcome(row),
        "shift": view.shift(row) or None,
        "story": view.story(row) or None,
        "label": view.marks.get(view.table.ids[row]),
        "history": [{"iteration": each.number, "passed": each.passed} for each in moments],
    }


def _csv_cells(evaluation: _Evaluation, row: int) -> list[Any]:
    view, example = evaluation.view, evaluation.view.table[row]
    return [
        example.id,
        str(view.outcome(row)),
        str(view.shift(row)),
        evaluation.history(row),
        example.score,
        example.loss,
        " ".join(view.causes[row]),
        view.marks.get(example.id),
        example.reference,
        example.output,
        example.prompt,
        example.source_line,
    ]


def _short(text: str, limit: int = 32) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
