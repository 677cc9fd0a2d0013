"""Renders training rows for `check`: which tokens are trained on, and what is wrong with a row.

Rows are rendered as a run renders them, and truncated as SFTTrainer truncates them (trl 1.16,
`SFTTrainer._prepare_dataset`); a test compares the two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.row_store import row_lengths
from tui_loop.core.data.rows import Row
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, evidence, shown
from tui_loop.core.preflight.row_checks import TrainedRow, TurnTokens
from tui_loop.core.text.figures import counted
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import generation_ends, load_tokenizer
from tui_loop.engine.rendering import Flaw, Renderer, RowNotRendered

SAMPLED_ROWS = 5000
"""At most this many rows are rendered, which takes seconds: a seeded sample and the longest."""

LONGEST_ROWS = 200
"""This many of the longest rows are always rendered: a sample would miss those that are cut."""

_OTHER_ROWS = "fix or remove these rows, or choose a model whose chat template accepts them"
_OTHER_TEMPLATE = "choose a model whose template fits the rows, or --set data.chat_template=FILE"
"""What to do about some rows, and about all rows, that the chat template rejects."""

PROGRESS_ROWS = 500
"""The number of rows between two calls of `progress`."""

Poll = Callable[[], None]
Progress = Callable[[int, int], None]


class MaskedTokens(msgspec.Struct, frozen=True):
    """A row's tokens within max_length; `trained` is the loss mask.

    `cut` tokens were beyond max_length, `cut_trained` of them would have been trained on.
    `flaws`: what is wrong with how the row is rendered.
    """

    ids: list[int]
    trained: list[bool]
    cut: int = 0
    cut_trained: int = 0
    flaws: tuple[Flaw, ...] = ()

    @property
    def has_loss(self) -> bool:
        """Whether a token has a loss; nothing predicts the first one."""
        return any(self.trained[1:])


class LossMasker:
    """Renders and masks the training rows of a config. Raises TuiLoopError as a run would."""

    def __init__(self, config: Config, root: Path, data: LoadedData) -> None:
        source = find_model(config.model.id, root)
        self.tokenizer = load_tokenizer(config, source)
        self.config, self.data = config, data
        self.model_ends = generation_ends(config, source)
        self.renderer = Renderer(
            self.tokenizer,
            config,
            data.mapping.shape,
            root=root,
            rows=data.train,
            model_ends=self.model_ends,
        )

    def apply(self, row: Row, *, whole: bool = False) -> MaskedTokens:
        """Returns a row's tokens with their loss mask.

        `whole` includes the tokens beyond max_length.
        """
        training, tokens = self.config.training, self.renderer.tokens(row)
        ids, trained = tokens.ids, tokens.trained
        limit = None if training.packing else training.max_length
        if limit is None or len(ids) <= limit:
            return MaskedTokens(ids, trained, flaws=tokens.flaws)
        window = slice(-limit, None) if self._keeps_end else slice(None, limit)
        cut_trained = sum(trained) - sum(trained[window])
        cut = len(ids) - limit
        if whole:
            inside = set(range(len(ids))[window])
            trained = [each and at in inside for at, each in enumerate(trained)]
            return MaskedTokens(ids, trained, cut, cut_trained, tokens.flaws)
        return MaskedTokens(ids[window], trained[window], cut, cut_trained, tokens.flaws)

    def row(self, number: int) -> TrainedRow:
        """Returns the `number`-th training row (from 1) with its tokens as text."""
        row = self.data.train[number - 1]
        masked = self.apply(row, whole=True)
        texts = self.renderer.encoder.texts(masked.ids)
        special = set(self.tokenizer.all_special_ids)
        return TrainedRow(
            number,
            len(self.data.train),
            row.line,
            row.id,
            list(zip(texts, masked.trained, strict=True)),
            [
                TurnTokens(
                    part.role, part.start, part.end, sum(masked.trained[part.start : part.end])
                )
                for part in self.renderer.parts(row)
            ],
            masked.cut,
            [place for place, each in enumerate(masked.ids) if each in special],
        )

    def render(
        self, poll: Poll = lambda: None, progress: Progress = lambda done, total: None
    ) -> tuple[list[tuple[Row, MaskedTokens]], list[CheckResult]]:
        """Renders the rows, of many a sample; returns those whose template raises as a check."""
        rendered: list[tuple[Row, MaskedTokens]] = []
        refused: list[tuple[Row, str]] = []
        total = min(SAMPLED_ROWS, len(self.data.train))
        for count, row in enumerate(self._rows()):
            if count % 64 == 0:
                poll()
            if count % PROGRESS_ROWS == 0:
                progress(count, total)
            try:
                rendered.append((row, self.apply(row)))
            except RowNotRendered as fault:
                refused.append((row, fault.reason))
        if not refused:
            return rendered, []
        first, reason = refused[0]
        return rendered, [
            error(
                CheckKind.WRONG_ROLES,
                f"the model's chat template rejects "
                f"{counted(len(refused), 'training row')}: {reason} (line {first.line})",
                _OTHER_ROWS if rendered else _OTHER_TEMPLATE,
                count=len(refused),
                rows=evidence(shown("train", row) for row, _ in refused),
            )
        ]

    def _rows(self) -> Iterator[Row]:
        rows = self.data.train
        if len(rows) <= SAMPLED_ROWS:
            yield from rows
            return
        lengths = list(row_lengths(rows))
        by_length = sorted(range(len(rows)), key=lambda at: -lengths[at])
        others = by_length[LONGEST_ROWS:]
        sampled = random.Random(0).sample(others, SAMPLED_ROWS - LONGEST_ROWS)
        chosen = [*by_length[:LONGEST_ROWS], *sampled]
        yield from (rows[at] for at in sorted(chosen))

    @property
    def _keeps_end(self) -> bool:
        return self.config.other.get("truncation_mode") == "keep_end"
