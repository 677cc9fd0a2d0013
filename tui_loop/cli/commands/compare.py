"""`tui-loop compare LOOP/A LOOP/B`: compares the configs and results of two iterations."""

from __future__ import annotations

import argparse

import msgspec

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output
from tui_loop.core.compare.claims import claim_words
from tui_loop.core.compare.comparison import Comparer
from tui_loop.core.compare.contrast import Contrast, contrast_of
from tui_loop.core.compare.pairing import Paired
from tui_loop.core.errors import BadInput
from tui_loop.core.examples.cause_kinds import cause_words
from tui_loop.core.examples.evaluations import Evaluations
from tui_loop.core.reasoning import answer_of
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import split_target
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.results import compared_metrics
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief

HELP = "compare two iterations: config, metrics, causes of failures, fixed and broken examples"
REGRESSION = 6
_COMPARED = ("train_loss", "eval_loss", "score", "macro_f1", "passed", "steps")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="LOOP/A")
    parser.add_argument("b", metavar="LOOP/B")
    parser.add_argument(
        "--fail-on-regression",
        action="store_true",
        help="exit with code 6 if B is significantly worse than A",
    )
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    (name, a), (other, b) = split_target(args.a), split_target(args.b)
    if a is None or b is None or name != other:
        raise BadInput(
            "compare takes two iterations of the same loop", f"tui-loop compare {name}/1 {name}/2"
        )
    reader = LoopReader(LoopsFolder(args.loops).loop(name))
    result = Comparer(reader).compare(a, b)
    evaluations = Evaluations(reader)
    contrast = contrast_of(
        result,
        (reader.iteration(a), reader.iteration(b)),
        (evaluations.view(a, None)[0], evaluations.view(b, a)[0]),
    )
    if args.json:
        causes = {each.name: [each.before, each.after] for each in contrast.causes}
        out.record({**msgspec.to_builtins(result), "causes": causes})
    else:
        _print(name, contrast, out)
    worse = result.claim.endswith("worse")
    return REGRESSION if args.fail_on_regression and worse else 0


def _print(name: str, contrast: Contrast, out: Output) -> None:
    result = contrast.comparison
    sides = [str(result.a), str(result.b)]
    out.line(f"{name}: {result.b} against {result.a}")
    for notice in result.notices:
        out.line(f"note: {notice}")
    if result.config:
        out.line()
        out.table(
            ["config", *sides],
            [[field, brief(old), brief(new)] for field, (old, new) in result.config.items()],
        )
    out.line()
    rows = [
        [name, *(_metric_text(name, value) for value in result.metrics[name])]
        for name in compared_metrics(result.metrics, _COMPARED)
    ]
    out.table(["metric", *sides], rows, right=(1, 2))
    out.line()
    for label, text in claim_words(result):
        out.advice(f"{label} {text}".strip())
    if contrast.causes:
        out.line()
        out.table(
            ["cause", *sides, ""],
            [
                [each.words, str(each.before), str(each.after), each.change]
                for each in contrast.causes
            ],
            right=(1, 2, 3),
        )
    _print_changed("fixed", contrast, contrast.fixed, out)
    _print_changed("broken", contrast, contrast.broken, out)


def _print_changed(word: str, contrast: Contrast, rows: Paired, out: Output) -> None:
    """Prints one line per example, with the cause from the side that failed."""
    if not len(rows):
        return
    result, old, new = contrast.comparison, contrast.old, contrast.new
    lines = []
    for old_row, new_row in zip(rows.old, rows.new, strict=True):
        before, after = old.table[old_row], new.table[new_row]
        causes = old.causes[old_row] or new.causes[new_row]
        lines.append(
            [
                after.id,
                after.reference,
                answer_of(before.output),
                answer_of(after.output),
                ", ".join(cause_words(each) for each in causes),
                after.prompt,
            ]
        )
    out.line()
    head = [word, "reference", f"output of {result.a}", f"output of {result.b}", "cause", "prompt"]
    out.table(head, lines, flexible=(5, 3, 2, 1))


def _metric_text(name: str, value: object) -> str:
    if name.partition(".")[0] in ("score", "macro_f1"):
        return figures.percent(value)
    return figures.loss(value) if isinstance(value, float) else "" if value is None else str(value)
