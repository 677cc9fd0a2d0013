"""Applies suggestions to a draft: their changes, reasons and predictions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tui_loop.core.config.fields import as_setting
from tui_loop.core.diagnosis.experience import JOINED
from tui_loop.core.diagnosis.findings import Suggestion, kind_words
from tui_loop.core.text.figures import brief
from tui_loop.core.workflow.draft import Draft


def clash(taken: Sequence[Suggestion], wanted: Suggestion) -> str:
    """Returns why `wanted` cannot be applied together with `taken`, "" where it can.

    Suggestions clash where they set one field to different values.
    """
    theirs = settings_of(wanted)
    for each in taken:
        ours = settings_of(each)
        for name in theirs.keys() & ours.keys():
            if ours[name] != theirs[name]:
                field = name.partition(".")[2]
                return (
                    f"{field} {brief(theirs[name])} conflicts with the value "
                    f"{brief(ours[name])} of a selected suggestion"
                )
    return ""


def with_suggestions(draft: Draft, taken: Sequence[Suggestion]) -> Draft:
    """Returns the draft with all suggestions, in order, except those that clash with earlier ones.

    The prediction is that of the first suggestion that has one. It is stored with the changes that
    it rests on: if the draft is changed further, the prediction does not apply to the run.
    """
    kept: list[Suggestion] = []
    settings: dict[str, Any] = {}
    for each in taken:
        if not clash(kept, each):
            kept.append(each)
            settings |= settings_of(each)
    for name, value in settings.items():
        draft = draft.with_value(name, value)
    expects = next((each.expects for each in kept if each.expects is not None), None)
    predicted: dict[str, Any] | None = None
    if expects is not None:
        changes = {name: as_setting(value) for name, value in settings.items()}
        predicted = {**msgspec.to_builtins(expects), "changes": changes}
    return msgspec.structs.replace(
        draft,
        why="; ".join(each.why.strip().rstrip(".") for each in kept if each.why.strip()),
        suggestion=" + ".join(each.name for each in kept) or None,
        predicted=predicted,
    )


def settings_of(suggestion: Suggestion) -> dict[str, Any]:
    """Returns the fields that a suggestion sets: {"group.field": value}."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, (_, value) in suggestion.changes.items()
    }


SAMPLED = "search/sampled"
"""The name of a suggestion of the sampler in `decision.toml`."""


def suggested_by(name: str | None) -> str:
    """Returns `the diagnosis (raise rank, after plateau)` or `the sampler`, "" for neither."""
    if not name:
        return ""
    if name == SAMPLED:
        return "the sampler"
    parts = []
    for each in name.split(JOINED):
        finding, _, action = each.strip().rpartition("/")
        after = f", after {kind_words(finding)}" if finding else ""
        parts.append(f"{kind_words(action)}{after}")
    return f"the diagnosis ({'; '.join(parts)})"
