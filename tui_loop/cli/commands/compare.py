"""`tui-loop compare LOOP/A LOOP/B`: what changed, and what that did."""

from __future__ import annotations

import argparse

import msgspec

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output
from tui_loop.core import figures
from tui_loop.core.comparison import SEED_NOISE, Comparison, compare
from tui_loop.core.errors import BadInput
from tui_loop.core.names import split_target
from tui_loop.core.store import LoopFolder, LoopsFolder
from tui_loop.core.wording import brief

HELP = "compare two iterations: config, metrics, examples fixed and broken"
REGRESSION = 6
_COMPARED = ("train_loss", "eval_loss", "score", "macro_f1", "passed", "steps")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="LOOP/A")
    parser.add_argument("b", metavar="LOOP/B")
    parser.add_argument(
        "--fail-on-regression",
        action="store_true",
        help="exit 6 where B's scores are credibly lower than A's",
    )
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    (name, a), (other, b) = split_target(told.a), split_target(told.b)
    if a is None or b is None or name != other:
        raise BadInput(
            "compare takes two iterations of one loop", f"tui-loop compare {name}/1 {name}/2"
        )
    loop = LoopsFolder(told.loops).loop(name)
    result = compare(loop, a, b)
    if told.json:
        out.record(msgspec.to_builtins(result))
    else:
        _print(loop, result, out)
    worse = result.claim.endswith("worse")
    return REGRESSION if told.fail_on_regression and worse else 0


def _print(loop: LoopFolder, result: Comparison, out: Output) -> None:
    out.line(f"{loop.name}: {result.b} against {result.a}")
    for notice in result.notices:
        out.line(f"note: {notice}")
    if result.config:
        out.line()
        out.table(
            ["config", str(result.a), str(result.b)],
            [[field, brief(old), brief(new)] for field, (old, new) in result.config.items()],
        )
    out.line()
    rows = [
        [name, *(_figure(name, value) for value in result.metrics[name])]
        for name in _COMPARED
        if name in result.metrics
    ]
    out.table(["metric", str(result.a), str(result.b)], rows, right=(1, 2))
    out.line()
    _print_claim(result, out)
    if result.loss is not None:
        out.line(
            f"loss {figures.loss_change(result.loss)} a token over {result.loss_examples} examples"
        )
    old_rows, new_rows = (
        {row.id: row for row in loop.iteration(number).read_examples()}
        for number in (result.a, result.b)
    )
    for word, ids in (("fixed", result.fixed), ("broken", result.broken)):
        if ids:
            out.line()
            out.table(
                [word, "wanted", f"{result.a} said", f"{result.b} said", "prompt"],
                [
                    [
                        each,
                        new_rows[each].reference,
                        old_rows[each].output or "",
                        new_rows[each].output or "",
                        new_rows[each].prompt,
                    ]
                    for each in ids
                ],
                flexible=(4, 3, 2, 1),
            )


def _print_claim(result: Comparison, out: Output) -> None:
    if result.interval is None:
        out.line("no scores to compare")
        return
    out.line(
        f"score {figures.points(result.interval)} points over {result.compared} examples: "
        f"{len(result.fixed)} fixed, {len(result.broken)} broken "
        f"(McNemar p = {result.p_value:.2g})"
    )
    if result.claim == SEED_NOISE:
        out.line(
            f"no change: both are runs of one config, so this is {SEED_NOISE} "
            f"({result.replicates[0]} runs of it, each with a seed of its own)"
        )
        return
    out.line(
        f"the change: {result.claim} ({result.replicates[0]} and {result.replicates[1]} "
        "runs of these configs)"
    )
    if min(result.replicates) < 2 and result.a != 0:
        out.line(
            "the test sees these two models only; tui-loop run --repeat 2 tells a change "
            "from training noise"
        )


def _figure(name: str, value: object) -> str:
    if name in ("score", "macro_f1"):
        return figures.percent(value)
    return figures.loss(value) if isinstance(value, float) else "" if value is None else str(value)
