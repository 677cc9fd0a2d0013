"""Environment variables that a launcher left behind: dropped before torch and accelerate read them.

A run is one process. With `WORLD_SIZE=2` in the environment, from torchrun, `accelerate launch`,
mpirun or the template of a job script, accelerate would wait for a process that never comes.
"""

from __future__ import annotations

import os

_NAMES = frozenset(
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
_PREFIXES = (
    "OMPI_COMM_WORLD_",
    "MV2_COMM_WORLD_",
    "TORCHELASTIC_",
    "ACCELERATE_",  # also precision, device and accumulation, which the config decides
    "FSDP_",
    "MEGATRON_LM_",
    "PARALLELISM_CONFIG_",
    "KUBEFLOW_TRAINER_",  # transformers reports to that server, whatever `report_to` says
)
"""MPI's other variables (`OMPI_MCA_*`, `PMI_FD`, `PMIX_*`) stay: they configure MPI itself, and
neither torch nor accelerate reads them. So do `SLURM_*`, which nothing takes for a rank."""

_dropped: dict[str, str] = {}


def drop_launcher_variables() -> None:
    """Removes the variables from this process's environment."""
    for name in list(os.environ):
        if name in _NAMES or name.startswith(_PREFIXES):
            _dropped[name] = os.environ.pop(name)


def dropped_names() -> list[str]:
    """The names of all variables that this process has dropped."""
    return sorted(_dropped)


def original_environment() -> dict[str, str]:
    """The environment with the dropped variables put back, for a process that drops them itself
    and records their names in its run's log."""
    return {**os.environ, **_dropped}
