"""`tui-loop run LOOP`: creates the next iteration and runs it without the app."""

from __future__ import annotations

import argparse
import shutil

from tui_loop.cli.arguments import add_settings
from tui_loop.cli.commands.show import print_loop
from tui_loop.cli.following import RunWatcher
from tui_loop.cli.output import Output
from tui_loop.core.config import flatten
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput, RunStopped
from tui_loop.core.liveness import Watch
from tui_loop.core.overview import as_json
from tui_loop.core.planning import (
    Plan,
    base_config,
    base_is_needed,
    create_base,
    create_iteration,
    plan_next,
    replicates,
    with_data_changes,
)
from tui_loop.core.reader import iteration_of, iterations_of, read_run
from tui_loop.core.records import Iteration
from tui_loop.core.schema import Config
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
    done = run_next(
        loop,
        told.parent,
        told.settings,
        told.why,
        out,
        repeat=told.repeat,
        allow_code=told.allow_code,
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
) -> list[Iteration]:
    """Creates and runs the next iteration (and the base where it is needed), showing it.

    Everything that can be refused is refused before anything is created.
    """
    plan = plan_next(loop, parent=parent, settings=settings, why=why)
    data = _checked(loop, plan, allow_code)
    plan = with_data_changes(loop, plan, data)
    plans = replicates(loop, plan, repeat) if repeat > 1 else [plan]
    if not plan.changes and plan.parent not in (None, 0) and repeat == 1:
        out.note(f"nothing changes against {plan.parent}; --repeat 2 would vary the seed")
    folders = []
    if base_is_needed(loop, plan.config, data, _weights(loop, plan)):
        if Watch(loop.iteration(0).lock).look() != "gone":
            raise BadInput(
                f"{loop.name}/0: the base is being measured by another run",
                f"wait for it: tui-loop status {loop.name}",
            )
        folders.append(create_base(loop, base_config(loop, plan), data.splits))
    folders += [create_iteration(loop, each, data.splits) for each in plans]
    return _run_all(loop, folders, out, allow_code)


def _checked(loop: LoopFolder, plan: Plan, allow_code: bool) -> LoadedData:
    """The plan's data; raises BadInput for whatever would fail for certain."""
    from tui_loop.engine.extras import require_gguf, require_quant
    from tui_loop.engine.models import check_model, choose_device
    from tui_loop.engine.scorers import scorer_for
    from tui_loop.engine.sources import read_source

    config = plan.config
    data = load_data(config, loop.root, read_source)
    scorer_for(config.evaluation, data.labels, loop.root, allow_code=allow_code)
    if check_model(config.model.id, config.model.revision, loop.root).gguf is not None:
        require_gguf("loading a GGUF file")
    quantized = config.model.quantization != "none"
    if quantized:
        require_quant(f"model.quantization = {config.model.quantization}")
    if quantized or config.run.device not in ("auto", "cpu"):
        device = choose_device(config.run.device)
        if quantized and device != "cuda":
            raise BadInput(
                f"model.quantization: {config.model.quantization} needs a CUDA device",
                "--set model.quantization=none",
            )
    _check_init_adapter(loop, config)
    return data


def _weights(loop: LoopFolder, plan: Plan) -> str:
    from tui_loop.engine.models import find_model, weights_print

    return weights_print(find_model(plan.config.model.id, loop.root))


def _check_init_adapter(loop: LoopFolder, config: Config) -> None:
    """Refuses an adapter that is not there, or lora settings that it does not have."""
    number = config.model.init_adapter
    if number is None:
        return
    origin = loop.existing(number)
    if not (origin.adapter / "adapter_config.json").exists():
        raise BadInput(
            f"model.init_adapter: {origin} has no adapter on this machine",
            "run it again, or unset model.init_adapter",
        )
    theirs = flatten(origin.read_config())
    different = [
        name
        for name, value in flatten(config).items()
        if name.startswith("lora.") and value != theirs.get(name)
    ]
    if different:
        raise BadInput(
            f"model.init_adapter: {origin} was trained with another {', '.join(different)}",
            f"--from {number}, or set these fields as it has them",
        )


def _run_all(
    loop: LoopFolder, folders: list[IterationFolder], out: Output, allow_code: bool
) -> list[Iteration]:
    from tui_loop.engine.launch import start_host
    from tui_loop.engine.quiet import mask_secrets

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
        mask_secrets(folder.output)
        _forget(folder, out)
    if watcher.killed:
        raise RunStopped(f"{folders[len(done) - 1]} was killed", f"tui-loop show {loop.name}")
    if done[-1].state not in EXIT_CODES:
        out.note(
            f"the run's process ended with code {process.returncode} and no word; its output "
            f"is in {folders[len(done) - 1].output}"
        )
    return done


def _forget(folder: IterationFolder, out: Output) -> None:
    """Removes an iteration that was created a moment ago and never began."""
    if folder.path.exists() and iteration_of(folder).state == "queued":
        shutil.rmtree(folder.path)
        out.note(f"{folder} was not begun and has been removed")
