"""`tui-loop demo`: ready-made loops, recorded, to look around in and to go on with."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui_loop.cli.commands.run import create_next
from tui_loop.cli.commands.show import loop_record, print_loop
from tui_loop.cli.demo_loop import lay_out, lay_out_recorded
from tui_loop.cli.output import Output
from tui_loop.cli.run_process import run_watched
from tui_loop.core.errors import RunFailed, RunStopped
from tui_loop.core.record.reader import iterations_of

HELP = "open recorded loops to look around in and go on with, or go round a small one (--headless)"

_TINY = {
    "first": ["learning_rate=5e-4", "num_train_epochs=1"],
    "why first": "a gentle start: a low rate and one pass over the data",
    "second": ["learning_rate=2e-3", "num_train_epochs=4"],
    "why second": "train loss was still falling when it ended: a higher rate, more passes",
}
_SMOLLM2 = {
    "first": ["learning_rate=1e-4", "max_steps=40"],
    "why first": "a gentle start: a low rate and forty steps",
    "second": ["learning_rate=1e-3", "max_steps=80"],
    "why second": "train loss was still falling when it ended: a higher rate, more steps",
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        choices=("tiny", "smollm2"),
        help="whose loop (default: tiny; without the training stack smollm2's, which shows more)",
    )
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("tui-loop-demo"),
        metavar="DIR",
        help="where to lay it out (default: ./tui-loop-demo)",
    )
    parser.add_argument(
        "--headless", action="store_true", help="train a small loop here: base and two iterations"
    )
    parser.add_argument("--json", action="store_true", help="print the loop as a record")


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train
    from tui_loop.engine.model_source import check_model

    if not args.headless:
        return _review(args, out)
    require_train("demo --headless")
    model = args.model or "tiny"
    check_model(model, None, args.dir)
    loop = lay_out(args.dir, model)
    script = _TINY if model == "tiny" else _SMOLLM2
    for turn in ("first", "second"):
        folders = create_next(loop, None, list(script[turn]), str(script[f"why {turn}"]), out)
        done = run_watched(loop, folders, out)
        if done[-1].state == "stopped":
            raise RunStopped(
                "the demo was stopped", f"tui-loop --loops {loop.path.parent} show {loop.name}"
            )
        if done[-1].state != "finished":
            error = done[-1].error or {"message": "the run ended without a word", "hint": ""}
            raise RunFailed(error["message"], error["hint"])
    if args.json:
        out.record(loop_record(loop, iterations_of(loop)))
        return 0
    out.line()
    print_loop(loop, iterations_of(loop), out)
    out.line(
        f"\nthe record is in {loop.path}; look at what fails: "
        f"tui-loop --loops {loop.path.parent} failures {loop.name}/2"
    )
    return 0


def _review(args: argparse.Namespace, out: Output) -> int:
    """The recorded loops, laid out: opened on a terminal, printed elsewhere."""
    from tui_loop.engine.extras import has_train

    model = args.model or ("tiny" if has_train() else "smollm2")
    loop = lay_out_recorded(args.dir, model)
    if args.json:
        out.record(loop_record(loop, iterations_of(loop)))
        return 0
    if out.is_terminal:
        from tui_loop.cli.launch_app import open_app

        return open_app(loop.path.parent, loop.name, out)
    print_loop(loop, iterations_of(loop), out)
    command = f"tui-loop --loops {loop.path.parent}"
    out.line(f"\na recorded loop, in {loop.path}; look around:")
    out.line(f"  {command} failures {loop.name}/2")
    out.line(f"  {command} compare {loop.name}/2 {loop.name}/3")
    out.line("go round a small one yourself: tui-loop demo --headless")
    return 0
