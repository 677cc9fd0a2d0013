"""Taking suggestions into a draft: their changes together, their reasons, what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.core.diagnosis.findings import Suggestion
from tui_loop.core.draft import Draft
from tui_loop.core.fields import as_setting
from tui_loop.core.wording import brief


def clash(taken: Sequence[Suggestion], wanted: Suggestion) -> str:
    """Why `wanted` cannot be taken besides `taken`: both set one field, to different values.

    Empty where it can.
    """
    for each in taken:
        for name in wanted.changes.keys() & each.changes.keys():
            one, other = each.changes[name][1], wanted.changes[name][1]
            if one != other:
                field = name.partition(".")[2]
                return (
                    f"it sets {field} to {brief(_plain(other))}, "
                    f"and what is taken already sets it to {brief(_plain(one))}"
                )
    return ""


def with_taken(draft: Draft, taken: Sequence[Suggestion]) -> Draft:
    """The draft with all that was taken, in the order of taking; what clashes comes too late.

    The prediction is the first one's that has one, with the changes that it rests on: should
    others be made as well, it says nothing of the run.
    """
    kept: list[Suggestion] = []
    for each in taken:
        if clash(kept, each):
            continue
        kept.append(each)
        for name, (_, value) in each.changes.items():
            draft = draft.with_value(name, _plain(value))
    expects = next((each.expects for each in kept if each.expects is not None), None)
    predicted: dict[str, Any] | None = None
    if expects is not None:
        settings = {
            name: as_setting(_plain(value))
            for each in kept
            for name, (_, value) in each.changes.items()
        }
        predicted = {**msgspec.to_builtins(expects), "changes": settings}
    return msgspec.structs.replace(
        draft,
        why="; ".join(each.why.strip().rstrip(".") for each in kept if each.why.strip()),
        suggestion=" + ".join(each.name for each in kept) or None,
        predicted=predicted,
    )


def _plain(value: Any) -> Any:
    """A value as a config's table has it."""
    return list(value) if isinstance(value, tuple) else value
