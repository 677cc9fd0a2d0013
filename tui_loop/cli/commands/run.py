"""`tui-loop run LOOP`: creates the next iteration and runs it without the app."""

from __future__ import annotations

import argparse

from tui_loop.cli.arguments import add_settings
from tui_loop.cli.commands.show import print_loop
from tui_loop.cli.following import RunWatcher
from tui_loop.cli.output import Output
from tui_loop.cli.starting import check_start, create, forget_unbegun
from tui_loop.core.config import with_settings
from tui_loop.core.draft import drop_draft, read_draft
from tui_loop.core.errors import BadInput, RunStopped
from tui_loop.core.overview import as_json
from tui_loop.core.planning import Plan, plan_next, plan_with
from tui_loop.core.reader import iterations_of, read_run
from tui_loop.core.records import Iteration
from tui_loop.core.secrets import mask_file
from tui_loop.core.store import IterationFolder, LoopFolder, LoopsFolder

HELP = "create the next iteration and run it"
EXIT_CODES = {"finished": 0, "failed": 1, "stopped": 3}


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("loop", metavar="LOOP")
    parser.add_argument(
        "--from",
        type=int,
        metavar="N",
        dest="parent",
        help="derive from iteration N (default: the newest)",
    )
    parser.add_argument(
        "--draft", action="store_true", help="run the draft that was edited in the app"
    )
    add_settings(parser, "change a config field, e.g. learning_rate=5e-5")
    parser.add_argument("--why", default="", metavar="TEXT", help="the reason for the change")
    parser.add_argument(
        "--repeat",
        type=int,
        default=1,
        metavar="K",
        help="K runs of this config that differ in the seed alone",
    )
    parser.add_argument(
        "--allow-code", action="store_true", help="let a metric module:function of the config run"
    )
    parser.add_argument("--json", action="store_true", help="print the iterations as records")


def run(told: argparse.Namespace, out: Output) -> int:
    from tui_loop.engine.extras import require_train

    require_train("run")
    if told.repeat < 1:
        raise BadInput(f"--repeat {told.repeat}: must be at least 1", "--repeat 3")
    loop = LoopsFolder(told.loops).loop(told.loop)
    plan = _draft_plan(loop, told) if told.draft else None
    done = run_next(
        loop,
        told.parent,
        told.settings,
        told.why,
        out,
        repeat=told.repeat,
        allow_code=told.allow_code,
        plan=plan,
    )
    if told.json:
        out.record({"iterations": [as_json(each) for each in done]})
    else:
        out.line()
        print_loop(loop, iterations_of(loop), out)
        if done[-1].error:
            out.error(
                f"{loop.name}/{done[-1].number}: {done[-1].error['message']}",
                done[-1].error["hint"],
            )
    return EXIT_CODES.get(done[-1].state, 1)


def run_next(
    loop: LoopFolder,
    parent: int | None,
    settings: list[str],
    why: str,
    out: Output,
    *,
    repeat: int = 1,
    allow_code: bool = False,
    plan: Plan | None = None,
) -> list[Iteration]:
    """Creates and runs the next iteration (and the base where it is needed), showing it.

    Everything that can be refused is refused before anything is created. A `plan` that is given
    is the draft's, which is gone once its iteration is there.
    """
    from_draft = plan is not None
    if plan is None:
        plan = plan_next(loop, parent=parent, settings=settings, why=why)
    start = check_start(loop, plan, repeat=repeat, allow_code=allow_code)
    if not start.plans[0].changes and plan.parent not in (None, 0) and repeat == 1:
        out.note(f"nothing changes against {plan.parent}; --repeat 2 would vary the seed")
    if start.code_notice:
        out.note(start.code_notice)
    folders = create(loop, start)
    if from_draft:
        drop_draft(loop)
    return _run_all(loop, folders, out, allow_code)


def _draft_plan(loop: LoopFolder, told: argparse.Namespace) -> Plan:
    """The plan of `draft.toml`, with `--why` and `--set` on top."""
    draft = read_draft(loop)
    if draft is None:
        raise BadInput(
            f"{loop.draft}: there is no draft", f"edit one in the app: tui-loop {loop.name}"
        )
    if told.parent is not None:
        raise BadInput("--draft and --from: a draft has its parent already", "give one of the two")
    config = with_settings(draft.config, told.settings)
    return plan_with(loop, draft.parent, config, told.why or draft.why)


def _run_all(
    loop: LoopFolder, folders: list[IterationFolder], out: Output, allow_code: bool
) -> list[Iteration]:
    from tui_loop.engine.launch import start_host

    attempts = {folder.number: read_run(folder).attempt + 1 for folder in folders}
    process = start_host(loop, [folder.number for folder in folders], allow_code=allow_code)
    done: list[Iteration] = []
    with RunWatcher(process, out) as watcher:
        for folder in folders:
            done.append(watcher.watch(folder, attempts[folder.number]))
            if done[-1].state != "finished":
                break
        process.wait()
    for folder in folders:
        mask_file(folder.output)
    for folder in forget_unbegun(folders):
        out.note(f"{folder} was not begun and has been removed")
    if watcher.killed:
        raise RunStopped(f"{folders[len(done) - 1]} was killed", f"tui-loop show {loop.name}")
    if done[-1].state not in EXIT_CODES:
        out.note(
            f"the run's process ended with code {process.returncode} and no word; its output "
            f"is in {folders[len(done) - 1].output}"
        )
    return done
