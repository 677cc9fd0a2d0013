"""Pre-flight with the tokenizer: how long rows are, and how much of them is trained on."""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from tui_loop.core.checking.kinds import CheckKind
from tui_loop.core.config.schema import Training
from tui_loop.core.data.rows import Row
from tui_loop.core.preflight.check_result import (
    CheckResult,
    RowEvidence,
    error,
    evidence,
    info,
    shown,
    warning,
)
from tui_loop.core.text.figures import of_all, share
from tui_loop.core.text.untrusted import one_line
from tui_loop.engine import masking
from tui_loop.engine.masking import Masked
from tui_loop.engine.sizes import Context

LITTLE = 0.01
"""A share of trained tokens below this is warned of."""

MaskedRow = tuple[Row, Masked]


def token_findings(
    training: Training, rows: Sequence[MaskedRow], total: int, context: Context
) -> list[CheckResult]:
    """Lengths, what is cut, what is trained on; of `total` training rows these were looked at."""
    return _Counting(training, rows, total).findings(context) if rows else []


class _Counting(msgspec.Struct, frozen=True):
    training: Training
    rows: Sequence[MaskedRow]
    total: int

    def findings(self, context: Context) -> list[CheckResult]:
        enough = min(max(len(each.ids) + each.cut for _, each in self.rows), context.tokens)
        hint = f"--set training.max_length={enough}"
        found = [self._lengths(), *self._trained(hint), *self._too_long(hint)]
        return [*found, *self._beyond(context), *self._padding()]

    def _lengths(self) -> CheckResult:
        lengths = sorted(len(each.ids) + each.cut for _, each in self.rows)
        longest, row = max(((len(each.ids) + each.cut, row) for row, each in self.rows), key=_first)
        of = "" if self.is_whole else f" (of {len(self.rows):,} sampled rows)"
        return info(
            CheckKind.TOKENS,
            f"a row has {lengths[len(lengths) // 2]} tokens (median), 95% have up to "
            f"{lengths[(95 * len(lengths) - 1) // 100]}, the longest has {longest}{of}",
            count=longest,
            rows=(shown("train", row),),
        )

    def _trained(self, longer: str) -> list[CheckResult]:
        total = sum(len(each.ids) for _, each in self.rows)
        trained = sum(sum(each.trained) for _, each in self.rows)
        words = f"{share(trained, total)} of the tokens are trained on"
        make = warning if trained < LITTLE * total else info
        hint = "which ones: tui-loop check LOOP --row 1, or in the app C and then ]"
        found = [make(CheckKind.TRAINED_SHARE, words, hint, count=trained)]
        masked = [row for row, each in self.rows if not any(each.trained)]
        if masked:
            all_of_them = self.is_whole and len(masked) == len(self.rows)
            report = error if all_of_them else warning
            limit = self.training.max_length
            found.append(
                report(
                    CheckKind.FULLY_MASKED,
                    f"{of_all(len(masked), len(self.rows), self.words)} "
                    f"{'has' if len(masked) == 1 else 'have'} no trained token within "
                    f"{limit} tokens and {'is' if len(masked) == 1 else 'are'} left out",
                    longer,
                    count=len(masked),
                    rows=evidence(shown("train", row) for row in masked),
                )
            )
        return found

    def _too_long(self, longer: str) -> list[CheckResult]:
        long = [(row, each) for row, each in self.rows if each.cut]
        if not long:
            return []
        trained = sum(sum(each.trained) + each.cut_trained for _, each in self.rows)
        lost = sum(each.cut_trained for _, each in self.rows)
        long.sort(key=lambda pair: -pair[1].cut)
        return [
            warning(
                CheckKind.TOO_LONG,
                f"{of_all(len(long), len(self.rows), self.words)} "
                f"{'is' if len(long) == 1 else 'are'} longer than training.max_length = "
                f"{self.training.max_length}: {share(lost, trained)} of the tokens to "
                "train on are cut off",
                longer,
                count=len(long),
                rows=evidence(
                    RowEvidence(
                        "train",
                        row.line,
                        one_line(row.id, 80),
                        f"{len(each.ids) + each.cut} tokens: {shown('train', row).text}",
                    )
                    for row, each in long
                ),
            )
        ]

    def _beyond(self, context: Context) -> list[CheckResult]:
        """Rows that the model itself cannot take: with learned positions that is an error."""
        report = error if context.is_hard else warning
        limit = self.training.max_length
        if self.training.packing and limit is not None:
            if limit <= context.tokens:
                return []
            return [
                report(
                    CheckKind.BEYOND_CONTEXT,
                    f"rows are packed to training.max_length = {limit} tokens, and the model was "
                    f"made for {context.tokens}",
                    f"--set training.max_length={context.tokens}",
                )
            ]
        beyond = [row for row, each in self.rows if len(each.ids) > context.tokens]
        if not beyond:
            return []
        return [
            report(
                CheckKind.BEYOND_CONTEXT,
                f"{of_all(len(beyond), len(self.rows), self.words)} "
                f"{'is' if len(beyond) == 1 else 'are'} longer than the {context.tokens} tokens "
                "that the model was made for",
                f"--set training.max_length={context.tokens}",
                count=len(beyond),
                rows=evidence(shown("train", row) for row in beyond),
            )
        ]

    def _padding(self) -> list[CheckResult]:
        """Share of padding in shuffled batches of this size."""
        training = self.training
        batch = training.per_device_train_batch_size
        if training.packing or batch == 1:
            return []
        lengths = [len(each.ids) for _, each in self.rows]
        random.Random(training.seed).shuffle(lengths)
        batches = [lengths[at : at + batch] for at in range(0, len(lengths), batch)]
        computed = sum(max(each) * len(each) for each in batches)
        waste = computed - sum(lengths)
        return [info(CheckKind.PADDING, f"{share(waste, computed)} of what is computed is padding")]

    @property
    def is_whole(self) -> bool:
        """Whether these are all training rows, not a sample (a template may refuse some)."""
        return self.total <= masking.SAMPLED_ROWS

    @property
    def words(self) -> str:
        return "training rows" if self.is_whole else "sampled training rows"


def _first(pair: tuple[int, Row]) -> int:
    return pair[0]
