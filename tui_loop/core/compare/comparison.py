"""Compares two iterations: the differences of their configs, and of their results.

Scores are compared only where they were computed in the same way. A paired test over examples
compares the two *models*; a claim about the *change* needs replicates of both configs. Two runs
that differ only in the seed have no change between them, only training noise.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from itertools import chain
from typing import Any, Literal

import msgspec

from tui_loop.core.clusters import Clusters, cluster_count, clusters_at, sums_by_cluster
from tui_loop.core.commands import command
from tui_loop.core.compare.pairing import (
    Paired,
    Rows,
    are_finite,
    changed_rows,
    lossy_rows,
    scored_rows,
    shared_rows,
    values_at,
    with_same_tokens,
)
from tui_loop.core.config.schema import SEED, Config
from tui_loop.core.config.tables import changed_fields, flatten
from tui_loop.core.config.validation import read_config
from tui_loop.core.errors import BadInput, TuiLoopError
from tui_loop.core.examples.history import Outcomes, rows_in
from tui_loop.core.paired_stats import mcnemar, paired_interval, sign_flip, spread_interval
from tui_loop.core.record.codec import to_json
from tui_loop.core.record.reader import LoopReader
from tui_loop.core.record.structs import Iteration, Split
from tui_loop.core.stats import Interval
from tui_loop.core.text.figures import counted, loss_change, points

_NO_DIFFERENCE = (SEED, "evaluation.base")

SEED_NOISE = "training noise"
"""The claim for two runs of one config, which have no change between them."""

NO_DIFFERENCE = "no difference shown"
MEASURED_DIFFERENTLY = "measured differently"
NOTHING = "nothing to compare"

SECOND_TEST = 1.5
"""Where the score shows no difference, the loss decides if it changed by this many half widths. It
is a second test of the same models, so it needs more than 95% confidence."""


class Comparison(msgspec.Struct, frozen=True):
    """The comparison of B with A. Scores are in [0, 1]; `claim` is the strongest supported claim.

    `claim_by`: what the claim rests on, `score` or `loss`; "" where it is neither better nor worse.
    `loss`: the mean difference of the loss in nats per token over `loss_examples`, the shared
    examples with a finite loss over the same number of tokens in both. Both intervals include
    training noise where both configs have replicates. `groups`, `changed_groups`, `loss_groups`:
    how many groups of examples that are not independent have a score, have changed, and have a
    loss; 0 where no group has several examples. Otherwise groups are the unit of `p_value` and of
    both intervals. `unit`: what the examples of a group have in common (`core.clusters`).
    """

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
    loss: Interval | None = None
    loss_examples: int = 0
    claim_by: Literal["score", "loss", ""] = ""
    groups: int = 0
    changed_groups: int = 0
    loss_groups: int = 0
    unit: str = ""

    @property
    def change(self) -> Interval | None:
        """Returns the change that the claim is about: of the score, else of the loss."""
        return self.loss if self.is_by_loss else self.interval

    @property
    def is_by_loss(self) -> bool:
        return self.claim_by == "loss" or self.interval is None

    @property
    def change_words(self) -> str:
        """Returns `+3 ±4 points` or `-0.42 ±0.08 nats of loss`, "" without either."""
        if self.change is None:
            return ""
        if self.is_by_loss:
            return f"{loss_change(self.change)} nats of loss"
        return f"{points(self.change)} points"

    @property
    def is_identical(self) -> bool:
        """Returns whether both are runs of one config with one seed, with the same results."""
        return (
            self.claim == SEED_NOISE
            and SEED not in self.config
            and not (self.fixed or self.broken)
            and all(not each.delta for each in (self.interval, self.loss) if each is not None)
        )

    @property
    def has_spread(self) -> bool:
        """Returns whether the intervals include the training noise of both configs."""
        return min(self.replicates) >= 2


class _Run(msgspec.Struct, frozen=True):
    """The values of one run for the compared examples; no losses where one is missing."""

    scores: Sequence[float]
    losses: Sequence[float] | None

    @classmethod
    def of(cls, outcomes: Outcomes, scored: Rows, lossy: Sequence[int | None]) -> _Run:
        """`scored` and `lossy` are the run's own rows; None where it lacks an example."""
        found = [row for row in lossy if row is not None]
        losses = values_at(outcomes.losses, found)
        is_whole = len(found) == len(lossy) and are_finite(losses)
        scores = values_at(outcomes.scores, scored)
        if any(map(math.isnan, scores)):
            scores = [0.0 if math.isnan(score) else score for score in scores]
        return cls(scores, losses if is_whole else None)


class Comparer:
    """Compares iterations of one loop; reads each file once while it does not change."""

    def __init__(self, reader: LoopReader) -> None:
        self._reader = reader
        self._configs: dict[int, tuple[Iteration, Config, bytes]] = {}
        self._by_config: tuple[tuple[Iteration, ...], dict[bytes, list[Iteration]]] = (), {}

    def compare(self, a: int, b: int) -> Comparison:
        """Compares iteration `b` with `a`; raises BadInput where either has no evaluation."""
        with self._reader.steady():
            return self._compare(a, b)

    def _compare(self, a: int, b: int) -> Comparison:
        old, new = (self._reader.iteration(self._existing(number)) for number in (a, b))
        before, after = (self._outcomes(number) for number in (a, b))
        shared = shared_rows(before, after)
        scored = scored_rows(before, after, shared) if scored_alike(old, new) else Paired([], [])
        lossy = lossy_rows(before, after, shared)
        changed = changed_rows(before, after, scored)
        fixed, broken = (list(values_at(after.ids, rows.new)) for rows in changed)
        clusters = clusters_at(after.clusters, scored.new)
        loss_clusters = clusters_at(after.clusters, lossy.new)
        pairs = [
            _Run.of(before, scored.old, lossy.old),
            _Run.of(after, scored.new, lossy.new),
        ]
        interval = paired_interval(pairs[0].scores, pairs[1].scores, clusters)
        before_loss, after_loss = (pair.losses or [] for pair in pairs)
        loss = paired_interval(before_loss, after_loss, loss_clusters)
        is_one_config = self.are_one_config(old, new)
        runs = [
            self._replicates(iteration, pair, after, scored.new, lossy.new)
            for iteration, pair in zip((old, new), pairs, strict=True)
        ]
        if not is_one_config:
            old_scores, new_scores = ([run.scores for run in side] for side in runs)
            interval = spread_interval(old_scores, new_scores, clusters) or interval
            old_losses, new_losses = (
                [run.losses for run in side if run.losses is not None] for side in runs
            )
            loss = spread_interval(old_losses, new_losses, loss_clusters) or loss
        claim, claim_by = claim_of(interval, loss, has_spread=min(map(len, runs)) > 1)
        if is_one_config and a != b and claim != NOTHING:
            claim, claim_by = SEED_NOISE, ""
        elif not _generated_alike(old, new):
            claim, claim_by = MEASURED_DIFFERENTLY, ""
        p_value, changed_groups = _tested(changed, after.clusters if clusters else None)
        return Comparison(
            a=a,
            b=b,
            config=self._config_changes(old, new),
            metrics=_metric_changes(old, new),
            compared=len(shared),
            fixed=fixed,
            broken=broken,
            p_value=p_value if len(scored) else None,
            interval=interval,
            replicates=(len(runs[0]), len(runs[1])),
            claim=claim,
            claim_by=claim_by,
            notices=[
                *_notices(old, new, len(before.ids), len(after.ids), len(shared)),
                *_loss_notices(before, after, shared, len(lossy)),
            ],
            loss=loss,
            loss_examples=len(lossy),
            groups=cluster_count(clusters),
            changed_groups=changed_groups,
            loss_groups=cluster_count(loss_clusters),
            unit=after.unit,
        )

    def compare_or_outline(self, a: int, b: int) -> Comparison:
        """Compares like `compare`.

        Without an evaluation only configs and metrics, with a notice.
        """
        old, new = (self._reader.iteration(self._existing(number)) for number in (a, b))
        if self._has_examples(old) and self._has_examples(new):
            return self.compare(a, b)
        return Comparison(
            a=a,
            b=b,
            config=self._config_changes(old, new),
            metrics=_metric_changes(old, new),
            compared=0,
            fixed=[],
            broken=[],
            p_value=None,
            interval=None,
            replicates=(1, 1),
            claim=NOTHING,
            notices=[
                _without_examples(each) for each in (old, new) if not self._has_examples(each)
            ],
        )

    def against_parent(self, iteration: Iteration) -> Comparison | None:
        """Compares an iteration with its parent, None where there is nothing to compare."""
        if iteration.parent is None or not has_results(iteration):
            return None
        try:
            return self.compare(iteration.parent, iteration.number)
        except (TuiLoopError, OSError):  # unreadable files are reported elsewhere
            return None

    def _existing(self, number: int) -> int:
        if number not in self._reader.numbers():
            self._reader.loop.existing(number)  # says which there are
        return number

    def _outcomes(self, number: int) -> Outcomes:
        found = self._reader.outcomes(number)
        if not found.ids:
            name = self._reader.loop.name
            raise BadInput(
                f"{name}/{number} has no evaluated examples",
                f"see how the run ended: {command('show', name)}",
            )
        return found

    def _has_examples(self, iteration: Iteration) -> bool:
        return bool(self._reader.outcomes(iteration.number).ids)

    def _replicates(
        self, iteration: Iteration, own: _Run, compared: Outcomes, scored: Rows, lossy: Rows
    ) -> list[_Run]:
        """Returns the iteration's run and finished runs of its config with other seeds.

        `scored` and `lossy` are rows of `compared`. Each seed counts once, since a repeated run
        shows no spread.
        """
        runs = [own]
        seeds = {_seed(iteration)}
        for other in self._finished_alike(iteration):
            try:
                if _seed(other) in seeds or not self._is_replicate(iteration, other):
                    continue
                theirs = self._reader.outcomes(other.number)
            except (BadInput, OSError):
                continue  # an unreadable iteration must not hide other replicates
            rows = rows_in(theirs, compared.ids)
            own_rows = [row for row in values_at(rows, scored) if row is not None]
            if len(own_rows) == len(scored):
                runs.append(_Run.of(theirs, own_rows, values_at(rows, lossy)))
                seeds.add(_seed(other))
        return runs

    def _finished_alike(self, iteration: Iteration) -> list[Iteration]:
        """Returns the finished iterations with the config of `iteration`, in order."""
        iterations = self._reader.iterations()
        if self._by_config[0] is not iterations:
            found: dict[bytes, list[Iteration]] = {}
            for each in iterations:
                if each.state == "finished" and each.config is not None:
                    with suppress(BadInput):  # an unreadable config equals no other
                        found.setdefault(self.config_key(each), []).append(each)
            self._by_config = iterations, found
        try:
            return self._by_config[1].get(self.config_key(iteration), [])
        except BadInput:
            return []

    def _is_replicate(self, iteration: Iteration, other: Iteration) -> bool:
        return _measured_alike(iteration, other) and self.are_one_config(iteration, other)

    def are_one_config(self, old: Iteration, new: Iteration) -> bool:
        """Returns whether two iterations differ only in the seed: one config on the same rows."""
        return (
            0 not in (old.number, new.number)
            and self.config_key(old) == self.config_key(new)
            and _same_rows(self._train_split(old), self._train_split(new))
        )

    def config_key(self, iteration: Iteration) -> bytes:
        """Returns the key of an iteration's config; raises BadInput where it is unreadable."""
        return self._read_config(iteration)[1]

    def _read_config(self, iteration: Iteration) -> tuple[Config, bytes]:
        """Returns an iteration's config and its key; raises BadInput where it is unreadable."""
        known = self._configs.get(iteration.number)
        if known is None or known[0] is not iteration:
            config = read_config(iteration.config or {})
            known = self._configs[iteration.number] = iteration, config, config_key(config)
        return known[1:]

    def _config_changes(self, old: Iteration, new: Iteration) -> dict[str, tuple[Any, Any]]:
        if old.config is None or new.config is None:
            return {}
        return changed_fields(self._read_config(old)[0], self._read_config(new)[0])

    def _train_split(self, iteration: Iteration) -> Split | None:
        return self._reader.splits(iteration.number).get("train")


def config_key(config: Config) -> bytes:
    """Returns a config as bytes to compare, without the seed and `evaluation.base`.

    Runs that differ only in these have one config.
    """
    values = flatten(config)
    return to_json({name: values[name] for name in sorted(values) if name not in _NO_DIFFERENCE})


def _tested(changed: tuple[Paired, Paired], clusters: Clusters | None) -> tuple[float, int]:
    """Returns the p-value of the fixed and broken examples, and how many groups changed.

    The exact McNemar test over examples, with `clusters` the sign-flip test over groups.
    """
    fixed, broken = (rows.new for rows in changed)
    if clusters is None:
        return mcnemar(len(fixed), len(broken)), 0
    numbers = [*values_at(clusters, fixed), *values_at(clusters, broken)]
    return changes_by_group([1] * len(fixed) + [-1] * len(broken), numbers)


def changes_by_group(changes: Sequence[int], clusters: Clusters) -> tuple[float, int]:
    """Returns the p-value of the sign-flip test, and how many groups changed.

    `changes`: 1 for each fixed example, -1 for each broken one, 0 for any other.
    """
    marked = [(each, number) for each, number in zip(changes, clusters, strict=True) if each]
    differences, _ = sums_by_cluster(*zip(*marked, strict=True)) if marked else ([], [])
    return sign_flip(map(int, differences)), len(differences)


def scored_alike(old: Iteration, new: Iteration) -> bool:
    """Returns whether both were scored by the same metric with the same settings."""
    if old.fingerprint is None or new.fingerprint is None:
        return True
    return old.fingerprint.metric == new.fingerprint.metric


def has_results(iteration: Iteration) -> bool:
    """Returns whether an iteration has a score or an eval loss."""
    return any(iteration.metrics.get(name) is not None for name in ("score", "eval_loss"))


def _generated_alike(old: Iteration, new: Iteration) -> bool:
    """Returns whether both sampled or both not, with the same stop; True where that is unknown."""
    if old.fingerprint is None or new.fingerprint is None:
        return True
    return "generation" not in new.fingerprint.differs_from(old.fingerprint)


def claim_of(
    score: Interval | None, loss: Interval | None, *, has_spread: bool
) -> tuple[str, Literal["score", "loss", ""]]:
    """Returns the claim on a change, and what it rests on.

    The score decides. Where there is none or it shows no difference, the loss does.
    """
    if score is None and loss is None:
        return NOTHING, ""
    certainty = "" if has_spread else "consistent with "
    if score is not None and score.excludes_zero:
        return f"{certainty}{'better' if score.delta > 0 else 'worse'}", "score"
    margin = 1.0 if score is None else SECOND_TEST
    if loss is not None and loss.excludes_zero and abs(loss.delta) > margin * loss.margin:
        return f"{certainty}{'better' if loss.delta < 0 else 'worse'}", "loss"
    return NO_DIFFERENCE, ""


def _without_examples(iteration: Iteration) -> str:
    text = f"iteration {iteration.number} has no evaluated examples"
    if iteration.error:
        return f"{text}: its run failed ({iteration.error.get('kind')})"
    return text if iteration.state == "finished" else f"{text}: it is {iteration.state}"


def _loss_notices(old: Outcomes, new: Outcomes, shared: Paired, compared: int) -> list[str]:
    unlike = len(shared) - sum(with_same_tokens(old, new, shared))
    lacking = len(shared) - compared - unlike
    notices = []
    if unlike:
        notices.append(f"{counted(unlike, 'example')} left out of the loss: token counts differ")
    if lacking and not all(map(math.isnan, chain(old.losses, new.losses))):
        text = f"{counted(lacking, 'example')} left out of the loss"
        notices.append(f"{text}: it is not finite in at least one of the iterations")
    return notices


def _notices(old: Iteration, new: Iteration, had: int, has: int, shared: int) -> list[str]:
    notices = []
    if old.fingerprint and new.fingerprint:
        parts = new.fingerprint.differs_from(old.fingerprint)
        if not scored_alike(old, new):
            notices.append("the metrics differ, so scores are not compared: rescore one iteration")
        if parts:
            notices.append(
                f"measured differently ({', '.join(parts)}): only the {shared} examples in both "
                "iterations are compared"
            )
    if shared < max(had, has) and not notices:
        notices.append(f"only {shared} of {max(had, has)} examples are in both iterations")
    return notices


def _same_rows(one: Split | None, other: Split | None) -> bool:
    """Returns whether both have the same rows, by digest or, in older records, by file."""
    if one is None or other is None:
        return one is other
    if one.digest is not None and other.digest is not None:
        return one.digest == other.digest
    return (one.sha256, one.rows) == (other.sha256, other.rows)


def _metric_changes(old: Iteration, new: Iteration) -> dict[str, tuple[Any, Any]]:
    names = [*new.metrics, *(name for name in old.metrics if name not in new.metrics)]
    return {name: (old.metrics.get(name), new.metrics.get(name)) for name in names}


def _measured_alike(one: Iteration, other: Iteration) -> bool:
    if one.fingerprint is None or other.fingerprint is None:
        return one.fingerprint is other.fingerprint
    return not one.fingerprint.differs_from(other.fingerprint)


def _seed(iteration: Iteration) -> Any:
    group, _, field = SEED.partition(".")
    return (iteration.config or {}).get(group, {}).get(field)
