"""Iterations that were created and never began: what was planned is the draft again."""

from __future__ import annotations

import shutil

import msgspec

from tui_loop.core.config import to_tables
from tui_loop.core.draft import Draft, write_draft
from tui_loop.core.errors import TuiLoopError
from tui_loop.core.planning import config_before
from tui_loop.core.reader import iteration_of
from tui_loop.core.store import IterationFolder


def take_back(folders: list[IterationFolder]) -> list[str]:
    """Gives up those of `folders`, which were to run in this order, that never began.

    The first one's config and reason become the loop's draft; where there is another draft by now,
    it stays, to be begun by hand. Replicates of one that did begin lose nothing. Says what became
    of each, also where the process that ran them has done this before.
    """
    planned = [folder for folder in folders if folder.number > 0]
    for folder in folders:
        if folder.path.exists() and not _has_begun(folder):
            is_first = planned[:1] == [folder]
            if not is_first or _is_draft_again(folder):
                shutil.rmtree(folder.path)
    return [_told(each, each is planned[0]) for each in planned if not _has_begun(each)]


def _told(folder: IterationFolder, is_first: bool) -> str:
    if folder.path.exists():
        return f"{folder} was not begun and waits: tui-loop resume {folder}"
    if is_first and folder.loop.draft.exists():
        name = folder.loop.name
        return f"{folder} was not begun and is the draft again: tui-loop run {name} --draft"
    return f"{folder} was not begun and has been removed"


def _has_begun(folder: IterationFolder) -> bool:
    return folder.path.exists() and iteration_of(folder).state != "queued"


def _is_draft_again(folder: IterationFolder) -> bool:
    """Writes what was planned back as the draft, unless somebody has begun another."""
    loop = folder.loop
    if loop.draft.exists():
        return False
    try:
        decision, tables = folder.read_decision(), to_tables(folder.read_config())
        before = to_tables(config_before(loop, decision.parent))
        draft = Draft(decision.parent, decision.why, tables, before)
        write_draft(
            loop,
            msgspec.structs.replace(
                draft, suggestion=decision.suggestion, predicted=decision.predicted
            ),
        )
    except (TuiLoopError, OSError):
        return False
    return True
