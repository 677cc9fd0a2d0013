"""Findings on what an iteration comes from: its parent, and the weights that it starts from.

worse_than_parent  a fall against the parent, with all changes that may have caused it.
poor_start         the run starts from an adapter that did no better than the base.
"""

from __future__ import annotations

from collections.abc import Iterator

from tui_loop.core.compare.claims import runs_text
from tui_loop.core.config.schema import BOOKKEEPING
from tui_loop.core.diagnosis.facts import IterationFacts, metric_of
from tui_loop.core.diagnosis.findings import Finding
from tui_loop.core.diagnosis.kinds import FindingKind
from tui_loop.core.diagnosis.rules import learning_rate, run_health
from tui_loop.core.text import figures
from tui_loop.core.text.figures import brief, counted

RUINOUS = (
    run_health.diverged,
    learning_rate.learning_rate_too_high,
)
"""Rules whose findings say that the weights of an iteration are damaged."""

SHOWN = 4

CHOOSE_ROWS = {
    f"data.{name}"
    for name in (
        "train",
        "max_train_rows",
        "eval",
        "eval_fraction",
        "split_seed",
        "subset",
        "train_split",
        "shape",
        "columns",
    )
}
"""Fields that decide which rows are trained on."""

NOT_UNDONE = ("evaluation.", "run.")
"""Groups of fields that change no weights."""


def worse_than_parent(facts: IterationFacts) -> Iterator[Finding]:
    """Reports an iteration that is worse than its parent, with what changed."""
    against, parent = facts.against_parent, facts.parent
    if against is None or parent is None or not parent.number or "worse" not in against.claim:
        return
    changed = changes_from_parent(facts)
    rows = facts.row_digests(facts.number).get("train") != facts.row_digests(parent.number).get(
        "train"
    )
    parts = [
        f"{name.partition('.')[2]} {brief(old)} → {brief(new)}"
        for name, (old, new) in list(changed.items())[:SHOWN]
    ]
    has_other_rows = rows and not changed.keys() & CHOOSE_ROWS
    if has_other_rows:
        parts.append("the training rows")
    what = "; ".join(parts) or "nothing that the record shows"
    count = len(changed) + has_other_rows
    lead = f"{counted(count, 'change')} at once" if count > 1 else "Changed"
    yield Finding(
        FindingKind.WORSE_THAN_PARENT,
        "warning",
        f"the result is worse than that of iteration {parent.number}, the parent: "
        f"{against.change_words} ({against.claim}). {lead}: {what}",
        {"parent": parent.number, "changes": count},
        examples=tuple(against.broken[:20]),
        iterations=(parent.number,),
        otherwise="" if against.has_spread else f"the comparison rests on {runs_text(against)}",
    )


def poor_start(facts: IterationFacts) -> Iterator[Finding]:
    """Reports weights to start from that did no better than the base."""
    config = facts.config
    start = config.model.init_adapter if config is not None and facts.number else None
    if not isinstance(start, int):
        return
    earlier = next((each for each in facts.iterations if each.number == start), None)
    against = facts.compare(0, start) if facts.base is not None else None
    has_failed = earlier is not None and earlier.state == "failed"
    is_worse = against is not None and "better" not in against.claim
    if earlier is None:
        return
    begun = IterationFacts(facts.reader, facts.evaluations, facts.comparer, start)
    trouble = next((each for rule in RUINOUS for each in rule(begun)), None)
    if not (has_failed or is_worse or trouble):
        return
    score = figures.percent(metric_of(earlier, "score"))
    if trouble is not None:
        how = f"is damaged: {trouble.message}"
    elif has_failed or against is None:
        how = "failed"
    else:
        how = f"is no better than the base model ({against.claim})"
    yield Finding(
        FindingKind.POOR_START,
        "warning",
        f"the run starts from the adapter of iteration {start}"
        + (f" (score {score})" if score else "")
        + f", which {how}",
        {"start": start},
        iterations=(start,),
    )


def changes_from_parent(facts: IterationFacts) -> dict[str, tuple[object, object]]:
    """Returns {field: (the parent's value, this one's)} of what can change the weights."""
    against = facts.against_parent
    if against is None:
        return {}
    return {
        name: pair
        for name, pair in against.config.items()
        if name not in BOOKKEEPING and not name.startswith(NOT_UNDONE)
    }
