"""A real SLURM of one node on this machine, from Debian's packages, for root alone."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.waiting import wait_until

PROGRAMS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "slurmctld", "slurmd", "munged")
PATH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin"))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """A controller and one node in `folder`, with the partitions `main` and, above it, `high`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.host = socket.gethostname().partition(".")[0]
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("SLURM_")},
            "PATH": PATH,
            "SLURM_CONF": str(folder / "slurm.conf"),
        }

    def start(self) -> None:
        """Starts the daemons and waits until the node is idle."""
        folder = self.folder
        for name in ("state", "spool", "log"):
            (folder / name).mkdir()
        key = folder / "munge.key"
        key.write_bytes(secrets.token_bytes(1024))
        key.chmod(0o600)
        settings = {
            "ClusterName": "test",
            "SlurmctldHost": f"{self.host}(127.0.0.1)",
            "SlurmctldPort": _free_port(),
            "SlurmdPort": _free_port(),
            "SlurmUser": "root",
            "SlurmdUser": "root",
            "AuthInfo": f"socket={folder}/munge.socket",
            "StateSaveLocation": folder / "state",
            "SlurmdSpoolDir": folder / "spool",
            "SlurmctldPidFile": folder / "slurmctld.pid",
            "SlurmdPidFile": folder / "slurmd.pid",
            "SlurmctldLogFile": folder / "log" / "slurmctld.log",
            "SlurmdLogFile": folder / "log" / "slurmd.log",
            "ProctrackType": "proctrack/pgid",
            "TaskPlugin": "task/none",
            "MpiDefault": "none",
            "SelectType": "select/cons_tres",
            "SelectTypeParameters": "CR_Core",
            "ReturnToService": 2,
            "KillWait": 30,
            "MinJobAge": 3600,
            "PreemptType": "preempt/partition_prio",
            "PreemptMode": "REQUEUE",
            "OverTimeLimit": 0,
        }
        lines = [f"{name}={value}" for name, value in settings.items()]
        node = f"NodeName={self.host} NodeAddr=127.0.0.1 CPUs={os.cpu_count()} State=UNKNOWN"
        lines.append(node)
        lines.append(
            f"PartitionName=main Nodes={self.host} Default=YES PriorityTier=1 GraceTime=20 "
            "PreemptMode=REQUEUE"
        )
        lines.append(f"PartitionName=high Nodes={self.host} PriorityTier=9 PreemptMode=OFF")
        (folder / "slurm.conf").write_text("\n".join(lines) + "\n")
        munge = {
            "key-file": key,
            "socket": folder / "munge.socket",
            "pid-file": folder / "munged.pid",
            "log-file": folder / "log" / "munged.log",
            "seed-file": folder / "munge.seed",
        }
        self.run("munged", "--force", *(f"--{name}={value}" for name, value in munge.items()))
        self.start_controller()
        self.run("slurmd")
        wait_until(lambda: self.run("sinfo", "-h", "-o", "%T") == "idle", "an idle node")

    def start_controller(self) -> None:
        self.run("slurmctld")

    def kill_controller(self) -> None:
        self._kill("slurmctld", signal.SIGKILL)

    def stop(self) -> None:
        """Ends all jobs, then the daemons: slurmd waits for its steps."""
        with suppress(Exception):
            self.run("scancel", "-u", "root")
            ends = time.monotonic() + 60
            while self.run("squeue", "-h") and time.monotonic() < ends:
                time.sleep(0.5)
        for name in ("slurmd", "slurmctld", "munged"):
            self._kill(name, signal.SIGTERM)

    def run(self, *words: str) -> str:
        """Runs a command of SLURM; returns its output."""
        done = subprocess.run(
            words,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
        return done.stdout.strip()

    def state_of(self, job: str) -> str:
        """The state of a job, such as RUNNING."""
        return self.run("squeue", "-h", "-t", "all", "-j", job, "-o", "%T")

    def _kill(self, name: str, number: signal.Signals) -> None:
        with suppress(OSError, ValueError):
            os.kill(int((self.folder / f"{name}.pid").read_text()), number)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A running SLURM; skips where its packages or the rights of root are missing."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=PATH) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"needs root and SLURM (not found: {', '.join(missing) or 'nothing'})")
    made = Cluster(tmp_path_factory.mktemp("slurm"))
    try:
        made.start()
        yield made
    finally:
        made.stop()
