"""The first outputs of a final evaluation: what the parent failed is generated first."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Example, Fingerprint
from tui_loop.core.scoring import Scorer
from tui_loop.engine.generation import Generated
from tui_loop.engine.run_context import Prepared, Run

_ALIKE = {"lengths", "generation", "metric"}
"""Parts of a fingerprint that have to be equal for an outcome to mean the same."""


class FirstOutputs:
    """The rows that come first, and what is found of them; `finished` gets every output.

    Without a parent, or where it would save no time, there are none and nothing is told.
    """

    def __init__(self, run: Run, prepared: Prepared) -> None:
        self._run, self._prepared = run, prepared
        self._parent = run.folder.read_decision().parent if run.folder.number > 0 else None
        self._look = self._chosen()
        self._waiting = set(self._look.rows) if self._look else set()
        self._passing: set[int] = set()

    @property
    def rows(self) -> tuple[int, ...]:
        """Indices of the rows to generate first."""
        return self._look.rows if self._look else ()

    def finished(self, index: int, output: Generated) -> None:
        """Takes an output; after the last of the first rows, says what came of them."""
        scorer = self._prepared.scorer
        if index not in self._waiting or self._look is None or scorer is None:
            return
        try:
            if self._passes(scorer, index, output):
                self._passing.add(index)
        except BadInput as error:  # the evaluation goes to its end and keeps the outputs
            self._run.warn("evaluation", error.message)
            self._waiting.clear()
            return
        self._waiting.discard(index)
        if not self._waiting and self._parent is not None:
            self._run.say(in_words(self._parent, self._look, frozenset(self._passing)))

    def _passes(self, scorer: Scorer, index: int, output: Generated) -> bool:
        reference = self._prepared.eval_set.rows[index].reference
        return scorer.score(output.text, reference) >= scorer.pass_score

    def _chosen(self) -> FirstLook | None:
        scorer, settings = self._prepared.scorer, self._run.config.evaluation
        if self._parent is None or scorer is None or settings.do_sample:
            return None
        folder = self._run.folder.loop.iteration(self._parent)
        try:
            if not self._is_alike(iteration_of(folder).fingerprint):
                return None
            examples = folder.read_examples()
        except BadInput:  # a parent that cannot be read is no reason to fail
            return None
        return first_look(
            self._prepared.eval_set.rows,
            examples,
            by_label=scorer.metric == "label",
            batch_size=self._prepared.eval_batch.size,
        )

    def _is_alike(self, theirs: Fingerprint | None) -> bool:
        mine = self._run.outcome.fingerprint
        return bool(mine and theirs and not _ALIKE & set(mine.differs_from(theirs)))


AT_MOST = 64
"""Rows of either kind."""

LEAST_PASSED = 16
"""Passed rows that are looked at though fewer were failed."""

LEAST_BATCHES = 4
"""With no more batches than these, the whole is there nearly as soon as a part of it."""

_SEED = 0


class FirstLook(msgspec.Struct, frozen=True):
    """Indices of the rows that come first: those that the parent failed, and that it passed."""

    failed: tuple[int, ...]
    passed: tuple[int, ...]

    @property
    def rows(self) -> tuple[int, ...]:
        return (*self.failed, *self.passed)


def first_look(
    rows: Sequence[Row], parent: Iterable[Example], *, by_label: bool, batch_size: int
) -> FirstLook | None:
    """What to look at first, given the parent's examples; None where that saves no time.

    Never more than a quarter of the rows of either kind. Samples are seeded and stratified: by
    reference where these are labels, else by the prompt's length.
    """
    if len(rows) <= LEAST_BATCHES * batch_size:
        return None
    outcomes = {(each.id, each.reference): each.passed for each in parent}
    known = [outcomes.get((row.id, row.reference)) for row in rows]
    failed = [index for index, passed in enumerate(known) if passed is False]
    passed = [index for index, is_so in enumerate(known) if is_so]
    if not failed:
        return None
    limit = min(AT_MOST, len(rows) // 4)
    return FirstLook(
        _sample(rows, failed, limit, by_label=by_label),
        _sample(rows, passed, min(limit, max(len(failed), LEAST_PASSED)), by_label=by_label),
    )


def in_words(parent: int, look: FirstLook, passing: frozenset[int]) -> str:
    """What came of it; `passing` are the indices that pass now."""
    name = "the base" if parent == 0 else str(parent)
    text = f"of {len(look.failed)} that {name} failed {len(passing & set(look.failed))} pass now"
    if look.passed:
        still = len(passing & set(look.passed))
        text += f", of {len(look.passed)} that it passed {still} still do"
    return f"first look: {text} (a subset, not the score)"


def _sample(
    rows: Sequence[Row], indices: Sequence[int], limit: int, *, by_label: bool
) -> tuple[int, ...]:
    """At most `limit` of `indices`, spread evenly over the strata (a systematic sample)."""
    if len(indices) <= limit:
        return tuple(indices)
    mixed = list(indices)
    random.Random(_SEED).shuffle(mixed)
    if by_label:
        mixed.sort(key=lambda index: rows[index].reference)
    else:
        mixed.sort(key=lambda index: len(rows[index].input_text))
    return tuple(sorted(mixed[place * len(mixed) // limit] for place in range(limit)))
