"""Whether an iteration can be resumed, and from where; the command line and the app ask here."""

from __future__ import annotations

from tui_loop.cli.starting import check_config
from tui_loop.core.checkpoints import Resumption, where_to_go_on
from tui_loop.core.errors import BadInput
from tui_loop.core.reader import iteration_of, read_run
from tui_loop.core.records import LIVE, RESUMABLE
from tui_loop.core.store import IterationFolder, LoopFolder


def check_resume(
    folder: IterationFolder, *, allow_code: bool = False
) -> tuple[Resumption, list[str]]:
    """Where the run goes on, and what is to be noted; raises BadInput where it must not.

    The data has to be what it was: else the losses before and after would not be of one run.
    """
    iteration = iteration_of(folder)
    waits = iteration.state == "queued" and _live_in(folder.loop)
    if waits or iteration.state not in (*RESUMABLE, "queued"):
        reason = {
            "finished": "has finished: there is nothing to resume",
            "queued": f"waits for {_live_in(folder.loop)}",
            "unreadable": "cannot be read",
        }.get(iteration.state, f"is {iteration.state}")
        raise BadInput(f"{folder} {reason}", f"tui-loop show {folder.loop.name}")
    data = check_config(folder.loop, folder.read_config(), allow_code=allow_code)
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
    return where_to_go_on(folder, read_run(folder)), notices


def _live_in(loop: LoopFolder) -> str:
    """`loop/N` of a run that is under way, "" where there is none."""
    folders = (loop.iteration(number) for number in loop.numbers())
    return next((str(each) for each in folders if iteration_of(each).state in LIVE), "")
