"""`tui-loop resume LOOP/N`: continues a run that was stopped, failed or was interrupted."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_allow_code, add_detach, add_json, iteration_of_args
from tui_loop.cli.output import Output
from tui_loop.cli.run_process import run_and_report
from tui_loop.cli.start import check_resume

HELP = "resume a stopped, failed or interrupted run from its newest complete checkpoint"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    add_detach(parser)
    add_allow_code(parser)
    add_json(parser, "print the iteration as JSON")


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train

    require_train("resume")
    folder = iteration_of_args(args)
    resume = check_resume(folder, allow_code=args.allow_code)
    out.note(f"{folder} continues from {resume.description}")
    for text in resume.notices:
        out.note(text)
    return run_and_report(folder.loop, resume.create(), out, detach=args.detach)
