"""`tui-loop demo`: opens recorded loops, or trains a small one."""

from __future__ import annotations

import argparse
from pathlib import Path

from tui_loop.cli.demo_loop import create_new_loop, create_recorded_loops
from tui_loop.cli.loop_output import loop_record, print_loop
from tui_loop.cli.output import Output
from tui_loop.cli.run_process import create_runs, run_to_end
from tui_loop.core.errors import RunFailed, RunStopped
from tui_loop.core.record.reader import iterations_of
from tui_loop.core.workflow.plan import plan_next

HELP = "open recorded demo loops in the app, or train a small loop (--headless)"

_TINY = (
    (
        ("learning_rate=5e-4", "num_train_epochs=1"),
        "a cautious start: a low learning rate and one epoch",
    ),
    (
        ("learning_rate=2e-3", "num_train_epochs=4"),
        "a higher learning rate and more epochs: the train loss was still falling at the end",
    ),
)
"""Settings and reason of each iteration that `--headless` trains."""

_SMOLLM2 = (
    (
        ("learning_rate=1e-4", "max_steps=40"),
        "a cautious start: a low learning rate and 40 steps",
    ),
    (
        ("learning_rate=1e-3", "max_steps=80"),
        "a higher learning rate and more steps: the train loss was still falling at the end",
    ),
)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        choices=("tiny", "smollm2"),
        help="base model (default: tiny; without the train extra, the recorded smollm2)",
    )
    parser.add_argument(
        "--dir",
        type=Path,
        default=Path("tui-loop-demo"),
        metavar="DIR",
        help="where to create the loops (default: ./tui-loop-demo)",
    )
    parser.add_argument(
        "--headless",
        action="store_true",
        help="train a small loop without the app: evaluate the base, run two iterations",
    )
    parser.add_argument("--json", action="store_true", help="print the loop as JSON")


def run(args: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train
    from tui_loop.engine.model_source import check_model

    if not args.headless:
        return _open_recorded(args, out)
    require_train("demo --headless")
    model = args.model or "tiny"
    check_model(model, None, args.dir)
    loop = create_new_loop(args.dir, model)
    for settings, why in _TINY if model == "tiny" else _SMOLLM2:
        plan = plan_next(loop, parent=None, settings=list(settings), why=why)
        folders = create_runs(loop, plan, out, is_attended=True)
        ended, _ = run_to_end(loop, folders, out)
        if ended[-1].state == "stopped":
            raise RunStopped(
                "the demo was stopped", f"tui-loop --loops {loop.path.parent} show {loop.name}"
            )
        if ended[-1].state != "finished":
            error = ended[-1].error or {
                "message": "the run ended unexpectedly, without recording its end",
                "hint": "",
            }
            raise RunFailed(error["message"], error["hint"])
    if args.json:
        out.record(loop_record(loop, iterations_of(loop)))
        return 0
    out.line()
    print_loop(loop, iterations_of(loop), out)
    out.line(
        f"\nthe loop is in {loop.path}; list its failed examples: "
        f"tui-loop --loops {loop.path.parent} failures {loop.name}/2"
    )
    return 0


def _open_recorded(args: argparse.Namespace, out: Output) -> int:
    """Copies the recorded loops; opens one in the app on a terminal, prints it elsewhere."""
    from tui_loop.engine.extras import has_train

    model = args.model or ("tiny" if has_train() else "smollm2")
    loop = create_recorded_loops(args.dir, model)
    if args.json:
        out.record(loop_record(loop, iterations_of(loop)))
        return 0
    if out.is_terminal:
        from tui_loop.cli.launch_app import open_app

        return open_app(loop.path.parent, loop.name, out)
    print_loop(loop, iterations_of(loop), out)
    command = f"tui-loop --loops {loop.path.parent}"
    out.line(f"\nthis recorded loop is in {loop.path}; try:")
    out.line(f"  {command} failures {loop.name}/2")
    out.line(f"  {command} compare {loop.name}/2 {loop.name}/3")
    out.line("train a small loop yourself: tui-loop demo --headless")
    return 0
