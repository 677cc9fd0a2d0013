"""Edits the reason for an iteration; the record keeps the first one."""

from __future__ import annotations

import msgspec

from tui_loop.core.errors import BadInput
from tui_loop.core.record.folders import LoopFolder
from tui_loop.core.record.ledger import write_ledger
from tui_loop.core.record.structs import Decision
from tui_loop.core.text.secrets import redacted


def edit_reason(loop: LoopFolder, number: int, why: str) -> Decision:
    """Replaces the reason of an iteration and returns its decision.

    The summary and the ledger, which repeat the reason, are written anew. Raises BadInput for the
    base, an empty reason, or a record that cannot be read.
    """
    why = redacted(why.strip())  # the summary and the ledger repeat it as it is given here
    if number == 0:
        raise BadInput(f"{loop.name}/0 is the base: it has no reason")
    if not why:
        raise BadInput("the reason is empty", "write a sentence")
    folder = loop.existing(number)
    decision, summary = folder.read_decision(), folder.read_summary()
    if why == decision.why:
        return decision
    first = decision.first_why or decision.why
    edited = msgspec.structs.replace(decision, why=why, first_why=first if first != why else "")
    folder.write_decision(edited)
    if summary is not None:
        folder.write_summary(msgspec.structs.replace(summary, decision=why))
    write_ledger(loop)
    return edited
