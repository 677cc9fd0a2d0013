"""What a cause is, and what it is decided by."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Cause(StrEnum):
    """The names of causes as records have them, the most telling first."""

    SUSPECT_REFERENCE = "suspect_reference"
    EMPTY = "empty"
    NO_END_TOKEN = "no_end_token"
    REPETITION = "repetition"
    REFUSAL = "refusal"
    FORMAT = "format"
    NEAR_MISS = "near_miss"
    PROMPT_TRUNCATED = "prompt_truncated"
    WRONG_LABEL = "wrong_label"
    OUT_OF_VOCABULARY = "out_of_vocabulary"
    TRUNCATED_OUTPUT = "truncated_output"
    WRONG_CONTENT = "wrong_content"

    @property
    def words(self) -> str:
        """As a person reads it."""
        return cause_words(self.value)


def cause_words(name: str) -> str:
    """The name of a cause as a person reads it, the same everywhere."""
    return "no such label" if name == Cause.OUT_OF_VOCABULARY else name.replace("_", " ")


class CauseEvidence(msgspec.Struct, frozen=True):
    """A cause, and in one sentence how it was decided."""

    kind: Cause
    evidence: str


class Measured(msgspec.Struct, frozen=True):
    """How examples were measured, as far as causes hang on it.

    `labels`: of metric label the label set; of exact_match what the references look like.
    """

    metric: str = "exact_match"
    labels: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    pattern: str | None = None
