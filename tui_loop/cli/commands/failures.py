"""`tui-loop failures LOOP/N`: which held-out examples fail, and why."""

from __future__ import annotations

import argparse
import sys
from typing import Any

import msgspec

from tui_loop.cli.arguments import add_json, count, iteration_of_args
from tui_loop.cli.commands.label import evaluated
from tui_loop.cli.example_output import (
    breakdown_record,
    dossier_record,
    print_breakdown,
    print_dossier,
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
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.text import figures
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import csv_text, visible

HELP = "list the held-out examples that fail, worst first, and why"
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
        help="which ones, e.g. 'is:fixed label:refund loss>2 charged' (default: is:failed)",
    )
    parser.add_argument("--all", action="store_true", help="all examples")
    parser.add_argument("--sort", choices=list(ORDERS), default="loss", help="worst first by this")
    parser.add_argument("--reverse", action="store_true", help="the other way round")
    parser.add_argument(
        "--against", type=count, metavar="M", help="what fixed and broken mean (default: parent)"
    )
    parser.add_argument("-n", "--limit", type=count, metavar="K", help="at most K examples")
    parser.add_argument("--id", metavar="ID", help="one example in full, with its token losses")
    parser.add_argument(
        "--summary", action="store_true", help="counts instead: causes, labels, groups that fail"
    )
    parser.add_argument("--csv", action="store_true", help="print CSV")
    add_json(parser)


def run(asked: argparse.Namespace, out: Output) -> int:
    folder = iteration_of_args(asked)
    text = asked.filter if asked.filter is not None else "" if asked.all else FAILED
    query = parse(text)
    if asked.csv and asked.json:
        raise BadInput("--csv and --json do not go together", "take one of them")
    looked = _Looked(folder, asked.against)
    if (problem := looked.view.table.problem) is not None:
        out.note(f"{counted(looked.view.table.bad_lines, 'line')} left out: {problem.message}")
    if asked.id is not None:
        looked.show_one(asked.id, out)
    elif asked.summary:
        looked.show_summary(out)
    else:
        rows = listed(looked.view, query, ORDERS[asked.sort], is_reversed=asked.reverse)
        if not rows and (unknown := unknown_names(looked.view, query)):
            out.note(unknown)
        if asked.csv:
            cells = (_cells(looked, row) for row in rows[: asked.limit])
            sys.stdout.write(visible(csv_text(CSV_HEAD, cells)))
        else:
            looked.show_list(rows, query.text, out, asked.limit)
    return 0


class _Looked:
    """An evaluation as it is looked at, against another one."""

    def __init__(self, folder: IterationFolder, against: int | None) -> None:
        self.folder = folder
        self.reader = LoopReader(folder.loop)
        self.evaluations = Evaluations(self.reader)
        if against is None:
            against = self.reader.iteration(folder.number).parent
        else:
            evaluated(folder.loop.existing(against))
        self.view, _ = self.evaluations.view(folder.number, against)
        if not len(self.view):
            raise BadInput(f"{folder} has no evaluated examples", f"tui-loop show {folder}")
        outcomes = map(self.view.outcome, range(len(self.view)))
        self.failed = sum(each is Outcome.FAILED for each in outcomes)

    def show_one(self, wanted: str, out: Output) -> None:
        """One example in full."""
        if wanted not in self.view.table.ids:
            raise BadInput(
                f"{self.folder} has no example {wanted!r}", f"tui-loop failures {self.folder} --all"
            )
        row = self.view.table.ids.index(wanted)
        dossier = example_detail(self.reader, self.evaluations, self.folder.number, self.view, row)
        if out.as_json:
            out.record(dossier_record(dossier))
        else:
            print_dossier(self.folder, dossier, out)

    def show_summary(self, out: Output) -> None:
        """Counts of what fails."""
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

    def show_list(self, rows: list[int], text: str, out: Output, limit: int | None) -> None:
        """The first `limit` of the examples that match; the counts are of all that match."""
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
        head = f"{folder}: {self.failed} of {len(view)} fail" if view.is_scored else str(folder)
        if not view.is_scored:
            head += f": {len(view)} examples, highest loss first"
        out.line(head if text in ("", FAILED) else f"{head}; {len(rows)} are {text}")
        if view.marks:
            out.line(annotation_text(annotated(view.table, self.evaluations.judgements())))
        out.table(
            ["", "history", "loss", "score", "why", "wanted", "said", "prompt", "id"],
            [_line(self, row) for row in shown],
            right=(2, 3),
            flexible=(7, 6, 5),
        )

    def history(self, row: int) -> str:
        """The example's outcomes up to this iteration, a sign each."""
        moments = self.view.histories.moments(row) if self.view.histories is not None else []
        return "".join(
            ("|" if each.is_new_segment else "") + {True: "✓", False: "✗", None: "·"}[each.passed]
            for each in moments
            if each.number <= self.folder.number
        )


def _line(looked: _Looked, row: int) -> list[str]:
    view, example = looked.view, looked.view.table[row]
    return [
        SIGNS[view.outcome(row)] + {"fixed": "↑", "broken": "↓"}.get(view.shift(row), ""),
        looked.history(row),
        figures.loss(example.loss),
        "" if example.score is None or not view.is_graded else f"{example.score:.2f}",
        ", ".join(cause_words(each) for each in view.causes[row]),
        _short(example.reference),
        _short(example.output or ""),
        _short(example.prompt, 60),
        example.id,
    ]


def _record(view: ExampleView, row: int) -> dict[str, Any]:
    """The example as the record has it, with its causes, and what is known of it beside."""
    moments = view.histories.moments(row) if view.histories is not None else []
    return {
        **msgspec.to_builtins(view.table[row]),
        "causes": list(view.causes[row]),
        "outcome": view.outcome(row),
        "shift": view.shift(row) or None,
        "story": view.story(row) or None,
        "label": view.marks.get(view.table.ids[row]),
        "history": [{"iteration": each.number, "passed": each.passed} for each in moments],
    }


def _cells(looked: _Looked, row: int) -> list[Any]:
    view, example = looked.view, looked.view.table[row]
    return [
        example.id,
        str(view.outcome(row)),
        str(view.shift(row)),
        looked.history(row),
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
