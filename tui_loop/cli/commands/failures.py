"""`tui-loop failures LOOP/N`: which held-out examples fail."""

from __future__ import annotations

import argparse
import math

import msgspec

from tui_loop.cli.arguments import add_json, count, told_iteration
from tui_loop.cli.output import Output
from tui_loop.core import figures
from tui_loop.core.codec import number
from tui_loop.core.errors import BadInput
from tui_loop.core.records import Example
from tui_loop.core.store import IterationFolder

HELP = "list the held-out examples that fail, worst first"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    parser.add_argument("--all", action="store_true", help="also those that pass")
    parser.add_argument("--id", metavar="ID", help="one example in full, with its token losses")
    parser.add_argument("-n", "--limit", type=count, metavar="K", help="at most K examples")
    add_json(parser)


def run(told: argparse.Namespace, out: Output) -> int:
    folder = told_iteration(told)
    examples = folder.read_examples()
    if not examples:
        raise BadInput(f"{folder} has no evaluated examples", f"tui-loop show {folder}")
    if told.id:
        return _one(folder, examples, told.id, told.json, out)
    scored = any(example.passed is not None for example in examples)
    chosen = [each for each in examples if told.all or not scored or each.passed is False]
    chosen.sort(key=_worst_first)
    shown = chosen[: told.limit] if told.limit is not None else chosen
    if told.json:
        out.record(
            {
                "iteration": folder.number,
                "total": len(examples),
                "failed": _failed(examples),
                "examples": msgspec.to_builtins(shown),
            }
        )
        return 0
    out.line(
        f"{folder}: {_failed(examples)} of {len(examples)} fail"
        if scored
        else f"{folder}: {len(examples)} examples, highest loss first"
    )
    out.table(
        ["", "loss", "score", "wanted", "said", "prompt", "id"],
        [
            [
                _sign(each),
                figures.loss(each.loss),
                "" if each.score is None else f"{each.score:.2f}",
                _short(each.reference),
                _short(each.output or ""),
                _short(each.prompt, 60),
                each.id,
            ]
            for each in shown
        ],
        right=(1, 2),
        flexible=(5,),
    )
    return 0


def _one(
    folder: IterationFolder, examples: list[Example], wanted: str, as_json: bool, out: Output
) -> int:
    found = [each for each in examples if each.id == wanted]
    if not found:
        raise BadInput(f"{folder} has no example {wanted!r}", f"tui-loop failures {folder} --all")
    example, tokens = found[0], folder.read_tokens().get(wanted)
    if as_json:
        out.record(
            {"example": msgspec.to_builtins(example), "tokens": tokens.tokens if tokens else None}
        )
        return 0
    out.line(f"{folder}  {example.id}  line {example.source_line}  {_sign(example)}")
    for label, text in (
        ("prompt", example.prompt),
        ("wanted", example.reference),
        ("said", example.output or ""),
    ):
        out.line(f"{label:>7}  " + text.replace("\n", "\n         "))
    if tokens:
        out.line()
        out.table(
            ["token", "loss"],
            [[repr(text), figures.loss(value)] for text, value in tokens.tokens],
            right=(1,),
        )
    return 0


def _failed(examples: list[Example]) -> int:
    return sum(example.passed is False for example in examples)


def _worst_first(example: Example) -> float:
    value = number(example.loss)
    return -math.inf if value is None or math.isnan(value) else -value


def _sign(example: Example) -> str:
    return {True: "pass", False: "fail", None: ""}[example.passed]


def _short(text: str, limit: int = 32) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"
