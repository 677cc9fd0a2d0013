"""Two iterations side by side: what differs in their configs, and what that did.

Scores are compared only on what was measured alike. About the two *models* a paired test over
examples may speak; a claim about the *change* needs replicates of both configs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tui_loop.core.config import changed_fields, read_config
from tui_loop.core.errors import BadInput
from tui_loop.core.overview import iteration_of
from tui_loop.core.records import Example, Iteration, Split
from tui_loop.core.statistics import Interval, mcnemar, paired_interval, spread_interval
from tui_loop.core.store import LoopFolder
from tui_loop.core.wording import SEED


class Comparison(msgspec.Struct, frozen=True):
    """B against A. Scores are in [0, 1]; `claim` is the most that can be said of the change."""

    a: int
    b: int
    config: dict[str, tuple[Any, Any]]
    metrics: dict[str, tuple[Any, Any]]
    compared: int
    fixed: list[str]
    broken: list[str]
    p_value: float | None
    interval: Interval | None
    replicates: tuple[int, int]
    claim: str
    notices: list[str]


def compare(loop: LoopFolder, a: int, b: int) -> Comparison:
    """Iteration `b` against `a`; raises BadInput where either has no evaluation."""
    old, new = (iteration_of(loop.existing(number)) for number in (a, b))
    old_rows, new_rows = (_examples_of(loop, number) for number in (a, b))
    shared = [
        key
        for key in new_rows
        if key in old_rows and old_rows[key].reference == new_rows[key].reference
    ]
    notices = _notices(old, new, len(old_rows), len(new_rows), len(shared))
    scored = [
        key
        for key in (shared if scored_alike(old, new) else [])
        if old_rows[key].score is not None and new_rows[key].score is not None
    ]
    fixed = [key for key in scored if not old_rows[key].passed and new_rows[key].passed]
    broken = [key for key in scored if old_rows[key].passed and not new_rows[key].passed]
    pairs = ([_score(old_rows[key]) for key in scored], [_score(new_rows[key]) for key in scored])
    paired = paired_interval(*pairs)
    groups = _replicates(loop, old, old_rows, scored), _replicates(loop, new, new_rows, scored)
    spread = spread_interval(*groups) if not _trained_alike(loop, old, new) else None
    return Comparison(
        a=a,
        b=b,
        config=_config_changes(old, new),
        metrics=_metric_changes(old, new),
        compared=len(shared),
        fixed=fixed,
        broken=broken,
        p_value=mcnemar(len(fixed), len(broken)) if scored else None,
        interval=spread or paired,
        replicates=(len(groups[0]), len(groups[1])),
        claim=_claim(paired, spread),
        notices=notices,
    )


def scored_alike(old: Iteration, new: Iteration) -> bool:
    """Whether both were scored by one metric with one setting: else scores say nothing."""
    if old.fingerprint is None or new.fingerprint is None:
        return True
    return old.fingerprint.metric == new.fingerprint.metric


def score_against(old: list[Example], new: list[Example]) -> Interval | None:
    """The score's difference over the examples that both have, alike in their reference."""
    before = {row.id: row for row in old if row.score is not None}
    pairs = [
        (_score(before[row.id]), _score(row))
        for row in new
        if row.score is not None and row.id in before and before[row.id].reference == row.reference
    ]
    return paired_interval([pair[0] for pair in pairs], [pair[1] for pair in pairs])


def _claim(paired: Interval | None, spread: Interval | None) -> str:
    if spread is not None:
        if not spread.excludes_zero:
            return "no difference seen"
        return "better" if spread.delta > 0 else "worse"
    if paired is None:
        return "nothing to compare"
    if not paired.excludes_zero:
        return "consistent with no difference"
    return f"consistent with {'better' if paired.delta > 0 else 'worse'}"


def _examples_of(loop: LoopFolder, number: int) -> dict[str, Example]:
    rows = loop.existing(number).read_examples()
    if not rows:
        raise BadInput(
            f"{loop.name}/{number} has no evaluated examples",
            f"tui-loop show {loop.name} says how it ended",
        )
    return {row.id: row for row in rows}


def _score(row: Example) -> float:
    return float(row.score) if row.score is not None else 0.0


def _notices(old: Iteration, new: Iteration, had: int, has: int, shared: int) -> list[str]:
    notices = []
    if old.fingerprint and new.fingerprint:
        parts = new.fingerprint.differs_from(old.fingerprint)
        if not scored_alike(old, new):
            notices.append("scored by different metrics: scores are not compared (see rescore)")
        if parts:
            notices.append(
                f"measured differently ({', '.join(parts)}): only the {shared} examples that "
                "both have are compared"
            )
    if shared < max(had, has) and not notices:
        notices.append(f"{shared} of {max(had, has)} examples are in both")
    return notices


def _config_changes(old: Iteration, new: Iteration) -> dict[str, tuple[Any, Any]]:
    if old.config is None or new.config is None:
        return {}
    return changed_fields(read_config(old.config), read_config(new.config))


def _trained_alike(loop: LoopFolder, old: Iteration, new: Iteration) -> bool:
    """Whether the two differ in nothing but the seed: one config on the same rows."""
    return (
        0 not in (old.number, new.number)
        and set(_config_changes(old, new)) <= {SEED}
        and _same_rows(_train_split(loop, old), _train_split(loop, new))
    )


def _train_split(loop: LoopFolder, iteration: Iteration) -> Split | None:
    try:
        return loop.iteration(iteration.number).read_splits().get("train")
    except BadInput:
        return None


def _same_rows(one: Split | None, other: Split | None) -> bool:
    """Whether both name the same rows, by their digest or, in older records, by their file."""
    if one is None or other is None:
        return one is other
    if one.digest is not None and other.digest is not None:
        return one.digest == other.digest
    return (one.sha256, one.rows) == (other.sha256, other.rows)


def _metric_changes(old: Iteration, new: Iteration) -> dict[str, tuple[Any, Any]]:
    names = [*new.metrics, *(name for name in old.metrics if name not in new.metrics)]
    return {name: (old.metrics.get(name), new.metrics.get(name)) for name in names}


def _replicates(
    loop: LoopFolder, iteration: Iteration, rows: dict[str, Example], scored: list[str]
) -> list[list[float]]:
    """Example scores of the iteration and of the finished runs of its config under other seeds.

    A seed counts once: its run repeated shows no spread.
    """
    runs = [[_score(rows[key]) for key in scored]]
    seeds = {_seed(iteration)}
    for number in loop.numbers():
        other = iteration_of(loop.iteration(number))
        try:
            if _seed(other) in seeds or not _is_replicate(loop, iteration, other):
                continue
            theirs = {row.id: row for row in loop.iteration(number).read_examples()}
        except BadInput:
            continue  # an unreadable iteration is shown as such, it hides nobody else's replicates
        if all(key in theirs for key in scored):
            runs.append([_score(theirs[key]) for key in scored])
            seeds.add(_seed(other))
    return runs


def _is_replicate(loop: LoopFolder, iteration: Iteration, other: Iteration) -> bool:
    return (
        other.state == "finished"
        and other.config is not None
        and _measured_alike(iteration, other)
        and _trained_alike(loop, iteration, other)
    )


def _measured_alike(one: Iteration, other: Iteration) -> bool:
    if one.fingerprint is None or other.fingerprint is None:
        return one.fingerprint is other.fingerprint
    return not one.fingerprint.differs_from(other.fingerprint)


def _seed(iteration: Iteration) -> Any:
    group, _, field = SEED.partition(".")
    return (iteration.config or {}).get(group, {}).get(field)
