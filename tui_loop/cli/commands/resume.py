"""`tui-loop resume LOOP/N`: goes on with a run that was stopped, failed or was interrupted."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_allow_code, add_detach, iteration_of_args
from tui_loop.cli.commands.show import print_loop
from tui_loop.cli.output import Output
from tui_loop.cli.run_process import exit_code_of, run_detached, run_watched
from tui_loop.cli.start import check_resume
from tui_loop.core.record.iteration import as_json
from tui_loop.core.record.reader import iterations_of

HELP = "go on with a run from its newest whole checkpoint"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="LOOP/N")
    add_detach(parser)
    add_allow_code(parser)
    parser.add_argument("--json", action="store_true", help="print the iteration as a record")


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train

    require_train("resume")
    folder = iteration_of_args(args)
    loop = folder.loop
    resume = check_resume(folder, allow_code=args.allow_code)
    out.note(f"{folder} goes on from {resume.description}")
    for text in resume.notices:
        out.note(text)
    folders = resume.create()
    if args.detach:
        return run_detached(loop, folders, out)
    done = run_watched(loop, folders, out)
    if args.json:
        out.record({"iterations": [as_json(each) for each in done]})
    else:
        out.line()
        print_loop(loop, iterations_of(loop), out)
    return exit_code_of(done, loop, out)
