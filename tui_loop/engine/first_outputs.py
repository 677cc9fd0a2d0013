"""The first outputs of a final evaluation: what the parent failed is generated first."""

from __future__ import annotations

from tui_loop.core.errors import BadInput
from tui_loop.core.examples.generation_order import FirstLook, first_look, in_words
from tui_loop.core.record.reader import iteration_of
from tui_loop.core.record.structs import Fingerprint
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
