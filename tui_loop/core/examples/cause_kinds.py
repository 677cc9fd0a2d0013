"""The kinds of causes, and the settings that they depend on."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Cause(StrEnum):
    """The recorded names of causes, the most important first."""

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
    INVALID_CALL = "invalid_call"
    NO_CALL = "no_call"
    WRONG_TOOL = "wrong_tool"
    WRONG_ARGUMENT = "wrong_argument"
    TRUNCATED_OUTPUT = "truncated_output"
    WRONG_CONTENT = "wrong_content"

    @property
    def words(self) -> str:
        """Returns the name for people."""
        return cause_words(self.value)


def cause_words(name: str) -> str:
    """Returns the name of a cause for people."""
    return "no such label" if name == Cause.OUT_OF_VOCABULARY else name.replace("_", " ")


class CauseEvidence(msgspec.Struct, frozen=True):
    """A cause with one sentence of evidence."""

    kind: Cause
    evidence: str


class Measured(msgspec.Struct, frozen=True):
    """How examples were evaluated, as far as causes depend on it.

    `labels`: for metric label the label set; for exact_match the inferred labels.
    """

    metric: str = "exact_match"
    labels: tuple[str, ...] = ()
    max_new_tokens: int | None = None
    pattern: str | None = None
