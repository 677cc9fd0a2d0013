"""`tui-loop progress LOOP`: shows score and loss over the iterations with their intervals."""

from __future__ import annotations

import argparse
import sys

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output, shell_hints
from tui_loop.core.compare.progress import Progress, ProgressReader
from tui_loop.core.compare.progress_text import (
    MARKS,
    best_words,
    config_words,
    mark_of,
    otherwise_words,
    pair_words,
    reach_words,
    replicate_words,
)
from tui_loop.core.plot.scale import Scale
from tui_loop.core.plot.strip import ASCII, UNICODE, Signs, ends, scale_of, strip
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.stats import Interval
from tui_loop.core.text import figures

HELP = (
    "show score and loss per iteration with intervals, and which further runs would settle a "
    "comparison"
)

MAX_STRIP_WIDTH, MIN_STRIP_WIDTH = 30, 9
"""Characters of a strip; a narrower one would show nothing and is left out."""

OTHER_COLUMNS_WIDTH = 44
"""Characters that the other columns of the table need, roughly."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    loop = LoopsFolder(args.loops).loop(args.loop)
    progress = ProgressReader(LoopReader(loop)).poll()
    if args.json:
        out.record(shell_hints(progress.record, "commands"))
    else:
        _print(progress, out)
    return 0


def _print(progress: Progress, out: Output) -> None:
    if not progress.points:
        out.line(f"no iterations yet; begin with tui-loop run {progress.loop} --why '...'")
        return
    _print_table(progress, out)
    out.line()
    out.paragraph(
        f"bars: 95% intervals over the {progress.unit}; another seed may move a result further "
        "than its bar"
    )
    out.paragraph(f"signs: {MARKS}")
    if differences := otherwise_words(progress):
        out.paragraph(differences)
    out.paragraph(best_words(progress))
    for pair in progress.pairs:
        out.paragraph(f"- {pair_words(pair)}")
        if reach := reach_words(pair):
            out.paragraph(reach, "  ")
        for command in pair.commands:
            out.advice(f"    {command}")
    for line in replicate_words(progress):
        out.paragraph(line)


def _print_table(progress: Progress, out: Output) -> None:
    signs = _signs()
    scores = scale_of(each.score for each in progress.points)
    losses = scale_of((each.loss for each in progress.points), may_be_log=True)
    count = (scores is not None) + (losses is not None)
    width = min(MAX_STRIP_WIDTH, (out.width - OTHER_COLUMNS_WIDTH) // max(1, count))
    rows = [
        [
            str(each.number),
            mark_of(each, progress),
            config_words(each),
            each.title,
            figures.percent(each.score.delta) if each.score else "",
            _strip(each.score, scores, width, signs),
            figures.loss(each.loss.delta) if each.loss else "",
            _strip(each.loss, losses, width, signs),
            each.state if each.state != "finished" else "",
        ]
        for each in progress.points
    ]
    head = ["#", "", "as", "change", "score", _ends(scores, width, signs, is_score=True)]
    head += ["eval loss", _ends(losses, width, signs, is_score=False), "state"]
    out.table(head, rows, right=(0, 4, 6), flexible=(3,))


def _signs() -> Signs:
    try:
        "".join(UNICODE).encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE


def _strip(interval: Interval | None, scale: Scale | None, width: int, signs: Signs) -> str:
    if interval is None or scale is None or width < MIN_STRIP_WIDTH:
        return ""
    return strip(interval, scale, width, signs)


def _ends(scale: Scale | None, width: int, signs: Signs, *, is_score: bool) -> str:
    """Returns the heading of a column of strips: both ends of its scale."""
    if scale is None or width < MIN_STRIP_WIDTH:
        return ""
    show = figures.percent if is_score else figures.loss
    return ends(scale, width, show(scale.low), show(scale.high), signs)
