"""Renders training rows with their loss mask: which tokens are trained on.

Rows are rendered as a run renders them and masked as SFTTrainer masks them (trl 1.16,
`SFTTrainer._prepare_dataset`); a test compares the two.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from tui_loop.core.config.schema import Config
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.rows import Row
from tui_loop.core.errors import BadInput
from tui_loop.core.preflight.check_result import CheckKind, CheckResult, error, evidence, shown
from tui_loop.core.preflight.row_checks import TrainedRow
from tui_loop.core.text.figures import counted
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine.model_source import find_model
from tui_loop.engine.models import pretrained_arguments
from tui_loop.engine.rendering import Renderer

SAMPLED_ROWS = 5000
"""At most this many rows are rendered, which takes seconds: a seeded sample and the longest."""

LONGEST_ROWS = 200
"""This many of the longest rows are always rendered: a sample would miss those that are cut."""

Poll = Callable[[], None]


class MaskedTokens(msgspec.Struct, frozen=True):
    """A row's tokens within max_length; `trained` is the loss mask.

    `cut` tokens were beyond max_length, `cut_trained` of them would have been trained on.
    """

    ids: list[int]
    trained: list[bool]
    cut: int = 0
    cut_trained: int = 0


class LossMasker:
    """Renders and masks the training rows of a config. Raises TuiLoopError as a run would."""

    def __init__(self, config: Config, root: Path, data: LoadedData) -> None:
        from transformers import AutoTokenizer

        source = find_model(config.model.id, root)
        arguments = pretrained_arguments(config, source)
        self._tokenizer = AutoTokenizer.from_pretrained(source.name, **arguments)
        self._config, self._data = config, data
        self._renderer = Renderer(self._tokenizer, config, data.mapping.shape)
        self._template = self._training_template()

    def apply(self, row: Row, *, whole: bool = False) -> MaskedTokens:
        """Returns a row's tokens with their loss mask.

        `whole` includes the tokens beyond max_length.
        """
        training = self._config.training
        tokens = self._renderer.tokens(row)
        ids = tokens.ids
        has_completion = self._data.mapping.shape in ("prompt_completion", "instruction")
        trained = [True] * len(ids)
        if has_completion and training.completion_only_loss is not False:
            trained = [at >= tokens.start for at in range(len(ids))]
        if training.assistant_only_loss and self._renderer.uses_chat:
            marks = self._assistant_marks(row)
            trained = [own and bool(mark) for own, mark in zip(trained, marks, strict=False)]
        limit = None if training.packing else training.max_length
        if limit is None or len(ids) <= limit:
            return MaskedTokens(ids, trained)
        window = slice(-limit, None) if self._keeps_end else slice(None, limit)
        cut_trained = sum(trained) - sum(trained[window])
        cut = len(ids) - limit
        if whole:
            inside = set(range(len(ids))[window])
            return MaskedTokens(
                ids, [each and at in inside for at, each in enumerate(trained)], cut, cut_trained
            )
        return MaskedTokens(ids[window], trained[window], cut, cut_trained)

    def row(self, number: int) -> TrainedRow:
        """Returns the `number`-th training row (from 1) with its tokens as text."""
        row = self._data.train[number - 1]
        masked = self.apply(row, whole=True)
        texts = [self._tokenizer.decode([each]) for each in masked.ids]
        return TrainedRow(
            number,
            len(self._data.train),
            row.line,
            row.id,
            list(zip(texts, masked.trained, strict=True)),
            masked.cut,
        )

    def render(
        self, poll: Poll = lambda: None
    ) -> tuple[list[tuple[Row, MaskedTokens]], list[CheckResult]]:
        """Renders the rows, of many a sample; returns those whose template raises as a check."""
        rendered: list[tuple[Row, MaskedTokens]] = []
        refused: list[tuple[Row, str]] = []
        for count, row in enumerate(self._rows()):
            if count % 64 == 0:
                poll()
            try:
                rendered.append((row, self.apply(row)))
            except Exception as fault:  # a chat template may raise anything
                refused.append((row, one_line(str(fault), 160) or type(fault).__name__))
        if not refused:
            return rendered, []
        first, reason = refused[0]
        return rendered, [
            error(
                CheckKind.WRONG_ROLES,
                f"the model's chat template rejects "
                f"{counted(len(refused), 'training row')}: {reason} (line {first.line})",
                "fix or remove them, or choose a model whose template accepts such turns",
                count=len(refused),
                rows=evidence(shown("train", row) for row, _ in refused),
            )
        ]

    def _rows(self) -> Iterator[Row]:
        rows = self._data.train
        if len(rows) <= SAMPLED_ROWS:
            yield from rows
            return
        by_length = sorted(
            range(len(rows)), key=lambda at: -len(rows[at].prompt) - len(rows[at].reference)
        )
        others = by_length[LONGEST_ROWS:]
        sampled = random.Random(0).sample(others, SAMPLED_ROWS - LONGEST_ROWS)
        chosen = [*by_length[:LONGEST_ROWS], *sampled]
        yield from (rows[at] for at in sorted(chosen))

    @property
    def _keeps_end(self) -> bool:
        return self._config.other.get("truncation_mode") == "keep_end"

    def _training_template(self) -> str | None:
        """Returns the template that marks assistant turns, as SFTTrainer chooses it."""
        if not (self._config.training.assistant_only_loss and self._renderer.uses_chat):
            return None
        from trl.chat_template_utils import get_training_chat_template, has_generation_markers

        if has_generation_markers(self._tokenizer.chat_template):
            return None
        template: str | None = get_training_chat_template(self._tokenizer)
        return template

    def _assistant_marks(self, row: Row) -> list[int]:
        record = self._renderer.training_record(row)
        turns = record.get("messages") or [*record["prompt"], *record["completion"]]
        encoded = self._tokenizer.apply_chat_template(
            turns,
            chat_template=self._template,
            tokenize=True,
            return_dict=True,
            return_assistant_tokens_mask=True,
        )
        marks = list(encoded["assistant_masks"])
        if 1 not in marks:
            raise BadInput("it marks no assistant tokens (training.assistant_only_loss)")
        return marks
