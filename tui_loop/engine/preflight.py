"""Pre-flight with the tokenizer: how long rows are, and which of their tokens are trained on.

Rows are rendered as the run renders them and masked as SFTTrainer masks them (trl 1.16,
`SFTTrainer._prepare_dataset`); a test holds the two against each other.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from tui_loop.core.checking.findings import (
    Evidence,
    Finding,
    counted,
    error,
    evidence,
    info,
    of_all,
    share,
    shown,
    warning,
)
from tui_loop.core.checking.tokens import TrainedRow
from tui_loop.core.data.loading import LoadedData
from tui_loop.core.data.rows import Row
from tui_loop.core.schema import Config
from tui_loop.core.text import one_line
from tui_loop.engine.models import find_model
from tui_loop.engine.rendering import Renderer
from tui_loop.engine.sizes import Context

SAMPLED_ROWS = 5000
"""Rows that are rendered: seconds of work; of more, a seeded sample and the longest."""

LONGEST_ROWS = 200
LITTLE = 0.01
"""A share of trained tokens below this is warned of."""

Poll = Callable[[], None]


class Masked(msgspec.Struct, frozen=True):
    """A row as it is trained on: its tokens within max_length, `trained` says which count.

    `cut` tokens were beyond max_length, `cut_trained` of them would have counted.
    """

    ids: list[int]
    trained: list[bool]
    cut: int = 0
    cut_trained: int = 0


class TokenCheck:
    """Renders and masks the training rows of one config. Raises TuiLoopError as a run would."""

    def __init__(self, config: Config, root: Path, data: LoadedData) -> None:
        from transformers import AutoTokenizer

        source = find_model(config.model.id, root)
        more: dict[str, Any] = {"trust_remote_code": config.model.trust_remote_code}
        if source.gguf is not None:
            more["gguf_file"] = source.gguf
        if not source.is_local:
            more["revision"] = config.model.revision
        self._tokenizer = AutoTokenizer.from_pretrained(source.name, **more)
        self._config, self._data = config, data
        self._renderer = Renderer(self._tokenizer, config, data.mapping.shape)
        self._template = self._training_template()

    def masked(self, row: Row, *, whole: bool = False) -> Masked:
        """A row's tokens and which of them are trained on; `whole`: also those beyond the limit."""
        training = self._config.training
        tokens = self._renderer.tokens(row)
        ids = tokens.ids
        paired = self._data.mapping.shape in ("prompt_completion", "instruction")
        trained = [True] * len(ids)
        if paired and training.completion_only_loss is not False:
            trained = [at >= tokens.start for at in range(len(ids))]
        if training.assistant_only_loss and self._renderer.uses_chat:
            marks = self._assistant_marks(row)
            trained = [own and bool(mark) for own, mark in zip(trained, marks, strict=False)]
        limit = None if training.packing else training.max_length
        if limit is None or len(ids) <= limit:
            return Masked(ids, trained)
        kept = slice(-limit, None) if self._keeps_end else slice(None, limit)
        cut_trained = sum(trained) - sum(trained[kept])
        cut = len(ids) - limit
        if whole:
            inside = set(range(len(ids))[kept])
            return Masked(
                ids, [each and at in inside for at, each in enumerate(trained)], cut, cut_trained
            )
        return Masked(ids[kept], trained[kept], cut, cut_trained)

    def row(self, number: int) -> TrainedRow:
        """The `number`-th training row (from 1) with its tokens as text."""
        row = self._data.train[number - 1]
        masked = self.masked(row, whole=True)
        texts = [self._tokenizer.decode([each]) for each in masked.ids]
        return TrainedRow(
            number,
            len(self._data.train),
            row.line,
            row.id,
            list(zip(texts, masked.trained, strict=True)),
            masked.cut,
        )

    def render(self, poll: Poll = lambda: None) -> tuple[list[tuple[Row, Masked]], list[Finding]]:
        """Rows with their tokens, and what a template refuses; of many rows a sample."""
        done: list[tuple[Row, Masked]] = []
        refused: list[tuple[Row, str]] = []
        for count, row in enumerate(self._rows()):
            if count % 64 == 0:
                poll()
            try:
                done.append((row, self.masked(row)))
            except Exception as fault:  # a template's own, whatever it raises
                refused.append((row, one_line(str(fault), 160) or type(fault).__name__))
        if not refused:
            return done, []
        first, why = refused[0]
        return done, [
            error(
                "wrong_roles",
                f"the model's chat template refuses {counted(len(refused), 'training row')}: "
                f"{why} (line {first.line})",
                "mend or remove them, or choose a model whose template takes such turns",
                count=len(refused),
                rows=evidence(shown("train", row) for row, _ in refused),
            )
        ]

    def findings(self, rows: Sequence[tuple[Row, Masked]], context: Context) -> list[Finding]:
        """Lengths, what is cut, what is trained on."""
        if not rows:
            return []
        enough = min(max(len(each.ids) + each.cut for _, each in rows), context.tokens)
        hint = f"--set training.max_length={enough}"
        found = [self._lengths(rows), *self._trained(rows, hint), *self._too_long(rows, hint)]
        return [*found, *self._beyond(rows, context), *self._padding(rows)]

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

    def _lengths(self, rows: Sequence[tuple[Row, Masked]]) -> Finding:
        lengths = sorted(len(each.ids) + each.cut for _, each in rows)
        longest, row = max(((len(each.ids) + each.cut, row) for row, each in rows), key=_first)
        of = "" if self._is_whole(rows) else f" (of {len(rows):,} sampled rows)"
        return info(
            "tokens",
            f"a row has {lengths[len(lengths) // 2]} tokens (median), 95% have up to "
            f"{lengths[(95 * len(lengths) - 1) // 100]}, the longest has {longest}{of}",
            count=longest,
            rows=(shown("train", row),),
        )

    def _trained(self, rows: Sequence[tuple[Row, Masked]], longer: str) -> list[Finding]:
        total = sum(len(each.ids) for _, each in rows)
        trained = sum(sum(each.trained) for _, each in rows)
        words = f"{share(trained, total)} of the tokens are trained on"
        make = warning if trained < LITTLE * total else info
        hint = "which ones: tui-loop check LOOP --row 1, or in the app C and then ]"
        found = [make("trained_share", words, hint, count=trained)]
        masked = [row for row, each in rows if not any(each.trained)]
        if masked:
            all_of_them = len(masked) == len(rows)
            report = error if all_of_them else warning
            limit = self._config.training.max_length
            found.append(
                report(
                    "fully_masked",
                    f"{of_all(len(masked), len(rows), self._words(rows))} "
                    f"{'has' if len(masked) == 1 else 'have'} no trained token within "
                    f"{limit} tokens and {'is' if len(masked) == 1 else 'are'} left out",
                    longer,
                    count=len(masked),
                    rows=evidence(shown("train", row) for row in masked),
                )
            )
        return found

    def _too_long(self, rows: Sequence[tuple[Row, Masked]], longer: str) -> list[Finding]:
        long = [(row, each) for row, each in rows if each.cut]
        if not long:
            return []
        trained = sum(sum(each.trained) + each.cut_trained for _, each in rows)
        lost = sum(each.cut_trained for _, each in rows)
        long.sort(key=lambda pair: -pair[1].cut)
        return [
            warning(
                "too_long",
                f"{of_all(len(long), len(rows), self._words(rows))} "
                f"{'is' if len(long) == 1 else 'are'} longer than training.max_length = "
                f"{self._config.training.max_length}: {share(lost, trained)} of the tokens to "
                "train on are cut off",
                longer,
                count=len(long),
                rows=evidence(
                    Evidence(
                        "train",
                        row.line,
                        one_line(row.id, 80),
                        f"{len(each.ids) + each.cut} tokens: {shown('train', row).text}",
                    )
                    for row, each in long
                ),
            )
        ]

    def _beyond(self, rows: Sequence[tuple[Row, Masked]], context: Context) -> list[Finding]:
        """Rows that the model itself cannot take: with learned positions that is an error."""
        report = error if context.is_hard else warning
        limit = self._config.training.max_length
        if self._config.training.packing and limit is not None:
            if limit <= context.tokens:
                return []
            return [
                report(
                    "beyond_context",
                    f"rows are packed to training.max_length = {limit} tokens, and the model was "
                    f"made for {context.tokens}",
                    f"--set training.max_length={context.tokens}",
                )
            ]
        beyond = [row for row, each in rows if len(each.ids) > context.tokens]
        if not beyond:
            return []
        return [
            report(
                "beyond_context",
                f"{of_all(len(beyond), len(rows), self._words(rows))} "
                f"{'is' if len(beyond) == 1 else 'are'} longer than the {context.tokens} tokens "
                "that the model was made for",
                f"--set training.max_length={context.tokens}",
                count=len(beyond),
                rows=evidence(shown("train", row) for row in beyond),
            )
        ]

    def _padding(self, rows: Sequence[tuple[Row, Masked]]) -> list[Finding]:
        """Share of padding in shuffled batches of this size."""
        training = self._config.training
        batch = training.per_device_train_batch_size
        if training.packing or batch == 1:
            return []
        lengths = [len(each.ids) for _, each in rows]
        random.Random(training.seed).shuffle(lengths)
        batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
        computed = sum(max(each) * len(each) for each in batches)
        waste = computed - sum(lengths)
        return [info("padding", f"{share(waste, computed)} of what is computed is padding")]

    def _is_whole(self, rows: Sequence[tuple[Row, Masked]]) -> bool:
        """Whether these are all training rows, not a sample."""
        return len(self._data.train) <= SAMPLED_ROWS or len(rows) == len(self._data.train)

    def _words(self, rows: Sequence[tuple[Row, Masked]]) -> str:
        return "training rows" if self._is_whole(rows) else "sampled training rows"

    @property
    def _keeps_end(self) -> bool:
        return self._config.other.get("truncation_mode") == "keep_end"

    def _training_template(self) -> str | None:
        """The template whose assistant turns are marked, as SFTTrainer chooses it."""
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
        return list(encoded["assistant_masks"])


def _first(pair: tuple[int, Row]) -> int:
    return pair[0]
