"""A training row as the model sees it, token by token."""

from __future__ import annotations

import msgspec


class TrainedRow(msgspec.Struct, frozen=True):
    """`tokens` as (text, trained on); the last `cut` of them are beyond training.max_length.

    `number` counts training rows from 1, of `total`; `line` is where it stands in its file.
    """

    number: int
    total: int
    line: int
    id: str
    tokens: list[tuple[str, bool]]
    cut: int = 0

    @property
    def trained(self) -> int:
        """How many tokens are trained on."""
        return sum(trained for _, trained in self.tokens)
