"""Holdout evaluations, for the command and the app: what one costs, and its process."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO

import msgspec

from tui_loop.cli.json_process import JsonProcess
from tui_loop.core.commands import command
from tui_loop.core.data.source_rows import resolved
from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import sha256_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.holdout import (
    HoldoutDone,
    HoldoutFault,
    HoldoutMessage,
    HoldoutUse,
    HoldoutWatch,
    cost_of,
    holdout_uses,
    loops_of,
)
from tui_loop.core.workflow.readiness import IN_PROGRESS


class HoldoutCost(msgspec.Struct, frozen=True):
    """A holdout evaluation that could start: its count for this file, and the earlier ones."""

    number: int
    rows: int
    earlier: tuple[HoldoutUse, ...]

    @property
    def sentences(self) -> tuple[str, str]:
        """Says what the evaluation does, and what it costs."""
        rows = f"all {self.rows} rows of the holdout" if self.rows else "all rows of the holdout"
        effect = (
            f"the evaluation scores the iteration and the base on {rows}; only scores are recorded"
        )
        last_use = f" (the last use evaluated {self.earlier[-1].name})" if self.earlier else ""
        return effect, f"{cost_of(self.number)}{last_use}"


def holdout_cost(folder: IterationFolder) -> HoldoutCost:
    """Returns what a holdout evaluation would be; raises TuiLoopError where none is possible."""
    from tui_loop.engine.extras import require_train
    from tui_loop.engine.weights import has_weights

    if folder.number == 0:
        raise BadInput(f"{folder} is the base, not a trained iteration", "name a trained iteration")
    config = folder.read_config()
    entry = config.data.holdout
    if entry is None:
        raise BadInput(
            f"{folder} has no holdout",
            "set data.holdout to rows that no run has used: "
            + command("run", folder.loop.name, "--set", "data.holdout=PATH"),
        )
    if (state := iteration_of(folder).state) in IN_PROGRESS:
        text = "has not started" if state == "queued" else f"is {state}"
        raise BadInput(f"{folder} {text}", "evaluate the holdout after the run has ended")
    require_train("a holdout evaluation")
    if not has_weights(folder):
        raise BadInput(
            f"{folder} has no weights on this machine",
            f"copy {folder.adapter} from the machine that trained it; git does not track weights",
        )
    path = resolved(entry, folder.loop.root)
    split = folder.read_splits().get("holdout")
    recorded = split.sha256 if split is not None else None
    sha256 = sha256_of(path) if path.is_file() else recorded
    rows = split.rows if split is not None and sha256 == recorded else 0
    earlier = holdout_uses(loops_of(folder.loop), sha256) if sha256 is not None else ()
    return HoldoutCost(len(earlier) + 1, rows, earlier)


class HoldoutProcess(JsonProcess[HoldoutMessage]):
    """Runs a holdout evaluation (`tui.backend.HoldoutRun`); starts at once.

    Its process records the evaluation before it sends any score. One that ends earlier does not
    count, one that ends later does. The last message is the result or a fault.
    """

    def __init__(
        self, folder: IterationFolder, settings: Sequence[str] = (), *, allow_code: bool = False
    ) -> None:
        from tui_loop.engine.foreign_code import require_config_consent
        from tui_loop.engine.launch import start_holdout_evaluation

        holdout_cost(folder)
        self._watch = HoldoutWatch(folder.loop, folder.number)
        require_config_consent(folder.read_config(), folder.loop.root, allow=allow_code)

        def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return start_holdout_evaluation(folder.loop, folder.number, settings, log=log)

        super().__init__(start, HoldoutMessage, "holdout evaluation")

    @property
    def is_recorded(self) -> bool:
        """Returns whether the evaluation has been recorded, and so counts."""
        return self._watch.is_recorded

    def _final_message(self, code: int, last: HoldoutMessage | None) -> HoldoutMessage | None:
        """Returns a fault where the process ended without a result or a fault of its own."""
        if isinstance(last, (HoldoutDone, HoldoutFault)) or self._is_closed:
            return None
        return HoldoutFault(
            f"the evaluation process ended without a result: {self._last_log_line(code)}"
        )
