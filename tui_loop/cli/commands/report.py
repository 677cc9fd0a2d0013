"""`tui-loop report LOOP -o FILE`: writes a loop's report as one file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tui_loop.cli.arguments import add_json
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.record.loops_folder import LoopsFolder
from tui_loop.core.record.names import check_loop_name
from tui_loop.core.report.files import FORMATS, Format, format_of, report_text, write_report
from tui_loop.core.report.gather import report_of
from tui_loop.core.text.figures import counted

HELP = "write a loop's report: iterations, reasons, curves, changes, failures"
NOTES = """\
The suffix of FILE chooses the format:
  .md    for a git host or a pager
  .html  one self-contained page with curves, for a browser or a printer
  .csv   one row per iteration, for a spreadsheet
  .json  the same facts as JSON records

`-o -` prints the report, as Markdown unless --format is given. An existing
report is replaced; any other existing file is replaced only with --force. The
same record gives the same report."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.epilog = NOTES
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument("-o", "--output", metavar="FILE", help="write to FILE; - prints to stdout")
    parser.add_argument(
        "--format", choices=FORMATS, help="the format (default: from the suffix of FILE)"
    )
    parser.add_argument(
        "--force", action="store_true", help="replace an existing file that is not a report"
    )
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    check_loop_name(args.loop)
    if args.json and args.output is not None:
        raise BadInput(
            "--json and -o cannot be combined", "use -o FILE.json to write the records to a file"
        )
    if args.output is None and not args.json:
        raise BadInput("no output file given", f"tui-loop report {args.loop} -o {args.loop}.html")
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.json or args.output == "-":
        kind: Format = "json" if args.json else args.format or "md"
        text = report_text(report_of(loop), kind)
        if kind == "json":
            out.record_line(text.rstrip("\n"))
        else:
            sys.stdout.write(text)
        return 0
    path = Path(args.output)
    kind = args.format or format_of(path)
    report = write_report(loop, path, kind, is_forced=args.force)
    trained = sum(each.iteration.number > 0 for each in report.iterations)
    out.line(f"{path}: report of {counted(trained, 'trained iteration')}")
    return 0
