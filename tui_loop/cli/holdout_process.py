"""Looking at the holdout, for the command and for the app: what it costs, and the process."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import IO

import msgspec

from tui_loop.cli.json_process import JsonProcess
from tui_loop.core.commands import command
from tui_loop.core.data.loading import resolved
from tui_loop.core.errors import BadInput
from tui_loop.core.record.files import sha256_of
from tui_loop.core.record.folders import IterationFolder
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.workflow.holdout import (
    HoldoutDone,
    HoldoutFault,
    HoldoutMessage,
    HoldoutUse,
    cost_of,
    holdout_uses,
    loops_of,
)
from tui_loop.core.workflow.readiness import IN_PROGRESS


class LookAhead(msgspec.Struct, frozen=True):
    """A look that could be taken: the how manieth at this file it would be, and the ones before."""

    number: int
    rows: int
    earlier: tuple[HoldoutUse, ...]

    @property
    def sentences(self) -> tuple[str, str]:
        """What it does, and what it costs."""
        rows = f"all {self.rows} rows of the holdout" if self.rows else "all rows of the holdout"
        does = f"a look measures this iteration and the base on {rows}; it keeps figures, no row"
        before = f" (the last was {self.earlier[-1].name})" if self.earlier else ""
        return does, f"{cost_of(self.number)}{before}"


def look_ahead(folder: IterationFolder) -> LookAhead:
    """What a look would cost; raises TuiLoopError where there can be none."""
    from tui_loop.engine.extras import require_train
    from tui_loop.engine.weights import has_weights

    if folder.number == 0:
        raise BadInput(f"{folder} is the untouched base", "name a trained iteration")
    config = folder.read_config()
    entry = config.data.holdout
    if entry is None:
        raise BadInput(
            f"{folder} has no holdout",
            "name rows that no run has used: "
            + command("run", folder.loop.name, "--set", "data.holdout=PATH"),
        )
    if (state := iteration_of(folder).state) in IN_PROGRESS:
        text = "has not begun" if state == "queued" else f"is {state}"
        raise BadInput(f"{folder} {text}", "look when it has ended")
    require_train("a look at the holdout")
    if not has_weights(folder):
        raise BadInput(
            f"{folder} has no weights on this machine",
            f"copy {folder.adapter} from the machine that trained it (git does not track it)",
        )
    path = resolved(entry, folder.loop.root)
    split = folder.read_splits().get("holdout")
    known = split.sha256 if split is not None else None
    sha256 = sha256_of(path) if path.is_file() else known
    rows = split.rows if split is not None and sha256 == known else 0
    earlier = holdout_uses(loops_of(folder.loop), sha256) if sha256 is not None else ()
    return LookAhead(len(earlier) + 1, rows, earlier)


class HoldoutLook(JsonProcess[HoldoutMessage]):
    """A look under way (`tui.backend.LookingAtHoldout`); it begins at once.

    The look is recorded by its process, before any figure is told: one that is closed before does
    not count. What is told ends with a look or a fault.
    """

    def __init__(
        self, folder: IterationFolder, settings: Sequence[str] = (), *, allow_code: bool = False
    ) -> None:
        from tui_loop.engine.foreign_code import require_config_consent
        from tui_loop.engine.launch import start_holdout_evaluation

        look_ahead(folder)
        require_config_consent(folder.read_config(), folder.loop.root, allow=allow_code)

        def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return start_holdout_evaluation(folder.loop, folder.number, settings, log=log)

        super().__init__(start, HoldoutMessage, "a look")

    def _at_end(self, code: int, last: HoldoutMessage | None) -> HoldoutMessage | None:
        """A fault where it ended without a word."""
        if isinstance(last, (HoldoutDone, HoldoutFault)) or self._is_closed:
            return None
        return HoldoutFault(f"the process has ended: {self._last_words(code)}")
