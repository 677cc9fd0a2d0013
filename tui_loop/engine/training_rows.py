"""The training rows as SFTTrainer gets them: token ids, and labels that are the loss mask."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tui_loop.core.data.rows import Row
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.run_control import polled

IGNORED = -100
"""The label of a token without loss (torch's `ignore_index`)."""


class TrainingRows(msgspec.Struct, frozen=True):
    """Rows with `input_ids` and `labels`, and the length of each row that was rendered.

    `left_out` rows have no trained token at all. `flaws`: how many rows have each of them.
    """

    records: list[dict[str, Any]]
    lengths: list[int]
    trained_tokens: int
    answer_tokens: int
    left_out: int
    flaws: dict[str, int]

    @property
    def metrics(self) -> dict[str, int]:
        """Returns the number of rows, and of tokens in all rows: trained on, and in answers."""
        return {
            "train_rows": len(self.lengths),
            "trained_tokens": self.trained_tokens,
            "answer_tokens": self.answer_tokens,
        }


def render_training_rows(
    renderer: Renderer, rows: Sequence[Row], poll: Callable[[], None] = lambda: None
) -> TrainingRows:
    """Renders the rows. Raises BadInput where the chat template refuses one."""
    records: list[dict[str, Any]] = []
    lengths: list[int] = []
    flaws: Counter[str] = Counter()
    trained_tokens = answer_tokens = 0
    for row in polled(rows, poll):
        tokens = renderer.tokens(row)
        lengths.append(len(tokens.ids))
        flaws.update(tokens.flaws)
        count = sum(tokens.trained)
        answer_tokens += tokens.answer_tokens
        if count:
            trained_tokens += count
            records.append(record_of(tokens.ids, tokens.trained))
    left_out = len(lengths) - len(records)
    return TrainingRows(
        records, lengths, trained_tokens, answer_tokens, left_out, dict(sorted(flaws.items()))
    )


def record_of(ids: list[int], trained: list[bool]) -> dict[str, list[int]]:
    """Returns a row as SFTTrainer gets it; its labels are its ids where they are trained on."""
    labels = [token if counts else IGNORED for token, counts in zip(ids, trained, strict=True)]
    return {"input_ids": ids, "labels": labels}
