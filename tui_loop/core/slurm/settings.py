"""How jobs are submitted: `[slurm]` of the user's settings, of `loop.toml`, and `--sbatch`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record import codec
from tui_loop.core.record.files import read_small, user_settings_file
from tui_loop.core.record.folders import LoopFolder

REQUEUES = 20


class SlurmSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The content of a `[slurm]` table.

    `sbatch`: options of sbatch, as on its command line. `setup`: lines of bash before the run, such
    as `module load cuda`. `requeues`: how often a job that was preempted, or reached its time
    limit, is queued again.
    """

    sbatch: str = ""
    setup: list[str] = []
    requeues: int = REQUEUES

    @property
    def options(self) -> list[str]:
        """Returns the options of sbatch, one by one; raises BadInput."""
        try:
            words = shlex.split(self.sbatch)
        except ValueError as error:
            raise BadInput(
                f"sbatch options {self.sbatch!r}: {error}", "close the quotes"
            ) from error
        options: list[str] = []
        for word in words:
            if word.startswith("-"):
                options.append(word)
            elif options and "=" not in options[-1]:
                options[-1] += f"={word}" if options[-1].startswith("--") else f" {word}"
            else:
                raise BadInput(
                    f"sbatch options: {word!r} is no option",
                    "give options only, such as --time=4:00:00",
                )
        for option in options:
            if any(ord(each) < 32 for each in option):
                raise BadInput("sbatch options: contain a control character", "remove it")
        return options


def slurm_settings(loop: LoopFolder, sbatch: str = "") -> SlurmSettings:
    """Returns the settings for jobs of a loop; raises BadInput that names file and field.

    The options are those of the user, of the loop and of `sbatch`, in this order: sbatch takes the
    last of several equal ones.
    """
    user = _table(user_settings_file())
    own = _of_loop(loop)
    found = [
        _converted(user, str(user_settings_file())),
        _converted(own, str(loop.settings_file)),
    ]
    _refuse_other_options(found[1], str(loop.settings_file))
    return SlurmSettings(
        sbatch=" ".join(filter(None, (*(each.sbatch for each in found), sbatch))),
        setup=found[0].setup,
        requeues=found[1].requeues if "requeues" in own else found[0].requeues,
    )


LOOP_OPTIONS = (
    *("account", "constraint", "cpus-per-gpu", "cpus-per-task", "exclude", "exclusive", "gpus"),
    *("gpus-per-node", "gpus-per-task", "gres", "licenses", "mem", "mem-per-cpu", "mem-per-gpu"),
    *("nice", "nodelist", "partition", "qos", "reservation", "signal", "time"),
)
"""What `loop.toml` may ask of sbatch: resources. A loop may come from a stranger, and other options
write files or run programs."""


def _of_loop(loop: LoopFolder) -> dict[str, Any]:
    """Returns the table of `loop.toml`; raises BadInput where it has lines of bash."""
    table = loop.read_settings().slurm
    if "setup" in table:
        raise BadInput(
            f"{loop.settings_file}: slurm.setup: only your own settings may have lines of bash",
            f"move them to [slurm] of {user_settings_file()}",
        )
    return table


def _refuse_other_options(settings: SlurmSettings, where: str) -> None:
    for option in settings.options:
        name = option.removeprefix("--").partition("=")[0]
        if not option.startswith("--") or name not in LOOP_OPTIONS:
            raise BadInput(
                f"{where}: slurm.sbatch: {option} is not allowed in a loop's settings",
                f"use --sbatch, or [slurm] of {user_settings_file()}",
            )


def _table(path: Path) -> Mapping[str, Any]:
    try:
        table = codec.from_toml(read_small(path.resolve()).decode("utf-8"), str(path))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path}: cannot be read", "correct the file in an editor, or move it away"
        ) from error
    found = table.get("slurm", {})
    return found if isinstance(found, dict) else {"sbatch": found}


def _converted(table: Mapping[str, Any], where: str) -> SlurmSettings:
    try:
        settings = msgspec.convert(table, SlurmSettings)
    except msgspec.ValidationError as error:
        raise BadInput(f"{where}: slurm: {error}", "correct that line in an editor") from error
    if settings.requeues < 0:
        raise BadInput(f"{where}: slurm.requeues: must be at least 0", "requeues = 20")
    return settings
