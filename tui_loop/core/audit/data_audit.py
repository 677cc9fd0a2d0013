"""Computes the data audit: exact facts about training rows against evaluation rows.

Facts about words and form are from a seeded sample where the data is very large; its size is in
`DataAudit.rows`. Everything else is from all rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain

from tui_loop.core.audit.forms import prompts_of, references_of
from tui_loop.core.audit.labels import are_labels, labels_of
from tui_loop.core.audit.order import order_of
from tui_loop.core.audit.repeats import duplicates_of, echo_of, shared_of
from tui_loop.core.audit.structs import Both, DataAudit, Rows
from tui_loop.core.audit.texts import (
    FORM_ROWS,
    SEED,
    RowTexts,
    Sides,
    digest_of_texts,
    folded,
    rows_to_read,
    texts_of,
    training_texts,
)
from tui_loop.core.audit.vocabulary import (
    column_words,
    exchange_of,
    vocabulary_of,
)
from tui_loop.core.data.rows import Row

METHOD = 1
"""Part of the digest: increase it where the same rows give other facts than before."""

Poll = Callable[[], None]


class AuditRows:
    """The rows of an audit, ready to be identified and compared.

    `is_label_metric`: the run compares labels, whatever the references look like. `poll` is called
    between the parts of the audit, and may raise to end it.
    """

    def __init__(
        self,
        train: Sequence[Row],
        held: Sequence[Row],
        *,
        is_label_metric: bool = False,
        poll: Poll = lambda: None,
    ) -> None:
        self._rows = Sides(training_texts(train, held), texts_of(held))
        self._is_label_metric, self._poll = is_label_metric, poll
        self.digest = f"{METHOD}{'L' * is_label_metric}-{digest_of_texts(self._rows)}"

    def compute(self) -> DataAudit:
        """Returns the facts; takes up to ten seconds for 100,000 rows of 100 words."""
        rows, poll = self._rows, self._poll
        has_prompts = any(row.prompt for row in chain(rows.train, rows.held))
        is_label = has_prompts and (self._is_label_metric or are_labels(rows))
        labels = labels_of(rows) if is_label else None
        poll()
        sample = _sampled(rows, FORM_ROWS)
        references = references_of(rows, sample)
        prompts = prompts_of(rows, sample) if has_prompts else None
        poll()
        folds = Sides(folded(rows.train), folded(rows.held))
        duplicates = Both(
            duplicates_of(rows.train, folds.train, has_prompts=has_prompts),
            duplicates_of(rows.held, folds.held, has_prompts=has_prompts),
        )
        poll()
        shared = shared_of(rows, folds, has_prompts=has_prompts)
        echo = Both(echo_of(folds.train), echo_of(folds.held)) if has_prompts else None
        poll()
        read = _sampled(rows)
        answered = column_words(read, _reference)
        asked = column_words(read, _prompt) if has_prompts else None
        poll()
        return DataAudit(
            digest=self.digest,
            rows=Both(
                _row_counts(rows.train, read.train, sample.train),
                _row_counts(rows.held, read.held, sample.held),
            ),
            labels=labels,
            references=references,
            prompts=prompts,
            echo=echo,
            vocabulary=vocabulary_of(
                read, *((_reference, answered) if asked is None else (_prompt, asked))
            ),
            reference_vocabulary=(
                None if is_label or asked is None else vocabulary_of(read, _reference, answered)
            ),
            duplicates=duplicates,
            shared=shared,
            order=order_of(rows.train, are_labels=is_label),
            exchange=None if asked is None else exchange_of(folds, asked, answered),
        )


def audit_data(
    train: Sequence[Row], held: Sequence[Row], *, is_label_metric: bool = False
) -> DataAudit:
    """Returns the facts about training rows and evaluation rows, each of which may be missing."""
    return AuditRows(train, held, is_label_metric=is_label_metric).compute()


def _sampled(rows: Sides[RowTexts], most: int | None = None) -> Sides[RowTexts]:
    train, held = (rows_to_read(each, most) for each in rows)
    return Sides(train, held)


def _row_counts(
    rows: Sequence[RowTexts], read: Sequence[RowTexts], sample: Sequence[RowTexts]
) -> Rows | None:
    return Rows(len(rows), len(read), len(sample), SEED) if rows else None


def _prompt(row: RowTexts) -> str:
    return row.prompt


def _reference(row: RowTexts) -> str:
    return row.reference
