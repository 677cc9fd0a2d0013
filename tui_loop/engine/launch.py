"""Starts the engine's processes, each in its own session, and drops launcher variables.

Imports nothing heavy.

A run is one process. With `WORLD_SIZE=2` in the environment (from torchrun, `accelerate launch`,
mpirun or the template of a job script), accelerate would wait for a second process forever.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import IO, Any

import msgspec

from tui_loop.core.preflight.check_result import CheckResult
from tui_loop.core.record.folders import LoopFolder


class HostProcess(subprocess.Popen[bytes]):
    """The process of a run host; `report` is the file for the errors of its gate."""

    def __init__(self, command: list[str], report: IO[bytes], **settings: Any) -> None:
        self._report = report
        descriptor = report.fileno()
        super().__init__(
            [*command, "--report", str(descriptor)], pass_fds=(descriptor,), **settings
        )

    def refusal(self) -> list[CheckResult]:
        """Returns the errors for which the gate refused the runs, once the process has exited."""
        self._report.seek(0)
        content = self._report.read()
        return msgspec.json.decode(content, type=list[CheckResult]) if content else []


def start_host(loop: LoopFolder, numbers: list[int], *, from_draft: bool = False) -> HostProcess:
    """Starts a process that runs these iterations in order and outlives this one.

    `from_draft`: where the gate refuses them, the first becomes the loop's draft again.
    """
    # -P: `-m` would put the working folder on sys.path, where any file could shadow a module.
    command = [sys.executable, "-P", "-m", "tui_loop.engine.host", str(loop.path.resolve())]
    command += [str(number) for number in numbers]
    if from_draft:
        command.append("--from-draft")
    # The base's folder may not exist yet.
    first = next((number for number in numbers if number > 0), numbers[0])
    with loop.iteration(first).output.open("ab") as output:
        return HostProcess(
            command,
            tempfile.TemporaryFile(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=original_environment(),
            start_new_session=True,
        )


def start_inference_server(
    loop: LoopFolder, numbers: Sequence[int], settings: Sequence[str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Starts a process that generates with the models of these iterations.

    See `engine.inference_server`: it reads requests from its stdin, writes responses to its
    stdout, and ends when its stdin does. What libraries print goes to `log`.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "tui_loop.engine.inference_server",
        str(loop.path.resolve()),
    ]
    command += [str(number) for number in numbers]
    for setting in settings:
        command += ["--set", setting]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env=original_environment(),
        start_new_session=True,
    )


def start_holdout_evaluation(
    loop: LoopFolder, number: int, settings: Sequence[str], log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Starts a process that evaluates an iteration's weights on the holdout, and then ends.

    See `engine.holdout_evaluation`: it writes its progress and result to its stdout. What
    libraries print goes to `log`.
    """
    command = [
        sys.executable,
        "-P",
        "-m",
        "tui_loop.engine.holdout_evaluation",
        str(loop.path.resolve()),
    ]
    command.append(str(number))
    for setting in settings:
        command += ["--set", setting]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        env=original_environment(),
        start_new_session=True,
    )


_LAUNCHER_VARIABLES = frozenset(
    (
        # torchrun, and the env:// rendezvous of torch.distributed
        "RANK",
        "WORLD_SIZE",
        "LOCAL_RANK",
        "LOCAL_WORLD_SIZE",
        "GROUP_RANK",
        "GROUP_WORLD_SIZE",
        "ROLE_RANK",
        "ROLE_WORLD_SIZE",
        "MASTER_ADDR",
        "MASTER_PORT",
        # MPI, where accelerate looks for a rank and a size (accelerate.utils.environment)
        "PMI_RANK",
        "PMI_SIZE",
        "MPI_LOCALRANKID",
        "MPI_LOCALNRANKS",
        # accelerate's notebook launcher
        "FORK_LAUNCHED",
    )
)
_LAUNCHER_PREFIXES = (
    "OMPI_COMM_WORLD_",
    "MV2_COMM_WORLD_",
    "TORCHELASTIC_",
    "ACCELERATE_",  # also precision, device and accumulation, which the config decides
    "FSDP_",
    "MEGATRON_LM_",
    "PARALLELISM_CONFIG_",
    "KUBEFLOW_TRAINER_",  # transformers reports to that server, whatever `report_to` is
)
"""MPI's other variables (`OMPI_MCA_*`, `PMI_FD`, `PMIX_*`) remain: they configure MPI itself, and
neither torch nor accelerate reads them. So do `SLURM_*`, which no library reads as a rank."""

_dropped: dict[str, str] = {}


def drop_launcher_variables() -> None:
    """Removes launcher variables from this process's environment."""
    for name in list(os.environ):
        if name in _LAUNCHER_VARIABLES or name.startswith(_LAUNCHER_PREFIXES):
            _dropped[name] = os.environ.pop(name)


def dropped_names() -> list[str]:
    """Returns the names of all variables that this process has dropped."""
    return sorted(_dropped)


_replaced: dict[str, str | None] = {}
"""The original values of replaced variables, None for one that was not set."""


def replace_variable(name: str, value: str) -> None:
    """Sets a variable for this process alone; the processes that it starts get the original."""
    _replaced.setdefault(name, os.environ.get(name))
    os.environ[name] = value


def original_environment() -> dict[str, str]:
    """Returns the environment with dropped and replaced variables restored.

    It is for a run host, which drops them itself and records their names in its run's log, and
    chooses its own GPUs.
    """
    restored = {**os.environ, **_dropped}
    for name, value in _replaced.items():
        if value is None:
            restored.pop(name, None)
        else:
            restored[name] = value
    return restored
