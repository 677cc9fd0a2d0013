"""From a plan, or an iteration to resume, to a run that can start.

All that can be refused is refused before anything is created. The command line and the app start
their runs through here."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import flatten, to_tables
from tui_loop.core.data.loading import LoadedData, load_data
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.effort import steps_of
from tui_loop.core.record.checkpoints import Resumption, next_resumption
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.record.structs import LIVE, RESUMABLE
from tui_loop.core.text.secrets import fields_with_secrets
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.plan import (
    Plan,
    base_config,
    base_is_needed,
    create_base,
    create_iteration,
    replicates,
    with_data_changes,
)
from tui_loop.core.workflow.run_end import restore_ends


class Start(msgspec.Struct, frozen=True):
    """Plans that have been checked, with their data; `base_first`: the base is evaluated before."""

    plans: list[Plan]
    data: LoadedData
    base_first: bool

    @property
    def code_notice(self) -> str:
        """Says that the model's own code will run, "" where it will not."""
        model = self.plans[0].config.model
        text = f"trust_remote_code is on: Python code that {model.id} brings runs on this machine"
        return text if model.trust_remote_code else ""

    @property
    def notices(self) -> list[str]:
        """What is to be known before it runs, the gravest first."""
        code = [self.code_notice] if self.code_notice else []
        return [*code, *self.data.notices]

    @property
    def steps(self) -> int | None:
        """Optimizer steps of the first plan; None where packing decides."""
        return steps_of(self.plans[0].config, len(self.data.train))


def check_start(
    loop: LoopFolder, plan: Plan, *, repeat: int | None = None, allow_code: bool = False
) -> Start:
    """The plan with its data; raises TuiLoopError for whatever would fail for certain.

    `repeat`: so many runs of it, under seeds that its config has not been run with.
    """
    refuse_closed(loop)
    restore_ends(loop)
    data = check_config(loop, plan.config, allow_code=allow_code)
    plan = with_data_changes(loop, plan, data)
    plans = replicates(loop, plan, repeat) if repeat is not None else [plan]
    base_first = base_is_needed(loop, plan.config, data, _weights(loop, plan))
    if base_first and LockWatcher(loop.iteration(0).lock).poll() != "gone":
        raise BadInput(
            f"{loop.name}/0: the base is being measured by another run",
            f"wait for it: {command('status', loop.name)}",
        )
    return Start(plans, data, base_first)


def refuse_secrets(config: Config) -> None:
    """Raises BadInput where a value looks like a token, a key or a password: records keep none."""
    found = fields_with_secrets(to_tables(config))
    if found:
        raise BadInput(
            f"{', '.join(found)}: looks like it has a token or a password in it",
            "keep it out of the loop's files: libraries read tokens from the environment",
        )


def create(loop: LoopFolder, start: Start) -> list[IterationFolder]:
    """The folders of what is to run, in order: the base where it is needed, then the plans."""
    folders = []
    if start.base_first:
        folders.append(create_base(loop, base_config(loop, start.plans[0]), start.data.splits))
    return folders + [create_iteration(loop, plan, start.data.splits) for plan in start.plans]


def refusals(
    loop: LoopFolder, config: Config, labels: list[str], allow_code: bool
) -> list[Callable[[], object]]:
    """Checks that each raise TuiLoopError where a run of `config` would fail for certain."""
    return [
        lambda: refuse_secrets(config),
        lambda: _check_code(config, loop, labels, allow_code),
        lambda: _check_model(config, loop),
        lambda: _check_device(config),
        lambda: _check_init_adapter(loop, config),
    ]


def check_config(loop: LoopFolder, config: Config, *, allow_code: bool) -> LoadedData:
    """The config's data; raises BadInput for whatever would fail for certain."""
    from tui_loop.engine.sources import read_source

    refuse_secrets(config)
    data = load_data(config, loop.root, read_source)
    for check in refusals(loop, config, data.labels, allow_code):
        check()
    return data


def _check_code(config: Config, loop: LoopFolder, labels: list[str], allow_code: bool) -> None:
    """Refuses foreign code without consent, and a metric that cannot be had."""
    from tui_loop.engine.foreign_code import require_config_consent
    from tui_loop.engine.scorers import scorer_for

    require_config_consent(config, loop.root, allow=allow_code)
    scorer_for(config.evaluation, labels, loop.root)


def _check_model(config: Config, loop: LoopFolder) -> None:
    from tui_loop.engine.extras import require_gguf
    from tui_loop.engine.model_source import check_model

    if check_model(config.model.id, config.model.revision, loop.root).gguf is not None:
        require_gguf("loading a GGUF file")


def _check_device(config: Config) -> None:
    """Refuses a device that is not there; asks torch only where the config names one."""
    from tui_loop.engine.extras import require_quant
    from tui_loop.engine.models import choose_device

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


def _weights(loop: LoopFolder, plan: Plan) -> str:
    from tui_loop.engine.model_source import find_model, weights_hash

    return weights_hash(find_model(plan.config.model.id, loop.root))


def _check_init_adapter(loop: LoopFolder, config: Config) -> None:
    """Refuses an adapter that is not there, or lora settings that it does not have."""
    number = config.model.init_adapter
    if number is None:
        return
    origin = loop.existing(number)
    names = ("adapter_config.json", "adapter_model.safetensors")  # never a pickle
    if not all((origin.adapter / name).exists() for name in names):
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


class Resume(msgspec.Struct, frozen=True):
    """What going on with an iteration comes to."""

    folder: IterationFolder
    plan: Plan
    data: LoadedData
    resumption: Resumption
    notices: list[str]
    base_first: bool

    @property
    def description(self) -> str:
        """Where it goes on, in a few words."""
        return (
            f"{self.resumption.description}, after the base"
            if self.base_first
            else self.resumption.description
        )

    def create(self) -> list[IterationFolder]:
        """What is to run, in order; the base's folder is made where it is to be measured."""
        loop = self.folder.loop
        if not self.base_first:
            return [self.folder]
        base = create_base(loop, base_config(loop, self.plan), self.data.splits)
        return [base, self.folder]


def check_resume(folder: IterationFolder, *, allow_code: bool = False) -> Resume:
    """Where the run goes on, and what is to be noted; raises BadInput where it must not.

    The data has to be what it was: else the losses before and after would not be of one run. Where
    the base was never measured as this iteration is, that comes first.
    """
    restore_ends(folder.loop)
    iteration, loop = iteration_of(folder), folder.loop
    refuse_closed(loop)
    waits = iteration.state == "queued" and live_run_in(loop)
    if waits or iteration.state not in (*RESUMABLE, "queued"):
        reason = {
            "finished": "has finished: there is nothing to resume",
            "queued": f"waits for {live_run_in(loop)}",
            "unreadable": "cannot be read",
        }.get(iteration.state, f"is {iteration.state}")
        raise BadInput(f"{folder} {reason}", command("show", loop.name))
    folder.check_no_links()
    config = folder.read_config()
    data = check_config(loop, config, allow_code=allow_code)
    recorded = folder.read_splits()
    for name, split in data.splits.items():
        if name in recorded and recorded[name].sha256 != split.sha256:
            raise BadInput(
                f"{split.path} is not what {folder} was begun with",
                "put the file back, or run a new iteration on the new rows",
            )
    error = iteration.error or {}
    notices = []
    if error.get("kind") == "diverged":
        notices.append(
            f"it diverged at step {error.get('step')} with this config, and will again: a new "
            "iteration with a lower learning rate, or run.on_divergence=rollback, is the answer"
        )
    if live := live_run_in(loop):
        notices.append(f"{live} is running too: both share this machine")
    plan = Plan(config, iteration.parent, iteration.decision, iteration.changes)
    return Resume(
        folder,
        plan,
        data,
        next_resumption(folder, read_run(folder)),
        notices,
        folder.number > 0 and _base_is_missing(loop, config),
    )


def _base_is_missing(loop: LoopFolder, config: Config) -> bool:
    """Whether nothing says what the untouched base does, though it was to be measured."""
    base = loop.iteration(0)
    state = iteration_of(base).state if base.path.exists() else "queued"
    return config.evaluation.base and state not in ("finished", "unreadable", *LIVE)
