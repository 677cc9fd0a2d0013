"""Checks a plan, or an iteration to resume, and creates the folders of the runs.

Everything that can be refused is refused before anything is created. The command line and the app
both start their runs through this module.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from tui_loop.core.commands import command
from tui_loop.core.config.schema import Config
from tui_loop.core.config.tables import to_tables
from tui_loop.core.consent import NeedsConsent
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.source_rows import ReadProgress, no_progress
from tui_loop.core.errors import BadInput, NeedsExtra, TuiLoopError
from tui_loop.core.preflight.check_result import CheckKind, ChecksFailed, error
from tui_loop.core.preflight.effort import steps_of
from tui_loop.core.preflight.row_checks import load_usable
from tui_loop.core.record.checkpoints import Resumption, next_resumption
from tui_loop.core.record.folders import IterationFolder, LoopFolder
from tui_loop.core.record.lock import LockWatcher
from tui_loop.core.record.reader import iteration_of, read_run
from tui_loop.core.record.requests import live_run_in
from tui_loop.core.record.structs import LIVE, RESUMABLE
from tui_loop.core.slurm.jobs import job_of
from tui_loop.core.text.secrets import fields_with_secrets
from tui_loop.core.workflow.closing import refuse_closed
from tui_loop.core.workflow.plan import (
    Plan,
    base_is_needed,
    create_iterations,
    replicates,
    with_data_changes,
)
from tui_loop.core.workflow.run_end import restore_ends


class Start(msgspec.Struct, frozen=True):
    """Checked plans and their data. `base_first`: the base is evaluated before them."""

    plans: list[Plan]
    data: LoadedData
    base_first: bool

    @property
    def code_notice(self) -> str:
        """Returns a notice that the model's own code will run, "" where it will not."""
        model = self.plans[0].config.model
        text = f"trust_remote_code is on: Python code from {model.id} runs on this machine"
        return text if model.trust_remote_code else ""

    @property
    def notices(self) -> list[str]:
        """Returns what the user should know before the run, the most serious first."""
        code = [self.code_notice] if self.code_notice else []
        return [*code, *self.data.notices]

    @property
    def steps(self) -> int | None:
        """Returns the optimizer steps of the first plan, None where packing decides them."""
        return steps_of(self.plans[0].config, self.data.epoch_rows)


def check_start(
    loop: LoopFolder,
    plan: Plan,
    *,
    repeat: int | None = None,
    allow_code: bool = False,
    poll: ReadProgress = no_progress,
    is_here: bool = True,
) -> Start:
    """Returns the plan with its data; raises TuiLoopError for a run that would certainly fail.

    `repeat`: the number of runs of this plan, each under a seed that its config has not had yet.
    `is_here`: it will run on this machine, whose devices are checked.
    """
    refuse_closed(loop)
    restore_ends(loop)
    data = check_config(loop, plan.config, allow_code=allow_code, poll=poll, is_here=is_here)
    plan = with_data_changes(loop, plan, data)
    plans = replicates(loop, plan, repeat) if repeat is not None else [plan]
    base_first = base_is_needed(loop, plan.config, data, _weights(loop, plan))
    if base_first and LockWatcher(loop.iteration(0).lock).poll() != "gone":
        raise BadInput(
            f"{loop.name}/0: another run is evaluating the base",
            f"wait for that run: {command('status', loop.name)}",
        )
    return Start(plans, data, base_first)


def refuse_secrets(config: Config) -> None:
    """Raises BadInput where a value looks like a token, a key or a password.

    Loops are shared, so their files must hold no secret.
    """
    found = fields_with_secrets(to_tables(config))
    if found:
        raise BadInput(
            f"{', '.join(found)}: looks like a token or a password",
            "keep secrets out of the config: libraries read tokens from environment variables",
        )


def create(loop: LoopFolder, start: Start) -> list[IterationFolder]:
    """Creates the folders of the plans; returns what is to run, in order.

    The base comes first where it is needed. The run host creates its folder, because the gate may
    refuse the plans.
    """
    base = [loop.iteration(0)] if start.base_first else []
    return base + create_iterations(loop, start.plans, start.data)


def required_checks(
    loop: LoopFolder, config: Config, labels: list[str], allow_code: bool, *, is_here: bool = True
) -> list[Callable[[], object]]:
    """Returns checks; each raises TuiLoopError where a run of `config` would certainly fail.

    A list of callables, because a start stops at the first failure and `check` reports them all.
    """
    return [
        lambda: refuse_secrets(config),
        lambda: _check_code(config, loop, labels, allow_code),
        lambda: _check_model(config, loop),
        *([lambda: _check_device(config)] if is_here else []),
        lambda: _check_init_adapter(loop, config),
    ]


def check_config(
    loop: LoopFolder,
    config: Config,
    *,
    allow_code: bool,
    poll: ReadProgress = no_progress,
    is_here: bool = True,
) -> LoadedData:
    """Returns the config's data; raises BadInput for whatever would certainly fail."""
    from tui_loop.engine.sources import read_source

    refuse_secrets(config)
    data = load_usable(config, loop.root, read_source, poll=poll)
    faults: list[TuiLoopError] = []
    for check in required_checks(loop, config, data.labels, allow_code, is_here=is_here):
        try:
            check()
        except (NeedsConsent, NeedsExtra):
            raise
        except TuiLoopError as fault:
            faults.append(fault)
    if len(faults) == 1:
        raise faults[0]
    if faults:
        raise ChecksFailed(error(CheckKind.CONFIG, each.message, each.hint) for each in faults)
    return data


def _check_code(config: Config, loop: LoopFolder, labels: list[str], allow_code: bool) -> None:
    """Refuses foreign code without consent, and a metric that cannot be loaded."""
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
    """Refuses a device that does not exist; imports torch only where the config names one."""
    from tui_loop.engine.extras import require_attention, require_quant
    from tui_loop.engine.models import choose_device

    require_attention(config.model.attn_implementation)
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

    model = plan.config.model
    return weights_hash(find_model(model.id, loop.root), model.revision)


def _check_init_adapter(loop: LoopFolder, config: Config) -> None:
    from tui_loop.engine.init_adapter import check_init_adapter

    check_init_adapter(loop, config)


class Resume(msgspec.Struct, frozen=True):
    """A checked iteration to resume, and what runs before it."""

    folder: IterationFolder
    resumption: Resumption
    notices: list[str]
    base_first: bool

    @property
    def description(self) -> str:
        """Says where the run continues, in a few words."""
        return (
            f"{self.resumption.description}, after the base"
            if self.base_first
            else self.resumption.description
        )

    @property
    def folders(self) -> list[IterationFolder]:
        """Returns the folders to run, in order: the base's first where it must be evaluated."""
        base = [self.folder.loop.iteration(0)] if self.base_first else []
        return [*base, self.folder]


def check_resume(
    folder: IterationFolder, *, allow_code: bool = False, is_here: bool = True
) -> Resume:
    """Returns where the run continues and what to note; raises BadInput where it must not.

    The data must not have changed: otherwise the losses before and after would not belong to one
    run. A base without scores for this config is evaluated first. Raises NeedsExtra without the
    training stack.
    """
    from tui_loop.engine.extras import require_train

    restore_ends(folder.loop)
    iteration, loop = iteration_of(folder), folder.loop
    refuse_closed(loop)
    is_waiting = iteration.state == "queued" and live_run_in(loop)
    if is_waiting or iteration.state not in (*RESUMABLE, "queued"):
        reason = {
            "finished": "is finished; only stopped, failed or interrupted runs can be resumed",
            "queued": f"is queued behind {live_run_in(loop)}",
            "unreadable": "cannot be read",
        }.get(iteration.state, f"is {iteration.state}")
        raise BadInput(f"{folder} {reason}", command("show", loop.name))
    require_train("resume")
    job = job_of(folder)
    if job is not None and (job.is_waiting or (job.is_running and iteration.state == "queued")):
        raise BadInput(f"{folder}: {job.words}", f"cancel it first: {command('stop', folder)}")
    folder.check_no_links()
    config = folder.read_config()
    resumption = next_resumption(folder, read_run(folder))
    _check_base(folder, config, resumption)
    data = check_config(loop, config, allow_code=allow_code, is_here=is_here)
    recorded = folder.read_splits()
    for name, split in data.splits.items():
        if name in recorded and recorded[name].sha256 != split.sha256:
            raise BadInput(
                f"{split.path} has changed since {folder} started",
                "restore the file, or run a new iteration on the new rows",
            )
    failure = iteration.error or {}
    notices = []
    if failure.get("kind") == "diverged":
        notices.append(
            f"the run diverged at step {failure.get('step')} and will diverge again with this "
            "config: run a new iteration with a lower learning rate, or set "
            "run.on_divergence=rollback"
        )
    if notice := shared_machine_notice(loop):
        notices.append(notice)
    return Resume(
        folder,
        resumption,
        notices,
        folder.number > 0 and _base_is_missing(loop, config),
    )


def _check_base(folder: IterationFolder, config: Config, resumption: Resumption) -> None:
    """Refuses a base that is another one than that of the weights to resume."""
    from tui_loop.engine.base_identity import base_to_resume

    base_to_resume(folder, config, resumption)


def shared_machine_notice(loop: LoopFolder) -> str:
    """Returns a notice that another run of the loop is live, "" where none is."""
    live = live_run_in(loop)
    return f"{live} is also running; both runs share this machine" if live else ""


def _base_is_missing(loop: LoopFolder, config: Config) -> bool:
    """Whether the config needs scores of the base, and no run has or will have them."""
    base = loop.iteration(0)
    state = iteration_of(base).state if base.path.exists() else "queued"
    return config.evaluation.base and state not in ("finished", "unreadable", *LIVE)
