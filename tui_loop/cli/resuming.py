"""Whether an iteration can be resumed, and from where; the command line and the app ask here."""

from __future__ import annotations

import msgspec

from tui_loop.cli.starting import check_config
from tui_loop.core.asking import live_in
from tui_loop.core.checkpoints import Resumption, where_to_go_on
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.errors import BadInput
from tui_loop.core.planning import Plan, base_config, create_base
from tui_loop.core.reader import iteration_of, read_run
from tui_loop.core.readiness.closing import refuse_closed
from tui_loop.core.records import LIVE, RESUMABLE
from tui_loop.core.run_end import restore_ends
from tui_loop.core.schema import Config
from tui_loop.core.store import IterationFolder, LoopFolder


class Resume(msgspec.Struct, frozen=True):
    """What going on with an iteration comes to."""

    folder: IterationFolder
    plan: Plan
    data: LoadedData
    resumption: Resumption
    notices: list[str]
    base_first: bool

    @property
    def told(self) -> str:
        """Where it goes on, in a few words."""
        return (
            f"{self.resumption.told}, after the base" if self.base_first else self.resumption.told
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
    waits = iteration.state == "queued" and live_in(loop)
    if waits or iteration.state not in (*RESUMABLE, "queued"):
        reason = {
            "finished": "has finished: there is nothing to resume",
            "queued": f"waits for {live_in(loop)}",
            "unreadable": "cannot be read",
        }.get(iteration.state, f"is {iteration.state}")
        raise BadInput(f"{folder} {reason}", f"tui-loop show {loop.name}")
    folder.check_own()
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
    if live := live_in(loop):
        notices.append(f"{live} is running too: both share this machine")
    plan = Plan(config, iteration.parent, iteration.decision, iteration.changes)
    return Resume(
        folder,
        plan,
        data,
        where_to_go_on(folder, read_run(folder)),
        notices,
        folder.number > 0 and _base_is_missing(loop, config),
    )


def _base_is_missing(loop: LoopFolder, config: Config) -> bool:
    """Whether nothing says what the untouched base does, though it was to be measured."""
    base = loop.iteration(0)
    state = iteration_of(base).state if base.path.exists() else "queued"
    return config.evaluation.base and state not in ("finished", "unreadable", *LIVE)
