"""`tui-loop auto LOOP --iterations N`: applies suggestions and runs them without a person."""

from __future__ import annotations

import argparse
import math

from tui_loop.cli.arguments import add_allow_code, add_detach, add_json, add_parallel
from tui_loop.cli.output import Output
from tui_loop.core.errors import BadInput
from tui_loop.core.record.loops_folder import LoopsFolder

HELP = "repeat unattended: apply the best suggestion, run the config, judge the result"

SOURCES = ("diagnosis", "search")


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument(
        "--iterations", type=int, required=True, metavar="N", help="run at most N new configs"
    )
    parser.add_argument(
        "--hours",
        type=float,
        metavar="H",
        help="start no run that is expected to end more than H hours from now",
    )
    parser.add_argument(
        "--source",
        choices=SOURCES,
        default="diagnosis",
        help="source of the changes to try: suggestions of the diagnosis, or a search that samples "
        "values (default: diagnosis)",
    )
    parser.add_argument(
        "--range",
        action="append",
        default=[],
        metavar="FIELD=LOW..HIGH",
        dest="ranges",
        help="with --source search: values to sample, e.g. learning_rate=1e-5..1e-2 or r=4,8,16; "
        "may be repeated (default: values around the best config)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="S",
        help="with --source search: seed of the sampler (default: 0)",
    )
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="K",
        help="run each config K times with different seeds (default: 1)",
    )
    parser.add_argument(
        "--from",
        type=int,
        dest="parent",
        metavar="N",
        help="continue from iteration N, even if a better one exists (default: the best)",
    )
    add_parallel(parser)
    add_detach(parser)
    add_allow_code(parser)
    add_json(parser)


def run(args: argparse.Namespace, out: Output) -> int:
    _check(args)
    loop = LoopsFolder(args.loops).loop(args.loop)
    if args.parent is not None:
        loop.existing(args.parent)
    if args.ranges:
        from tui_loop.engine.sampler import read_range

        config = loop.default_config()
        for each in args.ranges:
            read_range(each, config)
    from tui_loop.core.slurm.inside import refuse_in_job
    from tui_loop.engine.extras import require_train

    refuse_in_job(detach=args.detach)
    require_train("auto")
    from tui_loop.cli.autopilot_runner import AutoRequest, require_start_consent, run_autopilot
    from tui_loop.cli.loop_output import print_loop
    from tui_loop.cli.parallel_runs import slots_of
    from tui_loop.cli.unattended_runs import start_in_background
    from tui_loop.core.record.reader import iterations_of
    from tui_loop.core.workflow.stop_rules import Limits

    request = AutoRequest(
        Limits(args.iterations, args.hours),
        args.source,
        tuple(args.ranges),
        args.parent,
        args.repeat,
        args.seed,
        args.allow_code,
        args.parallel,
    )
    slots_of(args.parallel)
    if args.detach:
        require_start_consent(loop, args.parent, allow=args.allow_code)
        return start_in_background(loop, request.words(loop), out)
    outcome = run_autopilot(loop, request, out)
    if args.json:
        out.record(outcome.record)
    else:
        out.line()
        print_loop(loop, iterations_of(loop), out)
    return outcome.exit_code


def _check(args: argparse.Namespace) -> None:
    for name, value in (("--iterations", args.iterations), ("--repeat", args.repeat)):
        if value < 1:
            raise BadInput(f"{name} {value}: must be at least 1", f"{name} 3")
    if args.hours is not None and not (math.isfinite(args.hours) and args.hours > 0):
        raise BadInput(f"--hours {args.hours:g}: must be above 0", "--hours 8")
    if args.ranges and args.source != "search":
        raise BadInput("--range needs --source search", "--source search")
